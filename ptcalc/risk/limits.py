"""How many processes fit: an exact search over the counts that growth in proportion passes through."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from fractions import Fraction

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


def _last_that_fits(room: Callable[[int], int], start: int, end: int) -> int:
    """Return the largest step from 1 to `end` with room >= 0, or 0; room falls as steps grow.

    Demand is nearly linear in the steps, so that a straight line through two of them hits in a few trials
    what halving needs two dozen for; every third trial halves all the same, which bounds the rest.
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
        if len(known) % 3 == 0:
            trial = (low + high) // 2
        elif fall > 0:
            trial = first + known[first] * (last - first) // fall
        else:
            trial = 2 * trial if known[trial] >= 0 else trial // 2
    return low
