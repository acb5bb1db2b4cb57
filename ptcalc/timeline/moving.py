"""mremap: tables that fit move, what does not fit gets others."""

from __future__ import annotations

from dataclasses import replace

from ptcalc.engine.covers import BLOCKS, EXACT, RANDOM
from ptcalc.policies.mshare import Mshare
from ptcalc.timeline.ground import HUGETLB, Piece
from ptcalc.timeline.hooks import merged
from ptcalc.timeline.hugetlb import put_anew
from ptcalc.timeline.leaves import leaves_of, mapped, split
from ptcalc.timeline.life import Hook, Life, Vma
from ptcalc.timeline.regions import (
    leave_region,
    members,
)
from ptcalc.timeline.remapping import chosen, joined, refuse_window, refused
from ptcalc.timeline.runs import MOST_STEPS, Run, covers_of
from ptcalc.timeline.unhooking import freed, owned, unhooked
from ptcalc.timeline.world import Cohorts, World
from ptcalc.workload import events as kinds
from ptcalc.workload.events import Event
from ptcalc.workload.intervals import Intervals

WIDE = 1 << 62


def move(world: World, event: Event, number: int) -> None:
    """mm/mremap.c:move_page_tables: entries or whole tables move; what is shared is looked up anew."""
    action = event.action
    assert isinstance(action, kinds.Mremap)
    cohorts, lo, hi = chosen(world, action.who, action.part, number)
    refuse_window(world, event, cohorts, "mremap", action.part, window=action.window)
    page = max(world.ground.rows[vma.row].page for _, _, vma in cohorts[0].state.vmas.within(lo, hi))
    address = action.address - action.address % page
    if address != action.address:
        world.note(f"moved to {address:#x}, a multiple of its huge page")
    done: Cohorts = []
    for cohort in cohorts:
        life = cohort.state
        if members(world, life, lo, hi) and isinstance(world.ground.policy, Mshare):
            life = leave_region(world, life, lo, hi, cohort.count)
            world.note("a region cannot move: the process leaves it and maps the segment by itself")
        by = address - lo
        for start, end, vma in life.vmas:
            outside = [(start, min(end, lo)), (max(start, hi), end)]
            for first, last in outside:
                if first < last and first + vma.moved < address + hi - lo and last + vma.moved > address:
                    raise refused(world, event, f"{address:#x} overlaps a mapping of the process", "a free address")
        world.walked(*world.visited(life, cohort.count, lo, hi))
        world.become(cohort, life)
        vmas = put_anew(world, life.vmas, lo, hi, lambda vma, by=by: vma._replace(moved=by))  # type: ignore[misc]
        for part in world.one_by_one([cohort], lo, hi):
            world.become(part, _moved(world, part.state, vmas, lo, hi, by))
            world.let([part], lambda life, count, lo=lo, hi=hi: _carried(world, life, count, lo, hi))  # type: ignore[misc]
            done.append(part)
    if event.refault:
        world.let(done, world.again)


def _moved(world: World, life: Life, vmas: Intervals[Vma], lo: int, hi: int, by: int) -> Life:
    ground = world.ground
    old = [
        (a + vma.moved, b + vma.moved, a + by, ground.rows[vma.row].backing == HUGETLB)
        for a, b, vma in life.vmas.within(lo, hi)
    ]
    mine = list(life.hooks)
    for place, span in enumerate(map(ground.span, range(len(mine)))):
        for start, end, _, _ in old:
            mine[place] = owned(ground, world.tables, mine[place], start // span, -(-end // span))
    life = replace(life, hooks=tuple(mine), figures={})
    new: list[list[Hook]] = [[] for _ in life.hooks]
    for start, end, target, hugetlb in old:
        if not hugetlb:
            _move_own(world, life, new, start, end, target - start)
    if ground.context.geometry.has_file_thp:
        _move_leaves(world, life, new, lo, hi, by)
    windows = joined([(start, end) for start, end, _, _ in old])
    after = unhooked(ground, life, vmas, world.tables, windows)
    hooks = freed(ground, after.hooks, vmas, windows)
    after = replace(after, hooks=tuple(merged(mine, more) for mine, more in zip(hooks, new, strict=True)), figures={})
    return split(ground, life, after)


def _carried(world: World, life: Life, count: int, lo: int, hi: int) -> Life:
    """Let entries of hugetlb move to tables that are found at the new place (move_hugetlb_page_tables)."""
    pieces = [
        Piece(a, b, vma, runs, written=False)
        for start, end, vma in life.vmas.within(lo, hi)
        if world.ground.rows[vma.row].backing == HUGETLB
        for a, b, runs in mapped(life, start, end)
    ]
    return world.reach(life, pieces, count)


def _move_own(world: World, life: Life, new: list[list[Hook]], start: int, end: int, shift: int) -> None:
    """Add what the tables of [start, end) are at the new place: new ones where old ones are, whatever is in them."""
    ground = world.ground
    # Where there is an old PMD table, the new place gets a PUD table; where an old PTE table, one at every level.
    for place, lowest in ((1, 2), (0, 0)):
        if lowest >= len(new):
            continue
        span = ground.span(place)
        for hook in life.hooks[place]:
            if hook.scope is not None or hook.role == BLOCKS or not (hook.lo * span < end and hook.hi * span > start):
                continue
            for run, lo, hi in _pieces_of(hook, span, start, end):
                for above in range(lowest, len(new)):
                    size = ground.span(above)
                    window = (lo + shift) // size, -(-(hi + shift) // size)
                    new[above].append(Hook(run.moved(shift), *window, None, 0))


def _move_leaves(world: World, life: Life, new: list[list[Hook]], lo: int, hi: int, by: int) -> None:
    """Add the PMD tables that leaves get at the new place: one for the first byte that moves of each.

    It is made before a leaf that does not fit there is split (mm/mremap.c:move_page_tables, alloc_new_pmd).
    """
    ground, size = world.ground, world.ground.context.geometry.thp_size
    leaves = leaves_of(ground, life)
    for a, b, vma in life.vmas.within(lo, hi):
        for start, end, bare in leaves.within(a, b):
            # What moves of a leaf may be another part of it than what was touched.
            low, high = (start + vma.moved) // size * size, -(-(end + vma.moved) // size) * size
            for left, right, runs in life.used.within(low - vma.moved, high - vma.moved) if bare else ():
                for run in runs:
                    hook = Hook(run.moved(vma.moved), 0, WIDE, None, 0)
                    for _, first, last in _pieces_of(hook, size, left + vma.moved, right + vma.moved):
                        bounds = first // size * size, (last - 1) // size * size
                        low, high = (max(each, a + vma.moved) + by - vma.moved for each in bounds)
                        whole = Run(EXACT, low, high + 1, 0, 0, 0, 0, run.each, run.domain)
                        for place in range(1, len(new)):
                            span = ground.span(place)
                            new[place].append(Hook(whole, low // span, high // span + 1, None, 0))


def _pieces_of(hook: Hook, span: int, start: int, end: int) -> list[tuple[Run, int, int]]:
    """Return the tables of a hook as far as they lie in [start, end): exact ones as the whole that they span."""
    out = []
    if hook.run.kind == RANDOM:
        low, high = max(hook.lo * span, start), min(hook.hi * span, end)
        return [(hook.run, low, high)]
    for cover in covers_of(hook.run, span):
        lo, hi = max(cover.lo, hook.lo), min(cover.hi, hook.hi)
        parts = [(lo, hi)]
        if cover.stride:
            first = -(-(lo * span - cover.anchor) // cover.stride)
            last = -(-(hi * span - cover.anchor) // cover.stride)
            if last - first > MOST_STEPS:
                out.append((hook.run, max(lo * span, start), min(hi * span, end)))
                continue
            parts = [((at := (cover.anchor + step * cover.stride) // span), at + 1) for step in range(first, last)]
        for a, b in parts:
            low, high = max(a * span, start), min(b * span, end)
            if low < high:
                out.append((Run(EXACT, low, high, 0, 0, 0, 0, hook.run.each, hook.run.domain), low, high))
    return out
