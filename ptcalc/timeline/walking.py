"""What it costs to reach pages through page tables: rmap, reclaim, write protection, TLB shootdown.

A page of a file is mapped once for each distinct leaf table with an entry for it: one for each process that has it in
a table of its own, one for each set of shared tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ptcalc.engine.covers import BLOCKS, EXACT, RANDOM
from ptcalc.timeline.ground import Ground
from ptcalc.timeline.life import Hook, Key, Life, Scope, mode
from ptcalc.timeline.runs import Run
from ptcalc.timeline.tables import Reach, count
from ptcalc.workload.intervals import Intervals

if TYPE_CHECKING:
    from ptcalc.timeline.world import World

WHOLE = 1 << 62


class Walked(NamedTuple):
    """What reaching all pages of a part of a segment visits (see `ptcalc.timeline.result.Walk`)."""

    tables: int
    entries: int
    flushed: int
    per_page: tuple[int, float, int]


class _Part(NamedTuple):
    """Pages from lo to hi of a segment that one process has in use, with the probability that it has one of them."""

    lo: int
    hi: int
    share: float
    key: Key | None


def leaf_place(ground: Ground, page: int) -> int:
    """Return the place of the level whose tables hold leaves of that size."""
    geometry = ground.context.geometry
    name = geometry.huge_pages.get(page)
    return 0 if name is None or page == geometry.base_page else geometry.index[name]


def own_walk(ground: Ground, life: Life, lo: int, hi: int) -> tuple[int, int]:
    """Return the leaf tables, and the entries in use, by which one process maps what lies from lo to hi (as mapped)."""
    whole = lo <= 0 and hi >= WHOLE
    known = life.figures.get("walk") if whole else None
    if known is not None:
        return known  # type: ignore[return-value]
    tables = entries = 0.0
    for place, page, windows in _windows(ground, life, lo, hi):
        span = ground.span(place)
        reaches: dict[Reach, int] = {}
        for hook in (*life.hooks[place], *life.inside[place]):
            if hook.role == BLOCKS:
                continue
            region = hook.scope is not None and hook.scope.key.region >= 0
            for low, high in [(-WHOLE, WHOLE)] if region else [(a // span, -(-b // span)) for a, b in windows]:
                first, last = max(low, hook.lo), min(high, hook.hi)
                if first < last:
                    reaches[Reach(hook.run, first, last, 0, 0)] = 1
        tables += count(reaches, span, shared=False).value
        pages: dict[Reach, int] = {}
        for a, b, vma in life.vmas.within(lo, hi):
            if ground.rows[vma.row].page == page:
                for start, end, runs in life.used.within(a, b):
                    for run in runs:
                        pages[Reach(run, start // page, -(-end // page), 0, 0)] = 1
        entries += count(pages, page, shared=False).value
    found = round(tables), round(entries)
    if whole:
        life.figures["walk"] = found
    return found


def _windows(ground: Ground, life: Life, lo: int, hi: int) -> list[tuple[int, int, list[tuple[int, int]]]]:
    """Return, for each page size, the place of its leaf tables and the windows (by address) of its VMAs."""
    out: dict[int, list[tuple[int, int]]] = {}
    for a, b, vma in life.vmas.within(lo, hi):
        windows = out.setdefault(ground.rows[vma.row].page, [])
        if windows and windows[-1][1] == a + vma.moved:
            windows[-1] = (windows[-1][0], b + vma.moved)
        else:
            windows.append((a + vma.moved, b + vma.moved))
    return [(leaf_place(ground, page), page, windows) for page, windows in out.items()]


def walk(world: World, segment: int, lo: int = 0, hi: int = WHOLE) -> Walked:
    """Return what reaching all pages of a segment (positions from lo to hi, as mapped) visits."""
    ground = world.ground
    name = list(ground.plan.segments)[segment]
    page = ground.plan.segments[name].page
    place = leaf_place(ground, page)
    span = ground.span(place)
    tables = 0.0
    flushed = 0
    edges: dict[int, list[tuple[int, float, int, Key | None]]] = {}
    shared: dict[Key, dict[Reach, int]] = {}
    for cohort in world.population:
        life = cohort.state
        if segment not in world.segments_of(life):
            continue
        parts, own = _parts(world, life, segment, place)
        here = [part for part in parts if part.lo < hi and part.hi > lo]
        if here:
            flushed += cohort.count
        for part in here:
            low, high = max(part.lo, lo), min(part.hi, hi)
            edges.setdefault(low, []).append((cohort.count, part.share, +1, part.key))
            edges.setdefault(high, []).append((cohort.count, part.share, -1, part.key))
        tables += cohort.count * _own_tables(ground, life, own, segment, lo, hi, span, world)
    for key in world.tables.hooked:
        if key.place == place and (
            key.region == segment or (key.region < 0 and key.file in world.file_numbers(segment))
        ):
            shared[key] = world.tables.hooked[key]
            first, last = world.axis_window(key, segment, lo, hi, span)
            clipped = {
                reach._replace(lo=max(reach.lo, first), hi=min(reach.hi, last), times=0): (
                    reach.times if reach.role == BLOCKS else times
                )
                for reach, times in shared[key].items()
                if reach.lo < last and reach.hi > first
            }
            tables += count(clipped, span, shared=True).value
    entries, per_page = _swept(edges, page)
    return Walked(round(tables), round(entries), flushed, per_page)


def _parts(world: World, life: Life, segment: int, place: int) -> tuple[list[_Part], list[Hook]]:
    """Return the pages of a segment that a process has in use, and its own leaf tables; kept with the process."""
    known = life.figures.get(f"parts {segment}")
    if known is not None:
        return known  # type: ignore[return-value]
    ground = world.ground
    scopes: Intervals[Scope | str] = mode(life.hooks[place])
    span = ground.span(place)
    parts: list[_Part] = []
    for a, b, vma in life.vmas:
        row = ground.rows[vma.row]
        if row.segment != segment:
            continue
        shift = ground.position(row, a) - a
        region = Key(place, (), -1, segment) if world.joined(vma) and life.inside and any(life.inside) else None
        for start, end, runs in life.used.within(a, b):
            share = _share(runs, row.page)
            if region is not None:
                parts.append(_Part(start + shift, end + shift, share, region))
                continue
            low, high = (start + vma.moved) // span, -(-(end + vma.moved) // span)
            for first, last, scope in scopes.within(low, high):
                key = None if isinstance(scope, str) else scope.key
                left = max(start, first * span - vma.moved) + shift
                right = min(end, last * span - vma.moved) + shift
                if left < right:
                    parts.append(_Part(left, right, share, key))
    own = [hook for hook in life.hooks[place] if hook.scope is None]
    life.figures[f"parts {segment}"] = parts, own
    return parts, own


def _share(runs: tuple[Run, ...], page: int) -> float:
    """Return the probability that a page of some runs is touched."""
    empty = 1.0
    for run in runs:
        if run.kind == EXACT:
            return 1.0
        if run.kind == RANDOM:
            empty *= (1 - run.drawn / run.slots) ** max(1, page // max(run.step, 1))
        else:
            empty *= 1 - min(1.0, page / run.step)
    return 1 - empty


def _own_tables(
    ground: Ground, life: Life, own: list[Hook], segment: int, lo: int, hi: int, span: int, world: World
) -> float:
    """Return the leaf tables of its own by which a process maps a part of a segment."""
    name = f"own {segment} {lo} {hi}"
    known = life.figures.get(name)
    if known is None:
        reaches: dict[Reach, int] = {}
        for a, b, vma in life.vmas:
            row = ground.rows[vma.row]
            if row.segment != segment:
                continue
            shift = ground.position(row, a) - a
            low, high = max(a, lo - shift), min(b, hi - shift)
            if low >= high:
                continue
            first, last = (low + vma.moved) // span, -(-(high + vma.moved) // span)
            for hook in own:
                start, end = max(hook.lo, first), min(hook.hi, last)
                if start < end:
                    reaches[Reach(hook.run, start, end, 0, hook.role, hook.times)] = hook.times or 1
        known = life.figures[name] = count(reaches, span, shared=False).value if reaches else 0.0
    return known  # type: ignore[return-value]


def _swept(
    edges: dict[int, list[tuple[int, float, int, Key | None]]], page: int
) -> tuple[float, tuple[int, float, int]]:
    """Return the entries that map pages, and how many of them one mapped page has: least, mean and most."""
    own: dict[float, int] = {}
    keys: dict[Key, dict[float, int]] = {}
    entries = mapped = 0.0
    least, most, before = float("inf"), 0.0, 0
    for at in sorted(edges):
        if own or keys:
            many, none = 0.0, 1.0
            for share, times in own.items():
                many += share * times
                none *= (1 - share) ** times if none else 0
            for shares in keys.values():
                empty = 1.0
                for share, times in shares.items():
                    empty *= (1 - share) ** times
                many += 1 - empty
                none *= empty
            pages = (at - before) / page
            if many > 0 and pages > 0:
                entries += many * pages
                mapped += (1 - none) * pages
                mean = many / (1 - none) if none < 1 else 0.0
                least, most = min(least, mean if none == 0 else 1.0), max(most, mean)
        before = at
        for times, share, sign, key in edges[at]:
            where = own if key is None else keys.setdefault(key, {})
            now = where.get(share, 0) + sign * times
            if now:
                where[share] = now
            else:
                where.pop(share, None)
                if key is not None and not where:
                    del keys[key]
    if not mapped:
        return 0.0, (0, 0.0, 0)
    return entries, (max(1, round(least)), entries / mapped, max(1, round(most)))


__all__ = ["Walked", "leaf_place", "own_walk", "walk"]
