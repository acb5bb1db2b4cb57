"""What each kind of event does to the processes of one policy: the rules of docs/timeline.md, event by event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ptcalc.timeline import moving, reclaiming, remapping
from ptcalc.timeline.copies import forked
from ptcalc.timeline.ground import HUGETLB
from ptcalc.timeline.growing import grow_to
from ptcalc.timeline.hooks import tidy
from ptcalc.timeline.hugetlb import child_of
from ptcalc.timeline.leaves import leaves_of, mapped
from ptcalc.timeline.life import Hook, Life, Vma, mode
from ptcalc.timeline.runs import OWN, Run
from ptcalc.timeline.walking import leaf_place
from ptcalc.timeline.world import Growing, World
from ptcalc.workload import events as kinds
from ptcalc.workload.events import Event
from ptcalc.workload.intervals import Intervals
from ptcalc.workload.population import UNTOUCHED, WRITTEN


def happen(world: World, event: Event, number: int) -> None:
    """Let one event happen; ``number`` is its place in the list from 1.

    Raises InputError, at the event's place, for what the policy or the address space does not allow.
    """
    grow_to(world, event.at)
    _EVENTS[type(event.action)](world, event, number)
    world.rejoin()
    world.tables.settle()
    world.end_event()


def _start(world: World, event: Event, number: int) -> None:
    action = event.action
    assert isinstance(action, kinds.Start)
    group = world.written.group_number(action.who.group)
    count = action.who.count or 0
    life = world.newborn(group, written=action.touch == "written", count=count)
    begin = WRITTEN if action.touch == "written" else UNTOUCHED
    world.arrive(action.who.group, count, action.who.name, world.population.history(begin), life)


def _fork(world: World, event: Event, number: int) -> None:
    """mm/memory.c:vma_needs_copy, copy_page_range: tables under VMAs with private pages.

    A child is not registered with userfaultfd (mm/userfaultfd.c:dup_userfaultfd), whatever its parent is.  What the
    parent had for itself they have in common from now on, until somebody writes to it.
    """
    action = event.action
    assert isinstance(action, kinds.Fork)
    parent = world.population.of(action.who.group, action.who.label)[0]
    if any(run.owner == OWN for _, _, runs in parent.state.used for run in runs):
        if parent.count > 1:  # its pages are no longer as those of the others, which are chosen after it
            parent = world.population.split(parent, 1)
        world.become(parent, replace(parent.state, used=forked(parent.state.used, OWN + number), figures={}))
    life, ground = parent.state, world.ground
    hooks: list[list[Hook]] = [[] for _ in life.hooks]
    used: Intervals[tuple[Run, ...]] = Intervals()
    leaves = leaves_of(ground, life)  # which children find again by themselves (mm/huge_memory.c:copy_huge_pmd)
    for lo, hi, vma in life.vmas:
        if not vma.copied:
            continue
        row = ground.rows[vma.row]
        for place in range(len(hooks)):
            # Of hugetlb, tables are made above those with leaves alone (mm/hugetlb.c:copy_hugetlb_page_range).
            by = leaf_place(ground, row.page) if row.backing == HUGETLB else place
            ratio = ground.span(place) // ground.span(by)
            first, last = (lo + vma.moved) // ground.span(by), -(-(hi + vma.moved) // ground.span(by))
            for hook in life.hooks[by] if by <= place else ():
                low, high = max(hook.lo, first), min(hook.hi, last)
                if low < high and hook.scope is None:
                    hooks[place].append(hook._replace(lo=low // ratio, hi=-(-high // ratio)))
        for start, end, leaf in leaves.within(lo, hi):
            for first, last, runs in () if leaf else mapped(life, start, end):
                used = used.set(first, last, runs)
    into = world.written.group_number(action.into)
    one = parent.numbers[0].start
    unregistered = Intervals(
        tuple((lo, hi, child_of(vma, one)._replace(uffd=0, locked=0)) for lo, hi, vma in life.vmas)
    )
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
    group = world.written.group_number(action.who.group)
    runs = world.written.runs_of(group, action.mapping, action.touch)
    cohorts = world.population.choose(action.who, number)
    world.pagecache.decide([piece for each in cohorts for piece in world.pieces(each.state, runs, action.access)])
    world.let(cohorts, lambda life, count: world.touched(life, action.mapping, runs, count, write=action.access))


def _grow(world: World, event: Event, number: int) -> None:
    action = event.action
    assert isinstance(action, kinds.Grow)
    world.growing[number] = Growing(action, event.at, world.written.next_domain())
    for cohort in world.population.choose(action.who, number):
        life = cohort.state
        world.become(cohort, replace(life, growth=(*life.growth, number), figures={}))


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


_EVENTS: dict[type, Callable[[World, Event, int], None]] = {
    kinds.Start: _start,
    kinds.Fork: _fork,
    kinds.Exit: _exit,
    kinds.TouchMore: _touch,
    kinds.Grow: _grow,
    kinds.Mprotect: remapping.protect,
    kinds.Munmap: remapping.unmap,
    kinds.Mremap: moving.move,
    kinds.Madvise: remapping.advise,
    kinds.Userfaultfd: remapping.register,
    kinds.Softdirty: remapping.track,
    kinds.Mlock: remapping.lock,
    kinds.Switch: remapping.switch,
    kinds.Punch: _punch,
    kinds.Truncate: _truncate,
    kinds.WriteProtect: _write_protect,
    kinds.Pressure: _pressure,
    kinds.Mark: _mark,
}
