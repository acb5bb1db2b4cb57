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
    wholes = bounds_of(ground, life)
    for lo, hi, vma in life.vmas:
        row = ground.rows[vma.row]
        if row.backing not in _FILES or (row.start + vma.moved - row.file_offset) % size:
            continue
        first, last = -(-wholes[lo][0] // size), wholes[lo][1] // size
        for start, end, runs in life.used.within(lo, hi):
            if all(run.kind != RANDOM for run in runs):
                low, high = max((start + vma.moved) // size, first), min(-(-(end + vma.moved) // size), last)
                for a, b in _bare(ground, life, low, high):
                    out = out.set(max(a * size - vma.moved, lo), min(b * size - vma.moved, hi), True)
        shift = row.start - row.file_offset
        for a, b, word in ground.huge.get(row.file, Intervals()):
            if word == "never":
                out = out.set(max(a + shift, lo), min(b + shift, hi), False)
    return out


def bounds_of(ground: Ground, life: Life) -> dict[int, tuple[int, int]]:
    """Return the bounds (addresses of now) of the VMA that each part is in; what continues in a file is one VMA."""
    joined: list[tuple[int, int, tuple[object, ...], list[int]]] = []
    for a, b, vma in sorted(life.vmas, key=lambda part: part[0] + part[2].moved):
        row, lo, hi = ground.rows[vma.row], a + vma.moved, b + vma.moved
        alike = (
            row.file,
            row.start - row.file_offset + vma.moved,
            row.shared,
            vma._replace(row=0, moved=0, copied=True),
        )
        if joined and joined[-1][1:3] == (lo, alike):
            joined[-1] = (joined[-1][0], hi, alike, [*joined[-1][3], a])
        else:
            joined.append((lo, hi, alike, [a]))
    return {a: (lo, hi) for lo, hi, _, parts in joined for a in parts}


def _bare(ground: Ground, life: Life, lo: int, hi: int) -> list[tuple[int, int]]:
    """Return the chunks lo <= index < hi that have a PMD table above them, and no PTE table."""
    ratio = ground.span(1) // ground.context.geometry.thp_size
    without: Intervals[bool] = Intervals()
    for first, last, _ in mode(life.hooks[1]).within(lo // ratio, -(-hi // ratio)):
        without = without.set(max(lo, first * ratio), min(hi, last * ratio), True)
    for first, last, _ in mode(life.hooks[0]).within(lo, hi):
        without = without.set(first, last, None)
    return [(first, last) for first, last, _ in without]
