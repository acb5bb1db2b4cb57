"""`map-shared-pt`: PTE tables shared in PMD-sized units, one protection for all.

The series "Add support for sharing page tables across processes (Previously mshare)" by K. Aziz: RFC 2022-12-06,
RFC v2 <cover.1682453344...> of 2023-04-26; not merged.  hugetlb keeps its own rules.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.numbers import Disagreement, distinct
from ptcalc.layout.rows import PROTECTIONS, Layout, Place
from ptcalc.policies.base import AS_OF, Choice, Context, Policy
from ptcalc.policies.hugetlb_sharing import hugetlb_pmd_sharing, hugetlb_reasons
from ptcalc.policies.view import HUGETLB, PRIVATE, Sharing, SharingRule, View
from ptcalc.result import Availability, Reason

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class MapSharedPt(Policy):
    """A file keeps one host mm: the mappings of one address and one protection use its PTE tables."""

    vmpte_defined: ClassVar[bool] = False
    switched: ClassVar[bool] = True
    choices: ClassVar[tuple[Choice, ...]] = (
        Choice(
            "vmpte", "each", ("each", "once"), "6.2-g: each sharer counts shared tables (public prototypes), or none"
        ),
        Choice(
            "mprotect", "all", ("all", "unshare"),
            "a change of protection by one process changes it for all who share (RFC v2), or unshares (prototypes)",
            over_time=True,
        ),
    )  # fmt: skip

    def changes(self, layout: Layout, view: View, context: Context) -> tuple[str, ...]:
        """Programs must ask for it with a flag of mmap."""
        names = list(context.workload.segments)
        chosen = distinct(view.rows.segment[_settled(view, context)])
        return tuple(f"map {names[number]} with MAP_SHARED_PT" for number in chosen)

    def sharing(self, view: View, context: Context) -> SharingRule:
        """Share the PTE tables of one class (address, protection) of each file: the one that saves most."""
        chosen = _settled(view, context)[view.vmas.row]

        def rule(view: View, level: str) -> Sharing | None:
            if level != "pte":
                return hugetlb_pmd_sharing(view, level)
            return Sharing(chosen, (view.attribute("file"), view.delta()))

        return rule

    def unused_tables(self, context: Context) -> str:
        """They are the host mm's, whoever uses them."""
        return "kept"

    def reasons(self, place: Place, view: View, row: int, context: Context) -> tuple[Reason, ...]:
        """Name the first rule of the series that fails."""
        rows, mapping = view.rows, place.mapping
        if rows.backing[row] == HUGETLB:
            return hugetlb_reasons(place, view, row, context.counts[place.group])
        if not rows.shared[row]:
            return (Reason("map-private", "mapped private: the flag goes with MAP_SHARED mappings of files only"),)
        if not rows.allow[row]:
            return (Reason("never", "page_table_sharing: never", "allow it"),)
        unit = view.geometry.huge_page_name(view.geometry.pmd_size)
        if rows.alignment[row]:
            return (Reason("address", "needs the same address in every process", "fix the address (placement: same)"),)
        vma = view.vmas.of_row[row]
        if view.vmas.start[vma] % view.geometry.pmd_size or view.vmas.end[vma] % view.geometry.pmd_size:
            text = f"address and size must be multiples of {unit}"
            return (Reason("misaligned", text, f"move it to a {unit} boundary and round its size"),)
        if mapping.protection == "none":
            return (Reason("protection", "protection none maps nothing"),)
        if mapping.softdirty or mapping.userfaultfd != "none":
            kept = "soft-dirty tracking" if mapping.softdirty else "userfaultfd"
            return (Reason("per-process-state", f"{kept} keeps state of its own in the tables"),)
        if not _chosen(view, context.matrix)[row]:
            return (
                Reason("other-class", "another address or protection of this file saves more, and only one is shared"),
            )
        return ()


def eligible(view: View) -> Flags:
    """Return the rows whose VMA may use the tables of the file's host mm, shape (R,)."""
    rows, vmas, unit = view.rows, view.vmas, view.geometry.pmd_size
    whole = (vmas.start % unit == 0) & (vmas.end % unit == 0)
    return np.asarray(
        rows.shared
        & rows.allow
        & (rows.backing != HUGETLB)
        & (rows.backing != PRIVATE)
        & (rows.alignment == 0)
        & whole[vmas.of_row]
        & (rows.protection != PROTECTIONS.index("none"))
        & ~rows.softdirty
        & (rows.uffd == 0)
    )


def _settled(view: View, context: Context) -> Flags:
    """Return the rows that share, shape (R,): over time, those of the class that each file's first mappers made one."""
    if context.settled is None:
        return _chosen(view, context.matrix)
    rows = view.rows
    may, delta = eligible(view), rows.start - rows.file_offset
    known = context.settled
    open_ = [int(file) not in known for file in rows.file]
    if (may & open_).any():
        for row in np.flatnonzero(_chosen(view, context.matrix) & open_):
            known.setdefault(int(rows.file[row]), (int(delta[row]), int(rows.protection[row])))
    same = [
        known.get(int(file)) == (int(at), int(protection))
        for file, at, protection in zip(rows.file, delta, rows.protection, strict=True)
    ]
    return np.asarray(may & np.array(same, bool))


def _chosen(view: View, counts: Ints) -> Flags:
    """Return the rows of the class that saves most for each file, shape (R,); counts: (L * G, C).

    Raises Disagreement where that is not the same for all columns.
    """
    rows = view.rows
    able = eligible(view)
    picked = np.flatnonzero(able)
    if len(picked) == 0:
        return able
    delta = rows.start - rows.file_offset
    keys = np.stack([rows.file[picked], delta[picked], rows.protection[picked]], axis=1)
    classes, first_of, number = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    number = number.reshape(-1)
    if len(classes) == len(distinct(classes[:, 0])):
        return able
    # What each class saves: the private PTE tables of all its processes less the shared ones.
    many = view.groups
    owner, owners = np.full(len(able), -1, np.int64), np.zeros(0, np.int64)
    pairs, owner[picked] = np.unique(number * many + rows.group[picked], return_inverse=True)
    owners = pairs // many
    per_process = _tables(view, owner, len(pairs), counts, shared=False)
    total = np.zeros((len(classes), counts.shape[1]))
    np.add.at(total, owners, per_process * counts[pairs % many])
    union = np.full(len(able), -1, np.int64)
    union[picked] = number
    saving = total - _tables(view, union, len(classes), counts, shared=True)
    best = np.zeros(saving.shape, bool)
    for column in range(saving.shape[1]):
        # Of those that save as much, the one with more tables, then the one that the file names first.
        order = np.lexsort((first_of, -total[:, column], -saving[:, column], classes[:, 0]))
        first = np.ones(len(order), bool)
        first[1:] = classes[order[1:], 0] != classes[order[:-1], 0]
        best[order[first], column] = True
    if (best != best[:, :1]).any():
        raise Disagreement(np.unique(best, axis=1, return_inverse=True)[1].reshape(1, -1))
    out = able.copy()
    out[picked] = best[number, 0]
    return out


def _tables(view: View, owner: Ints, owners: int, counts: Ints, *, shared: bool) -> NDArray[np.float64]:
    """Return the PTE tables of each owner, (owners, C): of one process, or of all that share them.

    Rows with owner -1 are left out.
    """
    kept = owner[view.run_row] >= 0
    base = view.groups if shared else 0
    run_owner = owner[view.run_row[kept]]
    touched = view.touched.take(kept)
    if not shared:
        # Each owner stands for one process.
        touched = replace(touched, group=run_owner)
    spread = view.spread.take(kept) if view.spread is not None and shared else None
    part = replace(
        view,
        groups=view.groups if shared else owners,
        touched=touched,
        run_row=view.run_row[kept],
        home=np.where(owner >= 0, owner + base, 0),
        homes=owners + base,
        layouts=1,
        spread=spread,
    )
    weights = counts if shared else np.ones((owners, 1), np.int64)
    return part.footprint().by_scope(0, weights)[base:]


MAP_SHARED_PT = MapSharedPt(
    name="map-shared-pt",
    title="MAP_SHARED_PT, PTE tables in PMD-sized units",
    availability=Availability(
        "patches",
        "RFC v2 of 2023-04-26 (a vendor tree has a variant)",
        "<cover.1682453344.git.khalid.aziz@oracle.com>",
        AS_OF,
    ),
)
