"""The exact search for the largest count, against a brute force over every step that growth can take."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptcalc.risk.limits import Counts, largest


def brute_force(
    counts: list[int], grows: list[bool], costs: list[int], room: int, most: int, fixed_cost: int
) -> int:
    """Try every f at which some group steps, in order, until one does not fit."""

    def at(factor: Fraction) -> Counts:
        return tuple(
            int(count * factor) if grow else count for count, grow in zip(counts, grows, strict=True)
        )

    def fits(candidate: Counts) -> bool:
        demand = fixed_cost + sum(n * cost for n, cost in zip(candidate, costs, strict=True))
        return demand <= room and sum(candidate) <= most

    best = at(Fraction(0))
    if not fits(best):
        return 0
    steps = {
        Fraction(step, count)
        for count, grow in zip(counts, grows, strict=True)
        if grow and count
        for step in range(1, most + 2)
    }
    for factor in sorted(steps):
        candidate = at(factor)
        if not fits(candidate):
            break
        best = candidate
    return sum(best)


@given(
    groups=st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.integers(0, 7)), min_size=1, max_size=4),
    room=st.integers(-5, 120),
    most=st.integers(1, 40),
    fixed_cost=st.integers(0, 20),
)
def test_equals_a_brute_force(
    groups: list[tuple[int, bool, int]], room: int, most: int, fixed_cost: int
) -> None:
    counts, grows, costs = ([group[place] for group in groups] for place in range(3))

    def binds(candidate: Counts) -> str:
        demand = fixed_cost + sum(n * cost for n, cost in zip(candidate, costs, strict=True))
        return "" if demand <= room else "memory"

    found, reason = largest(counts, grows, binds, most)  # type: ignore[arg-type]

    assert found == brute_force(counts, grows, costs, room, most, fixed_cost)  # type: ignore[arg-type]
    assert reason in ("memory", "pid_max", "fixed")
    assert found <= most


@pytest.mark.parametrize(
    ("counts", "grows", "room", "most", "expected"),
    [
        pytest.param([1500], [True], 315, 4_194_304, (315, "memory"), id="one group"),
        pytest.param([1500, 20], [True, False], 300, 4_194_304, (300, "memory"), id="a fixed group stays"),
        pytest.param([10, 5], [False, False], 14, 4_194_304, (0, "memory"), id="fixed ones do not fit"),
        pytest.param([10, 5], [False, False], 15, 4_194_304, (15, "fixed"), id="nothing grows"),
        pytest.param([0], [True], 5, 4_194_304, (0, "fixed"), id="a group of nobody does not grow"),
        pytest.param([3], [True], 10**30, 1000, (1000, "pid_max"), id="pid_max"),
        pytest.param([1], [True], 10**30, 4_194_304, (4_194_304, "pid_max"), id="pid_max of Linux"),
        pytest.param([4, 2], [True, True], 10**30, 101, (100, "pid_max"), id="a step of two"),
        pytest.param([5000], [False], 10**30, 1000, (0, "pid_max"), id="more fixed ones than pids"),
    ],
)
def test_cases(counts: list[int], grows: list[bool], room: int, most: int, expected: tuple[int, str]) -> None:
    found = largest(counts, grows, lambda candidate: "memory" if sum(candidate) > room else "", most)

    assert found == expected


def test_asks_a_few_dozen_times_whatever_the_size() -> None:
    asked = []

    def binds(candidate: Counts) -> str:
        asked.append(candidate)
        return "memory" if sum(candidate) > 3_333_333 else ""

    found, _ = largest([4_000_000, 7, 13, 999], [True] * 4, binds, 4_194_304)

    assert 3_333_330 <= found <= 3_333_333
    assert len(asked) <= 30
