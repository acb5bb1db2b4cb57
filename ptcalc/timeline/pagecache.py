"""What of the segments is in memory: pages that were touched, and holes that were punched."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from ptcalc.engine.covers import EXACT
from ptcalc.timeline.ground import Ground
from ptcalc.timeline.life import Life
from ptcalc.timeline.runs import Run
from ptcalc.timeline.tables import Reach, count
from ptcalc.workload.intervals import Intervals

_WIDE = 1 << 62


@dataclass
class PageCache:
    """The memory of all segments, by their numbers; positions as mapped.

    ``absent``: pages that were punched out or cut off; ``touched``: what processes have touched of segments that hold
    what is touched, with the number of those who have.
    """

    ground: Ground
    absent: dict[int, Intervals[bool]] = field(default_factory=dict)
    touched: dict[int, dict[Run, int]] = field(default_factory=dict)

    def bring(self, life: Life, times: int, before: Life | None = None) -> None:
        """Remember what processes touch that were in the state ``before``, and fill holes that were punched."""
        watched = self._watched | set(self.absent)
        if not watched:
            return
        known = {run.domain for _, _, runs in before.used for run in runs} if before is not None else set()
        unchanged = before is not None and before.used == life.used
        for lo, hi, vma in life.vmas:
            row = self.ground.rows[vma.row]
            if row.segment not in watched or not row.shared:
                continue
            shift = self.ground.position(row, lo) - lo
            for a, b, runs in life.used.within(lo, hi):
                for run in runs:
                    part = None if unchanged and run.domain in known else run.cut(a, b)
                    if part is None:
                        continue
                    if part.kind == EXACT and row.segment in self.absent:
                        end = self.ground.ends.get(row.segment, _WIDE)
                        low, high = part.lo + shift, min(part.hi + shift, end)
                        self.absent[row.segment] = self.absent[row.segment].set(low, high, None)
                    if row.segment in self._watched:
                        touched = self.touched.setdefault(row.segment, {})
                        at = part.moved(shift)
                        touched[at] = touched.get(at, 0) + (0 if run.domain in known and at in touched else times)

    def remove(self, segment: int, lo: int, hi: int) -> None:
        """Let pages of a segment leave (positions as mapped)."""
        self.absent[segment] = self.absent.get(segment, Intervals()).set(lo, hi, True)
        left: dict[Run, int] = {}
        for run, many in self.touched.get(segment, {}).items():
            for part in (run.cut(-_WIDE, lo), run.cut(hi, _WIDE)):
                if part is not None:
                    left[part] = left.get(part, 0) + many
        self.touched[segment] = left

    def absent_bytes(self, segment: int) -> int:
        """Return the bytes of a segment that were punched out or cut off, and not touched again."""
        return sum(hi - lo for lo, hi, _ in self.absent.get(segment, ()))

    def touched_bytes(self, segment: int, leaf: int) -> int:
        """Return what any process has touched of a segment and is still in memory, in whole pages of that size."""
        reaches = {Reach(run, -_WIDE, _WIDE, 0, 0): many for run, many in self.touched.get(segment, {}).items()}
        return round(count(reaches, leaf, shared=True).value) * leaf if reaches else 0

    @cached_property
    def _watched(self) -> set[int]:
        """Segments of which what is touched is in memory."""
        found = set()
        for number, (name, segment) in enumerate(self.ground.context.workload.segments.items()):
            backing = self.ground.plan.segments[name].backing
            word = segment.resident or ("touched" if backing in ("file", "private") else "all")
            if word == "touched" and backing not in ("file", "private"):
                found.add(number)
        return found
