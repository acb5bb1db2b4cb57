"""What changes of VMAs and unmapping take from one process (rules 2 and 3 of docs/timeline.md).

Who may share, by which key, is what the policy says of the VMAs as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ptcalc.engine.covers import BLOCKS
from ptcalc.timeline.ground import HUGETLB, Ground, Piece, scopes_of
from ptcalc.timeline.hooks import tidy
from ptcalc.timeline.leaves import lost
from ptcalc.timeline.life import EACH, Hook, Hooks, Left, Life, Scope, Vma, without
from ptcalc.timeline.sets import SharedTables
from ptcalc.timeline.vmas import settled
from ptcalc.workload.intervals import Intervals

Windows = list[tuple[int, int]]  # lo <= address < hi
_OWN = "own"


def allowed(ground: Ground, vmas: Intervals[Vma]) -> list[list[tuple[int, int, Scope]]]:
    """Return, level by level, the tables (by address) that the VMAs may hook of shared sets."""
    out: list[list[tuple[int, int, Scope]]] = [[] for _ in ground.levels]
    if not vmas:
        return out
    layout = ground.laid_out([[Piece(lo, hi, vma) for lo, hi, vma in vmas]])
    view, rule = ground.seen(layout, (1,))
    if rule is None:
        return out
    for place, level in enumerate(ground.levels):
        sharing = rule(view, level.name)
        if sharing is None or not sharing.may.any():
            continue
        span = ground.span(place)
        whole = view.wholes(span, sharing)
        for vma, scope in scopes_of(view, sharing, view.sets(sharing, span), place):
            lo, hi = int(whole.low[vma]), int(whole.high[vma])
            if lo < hi:
                out[place].append((lo, hi, scope))
    return out


def unhooked(
    ground: Ground,
    life: Life,
    vmas: Intervals[Vma],
    tables: SharedTables,
    taken: Sequence[tuple[int, int]] = (),
) -> Life:
    """Return a process with other VMAs, less the shared tables that it may not have there.

    ``taken``: address ranges of which every shared table goes that holds a part.  Tables reached through one that goes
    go with it.  hugetlb's last user keeps its table as it is (mm/hugetlb.c:huge_pmd_unshare), and so does who alone
    ever had one where tables become shared with the second process.
    """
    before, life = life, replace(life, vmas=settled(ground, vmas), figures={})
    hugetlb = any(ground.rows[vma.row].backing == HUGETLB for _, _, vma in vmas)
    if not hugetlb and not any(hook.scope is not None for hooks in life.hooks for hook in hooks):
        return life
    unmapped = life.unmapped
    may = allowed(ground, vmas)
    hooks, left = [list(each) for each in life.hooks], list(life.left)
    unshared = (*taken, *_protected(ground, before.vmas, vmas))
    for place in range(len(hooks) - 1, -1, -1):
        span = ground.span(place)
        gone = [
            (lo, hi, hook.scope)
            for hook in hooks[place]
            if hook.scope is not None and hook.role != BLOCKS
            for lo, hi in (
                _not_alone(tables, hook.scope, _gone(hook, span, _places(may[place], hook.scope), unshared))
                if ground.file_backing(hook.scope.key.file) == HUGETLB
                else _gone(hook, span, [part for part in may[place] if part[2] == hook.scope], taken)
            )
        ]
        for lo, hi, scope in gone:
            dropped = Intervals.of(lo, hi, True)
            for first, last in _lone(tables, scope, lo, hi) if ground.adopts(scope.key) else ():
                hooks[place] = _rekeyed(tables, hooks[place], scope, first, last, may[place])
                dropped = dropped.set(first, last, None)
            for first, last, _ in dropped:
                _drop(ground, tables, hooks, left, place, scope, first, last)
                for a, b, vma in before.vmas:
                    low, high = max(a, first * span - vma.moved), min(b, last * span - vma.moved)
                    unmapped = lost(life, unmapped, low, high)
        if hugetlb:
            hooks[place] = _kept(ground, hooks[place], may[place])
    return replace(life, hooks=tuple(map(tidy, hooks)), left=tuple(left), unmapped=unmapped)


def _drop(
    ground: Ground, tables: SharedTables, hooks: list[list[Hook]], left: list[Left], place: int, scope: Scope, lo: int,
    hi: int,
) -> None:  # fmt: skip
    """Take tables lo <= index < hi of a set from a process, and all that it reaches through them."""
    for below in range(place + 1):
        ratio = ground.span(place) // ground.span(below)
        start, end = lo * ratio, hi * ratio
        dropped = [
            each
            for each in hooks[below]
            if each.lo < end and each.hi > start and (below < place or each.scope == scope)
        ]
        for each in dropped:
            if each.scope is not None:
                shift = each.scope.shift
                low, high = max(start, each.lo) - shift, min(end, each.hi) - shift
                left += [_leave(each, a + shift, b + shift) for a, b in tables.staying(each.scope.key, low, high)]
        if dropped:
            rest = [each for each in hooks[below] if each not in dropped]
            hooks[below] = [*rest, *without(tuple(dropped), start, end)]


def _gone(
    hook: Hook, span: int, may: list[tuple[int, int, Scope]], taken: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return the tables of a hook (by index) that its process may not have any more."""
    stays = Intervals.of(hook.lo, hook.hi, False)
    for lo, hi, _ in may:
        if lo < hook.hi and hi > hook.lo:
            stays = stays.set(max(lo, hook.lo), min(hi, hook.hi), True)
    for lo, hi in taken:
        first, last = max(lo // span, hook.lo), min(-(-hi // span), hook.hi)
        if first < last:
            stays = stays.set(first, last, False)
    return [(lo, hi) for lo, hi, stay in stays if not stay]


def _lone(tables: SharedTables, scope: Scope, lo: int, hi: int) -> list[tuple[int, int]]:
    """Return the tables of a set (by address) that one process alone has."""
    found = tables.lone(scope.key, lo - scope.shift, hi - scope.shift)
    return [(first + scope.shift, last + scope.shift) for first, last in found]


def owned(ground: Ground, tables: SharedTables, hooks: tuple[Hook, ...], lo: int, hi: int) -> tuple[Hook, ...]:
    """Return hooks of a level where the tables lo <= index < hi that a process alone has are of no set any more."""
    out: list[Hook] = []
    for hook in hooks:
        first, last = max(hook.lo, lo), min(hook.hi, hi)
        if hook.scope is None or first >= last or not ground.adopts(hook.scope.key):
            out.append(hook)
            continue
        rest: tuple[Hook, ...] = (hook,)
        for a, b in _lone(tables, hook.scope, first, last):
            rest = without(rest, a, b)
            out.append(hook._replace(lo=a, hi=b, scope=None))
        out += rest
    return tuple(out)


def _rekeyed(
    tables: SharedTables, hooks: list[Hook], hooked: Scope, lo: int, hi: int, may: list[tuple[int, int, Scope]]
) -> list[Hook]:
    """Return hooks where the tables from lo to hi of a set are of that which they fit in now, or the process's own."""
    out = [each for each in hooks if each.scope != hooked]
    for each in hooks:
        if each.scope != hooked:
            continue
        out += without((each,), lo, hi)
        low, high = max(each.lo, lo), min(each.hi, hi)
        if low >= high:
            continue
        fits: Intervals[Scope | str] = Intervals.of(low, high, _OWN)
        for first, last, scope in may:
            first, last = max(first, low), min(last, high)
            if first >= last:
                continue
            low_at, high_at = first - scope.shift, last - scope.shift
            for start, end in [(low_at, high_at)] if scope == hooked else tables.vacant(scope.key, low_at, high_at):
                fits = fits.set(start + scope.shift, end + scope.shift, scope)
        out += [
            each._replace(lo=start, hi=end, scope=None if isinstance(scope, str) else scope)
            for start, end, scope in fits
        ]
    return out


def _places(may: list[tuple[int, int, Scope]], hooked: Scope) -> list[tuple[int, int, Scope]]:
    """Return where tables of hugetlb may stay that are hooked.

    mm/hugetlb.c: advice, soft-dirty and registration for missing pages change the flags by which the next table is
    found, not those that are there.  What remains of a key is the file, and the phase.
    """
    return [
        part
        for part in may
        if (part[2].key.file, part[2].shift, part[2].key.name[-1])
        == (hooked.key.file, hooked.shift, hooked.key.name[-1])
    ]


def _protected(ground: Ground, before: Intervals[Vma], after: Intervals[Vma]) -> Windows:
    """Return the parts of hugetlb (addresses of now) whose protection changes: mprotect drops what is shared there."""
    return [
        (max(a, lo) + new.moved, min(b, hi) + new.moved)
        for a, b, old in before
        if ground.rows[old.row].backing == HUGETLB
        for lo, hi, new in after.within(a, b)
        if new.protection != old.protection
    ]


def _not_alone(tables: SharedTables, scope: Scope, parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return those of some tables of hugetlb (by address) that somebody else has, too."""
    if scope.key.copy == EACH:
        return []
    return [
        (first + scope.shift, last + scope.shift)
        for lo, hi in parts
        for first, last, many in tables.users(scope.key, lo - scope.shift, hi - scope.shift)
        if many > 1
    ]


def _kept(ground: Ground, hooks: list[Hook], may: list[tuple[int, int, Scope]]) -> list[Hook]:
    """Return hooks where hugetlb's tables are private that nobody else may find now, and those that one may are not."""
    fits = [part for part in may if ground.file_backing(part[2].key.file) == HUGETLB]
    out = []
    for hook in hooks:
        shared = hook.scope is not None and hook.role != BLOCKS
        if shared and ground.file_backing(hook.scope.key.file) != HUGETLB:  # type: ignore[union-attr]
            out.append(hook)
            continue
        here: Intervals[Scope | None] = Intervals()
        for lo, hi, scope in fits:
            if lo < hook.hi and hi > hook.lo:
                kept = hook.scope if shared else scope._replace(key=scope.key._replace(copy=EACH))
                here = here.set(max(lo, hook.lo), min(hi, hook.hi), kept)
        reach = hook.lo
        for lo, hi, each in (*here, (hook.hi, hook.hi, None)):
            if reach < lo:
                out.append(hook._replace(lo=reach, hi=lo, scope=None))
            if lo < hi:
                out.append(hook._replace(lo=lo, hi=hi, scope=each))
            reach = hi
    return out


def _leave(hook: Hook, lo: int, hi: int) -> Left:
    assert hook.scope is not None
    lo, hi = max(lo, hook.lo), min(hi, hook.hi)
    return Left(
        hook.scope.key, hook.run, lo - hook.scope.shift, hi - hook.scope.shift, hook.scope.shift, hook.role, hook.times
    )


def freed(ground: Ground, hooks: Hooks, vmas: Intervals[Vma], gone: Windows) -> Hooks:
    """Return hooks less the own tables in whose whole span no VMA is left after some windows were unmapped.

    mm/memory.c:free_pgtables, whose floor and ceiling are the neighbouring VMAs.
    """
    here = sorted((lo + vma.moved, hi + vma.moved) for lo, hi, vma in vmas)
    out = list(hooks)
    for lo, hi in gone:
        before = max((end for start, end in here if start < hi and end <= lo), default=None)
        after = min((start for start, _ in here if start >= hi), default=None)
        for place in range(len(out)):
            span = ground.span(place)
            first = lo // span if before is None else max(lo // span, -(-before // span))
            last = -(-hi // span) if after is None else min(-(-hi // span), after // span)
            if first < last:
                out[place] = without(out[place], first, last)
    return tuple(out)
