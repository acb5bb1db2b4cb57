"""A line cut into intervals with a value each: immutable, so that whoever changes one has another."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Intervals(Generic[V]):
    """Intervals (lo, hi, value) in order, without overlap; neighbours have different values, gaps have none."""

    parts: tuple[tuple[int, int, V], ...] = ()

    @classmethod
    def of(cls, lo: int, hi: int, value: V) -> Intervals[V]:
        """Return one interval."""
        return cls(((lo, hi, value),) if lo < hi else ())

    def __iter__(self) -> Iterator[tuple[int, int, V]]:
        return iter(self.parts)

    def __bool__(self) -> bool:
        return bool(self.parts)

    def within(self, lo: int, hi: int) -> Iterator[tuple[int, int, V]]:
        """Yield what lies between lo and hi, cut there."""
        for start, end, value in self.parts[max(self._at(lo), 0) :]:
            if start >= hi:
                return
            if end > lo:
                yield max(start, lo), min(end, hi), value

    def first_hole(self, lo: int, hi: int) -> int | None:
        """Return the first place from lo to hi that no interval holds; None if there is none."""
        reach = lo
        for start, end, _ in self.within(lo, hi):
            if start > reach:
                return reach
            reach = end
        return reach if reach < hi else None

    def set(self, lo: int, hi: int, value: V | None) -> Intervals[V]:
        """Return the same with another value from lo to hi; None: nothing."""
        return self.changed(lo, hi, lambda _: value, fill=value)

    def less(self, others: Iterable[tuple[int, int, object]]) -> Intervals[V]:
        """Return the same without what lies in other intervals."""
        left = self
        for lo, hi, _ in others:
            left = left.set(lo, hi, None)
        return left

    def changed(self, lo: int, hi: int, new: Callable[[V], V | None], fill: V | None = None) -> Intervals[V]:
        """Return the same with the values from lo to hi replaced by a function of them; gaps are filled with `fill`."""
        if lo >= hi:
            return self
        first = max(self._at(lo), 0)
        # One neighbour on either side may be joined with what changes.
        first = max(first - 1, 0)
        last = min(self._at(hi) + 2, len(self.parts))
        middle: list[tuple[int, int, V | None]] = []
        reach = lo
        for start, end, value in self.parts[first:last]:
            if end <= lo:
                middle.append((start, end, value))
                continue
            if start < lo:
                middle.append((start, lo, value))
            inner = max(start, lo), min(end, hi)
            if inner[0] < inner[1]:
                middle.append((reach, inner[0], fill))
                middle.append((*inner, new(value)))
                reach = inner[1]
            if start >= hi:
                middle.append((reach, hi, fill))
                reach = hi
                middle.append((start, end, value))
            elif end > hi:
                middle.append((hi, end, value))
        middle.append((reach, hi, fill))
        joined: list[tuple[int, int, V]] = []
        for start, end, each in middle:
            if start >= end or each is None:
                continue
            if joined and joined[-1][1] == start and joined[-1][2] == each:
                joined[-1] = (joined[-1][0], end, each)
            else:
                joined.append((start, end, each))
        return type(self)((*self.parts[:first], *joined, *self.parts[last:]))

    def _at(self, place: int) -> int:
        """Return the number of the last interval that starts at or before a place; -1 if none does."""
        return bisect_right(self.parts, place, key=lambda part: part[0]) - 1
