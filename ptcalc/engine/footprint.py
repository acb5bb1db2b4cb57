"""Tables of all processes at every level, as a function of how many processes there are.

Scopes below G (the number of groups) are the private tables of one process of that group; the others are shared
tables, which exist once.  Exact counts are integers throughout; what a draw makes uncertain is kept apart as floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.covers import BLOCKS, FIRM, TOUCHES, Covers, Touched
from ptcalc.engine.union import atoms, certain_union
from ptcalc.engine.variance import Uncertain, crossing, variance

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LevelCovers:
    """The covers of one level.

    ``family`` and ``origin`` (shape (scopes,)) say which scopes of different levels
    lie on one axis, and where (bytes) their table 0 starts on it; ``by_file``: that axis is a file, not addresses.
    """

    name: str
    span: int
    covers: Covers
    family: Ints
    origin: Ints
    by_file: Flags
    # Tables that a scope has whatever it touches, shape (homes,): the first scopes.
    fixed: Ints | None = None
    # What has been counted of it, by which groups have processes: policies that do not differ here count it once.
    counted: dict[tuple[bool, ...], _Level] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Tally:
    """Tables of one level: ``exact`` integers plus an ``expected`` number; per group and process, and shared."""

    private_exact: tuple[int, ...]
    private_expected: tuple[float, ...]
    shared_exact: int
    shared_expected: float

    def total(self, counts: Sequence[int]) -> tuple[int, float]:
        """Return (exact, expected) tables of all processes together."""
        exact = sum(n * tables for n, tables in zip(counts, self.private_exact, strict=True)) + self.shared_exact
        expected = sum(n * tables for n, tables in zip(counts, self.private_expected, strict=True))
        return exact, expected + self.shared_expected


@dataclass(frozen=True, slots=True)
class _Level:
    """One level with the groups that have no process left out: exact counts, and the atoms that are not certain."""

    scopes: Ints  # exact tables of every scope
    private_exact: tuple[int, ...]
    private_expected: tuple[float, ...]
    shared_exact: int
    uncertain: Uncertain
    moving: Uncertain  # those whose expectation depends on the counts


class Footprint:
    """The tables that `touched` needs, level by level, for any number of processes per group."""

    def __init__(self, levels: Sequence[LevelCovers], touched: Touched, groups: int) -> None:
        self.levels = tuple(levels)
        self.touched = touched
        self.groups = groups

    def tally(self, counts: Sequence[int]) -> tuple[Tally, ...]:
        """Return the tables of each level where group g has counts[g] processes."""
        many = np.array(counts, np.float64)
        out = []
        for level in self._levels(counts):
            private = list(level.private_expected)
            shared = 0.0
            if len(level.moving.count):
                tables = level.moving.expected(self.touched, many)
                mine = level.moving.scope < self.groups
                for group, value in zip(level.moving.scope[mine], tables[mine], strict=True):
                    private[int(group)] += float(value)
                shared = float(tables[~mine].sum())
            out.append(Tally(level.private_exact, tuple(private), level.shared_exact, shared))
        return tuple(out)

    def by_scope(self, place: int, counts: Sequence[int]) -> Floats:
        """Return the tables of the level at `place` in each scope, shape (scopes,): of one process, or shared."""
        level = self._levels(counts)[place]
        out = np.array(level.scopes, np.float64)
        if len(level.uncertain.count):
            tables = level.uncertain.expected(self.touched, np.array(counts, np.float64))
            np.add.at(out, level.uncertain.scope, tables)
        return out

    def is_exact(self, counts: Sequence[int], group: int | None = None) -> bool:
        """Tell whether no draw makes the tables (of one process of a group) uncertain."""
        for level in self._levels(counts):
            scope = level.uncertain.scope
            if (scope == group).any() if group is not None else len(scope):
                return False
        return True

    def variance_private(self, counts: Sequence[int], group: int, weights: Sequence[int]) -> float:
        """Return the variance of the weighted tables of one process of a group (weights: bytes per level)."""
        parts = self._uncertain(counts, weights)
        return variance([part.only(part.scope == group) for part in parts], self.touched, np.ones(self.groups))

    def variance_total(self, counts: Sequence[int], weights: Sequence[int]) -> float:
        """Return the variance of the weighted tables of all processes together.

        Processes that draw anew are independent; those that draw the same repeat one process's tables; the shared
        tables depend on the draws of all.
        """
        parts = self._uncertain(counts, weights)
        total = 0.0
        for group in range(self.groups):
            mine = self.touched.group == group
            repeats = bool((~self.touched.each & mine & (self.touched.drawn > 0)).any())
            factor = counts[group] ** 2 if repeats else counts[group]
            if counts[group]:
                total += factor * self.variance_private(counts, group, weights)
        many = np.array(counts, np.float64)
        shared = [part.only(part.scope >= self.groups) for part in parts]
        for group in range(self.groups) if any(len(part.count) for part in shared) else ():
            private = [part.only(part.scope == group) for part in parts]
            total += 2 * counts[group] * crossing(private, shared, self.touched, group, many)
        return max(total + variance(shared, self.touched, many), 0.0)

    def _uncertain(self, counts: Sequence[int], weights: Sequence[int]) -> list[Uncertain]:
        return [level.uncertain.weighted(weight) for level, weight in zip(self._levels(counts), weights, strict=True)]

    def _levels(self, counts: Sequence[int]) -> tuple[_Level, ...]:
        active = tuple(count > 0 for count in counts)
        for level in self.levels:
            if active not in level.counted:
                level.counted[active] = self._build(level, active)
        return tuple(level.counted[active] for level in self.levels)

    def _build(self, level: LevelCovers, active: tuple[bool, ...]) -> _Level:
        covers = level.covers
        if not all(active):
            covers = covers.take(np.array(active)[self.touched.group[covers.run]])
        exact, rest = certain_union(covers, len(level.family))
        if level.fixed is not None:
            exact[: len(level.fixed)] += level.fixed
        if len(rest.scope) == 0:
            nothing = Uncertain.empty(level.span)
            return self._level(exact, [0.0] * self.groups, nothing, nothing)
        # What certainly covers a table leaves nothing for strides and draws to add to it; processes of one kind
        # are all there or not at all, so that certainty does not depend on the counts.
        found = atoms(rest, level.span)
        cover = found.pair_cover
        many = len(found.scope)
        role = rest.role[cover]
        soft, blocking, firm = (
            np.bincount(found.pair_atom[role == each], rest.log_empty[cover[role == each]], many)
            for each in (TOUCHES, BLOCKS, FIRM)
        )
        blocked = np.zeros(many, bool)
        blocked[found.pair_atom[role == BLOCKS]] = True
        certain = (firm == -np.inf) | ((soft == -np.inf) & ~blocked)
        np.add.at(exact, found.scope[certain], found.count[certain])
        open_ = ~certain & ((firm < 0) | ((soft < 0) & (blocking > -np.inf)))
        uncertain = Uncertain.of(found, rest, open_, level, self.groups, self.touched)
        moves = (uncertain.scope >= self.groups) | blocked[open_]
        still = uncertain.only(~moves)
        expected = np.zeros(self.groups)
        if len(still.count):
            np.add.at(expected, still.scope, still.expected(self.touched, np.ones(self.groups)))
        return self._level(exact, expected.tolist(), uncertain, uncertain.only(moves))

    def _level(self, exact: Ints, expected: list[float], uncertain: Uncertain, moving: Uncertain) -> _Level:
        return _Level(
            scopes=exact,
            private_exact=tuple(exact[: self.groups].tolist()),
            private_expected=tuple(expected),
            shared_exact=sum(exact[self.groups :].tolist()),
            uncertain=uncertain,
            moving=moving,
        )
