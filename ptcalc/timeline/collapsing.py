"""Collapse (MADV_COLLAPSE): what is in memory by small pages becomes huge pages, and PTE tables go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ptcalc.engine.covers import EXACT
from ptcalc.layout.rows import MADVISE, UFFD
from ptcalc.timeline.ground import HUGETLB, PRIVATE, Ground, Piece
from ptcalc.timeline.leaves import leaves_of, lost
from ptcalc.timeline.life import Life, Vma, mode, without
from ptcalc.timeline.runs import Run
from ptcalc.timeline.vmas import bounds_of
from ptcalc.timeline.world import World
from ptcalc.workload.intervals import Intervals
from ptcalc.workload.population import Cohort


def collapse(world: World, cohorts: list[Cohort[Life]], lo: int, hi: int, *, refault: bool) -> None:
    """mm/khugepaged.c:collapse_file and retract_page_tables: the PTE tables of all who map the chunks go."""
    ground, geometry = world.ground, world.ground.context.geometry
    if not geometry.has_file_thp or geometry.thp_keeps_tables:
        world.note(f"{geometry.name} has no huge pages that save tables")
        return
    if not any(_chunks(ground, cohort.state, lo, hi) for cohort in cohorts):
        world.note("no chunk of a huge page lies in the part: nothing is collapsed")
    losers: set[int] = set()
    for cohort in cohorts:
        chunks = _chunks(ground, cohort.state, lo, hi)
        fresh = {file: parts.less(_huge_already(ground, file, parts)) for file, parts in chunks.items()}
        if any(fresh.values()):
            losers |= _make(world, fresh)
        world.become(cohort, _mapped_whole(world, cohort, chunks))
        _forget_tables(world, chunks)
    for cohort in world.population if refault else ():
        if cohort in cohorts or id(cohort) in losers:
            world.become(cohort, world.again(cohort.state, cohort.count))


def _make(world: World, chunks: dict[int, Intervals[bool]]) -> set[int]:
    """Make huge pages; return the cohorts (by identity) that lose tables for it."""
    losers = set()
    for file, parts in chunks.items():
        for first, last, _ in parts:
            world.ground.huge[file] = world.ground.huge.get(file, Intervals()).set(first, last, "always")
    world.ground.epoch += 1
    for cohort in world.population:
        after = _retracted(world.ground, cohort.state, chunks)
        losers |= {id(cohort)} if after is not cohort.state else set()
        world.become(cohort, after)
    return losers


def _forget_tables(world: World, chunks: dict[int, Intervals[bool]]) -> None:
    """Free the unused PTE tables of shared sets where there are huge pages."""
    size = world.ground.context.geometry.thp_size
    for key in world.tables.sets:
        if key.place == 0 and key.file in chunks:
            for low, high, _ in chunks[key.file]:
                world.forget_left(key, low // size, high // size)


def _chunks(ground: Ground, life: Life, lo: int, hi: int) -> dict[int, Intervals[bool]]:
    """Return the whole huge pages of each file (offsets) that a process maps congruently from lo to hi."""
    size = ground.context.geometry.thp_size
    chunks: dict[int, Intervals[bool]] = {}
    for a, b, vma in life.vmas.within(lo, hi):
        row = ground.rows[vma.row]
        shift = row.start - row.file_offset
        refused = row.backing in (HUGETLB, PRIVATE) or vma.madvise == MADVISE.index("nohugepage")
        if refused or (shift + vma.moved) % size:
            continue
        first = -(-(a - shift) // size) * size
        last = (min(b, ground.end_of(row)) - shift) // size * size
        if first < last:
            chunks[row.file] = chunks.get(row.file, Intervals()).set(first, last, True)
    return chunks


def _huge_already(ground: Ground, file: int, parts: Intervals[bool]) -> Intervals[bool]:
    found: Intervals[bool] = Intervals()
    for lo, hi, word in ground.huge.get(file, Intervals()):
        for first, last, _ in parts.within(lo, hi) if word == "always" else ():
            found = found.set(first, last, True)
    return found


def _mapped_whole(world: World, cohort: Cohort[Life], huge: dict[int, Intervals[bool]]) -> Life:
    """Return a process that has collapsed: it maps the huge pages by leaves (collapse_pte_mapped_thp, set_huge_pmd)."""
    before = _retracted(world.ground, cohort.state, huge)
    leaves, pieces = leaves_of(world.ground, before), []
    for a, b, vma in before.vmas:
        for low, high in _whole_chunks(world.ground, before, a, b, vma, huge):
            for lo, hi, leaf in leaves.within(low, high):
                run = Run(EXACT, lo, hi, 0, 0, 0, 0, True, world.written.next_domain())
                pieces += [] if leaf else [Piece(lo, hi, vma, (run,), written=False)]
    return world.reach(before, pieces, cohort.count) if pieces else before


def _whole_chunks(
    ground: Ground, life: Life, a: int, b: int, vma: Vma, chunks: dict[int, Intervals[bool]]
) -> Iterator[tuple[int, int]]:
    """Yield what a part of a VMA (as mapped) has of chunks that its VMA maps by huge pages, as far as VMAs decide."""
    row, size = ground.rows[vma.row], ground.context.geometry.thp_size
    shift = row.start - row.file_offset
    if row.file not in chunks or vma.copied or vma.uffd == UFFD.index("wp") or (shift + vma.moved) % size:
        return
    lo, hi = (edge - vma.moved - shift for edge in bounds_of(ground, life.vmas)[a])
    for low, high, _ in chunks[row.file].within(-(-lo // size) * size, hi // size * size):
        if max(low + shift, a) < min(high + shift, b):
            yield max(low + shift, a), min(high + shift, b)


def _retracted(ground: Ground, life: Life, chunks: dict[int, Intervals[bool]]) -> Life:
    """Return a process without the PTE tables of chunks that are huge pages now."""
    size = ground.context.geometry.thp_size
    hooks, unmapped = life.hooks[0], life.unmapped
    for a, b, vma in life.vmas:
        for low, high in _whole_chunks(ground, life, a, b, vma, chunks):
            for start, end, _ in mode(hooks).within((low + vma.moved) // size, -(-(high + vma.moved) // size)):
                hooks = without(hooks, start, end)
                unmapped = lost(life, unmapped, max(start * size - vma.moved, a), min(end * size - vma.moved, b))
    if hooks == life.hooks[0]:
        return life
    return replace(life, hooks=(hooks, *life.hooks[1:]), unmapped=unmapped, figures={})
