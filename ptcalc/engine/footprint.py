"""Tables of all processes at every level, as a function of how many processes there are.

Scopes below G (the number of groups) are the private tables of one process of that group; the others are shared
tables, which exist once.  Exact counts are integers throughout; what a draw makes uncertain is kept apart as floats.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.adopting import alone, variance_alone
from ptcalc.engine.covers import BLOCKS, FIRM, TOUCHES, Covers, Touched
from ptcalc.engine.numbers import product
from ptcalc.engine.spread import Spread
from ptcalc.engine.union import atoms, certain_union
from ptcalc.engine.variance import Uncertain, crossing, variance

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
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
    counted: dict[bytes, _Level] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Tables of one level in L layouts of G groups each, for C columns of process counts.

    ``exact`` integers plus an ``expected`` number, for one process of each group, shape (L * G,) and (L * G, C), and
    shared, shape (L, C).  Where files have copies that differ, a process is the mean of its group.
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
            exact = np.array([[tables + int(self.shared_exact[0, 0])]], object)
        else:
            exact = product(counts, self.private_exact[:, None], groups)
            exact = exact.reshape(layouts, groups, columns).sum(axis=1) + self.shared_exact
        if not self.private_expected.any():
            return exact, self.shared_expected
        expected = (counts * self.private_expected).reshape(layouts, groups, columns).sum(axis=1)
        return exact, expected + self.shared_expected


@dataclass(frozen=True, slots=True, eq=False)
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
    """The tables that `touched` needs, level by level, for any number of processes per group.

    ``spread``: which runs lie in files that exist in copies; tables of such a file are those of all copies together.
    ``adopting``: of each level the scopes, shape (scopes,), whose tables are a process's own while it alone has them.
    """

    def __init__(
        self,
        levels: Sequence[LevelCovers],
        touched: Touched,
        groups: int,
        layouts: int = 1,
        spread: Spread | None = None,
        adopting: Sequence[Flags] = (),
    ) -> None:
        self.levels = tuple(levels)
        self.touched = touched
        self.groups = groups  # of all layouts together
        self.layouts = layouts
        self.spread = spread
        self.adopting = tuple(adopting)
        self._adopted: dict[tuple[int, bytes], Uncertain] = {}
        # The same runs, in each the row of the counts that say how many processes make it.
        self._counted = touched if spread is None else replace(touched, group=spread.bank(touched.group, groups))

    def tally(self, counts: Sequence[int] | Ints) -> tuple[Tally, ...]:
        """Return the tables of each level where group g has counts[g] processes.

        ``counts``: one number for each group, or a matrix of shape (L * G, C) in all columns of which the same groups
        have processes.
        """
        many = as_columns(counts)
        if self.spread is None:
            found = tuple(self._plain(level, many) for level in self._levels(many))
        else:
            found = tuple(self._with_copies(place, self.spread, many) for place in range(len(self.levels)))
        if not self.adopting:
            return found
        return tuple(self._less_alone(place, tally, many) for place, tally in enumerate(found))

    def _less_alone(self, place: int, tally: Tally, many: Ints) -> Tally:
        """Return a tally in which the tables that one process alone has are its own."""
        mine = self.alone(place, many)
        taken = (many * mine).reshape(self.layouts, -1, many.shape[1]).sum(axis=1)
        own, shared = tally.private_expected + mine, tally.shared_expected - taken
        return replace(tally, private_expected=own, shared_expected=shared)

    def alone(self, place: int, many: Ints) -> Floats:
        """Return how many tables of adopting scopes one process of each group has that no other has, (L * G, C)."""
        groups = len(many)
        if self.spread is None:
            return self._alone(place, many)
        base = self.spread.banks(many, self.layouts)
        total = self._alone(place, base)[:groups].copy()
        layout = np.arange(groups) // (groups // self.layouts)
        for owner in range(len(self.spread.owners)):
            rows = slice((1 + owner) * groups, (2 + owner) * groups)
            for copies, each in self.spread.copies(owner, many, self.layouts):
                banks = base.copy()
                banks[rows] = each
                total += copies[layout] * each / np.maximum(many, 1) * self._alone(place, banks)[rows]
        return total

    def _alone(self, place: int, counts: Ints) -> Floats:
        """Return the same for each row of the counts (banks of files with copies), whichever of them are 0."""
        parts = alike(counts)
        if len(parts) > 1:
            order = np.argsort(np.concatenate(parts), kind="stable")
            return np.concatenate([self._alone(place, counts[:, part]) for part in parts], axis=1)[:, order]
        found = np.zeros(counts.shape)
        atoms = self._of_adopting(place, counts)
        for row, group, probability in alone(atoms, self._counted, counts.astype(np.float64)):
            np.add.at(found, group, atoms.count[row, None] * probability)
        return found

    def _of_adopting(self, place: int, counts: Ints) -> Uncertain:
        """Return all tables of the adopting scopes of a level."""
        active = (counts > 0)[:, 0]
        key = place, active.tobytes()
        if key not in self._adopted:
            level = self.levels[place]
            chosen = self.adopting[place][level.covers.scope] & active[self._counted.group[level.covers.run]]
            covers = level.covers.take(chosen)
            found = atoms(covers, level.span)
            every = np.ones(len(found.scope), bool)
            self._adopted[key] = Uncertain.of(found, covers, every, level, self.groups, self.touched)
        return self._adopted[key]

    def _plain(self, level: _Level, many: Ints) -> Tally:
        """Return the tables of a level (counted) whose files exist once."""
        columns = many.shape[1]
        private = level.private_expected[:, None]
        if columns > 1:
            private = np.broadcast_to(private, (self.groups, columns))
        shared = np.zeros((self.layouts, columns))
        if len(level.moving.count):
            tables = level.moving.expected(self._counted, many.astype(np.float64))
            scope = level.moving.scope
            mine = scope < self.groups
            if mine.any():
                private = private.copy()
                np.add.at(private, scope[mine], tables[mine])
            np.add.at(shared, level.layout[scope[~mine]], tables[~mine])
        exact = np.broadcast_to(level.shared_exact[:, None], shared.shape)
        return Tally(level.scopes[: self.groups], private, exact, shared)

    def _with_copies(self, place: int, spread: Spread, many: Ints) -> Tally:
        """Return the tables of a level some of whose files exist in copies."""
        exact, expected = self._of_all_copies(place, spread, many)
        layout = self._layout_of_scopes(place)
        shared_exact = np.zeros((self.layouts, many.shape[1]), object)
        shared = np.zeros((self.layouts, many.shape[1]))
        np.add.at(shared_exact, layout[self.groups :], exact[self.groups :])
        np.add.at(shared, layout[self.groups :], expected[self.groups :])
        first = exact[: self.groups, 0].astype(np.int64)
        private = expected[: self.groups] + (exact[: self.groups] - first[:, None]).astype(np.float64)
        return Tally(first, private, shared_exact, shared)

    def _of_all_copies(self, place: int, spread: Spread, many: Ints) -> tuple[NDArray[Any], Floats]:
        """Return (exact, expected) tables of each scope, shape (scopes, C): of a mean process, or of all copies."""
        base = spread.banks(many, self.layouts)
        found_exact, found = self._scopes(place, base)
        exact, expected = found_exact.astype(object), found.copy()
        covers = self.levels[place].covers
        kind_of = np.full(len(self.levels[place].family), -1, np.int64)
        kind_of[covers.scope] = spread.kind[covers.run]
        kind_of[: self.groups] = -1
        group = np.arange(len(many))
        for number in range(len(spread.owners)):
            mine = np.flatnonzero(kind_of == number)
            exact[mine], expected[mine] = 0, 0.0
            rows = slice((1 + number) * len(many), (2 + number) * len(many))
            for copies, each in spread.copies(number, many, self.layouts):
                banks = base.copy()
                banks[rows] = each
                one_exact, one = self._scopes(place, banks)
                of_scope = copies[self._layout_of_scopes(place)[mine]] if len(mine) else copies[:0]
                exact[mine] += product(of_scope, one_exact[mine])
                expected[mine] += of_scope * one[mine]
                # Processes differ only where somebody else decides over a table of theirs.
                differ = (one_exact[: len(many)] - found_exact[: len(many)]) + (one[: len(many)] - found[: len(many)])
                if differ.any():
                    share = copies[group // (len(many) // self.layouts)] * each / np.maximum(many, 1)
                    expected[: len(many)] += share * differ
        return exact, expected

    def _layout_of_scopes(self, place: int) -> Ints:
        level = self.levels[place]
        layout = np.zeros(len(level.family), np.int64)
        layout[level.covers.scope] = self.touched.group[level.covers.run] // (self.groups // self.layouts)
        return layout

    def _scopes(self, place: int, counts: Ints) -> tuple[Ints, Floats]:
        """Return (exact, expected) tables of each scope, shape (scopes, C), whichever counts are 0 in which column."""
        parts = alike(counts)
        if len(parts) > 1:
            both = [self._scopes(place, counts[:, part]) for part in parts]
            order = np.argsort(np.concatenate(parts), kind="stable")
            exact, expected = (np.concatenate(each, axis=1)[:, order] for each in zip(*both, strict=True))
            return exact, expected
        level = self._levels(counts)[place]
        expected = np.zeros((len(level.scopes), counts.shape[1]))
        if len(level.uncertain.count):
            tables = level.uncertain.expected(self._counted, counts.astype(np.float64))
            np.add.at(expected, level.uncertain.scope, tables)
        return np.repeat(level.scopes[:, None], counts.shape[1], axis=1), expected

    def by_scope(self, place: int, counts: Sequence[int] | Ints) -> Floats:
        """Return the tables of the level at `place` in each scope: of one process, or shared.

        The shape is (scopes,), or (scopes, C) for a matrix of counts as in `tally`.
        """
        many = as_columns(counts)
        if self.spread is None:
            exact, expected = self._scopes(place, many)
        else:
            exact, expected = self._of_all_copies(place, self.spread, many)
        out = exact.astype(np.float64) + expected
        return out if np.ndim(counts) == 2 else out[:, 0]

    def exact_layouts(self, counts: Ints) -> Flags:
        """Tell in which layouts no draw makes the tables uncertain, shape (L,); counts as in `tally`."""
        exact = np.ones(self.layouts, bool)
        for _, _, banks in self._all_counts(counts):
            for level in self._levels(banks):
                exact[level.layout[level.uncertain.scope]] = False
        return exact

    def is_exact(self, counts: Sequence[int], group: int | None = None) -> bool:
        """Tell whether no draw makes the tables (of one process of a group) uncertain."""
        for _, _, banks in self._all_counts(as_columns(counts)):
            for level in self._levels(banks):
                scope = level.uncertain.scope
                if (scope == group).any() if group is not None else len(scope):
                    return False
            for place in range(len(self.adopting)) if group is not None else ():
                for _, who, probability in alone(self._of_adopting(place, banks), self._counted, banks.astype(float)):
                    mine = probability[who % self.groups == group]
                    if ((mine > 0) & (mine < 1)).any():
                        return False
        return True

    def _all_counts(self, counts: Ints) -> Iterator[tuple[int, int, Ints]]:
        """Yield (owner, copies, counts): files that exist once (owner -1), and each kind of copies; of one column."""
        spread = self.spread
        if spread is None:
            yield -1, 1, counts
            return
        base = spread.banks(counts, self.layouts)
        yield -1, 1, base
        for number in range(len(spread.owners)):
            for copies, each in spread.copies(number, counts, self.layouts):
                banks = base.copy()
                banks[(1 + number) * len(counts) : (2 + number) * len(counts)] = each
                yield number, int(copies.max(initial=0)), banks

    def variance_private(self, counts: Sequence[int], group: int, weights: Sequence[int]) -> float:
        """Return the variance of the weighted tables of one process of a group (weights: bytes per level)."""
        _, _, banks = next(self._all_counts(as_columns(counts)))
        if self.adopting:
            own = [part.only(part.scope == group) for part in self._uncertain(banks, weights)]
            sets = [self._of_adopting(place, banks).weighted(weight) for place, weight in enumerate(weights)]
            return variance_alone(own, sets, self._counted, group, banks[:, 0].astype(np.float64))
        return self._variance_own(banks, group, weights)

    def _variance_own(self, banks: Ints, group: int, weights: Sequence[int]) -> float:
        parts = self._uncertain(banks, weights)
        return variance([part.only(part.scope == group) for part in parts], self._counted, np.ones(len(banks)))

    def variance_total(self, counts: Sequence[int], weights: Sequence[int]) -> float:
        """Return the variance of the weighted tables of all processes together.

        Processes that draw anew are independent; those that draw the same repeat one process's tables; the shared
        tables depend on the draws of all.  Copies of a file are independent of each other.
        """
        total = 0.0
        repeats = ~self.touched.each & (self.touched.drawn > 0)
        _, _, first = next(self._all_counts(as_columns(counts)))
        for owner, copies, banks in self._all_counts(as_columns(counts)):
            row = (1 + owner) * self.groups
            many = banks[:, 0].astype(np.float64)
            for group in range(self.groups):
                if owner < 0:
                    factor = int(banks[group, 0])
                    if (repeats & (self._counted.group == group)).any():
                        factor **= 2
                elif (repeats & (self._counted.group == row + group)).any():
                    # Processes of one copy draw the same; each by itself is in the sum already.
                    each = int(banks[row + group, 0])
                    factor = copies * (each**2 - each)
                else:
                    continue
                if factor:
                    total += factor * self._variance_own(first, group, weights)
            parts = self._uncertain(banks, weights)
            shared = [part.only(self._is_shared(part, owner)) for part in parts]
            for group in range(self.groups) if any(len(part.count) for part in shared) else ():
                private = [part.only(part.scope == group) for part in parts]
                between = crossing(private, shared, self._counted, row + group, many)
                total += 2 * copies * many[row + group] * between
            total += copies * variance(shared, self._counted, many)
        return max(total, 0.0)

    def _is_shared(self, part: Uncertain, owner: int) -> Flags:
        """Tell which rows are shared tables of files of that owner (-1: files that exist once)."""
        shared = part.scope >= self.groups
        if self.spread is None:
            return shared
        kind = np.full(len(part.count), -1, np.int64)
        kind[part.pair_atom] = self.spread.kind[part.pair_run]
        return np.asarray(shared & (kind == owner))

    def _uncertain(self, counts: Ints, weights: Sequence[int]) -> list[Uncertain]:
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
            covers = covers.take(active[self._counted.group[covers.run]])
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
            np.add.at(expected, still.scope, still.expected(self._counted, np.ones((len(active), 1)))[:, 0])
        return self._level(exact, layout, expected, uncertain, uncertain.only(moves))

    def _level(self, exact: Ints, layout: Ints, expected: Floats, uncertain: Uncertain, moving: Uncertain) -> _Level:
        shared = np.zeros(self.layouts, np.int64)
        np.add.at(shared, layout[self.groups :], exact[self.groups :])
        return _Level(exact, layout, expected, shared, uncertain, moving)
