"""What touching does to the tables of one process: from a `Life` to the next (rule 1 of docs/timeline.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ptcalc.engine.covers import BLOCKS
from ptcalc.timeline.anonymous import copies_pages, in_memory, reads_huge, using
from ptcalc.timeline.ground import Ground, Piece, hooks_of
from ptcalc.timeline.hooks import merged
from ptcalc.timeline.leaves import leaves_of, with_leaves, without_leaves
from ptcalc.timeline.life import Hook, Hooks, Left, Life, Vma
from ptcalc.timeline.runs import Run, cells_of
from ptcalc.timeline.vmas import copied_whole
from ptcalc.workload.intervals import Intervals


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
    copied = [(lo, hi) for piece in parts if copies_pages(ground, piece) for lo, hi in _chunks_of(ground, piece)]
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


def _chunks_of(ground: Ground, piece: Piece) -> Iterator[tuple[int, int]]:
    """Yield what lies by huge pages (as mapped) where a piece is touched."""
    size = ground.context.geometry.thp_size
    for run in piece.runs:
        cut = run.cut(piece.lo, piece.hi)
        for lo, hi in () if cut is None else cells_of(cut.moved(piece.vma.moved), size):
            yield max(lo * size - piece.vma.moved, piece.lo), min(hi * size - piece.vma.moved, piece.hi)


def _beside_leaves(ground: Ground, leaves: Intervals[bool], piece: Piece) -> list[Piece]:
    """Return what of a piece needs a table: what a leaf maps is there, whatever the flags would make of it now."""
    if not piece.runs or copies_pages(ground, piece):
        return [piece]
    return [replace(piece, lo=lo, hi=hi) for lo, hi, leaf in leaves.within(piece.lo, piece.hi) if not leaf]


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
