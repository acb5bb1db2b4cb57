"""The exact search for the largest count, against a brute force over every step that growth can take."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import isqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptcalc.risk.limits import Counts, largest


def brute_force(counts: list[int], grows: list[bool], costs: list[int], room: int, most: int, fixed_cost: int) -> int:
    """Try every f at which some group steps, in order, until one does not fit."""

    def at(factor: Fraction) -> Counts:
        return tuple(int(count * factor) if grow else count for count, grow in zip(counts, grows, strict=True))

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
def test_equals_a_brute_force(groups: list[tuple[int, bool, int]], room: int, most: int, fixed_cost: int) -> None:
    counts, grows, costs = ([group[place] for group in groups] for place in range(3))

    def left(candidate: Counts) -> tuple[int, str]:
        demand = fixed_cost + sum(n * cost for n, cost in zip(candidate, costs, strict=True))
        return room - demand, "memory"

    found, reason = largest(counts, grows, left, most)  # type: ignore[arg-type]

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
    found = largest(counts, grows, lambda candidate: (room - sum(candidate), "memory"), most)

    assert found == expected


@pytest.mark.parametrize(
    ("cost", "trials"),
    [
        pytest.param(lambda n: n, 8, id="linear"),
        pytest.param(lambda n: n + 10**6 * min(n, 5000), 30, id="a kink"),
        pytest.param(lambda n: n**3, 40, id="cubic"),
        pytest.param(lambda n: 2 ** min(n, 4000), 40, id="exponential"),
        pytest.param(lambda n: 0 if n < 3_141_592 else 1, 75, id="a step"),
        pytest.param(lambda n: isqrt(n), 60, id="a root"),
    ],
)
def test_asks_a_few_dozen_times_whatever_the_shape(cost: Callable[[int], int], trials: int) -> None:
    for limit in (0, 1, 1499, 1500, 33_333, 3_333_333):
        asked: list[Counts] = []

        def left(candidate: Counts, limit: int = limit, asked: list[Counts] = asked) -> tuple[int, str]:
            asked.append(candidate)
            return cost(limit) - cost(candidate[0]), "memory"

        found, _ = largest([1500], [True], left, 4_194_304)

        assert cost(found) <= cost(limit)
        assert found == 4_194_304 or cost(found + 1) > cost(limit)
        assert len(asked) <= trials
