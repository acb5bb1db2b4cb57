"""`thp`: what if every shareable segment were mapped by transparent huge pages where alignment allows?"""

from __future__ import annotations

from typing import ClassVar

from ptcalc.layout.plan import Plan, with_thp
from ptcalc.layout.rows import MADVISE, Place
from ptcalc.policies.base import AS_OF, Choice, Context
from ptcalc.policies.today import Today
from ptcalc.policies.view import FILE, SHMEM, View
from ptcalc.result import Availability, Reason


class Thp(Today):
    """The best case: every touched chunk of shmem and files is a huge page in the page cache."""

    choices: ClassVar[tuple[Choice, ...]] = ()

    def plan(self, context: Context) -> tuple[Plan, tuple[str, ...]]:
        """Switch THP on for every shmem and file segment that is mapped shared."""
        plan, changed = with_thp(context.plan, context.workload, context.geometry)
        switch = {
            "shmem": "shmem_enabled=always, or mount option huge=always",
            "file": "large folios of its filesystem",
        }
        backing = {name: plan.segments[name].parts[-1].backing for name in changed}
        return plan, tuple(f"switch transparent huge pages on for {name} ({switch[backing[name]]})" for name in changed)

    def reasons(self, place: Place, view: View, row: int, context: Context) -> tuple[Reason, ...]:
        """Say why a mapping keeps PTE tables all the same."""
        rows, geometry = view.rows, view.geometry
        huge = geometry.huge_page_name(geometry.thp_size)
        if rows.backing[row] not in (SHMEM, FILE):
            return super().reasons(place, view, row, context)
        if not geometry.has_file_thp:
            return (Reason("no-file-thp", f"{geometry.name} has no huge pages of {huge} in the page cache"),)
        if geometry.thp_keeps_tables:
            return (Reason("deposit", "each huge page keeps a PTE table in deposit"),)
        if rows.madvise[row] == MADVISE.index("nohugepage"):
            return (Reason("nohugepage", "madvise: nohugepage keeps it in base pages", "drop the advice"),)
        if (rows.start[row] - rows.file_offset[row]) % geometry.thp_size:
            text = f"address and offset differ modulo {huge}: huge pages would be mapped by base pages"
            tables = place.length // geometry.thp_size
            saves = tables * geometry.levels[0].table_bytes * context.counts[place.group]
            return (Reason("misaligned", text, f"move it to a {huge} boundary", saves or None),)
        if not rows.shared[row] and rows.write[row]:
            return (Reason("map-private", "private mapping that is written: each write copies a base page"),)
        if place.length < geometry.thp_size:
            return (Reason("too-small", f"smaller than {huge}"),)
        return ()


THP = Thp(
    name="thp",
    title="transparent huge pages, best case",
    availability=Availability("mainline", "4.8", "mm/shmem.c, mm/memory.c:do_set_pmd", AS_OF),
)
