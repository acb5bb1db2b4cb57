"""Pages that leave: madvise, holes and truncation of segments, memory pressure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ptcalc.engine.covers import BLOCKS
from ptcalc.layout.rows import BACKINGS
from ptcalc.policies.map_shared_pt import MapSharedPt
from ptcalc.policies.mshare import Mshare
from ptcalc.timeline import hugetlb
from ptcalc.timeline.anonymous import advised
from ptcalc.timeline.ground import HUGETLB, Ground
from ptcalc.timeline.leaves import without_leaves
from ptcalc.timeline.life import Hook, Life, Scope, without
from ptcalc.timeline.regions import forget_in_region, members
from ptcalc.timeline.runs import NOBODY, Run, cells_of
from ptcalc.timeline.unhooking import Windows, owned, unhooked
from ptcalc.timeline.world import World
from ptcalc.workload.intervals import Intervals
from ptcalc.workload.population import Cohort

PRIVATE = BACKINGS.index("private")
WHOLE = 1 << 62


def reclaims_tables(world: World) -> bool:
    """Tell whether MADV_DONTNEED frees PTE tables: CONFIG_PT_RECLAIM, x86_64 from 6.14, more architectures from 7.0."""
    choice = world.ground.context.parameters.get("today.pt_reclaim", "by_kernel")
    if choice != "by_kernel":
        return choice == "yes"
    geometry, version = world.ground.context.geometry, world.ground.context.workload.kernel.version
    if geometry.name.startswith("x86"):
        return version >= (6, 14)
    # Those with a table remover of their own are left out (commit 4817f70c25b6 and the series of 2025-11).
    return version >= (7, 0) and not geometry.name.startswith(("ppc", "powerpc", "s390"))


def dontneed(world: World, cohorts: list[Cohort[Life]], lo: int, hi: int) -> None:
    """mm/memory.c:zap_page_range_single: what is shared is unhooked, own PTE tables inside the range are freed."""
    ground, reclaims = world.ground, reclaims_tables(world)
    common = [cohort for cohort in cohorts if members(world, cohort.state, lo, hi)]
    if isinstance(ground.policy, Mshare) and common:
        forget_in_region(world, common[0].state, lo, hi, unmapped=False, reclaims=reclaims)
        world.note("the pages are those of all members of the region")
    for cohort in world.one_by_one(cohorts, lo, hi):
        life = cohort.state
        world.walked(*world.visited(life, cohort.count, lo, hi))
        mine = [
            (a, b, vma)
            for a, b, vma in life.vmas.within(lo, hi)
            if not (isinstance(ground.policy, Mshare) and world.joined(vma))
        ]
        shared: Windows = []
        hooks = list(life.hooks)
        used = life.used
        for a, b, vma in mine:
            used = used.set(a, b, None)
            row = ground.rows[vma.row]
            window = a + vma.moved, b + vma.moved
            if row.shared and not (isinstance(ground.policy, MapSharedPt) and row.backing != HUGETLB):
                shared.append(window)
            huge = row.backing == PRIVATE and advised(row.thp, vma)
            if (reclaims or huge) and row.backing != HUGETLB:
                span = ground.span(0)
                first, last = -(-window[0] // span), window[1] // span
                hooks[0] = _own_without(owned(ground, world.tables, hooks[0], first, last), first, last)
        after = without_leaves(ground, life, [(a, b) for a, b, _ in mine])
        after = replace(after, used=used, hooks=tuple(hooks), figures={})
        after = unhooked(ground, after, life.vmas, world.tables, shared)
        world.become(cohort, after)
    for cohort in cohorts if isinstance(ground.policy, MapSharedPt) else ():
        _forget_for_all(world, cohort.state, lo, hi)


def _own_without(hooks: tuple[Hook, ...], lo: int, hi: int) -> tuple[Hook, ...]:
    if lo >= hi:
        return hooks
    own = tuple(hook for hook in hooks if hook.scope is None)
    return (*without(own, lo, hi), *(hook for hook in hooks if hook.scope is not None))


def _forget_for_all(world: World, life: Life, lo: int, hi: int) -> None:
    """The entries of MAP_SHARED_PT tables that a process has hooked go for all who have; the tables stay."""
    span = world.ground.span(0)
    gone: dict[Scope, Intervals[bool]] = {}  # addresses, which are the same for all
    for scope, first, last in _shared_windows(world.ground, life):
        for a, b, vma in life.vmas.within(lo, hi):
            low, high = max(first, a + vma.moved), min(last, b + vma.moved)
            gone[scope] = gone.get(scope, Intervals()).set(low, high, True)
    for scope, windows in gone.items():
        for low, high, _ in windows:
            world.ground.entries.cut(scope.key, low - scope.shift * span, high - scope.shift * span)
            world.ground.epoch += 1

    def forget(other: Life) -> Life:
        used = other.used
        for scope, first, last in _shared_windows(world.ground, other):
            for low, high, _ in gone.get(scope, Intervals()).within(first, last):
                for a, b, vma in other.vmas:
                    used = used.set(max(a, low - vma.moved), min(b, high - vma.moved), None)
        return other if used == other.used else replace(other, used=used, figures={})

    world.each(list(world.population), forget)


def _shared_windows(ground: Ground, life: Life) -> Iterator[tuple[Scope, int, int]]:
    """Yield what the PTE tables of sets span that a process has hooked (addresses)."""
    span = ground.span(0)
    for hook in life.hooks[0]:
        if hook.scope is not None and hook.role != BLOCKS:
            for lo, hi in cells_of(hook.run, span):
                if max(lo, hook.lo) < min(hi, hook.hi):
                    yield hook.scope, max(lo, hook.lo) * span, min(hi, hook.hi) * span


def punch(world: World, segment: str, lo: int, hi: int) -> None:
    """shmem_fallocate, hugetlbfs_punch_hole: whole pages inside the range leave, from all who map them."""
    number = list(world.ground.context.workload.segments).index(segment)
    page = world.ground.plan.segments[segment].page
    size = int(world.ground.plan.segments[segment].size)
    first, last = -(-lo // page) * page, hi // page * page if hi < size else -(-hi // page) * page
    if first >= last:
        world.note(f"no whole page of {page} bytes lies inside the hole: nothing leaves")
        return
    world.walked(*world.visited_once(segment, first, last))
    hugetlb = world.ground.plan.segments[segment].backing == BACKINGS[HUGETLB]
    _forget(world, number, first, last, cows=hugetlb)
    world.pagecache.remove(number, first, last)
    _split_huge(world, number, first, last)


def truncate(world: World, segment: str, size: int) -> None:
    """mm/truncate.c: pages beyond the new end leave, tables stay."""
    number = list(world.ground.context.workload.segments).index(segment)
    plan = world.ground.plan.segments[segment]
    end = -(-size // plan.page) * plan.page
    world.walked(*world.visited_once(segment, end, int(plan.size)))
    was = world.ground.region_size(number)
    _forget(world, number, end, WHOLE, cows=True)
    world.pagecache.remove(number, end, was)
    _split_huge(world, number, end, was)
    world.ground.ends[number] = end
    world.ground.epoch += 1


def _forget(world: World, segment: int, lo: int, hi: int, *, cows: bool) -> None:
    """Let pages of a segment (offsets as written) leave all who use them; mm/hugetlb.c drops shared tables for it.

    ``cows``: private copies as well, as truncation and hugetlb do; a hole leaves them (unmap_mapping_range).
    """
    ground = world.ground

    def kept(runs: tuple[Run, ...]) -> tuple[Run, ...] | None:
        return tuple(run for run in runs if run.owner != NOBODY and not cows) or None

    def forget(life: Life) -> Life:
        used, holes = life.used, []
        for a, b, vma in life.vmas:
            row = ground.rows[vma.row]
            low, high = max(a, lo + row.delta), min(b, hi + row.delta)
            if row.segment == segment and low < high:
                used = used.changed(low, high, kept)
                holes.append((low, high))
        after = without_leaves(ground, life, holes)
        return after if used == after.used else replace(after, used=used, figures={})

    world.each(list(world.population), forget)
    world.clear(segment, lo, hi)
    hugetlb.dropped(world, segment, lo, hi)
    for file, start, end in ground.files_of(segment):
        if file in ground.held:
            page = ground.cells[file]
            ground.held[file] = ground.held[file].set(max(lo - start, 0) // page, (min(hi, end) - start) // page, None)
            ground.epoch += 1


def _split_huge(world: World, segment: int, lo: int, hi: int) -> None:
    """A huge page of which a part left is split; one that left as a whole may come back as the switches say."""
    ground, size = world.ground, world.ground.context.geometry.thp_size
    for file, start, end in ground.files_of(segment):
        low, high = max(lo, start) - start, min(hi, end) - start
        if low >= high or not ground.context.geometry.has_file_thp:
            continue
        known = ground.huge.get(file, Intervals())
        new = known.set(-(-low // size) * size, high // size * size, None)
        for edge in {low // size * size for _ in [0] if low % size} | {
            high // size * size for _ in [0] if high % size and high + start < end
        }:
            new = new.set(edge, edge + size, "never")
        if new != known:
            ground.huge[file] = new
            ground.epoch += 1


def shrink(world: World, amount: int | None) -> None:
    """Free cached tables that nobody uses: what hangs on others and the oldest sets first, until enough is freed."""
    left = amount
    for key in sorted(world.tables.sets, key=lambda each: each.place):
        if world.ground.unused(key) != "cached":
            continue
        found = world.tables.tables(key)
        tables = round(found.there.value - found.in_use.value)
        cost = world.ground.context.costs[key.place].allocation
        if tables <= 0:
            continue
        if left is None or tables * cost <= left:
            world.forget_left(key)
            left = None if left is None else left - tables * cost
            continue
        if left < cost:
            return
        world.forget_left(key, hi=_cut_for(world, key, left // cost))
        return


def _cut_for(world: World, key: object, tables: int) -> int:
    """Return the index below which so many unused tables of a set lie."""
    idle = world.tables.idle[key]  # type: ignore[index]
    low, high = min(reach.lo for reach in idle), max(reach.hi for reach in idle)
    while high - low > 1:
        middle = (low + high) // 2
        if world.tables.unused_below(key, middle) < tables:  # type: ignore[arg-type]
            low = middle
        else:
            high = middle
    return high
