"""What processes have in common under a policy with one list of VMAs: mshare's regions, a file's mm of MAP_SHARED_PT.

Such VMAs change for all who share them.  What they allow is kept by segment, in positions as mapped; -1 is unmapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ptcalc.policies.map_shared_pt import MapSharedPt
from ptcalc.policies.mshare import Mshare
from ptcalc.timeline.leaves import lost
from ptcalc.timeline.life import Hook, Key, Life, Vma, without
from ptcalc.timeline.tables import Reach
from ptcalc.workload.intervals import Intervals

if TYPE_CHECKING:
    from ptcalc.timeline.world import World

UNMAPPED = -1


def shares_in_common(world: World) -> bool:
    """Tell whether a protection is common to all who share."""
    policy, context = world.ground.policy, world.ground.context
    return isinstance(policy, Mshare) or (
        isinstance(policy, MapSharedPt) and policy.choice("mprotect", context) == "all"
    )


def members(world: World, life: Life, lo: int, hi: int) -> bool:
    """Tell whether a process shares the list of VMAs somewhere from lo to hi (as mapped)."""
    return any(world.joined(vma) for _, _, vma in life.vmas.within(lo, hi))


def positions(world: World, life: Life, lo: int, hi: int) -> Iterator[tuple[int, int, int]]:
    """Yield (segment, from, to) of the common parts from lo to hi, in positions of their segments."""
    ground = world.ground
    for start, end, vma in life.vmas.within(lo, hi):
        if world.joined(vma):
            row = ground.rows[vma.row]
            at = ground.position(row, start)
            yield row.segment, at, at + end - start


def change_region(world: World, life: Life, lo: int, hi: int, new: Callable[[int], int]) -> None:
    """Change what is common from lo to hi (as mapped by one of those who share)."""
    for segment, start, end in positions(world, life, lo, hi):
        old = world.ground.regions.get(segment, Intervals())
        world.ground.regions[segment] = old.changed(
            start, end, lambda word: word if word == UNMAPPED else new(word), fill=new(0)
        )
    world.ground.epoch += 1


def forget_in_region(world: World, life: Life, lo: int, hi: int, *, unmapped: bool, reclaims: bool = False) -> None:
    """Let the pages from lo to hi leave all who share them, and the tables that go with them.

    ``unmapped``: tables in whose span no VMA is left; ``reclaims``: PTE tables that lie wholly inside the range.
    """
    ground = world.ground
    for segment, start, end in list(positions(world, life, lo, hi)):
        gone: dict[int, tuple[int, int]] = {}
        for place in range(len(ground.levels)):
            span = ground.span(place)
            if unmapped:
                closed = ground.regions[segment]
                before, after = _neighbours(closed, start, end, ground.region_size(segment))
                first = max(start // span, -(-before // span)) if before is not None else start // span
                last = min(-(-end // span), after // span) if after is not None else -(-end // span)
                gone[place] = first, last
            elif reclaims and place == 0:
                gone[place] = -(-start // span), end // span
        for place, (first, last) in gone.items():
            world.tables.cut(Key(place, (), -1, segment), first, last)

        def forget(
            life: Life,
            segment: int = segment,
            start: int = start,
            end: int = end,
            gone: dict[int, tuple[int, int]] = gone,
        ) -> Life:
            used = life.used
            for a, b, vma in life.vmas:
                row = ground.rows[vma.row]
                if row.segment == segment and world.joined(vma):
                    shift = ground.position(row, a) - a
                    low, high = max(a, start - shift), min(b, end - shift)
                    if low < high:
                        used = used.set(low, high, None)
            inside = [
                _cut(hooks, segment, *gone[place]) if place in gone and gone[place][0] < gone[place][1] else hooks
                for place, hooks in enumerate(life.inside)
            ]
            if used == life.used and tuple(inside) == life.inside:
                return life
            return replace(life, used=used, inside=tuple(inside), figures={})

        world.each(list(world.population), forget)
        world.clear(segment, start, end)


def _cut(hooks: tuple[Hook, ...], segment: int, lo: int, hi: int) -> tuple[Hook, ...]:
    mine = tuple(hook for hook in hooks if hook.scope is not None and hook.scope.key.region == segment)
    return (*(hook for hook in hooks if hook not in mine), *without(mine, lo, hi))


def _neighbours(closed: Intervals[int], start: int, end: int, size: int) -> tuple[int | None, int | None]:
    """Return the end of the mapped part before and the start of the one after a part of a region that was unmapped."""
    low, high = start, end
    for lo, hi, word in closed:
        if word == UNMAPPED and lo <= low <= hi:
            low = lo
    for lo, hi, word in closed:
        if word == UNMAPPED and lo <= high <= hi:
            high = hi
    return (low if low > 0 else None), (high if high < size else None)


def leave_region(world: World, life: Life, lo: int, hi: int, count: int, *, gone: bool = False) -> Life:
    """Let a process leave the regions of the segments from lo to hi; it maps them by itself, unless ``gone``.

    What it uses of them has no table until it is touched again.
    """
    ground = world.ground
    segments = {ground.rows[vma.row].segment for _, _, vma in life.vmas.within(lo, hi) if world.joined(vma)}
    windows = [(a, b, vma) for a, b, vma in life.vmas if ground.rows[vma.row].segment in segments and world.joined(vma)]
    vmas, used, unmapped = life.vmas, life.used, life.unmapped

    def outside(vma: Vma) -> Vma | None:
        return None if gone else vma._replace(outside=True)

    for a, b, _ in windows:
        vmas = vmas.changed(a, b, outside)
        unmapped = lost(life, unmapped, a, b)
        if gone:
            used = used.set(a, b, None)
    kept = []
    for hooks in life.inside:
        mine = [hook for hook in hooks if hook.scope is not None and hook.scope.key.region in segments]
        for hook in mine:
            assert hook.scope is not None
            world.tables.leave(hook.scope.key, Reach(hook.run, hook.lo, hook.hi, 0, hook.role), count)
        kept.append(tuple(hook for hook in hooks if hook not in mine))
    return replace(life, vmas=vmas, used=used, inside=tuple(kept), unmapped=unmapped, figures={})


def forget_unused(world: World) -> None:
    """Let the tables of regions and file mms go that no process maps any more."""
    policy = world.ground.policy
    if not isinstance(policy, (Mshare, MapSharedPt)):
        return
    regions, files = set(), set()
    for cohort in world.population:
        mapped = cohort.state.figures.get("mapped")
        if mapped is None:
            rows = world.ground.rows
            vmas = [vma for _, _, vma in cohort.state.vmas]
            mapped = (
                {rows[vma.row].segment for vma in vmas if world.joined(vma)},
                {rows[vma.row].file for vma in vmas},
            )
            cohort.state.figures["mapped"] = mapped
        regions |= mapped[0]  # type: ignore[index]
        files |= mapped[1]  # type: ignore[index]
    for key in world.tables.sets:
        if (key.region not in regions) if key.region >= 0 else (key.file not in files):
            world.forget_left(key)
    if isinstance(policy, Mshare):
        for segment in [each for each in world.ground.regions if each not in regions]:
            del world.ground.regions[segment]
            world.ground.epoch += 1
    elif world.ground.context.settled:
        for file in [each for each in world.ground.context.settled if each not in files]:
            del world.ground.context.settled[file]
            world.ground.epoch += 1
