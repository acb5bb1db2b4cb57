"""What each kind of event does to the processes of one policy: the rules of docs/timeline.md, event by event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ptcalc.engine.covers import BLOCKS, EXACT, RANDOM
from ptcalc.errors import InputError
from ptcalc.layout.rows import BACKINGS, MADVISE, PROTECTIONS, UFFD
from ptcalc.policies.mshare import Mshare
from ptcalc.timeline import reclaiming
from ptcalc.timeline.changes import Windows, freed, merged, tidy, unhooked
from ptcalc.timeline.ground import HUGETLB, MOST_STEPS, Row
from ptcalc.timeline.growing import grow_to
from ptcalc.timeline.leaves import leaves_of
from ptcalc.timeline.life import Hook, Life, Vma, mode
from ptcalc.timeline.regions import (
    change_region,
    forget_in_region,
    leave_region,
    members,
    shares_in_common,
)
from ptcalc.timeline.runs import Run, covers_of
from ptcalc.timeline.world import Growing, World, changed
from ptcalc.workload import events as kinds
from ptcalc.workload.events import Chosen, Event, Part
from ptcalc.workload.intervals import Intervals
from ptcalc.workload.population import UNTOUCHED, WRITTEN, Cohort

Cohorts = list[Cohort[Life]]
WIDE = 1 << 62
_REFAULTING = (kinds.Mprotect, kinds.Userfaultfd, kinds.Softdirty, kinds.Switch)


def happen(world: World, event: Event, number: int) -> None:
    """Let one event happen; ``number`` is its place in the list from 1.

    Raises InputError, at the event's place, for what the policy or the address space does not allow.
    """
    grow_to(world, event.at)
    _EVENTS[type(event.action)](world, event, number)


def _start(world: World, event: Event, number: int) -> None:
    action = event.action
    assert isinstance(action, kinds.Start)
    group = world.group_number(action.who.group)
    count = action.who.count or 0
    life = world.newborn(group, written=action.touch == "written", count=count)
    begin = WRITTEN if action.touch == "written" else UNTOUCHED
    world.arrive(action.who.group, count, action.who.name, world.population.history(begin), life)


def _fork(world: World, event: Event, number: int) -> None:
    """mm/memory.c:vma_needs_copy, copy_page_range: tables under VMAs with private pages.

    A child is not registered with userfaultfd (mm/userfaultfd.c:dup_userfaultfd), whatever its parent is.
    """
    action = event.action
    assert isinstance(action, kinds.Fork)
    parent = world.population.of(action.who.group, action.who.label)[0]
    life, ground = parent.state, world.ground
    hooks = [[] for _ in life.hooks]  # type: list[list[Hook]]
    used: Intervals[tuple[Run, ...]] = Intervals()
    for lo, hi, vma in life.vmas:
        if not vma.copied:
            continue
        for place, own in enumerate(life.hooks):
            span = ground.span(place)
            first, last = (lo + vma.moved) // span, -(-(hi + vma.moved) // span)
            for hook in own:
                low, high = max(hook.lo, first), min(hook.hi, last)
                if low < high and hook.scope is None:
                    hooks[place].append(hook._replace(lo=low, hi=high))
        for start, end, runs in life.used.within(lo, hi):
            used = used.set(start, end, runs)
    into = world.group_number(action.into)
    unregistered = Intervals(tuple((lo, hi, vma._replace(uffd=0)) for lo, hi, vma in life.vmas))
    vmas = _regrouped(world, unregistered, parent.state.group, into)
    # A table under several VMAs is copied once.
    copied = tuple(tidy(list(dict.fromkeys(each))) for each in hooks)
    child = Life(into, vmas, used, copied, ((),) * len(hooks), fixed=life.fixed, grown=life.grown)
    history = world.population.history((parent.history, "fork"))
    world.arrive(action.into, action.who.count or 0, action.who.name, history, child)
    tables = sum(hi - lo for each in copied for lo, hi, _ in mode(each))
    world.walked(tables * (action.who.count or 0), 0)


def _regrouped(world: World, vmas: Intervals[Vma], group: int, into: int) -> Intervals[Vma]:
    """Return VMAs in the rows of another group with the same mappings."""
    if group == into:
        return vmas
    rows = [number for number, row in enumerate(world.ground.rows) if row.group == group]
    there = [number for number, row in enumerate(world.ground.rows) if row.group == into]
    new = dict(zip(rows, there, strict=True))
    shift = {old: world.ground.rows[to].start - world.ground.rows[old].start for old, to in new.items()}
    if any(shift.values()):
        raise AssertionError("mappings that are equal have equal addresses")
    return Intervals(tuple((lo, hi, vma._replace(row=new[vma.row])) for lo, hi, vma in vmas))


def _exit(world: World, event: Event, number: int) -> None:
    action = event.action
    assert isinstance(action, kinds.Exit)
    cohorts = world.population.choose(action.who, number)
    for cohort in cohorts:
        world.walked(*world.visited(cohort.state, cohort.count))
    world.leave(cohorts)
    world.settle()


def _touch(world: World, event: Event, number: int) -> None:
    action = event.action
    assert isinstance(action, kinds.TouchMore)
    group = world.group_number(action.who.group)
    runs = world.runs_of(group, action.mapping, action.touch)
    cohorts = world.population.choose(action.who, number)
    for cohort, life in _of(cohorts):
        world.become(cohort, world.access(life, runs, cohort.count, write=action.access))


def _grow(world: World, event: Event, number: int) -> None:
    action = event.action
    assert isinstance(action, kinds.Grow)
    world.growing[number] = Growing(action, event.at, world.next_domain())
    for cohort, life in _of(world.population.choose(action.who, number)):
        world.become(cohort, replace(life, growth=(*life.growth, number), figures={}))


def _of(cohorts: Cohorts) -> list[tuple[Cohort[Life], Life]]:
    return [(cohort, cohort.state) for cohort in cohorts]


def _protect(world: World, event: Event, number: int) -> None:
    action = event.action
    assert isinstance(action, kinds.Mprotect)
    protection = PROTECTIONS.index(action.protection)
    cohorts = world.population.choose(action.who, number)
    _refuse_window(world, event, cohorts, "mprotect", action.part, window=action.window)
    group = world.group_number(action.who.group)
    lo, hi = _window(world, group, action.part)
    if shares_in_common(world):
        common = [cohort for cohort in cohorts if members(world, cohort.state, lo, hi)]
        if common:
            change_region(world, common[0].state, lo, hi, lambda _: protection)
            world.note("the mapping is common to all who share it: its protection changes for all of them")

    def protect(vma: Vma) -> Vma:
        return vma if world.joined(vma) else vma._replace(protection=protection)

    _change(world, event, cohorts, lo, hi, protect)


def _change(world: World, event: Event, cohorts: Cohorts, lo: int, hi: int, new: Callable[[Vma], Vma]) -> None:
    """Change attributes of VMAs from lo to hi, and walk what they map."""
    for cohort in world.one_by_one(cohorts, lo, hi) if not event.refault else cohorts:
        life = cohort.state
        vmas = life.vmas.changed(lo, hi, new)
        if vmas != life.vmas:
            vmas = _apart(world, life.vmas, lo, hi, new)
        if vmas == life.vmas:
            refault = event.refault and isinstance(event.action, _REFAULTING)
            world.become(cohort, world.again(life, cohort.count) if refault else life)
            continue
        world.walked(*world.visited(life, cohort.count, lo, hi))
        refault = event.refault and isinstance(event.action, _REFAULTING)
        world.become(cohort, changed(world, life, vmas, cohort.count, refault=refault))


def _apart(world: World, vmas: Intervals[Vma], lo: int, hi: int, new: Callable[[Vma], Vma]) -> Intervals[Vma]:
    """Return VMAs with a change from lo to hi; those of hugetlb stay apart where it ends, whatever becomes of them."""
    for a, b, vma in list(vmas.within(lo, hi)):
        if world.ground.rows[vma.row].backing == HUGETLB:
            vmas = vmas.changed(a, b, lambda each, a=a: new(each)._replace(cut=a))  # type: ignore[misc]
        else:
            vmas = vmas.changed(a, b, new)
    return vmas


def _whole(windows: Windows) -> Windows:
    """Join windows that touch each other."""
    out: Windows = []
    for lo, hi in sorted(windows):
        if out and out[-1][1] == lo:
            out[-1] = (out[-1][0], hi)
        else:
            out.append((lo, hi))
    return out


def _unmap(world: World, event: Event, number: int) -> None:
    action = event.action
    assert isinstance(action, kinds.Munmap)
    cohorts = world.population.choose(action.who, number)
    group = world.group_number(action.who.group)
    lo, hi = _window(world, group, action.part)
    if isinstance(world.ground.policy, Mshare):
        common = [cohort for cohort in cohorts if members(world, cohort.state, lo, hi)]
        if common and not action.window:
            change_region(world, common[0].state, lo, hi, lambda _: -1)
            forget_in_region(world, common[0].state, lo, hi, unmapped=True)
            world.note("the mapping is common to all members of the region: it is unmapped for all of them")
        elif common:
            for cohort, life in _of(common):
                world.become(cohort, leave_region(world, life, lo, hi, cohort.count, gone=True))
            world.note("the window is unmapped: no table of the region goes while it has members")
    regional = isinstance(world.ground.policy, Mshare)

    def stays(vma: Vma) -> bool:
        return regional and world.joined(vma)

    for cohort in world.one_by_one(cohorts, lo, hi):
        life = cohort.state
        gone = _whole([(a + vma.moved, b + vma.moved) for a, b, vma in life.vmas.within(lo, hi) if not stays(vma)])
        if not gone:
            continue
        vmas = life.vmas.changed(lo, hi, lambda vma: vma if stays(vma) else None)
        world.walked(*world.visited(life, cohort.count, lo, hi))
        used = life.used
        for a, b, vma in life.vmas.within(lo, hi):
            used = used if stays(vma) else used.set(a, b, None)
        after = changed(world, replace(life, used=used, figures={}), vmas, cohort.count, refault=False)
        world.become(cohort, replace(after, hooks=freed(world.ground, after.hooks, vmas, gone), figures={}))
    world.settle()


def _move(world: World, event: Event, number: int) -> None:
    """mm/mremap.c:move_page_tables: entries or whole tables move; what is shared is looked up anew."""
    action = event.action
    assert isinstance(action, kinds.Mremap)
    cohorts = world.population.choose(action.who, number)
    _refuse_window(world, event, cohorts, "mremap", action.part, window=action.window)
    group = world.group_number(action.who.group)
    lo, hi = _window(world, group, action.part)
    page = max(world.ground.rows[vma.row].page for _, _, vma in cohorts[0].state.vmas.within(lo, hi))
    address = action.address - action.address % page
    if address != action.address:
        world.note(f"moved to {address:#x}, a multiple of its huge page")
    for cohort, life in _of(cohorts):
        if members(world, life, lo, hi) and isinstance(world.ground.policy, Mshare):
            life = leave_region(world, life, lo, hi, cohort.count)
            world.note("a region cannot move: the process leaves it and maps the segment by itself")
        by = address - lo
        for start, end, vma in life.vmas:
            outside = [(start, min(end, lo)), (max(start, hi), end)]
            for first, last in outside:
                if first < last and first + vma.moved < address + hi - lo and last + vma.moved > address:
                    raise _refused(world, event, f"{address:#x} overlaps a mapping of the process", "a free address")
        world.walked(*world.visited(life, cohort.count, lo, hi))
        world.become(cohort, _moved(world, life, lo, hi, by, cohort.count, refault=event.refault))


def _moved(world: World, life: Life, lo: int, hi: int, by: int, count: int, *, refault: bool) -> Life:
    ground = world.ground
    old = [
        (a + vma.moved, b + vma.moved, a + by, ground.rows[vma.row].backing == HUGETLB)
        for a, b, vma in life.vmas.within(lo, hi)
    ]
    vmas = life.vmas.changed(lo, hi, lambda vma: vma._replace(moved=by))
    new: list[list[Hook]] = [[] for _ in life.hooks]
    for start, end, target, hugetlb in old:
        if not hugetlb:
            _move_own(world, life, new, start, end, target - start)
    if ground.context.geometry.has_file_thp:
        _move_leaves(world, life, new, lo, hi, by)
    windows = _whole([(start, end) for start, end, _, _ in old])
    after = unhooked(ground, life, vmas, world.tables, windows)
    hooks = freed(ground, after.hooks, vmas, windows)
    after = replace(after, hooks=tuple(merged(mine, more) for mine, more in zip(hooks, new, strict=True)), figures={})
    return world.again(after, count) if refault else after


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


def _advise(world: World, event: Event, number: int) -> None:
    action = event.action
    assert isinstance(action, kinds.Madvise)
    cohorts = world.population.choose(action.who, number)
    group = world.group_number(action.who.group)
    lo, hi = _window(world, group, action.part)
    if action.advice == "dontneed":
        reclaiming.dontneed(world, cohorts, lo, hi)
    elif action.advice in ("free", "pageout"):
        for cohort, life in _of(cohorts):
            world.walked(*world.visited(life, cohort.count, lo, hi))
            world.become(cohort, replace(life, used=life.used.set(lo, hi, None), figures={}))
    elif action.advice == "cold":
        for cohort, life in _of(cohorts):
            world.walked(*world.visited(life, cohort.count, lo, hi))
    elif action.advice == "collapse":
        reclaiming.collapse(world, cohorts, lo, hi, refault=event.refault)
    else:
        advice = MADVISE.index(action.advice)
        _change(world, event, cohorts, lo, hi, lambda vma: vma._replace(madvise=advice))


def _register(world: World, event: Event, number: int) -> None:
    action = event.action
    assert isinstance(action, kinds.Userfaultfd)
    mode = UFFD.index(action.mode)
    _per_process(world, event, number, action.who, action.part, lambda vma: vma._replace(uffd=mode), leaves=mode > 0)


def _track(world: World, event: Event, number: int) -> None:
    action = event.action
    assert isinstance(action, kinds.Softdirty)
    on = action.on
    _per_process(world, event, number, action.who, action.part, lambda vma: vma._replace(softdirty=on), leaves=on)


def _per_process(
    world: World, event: Event, number: int, who: Chosen, part: Part, new: Callable[[Vma], Vma], *, leaves: bool
) -> None:
    """Change what tables of one process alone hold; who is in a region leaves it for that."""
    cohorts = world.population.choose(who, number)
    lo, hi = _window(world, world.group_number(who.group), part)
    if leaves:
        _leave(world, cohorts, lo, hi, refault=event.refault)
    _change(world, event, cohorts, lo, hi, new)


def _leave(world: World, cohorts: Cohorts, lo: int, hi: int, *, refault: bool) -> None:
    if not isinstance(world.ground.policy, Mshare):
        return
    for cohort, life in _of(cohorts):
        if members(world, life, lo, hi):
            world.become(cohort, leave_region(world, life, lo, hi, cohort.count, refault=refault))
            world.note("who keeps state of its own leaves the region and maps the segment with tables of its own")
    world.settle()


def _switch(world: World, event: Event, number: int) -> None:
    action = event.action
    assert isinstance(action, kinds.Switch)
    cohorts = world.population.choose(action.who, number)
    group = world.group_number(action.who.group)
    allow = action.sharing == "allow"
    if not world.ground.policy.switched:
        world.note("this policy has no switch for page-table sharing")
        return
    many = len(list(world.ground.context.workload.processes.values())[group].mappings)
    for mapping in range(many) if action.mapping is None else [action.mapping]:
        rows = [world.ground.rows[row] for row in world.rows_of(group, mapping)]
        lo, hi = rows[0].start, rows[-1].end
        if not allow:
            _leave(world, cohorts, lo, hi, refault=event.refault)
        _change(world, event, cohorts, lo, hi, lambda vma: vma._replace(allow=allow))


def _punch(world: World, event: Event, number: int) -> None:
    action = event.action
    assert isinstance(action, kinds.Punch)
    reclaiming.punch(world, action.segment, action.start, action.start + action.length)


def _truncate(world: World, event: Event, number: int) -> None:
    action = event.action
    assert isinstance(action, kinds.Truncate)
    reclaiming.truncate(world, action.segment, action.size)


def _write_protect(world: World, event: Event, number: int) -> None:
    """Entries lose or get their write permission in place, once in each distinct table (S15)."""
    action = event.action
    assert isinstance(action, kinds.WriteProtect)
    world.walked(*world.visited_once(action.segment, action.start, action.start + action.length))


def _pressure(world: World, event: Event, number: int) -> None:
    action = event.action
    assert isinstance(action, kinds.Pressure)
    reclaiming.shrink(world, action.amount)


def _mark(world: World, event: Event, number: int) -> None:
    return


def _window(world: World, group: int, part: Part) -> tuple[int, int]:
    lo, hi = world.window(group, part)
    rows = [world.ground.rows[number] for number in world.rows_of(group, part.mapping)]
    if hi - lo > part.length and any(_moved_to_huge(world, row) for row in rows):
        world.note("the part is widened to whole huge pages")
    return lo, hi


def _moved_to_huge(world: World, row: Row) -> bool:
    written = list(world.ground.context.workload.segments.values())[row.segment].backing
    return row.backing == HUGETLB and written != BACKINGS[HUGETLB]


def _refuse_window(world: World, event: Event, cohorts: Cohorts, what: str, part: Part, *, window: bool) -> None:
    """The window on a region is one VMA, which can be neither split nor moved (mshare v3)."""
    if not window or not isinstance(world.ground.policy, Mshare):
        return
    lo, hi = world.window(cohorts[0].state.group, part)
    if any(members(world, cohort.state, lo, hi) for cohort in cohorts):
        message = f"{what} of the window of an mshare region is refused: it is one VMA, whose protection and place are"
        raise _refused(world, event, f"{message} those of the whole region", "of: mapping, or policies without mshare")


def _refused(world: World, event: Event, message: str, accepted: str) -> InputError:
    return world.ground.context.workload.error(event.path, f"{world.ground.policy.name}: {message}", accepted=accepted)


_EVENTS: dict[type, Callable[[World, Event, int], None]] = {
    kinds.Start: _start,
    kinds.Fork: _fork,
    kinds.Exit: _exit,
    kinds.TouchMore: _touch,
    kinds.Grow: _grow,
    kinds.Mprotect: _protect,
    kinds.Munmap: _unmap,
    kinds.Mremap: _move,
    kinds.Madvise: _advise,
    kinds.Userfaultfd: _register,
    kinds.Softdirty: _track,
    kinds.Switch: _switch,
    kinds.Punch: _punch,
    kinds.Truncate: _truncate,
    kinds.WriteProtect: _write_protect,
    kinds.Pressure: _pressure,
    kinds.Mark: _mark,
}
