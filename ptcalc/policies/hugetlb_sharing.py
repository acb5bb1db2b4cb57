"""hugetlb PMD sharing, the one way in which a mainline kernel shares page tables between processes.

Rules: mm/hugetlb.c (want_pmd_share, page_table_shareable, vma_shareable, huge_pmd_share), Linux 6.12 and 6.18.
"""

from __future__ import annotations

import numpy as np

from ptcalc.arch import Level
from ptcalc.layout.rows import UFFD, Place
from ptcalc.policies.view import HUGETLB, Sharing, View
from ptcalc.result import Reason

# Registered for these, a VMA never shares (uffd_disable_huge_pmd_share); `missing` does not matter.
_UNSHARING = (UFFD.index("wp"), UFFD.index("minor"))


def hugetlb_pmd_sharing(view: View, level: str) -> Sharing | None:
    """Say which PMD tables of hugetlb mappings are one."""
    geometry = view.geometry
    rows = view.rows
    if level != "pmd" or not geometry.pmd_sharing:
        return None
    huge = (rows.backing == HUGETLB) & (rows.page == geometry.pmd_size)
    if not huge.any():
        return None
    uffd = view.attribute("uffd")
    span = geometry.level("pmd").span
    alignment = view.attribute("alignment")
    may = (
        huge[view.vmas.row]
        & view.attribute("shared").astype(bool)
        & ~np.isin(uffd, _UNSHARING)
        & ((alignment == 0) | (alignment >= span))
        & (view.home[view.vmas.row] < view.groups)
    )
    # Equal vm_flags: protection, madvise and soft-dirty bits, userfaultfd registration.
    keys = ("file", "protection", "madvise", "softdirty", "uffd")
    return Sharing(may, tuple(view.attribute(key).astype(np.int64) for key in keys))


def hugetlb_reasons(place: Place, view: View, row: int, processes: int) -> tuple[Reason, ...]:
    """Return why a hugetlb mapping does not share its PMD tables, the first rule first."""
    geometry, rows = view.geometry, view.rows
    if not geometry.pmd_sharing:
        return (Reason("no-arch-support", f"{geometry.name} does not share hugetlb PMD tables"),)
    if rows.page[row] != geometry.pmd_size:
        name, leaf = geometry.huge_page_name(int(rows.page[row])), geometry.huge_page_name(geometry.pmd_size)
        above = geometry.index[geometry.huge_pages[int(rows.page[row])]] > geometry.index["pmd"]
        what = "have none to share" if above else "keep tables of their own"
        return (Reason("page-size", f"only hugetlb pages of {leaf} share PMD tables; those of {name} {what}"),)
    if not rows.shared[row]:
        return (Reason("map-private", "mapped private: only MAP_SHARED mappings share", "map it shared"),)
    if int(rows.uffd[row]) in _UNSHARING:
        return (Reason("userfaultfd", "registered with userfaultfd wp or minor, which forbids sharing"),)
    span = geometry.level("pmd").span
    unit = geometry.huge_page_name(span)
    if rows.alignment[row] and rows.alignment[row] < span:
        text = f"independent processes agree modulo {int(rows.alignment[row])} bytes only, less than {unit}"
        return (Reason("alignment", text, f"map it at one address, or aligned to {unit}"),)
    return edge_reasons(place, geometry.level("pmd"), unit, processes)


def edge_reasons(place: Place, level: Level, unit: str, processes: int) -> tuple[Reason, ...]:
    """Return the reason for tables that reach beyond a mapping's ends, and what moving it to a boundary would save.

    ``processes`` map it so; each keeps its own edge tables, where a whole table would be one for all.
    """
    span = level.span
    each = int(level.table_bytes * (processes - 1))
    start, end = place.address, place.address + place.length
    whole = max(0, end // span - -(-start // span))
    edges = -(-end // span) - start // span - whole
    if not edges:
        return ()
    best = place.length // span
    if whole == 0:
        if best == 0:
            return (Reason("too-small", f"smaller than {unit}: no table lies wholly inside it"),)
        text = f"no aligned {unit} lies wholly inside it, so that nothing can be shared"
        return (Reason("misaligned", text, f"move it to a {unit} boundary", best * each),)
    text = f"{edges} table{'s' if edges > 1 else ''} at its ragged ends reach{'es' if edges == 1 else ''} beyond it"
    ragged_at_best = -(-place.length // span) - best
    saves = (edges - ragged_at_best) * each
    if saves <= 0:
        return (Reason("ragged-end", text),)
    return (Reason("ragged-edges", text, f"move it to a {unit} boundary", saves),)
