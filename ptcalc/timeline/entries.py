"""Entries of the leaf tables of shared sets: they stay as long as their table, whoever made them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ptcalc.engine.covers import EXACT
from ptcalc.timeline.life import Key
from ptcalc.timeline.runs import Run, cells_of
from ptcalc.workload.intervals import Intervals

_Sort = tuple[Key, int]  # a set, and the bytes that an entry maps


@dataclass
class Entries:
    """Entries by set and size, on the axis of the set (bytes): as intervals, and as strides.

    Draws are not among them: what they have put there is known by who has drawn.
    """

    exact: dict[_Sort, Intervals[bool]] = field(default_factory=dict)
    strides: dict[_Sort, dict[Run, None]] = field(default_factory=dict)
    changes: int = 0  # so many have been made

    @property
    def sets(self) -> set[Key]:
        """The sets that have entries."""
        return {key for key, _ in (*self.exact, *self.strides)}

    def put(self, key: Key, size: int, run: Run) -> None:
        """Have an entry for every page of a run."""
        if run.kind != EXACT:
            self.strides.setdefault((key, size), {})[run] = None
        else:
            before = self.exact.get((key, size), Intervals())
            self.exact[key, size] = before.set(run.lo // size * size, -(-run.hi // size) * size, True)
        self.changes += 1

    def cut(self, key: Key, lo: int, hi: int) -> None:
        """Clear the entries that map a part of [lo, hi)."""
        for sort in [sort for sort in self.exact if sort[0] == key]:
            self.exact[sort] = self.exact[sort].set(lo // sort[1] * sort[1], -(-hi // sort[1]) * sort[1], None)
        for sort in [sort for sort in self.strides if sort[0] == key]:
            low, high = lo // sort[1] * sort[1], -(-hi // sort[1]) * sort[1]
            parts = [part for run in self.strides[sort] for part in (run.cut(run.lo, low), run.cut(high, run.hi))]
            self.strides[sort] = dict.fromkeys(part for part in parts if part is not None)
        self.changes += 1

    def keep(self, key: Key, there: Intervals[bool], span: int) -> None:
        """Clear all entries but those in the tables (by index) that are there."""
        for lo, hi in [cell for _, run in self.runs(key) for cell in cells_of(run, span)]:
            for a, b, _ in Intervals.of(lo, hi, True).less(there.within(lo, hi)):
                self.cut(key, a * span, b * span)

    def runs(self, key: Key) -> Iterator[tuple[int, Run]]:
        """Yield the entries of a set, as runs with the bytes that each of them maps."""
        for (of, size), parts in self.exact.items():
            if of == key:
                yield from ((size, Run(EXACT, lo, hi, 0, 0, 0, 0, False, -1)) for lo, hi, _ in parts)
        for (of, size), runs in self.strides.items():
            if of == key:
                yield from ((size, run) for run in runs)
