"""What a policy makes of a workload, before the ledger: page tables, VmPTE, memory of the segments."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ptcalc.arch.kernels import TableCost
from ptcalc.engine.footprint import Footprint, Tally, alike
from ptcalc.engine.numbers import Number, columns, distinct, is_single, product, rounded
from ptcalc.layout.plan import ShortPool
from ptcalc.layout.rows import Layout
from ptcalc.policies.base import Context, Policy
from ptcalc.policies.counting import allocations, marginal_bytes, page_tables
from ptcalc.policies.residency import SegmentMemory, pool_need, segments
from ptcalc.policies.view import SharingRule, View
from ptcalc.result import (
    Availability,
    Bound,
    LevelArithmetic,
    LevelTables,
    MappingShare,
    PageTables,
    ProcessTables,
    SecondLevelTables,
)
from ptcalc.workload.model import Workload

if TYPE_CHECKING:
    from ptcalc.policies.second_level import SecondLevels

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass
class Outcome:
    """One policy over one workload; every figure is a function of the process counts, in the order of the groups."""

    policy: Policy
    context: Context
    layout: Layout
    view: View
    rule: SharingRule | None
    footprint: Footprint
    private: Footprint  # the same with no table shared, less what lives in a host mm
    applies_changes: tuple[str, ...]
    short_pools: tuple[ShortPool, ...]
    # For the counts that were asked for last, allocations of tables by level: several figures come from them.
    _allocated: tuple[tuple[Number, ...], list[NDArray[Any]]] | None = field(default=None, repr=False)

    follows_counts: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """Name of the policy."""
        return self.policy.name

    @property
    def title(self) -> str:
        """What the policy is, in a few words."""
        return self.policy.title

    @property
    def availability(self) -> Availability:
        """Which kernels have it."""
        return self.policy.availability

    @property
    def applies(self) -> Literal["as_written"] | tuple[str, ...]:
        """``as_written``, or what would have to change in the workload."""
        return self.applies_changes or "as_written"

    @cached_property
    def bounds(self) -> tuple[Bound, ...]:
        """What the other answers to the policy's bounded choices give, where they differ; of a single scenario."""
        here = self.page_tables_shown(self.counts)
        found = []
        for choice in self.policy.choices:
            for value in choice.accepted if choice.bounded else ():
                if value != self.policy.choice(choice.name, self.context):
                    other = self.context.choosing(f"{self.policy.name}.{choice.name}", value)
                    shared = self.view.footprint(
                        self.policy.sharing(self.view, other), adopting=self.policy.adopts(other)
                    )
                    tables = replace(self, footprint=shared, _allocated=None).page_tables_shown(self.counts)
                    if tables != here:
                        found.append(Bound(choice.name, value, tables, choice.meaning))
        return tuple(found)

    @property
    def workload(self) -> Workload:
        """The workload as written."""
        return self.context.workload

    @property
    def counts(self) -> tuple[Number, ...]:
        """Processes of each group, as written."""
        return self.context.counts

    def page_tables(self, counts: Sequence[int]) -> PageTables:
        """Return all tables of all processes, and what PageTables in /proc/meminfo shows of them."""
        return page_tables(self.footprint, self.context.geometry.levels, self.context.costs, counts)

    def page_tables_used(self, counts: Sequence[Number], *, charged: bool | None = None) -> Number:
        """Return `used_bytes` of `page_tables` alone; ``charged``: what a memory cgroup is charged, or is not.

        Counts may be numbers of many scenarios (`ptcalc.engine.numbers`), and so is the answer then.
        """
        return self._bytes(counts, lambda cost: cost.allocation if charged in (None, cost.charged) else 0)

    def page_tables_shown(self, counts: Sequence[Number]) -> Number:
        """Return `bytes` of `page_tables` alone, as `page_tables_used` does."""
        return self._bytes(counts, lambda cost: cost.page_tables)

    def vmpte_shown(self, counts: Sequence[Number]) -> list[Number]:
        """Return VmPTE of one process of each group alone (bytes), as `processes` has it, of one or many scenarios."""
        layouts = self.layout.layouts
        many = columns(counts, layouts)
        weights = [cost.vmpte for cost, _ in zip(self.context.costs, self.context.geometry.added_levels, strict=False)]
        total = np.repeat(self.view.grown_vmpte()[: len(many), None], many.shape[1], axis=1)
        for part in alike(many):
            for tally, weight in zip(self._shown.tally(many[:, part]), weights, strict=False):
                tables = tally.private_exact[:, None] + rounded(tally.private_expected).astype(np.int64)
                total[:, part] += tables * weight
        found = total.reshape(layouts, -1, many.shape[1]).swapaxes(0, 1)
        return [int(each[0, 0]) for each in found] if is_single(counts, layouts) else list(found)

    @property
    def _shown(self) -> Footprint:
        """What VmPTE counts: where shared tables count once, with their file's owner, a sharer shows its own only."""
        once = any(name == "vmpte" and value == "once" for name, value, _ in self.choices)
        return self.footprint if once else self.private

    @cached_property
    def second_levels(self) -> tuple[SecondLevels, ...]:
        """Second-level tables of guests, by kind; () if no mapping is a guest's memory."""
        if not any(place.guest is not None for place in self.layout.places):
            return ()
        from ptcalc.policies.second_level import second_levels

        return second_levels(self.view, self.layout, self.context)

    def second_level(self, counts: Sequence[int]) -> SecondLevelTables | None:
        """Return the second-level tables of all guests, and of one of each group; None if there is no guest."""
        if not self.second_levels:
            return None
        from ptcalc.policies.second_level import tables_of

        return tables_of(self.second_levels, counts)

    def is_exact(self, counts: Sequence[Number]) -> Flags:
        """Tell in which scenarios no draw makes the tables uncertain, shape (L, 1)."""
        return self.footprint.exact_layouts(columns(counts, self.layout.layouts))[:, None]

    def _bytes(self, counts: Sequence[Number], each: Callable[[TableCost], int]) -> Number:
        costs = self.context.costs
        if not self._allocated or not all(map(operator.is_, self._allocated[0], counts)):
            many = columns(counts, self.layout.layouts)
            self._allocated = tuple(counts), allocations(self.footprint, costs, many)
        weighted = [(number, each(cost)) for number, cost in zip(self._allocated[1], costs, strict=False)]
        if is_single(counts, self.layout.layouts):
            return sum(int(number[0, 0]) * weight for number, weight in weighted)
        found = np.zeros_like(weighted[0][0])
        for number, weight in weighted:
            if weight:
                found = found + product(number, np.asarray(weight))
        return found

    def processes(self) -> tuple[ProcessTables, ...]:
        """Return VmPTE of one process of each group."""
        counts = self.counts
        geometry = self.context.geometry
        weights = [cost.vmpte for cost, _ in zip(self.context.costs, geometry.added_levels, strict=False)]
        shown = self._shown
        private = shown.tally(counts)
        grown = self.view.grown_vmpte()
        marginal = marginal_bytes(self.footprint, self.context.costs, counts)
        alone = marginal_bytes(self.private, self.context.costs, counts)
        out = []
        for number, (name, group) in enumerate(self.workload.processes.items()):
            levels, vmpte = [], int(grown[number])
            for level, tally, weight in zip(geometry.levels, private, weights, strict=False):
                tables = int(tally.private_exact[number]) + round(float(tally.private_expected[number, 0]))
                vmpte += tables * weight
                if tables:
                    levels.append(LevelTables(level.name, tables, tables * level.table_bytes))
            exact = shown.is_exact(counts, number)
            sd = None if exact else round(shown.variance_private(counts, number, weights) ** 0.5)
            defined = self.policy.vmpte_defined or marginal[number] == alone[number]
            out.append(ProcessTables(name, group.count, vmpte, exact, sd, tuple(levels), marginal[number], defined))
        return tuple(out)

    def segments(self, counts: Sequence[Number]) -> tuple[SegmentMemory, ...]:
        """Return what each segment keeps in memory."""
        return segments(self.layout, self.context, counts)

    def pool_need(self, counts: Sequence[Number]) -> dict[int, Number]:
        """Return the bytes of hugetlb pages needed, by page size."""
        return pool_need(self.layout.plan, self.segments(counts))

    def host_mm_bytes(self, counts: Sequence[Number]) -> Number:
        """Return the root tables of the host mms of mshare regions, one for each copy of a segment."""
        segments = distinct(self.view.rows.segment[self.view.home >= self.view.groups] % len(self.layout.owners))
        owners = self.layout.owners[segments]
        regions: Number = int((owners < 0).sum())
        for owner in owners[owners >= 0]:
            regions = regions + counts[owner]
        return regions * self.context.geometry.root_bytes

    @property
    def choices(self) -> tuple[tuple[str, str, str], ...]:
        """Open choices of the policy: name, value in force, meaning."""
        return tuple(
            (choice.name, self.policy.choice(choice.name, self.context), choice.meaning)
            for choice in self.policy.choices
            if not choice.over_time
        )

    @cached_property
    def mappings(self) -> tuple[MappingShare, ...]:
        """Return, for every mapping, how much of it is shared and the first rule that keeps it from more."""
        places = self.layout.places
        many = len(places)
        if not many:
            return ()
        geometry = self.context.geometry
        alone = self.view.by_mapping
        member = self.view.home >= self.view.groups
        once = (1,) * many
        total = alone.footprint().tally(once)
        rest = total if self.rule is None else alone.footprint(self.rule).tally(once)
        leaf = self.view.leaf_table()
        out = []
        for number, place in enumerate(places):
            levels = []
            for at, level in enumerate(geometry.added_levels):
                if at < leaf[place.row]:
                    continue
                tables = _number(total[at], number)
                private = 0 if member[place.row] else _number(rest[at], number)
                start = int(self.view.rows.start[place.row])
                first, last = start // level.span, (start + place.length - 1) // level.span
                levels.append(
                    LevelArithmetic(
                        level.name, level.span, level.table_bytes, first, last, tables, tables - private,
                        _method(tables, last - first + 1),
                    )
                )  # fmt: skip
            out.append(
                MappingShare(
                    group=place.group_name,
                    index=place.index,
                    segment=place.segment,
                    address=place.address,
                    length=place.length,
                    address_stated=place.mapping.address is not None,
                    levels=tuple(levels),
                    reasons=self.policy.reasons(place, self.view, place.row, self.context),
                    path=("processes", place.group_name, "mappings", place.index),
                )
            )
        return tuple(out)


def _number(tally: Tally, scope: int) -> int | float:
    exact, expected = int(tally.private_exact[scope]), float(tally.private_expected[scope, 0])
    return exact + expected if expected else exact


def _method(tables: int | float, spanned: int) -> str:
    if isinstance(tables, float):
        return f"expectation: a draw reaches {tables:.6g} of {spanned}"
    if tables == spanned:
        return "last - first + 1"
    return f"touched: {tables} of {spanned}"


def evaluate_policy(policy: Policy, context: Context) -> Outcome:
    """Evaluate one policy."""
    plan, changes = policy.plan(context)
    layout = context.lay_out(plan)
    view = policy.view(layout, context)
    rule = policy.sharing(view, context)
    private = view.footprint()
    footprint = private if rule is None else view.footprint(rule, adopting=policy.adopts(context))
    if context.layouts == 1 and context.matrix.shape[1] == 1:  # told of a single scenario
        changes += policy.changes(layout, view, context)
    return Outcome(policy, context, layout, view, rule, footprint, private, changes, plan.short_pools)


__all__ = ["Outcome", "SegmentMemory", "ShortPool", "evaluate_policy"]
