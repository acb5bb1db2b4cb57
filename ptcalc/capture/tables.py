"""How many page tables the touched parts of one process need, and touches that need as many as were counted.

Sizes, addresses and offsets are bytes.  The rules are those of the engine (a table is the span of addresses under
it); here they are counted for one process at known addresses, which takes no arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ptcalc.arch import kernels

if TYPE_CHECKING:
    from ptcalc.arch import Geometry

Run = tuple[int, int]  # first and last table, or first byte and the one after the last


class Touched(NamedTuple):
    """Touched addresses and the level whose tables hold their leaf entries."""

    runs: Sequence[Run]
    leaf: str = "pte"


class Counter:
    """Counts what VmPTE shows on one architecture and kernel."""

    def __init__(self, geometry: Geometry, kernel: kernels.Kernel) -> None:
        self.geometry = geometry
        self.page = geometry.base_page
        self.span = geometry.levels[0].span
        costs = kernels.costs(geometry, kernel.version)
        self._costs = {cost.level: cost.vmpte for cost in costs}
        small = geometry.small_process
        # The root and what VmPTE leaves out; on old kernels, tables that are in VmPTE and not yet in PageTables.
        self._root = sum(cost.page_tables for cost in costs if not small.get(cost.level))
        self._uncounted = sum(small.get(cost.level, 0) * cost.vmpte for cost in costs if not cost.page_tables)

    def bytes(self, touched: Iterable[Touched]) -> int:
        """Return what the tables of one process add to its VmPTE; a table of two mappings counts once."""
        covers: dict[str, list[Run]] = {}
        for runs, leaf in touched:
            found = False
            for level in self.geometry.added_levels:
                found = found or level.name == leaf
                if found and self._costs[level.name]:
                    tables = [(start // level.span, (end - 1) // level.span) for start, end in runs if end > start]
                    covers.setdefault(level.name, []).extend(tables)
        return sum(_distinct(runs) * self._costs[name] for name, runs in covers.items())

    def small_process(self) -> int:
        """Return the VmPTE of a process that does nothing."""
        return sum(tables * self._costs[name] for name, tables in self.geometry.small_process.items())

    def in_page_tables(self, vmpte: int) -> int:
        """Return what a process whose own tables show as ``vmpte`` adds to PageTables, its root included."""
        return max(0, vmpte - self._uncounted) + self._root

    def leaf_of(self, page_size: int) -> str:
        """Return the level whose tables hold the leaf entries of hugetlb pages of that size."""
        return self.geometry.huge_pages.get(page_size, "pte")


def _distinct(runs: list[Run]) -> int:
    total, reached = 0, -1
    for first, last in sorted(runs):
        first = max(first, reached + 1)
        if last >= first:
            total += last - first + 1
            reached = last
    return total


@dataclass(frozen=True, slots=True)
class Place:
    """A mapping and how much of it one process has touched (bytes)."""

    start: int
    length: int
    touched: int


@dataclass(frozen=True, slots=True)
class Fitted:
    """A touch: a dense run from the mapping's start, then one page in each of the next tables.

    ``every_start`` and ``every_length`` are offsets into the mapping.  Both parts empty: nothing is touched.
    """

    dense: int
    every_start: int = 0
    every_length: int = 0

    def runs(self, place: Place, counter: Counter) -> list[Run]:
        """Return the touched addresses."""
        runs = [(place.start, place.start + self.dense)] if self.dense else []
        if self.every_length:
            start = place.start + self.every_start
            # One page in each table: for counting tables that is as good as all of them.
            runs.append((start, start + self.every_length))
        return runs


def fit(places: Sequence[Place], tables_bytes: int, counter: Counter) -> list[Fitted]:
    """Return touches with the touched amounts that need ``tables_bytes`` of VmPTE, as near as can be.

    What is touched needs at least the tables of a dense run, and at most one for each page.  The same share of what
    lies between is given to all mappings, because the counters do not say which of them it was.
    """
    dense = [Fitted(min(place.touched, place.length)) for place in places]
    widest = [_spread(place, 1.0, counter) for place in places]
    least, most = _bytes(places, dense, counter), _bytes(places, widest, counter)
    if tables_bytes <= least or most <= least:
        return dense
    if tables_bytes >= most:
        return widest
    low, high = 0.0, 1.0
    best = dense
    for _ in range(30):
        share = (low + high) / 2
        best = [_spread(place, share, counter) for place in places]
        found = _bytes(places, best, counter)
        if found == tables_bytes:
            break
        low, high = (share, high) if found < tables_bytes else (low, share)
    return best


def _spread(place: Place, share: float, counter: Counter) -> Fitted:
    """Return a touch that reaches ``share`` of the way from the fewest tables to the most."""
    touched = min(place.touched, place.length)
    if touched <= 0 or touched == place.length:
        return Fitted(touched)
    span, page = counter.span, counter.page
    pages = touched // page
    first = place.start // span
    spanned = (place.start + place.length - 1) // span - first + 1
    fewest = (place.start + touched - 1) // span - first + 1
    wanted = fewest + round(share * (min(spanned, pages) - fewest))
    if wanted <= fewest:
        return Fitted(touched)
    # A dense run over some tables and a page in each of the rest: (pages of the run) + rest = pages.
    sparse = 0
    dense_bytes = touched
    for _ in range(8):
        sparse = max(0, wanted - max(1, -(-(place.start % span + dense_bytes) // span)))
        left = max(page, (pages - sparse) * page)
        if left == dense_bytes:
            break
        dense_bytes = left
    start = (first + -(-(place.start % span + dense_bytes) // span)) * span - place.start
    length = min(sparse * span, place.length - start)
    return Fitted(dense_bytes, start, length) if length > 0 else Fitted(touched)


def _bytes(places: Sequence[Place], fitted: Sequence[Fitted], counter: Counter) -> int:
    return counter.bytes(Touched(each.runs(place, counter)) for place, each in zip(places, fitted, strict=True))
