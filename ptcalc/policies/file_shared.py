"""`file-shared`: generic page-table sharing, PTE and PMD tables cached per file and per protection.

The proposal of D. Hildenbrand, 2022-07-18, <1d3cdad0-b3a7-ec25-1652-efa7c39d1705@redhat.com>; nothing of it is
implemented.  hugetlb keeps its own rules.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from ptcalc.arch import Geometry
from ptcalc.layout.rows import MADVISE, PROTECTIONS, THP, Place
from ptcalc.policies.base import AS_OF, Choice, Context, Policy
from ptcalc.policies.hugetlb_sharing import edge_reasons, hugetlb_pmd_sharing, hugetlb_reasons
from ptcalc.policies.view import FILE, HUGETLB, PRIVATE, SHMEM, Sharing, SharingRule, View
from ptcalc.result import Availability, Reason

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]
Ints = np.ndarray[tuple[int], np.dtype[np.int64]]

_SETS = {"rw": ("rw",), "rw,r": ("rw", "r"), "rw,r,rx": ("rw", "r", "rx"), "rw,r,rx,rwx": ("rw", "r", "rx", "rwx")}
_LEVELS = ("pte", "pmd")
_R, _RW = PROTECTIONS.index("r"), PROTECTIONS.index("rw")


class FileShared(Policy):
    """Whole tables inside shared mappings of one file, one set for each cached protection and phase."""

    vmpte_defined: ClassVar[bool] = False
    switched: ClassVar[bool] = True
    choices: ClassVar[tuple[Choice, ...]] = (
        Choice("phases", "every", ("every", "zero"), "6.2-a: one set of tables per phase, or phase 0 only", True),
        Choice(
            "chunks", "whole", ("whole", "file_end"),
            "6.2-b: tables that lie wholly inside a mapping, or also those that reach beyond it because the file ends",
        ),
        Choice("min_file_size", "2 MiB", (), "6.2-c: files below this share nothing"),
        Choice("min_mapping_size", "2 MiB", (), "6.2-c: mappings below this share nothing"),
        Choice("protections", "rw,r", tuple(_SETS), "6.2-h: protections of which the file caches a set"),
        Choice(
            "first_shared", "at_once", ("at_once", "second_mapper"),
            "6.2-d: the first mapper's table is the file's at once, or its own until a second process shares it",
        ),
        Choice(
            "read_only", "own_set", ("own_set", "rw_set"),
            "6.2-e: read-only mappings use a set of their own, or that for reading and writing, write-protected by the "
            "entry above (x86_64 only: elsewhere there is no such bit, and both answers are one)",
        ),
        Choice(
            "ragged_pmd", "share_ptes", ("share_ptes", "private"),
            "6.2-i: below a PMD table that cannot be shared, PTE tables are, or they are private as well",
        ),
        Choice(
            "huge_leaves", "shared", ("shared", "private"),
            "6.2-j: PMD tables of mappings that may have PMD leaves are shared as any other, or private",
        ),
        Choice(
            "locked", "ignored", ("ignored", "own_set"),
            "6.2-l: locked mappings share with those that are not (VM_LOCKED is ignored, hugetlb's precedent), or have "
            "a set of their own",
        ),
        Choice(
            "vmpte", "each", ("each", "once"), "6.2-g: each sharer counts shared tables (hugetlb's precedent), or none"
        ),
        Choice(
            "unused", "until_pressure", ("until_pressure", "last_user"),
            "6.2-f: tables that nobody uses any more stay until memory is short, or go with the last user",
            over_time=True,
        ),
        Choice(
            "rss", "touched", ("touched", "hooked"),
            "6.2-k: RSS and badness count what a process touched, or all that others have put into its shared tables",
            over_time=True,
        ),
    )  # fmt: skip

    def sharing(self, view: View, context: Context) -> SharingRule:
        """Share by the rules S1-S7 and S10 of the proposal."""
        may = self._eligible(view, context)
        protections = view.attribute("protection")
        if self._reads_from_rw(view.geometry, context):
            protections = np.where(may & (protections == _R), _RW, protections)
        apart = [view.attribute("locked")] if self.choice("locked", context) == "own_set" else []

        def rule(view: View, level: str) -> Sharing | None:
            hugetlb = hugetlb_pmd_sharing(view, level)
            if level not in _LEVELS:
                return hugetlb
            here, window = self._tables(view, level, may, context)
            file = view.attribute("file")
            if hugetlb is None or not hugetlb.may.any():
                return Sharing(here, (file, protections, *apart), window)
            keys = tuple(np.where(hugetlb.may, key, 0) for key in hugetlb.keys[2:])
            if window is not None:
                ends = (view.vmas.start, view.vmas.end)
                window = tuple(np.where(hugetlb.may, *each) for each in zip(ends, window, strict=True))  # type: ignore[assignment]
            return Sharing(here | hugetlb.may, (file, protections, *keys, *apart), window)

        return rule

    def _tables(self, view: View, level: str, may: Flags, context: Context) -> tuple[Flags, tuple[Ints, Ints] | None]:
        """Return which VMAs have tables of a level that can be one, and between which addresses; None: in all."""
        span = view.geometry.level(level).span
        alignment = view.attribute("alignment")
        here = may & ((alignment == 0) | (alignment >= span))
        if self.choice("phases", context) == "zero":
            here &= view.delta() % span == 0
        if level == "pmd" and self.choice("huge_leaves", context) == "private":
            here &= ~_has_leaves(view, context)
        window = None
        if self.choice("chunks", context) == "file_end":
            window = view.vmas.start, _to_file_end(view, span)
        if level == "pte" and self.choice("ragged_pmd", context) == "private" and "pmd" in view.geometry.index:
            above, whole = self._tables(view, "pmd", may, context)
            low, high = whole or (view.vmas.start, view.vmas.end)
            unit = view.geometry.level("pmd").span
            return here & above, (-(-low // unit) * unit, high // unit * unit)
        return here, window

    def _reads_from_rw(self, geometry: Geometry, context: Context) -> bool:
        """Tell whether read-only mappings use the set for reading and writing.

        The entry above a table is of the process or of a table of the same VMA: PMD entries for PTE tables, PUD entries
        for PMD tables.  Without the write bit there, all that is reached through it is read-only.
        """
        return geometry.write_bit_above and self.choice("read_only", context) == "rw_set"

    def _protections(self, geometry: Geometry, context: Context) -> tuple[str, ...]:
        """Return the protections that share."""
        sets = _SETS[self.choice("protections", context)]
        return (*sets, "r") if self._reads_from_rw(geometry, context) and "r" not in sets else sets

    def unused_tables(self, context: Context) -> str:
        """They stay in the file's cache until there is pressure (S9)."""
        return "freed" if self.choice("unused", context) == "last_user" else "cached"

    def adopts(self, context: Context) -> bool:
        """The first process's table is the file's at once, or becomes it when a second one comes (6.2-d)."""
        return self.choice("first_shared", context) == "second_mapper"

    def reasons(self, place: Place, view: View, row: int, context: Context) -> tuple[Reason, ...]:
        """Name the first rule of the proposal that fails."""
        rows, mapping = view.rows, place.mapping
        processes = context.counts[place.group]
        if rows.backing[row] == HUGETLB:
            return hugetlb_reasons(place, view, row, processes)
        if not rows.shared[row]:
            return (Reason("S1-map-private", "mapped private: only MAP_SHARED mappings share", "use shared memory"),)
        if not rows.allow[row]:
            return (Reason("S10-never", "page_table_sharing: never", "allow it"),)
        file_size, mapping_size = self._minimum("min_file_size", context), self._minimum("min_mapping_size", context)
        if self._file_size(view)[row] < file_size:
            return (Reason("S2-file-size", f"file (or piece) smaller than {file_size} bytes"),)
        if place.length < mapping_size:
            return (Reason("S2-mapping-size", f"mapping smaller than {mapping_size} bytes"),)
        sets = self._protections(view.geometry, context)
        if mapping.protection not in sets:
            text = f"protection {mapping.protection}: the file caches tables for {' and '.join(sets)}"
            return (Reason("S6-protection", text),)
        if mapping.softdirty:
            return (Reason("S7-softdirty", "soft-dirty tracking keeps state of its own in the tables"),)
        if mapping.userfaultfd != "none":
            return (Reason("S7-userfaultfd", "userfaultfd keeps state of its own in the tables"),)
        geometry = view.geometry
        pte = geometry.levels[0]
        unit = geometry.huge_page_name(pte.span)
        if rows.alignment[row] and rows.alignment[row] < pte.span:
            text = f"independent processes agree modulo {int(rows.alignment[row])} bytes only, less than {unit}"
            return (Reason("S3-alignment", text, f"align it to {unit}"),)
        phase = int(rows.start[row] - rows.file_offset[row])
        if self.choice("phases", context) == "zero" and phase % pte.span:
            return (Reason("S3-phase", f"address and offset differ modulo {unit}", f"move it to a {unit} boundary"),)
        if self.choice("huge_leaves", context) == "private" and _has_leaves(view, context)[view.vmas.of_row[row]]:
            return (Reason("S5-huge-leaves", "it may have PMD leaves, whose tables are private by choice"),)
        return self._edges(place, view, row, processes, context)

    def _edges(self, place: Place, view: View, row: int, processes: int, context: Context) -> tuple[Reason, ...]:
        """Return what keeps the ends of a mapping from sharing, at the lowest level where anything does."""
        geometry, rows = view.geometry, view.rows
        levels = [geometry.level(name) for name in _LEVELS if name in geometry.index]
        if self.choice("ragged_pmd", context) == "private":
            levels.reverse()
        mine = np.flatnonzero(rows.mapping == rows.mapping[row])
        last = view.vmas.of_row[mine[np.argmax(rows.end[mine])]]
        for level in levels:
            beyond = 0
            if self.choice("chunks", context) == "file_end":
                beyond = int(_to_file_end(view, level.span)[last] - view.vmas.end[last])
            seen = replace(place, length=place.length + beyond)
            reasons = edge_reasons(seen, level, geometry.huge_page_name(level.span), processes)
            if reasons:
                return reasons
        return ()

    def _eligible(self, view: View, context: Context) -> Flags:
        backing = view.attribute("backing")
        sets = [PROTECTIONS.index(name) for name in self._protections(view.geometry, context)]
        size = view.vmas.end - view.vmas.start
        return np.asarray(
            (backing != HUGETLB)
            & (backing != PRIVATE)
            & view.attribute("shared").astype(bool)
            & view.attribute("allow").astype(bool)
            & np.isin(view.attribute("protection"), sets)
            & ~view.attribute("softdirty").astype(bool)
            & (view.attribute("uffd") == 0)
            & (size >= self._minimum("min_mapping_size", context))
            & (self._file_size(view)[view.vmas.row] >= self._minimum("min_file_size", context))
        )

    def _file_size(self, view: View) -> Ints:
        return view.file_size[view.rows.file]

    def _minimum(self, name: str, context: Context) -> int:
        from ptcalc.workload.sizes import parse_size

        return parse_size(self.choice(name, context))


def _to_file_end(view: View, span: int) -> Ints:
    """Return where each VMA ends, or the table in which it ends if that is with its file and nothing follows it there.

    Pages beyond the end of the file do not exist, so that such a table says the same to all who map the end.
    """
    end, group = view.vmas.end, view.attribute("group")
    after = np.full(len(end), np.iinfo(np.int64).max)
    followed = group[:-1] == group[1:]
    after[:-1][followed] = view.vmas.start[1:][followed]
    beyond = -(-end // span) * span
    with_file = end - view.delta() >= view.file_size[view.attribute("file")]
    return np.where(with_file & (beyond <= after), beyond, end)


def _has_leaves(view: View, context: Context) -> Flags:
    """Tell which VMAs may map their file by PMD leaves (do_set_pmd): huge pages on, not refused, congruent."""
    written = context.layout.rows
    switch = np.full(len(view.file_size), THP.index("never"))
    switch[written.file] = written.thp
    return np.asarray(
        view.geometry.has_file_thp
        & np.isin(view.attribute("backing"), (SHMEM, FILE))
        & (switch[view.attribute("file")] != THP.index("never"))
        & (view.attribute("madvise") != MADVISE.index("nohugepage"))
        & (view.delta() % view.geometry.thp_size == 0)
    )


FILE_SHARED = FileShared(
    name="file-shared",
    title="generic file-based page-table sharing",
    availability=Availability(
        "proposal", "not implemented", "<1d3cdad0-b3a7-ec25-1652-efa7c39d1705@redhat.com>, 2022-07-18", AS_OF
    ),
)
