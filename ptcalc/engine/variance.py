"""Tables that a draw leaves uncertain: their expectation, and the variance of their sum with all covariances.

Two tables A and B are both empty with probability prod_d h_d(|A u B|) over the draws d, where h_d is that of
`occupancy`; so Cov = that less the product of their own probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.covers import BLOCKS, FIRM, TOUCHES, Covers, Touched
from ptcalc.engine.listed import Listed, covariance, joint_less_product
from ptcalc.engine.numbers import distinct
from ptcalc.engine.occupancy import log_empty
from ptcalc.engine.union import Atoms

if TYPE_CHECKING:
    from ptcalc.engine.footprint import LevelCovers

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Above this many kinds of tables the joint probability is expanded to first order (exact for large draws).
_PAIRWISE = 512


@dataclass(frozen=True, slots=True, eq=False)
class Uncertain:
    """A rows of alike tables (see `union.Atoms`), with P (atom, run) pairs.

    ``start``: first byte of the row's first table on its scope's axis, ``offset``: from there to addresses of the
    run; ``log_empty``: log of the probability that the pair's run leaves such a table empty, for one process; ``role``:
    that of `Covers`; ``shared``: every process of the run's group makes the draw.
    """

    span: int
    scope: Ints
    family: Ints
    start: Ints
    count: Ints
    width: Ints
    weight: Floats
    pair_atom: Ints
    pair_run: Ints
    offset: Ints
    log_empty: Floats
    held: Ints
    role: NDArray[np.int8]
    shared: Flags

    @classmethod
    def empty(cls, span: int) -> Self:
        """Return no rows at all."""
        ints, floats, flags = np.zeros(0, np.int64), np.zeros(0), np.zeros(0, bool)
        return cls(
            span, ints, ints, ints, ints, ints, floats, ints, ints, ints, floats, ints, np.zeros(0, np.int8), flags
        )

    @classmethod
    def of(cls, atoms: Atoms, covers: Covers, keep: Flags, level: LevelCovers, groups: int, touched: Touched) -> Self:
        """Return the atoms that `keep` picks; scopes from `groups` on are shared."""
        scope = atoms.scope[keep]
        number = np.cumsum(keep) - 1
        pairs = keep[atoms.pair_atom]
        cover = atoms.pair_cover[pairs]
        return cls(
            span=level.span,
            scope=scope,
            family=level.family[scope],
            start=atoms.lo[keep] * level.span + level.origin[scope],
            count=atoms.count[keep],
            width=atoms.hi[keep] - atoms.lo[keep],
            weight=np.ones(len(scope)),
            pair_atom=number[atoms.pair_atom[pairs]],
            pair_run=covers.run[cover],
            offset=np.where(level.by_file[atoms.scope[atoms.pair_atom[pairs]]], touched.base[covers.run[cover]], 0),
            log_empty=covers.log_empty[cover],
            held=covers.held[cover],
            role=covers.role[cover],
            shared=(atoms.scope[atoms.pair_atom[pairs]] >= groups) | (covers.role[cover] == BLOCKS),
        )

    def only(self, keep: Flags) -> Self:
        """Return the rows that `keep` picks."""
        if keep.all():
            return self
        pairs = keep[self.pair_atom]
        number = np.cumsum(keep) - 1
        return type(self)(
            self.span, self.scope[keep], self.family[keep], self.start[keep], self.count[keep], self.width[keep],
            self.weight[keep], number[self.pair_atom[pairs]], self.pair_run[pairs], self.offset[pairs],
            self.log_empty[pairs], self.held[pairs], self.role[pairs], self.shared[pairs],
        )  # fmt: skip

    def weighted(self, weight: int) -> Self:
        """Return the rows with each table worth `weight`."""
        return replace(self, weight=np.full(len(self.scope), float(weight)))

    def times(self, touched: Touched, counts: Floats) -> Floats:
        """Return how often each pair's draw is made: by every process that shares the table and draws anew.

        ``counts`` has shape (groups,) or (groups, C), the answer (P,) or (P, C).
        """
        many = self.shared & touched.each[self.pair_run]
        found = counts[touched.group[self.pair_run]]
        return np.where(many.reshape(-1, *[1] * (found.ndim - 1)), found, 1.0)

    def log(self, touched: Touched, counts: Floats, *roles: int) -> Floats:
        """Return the log of the probability that no process touches the table in one of the roles, (A,) or (A, C)."""
        chosen = np.flatnonzero(np.isin(self.role, roles))
        times = self.times(touched, counts)
        value = (self.log_empty.reshape(-1, *[1] * (times.ndim - 1)) * times)[chosen]
        atom, atoms, columns = self.pair_atom[chosen], len(self.scope), times.shape[1:]
        if len(atom) == atoms and bool((atom == np.arange(atoms)).all()):
            return value
        if not columns:
            return np.bincount(atom, value, atoms).astype(np.float64)
        cell = atom[:, None] * columns[0] + np.arange(columns[0])
        return np.bincount(cell.ravel(), value.ravel(), atoms * columns[0]).astype(np.float64).reshape(atoms, -1)

    def expected(self, touched: Touched, counts: Floats) -> Floats:
        """Return the expected number of tables in each row, shape (A, C); counts: (groups, C)."""
        soft = self.log(touched, counts, TOUCHES)
        count = self.count[:, None]
        if not self.role.any():
            return np.asarray(count * -np.expm1(soft))
        kept, firm = (self.log(touched, counts, role) for role in (BLOCKS, FIRM))
        return np.asarray(count * (-np.expm1(firm) + np.exp(firm + kept) * -np.expm1(soft)))


def variance(parts: Sequence[Uncertain], touched: Touched, counts: Floats) -> float:
    """Return the variance of the weighted number of tables over all levels (`parts`), bytes squared.

    Rows that something may take away are taken as if it were certain (the expectation has it in full).
    """
    parts = [part for part in parts if len(part.count) and part.weight[0] > 0]
    if not parts:
        return 0.0
    domains, sample = draws([part.pair_run for part in parts], touched)
    held, times = held_slots(parts, touched, counts, domains)
    listed = Listed.of(parts, touched, counts, domains)
    if listed is not None:
        return max(covariance(listed, listed, touched.slots[sample], touched.drawn[sample], times), 0.0)
    total = 0.0
    empty = np.concatenate([part.log(touched, counts, TOUCHES, FIRM) for part in parts])
    count = np.concatenate([part.count for part in parts]).astype(float)
    weight = np.concatenate([part.weight for part in parts])
    size = count * weight
    slots, drawn = touched.slots[sample], touched.drawn[sample]
    random = drawn > 0
    held, slots, drawn, times = held[:, random], slots[random], drawn[random], times[random]
    if len(size) <= _PAIRWISE:
        joint = joint_log(held, held, slots, drawn, times)
        pair = joint_less_product(empty[:, None] + empty[None, :], joint)
        total += float(size @ pair @ size)
        own = np.diag(pair)
    else:
        kappa = times * drawn / (slots.astype(float) * np.maximum(slots - drawn, 1))
        total -= float((kappa * (size * np.exp(empty) @ held) ** 2).sum())
        own = -np.exp(2 * empty) * (held.astype(float) ** 2 @ kappa)
    alone = np.exp(empty) * -np.expm1(empty) - own
    total += float((count * weight**2 * alone).sum())
    neighbours = [_neighbours(part, touched) for part in parts]
    total += _straddled(parts, touched, neighbours, empty, own, held, slots, drawn, times, random)
    ties = np.concatenate(
        [
            np.bincount(part.pair_atom, 2 * near / np.maximum(part.count[part.pair_atom], 1), len(part.count)) + 1
            for part, near in zip(parts, neighbours, strict=True)
        ]
    )
    bounds = np.cumsum([0] + [len(part.count) for part in parts])
    for low in range(len(parts)):
        for high in range(low + 1, len(parts)):
            rows_low, rows_high = slice(bounds[low], bounds[low + 1]), slice(bounds[high], bounds[high + 1])
            total += 2 * _nested(
                parts[low], parts[high], empty[rows_low], empty[rows_high], held[rows_low], held[rows_high],
                slots, drawn, times, ties[rows_high],
            )  # fmt: skip
    return max(total, 0.0)


def crossing(
    private: Sequence[Uncertain], shared: Sequence[Uncertain], touched: Touched, group: int, counts: Floats
) -> float:
    """Return the covariance of one process's weighted private tables with the weighted shared tables.

    Only the draws of that process connect them.
    """
    private = [part for part in private if len(part.count) and part.weight[0] > 0]
    shared = [part for part in shared if len(part.count) and part.weight[0] > 0]
    runs = [part.pair_run[touched.group[part.pair_run] == group] for part in (*private, *shared)]
    if not private or not shared:
        return 0.0
    domains, sample = draws(runs, touched)
    here, there = (Listed.of(parts, touched, counts, domains) for parts in (private, shared))
    if here is not None and there is not None:
        return covariance(here, there, touched.slots[sample], touched.drawn[sample], np.ones(len(domains)))
    return sum(_cross_levels(mine, all_, touched, group, counts) for mine in private for all_ in shared)


def _cross_levels(mine: Uncertain, all_: Uncertain, touched: Touched, group: int, counts: Floats) -> float:
    own = np.flatnonzero(touched.group[all_.pair_run] == group)
    run = all_.pair_run[own]
    if len(run) == 0:
        return 0.0
    domains, sample = draws([run], touched)
    slots, drawn = touched.slots[sample], touched.drawn[sample]
    here = np.zeros((len(mine.count), len(domains)), np.int64)
    pairs = np.flatnonzero(np.isin(touched.domain[mine.pair_run], domains) & (mine.role != BLOCKS))
    np.maximum.at(
        here, (mine.pair_atom[pairs], np.searchsorted(domains, touched.domain[mine.pair_run[pairs]])), mine.held[pairs]
    )
    there = np.zeros((len(all_.count), len(domains)), np.int64)
    np.maximum.at(there, (all_.pair_atom[own], np.searchsorted(domains, touched.domain[run])), all_.held[own])
    empty_here, empty_there = (part.log(touched, counts, TOUCHES, FIRM) for part in (mine, all_))
    random = drawn > 0
    once = np.ones(int(random.sum()))
    both = empty_here[:, None] + empty_there[None, :]
    apart = joint_less_product(both, joint_log(here[:, random], there[:, random], slots[random], drawn[random], once))
    total = float((mine.count * mine.weight) @ apart @ (all_.count * all_.weight))
    if all_.span >= mine.span:
        return total
    # Shared tables inside one of the process's own tables: its draws that reach them reach that one too.
    of_process = np.bincount(all_.pair_atom[own], all_.log_empty[own], len(all_.count)).astype(np.float64)
    atom, first = np.unique(all_.pair_atom[own], return_index=True)
    start = all_.start[atom] + touched.base[run[first]]
    for at in range(len(mine.count)):
        inside = np.minimum(start + all_.width[atom] * all_.span, mine.start[at] + mine.width[at] * mine.span)
        inside = np.maximum(inside - np.maximum(start, mine.start[at]), 0)
        pairs_in = inside / all_.span * all_.count[atom] / all_.width[atom] * mine.count[at] / mine.width[at]
        nested = joint_less_product(both[at, atom], -of_process[atom])
        weights = mine.weight[at] * all_.weight[atom]
        total += float((pairs_in * weights * (nested - apart[at, atom])).sum())
    return total


def draws(runs: Sequence[Ints], touched: Touched) -> tuple[Ints, Ints]:
    """Return the numbers of the draws that the runs make, and one run of each, shape (D,)."""
    run = np.concatenate(runs)
    domains, domain = np.unique(touched.domain[run], return_inverse=True)
    sample = np.empty(len(domains), np.int64)
    # One draw may have several runs (pieces of a mapping); any of them has its numbers.
    sample[domain] = run
    return domains, sample


def held_slots(parts: Sequence[Uncertain], touched: Touched, counts: Floats, domains: Ints) -> tuple[Ints, Floats]:
    """Return the slots of every draw in a table of every row, shape (A, D), and how often each draw is made, (D,)."""
    held = np.zeros((sum(len(part.count) for part in parts), len(domains)), np.int64)
    times = np.ones(len(domains))
    base = 0
    for part in parts:
        number = np.searchsorted(domains, touched.domain[part.pair_run])
        np.add.at(held, (base + part.pair_atom, number), np.where(part.role == BLOCKS, 0, part.held))
        times[number] = part.times(touched, counts)
        base += len(part.count)
    return held, times


def joint_log(left: Ints, right: Ints, slots: Ints, drawn: Ints, times: Floats) -> Floats:
    """Return log(P(both empty) / P(empty) P(empty)) for disjoint tables of two sets of rows, shape (A, B)."""
    total = np.zeros((len(left), len(right)))
    for at in range(len(slots)):
        n, k = slots[at], drawn[at]
        a, first = np.unique(left[:, at], return_inverse=True)
        b, second = np.unique(right[:, at], return_inverse=True)
        together = log_empty(n, k, a[:, None] + b[None, :])
        apart = log_empty(n, k, a)[:, None] + log_empty(n, k, b)[None, :]
        with np.errstate(invalid="ignore"):
            delta = np.where(np.isneginf(apart), 0.0, together - apart)
        total += times[at] * delta[first][:, second]
    return total


def _neighbours(part: Uncertain, touched: Touched) -> Floats:
    """Return, for each pair (row, run), how many unordered pairs of the row's tables share a slot of the run's draw.

    Tables d apart do if no slot starts between the end of the one and the start of the other, both included.
    """
    out = np.zeros(len(part.pair_run))
    step, origin = touched.step[part.pair_run], touched.origin[part.pair_run]
    count = part.count[part.pair_atom]
    random = (touched.drawn[part.pair_run] > 0) & (part.role != BLOCKS) & (count > 1)
    grid = np.gcd(part.span, step)
    start = part.start[part.pair_atom]
    for at in np.flatnonzero(random):
        size, unit = int(step[at]), int(grid[at])
        # Distances from a table's end to the next slot are lowest, lowest + unit, ... below the slot's size.
        lowest = int(origin[at] - start[at]) % unit
        apart = np.arange(1, min(size // part.span + 2, int(count[at])))
        beyond = (apart - 1) * part.span
        first = np.maximum(-(-(beyond + 1 - lowest) // unit), 0)
        share = np.maximum(size // unit - first, 0) / (size // unit)
        out[at] = float(((count[at] - apart) * share).sum())
    return out


def _straddled(
    parts: Sequence[Uncertain], touched: Touched, neighbours: Sequence[Floats], empty: Floats, own: Floats, held: Ints,
    slots: Ints, drawn: Ints, times: Floats, random: Flags,
) -> float:  # fmt: skip
    """Return what slots that reach into two tables of a level add to the covariance of disjoint ones."""
    total, base = 0.0, 0
    column = np.cumsum(random) - 1
    domains = distinct(np.concatenate([touched.domain[part.pair_run] for part in parts]))
    for part, near in zip(parts, neighbours, strict=True):
        some = np.flatnonzero(near > 0)
        if len(some):
            row = base + part.pair_atom[some]
            draw = column[np.searchsorted(domains, touched.domain[part.pair_run[some]])]
            m, n, k = held[row, draw], slots[draw], drawn[draw]
            # P(both empty) with the common slot counted once, against that of disjoint tables.
            twice = np.exp(2 * empty[row])
            together = log_empty(n, k, np.maximum(2 * m - 1, 1))
            apart = log_empty(n, k, 2 * m)
            disjoint = own[row] + twice
            with np.errstate(invalid="ignore", over="ignore"):
                gain = np.where(
                    np.isneginf(apart),
                    np.exp(times[draw] * together),
                    disjoint * np.exp(times[draw] * (together - apart)),
                )
            total += float((2 * near[some] * part.weight[part.pair_atom[some]] ** 2 * (gain - disjoint)).sum())
        base += len(part.count)
    return total


def _nested(
    low: Uncertain, high: Uncertain, empty_low: Floats, empty_high: Floats, held_low: Ints, held_high: Ints,
    slots: Ints, drawn: Ints, times: Floats, ties: Floats,
) -> float:  # fmt: skip
    """Return what the covariance of tables inside a table of a higher level adds to that of disjoint ones."""
    total = 0.0
    low_end = low.start + low.width * low.span
    high_end = high.start + high.width * high.span
    for at in range(len(high.count)):
        inside = np.minimum(low_end, high_end[at]) - np.maximum(low.start, high.start[at])
        near = np.flatnonzero(
            (inside > 0) & (low.family == high.family[at]) & ((low.start - high.start[at]) % low.span == 0)
        )
        if len(near) == 0:
            continue
        share = low.count[near] / low.width[near] * (high.count[at] / high.width[at])
        pairs = inside[near] / low.span * share
        # A slot larger than the upper table ties tables to neighbours of their parent as well.
        pairs = np.minimum(pairs * ties[at], low.count[near].astype(float) * high.count[at])
        both = empty_low[near] + empty_high[at]
        joint = joint_log(held_low[near], held_high[at : at + 1], slots, drawn, times)[:, 0]
        apart = joint_less_product(both, joint)
        nested = np.exp(empty_high[at]) - np.exp(both)
        total += float((pairs * low.weight[near] * high.weight[at] * (nested - apart)).sum())
    return total
