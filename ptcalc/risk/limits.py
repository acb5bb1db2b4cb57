"""How many processes fit: an exact search over the counts that growth in proportion passes through."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.numbers import Number

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Counts = tuple[int, ...]

# Room that a combination leaves (negative: it does not fit), and the name of what binds.
Room = Callable[[Counts], tuple[int, str]]


def largest(counts: Sequence[int], grows: Sequence[bool], room: Room, most: int) -> tuple[int, str]:
    """Return the largest total count that fits, and what binds beyond it.

    Group g has counts[g] processes as written; those that grow have floor(counts[g] * f) for one factor f,
    the others stay.  ``room(counts)`` must not grow as counts grow; ``most`` bounds the total.  The total is
    0 if the groups that stay do not fit alone; the second value is "pid_max" where ``most`` binds, "fixed"
    where nothing grows and all fits.
    """

    def at(numerator: int, denominator: int) -> Counts:
        return tuple(
            count * numerator // denominator if grow else count for count, grow in zip(counts, grows, strict=True)
        )

    def verdict(candidate: Counts) -> str:
        if sum(candidate) > most:
            return "pid_max"
        left, name = room(candidate)
        return name if left < 0 else ""

    growing = [count for count, grow in zip(counts, grows, strict=True) if grow and count]
    if not growing:
        reason = verdict(at(0, 1))
        return (0, reason) if reason else (sum(counts), "fixed")
    # The largest group steps at f = t / top; every other group steps at most once between two of its steps.
    top = max(growing)
    end = bisect_left(range(1, most + 2), 1, key=lambda step: sum(at(step, top)) > most)
    steps = _last_that_fits(lambda step: room(at(step, top))[0], top, end)
    if steps == 0:
        reason = verdict(at(0, 1))
        if reason:
            return 0, reason
    following = Fraction(steps + 1, top)
    inside = (Fraction(count * steps // top + 1, count) for count in growing)
    between = sorted({factor for factor in inside if factor < following})
    fitting = bisect_left(between, 1, key=lambda f: bool(verdict(at(f.numerator, f.denominator))))
    best = between[fitting - 1] if fitting else Fraction(steps, top)
    if fitting < len(between):
        following = between[fitting]
    total = sum(at(best.numerator, best.denominator))
    return total, verdict(at(following.numerator, following.denominator))


def largest_of_many(
    counts: Sequence[Number], grows: Sequence[bool], room: Callable[[list[Number]], tuple[Number, Number]], most: int
) -> tuple[Ints, Ints, list[Number]]:
    """Return what `largest` does, for many scenarios at once: totals, and what binds, each of shape (L, C).

    Beside them stand the next counts that growth passes through, which do not fit (where nothing grows: the counts).
    ``room(counts)`` answers for all scenarios, with the place of what binds; here -1 stands for ``most`` and -2 for
    nothing that grows.  Halving finds for each scenario the last step that fits.
    """
    now = np.broadcast_arrays(*(np.atleast_2d(count) for count in counts), np.atleast_2d(room(list(counts))[0]))[:-1]

    def at(numerator: Ints, denominator: Ints) -> list[Number]:
        return [count * numerator // denominator if grow else count for count, grow in zip(now, grows, strict=True)]

    def verdict(numerator: Ints, denominator: Ints) -> tuple[Flags, Ints]:
        candidate = at(numerator, denominator)
        left, place = room(candidate)
        over = sum(candidate) > most
        return over | np.asarray(left < 0, bool), np.where(over, -1, place)

    zero, one = np.zeros_like(now[0]), np.ones_like(now[0])
    fails_alone, alone = verdict(zero, one)
    if not any(grows):
        return np.where(fails_alone, 0, sum(now)), np.where(fails_alone, alone, -2), list(now)
    top = np.max([count for count, grow in zip(now, grows, strict=True) if grow], axis=0)
    # The largest group steps at f = t / top; low fits (0 is not tried), high does not.
    low, high = zero, np.full_like(top, most + 1)
    while (high - low > 1).any():
        trial = np.maximum((low + high) // 2, np.minimum(low + 1, high))
        fails, _ = verdict(trial, top)
        low, high = np.where(fails, low, trial), np.where(fails, trial, high)
    # Every other group steps at most once before the next step of the largest; a share p / q of whole numbers up to
    # pid_max is told from every other one by a float.
    steps = [(count * low // top + 1, count) for count, grow in zip(now, grows, strict=True) if grow]
    numerators, denominators = (np.stack(each) for each in zip(*steps, strict=True))
    order = np.argsort(numerators / denominators, axis=0, kind="stable")
    best, fits = (low, top), ~(fails_alone & (low == 0))
    following = (low + 1, top)
    open_ = fits.copy()
    for place in order:
        each = np.take_along_axis(numerators, place[None], 0)[0], np.take_along_axis(denominators, place[None], 0)[0]
        between = open_ & (each[0] * top < (low + 1) * each[1])
        fails, _ = verdict(*each)
        best = tuple(np.where(between & ~fails, new, old) for new, old in zip(each, best, strict=True))
        stops = between & fails
        following = tuple(np.where(stops, new, old) for new, old in zip(each, following, strict=True))
        open_ &= ~stops
    total = np.where(fits, sum(at(*best)), 0)
    following = np.where(fits, following[0], zero), np.where(fits, following[1], one)
    return total, verdict(*following)[1], at(*following)


def _last_that_fits(room: Callable[[int], int], start: int, end: int) -> int:
    """Return the largest step from 1 to `end` with room >= 0, or 0; room falls as steps grow.

    Demand is nearly linear in the steps, so that a straight line through two of them hits in a few trials
    what halving needs two dozen for; every fourth trial halves all the same, which bounds the rest.
    """
    low, high = 0, end + 1  # low fits (0 is not tried here), high does not
    known: dict[int, int] = {}
    recent: list[int] = []
    trial = min(start, end)
    while high - low > 1:
        trial = min(max(trial, low + 1), high - 1)
        known[trial] = room(trial)
        recent = [*recent[-1:], trial]
        if known[trial] >= 0:
            low = trial
        else:
            high = trial
        first, last = (low, high) if low in known and high in known else (min(recent), max(recent))
        fall = known[first] - known[last]
        if len(known) % 4 == 0:
            trial = (low + high) // 2
        elif fall > 0:
            trial = first + known[first] * (last - first) // fall
        else:
            trial = 2 * trial if known[trial] >= 0 else trial // 2
    return low
