"""What touching, unmapping and changes of VMAs do to the tables of one process: from a `Life` to the next.

Rules 1-3 and 7 of docs/timeline.md.  Who may share, by which key, is what the policy says of the VMAs as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from ptcalc.engine.covers import BLOCKS, EXACT
from ptcalc.layout.rows import MADVISE, PROTECTIONS, THP, UFFD
from ptcalc.timeline.ground import HUGETLB, PRIVATE, Ground, Piece, hooks_of, scopes_of
from ptcalc.timeline.leaves import leaves_of, lost, with_leaves, without_leaves
from ptcalc.timeline.life import EACH, Hook, Hooks, Left, Life, Scope, Vma, mode, without
from ptcalc.timeline.runs import NOBODY, OWN, Run, cells_of
from ptcalc.timeline.sets import SharedTables
from ptcalc.timeline.vmas import bounds_of, copied_whole, settled
from ptcalc.workload.intervals import Intervals

Windows = list[tuple[int, int]]  # lo <= address < hi
NO_ACCESS = PROTECTIONS.index("none")
_OWN = "own"
_UNSHARING = (UFFD.index("wp"), UFFD.index("minor"))


def touch(
    ground: Ground,
    life: Life,
    parts: Sequence[Piece],
    others: Sequence[tuple[Sequence[Piece], int]] = (),
    times: int = 1,
    find: Callable[[Life, int, list[Hook]], list[Hook]] = lambda life, place, hooks: hooks,
) -> Life:
    """Let a process access the runs of some parts of its VMAs (addresses as mapped).

    ``others``: pieces of processes that make chunks of the page cache huge, and how many there are of each;
    ``times``: how many processes do this together; ``find``: which of several equal tables it finds at a level.
    """
    if not parts:
        return life
    leaves = leaves_of(ground, life)
    new = [part for piece in parts for part in _beside_leaves(ground, leaves, piece)]
    layout = ground.laid_out([pieces_of(ground, life.vmas, new), *(pieces for pieces, _ in others)])
    view, rule = ground.seen(layout, (times, *(many for _, many in others)))
    found = hooks_of(ground, view, rule, range(1))[0]
    counts = [times, *(many for _, many in others)]
    hooks = tuple(
        merged(old, find(life, place, [_counted(hook, counts) for hook in new]))
        for place, (old, (new, _)) in enumerate(zip(life.hooks, found, strict=True))
    )
    inside = tuple(merged(old, new) for old, (_, new) in zip(_levels(life.inside, ground), found, strict=True))
    fixed = [
        0 if (level := view.reached(place, rule)[0]).fixed is None else int(level.fixed[0])
        for place in range(len(ground.levels))
    ]
    used, vmas = life.used, life.vmas
    for piece in parts:
        for run in piece.runs:
            cut = run.cut(piece.lo, piece.hi)
            if cut is not None:
                ground.hold(piece.vma.row, cut)
    copied = [(lo, hi) for piece in parts if _copies(ground, piece) for lo, hi in _chunks_of(ground, piece)]
    unmapped = without_leaves(ground, life, copied).unmapped
    for piece in parts:
        row = ground.rows[piece.vma.row]
        for run in piece.runs:
            part = run.cut(piece.lo, piece.hi)
            if part is not None:
                for each in in_memory(ground, life, piece, part):
                    used = using(used, each)
                unmapped = unmapped.set(part.lo, part.hi, None)
        if not row.shared and piece.runs and (piece.written or reads_huge(ground, vmas, piece)):
            vmas = vmas.changed(piece.lo, piece.hi, lambda vma: vma._replace(copied=True))
    after = replace(
        life,
        vmas=vmas if vmas is life.vmas else copied_whole(ground, vmas),
        used=used,
        hooks=hooks,
        inside=inside,
        left=_came_back(life.left, hooks),
        fixed=tuple(map(max, fixed, life.fixed or [0] * len(fixed))),
        grown=max(life.grown, int(view.grown_vmpte()[0])),
        unmapped=unmapped,
        figures={},
    )
    return with_leaves(ground, after) if unmapped else after


def _copies(ground: Ground, piece: Piece) -> bool:
    """Tell whether what is touched of a file is written to private pages: they are copied one by one."""
    row = ground.rows[piece.vma.row]
    return not row.shared and (row.write if piece.written is None else piece.written)


def _chunks_of(ground: Ground, piece: Piece) -> Iterator[tuple[int, int]]:
    """Yield what lies by huge pages (as mapped) where a piece is touched."""
    size = ground.context.geometry.thp_size
    for run in piece.runs:
        cut = run.cut(piece.lo, piece.hi)
        for lo, hi in () if cut is None else cells_of(cut.moved(piece.vma.moved), size):
            yield max(lo * size - piece.vma.moved, piece.lo), min(hi * size - piece.vma.moved, piece.hi)


def _beside_leaves(ground: Ground, leaves: Intervals[bool], piece: Piece) -> list[Piece]:
    """Return what of a piece needs a table: what a leaf maps is there, whatever the flags would make of it now."""
    if not piece.runs or _copies(ground, piece):
        return [piece]
    return [replace(piece, lo=lo, hi=hi) for lo, hi, leaf in leaves.within(piece.lo, piece.hi) if not leaf]


def in_memory(ground: Ground, life: Life, piece: Piece, run: Run) -> list[Run]:
    """Return what is in use after a process has touched a run in a piece, and whose pages these are.

    What is written of a private mapping is copied.  Anonymous memory comes in huge pages where a whole one lies inside
    the VMA and no table with pages is there (mm/huge_memory.c:do_huge_pmd_anonymous_page, do_huge_pmd_wp_page).
    """
    row = ground.rows[piece.vma.row]
    if not _copies(ground, piece):
        return [run]
    run = run._replace(owner=OWN)
    size, moved = ground.context.geometry.thp_size, piece.vma.moved
    if row.backing != PRIVATE or run.is_drawn(size) or not advised(row.thp, piece.vma):
        return [run]
    out = [run]
    bounds = bounds_of(ground, life.vmas)
    for start, end, _ in life.vmas:
        part = run.cut(max(start, piece.lo), min(end, piece.hi))
        if part is None:
            continue
        chunks: Intervals[bool] = Intervals()
        for low, high in cells_of(part.moved(moved), size):
            chunks = chunks.set(max(low, -(-bounds[start][0] // size)), min(high, bounds[start][1] // size), True)
        for lo, hi, _ in _without_small(life, chunks, size, moved):
            out.append(Run(EXACT, lo * size - moved, hi * size - moved, 0, 0, 0, 0, run.each, run.domain, OWN))
    return out


def _without_small(life: Life, chunks: Intervals[bool], size: int, moved: int) -> Intervals[bool]:
    """Return chunks less those that have a PTE table with pages; what was only read may be the huge zero page."""
    free = chunks
    for lo, hi, _ in mode(life.hooks[0]):
        free = free.changed(lo, hi, lambda _: None)
    for lo, hi, _ in chunks:
        for start, end, runs in life.used.within(lo * size - moved, hi * size - moved):
            first, last = (start + moved) // size, -(-(end + moved) // size)
            if all(run.owner == NOBODY for run in runs):
                free = free.set(max(first, lo), min(last, hi), True)
    for lo, hi, _ in chunks:
        for start, end, runs in life.used.within(lo * size - moved, hi * size - moved):
            if any(run.owner != NOBODY for run in runs):
                free = free.set((start + moved) // size, -(-(end + moved) // size), None)
    return free


def reads_huge(ground: Ground, vmas: Intervals[Vma], piece: Piece) -> bool:
    """Tell whether reading makes an anon_vma: by a huge page it does (mm/huge_memory.c:do_huge_pmd_anonymous_page)."""
    row, size = ground.rows[piece.vma.row], ground.context.geometry.thp_size
    if row.backing == HUGETLB:  # a page that the file does not have (mm/hugetlb.c:hugetlb_no_page)
        cut = [run.cut(piece.lo, piece.hi) for run in piece.runs]
        return not all(ground.holds(piece.vma.row, run) for run in cut if run is not None)
    if row.backing != PRIVATE or not advised(row.thp, piece.vma):
        return False
    for lo, hi, vma in vmas.within(piece.lo, piece.hi):
        whole = next(((a, b) for a, b, each in vmas if a <= lo < b and each == vma), (lo, hi))
        first, last = -(-(whole[0] + vma.moved) // size) * size, (whole[1] + vma.moved) // size * size
        if max(first, lo + vma.moved) < min(last, hi + vma.moved):
            return True
    return False


def advised(thp: int, vma: Vma) -> bool:
    """Tell whether anonymous memory is mapped by huge pages where they fit."""
    if vma.madvise == MADVISE.index("nohugepage"):
        return False
    return thp in (THP.index("always"), THP.index("within_size")) or (
        thp == THP.index("advise") and vma.madvise == MADVISE.index("hugepage")
    )


def using(used: Intervals[tuple[Run, ...]], run: Run) -> Intervals[tuple[Run, ...]]:
    """Return what is in use with one more run."""
    return used.changed(run.lo, run.hi, lambda old: _joined(old, run), fill=(run,))


def _joined(old: tuple[Run, ...], run: Run) -> tuple[Run, ...]:
    """Return runs in use together with one more; a part of one that is there adds nothing."""
    if any(each.domain == run.domain and each.drawn == run.drawn and each.kind == run.kind for each in old):
        return old
    return (*(each for each in old if each.domain != run.domain), run)


def _counted(hook: Hook, counts: list[int]) -> Hook:
    """Return a hook whose ``times`` is a number of processes, not the place of their group."""
    return hook._replace(times=counts[hook.times]) if hook.role == BLOCKS else hook


def _levels(hooks: Hooks, ground: Ground) -> Hooks:
    return hooks or ((),) * len(ground.levels)


def pieces_of(ground: Ground, vmas: Intervals[Vma], parts: Sequence[Piece]) -> list[Piece]:
    """Return all VMAs as pieces, with the runs of those parts that lie in them."""
    out = []
    for lo, hi, vma in vmas:
        runs: dict[bool | None, dict[Run, None]] = {None: {}}
        for part in parts:
            if part.lo < hi and part.hi > lo:
                for run in part.runs:
                    cut = run.cut(max(lo, part.lo), min(hi, part.hi))
                    if cut is not None:
                        runs.setdefault(None if ground.rows[vma.row].shared else part.written, {})[cut] = None
        # Rows of one VMA: what is written of a private mapping is copied page by page.
        if len(runs) > 1 and not runs[None]:
            del runs[None]  # twice the same parts of a VMA that the page cache cuts would not be seen as one VMA
        out += [Piece(lo, hi, vma, tuple(touched), written) for written, touched in runs.items()]
    return out


def merged(old: tuple[Hook, ...], new: Iterable[Hook]) -> tuple[Hook, ...]:
    """Return hooks with new ones: a table that the process has is used as it is, in whatever scope."""
    new = list(new)
    if not new:
        return old
    if not old:
        return tuple(new)
    hooks = list(old)
    there = mode(old)
    for hook in new:
        if hook.role == BLOCKS:
            if hook not in hooks:
                hooks.append(hook)
            continue
        known = Intervals.of(hook.lo, hook.hi, True)
        for each in old:
            # A part of the same draw reaches no other tables than those it has.
            if each.run.domain == hook.run.domain and each.run.drawn == hook.run.drawn and each.role != BLOCKS:
                known = (
                    known.set(max(each.lo, hook.lo), min(each.hi, hook.hi), None)
                    if each.lo < hook.hi and each.hi > hook.lo
                    else known
                )
        for lo, hi, _ in known:
            reach = lo
            for start, end, scope in there.within(lo, hi):
                if reach < start:
                    hooks.append(hook._replace(lo=reach, hi=start))
                hooks.append(hook._replace(lo=start, hi=end, scope=None if isinstance(scope, str) else scope))
                reach = end
            if reach < hi:
                hooks.append(hook._replace(lo=reach, hi=hi))
    return tidy(hooks)


def tidy(hooks: list[Hook]) -> tuple[Hook, ...]:
    """Join hooks that go on where others end."""
    out: list[Hook] = []
    ends: dict[tuple[object, ...], int] = {}
    for hook in sorted(hooks, key=lambda each: each.lo):
        key = (hook.run, hook.scope, hook.role, hook.times)
        at = ends.get(key)
        if at is not None and out[at].hi >= hook.lo:
            out[at] = out[at]._replace(hi=max(out[at].hi, hook.hi))
        else:
            ends[key] = len(out)
            out.append(hook)
    return tuple(out)


def _came_back(left: tuple[Left, ...], hooks: Hooks) -> tuple[Left, ...]:
    """Return what a process has left of sets, less what it reaches again."""
    if not left:
        return left
    out = []
    for each in left:
        window = Intervals.of(each.lo, each.hi, True)
        for hook in hooks[each.key.place]:
            if hook.scope is not None and hook.scope.key == each.key and hook.run.domain == each.run.domain:
                lo, hi = hook.lo - hook.scope.shift, hook.hi - hook.scope.shift
                window = window.changed(lo, hi, lambda _: None)
        out += [each._replace(lo=lo, hi=hi) for lo, hi, _ in window]
    return tuple(out)


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
