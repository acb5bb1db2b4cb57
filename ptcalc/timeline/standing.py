"""A state as the ledger asks for it: page tables, segments and pools as they are now (`ptcalc.risk.demanding`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ptcalc.engine.numbers import Number
from ptcalc.policies import SegmentMemory
from ptcalc.policies.base import Context
from ptcalc.policies.residency import memory_of, pool_need
from ptcalc.timeline.copies import common_copies, own_copies
from ptcalc.timeline.guests import GuestsNow, guests_now
from ptcalc.timeline.tables import NO_TABLES, Count
from ptcalc.timeline.world import World
from ptcalc.workload.model import Workload

_WIDE = 1 << 61


class LevelNow(NamedTuple):
    """One level: tables (private, shared in use, cached unused), and the bytes of memory that each of them take."""

    private: int
    shared: int
    cached: int
    private_bytes: int
    shared_bytes: int
    cached_bytes: int
    kept_bytes: int  # of the cached ones, those that no shrinker frees: a file's mm has them
    shown_bytes: int


@dataclass
class Standing:
    """The memory of a `World` at one time."""

    world: World

    follows_counts = False

    @property
    def workload(self) -> Workload:
        """The workload as written."""
        return self.world.ground.context.workload

    @property
    def context(self) -> Context:
        """The workload on its architecture."""
        return self.world.ground.context

    @cached_property
    def second_levels(self) -> tuple[GuestsNow, ...]:
        """Second-level tables of the guests that there are."""
        return guests_now(self.world)

    @cached_property
    def counts(self) -> tuple[Number, ...]:
        """Processes of each group now."""
        counts = dict.fromkeys(self.workload.processes, 0)
        for cohort in self.world.population:
            counts[cohort.group] += cohort.count
        return tuple(counts.values())

    @cached_property
    def levels(self) -> tuple[LevelNow, ...]:
        """Tables level by level, from the PTE level up; expectations are rounded once, as in an estimate."""
        ground, tables = self.world.ground, self.world.tables
        many = len(ground.levels)
        exact, expected, needed = [0] * many, [0.0] * many, [0.0] * many
        whole_needed = [0] * many
        for cohort in self.world.population:
            figures = self.world.figures(cohort.state)
            for place, (own, each) in enumerate(zip(figures.own, figures.allocations, strict=True)):
                exact[place] += cohort.count * own.tables
                expected[place] += cohort.count * own.expected
                if isinstance(each, int):
                    whole_needed[place] += cohort.count * each
                else:
                    needed[place] += cohort.count * each
        there: list[Count] = [NO_TABLES] * many
        in_use: list[Count] = [NO_TABLES] * many
        kept = [0.0] * many
        for key in tables.sets:
            found = tables.tables(key)
            if ground.unused(key) == "kept":
                kept[key.place] += found.there.value - found.in_use.value
            there[key.place] = there[key.place].plus(found.there)
            in_use[key.place] = in_use[key.place].plus(found.in_use)
        out = []
        for place, cost in enumerate(ground.context.costs[:many]):
            total = exact[place] + there[place].tables + round(expected[place] + there[place].expected)
            shared = in_use[place].tables + round(in_use[place].expected)
            cached = min(there[place].tables + round(there[place].expected) - shared, total - shared)
            private = total - shared - cached
            per = cost.per_allocation
            if per == 1:
                allocated = [private, shared, cached]
            else:
                both = -(-(shared + cached) // per)
                allocated = [whole_needed[place] + round(needed[place]), -(-shared // per), both - -(-shared // per)]
            mine, used, idle = (each * cost.allocation for each in allocated)
            held = min(round(kept[place]) * cost.allocation, idle)
            out.append(LevelNow(private, shared, cached, mine, used, idle, held, sum(allocated) * cost.page_tables))
        return tuple(out)

    def page_tables_used(self, counts: Sequence[Number], *, charged: bool | None = None) -> Number:
        """Return the memory that page tables keep: cached ones that nobody uses are given back when it is short."""
        costs = self.world.ground.context.costs
        return sum(
            level.private_bytes + level.shared_bytes + level.kept_bytes
            for level, cost in zip(self.levels, costs, strict=False)
            if charged in (None, cost.charged)
        )

    def segments(self, counts: Sequence[Number]) -> tuple[SegmentMemory, ...]:
        """Return what each segment keeps in memory."""
        return self._segments

    @cached_property
    def _segments(self) -> tuple[SegmentMemory, ...]:
        return memory_of(self.world.ground.plan, self.world.ground.context, self)

    def pool_need(self, counts: Sequence[Number]) -> dict[int, Number]:
        """Return the huge pages needed, by page size."""
        return pool_need(self.world.ground.plan, self._segments)

    def host_mm_bytes(self, counts: Sequence[Number]) -> Number:
        """Return the root tables of the host mms of regions that have members."""
        regions = {key.region for key in self.world.tables.sets if key.region >= 0}
        regions |= self.world.regions_joined()
        return len(regions) * int(self.world.ground.context.geometry.root_bytes)

    # What `memory_of` asks.

    def copies(self) -> Sequence[Number]:
        """Return the private copies of each segment, those of all processes; what fork left common counts once."""
        ground, population = self.world.ground, self.world.population
        total = common_copies(ground, population)
        for cohort in population:
            for segment, size in enumerate(own_copies(ground, cohort.state)):
                total[segment] += cohort.count * size
        return total

    def mappers(self, segment: int) -> Number:
        """Return how many processes map a segment."""
        cohorts = self.world.population
        return sum(cohort.count for cohort in cohorts if segment in self.world.segments_of(cohort.state))

    def touched(self, segment: int, leaf: int) -> Number:
        """Return what any process has touched of a segment and is still in memory, in pages of that size."""
        return self.world.pagecache.touched_bytes(segment, leaf)

    def absent(self, segment: int) -> Number:
        """Return what was punched out of a segment or cut off, and not touched again."""
        return self.world.pagecache.absent_bytes(segment)

    def many(self, segment: int) -> Number:
        """Return how many such segments there are: a file with events has no copies of any."""
        return 1
