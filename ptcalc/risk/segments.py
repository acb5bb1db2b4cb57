"""Memory of the segments and huge-page pools as a cheap function of the process counts.

A policy's outcome answers for any counts, but walks all mappings to do so; the search for the largest count
asks dozens of times.  What does not depend on the counts is asked once, and what is proportional to them
(private copies) once for each group that has any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ptcalc.engine.numbers import Number, times

if TYPE_CHECKING:
    from ptcalc.arch import Geometry
    from ptcalc.policies import SegmentMemory
    from ptcalc.risk.demanding import Demanding
    from ptcalc.workload.model import Segment

Counts = Sequence[Number]

# With more groups that have private copies, asking anew for the few dozen counts of a search is cheaper.
_MANY_GROUPS = 24


class SegmentDemand:
    """Memory of each segment (by its number in the file) and of each huge-page pool, all in bytes."""

    def __init__(self, outcome: Demanding, geometry: Geometry) -> None:
        self._outcome = outcome
        self._geometry = geometry
        workload = outcome.workload
        here = outcome.segments(outcome.counts)
        self.memories = here  # with the counts of the file
        self.names = tuple(memory.name for memory in here)
        self.backings = tuple(memory.backing for memory in here)
        self.locked = tuple(memory.locked for memory in here)
        # A hugetlb segment whose rest is in base pages, because the pool is too short.
        self.mixed = tuple(memory.backing == "hugetlb" and bool(np.any(memory.index_small_pages)) for memory in here)
        huge = any(memory.backing == "hugetlb" for memory in here)
        pools = outcome.pool_need(outcome.counts) if huge else {}
        self.pool_sizes = tuple(sorted(pools))
        # hugetlb is the pool's line; what of it lies in base pages is the segment's.
        self.in_ledger = tuple(
            number for number, memory in enumerate(here) if memory.backing != "hugetlb" or self.mixed[number]
        )
        # A group's copies are proportional to its count; shared memory depends on counts only where it is
        # what processes touch, and counts here only in base pages or transparent huge pages.
        copying = [
            number
            for number, group in enumerate(workload.processes.values())
            if any(
                mapping.map == "private" or workload.segments[mapping.segment].backing == "private"
                for mapping in group.mappings
            )
        ]
        touched = any(
            (memory.backing == "shmem" or self.mixed[number]) and _is_touched(workload.segments[memory.name])
            for number, memory in enumerate(here)
        )
        per = any(segment.per is not None for segment in workload.segments.values())
        self._ask = touched or per or len(copying) > _MANY_GROUPS or not outcome.follows_counts
        # Pools hold shared memory as a whole, so that only private copies in huge pages change them, and the number of
        # segments where there is one for each process of a group.
        self._ask_pools = per or (bool(copying) and any(memory.huge_copies for memory in here))
        self._asked = (tuple(outcome.counts), here, pools)
        self._copies: list[tuple[int, list[Number], dict[int, Number]]] = []
        self._pools = dict(pools)
        if not self._ask:
            self._constant = here
            for group in copying:
                self._learn(group, outcome.counts, here, pools)

    def _learn(self, group: int, counts: Counts, here: tuple[SegmentMemory, ...], pools: dict[int, Number]) -> None:
        """Find what one more process of a group copies: (bytes of each segment, bytes of each pool)."""
        more = [count + (number == group) for number, count in enumerate(counts)]
        there = self._outcome.segments(more)
        each = [after.copies_bytes - before.copies_bytes for before, after in zip(here, there, strict=True)]
        huge: dict[int, Number] = {}
        if any(memory.huge_copies and np.any(rate) for memory, rate in zip(here, each, strict=True)):
            need = self._outcome.pool_need(more)
            huge = {size: need[size] - pools.get(size, 0) for size in need}
        self._copies.append((group, each, huge))
        for size, rate in huge.items():
            self._pools[size] = self._pools.get(size, 0) - times(rate, counts[group])

    def _at(self, counts: Counts) -> tuple[SegmentMemory, ...]:
        if not self._ask:
            return self._constant
        key = tuple(counts)
        if not all(map(_same, key, self._asked[0])):
            pools = self._outcome.pool_need(key) if self._ask_pools else self._asked[2]
            self._asked = (key, self._outcome.segments(key), pools)
        return self._asked[1]

    def label(self, number: int) -> str:
        """Return what the ledger calls a segment."""
        return f"{self.names[number]} ({'shmem' if self.mixed[number] else self.backings[number]})"

    def shared(self, counts: Counts, number: int) -> Number:
        """Return the shared copy of a segment that counts: none of a file, of hugetlb only base pages."""
        memory = self._at(counts)[number]
        if memory.backing == "shmem":
            return memory.resident_bytes
        if memory.backing == "hugetlb":
            return times(memory.many, memory.index_small_pages * self._geometry.base_page)
        return 0

    def copies(self, counts: Counts, number: int) -> Number:
        """Return the private copies of a segment, all processes together; huge pages are the pool's."""
        memory = self._at(counts)[number]
        if memory.huge_copies:
            return 0
        if self._ask:
            return memory.copies_bytes
        return sum(times(counts[group], each[number]) for group, each, _ in self._copies)

    def many(self, counts: Counts, number: int) -> Number:
        """Return how many such segments there are."""
        return self._at(counts)[number].many

    def indexed(self, counts: Counts) -> Iterator[tuple[Number, Number, Number]]:
        """Yield the page-cache entries of each segment: (how many such, base pages, transparent huge pages of one)."""
        for memory in self._at(counts):
            yield memory.many, memory.index_small_pages, memory.index_huge_pages

    def pool_need(self, counts: Counts, size: int) -> Number:
        """Return the hugetlb pages of a size that the segments need."""
        if self._ask:
            self._at(counts)
            return self._asked[2].get(size, 0)
        copies = sum(times(counts[group], huge.get(size, 0)) for group, _, huge in self._copies)
        return self._pools.get(size, 0) + copies


def _same(new: Number, old: Number) -> bool:
    """Whether two counts are known to be the same; columns of scenarios are not compared."""
    return new is old or (isinstance(new, int) and isinstance(old, int) and new == old)


def _is_touched(segment: Segment) -> bool:
    return isinstance(segment.resident, str) and segment.resident == "touched"
