"""What every policy answers, and the workload as all of them see it."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

from ptcalc.arch import Geometry
from ptcalc.arch.kernels import TableCost, costs
from ptcalc.engine.numbers import Ints, Number, columns
from ptcalc.layout.plan import Plan, as_written
from ptcalc.layout.rows import Layout, Place, lay_out
from ptcalc.layout.vmas import merge
from ptcalc.policies.view import SharingRule, View
from ptcalc.result import Availability, Reason
from ptcalc.workload.model import Workload


@dataclass(frozen=True, slots=True)
class Choice:
    """An open choice of a policy: its default, the values it takes, and what it decides (kernel-facts 6.2)."""

    name: str
    default: str
    accepted: tuple[str, ...]  # empty: a size in bytes
    meaning: str
    bounded: bool = False  # the other values are shown beside the default where they differ
    over_time: bool = False  # has an effect only where something happens (`ptcalc timeline`)


@dataclass
class Context:
    """A workload on its architecture, with what several policies need computed once."""

    workload: Workload
    geometry: Geometry
    parameters: MappingOf[str, str] = field(default_factory=dict)
    # Numbers of the workload may stand for many scenarios (`ptcalc.engine.numbers`): so many layouts of its mappings.
    layouts: int = 1
    # Over time: how many processes there are now, and which class of mappings of each file once came to share
    # (`map-shared-pt`); both stand in for what follows from the workload as written.
    now: tuple[int, ...] | None = None
    settled: dict[int, tuple[int, int]] | None = None
    _laid_out: list[tuple[Plan, Layout]] = field(default_factory=list, repr=False)

    @property
    def counts(self) -> tuple[Number, ...]:
        """Processes of each group, as written, or as they are now."""
        if self.now is not None:
            return self.now
        return tuple(group.count for group in self.workload.processes.values())

    @cached_property
    def matrix(self) -> Ints:
        """The same as a matrix, shape (L * G, C)."""
        return columns(self.counts, self.layouts)

    @cached_property
    def costs(self) -> tuple[TableCost, ...]:
        """What the tables of each level take and show, from the PTE level up."""
        return costs(self.geometry, self.workload.kernel.version)

    @cached_property
    def plan(self) -> Plan:
        """The segments as written."""
        return as_written(self.workload, self.geometry)

    @cached_property
    def layout(self) -> Layout:
        """The mappings as written."""
        return lay_out(self.workload, self.geometry, self.plan, self.layouts)

    @cached_property
    def _view_as_written(self) -> View:
        return View.of(self.layout)

    def choosing(self, name: str, value: str) -> Context:
        """Return the same workload with another answer to an open choice."""
        return replace(self, parameters={**self.parameters, name: value})

    def lay_out(self, plan: Plan) -> Layout:
        """Return the layout under a plan; that of equal segments is computed once."""
        for known, layout in ((self.plan, None), *self._laid_out):
            if all(new is known.segments[name] for name, new in plan.segments.items()):
                return layout or self.layout
        self._laid_out.append((plan, lay_out(self.workload, self.geometry, plan, self.layouts)))
        return self._laid_out[-1][1]

    def view(self, layout: Layout, *, switched: bool = False) -> View:
        """Return the view of a layout in which every process has its own tables; that as written is made once.

        ``switched``: the policy has a switch for page-table sharing, which keeps VMAs apart.
        """
        view = self._view_as_written if layout is self.layout else View.of(layout)
        if switched and not view.rows.allow.all():
            return replace(view, vmas=merge(view.rows, switched=True))
        return view


@dataclass(frozen=True)
class Policy:
    """One answer to "who owns the page tables?".

    A policy says which pages the segments get (`plan`), how it sees the mappings (`view`), which tables may be one
    (`sharing`) and, for each mapping, the first rule that keeps it from sharing (`reasons`).
    """

    name: str
    title: str
    availability: Availability
    choices: ClassVar[tuple[Choice, ...]] = ()
    switched: ClassVar[bool] = False  # has the switch that `page_table_sharing` turns
    vmpte_defined: ClassVar[bool] = True

    def plan(self, context: Context) -> tuple[Plan, tuple[str, ...]]:
        """Return the segments under this policy and what would have to change in the workload for it."""
        return context.plan, ()

    def view(self, layout: Layout, context: Context) -> View:
        """Return the mappings as this policy sees them."""
        return context.view(layout, switched=self.switched)

    def sharing(self, view: View, context: Context) -> SharingRule | None:
        """Return the rule that says which tables may be one; None: none."""
        return None

    def changes(self, layout: Layout, view: View, context: Context) -> tuple[str, ...]:
        """Return what programs would have to do before the policy applies, beyond what `plan` says."""
        return ()

    def reasons(self, place: Place, view: View, row: int, context: Context) -> tuple[Reason, ...]:
        """Return why (a part of) the mapping whose first row is `row` is not shared, the first rule first."""
        return ()

    def unused_tables(self, context: Context) -> str:
        """Say what becomes of shared tables that nobody uses any more: ``freed``, ``cached``, ``kept`` (by a host mm).

        hugetlb's are freed under every policy.
        """
        return "freed"

    def adopts(self, context: Context) -> bool:
        """Tell whether shared tables are those of their first process, its own until a second one comes."""
        return False

    def choice(self, name: str, context: Context) -> str:
        """Return the value in force of an open choice."""
        for choice in self.choices:
            if choice.name == name:
                return context.parameters.get(f"{self.name}.{name}", choice.default)
        raise KeyError(name)


AS_OF = "2026-11"
