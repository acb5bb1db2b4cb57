"""From tables to bytes: the memory that they take, and what each counter of the kernel shows of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptcalc.arch import Level
from ptcalc.arch.kernels import TableCost
from ptcalc.engine.footprint import Footprint, Tally, alike, as_columns
from ptcalc.engine.numbers import rounded
from ptcalc.result import LevelTables, PageTables

Ints = NDArray[np.int64]

# Beyond so many standard deviations a normal distribution has nothing that counts.
_TAIL = 9


def page_tables(
    footprint: Footprint, levels: Sequence[Level], costs: Sequence[TableCost], counts: Sequence[int]
) -> PageTables:
    """Return all tables of all processes, the memory they take, and what the counters of the machine show."""
    many = as_columns(counts)
    found, used, shown, charged, weights = [], 0, 0, 0, []
    for level, cost, tally, allocated in zip(
        levels, costs, footprint.tally(many), _allocations(footprint, costs, many), strict=False
    ):
        exact, expected = tally.total(many)
        tables, allocations = int(exact[0, 0]) + round(float(expected[0, 0])), int(allocated[0, 0])
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


def allocations(footprint: Footprint, costs: Sequence[TableCost], counts: Ints) -> list[NDArray[Any]]:
    """Return how many allocations the tables of each level need, all processes together, shape (L, C) each.

    ``counts`` are those of `Footprint.tally`, but in different columns different groups may have processes.
    """
    parts = alike(counts)
    if len(parts) == 1:
        return _allocations(footprint, costs, counts)
    order = np.argsort(np.concatenate(parts), kind="stable")
    found = [_allocations(footprint, costs, counts[:, part]) for part in parts]
    return [np.concatenate(level, axis=1)[:, order] for level in zip(*found, strict=True)]


def marginal_bytes(footprint: Footprint, costs: Sequence[TableCost], counts: Sequence[int]) -> list[int]:
    """Return the memory that the unshared tables of one process of each group take (bytes)."""
    total = [0] * len(counts)
    many = as_columns(counts)
    for place, (cost, tally) in enumerate(zip(costs, footprint.tally(many), strict=False)):
        for group in range(len(counts)):
            total[group] += round(_of_one_process(footprint, place, cost, tally, many, group, 0)) * cost.allocation
    return total


def _allocations(footprint: Footprint, costs: Sequence[TableCost], counts: Ints) -> list[NDArray[Any]]:
    """Return how many allocations the tables of each level need, all processes together, shape (L, C) each."""
    out = []
    for place, (cost, tally) in enumerate(zip(costs, footprint.tally(counts), strict=False)):
        if cost.per_allocation == 1:
            exact, expected = tally.total(counts)
            out.append(exact + rounded(expected))
            continue
        # A page is cut up for one mm alone, so that each process rounds up to pages of its own; the first tables
        # find room in the page that the program, its libraries and its stack have begun.
        private = np.zeros(tally.shared_expected.shape, object)
        per_layout = len(counts) // footprint.layouts
        for group, column in zip(*np.nonzero(counts), strict=True):
            one = _of_one_process(footprint, place, cost, tally, counts, int(group), int(column))
            private[group // per_layout, column] += int(counts[group, column]) * one
        shared = np.ceil((tally.shared_exact + tally.shared_expected) / cost.per_allocation)
        whole = np.array([round(each) for each in private.ravel()], object).reshape(private.shape)
        out.append(whole + rounded(shared))
    return out


def _of_one_process(
    footprint: Footprint, place: int, cost: TableCost, tally: Tally, counts: Ints, group: int, column: int
) -> int | float:
    """Return the expected allocations of a level for the unshared tables of one process."""

    def deviation() -> float:
        only_here = [int(at == place) for at in range(len(footprint.levels))]
        return float(footprint.variance_private(counts[:, column].tolist(), group, only_here) ** 0.5)

    exact, expected = int(tally.private_exact[group]), float(tally.private_expected[group, column])
    return allocations_of_one(cost, exact, expected, deviation)


def allocations_of_one(cost: TableCost, exact: int, expected: float, deviation: Callable[[], float]) -> int | float:
    """Return the expected allocations for exact + expected tables of one mm; ``deviation`` gives their deviation."""
    per = cost.per_allocation
    if per == 1:
        return exact + expected if expected else exact
    begun = int(cost.in_use > 0)
    if not expected:
        return -(-(exact + cost.in_use) // per) - begun
    return _expected_ceiling(exact + cost.in_use + expected, deviation(), per) - begun


def _expected_ceiling(mean: float, sd: float, per: int) -> float:
    """Return E[ceil(X / per)] of a whole number X, taken as normal: the sum over k of P(X > k per)."""
    first = max(math.floor((mean - _TAIL * sd) / per), 0)
    last = math.ceil((mean + _TAIL * sd) / per)
    if sd == 0:
        return math.ceil(mean / per)
    return first + sum(0.5 * math.erfc((k * per + 0.5 - mean) / (sd * math.sqrt(2))) for k in range(first, last + 1))
