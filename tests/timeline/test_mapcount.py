"""How many have a cell, against looking at each."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptcalc.engine.covers import EXACT, RANDOM, STRIDE
from ptcalc.timeline.mapcount import Claim, Tally, spreads_of, tally
from ptcalc.timeline.runs import Run
from tests.test_engine_against_reference import thorough

PAGE = 4096


def run_of(kind: int, lo: int, hi: int, step: int) -> Run:
    return Run(kind, lo * PAGE, hi * PAGE, step * PAGE, lo * PAGE, 0, 0, False, 0)


runs = st.builds(
    lambda kind, lo, length, step: run_of(kind, lo, lo + length, step),
    st.sampled_from([EXACT, STRIDE]), st.integers(0, 60), st.integers(1, 60), st.integers(1, 40),
)  # fmt: skip
owners = st.lists(st.tuples(st.lists(runs, min_size=1, max_size=3), st.sampled_from([1, 4]), st.integers(1, 3)))


def one_by_one(many: list[tuple[list[Run], int, int]]) -> Tally:
    users = dict.fromkeys(range(200), 0)
    entries = 0
    for mine, grain, times in many:
        grains = set()
        for run in mine:
            step = run.step if run.kind == STRIDE else PAGE
            grains |= {at // (grain * PAGE) for at in range(run.lo, run.hi, step)}
        entries += times * len(grains)
        for cell in {each * grain + inside for each in grains for inside in range(grain)}:
            users[cell] += times
    there = [count for count in users.values() if count]
    return Tally(len(there), sum(there), entries, min(there, default=math.inf), max(there, default=0))


@thorough(1)
@given(owners)
def test_every_owner_has_a_cell_once(many: list[tuple[list[Run], int, int]]) -> None:
    claims: dict[Claim, int] = {}
    for mine, grain, times in many:
        found = [
            each._replace(lo=each.lo * grain, hi=each.hi * grain)
            for run in mine
            for each in spreads_of(run, 0, 1 << 40, 0, grain * PAGE)
        ]
        claim = Claim(tuple(found), grain * PAGE)
        claims[claim] = claims.get(claim, 0) + times
    assert tally(claims, PAGE) == pytest.approx(one_by_one(many))


def test_random_draws_are_expectations() -> None:
    """A quarter of 64 pages, by two processes: each page is missing with 9 / 16."""
    run = Run(RANDOM, 0, 64 * PAGE, PAGE, 0, 64, 16, True, 0)
    claim = Claim(tuple(spreads_of(run, 0, 64, 0, PAGE)), PAGE)
    found = tally({claim: 2}, PAGE)
    assert found == pytest.approx(Tally(64 * 7 / 16, 32, 32, 1, 8 / 7))
