"""s390x: three levels, and a fourth and fifth for processes that map high addresses.

Sources, Linux 6.1, 6.12 and 7.2: arch/s390/include/asm/pgtable.h, pgalloc.h, mmu_context.h (init_new_context),
processor.h, arch/s390/mm/pgalloc.c (crst_table_alloc, crst_table_upgrade, page_table_alloc), arch/s390/mm/init.c.

Region and segment tables are 16 KiB.  A new process has a region-third table as its root; mapping an address above
4 TiB puts a region-second table on top of it, and the old root counts as a PUD table in VmPTE from then on.
"""

from __future__ import annotations

from ptcalc.arch.geometry import HIGHEST_ADDRESS, LEVEL_NAMES, Geometry, Growth, Level, LowZones, Older, Version
from ptcalc.arch.tables import GIB, KIB, MIB, TIB

_PAGE = 4 * KIB
_PIB = 1 << 50


def _region(name: str, span: int, counted_since: Version) -> Level:
    return Level(name=name, entries=2048, span=span, table_bytes=16 * KIB, counted_since=counted_since)


_LEVELS = (
    # The second half of the page is left empty: it is for the attributes of KVM guests.
    Level(name="pte", entries=256, span=MIB, table_bytes=4 * KIB),
    _region("pmd", 2 * GIB, (5, 10)),
    _region("pud", 4 * TIB, (6, 14)),
    # crst_table_upgrade calls the constructors in 7.2 and did not in 6.12; which version between them is unconfirmed.
    _region("p4d", 8 * _PIB, (6, 16)),
    _region("pgd", 16 * 1024 * _PIB, (6, 16)),
)

_HALVES = {"table_bytes": 2 * KIB, "memory": "fragments"}

GEOMETRIES = (
    Geometry(
        name="s390x",
        title="s390x, 3 levels growing to 5, 4 KiB pages",
        base_page=_PAGE,
        levels=_LEVELS,
        # User space ends a page below 2^64 (processor.h: TASK_SIZE_MAX); ptcalc calculates up to 2^62.
        task_size=HIGHEST_ADDRESS,
        default_window=4 * TIB,
        huge_pages={MIB: "pmd", 2 * GIB: "pud"},
        default_huge_page=MIB,
        pmd_sharing_since=None,
        grows=(
            Growth(above=4 * TIB, level="p4d", vmpte_bytes=16 * KIB),
            Growth(above=8 * _PIB, level="pgd", vmpte_bytes=0),
        ),
        older=(
            # GFP_KERNEL without __GFP_ACCOUNT in 6.8 and before, with it in 6.12.
            *(Older(before=(6, 12), level=name, changes={"charged": False}) for name in LEVEL_NAMES),
            # Two PTE tables shared a page: commit d08d4e7cd6bf ended it.
            Older(before=(6, 7), level="pte", changes=_HALVES),
            # Not a compound page, of which the constructor counted the first.
            Older(before=(6, 6), level="pmd", changes={"counted_bytes": _PAGE}),
        ),
        # ZONE_DMA is the first 2 GiB.
        low_zones=LowZones(zones=1, bytes=2 * GIB),
        kernel_stack=16 * KIB,
        # An estimate: PTE tables for a program, its heap, three for libraries, the stack and the vDSO; the PUD table
        # is the root.
        small_process={"pte": 7, "pmd": 3},
        source="arch/s390/include/asm/pgtable.h, arch/s390/mm/pgalloc.c (Linux 7.2)",
    ),
)
