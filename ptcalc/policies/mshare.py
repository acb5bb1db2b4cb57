"""`mshare`: one host mm per segment, whose page tables all members use.

The mshare series, v3 of 2025-08-19 (<20250820010415.699353-1-anthony.yznaga@oracle.com>); not merged.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from ptcalc.engine.numbers import distinct
from ptcalc.layout.rows import PROTECTIONS, Layout, Place
from ptcalc.layout.vmas import Vmas
from ptcalc.policies.base import AS_OF, Choice, Context, Policy
from ptcalc.policies.hugetlb_sharing import hugetlb_pmd_sharing, hugetlb_reasons
from ptcalc.policies.view import HUGETLB, SharingRule, View
from ptcalc.result import Availability, Reason


class Mshare(Policy):
    """All tables of a segment below the region's hook exist once, at the region's start plus the segment's offset."""

    switched: ClassVar[bool] = True
    choices: ClassVar[tuple[Choice, ...]] = (
        Choice("unit", "512 GiB", (), "M1: addresses and sizes of regions are multiples of this (address space only)"),
    )

    def changes(self, layout: Layout, view: View, context: Context) -> tuple[str, ...]:
        """Programs must map a region instead of the segment."""
        names = list(context.workload.segments)
        inside = distinct(view.rows.segment[view.home >= view.groups])
        unit = self.choice("unit", context)
        return tuple(f"map {names[number]} through an mshare region (a multiple of {unit})" for number in inside)

    def view(self, layout: Layout, context: Context) -> View:
        """Move the members' rows into the address space of their region's host mm, at the segment's offsets."""
        view = super().view(layout, context)
        rows = view.rows
        member = members(view)
        if not member.any():
            return view
        # Position of each row in its segment, as mapped: where the row's file starts in it, plus the offset there.
        first_file = np.zeros(int(rows.segment.max()) + 1, np.int64)
        np.minimum.at(first_file, rows.segment, rows.file)
        position = layout.file_position[rows.file]
        start = np.where(member, position + rows.file_offset, rows.start)
        shift = np.where(member, start - rows.start, 0)
        home = np.where(member, view.groups + rows.segment, rows.group)
        moved = replace(rows, start=start, end=rows.end + shift, alignment=np.where(member, 0, rows.alignment))
        by_run = shift[view.run_row]
        touched = replace(
            view.touched, lo=view.touched.lo + by_run, hi=view.touched.hi + by_run, origin=view.touched.origin + by_run
        )
        return replace(
            view,
            rows=moved,
            touched=touched,
            vmas=_host_vmas(view, moved, member, layout),
            home=home,
            homes=view.groups + len(first_file),
        ).in_order()

    def sharing(self, view: View, context: Context) -> SharingRule | None:
        """Outside regions, hugetlb keeps its own sharing."""
        return hugetlb_pmd_sharing if (view.rows.backing == HUGETLB).any() else None

    def unused_tables(self, context: Context) -> str:
        """They are the host mm's, whoever uses them."""
        return "kept"

    def reasons(self, place: Place, view: View, row: int, context: Context) -> tuple[Reason, ...]:
        """Say why a mapping is no member of its segment's region."""
        mapping = place.mapping
        if view.home[row] >= view.groups:
            return ()
        if view.rows.backing[row] == HUGETLB and view.rows.shared[row]:
            return hugetlb_reasons(place, view, row, context.counts[place.group])
        if not view.rows.shared[row]:
            return (Reason("M2-map-private", "mapped private: regions hold MAP_SHARED mappings only"),)
        if not view.rows.allow[row]:
            return (Reason("never", "page_table_sharing: never", "allow it"),)
        if mapping.protection == "none":
            return (Reason("M5-protection", "protection none: a region has one protection for all"),)
        kept = "soft-dirty tracking" if mapping.softdirty else "userfaultfd"
        return (Reason("per-process-state", f"{kept} keeps state of its own in the tables"),)


def members(view: View) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which rows are mapped through their segment's region, shape (R,)."""
    rows = view.rows
    return np.asarray(
        rows.shared & rows.allow & ~rows.softdirty & (rows.uffd == 0) & (rows.protection != PROTECTIONS.index("none"))
    )


def _host_vmas(view: View, rows: object, member: np.ndarray[tuple[int], np.dtype[np.bool_]], layout: Layout) -> Vmas:
    """Give every row that is a member the VMA of its whole file in the host mm; the others keep theirs."""
    old = view.vmas
    files, number = np.unique(view.rows.file[member], return_inverse=True)
    position = layout.file_position[files]
    first = np.empty(len(files), np.int64)
    first[number[::-1]] = np.flatnonzero(member)[::-1]
    of_row = old.of_row.copy()
    of_row[member] = len(old.start) + number
    return Vmas(
        start=np.concatenate([old.start, position]),
        end=np.concatenate([old.end, position + layout.file_size[files]]),
        row=np.concatenate([old.row, first]),
        of_row=of_row,
    )


MSHARE = Mshare(
    name="mshare",
    title="one host mm per segment",
    availability=Availability(
        "patches", "v3 of 2025-08-19", "<20250820010415.699353-1-anthony.yznaga@oracle.com>", AS_OF
    ),
)
