"""How many have a page or a table: least, mean and most, over all that somebody has.

The axis is cut into cells (pages, or tables).  Who reaches a cell by several runs has it once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptcalc.timeline.runs import Run, covers_of

MOST_CELLS = 1 << 16  # that are looked at one by one; what is behind them in a pattern without a period is as they are


class Spread(NamedTuple):
    """Cells lo <= index < hi that a run reaches: each stays out with probability ``empty``.

    With a ``stride``, only those reached that lie in a grain (see `Claim`) with ``anchor`` + j * stride (bytes).
    """

    lo: int
    hi: int
    empty: float
    anchor: int = 0
    stride: int = 0


class Claim(NamedTuple):
    """What one owner reaches, by entries of ``grain`` bytes, which hold one cell or many."""

    spreads: tuple[Spread, ...]
    grain: int


class Tally(NamedTuple):
    """``cells`` somebody has, how often (``total``), by how many entries, and by how many owners one of them."""

    cells: float
    total: float
    entries: float
    least: float
    most: float

    def plus(self, other: Tally, times: float = 1) -> Tally:
        """Return the sum with so many times as much beside it."""
        return Tally(
            self.cells + times * other.cells,
            self.total + times * other.total,
            self.entries + times * other.entries,
            min(self.least, other.least),
            max(self.most, other.most),
        )


NOTHING = Tally(0.0, 0.0, 0.0, math.inf, 0.0)


class _Reach(NamedTuple):
    """How an owner reaches the cells from one edge to the next."""

    empty: float
    patterns: frozenset[tuple[int, int]]  # anchors and strides
    grain: int


def spreads_of(run: Run, lo: int, hi: int, shift: int, cell: int) -> Iterator[Spread]:
    """Yield the cells lo <= index < hi of an axis that a run reaches; ``shift``: address index less axis index."""
    for cover in covers_of(run, cell):
        low, high = max(cover.lo - shift, lo), min(cover.hi - shift, hi)
        if low < high:
            anchor = cover.anchor - shift * cell if cover.stride else 0
            yield Spread(low, high, math.exp(cover.log_empty), anchor, cover.stride)


def tally(claims: Mapping[Claim, int], cell: int) -> Tally:
    """Return how many owners have the cells of ``cell`` bytes; ``claims`` says how many owners are alike."""
    edges: dict[int, list[tuple[Claim, Spread, int]]] = {}
    for claim in claims:
        for spread in claim.spreads:
            edges.setdefault(spread.lo, []).append((claim, spread, 1))
            edges.setdefault(spread.hi, []).append((claim, spread, -1))
    here: dict[Claim, Counter[Spread]] = {claim: Counter() for claim in claims}
    reaches: Counter[_Reach] = Counter()
    found, before = NOTHING, 0
    for at in sorted(edges):
        if reaches:
            found = found.plus(_between(reaches, before, at, cell))
        before = at
        for claim in dict.fromkeys(claim for claim, _, _ in edges[at]):
            _add(reaches, _reach(here[claim], claim.grain), -claims[claim])
            for other, spread, sign in edges[at]:
                if other is claim:
                    here[claim][spread] += sign
                    if not here[claim][spread]:
                        del here[claim][spread]
            _add(reaches, _reach(here[claim], claim.grain), claims[claim])
    return found


def _add(reaches: Counter[_Reach], reach: _Reach | None, times: int) -> None:
    if reach is not None:
        reaches[reach] += times
        if not reaches[reach]:
            del reaches[reach]


def _reach(spreads: Counter[Spread], grain: int) -> _Reach | None:
    if not spreads:
        return None
    empty = math.prod(spread.empty**times for spread, times in spreads.items() if not spread.stride)
    patterns = frozenset((spread.anchor % spread.stride, spread.stride) for spread in spreads if spread.stride)
    return _Reach(empty, patterns if empty else frozenset(), grain)


def _between(reaches: Mapping[_Reach, int], lo: int, hi: int, cell: int) -> Tally:
    """Return the tally of cells lo <= index < hi, which all are reached alike, but for strides."""
    patterns = {(*pattern, reach.grain) for reach in reaches for pattern in reach.patterns}
    if not patterns:
        return NOTHING.plus(_weighed(reaches, {}, 1, cell), hi - lo)
    # With strides all is as before after so many cells.
    period = math.lcm(*(math.lcm(stride, grain) for _, stride, grain in patterns)) // cell
    period = min(period, MOST_CELLS)
    many, rest = divmod(hi - lo, period)
    found = NOTHING
    for first, cells, times in ((lo, period, many), (hi - rest, rest, 1)):
        if cells and times:
            hits = {pattern: _hits(pattern, first, cells, cell) for pattern in patterns}
            found = found.plus(_weighed(reaches, hits, cells, cell), times)
    return found


def _hits(pattern: tuple[int, int, int], first: int, cells: int, cell: int) -> NDArray[np.bool_]:
    """Return which of some cells lie in a grain that a stride reaches."""
    anchor, stride, grain = pattern
    lo, hi = first * cell // grain, -(-(first + cells) * cell // grain)
    steps = np.arange(-(-(lo * grain - anchor) // stride), -(-(hi * grain - anchor) // stride), dtype=np.int64)
    grains = np.zeros(hi - lo, bool)
    grains[(anchor + steps * stride) // grain - lo] = True
    return grains[(np.arange(first, first + cells, dtype=np.int64) * cell) // grain - lo]


def _weighed(
    reaches: Mapping[_Reach, int], hits: Mapping[tuple[int, int, int], NDArray[np.bool_]], cells: int, cell: int
) -> Tally:
    """Return the tally of some cells, one by one."""
    owners, none, entries = np.zeros(cells), np.ones(cells), 0.0
    for reach, times in reaches.items():
        empty = np.full(cells, reach.empty)
        for pattern in reach.patterns:
            empty[hits[*pattern, reach.grain]] = 0.0
        owners += times * (1 - empty)
        none *= empty**times
        entries += times * float((1 - empty).sum()) * cell / reach.grain
    somebody = 1 - none
    there = somebody > 0
    if not there.any():
        return NOTHING
    owners, somebody = owners[there], somebody[there]
    most = owners / somebody
    # Where all might be missing, one may be the only one who has it.
    least = np.where(somebody == 1, most, 1.0)
    return Tally(float(somebody.sum()), float(owners.sum()), entries, float(least.min()), float(most.max()))
