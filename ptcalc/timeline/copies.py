"""Private copies of pages over time: those of one process, and those that fork left common until somebody writes.

mm/memory.c:copy_present_ptes, wp_page_copy: fork maps the parent's pages in the child; who writes to one gets a page of
its own, and the old one stays as long as anybody maps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from ptcalc.engine.covers import RANDOM
from ptcalc.layout.rows import MADVISE
from ptcalc.policies import residency
from ptcalc.timeline.anonymous import advised
from ptcalc.timeline.ground import Ground, Piece
from ptcalc.timeline.life import Life
from ptcalc.timeline.runs import OWN, Run
from ptcalc.timeline.tables import Reach, count
from ptcalc.timeline.touching import pieces_of
from ptcalc.workload.intervals import Intervals
from ptcalc.workload.population import Cohort

_SMALL = MADVISE.index("nohugepage")


def forked(used: Intervals[tuple[Run, ...]], fork: int) -> Intervals[tuple[Run, ...]]:
    """Return what a process uses, its own copies as those that parent and children have in common since a fork."""
    return Intervals(
        tuple(
            (lo, hi, tuple(run._replace(owner=fork) if run.owner == OWN else run for run in runs))
            for lo, hi, runs in used
        )
    )


def own_copies(ground: Ground, life: Life) -> tuple[int, ...]:
    """Return the private copies that one process alone has, by segment, bytes.

    Of huge pages, what is in use is all that they brought (`in_memory`); only a draw is counted in those that it would
    bring.  A page that it has written over one that it had in common with others is a base page
    (mm/huge_memory.c:do_huge_pmd_wp_page splits).
    """
    known = life.figures.get("copies")
    if known is None:
        parts: list[Piece] = []
        over: list[Piece] = []
        for lo, hi, vma in life.vmas:
            for a, b, runs in life.used.within(lo, hi):
                own = tuple(run for run in runs if run.owner == OWN)
                if own:
                    common = any(run.owner > OWN for run in runs)
                    (over if common else parts).append(Piece(a, b, vma, own, written=True))
        found = (_bytes(ground, life, parts), _bytes(ground, life, over, small=True))
        known = life.figures["copies"] = tuple(map(sum, zip(*found, strict=True)))
    return known  # type: ignore[return-value]


def common_copies(ground: Ground, cohorts: Iterable[Cohort[Life]]) -> list[int]:
    """Return the pages that forks left common and somebody still has, by segment, bytes.

    Where draws decide who has written over them, the expectation.
    """
    total = [0.0] * len(ground.plan.segments)
    for parts in _common_parts(cohorts).values():
        for share, life, pieces in _left(parts, ground.context.geometry.base_page):
            for segment, size in enumerate(_bytes(ground, life, pieces)):
                total[segment] += share * size
    return [round(each) for each in total]


def freed_by_one(ground: Ground, cohorts: Sequence[Cohort[Life]], one: Cohort[Life]) -> int:
    """Return the private copies that the end of one process of a cohort gives back, bytes."""
    own = sum(own_copies(ground, one.state))
    if not _has_common(one.state):
        return own
    others = [cohort for cohort in cohorts if cohort is not one]
    if one.count > 1:
        others.append(replace(one, count=one.count - 1))
    return own + sum(common_copies(ground, cohorts)) - sum(common_copies(ground, others))


class _Part(NamedTuple):
    """Pages of one fork that processes have in one state, from lo to hi; ``over``: what they have written over them."""

    lo: int
    hi: int
    runs: tuple[Run, ...]
    over: tuple[Run, ...]
    life: Life
    many: int


def _common_parts(cohorts: Iterable[Cohort[Life]]) -> dict[int, list[_Part]]:
    """Return who has what of the pages that forks left common, by fork."""
    found: dict[int, list[_Part]] = {}
    for cohort in cohorts:
        if not _has_common(cohort.state):
            continue
        for lo, hi, runs in cohort.state.used:
            for fork in {run.owner for run in runs if run.owner > OWN}:
                mine = tuple(run for run in runs if run.owner == fork)
                over = tuple(run for run in runs if run.owner == OWN or run.owner > fork)
                found.setdefault(fork, []).append(_Part(lo, hi, mine, over, cohort.state, cohort.count))
    return found


def _has_common(life: Life) -> bool:
    """Tell whether a process has pages that a fork left common; kept with it."""
    known = life.figures.get("common")
    if known is None:
        known = life.figures["common"] = any(run.owner > OWN for _, _, runs in life.used for run in runs)
    return bool(known)


def _left(parts: list[_Part], page: int) -> Iterator[tuple[float, Life, list[Piece]]]:
    """Yield pieces with the share of them that somebody has who has not written over it, and one who has them."""
    found: dict[tuple[float, int], tuple[Life, list[Piece]]] = {}
    edges = sorted({edge for part in parts for edge in (part.lo, part.hi)})
    for lo, hi in pairwise(edges):
        here = [part for part in parts if part.lo <= lo and hi <= part.hi]
        if here:
            left = 1 - _written_by_all(here, lo // page, -(-hi // page), page)
            _, pieces = found.setdefault((left, id(here[0].life)), (here[0].life, []))
            for a, b, vma in here[0].life.vmas.within(lo, hi):
                pieces.append(Piece(a, b, vma, here[0].runs, written=True))
    for (share, _), (life, pieces) in found.items():
        if share > 0:
            yield share, life, pieces


def _written_by_all(parts: Sequence[_Part], lo: int, hi: int, page: int) -> float:
    """Return the share of the pages lo <= index < hi that all who have them have written over.

    Those who write the same pages are as one; others are taken to write independently.
    """
    over: dict[tuple[Run, ...], int] = {}
    for part in parts:
        alike = tuple(run if run.kind == RANDOM else run._replace(domain=0, owner=OWN) for run in part.over)
        drawn = any(run.kind == RANDOM and run.each for run in alike)
        over[alike] = over.get(alike, 0) + part.many if drawn else 1
    runs, share = parts[0].runs, 1.0
    there = _pages(runs, lo, hi, page)
    for written, many in over.items():
        both = there + _pages(written, lo, hi, page) - _pages((*runs, *written), lo, hi, page)
        share *= (both / there) ** many if there else 0.0
    return share


def _pages(runs: tuple[Run, ...], lo: int, hi: int, page: int) -> float:
    return count({Reach(run, lo, hi, 0, 0): 1 for run in runs}, page, shared=False).value


def _bytes(ground: Ground, life: Life, parts: Sequence[Piece], *, small: bool = False) -> Sequence[int]:
    """Return the memory of private pages, by segment, bytes; ``small``: no huge page comes with what is drawn."""
    total = [0] * len(ground.plan.segments)
    size = ground.context.geometry.thp_size
    drawn = [part for part in parts if any(run.is_drawn(size) for run in part.runs)]
    for chosen in ([part for part in parts if part not in drawn], drawn):
        pieces = pieces_of(ground, life.vmas, chosen) if chosen else []
        for piece in pieces:
            if (small or chosen is not drawn) and advised(ground.rows[piece.vma.row].thp, piece.vma):
                piece.vma = piece.vma._replace(madvise=_SMALL)
        if pieces:
            found = residency.copies(ground.laid_out([pieces]), (1,))
            total = [old + int(new) for old, new in zip(total, found, strict=True)]
    return total
