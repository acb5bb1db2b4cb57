"""What a process maps by transparent huge pages of shmem and files: where it has no PTE table and needs none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ptcalc.engine.covers import RANDOM
from ptcalc.layout.rows import BACKINGS
from ptcalc.timeline.ground import Ground, Row
from ptcalc.timeline.life import Life, Vma, mode
from ptcalc.timeline.runs import Run, cells_of
from ptcalc.timeline.vmas import bounds_of
from ptcalc.workload.intervals import Intervals

_FILES = (BACKINGS.index("shmem"), BACKINGS.index("file"))
WIDE = 1 << 62


def may_have_leaves(ground: Ground, row: Row) -> bool:
    """Tell whether the page cache may have huge pages of what a row maps: by the switches, or because of collapse."""
    huge = row.thp or row.file in ground.huge
    return bool(huge and row.backing in _FILES and ground.context.geometry.has_file_thp)


def leaves_of(ground: Ground, life: Life) -> Intervals[bool]:
    """Return the axis of a process (as mapped) cut into what is mapped by PMD leaves (True) and the rest.

    A leaf stays whatever becomes of the advice or the registration, as long as no VMA ends in it.
    """
    geometry = ground.context.geometry
    out = Intervals.of(0, WIDE, False)
    if not any(may_have_leaves(ground, ground.rows[vma.row]) for _, _, vma in life.vmas):
        return out
    size = geometry.thp_size
    wholes = bounds_of(ground, life.vmas)
    leaves: dict[tuple[int, int], Intervals[bool]] = {}  # by VMA
    for lo, hi, vma in life.vmas:
        row, whole = ground.rows[vma.row], wholes[lo]
        if not may_have_leaves(ground, row) or (row.start + vma.moved - row.file_offset) % size:
            continue
        first, last = -(-whole[0] // size), whole[1] // size
        for start, end, runs in mapped(life, lo, hi):
            if any(run.kind == RANDOM for run in runs):
                continue
            for run in runs:
                cut = run.cut(start, end)
                for low, high in () if cut is None else cells_of(cut.moved(vma.moved), size):
                    for a, b in _bare(ground, life, max(low, first), min(high, last)):
                        leaves[whole] = leaves.get(whole, Intervals()).set(a * size, b * size, True)
        if whole in leaves:
            leaves[whole] = _less_small(ground, row, vma, leaves[whole], whole)
    for lo, hi, vma in life.vmas:
        for a, b, _ in leaves.get(wholes[lo], Intervals()).within(lo + vma.moved, hi + vma.moved):
            out = out.set(a - vma.moved, b - vma.moved, True)
    return out


def _less_small(ground: Ground, row: Row, vma: Vma, leaves: Intervals[bool], whole: tuple[int, int]) -> Intervals[bool]:
    """Return leaves (addresses) less those of what the page cache has small pages of."""
    by = row.start - row.file_offset + vma.moved
    known = ground.huge.get(row.file, Intervals())
    huge = Intervals.of(*whole, True) if row.thp else Intervals()
    for lo, hi, word in known.within(whole[0] - by, whole[1] - by):
        huge = huge.set(lo + by, hi + by, word == "always" or None)
    for lo, hi, _ in leaves:
        leaves = leaves.less(Intervals.of(lo, hi, True).less(huge.within(lo, hi)))
    return leaves


def mapped(life: Life, lo: int, hi: int) -> Iterator[tuple[int, int, tuple[Run, ...]]]:
    """Yield what is in use from lo to hi (as mapped) and has not lost its entries."""
    for start, end, runs in life.used.within(lo, hi):
        yield from Intervals.of(start, end, runs).less(life.unmapped.within(start, end))


def _bare(ground: Ground, life: Life, lo: int, hi: int) -> list[tuple[int, int]]:
    """Return the chunks lo <= index < hi that have a PMD table above them, and no PTE table."""
    ratio = ground.span(1) // ground.context.geometry.thp_size
    without: Intervals[bool] = Intervals()
    for first, last, _ in mode(life.hooks[1]).within(lo // ratio, -(-hi // ratio)):
        without = without.set(max(lo, first * ratio), min(hi, last * ratio), True)
    return [(first, last) for first, last, _ in without.less(mode(life.hooks[0]).within(lo, hi))]


def without_leaves(ground: Ground, life: Life, windows: list[tuple[int, int]]) -> Life:
    """Return a process less the leaves that hold a part of some windows (as mapped).

    mm/huge_memory.c:__split_huge_pmd_locked: a file's entry goes as a whole, and touches bring back what they need.
    """
    size = ground.context.geometry.thp_size
    leaves, unmapped = leaves_of(ground, life), life.unmapped
    for lo, hi in windows:
        for a, b, vma in life.vmas.within(lo, hi):
            low, high = (a + vma.moved) // size * size - vma.moved, -(-(b + vma.moved) // size) * size - vma.moved
            for start, end, leaf in leaves.within(low, high):
                unmapped = lost(life, unmapped, start, end) if leaf else unmapped
    return life if unmapped == life.unmapped else replace(life, unmapped=unmapped, figures={})


def with_leaves(ground: Ground, life: Life) -> Life:
    """Return a process whose leaves map all that it uses in them."""
    unmapped = life.unmapped
    for lo, hi, leaf in leaves_of(ground, life):
        unmapped = unmapped.set(lo, hi, None) if leaf else unmapped
    return life if unmapped == life.unmapped else replace(life, unmapped=unmapped, figures={})


def split(ground: Ground, before: Life, after: Life) -> Life:
    """Return a process after a change of its VMAs or tables, less the entries of the leaves that it had and has not."""
    leaves, unmapped = leaves_of(ground, before), after.unmapped
    still = leaves_of(ground, after)
    for lo, hi, leaf in leaves:
        for a, b, stays in still.within(lo, hi) if leaf else ():
            unmapped = unmapped if stays else lost(after, unmapped, a, b)
    return after if unmapped == after.unmapped else replace(after, unmapped=unmapped, figures={})


def lost(life: Life, unmapped: Intervals[bool], lo: int, hi: int) -> Intervals[bool]:
    """Return what of a process has no entry, with what it uses from lo to hi (as mapped)."""
    for a, b, _ in life.used.within(lo, hi):
        unmapped = unmapped.set(a, b, True)
    return unmapped
