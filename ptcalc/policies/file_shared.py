"""`file-shared`: generic page-table sharing, PTE and PMD tables cached per file and per protection.

The proposal of D. Hildenbrand, 2022-07-18, <1d3cdad0-b3a7-ec25-1652-efa7c39d1705@redhat.com>; nothing of it is
implemented.  hugetlb keeps its own rules.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ptcalc.arch import Geometry
from ptcalc.layout.rows import PROTECTIONS, Place
from ptcalc.policies.base import AS_OF, Choice, Context, Policy
from ptcalc.policies.hugetlb_sharing import edge_reasons, hugetlb_pmd_sharing, hugetlb_reasons
from ptcalc.policies.view import HUGETLB, PRIVATE, Sharing, SharingRule, View
from ptcalc.result import Availability, Reason

_SETS = {"rw": ("rw",), "rw,r": ("rw", "r"), "rw,r,rx": ("rw", "r", "rx"), "rw,r,rx,rwx": ("rw", "r", "rx", "rwx")}
_LEVELS = ("pte", "pmd")


class FileShared(Policy):
    """Whole tables inside shared mappings of one file, one set for each cached protection and phase."""

    vmpte_defined: ClassVar[bool] = False
    switched: ClassVar[bool] = True
    choices: ClassVar[tuple[Choice, ...]] = (
        Choice("phases", "every", ("every", "zero"), "6.2-a: one set of tables per phase, or phase 0 only", True),
        Choice("min_file_size", "2 MiB", (), "6.2-c: files below this share nothing"),
        Choice("min_mapping_size", "2 MiB", (), "6.2-c: mappings below this share nothing"),
        Choice("protections", "rw,r", tuple(_SETS), "6.2-h: protections of which the file caches a set"),
        Choice(
            "vmpte", "each", ("each", "once"), "6.2-g: each sharer counts shared tables (hugetlb's precedent), or none"
        ),
        Choice(
            "unused", "until_pressure", ("until_pressure", "last_user"),
            "6.2-f: tables that nobody uses any more stay until memory is short, or go with the last user",
            over_time=True,
        ),
    )  # fmt: skip

    def sharing(self, view: View, context: Context) -> SharingRule:
        """Share by the rules S1-S7 and S10 of the proposal."""
        may = self._eligible(view, context)
        protections = view.attribute("protection")
        alignment = view.attribute("alignment")
        zero_only = self.choice("phases", context) == "zero"

        def rule(view: View, level: str) -> Sharing | None:
            hugetlb = hugetlb_pmd_sharing(view, level)
            if level not in _LEVELS:
                return hugetlb
            span = view.geometry.level(level).span
            here = may & ((alignment == 0) | (alignment >= span))
            if zero_only:
                here &= view.delta() % span == 0
            file = view.attribute("file")
            if hugetlb is None or not hugetlb.may.any():
                return Sharing(here, (file, protections))
            keys = tuple(np.where(hugetlb.may, key, 0) for key in hugetlb.keys[2:])
            return Sharing(here | hugetlb.may, (file, protections, *keys))

        return rule

    def unused_tables(self, context: Context) -> str:
        """They stay in the file's cache until there is pressure (S9)."""
        return "freed" if self.choice("unused", context) == "last_user" else "cached"

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
        sets = _SETS[self.choice("protections", context)]
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
        return _edges(place, geometry, processes)

    def _eligible(self, view: View, context: Context) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        backing = view.attribute("backing")
        sets = [PROTECTIONS.index(name) for name in _SETS[self.choice("protections", context)]]
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

    def _file_size(self, view: View) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return view.file_size[view.rows.file]

    def _minimum(self, name: str, context: Context) -> int:
        from ptcalc.workload.sizes import parse_size

        return parse_size(self.choice(name, context))


def _edges(place: Place, geometry: Geometry, processes: int) -> tuple[Reason, ...]:
    """Return what keeps the ends of a mapping from sharing, at the lowest level where anything does."""
    for level in (geometry.level(name) for name in _LEVELS if name in geometry.index):
        reasons = edge_reasons(place, level, geometry.huge_page_name(level.span), processes)
        if reasons:
            return reasons
    return ()


FILE_SHARED = FileShared(
    name="file-shared",
    title="generic file-based page-table sharing",
    availability=Availability(
        "proposal", "not implemented", "<1d3cdad0-b3a7-ec25-1652-efa7c39d1705@redhat.com>, 2022-07-18", AS_OF
    ),
)
