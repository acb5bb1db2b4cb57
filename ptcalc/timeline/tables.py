"""How many tables hooks come to: the union of what runs reach, for one process or for all that share a key.

This is `ptcalc.engine`'s counting on a handful of rows at a time; intervals alone need no arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ptcalc.engine.covers import BLOCKS, EXACT, Covers
from ptcalc.engine.footprint import Footprint, LevelCovers, as_columns
from ptcalc.timeline.runs import Run, covers_of, touched_of


class Reach(NamedTuple):
    """Tables lo <= index < hi of an axis, as far as a run reaches them; ``shift``: address index less axis index.

    ``times``: for role BLOCKS, how many processes take them away.
    """

    run: Run
    lo: int
    hi: int
    shift: int
    role: int
    times: int = 0


class Count(NamedTuple):
    """Tables: an exact number and an expected one; ``exact`` is false where a draw makes them uncertain."""

    tables: int
    expected: float
    exact: bool = True

    def plus(self, other: Count) -> Count:
        """Return the sum of two sets of tables that have none in common."""
        return Count(self.tables + other.tables, self.expected + other.expected, self.exact and other.exact)

    @property
    def value(self) -> float:
        """Both together."""
        return self.tables + self.expected


NO_TABLES = Count(0, 0.0)


def alone(owners: Sequence[tuple[Iterable[Reach], int]], span: int) -> list[Count]:
    """Return, for each owner, the tables that one process of it reaches and nobody else does.

    An owner: what each of so many processes reaches.
    """
    rows = [(reach, at) for at, (reaches, _) in enumerate(owners) for reach in reaches if reach.role != BLOCKS]
    counts = [times for _, times in owners]
    for reach in dict.fromkeys(reach for reaches, _ in owners for reach in reaches if reach.role == BLOCKS):
        rows.append((reach, len(counts)))
        counts.append(reach.times)
    reached, by = [reach for reach, _ in rows], [at for _, at in rows]
    footprint = _footprint_of(reached, by, len(counts), span, shared=True, adopting=True)
    if footprint is None:
        return [NO_TABLES] * len(owners)
    found = footprint.alone(0, as_columns(counts))[: len(owners), 0].tolist()
    exact = [footprint.is_exact(counts, at) for at in range(len(owners))]
    return [Count(round(each), 0.0) if sure else Count(0, each, False) for each, sure in zip(found, exact, strict=True)]


def count(reaches: Mapping[Reach, int], span: int, *, shared: bool) -> Count:
    """Return the distinct tables that some processes reach together (``shared``), or that one process has.

    ``reaches`` says how many processes reach each; of one process, the number counts only for what others take away
    (role BLOCKS).
    """
    live = [(reach, times) for reach, times in reaches.items() if times > 0]
    if all(reach.run.kind == EXACT and reach.role != BLOCKS for reach, _ in live):
        return Count(_union((reach.lo, reach.hi) for reach, _ in live), 0.0)
    live = _drawn_alike(live)
    footprint, counts = _footprint(live, span, shared=shared)
    if footprint is None:
        return NO_TABLES
    (tally,) = footprint.tally(counts)
    exact = footprint.is_exact(counts)
    if shared:
        return Count(int(tally.shared_exact[0, 0]), float(tally.shared_expected[0, 0]), exact)
    return Count(int(tally.private_exact[0]), float(tally.private_expected[0, 0]), exact)


def deviation(reaches: Mapping[Reach, int], span: int) -> float:
    """Return the standard deviation of the number of tables that one process has."""
    footprint, counts = _footprint(
        [(reach, times) for reach, times in reaches.items() if times > 0], span, shared=False
    )
    return 0.0 if footprint is None else float(footprint.variance_private(counts, 0, [1]) ** 0.5)


def _footprint(live: list[tuple[Reach, int]], span: int, *, shared: bool) -> tuple[Footprint | None, list[int]]:
    """Return reaches as the engine counts them, with the numbers of its groups: the first is one process."""
    numbers = sorted({times for _, times in live})
    group = {times: at + 1 for at, times in enumerate(numbers)}
    owner = [group[times] if shared or reach.role == BLOCKS else 0 for reach, times in live]
    return _footprint_of([reach for reach, _ in live], owner, len(numbers) + 1, span, shared=shared), [1, *numbers]


def _footprint_of(
    reaches: Sequence[Reach], owner: Sequence[int], groups: int, span: int, *, shared: bool, adopting: bool = False
) -> Footprint | None:
    """Return reaches as the engine counts them, each with the group that makes it; None if they reach no table."""
    rows = []
    for at, reach in enumerate(reaches):
        for cover in covers_of(reach.run, span):
            lo, hi = max(cover.lo - reach.shift, reach.lo), min(cover.hi - reach.shift, reach.hi)
            if lo < hi:
                anchor = cover.anchor - reach.shift * span if cover.stride else 0
                rows.append((at, lo, hi, cover.log_empty, cover.held, anchor, cover.stride, reach.role))
    if not rows:
        return None
    run, low, high, log, held, anchors, stride, role = zip(*rows, strict=True)
    scope = groups if shared else 0
    many = len(rows)
    found = Covers(
        np.array(run, np.int64), np.full(many, scope), np.array(low, np.int64), np.array(high, np.int64),
        np.array(log, np.float64), np.array(held, np.int64), np.array(anchors, np.int64), np.array(stride, np.int64),
        np.array(role, np.int8),
    )  # fmt: skip
    axes = np.arange(groups + 1)
    level = LevelCovers("", span, found, axes, np.zeros(groups + 1, np.int64), np.zeros(groups + 1, bool))
    scopes = (np.arange(groups + 1) == groups,) if adopting else ()
    return Footprint([level], touched_of([reach.run for reach in reaches], owner), groups, adopting=scopes)


def _union(parts: Iterable[tuple[int, int]]) -> int:
    """Return how many indices some intervals hold together."""
    total, reach = 0, -(1 << 63)
    for lo, hi in sorted(parts):
        if hi > reach:
            total += hi - max(lo, reach)
            reach = hi
    return total


def _drawn_alike(live: list[tuple[Reach, int]]) -> list[tuple[Reach, int]]:
    """Return reaches where what is drawn once for all processes (overlap: same) stands once."""
    out: list[tuple[Reach, int]] = []
    reached: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    for reach, times in sorted(live, key=lambda each: each[0].lo):
        if reach.run.each or reach.role == BLOCKS:
            out.append((reach, times))
            continue
        known = reached.setdefault((reach.run.domain, reach.shift, reach.role), [])
        lo = max([reach.lo, *(hi for low, hi in known if low <= reach.lo)])
        if lo < reach.hi:
            out.append((reach._replace(lo=lo), times))
            known.append((lo, reach.hi))
    return out
