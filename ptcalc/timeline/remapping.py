"""Events that change VMAs: protection, advice, registration, tracking, switches, and munmap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ptcalc.engine.covers import EXACT
from ptcalc.errors import InputError
from ptcalc.layout.rows import BACKINGS, LOCKED, MADVISE, PROTECTIONS, UFFD
from ptcalc.policies.mshare import Mshare
from ptcalc.timeline import collapsing, reclaiming
from ptcalc.timeline.ground import HUGETLB, Row
from ptcalc.timeline.hugetlb import put_anew
from ptcalc.timeline.life import Vma
from ptcalc.timeline.regions import (
    change_region,
    forget_in_region,
    leave_region,
    members,
    positions,
    shares_in_common,
)
from ptcalc.timeline.runs import Run
from ptcalc.timeline.unhooking import Windows, freed
from ptcalc.timeline.world import Cohorts, World, changed
from ptcalc.workload import events as kinds
from ptcalc.workload.events import Chosen, Event, Part
from ptcalc.workload.intervals import Intervals
from ptcalc.workload.model import Range, Touch

# mm/madvise.c: madvise_dontneed_free_valid_vma, can_madv_lru_vma.
_NOT_LOCKED = ("dontneed", "free", "cold", "pageout")
_REFAULTING = (kinds.Mprotect, kinds.Userfaultfd, kinds.Softdirty, kinds.Mlock, kinds.Switch)


def protect(world: World, event: Event, number: int) -> None:
    """mprotect: for this process, or for all who share one list of VMAs."""
    action = event.action
    assert isinstance(action, kinds.Mprotect)
    protection = PROTECTIONS.index(action.protection)
    cohorts, lo, hi = chosen(world, action.who, action.part, number)
    refuse_window(world, event, cohorts, "mprotect", action.part, window=action.window)
    if shares_in_common(world):
        common = [cohort for cohort in cohorts if members(world, cohort.state, lo, hi)]
        if common:
            change_region(world, common[0].state, lo, hi, lambda _: protection)
            world.note("the mapping is common to all who share it: its protection changes for all of them")

    def protected(vma: Vma) -> Vma:
        return vma if world.joined(vma) else vma._replace(protection=protection)

    writable = "w" in action.protection
    copied = [(cohort, _locked_and_read(world, cohort.state.vmas, lo, hi)) for cohort in cohorts if writable]
    _change(world, event, cohorts, lo, hi, protected)
    for cohort, parts in copied:
        runs = [(row, Run(EXACT, a, b, 0, 0, 0, 0, True, world.written.next_domain())) for a, b, row in parts]
        if runs:
            world.let([cohort], lambda life, many, runs=runs: world.access(life, runs, many))  # type: ignore[misc]


def _locked_and_read(world: World, vmas: Intervals[Vma], lo: int, hi: int) -> list[tuple[int, int, int]]:
    """Return parts of VMAs whose pages are all copied once they may be written (mm/mprotect.c:mprotect_fixup)."""
    rows = world.ground.rows
    return [
        (a, b, vma.row)
        for a, b, vma in vmas.within(lo, hi)
        if LOCKED[vma.locked] == "yes" and not rows[vma.row].shared and "w" not in PROTECTIONS[vma.protection]
    ]


def _change(world: World, event: Event, cohorts: Cohorts, lo: int, hi: int, new: Callable[[Vma], Vma]) -> None:
    """Change attributes of VMAs from lo to hi, and walk what they map."""
    done: Cohorts = []
    for cohort in cohorts:
        vmas = cohort.state.vmas
        if vmas.changed(lo, hi, new) == vmas:
            done.append(cohort)
            continue
        world.walked(*world.visited(cohort.state, cohort.count, lo, hi))
        vmas = put_anew(world, vmas, lo, hi, new)
        for part in world.one_by_one([cohort], lo, hi):
            world.become(part, changed(world, part.state, vmas))
            done.append(part)
    if event.refault and isinstance(event.action, _REFAULTING):
        world.let(done, world.again)


def joined(windows: Windows) -> Windows:
    """Join windows that touch each other."""
    out: Windows = []
    for lo, hi in sorted(windows):
        if out and out[-1][1] == lo:
            out[-1] = (out[-1][0], hi)
        else:
            out.append((lo, hi))
    return out


def unmap(world: World, event: Event, number: int) -> None:
    """munmap: tables go in whose whole span no VMA is left (mm/memory.c:free_pgtables)."""
    action = event.action
    assert isinstance(action, kinds.Munmap)
    cohorts, lo, hi = chosen(world, action.who, action.part, number)
    if isinstance(world.ground.policy, Mshare):
        common = [cohort for cohort in cohorts if members(world, cohort.state, lo, hi)]
        if common and not action.window:
            change_region(world, common[0].state, lo, hi, lambda _: -1)
            forget_in_region(world, common[0].state, lo, hi, unmapped=True)
            world.note("the mapping is common to all members of the region: it is unmapped for all of them")
        elif common:
            for cohort in common:
                life = cohort.state
                world.become(cohort, leave_region(world, life, lo, hi, cohort.count, gone=True))
            world.note("the window is unmapped: no table of the region goes while it has members")
    regional = isinstance(world.ground.policy, Mshare)

    def stays(vma: Vma) -> bool:
        return regional and world.joined(vma)

    for cohort in cohorts:
        life = cohort.state
        gone = joined([(a + vma.moved, b + vma.moved) for a, b, vma in life.vmas.within(lo, hi) if not stays(vma)])
        if not gone:
            continue
        vmas = put_anew(world, life.vmas, lo, hi, lambda vma: vma if stays(vma) else None)
        world.walked(*world.visited(life, cohort.count, lo, hi))
        used = life.used
        for a, b, vma in life.vmas.within(lo, hi):
            used = used if stays(vma) else used.set(a, b, None)
        for part in world.one_by_one([cohort], lo, hi):
            after = changed(world, replace(part.state, used=used, figures={}), vmas)
            world.become(part, replace(after, hooks=freed(world.ground, after.hooks, vmas, gone), figures={}))
    world.settle()


def advise(world: World, event: Event, number: int) -> None:
    """madvise, all kinds."""
    action = event.action
    assert isinstance(action, kinds.Madvise)
    cohorts, lo, hi = chosen(world, action.who, action.part, number)
    locked = any(vma.locked for cohort in cohorts for _, _, vma in cohort.state.vmas.within(lo, hi))
    if locked and action.advice in _NOT_LOCKED:
        message = f"{action.advice} of locked memory fails (EINVAL)"
        raise world.ground.context.workload.error(event.path, message, accepted="mlock with set: false before it")
    if action.advice == "dontneed":
        reclaiming.dontneed(world, cohorts, lo, hi)
    elif action.advice in ("free", "pageout"):
        regional = isinstance(world.ground.policy, Mshare)
        for cohort in cohorts:
            life = cohort.state
            world.walked(*world.visited(life, cohort.count, lo, hi))
            for segment, start, end in positions(world, life, lo, hi) if regional else ():
                world.clear(segment, start, end)
            world.become(cohort, replace(life, used=life.used.set(lo, hi, None), figures={}))
    elif action.advice == "cold":
        for cohort in cohorts:
            life = cohort.state
            world.walked(*world.visited(life, cohort.count, lo, hi))
    elif action.advice == "collapse":
        collapsing.collapse(world, cohorts, lo, hi, refault=event.refault)
    else:
        advice = MADVISE.index(action.advice)
        _change(world, event, cohorts, lo, hi, lambda vma: vma._replace(madvise=advice))


def register(world: World, event: Event, number: int) -> None:
    """userfaultfd: register or unregister."""
    action = event.action
    assert isinstance(action, kinds.Userfaultfd)
    mode = UFFD.index(action.mode)
    _per_process(world, event, number, action.who, action.part, lambda vma: vma._replace(uffd=mode), leaves=mode > 0)


def track(world: World, event: Event, number: int) -> None:
    """Soft-dirty tracking begins or ends."""
    action = event.action
    assert isinstance(action, kinds.Softdirty)
    on = action.on
    _per_process(world, event, number, action.who, action.part, lambda vma: vma._replace(softdirty=on), leaves=on)


def lock(world: World, event: Event, number: int) -> None:
    """mlock2, munlock: mm/mlock.c:mlock_fixup, which leaves hugetlb's VMAs as they are; mm/gup.c:__mm_populate."""
    action = event.action
    assert isinstance(action, kinds.Mlock)
    cohorts, lo, hi = chosen(world, action.who, action.part, number)
    rows, locked = world.ground.rows, LOCKED.index(action.locked)
    _change(
        world, event, cohorts, lo, hi,
        lambda vma: vma if rows[vma.row].backing == HUGETLB else vma._replace(locked=locked),
    )  # fmt: skip
    if action.locked == "yes":
        whole = Touch("ranges", ranges=(Range(action.part.start, action.part.length),))
        group = world.written.group_number(action.who.group)
        runs = world.written.runs_of(group, action.part.mapping, (whole,))
        world.let(cohorts, lambda life, many: world.access(life, runs, many))


def _per_process(
    world: World, event: Event, number: int, who: Chosen, part: Part, new: Callable[[Vma], Vma], *, leaves: bool
) -> None:
    """Change what tables of one process alone hold; who is in a region leaves it for that."""
    cohorts, lo, hi = chosen(world, who, part, number)
    if leaves:
        _leave(world, cohorts, lo, hi)
    _change(world, event, cohorts, lo, hi, new)


def _leave(world: World, cohorts: Cohorts, lo: int, hi: int) -> None:
    if not isinstance(world.ground.policy, Mshare):
        return
    for cohort in cohorts:
        life = cohort.state
        if members(world, life, lo, hi):
            world.become(cohort, leave_region(world, life, lo, hi, cohort.count))
            world.note("who keeps state of its own leaves the region and maps the segment with tables of its own")
    world.settle()


def switch(world: World, event: Event, number: int) -> None:
    """Allow or forbid page-table sharing, for processes or for a mapping."""
    action = event.action
    assert isinstance(action, kinds.Switch)
    cohorts = world.population.choose(action.who, number)
    group = world.written.group_number(action.who.group)
    allow = action.sharing == "allow"
    if not world.ground.policy.switched:
        world.note("this policy has no switch for page-table sharing")
        return
    many = len(list(world.ground.context.workload.processes.values())[group].mappings)
    for mapping in range(many) if action.mapping is None else [action.mapping]:
        rows = [world.ground.rows[row] for row in world.written.rows_of(group, mapping)]
        lo, hi = rows[0].start, rows[-1].end
        if not allow:
            _leave(world, cohorts, lo, hi)
        _change(world, event, cohorts, lo, hi, lambda vma: vma._replace(allow=allow))


def chosen(world: World, who: Chosen, part: Part, number: int) -> tuple[Cohorts, int, int]:
    """Return the processes that an event is about, and the part of their mapping: addresses at which the file maps it.

    The part is widened to huge pages where there are some.
    """
    cohorts, group = world.population.choose(who, number), world.written.group_number(who.group)
    lo, hi = world.written.window(group, part)
    rows = [world.ground.rows[row] for row in world.written.rows_of(group, part.mapping)]
    if hi - lo > part.length and any(_moved_to_huge(world, row) for row in rows):
        world.note("the part is widened to whole huge pages")
    return cohorts, lo, hi


def _moved_to_huge(world: World, row: Row) -> bool:
    written = list(world.ground.context.workload.segments.values())[row.segment].backing
    return row.backing == HUGETLB and written != BACKINGS[HUGETLB]


def refuse_window(world: World, event: Event, cohorts: Cohorts, what: str, part: Part, *, window: bool) -> None:
    """The window on a region is one VMA, which can be neither split nor moved (mshare v3)."""
    if not window or not isinstance(world.ground.policy, Mshare):
        return
    lo, hi = world.written.window(cohorts[0].state.group, part)
    if any(members(world, cohort.state, lo, hi) for cohort in cohorts):
        message = f"{what} of the window of an mshare region is refused: it is one VMA, whose protection and place are"
        raise refused(world, event, f"{message} those of the whole region", "of: mapping, or policies without mshare")


def refused(world: World, event: Event, message: str, accepted: str) -> InputError:
    """Return the error that a policy does not allow an event."""
    return world.ground.context.workload.error(event.path, f"{world.ground.policy.name}: {message}", accepted=accepted)
