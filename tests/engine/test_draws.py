"""Expectation and variance of draws against all outcomes, listed."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ptcalc
from ptcalc.engine.covers import RANDOM, Covers, Touched, covers
from ptcalc.engine.footprint import Footprint, LevelCovers

SPANS = (8, 32)


def build(lo: int, length: int, slot: int, drawn: int, *, shared: bool, each: bool = True) -> tuple[Footprint, int]:
    """A draw on two levels, and its number of slots."""
    first = lo // slot
    slots = -(-(lo + length) // slot) - first
    one = np.ones(1, np.int64)
    touched = Touched(
        kind=one * RANDOM, lo=one * lo, hi=one * (lo + length), step=one * slot, origin=one * first * slot,
        slots=one * slots, drawn=one * drawn, each=np.array([each]), domain=one * 0, group=one * 0, base=one * 0,
    )  # fmt: skip
    levels = []
    for name, span in zip(("pte", "pmd"), SPANS, strict=True):
        found: Covers = covers(touched, span)
        scope = np.full(len(found.run), int(shared), np.int64)
        moved = found.moved(scope, np.zeros(len(found.run), np.int64), span)
        levels.append(LevelCovers(name, span, moved, np.arange(2), np.zeros(2, np.int64), np.zeros(2, bool)))
    return Footprint(levels, touched, 1), slots


def outcomes(lo: int, length: int, slot: int, slots: int, drawn: int, processes: int) -> tuple[float, float, float]:
    """Mean tables of both levels and the variance of their sum, by listing every draw of every process."""
    first = lo // slot

    def tables(chosen: tuple[int, ...], span: int) -> frozenset[int]:
        out: set[int] = set()
        for number in chosen:
            low, high = max((first + number) * slot, lo), min((first + number + 1) * slot, lo + length)
            out.update(range(low // span, (high - 1) // span + 1))
        return frozenset(out)

    draws = [tuple(tables(chosen, span) for span in SPANS) for chosen in combinations(range(slots), drawn)]
    sums = [
        [len(frozenset().union(*(draw[at] for draw in several))) for at in range(2)]
        for several in product(draws, repeat=processes)
    ]
    both = np.array(sums, float)
    return both[:, 0].mean(), both[:, 1].mean(), both.sum(axis=1).var()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 40), st.integers(4, 70), st.sampled_from([1, 2, 3, 4, 8, 12, 16]), st.integers(1, 3))
def test_expectation_equals_the_mean_over_all_draws(lo: int, length: int, slot: int, drawn: int) -> None:
    _, slots = build(lo, length, slot, 1, shared=False)
    if drawn >= slots:
        return
    made, _ = build(lo, length, slot, drawn, shared=False)
    low, high, _ = outcomes(lo, length, slot, slots, drawn, 1)

    tallies = made.tally((1,))

    assert [low, high] == pytest.approx([float(np.sum(tally.total((1,)))) for tally in tallies], rel=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 5), st.integers(8, 24), st.sampled_from([1, 2, 4]), st.integers(1, 2))
def test_variance_equals_that_over_all_draws(start: int, length: int, slot: int, drawn: int) -> None:
    """Slots that divide a table, at any place: private tables of one process, and shared tables of two."""
    lo, length = start * slot, length * slot
    made, slots = build(lo, length, slot, drawn, shared=False)
    if drawn >= slots:
        return
    _, _, variance = outcomes(lo, length, slot, slots, drawn, 1)
    shared, _ = build(lo, length, slot, drawn, shared=True)
    together = outcomes(lo, length, slot, slots, drawn, 2)[2] if slots <= 30 else 0.0

    assert variance == pytest.approx(made.variance_private((1,), 0, (1, 1)), rel=1e-6, abs=1e-9)
    if slots <= 30:
        assert together == pytest.approx(shared.variance_total((2,), (1, 1)), rel=1e-6, abs=1e-9)


def test_processes_that_draw_the_same_repeat_one_process() -> None:
    alone, _ = build(0, 64, 1, 5, shared=False, each=False)

    assert alone.variance_total((7,), (1, 1)) == pytest.approx(49 * alone.variance_private((1,), 0, (1, 1)))
    shared, _ = build(0, 64, 1, 5, shared=True, each=False)
    assert sum(shared.tally((7,))[0].total((7,))) == pytest.approx(sum(alone.tally((1,))[0].total((1,))))


def test_a_draw_over_hundreds_of_pieces_has_a_deviation() -> None:
    """Tables that are as good as never empty: logs far below what a float can be raised to."""
    found = ptcalc.estimate(
        ptcalc.loads(
            """
            version: 1
            host: {memory: 218 MiB, used: 1 MiB}
            segments: {s: {size: 1264582656, backing: shmem, pieces: 2097152}}
            processes:
              a: {count: 1, mappings: [{segment: s, touch: all}]}
              b: {count: 3, mappings: [{segment: s, protection: r, touch: 5%}]}
            """
        )
    )
    for result in found.policies:
        if not result.page_tables.exact:
            assert 0 <= (result.page_tables.sd_bytes or 0) < 1 << 20, result.policy
