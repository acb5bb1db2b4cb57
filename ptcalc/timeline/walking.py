"""What it costs to reach pages through page tables: rmap, reclaim, write protection, TLB shootdown.

A page of a file is mapped once for each distinct leaf table with an entry for it: one for each process that has it in
a table of its own, one for each set of shared tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ptcalc.engine.covers import BLOCKS, EXACT, RANDOM
from ptcalc.policies.mshare import Mshare
from ptcalc.timeline.ground import HUGETLB, PRIVATE, Ground, Piece
from ptcalc.timeline.leaves import leaves_of, mapped, may_have_leaves
from ptcalc.timeline.life import EACH, Hook, Hooks, Key, Life, Vma, mode
from ptcalc.timeline.mapcount import NOTHING, Claim, Spread, Tally, spreads_of, tally
from ptcalc.timeline.runs import Run, cells_of
from ptcalc.timeline.sets import hooked
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
    """Pages of a file that one process reaches by leaves of ``grain`` bytes.

    ``run`` lies on an axis on which the file begins at ``origin``; ``shift``: index of a table there less that on the
    axis of its set.
    """

    file: int
    key: Key | None
    run: Run
    origin: int
    shift: int
    place: int
    grain: int


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
    tables, flushed = 0.0, 0
    claims: dict[tuple[int, bool], Counter[Claim]] = {}  # by file; True: private memory, pages of each process
    shared: dict[Key, Counter[_Part]] = {}
    base = ground.context.geometry.base_page
    files = {file: (first, ground.cells.get(file, base)) for file, first, _ in ground.files_of(segment)}
    for key, left in _entries(world, segment).items():
        shared[key] = Counter(_within(left, files, lo, hi))
    filled = {key: _filled(ground, parts) for key, parts in shared.items()}
    for cohort in world.population:
        life = cohort.state
        if segment not in world.segments_of(life):
            continue
        parts = _within(_parts(world, life, segment), files, lo, hi)
        flushed += cohort.count if parts or _reaches(ground, life, filled) else 0
        own = [part for part in parts if part.key is None]
        for part in parts:
            if part.key is not None:
                shared.setdefault(part.key, Counter())[part] += cohort.count
        if own:
            tables += cohort.count * _tables(ground, Counter(own), _taken(life.hooks[0]), shared=False)
        for file, claim in _claims(own, files):
            apart = ground.file_backing(file) == PRIVATE
            claims.setdefault((file, apart), Counter())[claim] += cohort.count
    for key, reached in shared.items():
        taken = {each._replace(times=0): each.times for each in world.tables.hooked.get(key, {}) if each.role == BLOCKS}
        tables += _tables(ground, reached, taken, shared=True)
        for file, claim in _claims(reached, files, reached):
            claims.setdefault((file, False), Counter())[claim] += 1
    found = _met(claims, files)
    if not found.cells:
        return Walked(round(tables), 0, flushed, (0, 0.0, 0))
    per_page = max(1, round(found.least)), found.total / found.cells, max(1, round(found.most))
    return Walked(round(tables), round(found.entries), flushed, per_page)


def _filled(ground: Ground, parts: Iterable[_Part]) -> Intervals[bool]:
    """Return which tables of a set have entries, by index."""
    found: Intervals[bool] = Intervals()
    for part in parts:
        for lo, hi in cells_of(part.run, ground.span(part.place)):
            found = found.set(lo - part.shift, hi - part.shift, True)
    return found


def _reaches(ground: Ground, life: Life, filled: Mapping[Key, Intervals[bool]]) -> bool:
    """Tell whether a process has hooked a table that has entries, its own or those of others."""
    for key, reach in hooked(life):
        if key in filled and reach.role != BLOCKS:
            for lo, hi in cells_of(reach.run, ground.span(key.place)):
                low, high = max(lo - reach.shift, reach.lo), min(hi - reach.shift, reach.hi)
                if any(True for _ in filled[key].within(low, high)):
                    return True
    return False


def _met(claims: Mapping[tuple[int, bool], Mapping[Claim, int]], files: Mapping[int, tuple[int, int]]) -> Tally:
    found = NOTHING
    for (file, apart), each in claims.items():
        if apart:
            for claim, times in each.items():
                found = found.plus(tally({claim: 1}, files[file][1]), times)
        else:
            found = found.plus(tally(each, files[file][1]))
    return found


def _parts(world: World, life: Life, segment: int) -> list[_Part]:
    """Return the pages of a segment that a process has in use and in a table; kept with the process.

    Those in shared sets only as far as they are drawn, or the sets end with their last user: see `Entries`.
    """
    known = life.figures.get(f"parts {segment}")
    if known is not None:
        return known  # type: ignore[return-value]
    ground = world.ground
    windows: dict[_Part, Intervals[bool]] = {}
    for a, b, vma in life.vmas:
        row = ground.rows[vma.row]
        if row.segment != segment:
            continue
        for place, grain, lo, hi, by, hooks in _leaf_windows(world, life, a, b, vma):
            span = ground.span(place)
            origin = row.start - row.file_offset + by
            for hook in hooks[place]:
                low, high = max(lo, hook.lo * span), min(hi, hook.hi * span)
                if hook.role == BLOCKS or low >= high or not _of_segment(hook, segment):
                    continue
                key, shift = (None, 0) if hook.scope is None or hook.scope.key.copy == EACH else hook.scope
                for start, end, runs in mapped(life, low - by, high - by):
                    for run in runs:
                        # What is read of a huge page needs no table, and goes into one that is there.
                        other = (
                            hook.run.domain != run.domain
                            and hook.run.kind != EXACT
                            and not may_have_leaves(ground, row)
                        )
                        if other or (key is not None and _kept(ground, key) and run.kind != RANDOM):
                            continue
                        part = _Part(row.file, key, run.moved(by), origin, shift, place, grain)
                        windows[part] = windows.get(part, Intervals()).set(start + by, end + by, True)
    parts = [
        part._replace(run=cut)
        for part, window in windows.items()
        for lo, hi, _ in window
        for cut in [part.run.cut(lo, hi)]
        if cut is not None
    ]
    life.figures[f"parts {segment}"] = parts
    return parts


def _of_segment(hook: Hook, segment: int) -> bool:
    return hook.scope is None or hook.scope.key.region in (-1, segment)


def _kept(ground: Ground, key: Key) -> bool:
    """Tell whether the entries of a set are in `Entries`: those of hugetlb are known by who uses them."""
    return key.region >= 0 or ground.file_backing(key.file) != HUGETLB


def put(world: World, life: Life, touched: Iterable[Piece]) -> None:
    """Remember what a process, as it is now, has put into shared tables by touching some parts of its VMAs."""
    ground = world.ground
    for piece in touched:
        for lo, hi, vma in life.vmas.within(piece.lo, piece.hi):
            for place, size, first, last, by, hooks in _leaf_windows(world, life, lo, hi, vma):
                span = ground.span(place)
                segment = ground.rows[vma.row].segment
                mine = tuple(hook for hook in hooks[place] if _of_segment(hook, segment))
                for start, end, scope in mode(mine).within(first // span, -(-last // span)):
                    if isinstance(scope, str) or not _kept(ground, scope.key):
                        continue
                    for run in piece.runs:
                        cut = run.moved(by).cut(max(start * span, first), min(end * span, last))
                        if cut is not None and run.kind != RANDOM:
                            ground.entries.put(scope.key, size, cut.moved(-scope.shift * span))


def _leaf_windows(
    world: World, life: Life, lo: int, hi: int, vma: Vma
) -> Iterator[tuple[int, int, int, int, int, Hooks]]:
    """Yield by what leaf tables a part of a VMA (as mapped) may be mapped: (place, bytes that a leaf maps, from, to).

    Then by how much the addresses there are more than those as mapped, and the hooks that are meant.
    """
    ground, geometry = world.ground, world.ground.context.geometry
    row = ground.rows[vma.row]
    regional = isinstance(ground.policy, Mshare) and world.joined(vma)
    by, hooks = (ground.position(row, lo) - lo, life.inside) if regional else (vma.moved, life.hooks)
    if not any(hooks):
        return
    place = leaf_place(ground, row.page)
    yield place, row.page, lo + by, hi + by, by, hooks
    if not may_have_leaves(ground, row):
        return
    size = geometry.thp_size
    above = geometry.index[geometry.huge_pages[size]]
    if not regional:
        for first, last, leaf in leaves_of(ground, life).within(lo, hi):
            if leaf:
                yield above, size, first + by, last + by, by, hooks
    elif (row.start - row.file_offset + by) % size == 0:
        # Huge pages that the region has no PTE table for are mapped by leaves in its PMD tables.
        start = row.start - row.file_offset + by
        bare: Intervals[bool] = Intervals()
        for first, last, word in ground.huge.get(row.file, Intervals()):
            if word == "always":
                bare = bare.set((first + start) // size, (last + start) // size, True)
        mine = tuple(hook for hook in hooks[0] if _of_segment(hook, row.segment))
        for first, last, _ in (*world.tables.there(Key(0, (), -1, row.segment)), *mode(mine)):
            bare = bare.set(first, last, None)
        for first, last, _ in bare.within((lo + by) // size, -(-(hi + by) // size)):
            yield above, size, max(first * size, lo + by), min(last * size, hi + by), by, hooks


def _entries(world: World, segment: int) -> dict[Key, list[_Part]]:
    """Return the entries that shared tables have of a segment, and what those have drawn who have left them."""
    ground = world.ground
    found: dict[Key, list[_Part]] = {}
    for file, start, end in ground.files_of(segment):
        for key in ground.entries.sets:
            if key.region == segment or (key.region < 0 and key.file == file):
                origin = start if key.region >= 0 else key.name[-1]
                for size, run in ground.entries.runs(key):
                    cut = run.cut(origin, origin + end - start)
                    if cut is not None:
                        found.setdefault(key, []).append(_Part(file, key, cut, origin, 0, key.place, size))
        page = ground.cells.get(file, 0)
        for key, reaches in world.tables.idle.items():
            if key.place != leaf_place(ground, page) or (key.region != segment and key.file != file):
                continue
            for reach in reaches:
                span = ground.span(key.place)
                origin = start if key.region >= 0 else key.name[-1] + reach.shift * span
                window = Intervals.of((reach.lo + reach.shift) * span, (reach.hi + reach.shift) * span, True)
                for lo, hi, _ in world.pagecache.absent.get(segment, ()):
                    window = window.set(lo - start + origin, hi - start + origin, None)
                for lo, hi, _ in window.within(origin, origin + end - start) if reach.role != BLOCKS else ():
                    cut = reach.run.cut(lo, hi)
                    if cut is not None and cut.kind == RANDOM:
                        found.setdefault(key, []).append(_Part(file, key, cut, origin, reach.shift, key.place, page))
    return found


def _within(parts: list[_Part], files: dict[int, tuple[int, int]], lo: int, hi: int) -> list[_Part]:
    """Return parts as far as they lie between two positions of the segment."""
    if lo <= 0 and hi >= WHOLE:
        return parts
    out = []
    for part in parts:
        by = part.origin - files[part.file][0]
        cut = part.run.cut(lo + by, hi + by)
        if cut is not None:
            out.append(part._replace(run=cut))
    return out


def _claims(
    parts: Iterable[_Part], files: dict[int, tuple[int, int]], times: Mapping[_Part, int] | None = None
) -> Iterator[tuple[int, Claim]]:
    """Yield what an owner of tables has of each file; ``times``: how many processes have touched it there.

    A page that is mapped at two places has two tables.
    """
    spreads: dict[tuple[int, int, int], list[Spread]] = {}
    for part in parts:
        many = part.grain // files[part.file][1]
        place = 0 if times is not None else part.origin
        drawn = times[part] if times is not None and part.run.each else 1
        for each in spreads_of(part.run.moved(-part.origin), -WHOLE, WHOLE, 0, part.grain):
            spread = each._replace(lo=each.lo * many, hi=each.hi * many, empty=each.empty**drawn)
            spreads.setdefault((part.file, part.grain, place), []).append(spread)
    for (file, grain, _), found in spreads.items():
        yield file, Claim(tuple(found), grain)


def _tables(ground: Ground, parts: Mapping[_Part, int], taken: Mapping[Reach, int], *, shared: bool) -> float:
    """Return the tables with leaves of some parts; ``taken``: what is taken away of them by huge pages of others."""
    places: dict[int, dict[Reach, int]] = {}
    for part, times in parts.items():
        span = ground.span(part.place)
        lo, hi = part.run.lo // span - part.shift, -(-part.run.hi // span) - part.shift
        reaches = places.setdefault(part.place, {})
        reach = Reach(part.run, lo, hi, part.shift, 0)
        reaches[reach] = reaches.get(reach, 0) + times
    for reach, times in taken.items():
        if 0 in places:
            places[0][reach] = times
    return sum(count(reaches, ground.span(place), shared=shared).value for place, reaches in places.items())


def _taken(hooks: Iterable[Hook]) -> dict[Reach, int]:
    """Return what is taken away of a process's own PTE tables by huge pages of others."""
    return {
        Reach(hook.run, hook.lo, hook.hi, 0, hook.role, hook.times): hook.times
        for hook in hooks
        if hook.role == BLOCKS and hook.scope is None
    }


__all__ = ["Walked", "leaf_place", "own_walk", "put", "walk"]
