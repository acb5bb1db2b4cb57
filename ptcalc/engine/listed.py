"""Covariances of few uncertain tables, one by one.

Slots may reach from one table into the next, and a small draw notices.  Up to `MOST` tables their slots are compared
as they are; above, `variance` takes tables of a kind together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.covers import BLOCKS, FIRM, TOUCHES, Touched
from ptcalc.engine.occupancy import log_empty

if TYPE_CHECKING:
    from ptcalc.engine.variance import Uncertain

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST = 400


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """T tables, one by one.

    What each is worth, the log of the probability that it stays empty, and which slots of each of D
    draws it holds, first <= slot < end, shape (T, D).
    """

    weight: Floats
    empty: Floats
    first: Ints
    end: Ints

    @classmethod
    def of(cls, parts: Sequence[Uncertain], touched: Touched, counts: Floats, domains: Ints) -> Self | None:
        """List the tables of all levels; None if they are many, or if it is not known which ones they are."""
        if sum(int(part.count.sum()) for part in parts) > MOST:
            return None
        if any((part.count != part.width).any() or (part.role == BLOCKS).any() for part in parts):
            return None
        rows = [_list(part, touched, counts, domains) for part in parts if len(part.count)]
        if not rows:
            return None
        return cls(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def _list(part: Uncertain, touched: Touched, counts: Floats, domains: Ints) -> tuple[Floats, Floats, Ints, Ints]:
    """Return weight, log of staying empty, first and end of the slots of every table of a level."""
    base = np.cumsum(part.count) - part.count
    many = int(part.count.sum())
    first = np.full((many, len(domains)), np.iinfo(np.int64).max)
    end = np.zeros((many, len(domains)), np.int64)
    for pair, (atom, run) in enumerate(zip(part.pair_atom, part.pair_run, strict=True)):
        if touched.drawn[run] == 0 or touched.domain[run] not in domains:
            continue
        number = np.arange(part.count[atom])
        low = part.start[atom] + part.offset[pair] + number * part.span
        high = np.minimum(low + part.span, touched.hi[run])
        low = np.maximum(low, touched.lo[run])
        domain = int(np.searchsorted(domains, touched.domain[run]))
        at = base[atom] + number
        first[at, domain] = np.minimum(first[at, domain], (low - touched.origin[run]) // touched.step[run])
        end[at, domain] = np.maximum(end[at, domain], (high - 1 - touched.origin[run]) // touched.step[run] + 1)
    first = np.minimum(first, end)
    empty = part.log(touched, counts, TOUCHES, FIRM)
    return np.repeat(part.weight, part.count), np.repeat(empty, part.count), first, end


def covariance(left: Listed, right: Listed, slots: Ints, drawn: Ints, times: Floats) -> float:
    """Return the covariance of the weighted tables; draw d of `drawn` of `slots` is made `times` times for both."""
    shift = np.zeros((len(left.weight), len(right.weight)))
    for d in np.flatnonzero(drawn > 0):
        here, there = left.end[:, d] - left.first[:, d], right.end[:, d] - right.first[:, d]
        common = np.minimum(left.end[:, d, None], right.end[None, :, d]) - np.maximum(
            left.first[:, d, None], right.first[None, :, d]
        )
        union = here[:, None] + there[None, :] - np.maximum(common, 0)
        sizes, place = np.unique(np.concatenate([union.ravel(), here, there]), return_inverse=True)
        logs = log_empty(slots[d], drawn[d], sizes)[place]
        many = union.size
        apart = logs[many : many + len(here), None] + logs[None, many + len(here) :]
        with np.errstate(invalid="ignore"):
            shift += times[d] * np.where(np.isneginf(apart), 0.0, logs[:many].reshape(union.shape) - apart)
    matrix = joint_less_product(left.empty[:, None] + right.empty[None, :], shift)
    return float(left.weight @ matrix @ right.weight)


def joint_less_product(log: Floats, shift: Floats) -> Floats:
    """Return exp(log + shift) - exp(log), whichever of the two is tiny; 0 where log is -inf."""
    never = np.isneginf(log)
    shift = np.where(never, 0.0, shift)
    near = shift < 1.0
    out = np.exp(log) * np.expm1(np.where(near, shift, 0.0))
    # Both empty far more often than apart: nothing to gain from expm1, and exp(shift) alone may overflow.  Both are
    # empty at most as often as the rarer of the two, and so as the geometric mean; the sum of two approximations of
    # logs that are far below zero may exceed it.
    log, shift = log[~near], shift[~near]
    out[~near] = np.exp(np.minimum(log + shift, log / 2)) - np.exp(log)
    return out
