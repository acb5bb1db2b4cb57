"""What of the segments is in memory: pages that were touched, and holes that were punched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ptcalc.engine.covers import EXACT, RANDOM
from ptcalc.layout.rows import MADVISE, THP
from ptcalc.timeline.ground import Ground, Piece
from ptcalc.timeline.leaves import may_have_leaves
from ptcalc.timeline.life import Life
from ptcalc.timeline.runs import Run, cells_of
from ptcalc.timeline.tables import Reach, count
from ptcalc.workload.intervals import Intervals

_WIDE = 1 << 62
_ASKS, _REFUSES = MADVISE.index("hugepage"), MADVISE.index("nohugepage")
_ADVISE, _WITHIN = THP.index("advise"), THP.index("within_size")


@dataclass
class PageCache:
    """The memory of all segments, by their numbers; positions as mapped.

    ``absent``: pages that were punched out or cut off; ``touched``: what processes have touched of segments that hold
    what is touched, with the number of those who have; ``drawn``: files of which pages are drawn.
    """

    ground: Ground
    absent: dict[int, Intervals[bool]] = field(default_factory=dict)
    touched: dict[int, dict[Run, int]] = field(default_factory=dict)
    drawn: set[int] = field(default_factory=set)

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

    def decide(self, pieces: Sequence[Piece]) -> None:
        """Settle which 2 MiB of files are huge pages that some touches together bring into memory.

        One that asks for them is enough; they stay what they are until they leave.  Files with draws are left to the
        engine's expectations.
        """
        ground, size = self.ground, self.ground.context.geometry.thp_size
        touched: list[tuple[int, int, int, bool]] = []
        for piece in pieces:
            row = ground.rows[piece.vma.row]
            if not row.thp or not may_have_leaves(ground, row):
                continue
            for run in piece.runs:
                cut = run.cut(piece.lo, piece.hi)
                if cut is not None and cut.kind == RANDOM:
                    self.drawn.add(row.file)
                elif cut is not None:
                    last = int(ground.layout.file_size[row.file]) // size  # chunks that the file has as a whole
                    for lo, hi in cells_of(cut.moved(row.file_offset - row.start), size):
                        most = last if row.thp == _WITHIN and piece.vma.madvise != _ASKS else hi
                        makes = piece.vma.madvise != _REFUSES and (row.thp != _ADVISE or piece.vma.madvise == _ASKS)
                        touched.append((row.file, lo, max(min(hi, most), lo) if makes else lo, True))
                        touched.append((row.file, lo, hi, False))
        for file, lo, hi, huge in sorted(touched, key=lambda each: not each[3]):
            if file not in self.drawn:
                known = ground.huge.get(file, Intervals())
                new = known.changed(lo * size, hi * size, lambda word: word, fill="always" if huge else "never")
                if new != known:
                    ground.huge[file] = new
                    ground.epoch += 1

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
