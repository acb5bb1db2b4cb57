"""hugetlb's shared PMD tables over time: which one a process finds, and who keeps one that others drop.

mm/hugetlb.c:huge_pmd_share looks at the VMAs of the file in the order of its tree (mm/interval_tree.c): by where they
begin in the file, then as they were put in.  The first with the flags of the VMA that asks and a table at the place
has the table that is used.  The flags are those of now, not those under which a table was made.  A VMA that is split is
put in anew, behind its equals (mm/vma.c:vma_prepare, vma_complete); a child's stands right behind its parent's
(kernel/fork.c:dup_mmap).

Where draws decide which tables there are, all that a draw may reach counts as there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import count, pairwise
from typing import TYPE_CHECKING, NamedTuple

from ptcalc.engine.covers import BLOCKS
from ptcalc.timeline.ground import HUGETLB, Ground
from ptcalc.timeline.hooks import tidy
from ptcalc.timeline.life import EACH, Hook, Key, Life, Scope, Vma, mode, without
from ptcalc.timeline.sets import SharedTables
from ptcalc.timeline.unhooking import allowed, unhooked
from ptcalc.workload.intervals import Intervals

if TYPE_CHECKING:
    from ptcalc.timeline.world import World
    from ptcalc.workload.population import Cohort


class Offer(NamedTuple):
    """Tables lo <= index < hi of an axis that a VMA has, for all with its flags (``under``) to find.

    ``begin``: where the VMA begins in the file; ``rank`` as in `Vma`.
    """

    under: Key
    lo: int
    hi: int
    key: Key
    begin: int
    rank: tuple[int, ...]


def place_in_tree(rank: tuple[int, ...], number: int) -> tuple[int, ...]:
    """Return where the VMA of the process of that number stands among those that begin at one place of the file.

    A rank has what came before, the sign by which the numbers of processes count (a later child stands before an
    earlier one), and the order among the VMAs of one process.
    """
    *before, sign, order = rank
    return (*before, sign * number, order)


def child_of(vma: Vma, number: int) -> Vma:
    """Return a VMA as the children of the process of that number have it: each right behind its parent's."""
    return vma._replace(rank=(*place_in_tree(vma.rank, number), -1, 0)) if vma.rank else vma


def put_anew(world: World, vmas: Intervals[Vma], lo: int, hi: int, new: Callable[[Vma], Vma | None]) -> Intervals[Vma]:
    """Return VMAs (as mapped) with a change from lo to hi; those of hugetlb that it splits or moves are put in anew.

    What the change leaves as it is has no border there.
    """
    out = vmas.changed(lo, hi, new)
    for a, b, vma in vmas:
        after = new(vma)
        edges = [a, *(edge for edge in (lo, hi) if a < edge < b), b]
        moves = a < hi and b > lo and after is not None and after.moved != vma.moved
        if vma.rank and after != vma and (len(edges) > 2 or moves):
            for start, end in pairwise(edges):
                rank = world.population.turn(), 1, 0
                out = out.changed(start, end, lambda each, rank=rank: each._replace(rank=rank))  # type: ignore[misc]
    return out


def offers_of(ground: Ground, life: Life) -> list[Offer]:
    """Return the tables of a process that others may find; kept with the process."""
    known = life.figures.get("offers")
    if known is None:
        known = life.figures["offers"] = list(_offers(ground, life)) if _shares(ground, life) else []
    return known  # type: ignore[return-value]


def _offers(ground: Ground, life: Life) -> Iterator[Offer]:
    for place, parts in enumerate(allowed(ground, life.vmas)):
        span = ground.span(place)
        for lo, hi, scope in parts:
            here = [each for each in life.hooks[place] if _is_shared(ground, each) and each.lo < hi and each.hi > lo]
            if not here:
                continue
            start, vma = next((a, vma) for a, b, vma in life.vmas if a <= lo * span - vma.moved < b)
            row = ground.rows[vma.row]
            begin = row.file_offset + start - row.start
            for each in here:
                assert each.scope is not None
                low, high = max(lo, each.lo) - scope.shift, min(hi, each.hi) - scope.shift
                yield Offer(scope.key, low, high, each.scope.key, begin, vma.rank)


def _is_shared(ground: Ground, hook: Hook) -> bool:
    """Tell whether a hook is of a PMD table that hugetlb shares."""
    scope = hook.scope
    return scope is not None and hook.role != BLOCKS and ground.file_backing(scope.key.file) == HUGETLB


def _shares(ground: Ground, life: Life) -> bool:
    return any(_is_shared(ground, hook) for hooks in life.hooks for hook in hooks)


def found(world: World, life: Life, place: int, hooks: Iterable[Hook]) -> list[Hook]:
    """Return the hooks of what a process touches, with the tables that it finds in place of those of its key."""
    out, has = [], mode(life.hooks[place])
    for hook in hooks:
        if not _is_shared(world.ground, hook):
            out.append(hook)
            continue
        assert hook.scope is not None
        shift = hook.scope.shift
        lacks = Intervals.of(hook.lo, hook.hi, True)
        for lo, hi, _ in has.within(hook.lo, hook.hi):
            out.append(hook._replace(lo=lo, hi=hi))
            lacks = lacks.set(lo, hi, None)
        for lo, hi, _ in lacks:
            for first, last, key in _partners(world, hook.scope.key, lo - shift, hi - shift):
                out.append(hook._replace(lo=first + shift, hi=last + shift, scope=Scope(key, shift)))
    return out


def _partners(world: World, under: Key, lo: int, hi: int) -> Iterator[tuple[int, int, Key]]:
    """Yield the sets whose tables one with the flags of a key hooks from lo to hi: those of the first who has any."""
    none = Intervals.of(lo, hi, True)
    for cohort, offer in _offered(world, under, lo, hi):
        for first, last, _ in list(none.within(offer.lo, offer.hi)):
            if offer.key.copy == EACH:
                _open(world, cohort, offer, first, last)
                for low, high, _ in none:
                    yield from _partners(world, under, low, high)
                return
            yield first, last, offer.key
            none = none.set(first, last, None)
    for first, last, _ in none:
        yield from _unused(world.tables, under, first, last)


def _offered(world: World, under: Key, lo: int, hi: int) -> list[tuple[Cohort[Life], Offer]]:
    """Return what one with the flags of a key may find from lo to hi, in the order of the tree."""
    offered = [
        (offer.begin, place_in_tree(offer.rank, _leading(cohort, offer.rank)), cohort, offer)
        for cohort in world.population
        for offer in offers_of(world.ground, cohort.state)
        if offer.under == under and offer.lo < hi and offer.hi > lo
    ]
    return [(cohort, offer) for _, _, cohort, offer in sorted(offered, key=lambda each: each[:2])]


def _leading(cohort: Cohort[Life], rank: tuple[int, ...]) -> int:
    """Return the number of the process whose VMA stands first in the tree."""
    return cohort.numbers[0].start if rank[-2] > 0 else cohort.numbers[-1].stop - 1


def _unused(tables: SharedTables, key: Key, lo: int, hi: int) -> Iterator[tuple[int, int, Key]]:
    """Yield sets of a key that have no table from lo to hi, the first of each: (from, to, set)."""
    left = [(lo, hi)]
    for number in count():
        which, again = key._replace(copy=number), []  # type: Key, list[tuple[int, int]]
        for first, last in left:
            for low, high, many in tables.users(which, first, last):
                if many:
                    again.append((low, high))
                else:
                    yield low, high, which
        left = again
        if not left:
            return


def _open(world: World, cohort: Cohort[Life], offer: Offer, lo: int, hi: int) -> None:
    """Let tables that each process of a cohort has by itself be of a set of their own, for the first in the tree."""
    one = cohort
    if cohort.count > 1:
        forwards = offer.rank[-2] > 0
        other = world.part(cohort, 1 if forwards else cohort.count - 1)
        one = other if forwards else cohort
    level: list[Hook] = []
    for hook in one.state.hooks[offer.key.place]:
        if hook.scope is None or hook.scope.key != offer.key:
            level.append(hook)
            continue
        shift = hook.scope.shift
        first, last = max(hook.lo, lo + shift), min(hook.hi, hi + shift)
        level += without((hook,), first, last)
        for low, high, key in _unused(world.tables, offer.key, first - shift, last - shift) if first < last else ():
            level.append(hook._replace(lo=low + shift, hi=high + shift, scope=Scope(key, shift)))
    hooks = list(one.state.hooks)
    hooks[offer.key.place] = tidy(level)
    world.become(one, replace(one.state, hooks=tuple(hooks), figures={}))


def dropped(world: World, segment: int, lo: int, hi: int) -> None:
    """Let the VMAs of a segment drop the shared tables that hold a part of it (offsets as written), one by one.

    fs/hugetlbfs/inode.c:hugetlb_vmdelete_list, in the order of the tree: the last one keeps what all others drop.
    """
    ground = world.ground
    for cohort in list(world.population):
        ranks = [vma.rank for _, _, vma in cohort.state.vmas if vma.rank and ground.rows[vma.row].segment == segment]
        if _shares(ground, cohort.state):
            rest = cohort
            if rest.count > 1 and any(rank[-2] > 0 for rank in ranks):
                rest = world.part(cohort, cohort.count - 1)
            if rest.count > 1 and any(rank[-2] < 0 for rank in ranks):
                world.part(rest, 1)
    mappers = []
    for cohort in world.population:
        for a, b, vma in cohort.state.vmas if _shares(ground, cohort.state) else ():
            row = ground.rows[vma.row]
            low, high = max(a, lo + row.delta), min(b, hi + row.delta)
            if row.segment == segment and vma.rank and low < high:
                last = max(place_in_tree(vma.rank, n) for n in (cohort.numbers[0].start, cohort.numbers[-1].stop - 1))
                window = low + vma.moved, high + vma.moved
                mappers.append((row.file_offset + a - row.start, last, cohort, window))
    for _, _, cohort, window in sorted(mappers, key=lambda each: each[:2]):
        world.become(cohort, unhooked(ground, cohort.state, cohort.state.vmas, world.tables, [window]))
