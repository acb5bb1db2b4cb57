"""Tables of a shared set that one process alone reaches: its own, where a policy shares only from the second one on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.covers import BLOCKS, FIRM, TOUCHES, Touched
from ptcalc.engine.listed import Listed, covariance, joint_less_product
from ptcalc.engine.variance import Uncertain, draws, held_slots, joint_log

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_KINDS = 2048  # of tables of which each is compared with each


def alone(part: Uncertain, touched: Touched, counts: Floats) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Yield (row, group, probability) for all tables that one process of a group may have alone, shape (K,) and (K, C).

    The probability is that of this process, for each of the row's tables.  ``counts`` has shape (groups, C); in all
    columns the same groups have processes.
    """
    if not (part.role == BLOCKS).any():
        yield _alone(part, touched, counts, (TOUCHES, FIRM))
        return
    # Where somebody's huge page takes the table away, only those have it who need one even so.
    stays = np.exp(part.log(touched, counts, BLOCKS))
    for roles, share in (((TOUCHES, FIRM), stays), ((FIRM,), 1 - stays)):
        row, group, probability = _alone(part, touched, counts, roles)
        yield row, group, probability * share[row]


def _alone(part: Uncertain, touched: Touched, counts: Floats, roles: tuple[int, ...]) -> tuple[Ints, Ints, Floats]:
    chosen = np.flatnonzero(np.isin(part.role, roles))
    row, run = part.pair_atom[chosen], part.pair_run[chosen]
    group, log = touched.group[run], part.log_empty[chosen][:, None]
    by_each = (touched.each | (touched.drawn == 0))[run]
    # What processes draw together is one draw, and nobody's own unless one process alone makes it.
    made = np.where(by_each[:, None], counts[group], 0.0)
    together, first, number = _distinct(row[~by_each], touched.domain[run[~by_each]])
    _, owner, _ = _distinct(number, group[~by_each])
    makers = np.zeros((together, counts.shape[1]))
    np.add.at(makers, number[owner], counts[group[~by_each][owner]])
    common = np.flatnonzero(~by_each)
    made[common[first]] = 1.0
    mine = np.ones_like(made)
    mine[common] = makers[number] == 1
    # Logs of certain touches are counted apart: differences of what is infinite say nothing.
    certain, finite = np.isneginf(log).astype(np.float64), np.where(np.isneginf(log), 0.0, log)
    rows = len(part.count)
    pairs, _, pair = _distinct(row, group)
    sums = []
    for each in (certain, finite):
        total, own = np.zeros((rows, counts.shape[1])), np.zeros((pairs, counts.shape[1]))
        np.add.at(total, row, each * made)
        np.add.at(own, pair, each * mine)
        sums.append((total, own))
    at = np.zeros(pairs, np.int64)
    who = np.zeros(pairs, np.int64)
    at[pair], who[pair] = row, group
    others_touch, others = (total[at] - own for total, own in sums)
    touches = np.where(sums[0][1] > 0, 1.0, -np.expm1(sums[1][1]))
    return at, who, np.where(others_touch > 0, 0.0, np.exp(others) * touches)


def _distinct(left: Ints, right: Ints) -> tuple[int, Ints, Ints]:
    """Return how many distinct pairs there are, where each stands first, and the number of each pair."""
    if not len(left):
        nothing = np.zeros(0, np.int64)
        return 0, nothing, nothing
    code = left * (int(right.max()) + 1) + right
    known, first, number = np.unique(code, return_index=True, return_inverse=True)
    return len(known), first, number.reshape(-1)


def variance_alone(
    home: Sequence[Uncertain], parts: Sequence[Uncertain], touched: Touched, group: int, counts: Floats
) -> float:
    """Return the variance of the weighted tables that one process of a group has: in its home, and alone in sets.

    A table is its alone where all others leave it empty, less where all do; ``counts`` has shape (groups,).  Many
    tables (`listed.MOST`) are taken as apart from each other, whatever their level, and many kinds as independent.
    """
    # The process's own draws, apart from those that the others of its group make.
    own = (touched.group == group) & (touched.each | (touched.drawn == 0) | (counts[group] == 1))
    mine = np.flatnonzero(own)
    clone = np.full(len(own), -1)
    clone[mine] = len(own) + np.arange(len(mine))
    one = touched.take(mine)
    one = replace(one, domain=one.domain + touched.domain.max(initial=-1) + 1, group=np.full(len(mine), len(counts)))
    every = type(touched)(*(np.concatenate([getattr(each, f.name) for each in (touched, one)]) for f in fields(one)))
    many = np.append(counts, 1.0)
    many[group] -= 1
    signed = [_signed(part, part.weight * -1, _moved(part.pair_run, clone), every, many) for part in home]
    for part in parts:
        some = np.zeros(len(part.count), bool)
        for row, who, probability in alone(part, touched, counts[:, None]):
            some[row[(who == group) & (probability[:, 0] > 0) & (probability[:, 0] < 1)]] = True
        left = part.only(some)
        all_ = _with_own(left, clone)
        signed.append(_signed(left, left.weight, left.pair_run, every, many))
        signed.append(_signed(all_, -left.weight, all_.pair_run, every, many))
    signed = [part for part in signed if len(part.count) and part.weight.any()]
    if not signed:
        return 0.0
    domains, sample = draws([part.pair_run for part in signed], every)
    listed = Listed.of(signed, every, many, domains)
    held, times = held_slots(signed, every, many, domains)
    slots, drawn = every.slots[sample], every.drawn[sample]
    if listed is not None:
        return max(covariance(listed, listed, slots, drawn, times), 0.0)
    random = drawn > 0
    empty = [part.log(every, many, TOUCHES, FIRM) for part in signed]
    return _of_many(signed, empty, held[:, random], slots[random], drawn[random], times[random])


def _of_many(
    signed: Sequence[Uncertain], empty: Sequence[Floats], held: Ints, slots: Ints, drawn: Ints, times: Floats
) -> float:
    """Return the variance of many tables, kind by kind, as if none lay in another (see `variance_alone`)."""
    logs = np.concatenate(empty)
    size = np.concatenate([part.count * part.weight for part in signed])
    pair = np.zeros((1, 1))
    if len(size) <= _KINDS:
        pair = joint_less_product(logs[:, None] + logs[None, :], joint_log(held, held, slots, drawn, times))
    total = float(size @ pair @ size) if len(size) <= _KINDS else 0.0
    # A table with itself is not two that are apart.  What others leave empty stands before what all do.
    starts = np.cumsum([0, *(len(part.count) for part in signed)])
    for at, part in enumerate(signed):
        value = np.exp(empty[at])
        here = np.arange(starts[at], starts[at + 1]) % len(pair)
        square = part.count * part.weight**2
        total += float((square * (value - value**2 - pair[here, here])).sum())
        if part.weight[0] > 0:
            there = np.arange(starts[at + 1], starts[at + 2]) % len(pair)
            both = np.exp(empty[at + 1])  # all leave it empty, and so do the others
            total -= float((2 * square * (both - value * both - pair[here, there])).sum())
    return max(total, 0.0)


def _moved(run: Ints, clone: Ints) -> Ints:
    return np.where(clone[run] >= 0, clone[run], run)


def _with_own(part: Uncertain, clone: Ints) -> Uncertain:
    """Return tables that the process's own draws reach as well."""
    more = np.flatnonzero(clone[part.pair_run] >= 0)
    every = np.concatenate([np.arange(len(part.pair_run)), more])
    return _reached(part, every, np.concatenate([part.pair_run, clone[part.pair_run[more]]]), part.weight)


def _signed(part: Uncertain, weight: Floats, run: Ints, touched: Touched, counts: Floats) -> Uncertain:
    """Return tables with another weight, reached by other runs, less those that nobody makes."""
    made = np.flatnonzero(counts[touched.group[run]] > 0)
    return _reached(part, made, run[made], weight)


def _reached(part: Uncertain, pairs: Ints, run: Ints, weight: Floats) -> Uncertain:
    """Return tables with some of their pairs, which are reached by those runs."""
    return replace(
        part, weight=weight, pair_run=run, pair_atom=part.pair_atom[pairs], offset=part.offset[pairs],
        log_empty=part.log_empty[pairs], held=part.held[pairs], role=part.role[pairs], shared=part.shared[pairs],
    )  # fmt: skip
