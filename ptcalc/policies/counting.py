"""From tables to bytes: the memory that they take, and what each counter of the kernel shows of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ptcalc.arch import Level
from ptcalc.arch.kernels import TableCost
from ptcalc.engine.footprint import Footprint, Tally
from ptcalc.result import LevelTables, PageTables

# Beyond so many standard deviations a normal distribution has nothing that counts.
_TAIL = 9


def page_tables(
    footprint: Footprint, levels: Sequence[Level], costs: Sequence[TableCost], counts: Sequence[int]
) -> PageTables:
    """Return all tables of all processes, the memory they take, and what the counters of the machine show."""
    found, used, shown, charged, weights = [], 0, 0, 0, []
    for level, cost, tally, allocations in zip(
        levels, costs, footprint.tally(counts), _allocations(footprint, costs, counts), strict=False
    ):
        exact, expected = tally.total(counts)
        tables = exact + round(expected)
        used += allocations * cost.allocation
        shown += allocations * cost.page_tables
        charged += allocations * (cost.memcg or 0)
        weights.append(cost.page_tables // cost.per_allocation)
        if tables:
            found.append(LevelTables(level.name, tables, tables * level.table_bytes))
    is_exact = footprint.is_exact(counts)
    sd = None if is_exact else round(footprint.variance_total(counts, weights) ** 0.5)
    memcg = None if costs[0].memcg is None else charged
    return PageTables(shown, used, is_exact, sd, tuple(found), memcg)


def used_bytes(
    footprint: Footprint, costs: Sequence[TableCost], counts: Sequence[int], *, charged: bool | None = None
) -> int:
    """Return the memory that the tables take (bytes); ``charged``: only of those levels that are, or are not."""
    return sum(
        allocations * cost.allocation
        for cost, allocations in zip(costs, _allocations(footprint, costs, counts), strict=False)
        if charged is None or cost.charged == charged
    )


def marginal_bytes(footprint: Footprint, costs: Sequence[TableCost], counts: Sequence[int]) -> list[int]:
    """Return the memory that the unshared tables of one process of each group take (bytes)."""
    total = [0] * len(counts)
    for place, (cost, tally) in enumerate(zip(costs, footprint.tally(counts), strict=False)):
        for group in range(len(counts)):
            total[group] += round(_of_one_process(footprint, place, cost, tally, counts, group)) * cost.allocation
    return total


def _allocations(footprint: Footprint, costs: Sequence[TableCost], counts: Sequence[int]) -> list[int]:
    """Return how many allocations the tables of each level need, all processes together."""
    out = []
    for place, (cost, tally) in enumerate(zip(costs, footprint.tally(counts), strict=False)):
        if cost.per_allocation == 1:
            exact, expected = tally.total(counts)
            out.append(exact + round(expected))
            continue
        # A page is cut up for one mm alone, so that each process rounds up to pages of its own; the first tables
        # find room in the page that the program, its libraries and its stack have begun.
        private = sum(
            count * _of_one_process(footprint, place, cost, tally, counts, group)
            for group, count in enumerate(counts)
            if count
        )
        shared = math.ceil((tally.shared_exact + tally.shared_expected) / cost.per_allocation)
        out.append(round(private) + shared)
    return out


def _of_one_process(
    footprint: Footprint, place: int, cost: TableCost, tally: Tally, counts: Sequence[int], group: int
) -> int | float:
    """Return the expected allocations of a level for the unshared tables of one process."""
    exact, expected, per = tally.private_exact[group], tally.private_expected[group], cost.per_allocation
    if per == 1:
        return exact + expected if expected else exact
    begun = int(cost.in_use > 0)
    if not expected:
        return -(-(exact + cost.in_use) // per) - begun
    only_here = [int(at == place) for at in range(len(footprint.levels))]
    sd = footprint.variance_private(counts, group, only_here) ** 0.5
    return _expected_ceiling(exact + cost.in_use + expected, sd, per) - begun


def _expected_ceiling(mean: float, sd: float, per: int) -> float:
    """Return E[ceil(X / per)] of a whole number X, taken as normal: the sum over k of P(X > k per)."""
    first = max(math.floor((mean - _TAIL * sd) / per), 0)
    last = math.ceil((mean + _TAIL * sd) / per)
    if sd == 0:
        return math.ceil(mean / per)
    return first + sum(0.5 * math.erfc((k * per + 0.5 - mean) / (sd * math.sqrt(2))) for k in range(first, last + 1))
