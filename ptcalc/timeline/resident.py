"""RSS where pages count that appear in a process through the shared tables that it has hooked (kernel-facts 6.2-k)."""

from __future__ import annotations

from itertools import pairwise

from ptcalc.engine.covers import BLOCKS, EXACT
from ptcalc.policies.file_shared import FileShared
from ptcalc.timeline.figures import figures_of
from ptcalc.timeline.ground import HUGETLB
from ptcalc.timeline.life import Hook, Key, Life, Scope
from ptcalc.timeline.tables import Reach, count
from ptcalc.timeline.world import World
from ptcalc.workload.intervals import Intervals


def rss_of(world: World, life: Life) -> int:
    """Return the resident set of a process in bytes: what it has touched, and by choice what others have.

    A hooked table shows all that those who share it have put into it, a hooked PMD table all PTE tables below it.
    Where draws decide whether a table is hooked, what others have in it counts with that probability.
    """
    ground = world.ground
    touched = figures_of(ground, life).rss_bytes
    if not isinstance(ground.policy, FileShared) or ground.policy.choice("rss", ground.context) == "touched":
        return touched
    page = ground.context.geometry.base_page
    more = 0.0
    shown: Intervals[bool] = Intervals()
    below = [
        (scope, hook.lo, hook.hi)
        for scope, hooks in _by_scope(world, life, 0).items()
        for hook in hooks
        if hook.run.kind == EXACT
    ]
    for place in range(len(life.hooks) - 1, -1, -1):
        span = ground.span(place)
        for scope, hooks in _by_scope(world, life, place).items():
            for lo, hi in pairwise(sorted({end for hook in hooks for end in (hook.lo, hook.hi)})):
                part = {_reach(hook, lo, hi): 1 for hook in hooks if hook.lo < hi and hook.hi > lo}
                hooked = count(part, span, shared=False).value / (hi - lo)
                for start, end, _ in Intervals.of(lo * span, hi * span, True).less(shown.within(lo * span, hi * span)):
                    tables = [(scope, start, end)]
                    if place:  # the PTE tables that it has itself say more of what is in them
                        pte = ground.span(0)
                        tables += [(each, max(a * pte, start), min(b * pte, end)) for each, a, b in below]
                    there = _pages_there(world, tables)
                    more += hooked * max(there - _own_pages(world, life, start, end), 0.0)
            for hook in hooks:
                shown = shown.set(hook.lo * span, hook.hi * span, True)
    return touched + round(more) * page


def _by_scope(world: World, life: Life, place: int) -> dict[Scope, list[Hook]]:
    found: dict[Scope, list[Hook]] = {}
    for hook in life.hooks[place]:
        if hook.scope is not None and hook.role != BLOCKS and world.ground.file_backing(hook.scope.key.file) != HUGETLB:
            found.setdefault(hook.scope, []).append(hook)
    return found


def _reach(hook: Hook, lo: int, hi: int) -> Reach:
    return Reach(hook.run, max(hook.lo, lo), min(hook.hi, hi), 0, hook.role)


def _own_pages(world: World, life: Life, lo: int, hi: int) -> float:
    """Return the pages that a process uses from lo to hi (addresses)."""
    page = world.ground.context.geometry.base_page
    found: dict[Reach, int] = {}
    for start, end, vma in life.vmas:
        for a, b, runs in life.used.within(max(start, lo - vma.moved), min(end, hi - vma.moved)):
            for run in runs:
                found[Reach(run, a // page, -(-b // page), 0, 0)] = 1
    return count(found, page, shared=False).value


def _pages_there(world: World, tables: list[tuple[Scope, int, int]]) -> float:
    """Return the pages that tables of some sets hold together, each from lo to hi (addresses of who hooks them)."""
    ground = world.ground
    page = ground.context.geometry.base_page
    found: dict[Reach, int] = {}
    for scope, lo, hi in tables:
        key, span = scope.key, ground.span(scope.key.place)
        for reaches in (world.tables.hooked.get(key, {}), world.tables.idle.get(key, {})):
            for reach, times in reaches.items():
                if reach.role == BLOCKS:
                    continue
                by = scope.shift * span  # address less place on the axis of the set
                run = reach.run.moved(by - reach.shift * span)
                first, last = max(lo, reach.lo * span + by, run.lo), min(hi, reach.hi * span + by, run.hi)
                for start, end in _left(world, key, first - by, last - by):
                    at = Reach(run, (start + by) // page, -(-(end + by) // page), 0, 0)
                    found[at] = max(found.get(at, 0), times)
    return count(found, page, shared=True).value


def _left(world: World, key: Key, lo: int, hi: int) -> list[tuple[int, int]]:
    """Return what no hole has taken of a part of the axis of a set."""
    if lo >= hi:
        return []
    ground = world.ground
    row = next(row for row in ground.rows if row.file == key.file)
    there = Intervals.of(lo, hi, True)
    by = int(ground.layout.file_position[key.file]) - key.name[-1]  # position in the segment less place on the axis
    for start, end, _ in world.pagecache.absent.get(row.segment, Intervals()).within(lo + by, hi + by):
        there = there.set(start - by, end - by, None)
    return [(start, end) for start, end, _ in there]
