"""Touched base pages of one mapping, one by one.

Pages are numbers from the mapping's start.  Random forms are drawn by a `pick` that the caller supplies: it
receives the candidates (tuples of pages: single pages, or the slots of a cluster) and how many of them to
take.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

PAGE = 4096

Candidates = Sequence[tuple[int, ...]]
Pick = Callable[[Candidates, int], Iterable[tuple[int, ...]]]


class _SinglePages(Sequence[tuple[int, ...]]):
    """Every page of a mapping by itself, without a list of them."""

    def __init__(self, pages: int) -> None:
        self._pages = range(pages)

    def __len__(self) -> int:
        return len(self._pages)

    def __getitem__(self, place: Any) -> Any:
        return (self._pages[place],)


def is_random(touch: Any) -> bool:
    """True if the touch is drawn at random."""
    return bool(touch.form == "amount" and touch.pattern != "contiguous")


def touched_pages(touch: Any, *, offset: int, length: int, pick: Pick | None = None) -> frozenset[int]:
    """Return the touched pages of a mapping of `length` bytes at `offset` of its segment."""
    pages = -(-length // PAGE)
    if touch.form == "all":
        return frozenset(range(pages))
    if touch.form == "none":
        return frozenset()
    if touch.form == "every":
        end = length if touch.length is None else min(length, touch.start + touch.length)
        return frozenset(place // PAGE for place in range(touch.start, end, touch.step))
    if touch.form == "ranges":
        found: set[int] = set()
        for start, size in touch.ranges:
            found.update(range(start // PAGE, -(-(start + size) // PAGE)))
        return frozenset(found)
    assert touch.form == "amount", touch.form
    wanted = touch.pages
    if wanted is None:
        amount = touch.amount * length if isinstance(touch.amount, Fraction) else touch.amount
        wanted = math.ceil(Fraction(amount) / PAGE)
    if touch.pattern == "contiguous":
        return frozenset(range(wanted))
    assert pick is not None, "a random touch in the exact model"
    if touch.pattern == "scattered":
        candidates: Candidates = _SinglePages(pages)
        draws = wanted
    else:
        # Slots are aligned to the segment's offset; those at the mapping's ends may be shorter, and are as
        # likely.
        slots: dict[int, list[int]] = {}
        for page in range(pages):
            slots.setdefault((offset + page * PAGE) // touch.cluster, []).append(page)
        candidates = [tuple(slot) for slot in slots.values()]
        draws = math.ceil(Fraction(wanted * PAGE, touch.cluster))
    return frozenset(page for run in pick(candidates, min(draws, len(candidates))) for page in run)
