"""Pages that leave: madvise, holes and truncation of segments, collapse into huge pages, memory pressure."""

from __future__ import annotations

from dataclasses import replace

from ptcalc.layout.rows import BACKINGS, UFFD
from ptcalc.policies.map_shared_pt import MapSharedPt
from ptcalc.policies.mshare import Mshare
from ptcalc.timeline import hugetlb
from ptcalc.timeline.changes import Windows, advised, owned, unhooked
from ptcalc.timeline.ground import HUGETLB
from ptcalc.timeline.leaves import lost, without_leaves
from ptcalc.timeline.life import Hook, Life, mode, without
from ptcalc.timeline.regions import forget_in_region, members
from ptcalc.timeline.runs import NOBODY, Run
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
    if isinstance(ground.policy, MapSharedPt) and cohorts:
        _forget_for_all(world, cohorts[0].state, lo, hi)


def _own_without(hooks: tuple[Hook, ...], lo: int, hi: int) -> tuple[Hook, ...]:
    if lo >= hi:
        return hooks
    own = tuple(hook for hook in hooks if hook.scope is None)
    return (*without(own, lo, hi), *(hook for hook in hooks if hook.scope is not None))


def _forget_for_all(world: World, life: Life, lo: int, hi: int) -> None:
    """The entries of MAP_SHARED_PT tables go for all who share them; the tables stay."""
    ground = world.ground
    for a, b, vma in life.vmas.within(lo, hi):
        row = ground.rows[vma.row]
        if not world.shares_file(vma):
            continue
        start = ground.position(row, a)

        def forget(other: Life, row: int = row.file, start: int = start, size: int = b - a) -> Life:
            used = other.used
            for c, d, each in other.vmas:
                known = ground.rows[each.row]
                if known.file == row and world.shares_file(each):
                    shift = ground.position(known, c) - c
                    low, high = max(c, start - shift), min(d, start + size - shift)
                    used = used.set(low, high, None) if low < high else used
            return other if used == other.used else replace(other, used=used, figures={})

        world.each(list(world.population), forget)


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


def collapse(world: World, cohorts: list[Cohort[Life]], lo: int, hi: int, *, refault: bool) -> None:
    """mm/khugepaged.c:collapse_file and retract_page_tables: the PTE tables of all who map the chunks go."""
    ground, geometry = world.ground, world.ground.context.geometry
    if not geometry.has_file_thp or geometry.thp_keeps_tables:
        world.note(f"{geometry.name} has no huge pages that save tables")
        return
    chunks = _chunks(world, cohorts, lo, hi)
    if not chunks:
        world.note("no chunk of a huge page lies in the part: nothing is collapsed")
        return
    for file, parts in chunks.items():
        for first, last, _ in parts:
            ground.huge[file] = ground.huge.get(file, Intervals()).set(first, last, "always")
    ground.epoch += 1
    chosen = {id(cohort.state) for cohort in cohorts}

    def collapsed(life: Life) -> Life:
        after = _retracted(world, life, chunks)
        return world.again(after, 1) if refault and (after is not life or id(life) in chosen) else after

    world.each(list(world.population), collapsed)
    for key in world.tables.sets:
        if key.place == 0 and key.file in chunks:
            for low, high, _ in chunks[key.file]:
                world.forget_left(key, low // geometry.thp_size, high // geometry.thp_size)


def _chunks(world: World, cohorts: list[Cohort[Life]], lo: int, hi: int) -> dict[int, Intervals[bool]]:
    """Return the whole huge pages of each file (offsets) that some processes map congruently from lo to hi."""
    ground, size = world.ground, world.ground.context.geometry.thp_size
    chunks: dict[int, Intervals[bool]] = {}
    for cohort in cohorts:
        for a, b, vma in cohort.state.vmas.within(lo, hi):
            row = ground.rows[vma.row]
            shift = row.start - row.file_offset
            if row.backing in (HUGETLB, PRIVATE) or (shift + vma.moved) % size:
                continue
            first = -(-(a - shift) // size) * size
            last = (min(b, ground.end_of(row)) - shift) // size * size
            if first < last:
                chunks[row.file] = chunks.get(row.file, Intervals()).set(first, last, True)
    return chunks


def _retracted(world: World, life: Life, chunks: dict[int, Intervals[bool]]) -> Life:
    """Return a process without the PTE tables of chunks that are huge pages now."""
    ground, size = world.ground, world.ground.context.geometry.thp_size
    hooks, unmapped = life.hooks[0], life.unmapped
    for a, b, vma in life.vmas:
        row = ground.rows[vma.row]
        shift = row.start - row.file_offset
        aligned = (shift + vma.moved) % size == 0
        if row.file not in chunks or vma.copied or vma.uffd == UFFD.index("wp") or not aligned:
            continue
        first, last = -(-(a - shift) // size) * size, (b - shift) // size * size
        for low, high, _ in chunks[row.file].within(first, last):
            window = (low + shift + vma.moved) // size, (high + shift + vma.moved) // size
            for start, end, _ in mode(hooks).within(*window):
                hooks = without(hooks, start, end)
                unmapped = lost(life, unmapped, start * size - vma.moved, end * size - vma.moved)
    if hooks == life.hooks[0]:
        return life
    return replace(life, hooks=(hooks, *life.hooks[1:]), unmapped=unmapped, figures={})


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
