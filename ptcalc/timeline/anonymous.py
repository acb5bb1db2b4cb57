"""What private mappings bring into memory: copies of pages, and huge pages of anonymous memory."""

from __future__ import annotations

from ptcalc.engine.covers import EXACT
from ptcalc.layout.rows import MADVISE, THP
from ptcalc.timeline.ground import HUGETLB, PRIVATE, Ground, Piece
from ptcalc.timeline.life import Life, Vma, mode
from ptcalc.timeline.runs import NOBODY, OWN, Run, cells_of
from ptcalc.timeline.vmas import bounds_of
from ptcalc.workload.intervals import Intervals


def copies_pages(ground: Ground, piece: Piece) -> bool:
    """Tell whether what is touched of a file is written to private pages: they are copied one by one."""
    row = ground.rows[piece.vma.row]
    return not row.shared and (row.write if piece.written is None else piece.written)


def in_memory(ground: Ground, life: Life, piece: Piece, run: Run) -> list[Run]:
    """Return what is in use after a process has touched a run in a piece, and whose pages these are.

    What is written of a private mapping is copied.  Anonymous memory comes in huge pages where a whole one lies inside
    the VMA and no table with pages is there (mm/huge_memory.c:do_huge_pmd_anonymous_page, do_huge_pmd_wp_page).
    """
    row = ground.rows[piece.vma.row]
    if not copies_pages(ground, piece):
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
    free = chunks.less(mode(life.hooks[0]))
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
