"""`today`: the workload as written on a mainline kernel as it is; `private`: the same, with nothing shared at all."""

from __future__ import annotations

from typing import ClassVar

from ptcalc.layout.rows import Place
from ptcalc.policies.base import AS_OF, Choice, Context, Policy
from ptcalc.policies.hugetlb_sharing import hugetlb_pmd_sharing, hugetlb_reasons
from ptcalc.policies.view import HUGETLB, SharingRule, View
from ptcalc.result import Availability, Reason


class Today(Policy):
    """Mainline: private tables, and hugetlb PMD sharing where its conditions hold."""

    choices: ClassVar[tuple[Choice, ...]] = (
        Choice(
            "pt_reclaim", "by_kernel", ("by_kernel", "yes", "no"),
            "MADV_DONTNEED frees PTE tables inside its range (CONFIG_PT_RECLAIM); under every policy",
            over_time=True,
        ),
    )  # fmt: skip

    def sharing(self, view: View, context: Context) -> SharingRule | None:
        """Share hugetlb PMD tables; None where no mapping is of hugetlb."""
        if not (view.rows.backing == HUGETLB).any():
            return None
        return hugetlb_pmd_sharing

    def reasons(self, place: Place, view: View, row: int, context: Context) -> tuple[Reason, ...]:
        """Explain hugetlb mappings by their own rules; nothing else is ever shared."""
        processes = context.counts[place.group]
        if view.rows.backing[row] == HUGETLB:
            return hugetlb_reasons(place, view, row, processes)
        if not view.rows.shared[row]:
            return (Reason("map-private", "private memory: its page tables are the process's own"),)
        return (
            Reason(
                "not-hugetlb",
                "no mainline kernel shares page tables of anything but hugetlb",
                "back the segment with hugetlb pages",
            ),
        )


class Private(Policy):
    """Every process has its own tables for everything."""

    def reasons(self, place: Place, view: View, row: int, context: Context) -> tuple[Reason, ...]:
        """Say that nothing is shared by definition."""
        return (Reason("policy", "this policy shares nothing: it is the baseline"),)


TODAY = Today(
    name="today",
    title="today's kernel, as written",
    availability=Availability("mainline", "2.6.20", "mm/hugetlb.c:huge_pmd_share; commit 39dde65c9940", AS_OF),
)
PRIVATE_TABLES = Private(
    name="private",
    title="no table shared",
    availability=Availability("mainline", "2.6.20", "mm/memory.c (hugetlb PMD sharing left out)", AS_OF),
)

__all__ = ["PRIVATE_TABLES", "TODAY", "Today"]
