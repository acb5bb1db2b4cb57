"""What a process maps by transparent huge pages of shmem and files: where it has no PTE table and needs none."""

from __future__ import annotations

from ptcalc.engine.covers import RANDOM
from ptcalc.layout.rows import BACKINGS
from ptcalc.timeline.ground import Ground
from ptcalc.timeline.life import Life, mode
from ptcalc.workload.intervals import Intervals

_FILES = (BACKINGS.index("shmem"), BACKINGS.index("file"))


def leaves_of(ground: Ground, life: Life) -> Intervals[bool]:
    """Return the axis of a process (as mapped) cut into what is mapped by PMD leaves (True) and the rest.

    A leaf stays whatever becomes of the advice or the registration, as long as no VMA ends in it.
    """
    geometry = ground.context.geometry
    out = Intervals.of(0, 1 << 62, False)
    if not geometry.has_file_thp or not any(ground.rows[vma.row].thp for _, _, vma in life.vmas):
        return out
    size = geometry.thp_size
    for lo, hi, vma in life.vmas:
        row = ground.rows[vma.row]
        if row.backing not in _FILES or (row.start + vma.moved - row.file_offset) % size:
            continue
        first, last = -(-(lo + vma.moved) // size), (hi + vma.moved) // size
        for start, end, runs in life.used.within(lo, hi):
            if all(run.kind != RANDOM for run in runs):
                low, high = max((start + vma.moved) // size, first), min(-(-(end + vma.moved) // size), last)
                for a, b in _bare(ground, life, low, high):
                    out = out.set(a * size - vma.moved, b * size - vma.moved, True)
        shift = row.start - row.file_offset
        for a, b, word in ground.huge.get(row.file, Intervals()):
            if word == "never":
                out = out.set(max(a + shift, lo), min(b + shift, hi), False)
    return out


def _bare(ground: Ground, life: Life, lo: int, hi: int) -> list[tuple[int, int]]:
    """Return the chunks lo <= index < hi that have a PMD table above them, and no PTE table."""
    ratio = ground.span(1) // ground.context.geometry.thp_size
    without: Intervals[bool] = Intervals()
    for first, last, _ in mode(life.hooks[1]).within(lo // ratio, -(-hi // ratio)):
        without = without.set(max(lo, first * ratio), min(hi, last * ratio), True)
    for first, last, _ in mode(life.hooks[0]).within(lo, hi):
        without = without.set(first, last, None)
    return [(first, last) for first, last, _ in without]
