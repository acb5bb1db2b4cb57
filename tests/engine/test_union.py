"""Unions of covers against sets of tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ptcalc.engine.covers import EXACT, STRIDE, Touched, covers
from ptcalc.engine.footprint import Footprint, LevelCovers
from ptcalc.engine.union import certain_union

SPAN = 64


@dataclass(frozen=True)
class Run:
    """One touched run of a group; `step` 0 touches every byte."""

    group: int
    lo: int
    length: int
    step: int

    def tables(self) -> set[int]:
        """Tables by enumeration."""
        return {at // SPAN for at in range(self.lo, self.lo + self.length, self.step or 1)}


RUNS = st.lists(
    st.builds(
        Run,
        st.integers(0, 2),
        st.integers(0, 4000),
        st.integers(1, 3000),
        st.sampled_from([0, 1, 40, 64, 96, 128, 200, 320]),
    ),
    min_size=1,
    max_size=8,
)


def columns(runs: list[Run]) -> Touched:
    """The runs as the engine takes them."""
    many = len(runs)
    zero = np.zeros(many, np.int64)
    return Touched(
        kind=np.array([STRIDE if run.step else EXACT for run in runs]),
        lo=np.array([run.lo for run in runs]),
        hi=np.array([run.lo + run.length for run in runs]),
        step=np.array([run.step for run in runs]),
        origin=zero, slots=zero, drawn=zero, each=np.ones(many, bool), domain=np.arange(many),
        group=np.array([run.group for run in runs]), base=zero,
    )  # fmt: skip


def footprint(runs: list[Run], *, shared: bool) -> Footprint:
    """One level: tables of each group, or of all in one shared scope."""
    touched = columns(runs)
    found = covers(touched, SPAN)
    scope = np.full(len(found.run), 3) if shared else touched.group[found.run]
    moved = found.moved(scope, np.zeros(len(found.run), np.int64), SPAN)
    return Footprint(
        [LevelCovers("pte", SPAN, moved, np.arange(4), np.zeros(4, np.int64), np.zeros(4, bool))], touched, 3
    )


@settings(max_examples=400)
@given(RUNS)
def test_private_tables_are_the_union_of_a_groups_runs(runs: list[Run]) -> None:
    expected = [len(set().union(*(run.tables() for run in runs if run.group == group))) for group in range(3)]

    [tally] = footprint(runs, shared=False).tally((1, 1, 1))

    assert expected == list(tally.private_exact)
    assert not tally.private_expected.any()


@settings(max_examples=400)
@given(RUNS, st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)))
def test_shared_tables_are_the_union_over_groups_that_have_processes(runs: list[Run], counts: tuple[int, ...]) -> None:
    expected = len(set().union(*(run.tables() for run in runs if counts[run.group])))

    [tally] = footprint(runs, shared=True).tally(counts)

    assert (expected, 0.0) == tuple(each.item() for each in tally.total(counts))


@settings(max_examples=200)
@given(st.lists(st.tuples(RUNS, st.sampled_from([0, 1 << 57])), min_size=1, max_size=3))
def test_scopes_far_apart_on_long_axes_are_counted_as_near_ones(parts: list[tuple[list[Run], int]]) -> None:
    runs = [(run, far) for part, far in parts for run in part if run.step <= SPAN]
    expected = [
        len({(table, far) for run, far in runs if run.group == group for table in run.tables()}) for group in range(3)
    ]
    found = covers(columns([run for run, _ in runs]), SPAN)
    there = np.array([far for _, far in runs], np.int64)
    scope = np.array([run.group for run, _ in runs], np.int64) * 100

    counted, rest = certain_union(found.moved(scope, -there, SPAN), 201)

    assert expected == counted[::100].tolist()
    assert not len(rest.run)
