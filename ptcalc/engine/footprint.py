"""Tables of all processes at every level, as a function of how many processes there are.

Scopes below G (the number of groups) are the private tables of one process of that group; the others are shared
tables, which exist once.  Exact counts are integers throughout; what a draw makes uncertain is kept apart as floats.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.covers import BLOCKS, FIRM, TOUCHES, Covers, Touched
from ptcalc.engine.numbers import product
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
    counted: dict[bytes, _Level] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Tally:
    """Tables of one level in L layouts of G groups each, for C columns of process counts.

    ``exact`` integers plus an ``expected`` number, for one process of each group, shape (L * G,) and (L * G, C), and
    shared, shape (L,) and (L, C).
    """

    private_exact: Ints
    private_expected: Floats
    shared_exact: Ints
    shared_expected: Floats

    def total(self, counts: Sequence[int] | Ints) -> tuple[NDArray[Any], Floats]:
        """Return (exact, expected) tables of all processes together, shape (L, C), for the counts of the tally."""
        counts = as_columns(counts)
        layouts, columns = self.shared_expected.shape
        groups = len(counts) // layouts
        if layouts * columns == 1:  # a single number needs no columns, and is asked for often
            tables = sum(map(operator.mul, counts[:, 0].tolist(), self.private_exact.tolist()))
            exact = np.array([[tables + int(self.shared_exact[0])]], object)
        else:
            exact = product(counts, self.private_exact[:, None], groups)
            exact = exact.reshape(layouts, groups, columns).sum(axis=1) + self.shared_exact[:, None]
        if not self.private_expected.any():
            return exact, self.shared_expected
        expected = (counts * self.private_expected).reshape(layouts, groups, columns).sum(axis=1)
        return exact, expected + self.shared_expected


@dataclass(frozen=True, slots=True)
class _Level:
    """One level with the groups that have no process left out: exact counts, and the atoms that are not certain."""

    scopes: Ints  # exact tables of every scope
    layout: Ints  # in which each scope is
    private_expected: Floats
    shared_exact: Ints
    uncertain: Uncertain
    moving: Uncertain  # those whose expectation depends on the counts


def as_columns(counts: Sequence[int] | Ints) -> Ints:
    """Return process counts as a matrix, shape (L * G, C)."""
    matrix = np.asarray(counts, np.int64)
    return matrix if matrix.ndim == 2 else matrix[:, None]


def alike(counts: Ints) -> list[Ints]:
    """Return the columns of a matrix of counts, those together in which the same groups have processes."""
    active = counts > 0
    if active.shape[1] == 1 or active.all():
        return [np.arange(counts.shape[1])]
    kinds, kind = np.unique(active, axis=1, return_inverse=True)
    return [np.flatnonzero(kind.reshape(-1) == number) for number in range(kinds.shape[1])]


class Footprint:
    """The tables that `touched` needs, level by level, for any number of processes per group."""

    def __init__(self, levels: Sequence[LevelCovers], touched: Touched, groups: int, layouts: int = 1) -> None:
        self.levels = tuple(levels)
        self.touched = touched
        self.groups = groups  # of all layouts together
        self.layouts = layouts

    def tally(self, counts: Sequence[int] | Ints) -> tuple[Tally, ...]:
        """Return the tables of each level where group g has counts[g] processes.

        ``counts``: one number for each group, or a matrix of shape (L * G, C) in all columns of which the same groups
        have processes.
        """
        many = as_columns(counts)
        columns = many.shape[1]
        out = []
        for level in self._levels(many):
            private = level.private_expected[:, None]
            if columns > 1:
                private = np.broadcast_to(private, (self.groups, columns))
            shared = np.zeros((self.layouts, columns))
            if len(level.moving.count):
                tables = level.moving.expected(self.touched, many.astype(np.float64))
                scope = level.moving.scope
                mine = scope < self.groups
                if mine.any():
                    private = private.copy()
                    np.add.at(private, scope[mine], tables[mine])
                np.add.at(shared, level.layout[scope[~mine]], tables[~mine])
            out.append(Tally(level.scopes[: self.groups], private, level.shared_exact, shared))
        return tuple(out)

    def by_scope(self, place: int, counts: Sequence[int] | Ints) -> Floats:
        """Return the tables of the level at `place` in each scope: of one process, or shared.

        The shape is (scopes,), or (scopes, C) for a matrix of counts as in `tally`.
        """
        many = as_columns(counts)
        parts = alike(many)
        if len(parts) > 1:
            found = [self.by_scope(place, many[:, part]) for part in parts]
            order = np.argsort(np.concatenate(parts), kind="stable")
            return np.concatenate(found, axis=1)[:, order]
        level = self._levels(many)[place]
        out = np.repeat(level.scopes.astype(np.float64)[:, None], many.shape[1], axis=1)
        if len(level.uncertain.count):
            tables = level.uncertain.expected(self.touched, many.astype(np.float64))
            np.add.at(out, level.uncertain.scope, tables)
        return out if np.ndim(counts) == 2 else out[:, 0]

    def exact_layouts(self, counts: Ints) -> Flags:
        """Tell in which layouts no draw makes the tables uncertain, shape (L,); counts as in `tally`."""
        exact = np.ones(self.layouts, bool)
        for level in self._levels(counts):
            exact[level.layout[level.uncertain.scope]] = False
        return exact

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

    def _levels(self, counts: Sequence[int] | Ints) -> tuple[_Level, ...]:
        active = (as_columns(counts) > 0)[:, 0]
        key = b"" if active.all() else active.tobytes()
        for level in self.levels:
            if key not in level.counted:
                level.counted[key] = self._build(level, active)
        return tuple(level.counted[key] for level in self.levels)

    def _build(self, level: LevelCovers, active: Flags) -> _Level:
        covers = level.covers
        if not active.all():
            covers = covers.take(active[self.touched.group[covers.run]])
        layout = np.zeros(len(level.family), np.int64)
        if self.layouts > 1:
            layout[covers.scope] = self.touched.group[covers.run] // (self.groups // self.layouts)
        exact, rest = certain_union(covers, len(level.family))
        if level.fixed is not None:
            exact[: len(level.fixed)] += level.fixed
        if len(rest.scope) == 0:
            nothing = Uncertain.empty(level.span)
            return self._level(exact, layout, np.zeros(self.groups), nothing, nothing)
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
            np.add.at(expected, still.scope, still.expected(self.touched, np.ones((self.groups, 1)))[:, 0])
        return self._level(exact, layout, expected, uncertain, uncertain.only(moves))

    def _level(self, exact: Ints, layout: Ints, expected: Floats, uncertain: Uncertain, moving: Uncertain) -> _Level:
        shared = np.zeros(self.layouts, np.int64)
        np.add.at(shared, layout[self.groups :], exact[self.groups :])
        return _Level(exact, layout, expected, shared, uncertain, moving)
