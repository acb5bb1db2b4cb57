"""How many processes fit: an exact search over the counts that growth in proportion passes through."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from fractions import Fraction

Counts = tuple[int, ...]


def largest(
    counts: Sequence[int],
    grows: Sequence[bool],
    binds: Callable[[Counts], str],
    most: int,
) -> tuple[int, str]:
    """Return the largest total count that fits, and what binds beyond it.

    Group g has counts[g] processes as written; those that grow have floor(counts[g] * f) for one factor f,
    the others stay.  ``binds(counts)`` names what a combination does not fit ("" if it fits) and must not
    turn back to "" as counts grow.  ``most`` bounds the total.  The total is 0 if the groups that stay do not
    fit alone; the second value is "pid_max" where ``most`` binds, "fixed" where nothing grows and all fits.
    """

    def at(factor: Fraction) -> Counts:
        return tuple(
            count * factor.numerator // factor.denominator if grow else count
            for count, grow in zip(counts, grows, strict=True)
        )

    def verdict(candidate: Counts) -> str:
        return "pid_max" if sum(candidate) > most else binds(candidate)

    start = at(Fraction(0))
    reason = verdict(start)
    if reason:
        return 0, reason
    growing = [count for count, grow in zip(counts, grows, strict=True) if grow and count]
    if not growing:
        return sum(start), "fixed"
    # The largest group steps at f = t / top; every other group steps at most once between two of its steps.
    top = max(growing)
    steps = bisect_left(range(1, most + 2), 1, key=lambda step: bool(verdict(at(Fraction(step, top)))))
    following = Fraction(steps + 1, top)
    inside = (Fraction(count * steps // top + 1, count) for count in growing)
    between = sorted({factor for factor in inside if factor < following})
    fitting = bisect_left(between, 1, key=lambda factor: bool(verdict(at(factor))))
    best = between[fitting - 1] if fitting else Fraction(steps, top)
    if fitting < len(between):
        following = between[fitting]
    return sum(at(best)), verdict(at(following))
