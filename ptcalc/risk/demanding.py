"""What the ledger asks of whatever demands memory: a workload as written (`ptcalc.policies.Outcome`), or a state later.

Only what it asks: figures in bytes, for process counts in the order of the groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ptcalc.engine.numbers import Number

if TYPE_CHECKING:
    from ptcalc.policies import SegmentMemory
    from ptcalc.policies.base import Context
    from ptcalc.workload.model import Workload


class SecondLevelDemand(Protocol):
    """Second-level tables of one kind."""

    @property
    def kind(self) -> str:
        """Who keeps them: kvm or vfio."""

    @property
    def source(self) -> str:
        """Where the rule comes from."""

    def used(self, counts: Sequence[Number]) -> Number:
        """Return the bytes that they take, roots included."""


class Demanding(Protocol):
    """Memory under one policy, in bytes, for process counts in the order of the groups."""

    @property
    def follows_counts(self) -> bool:
        """Whether it answers for any counts, or for its own only."""

    @property
    def workload(self) -> Workload:
        """The workload as written."""

    @property
    def context(self) -> Context:
        """The workload on its architecture."""

    @property
    def second_levels(self) -> Sequence[SecondLevelDemand]:
        """Second-level tables of guests."""

    @property
    def counts(self) -> tuple[Number, ...]:
        """Its own counts."""

    def page_tables_used(self, counts: Sequence[Number], *, charged: bool | None = None) -> Number:
        """Return the memory that page tables take and keep; ``charged``: to a memory cgroup, or not."""

    def segments(self, counts: Sequence[Number]) -> tuple[SegmentMemory, ...]:
        """Return what each segment keeps in memory."""

    def pool_need(self, counts: Sequence[Number]) -> dict[int, Number]:
        """Return the huge pages needed, by page size."""

    def host_mm_bytes(self, counts: Sequence[Number]) -> Number:
        """Root tables of the host mms of mshare regions."""
