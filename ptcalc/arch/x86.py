"""x86_64 with 4 and 5 levels (LA57), with and without page-table isolation (PTI).

Sources: arch/x86/include/asm/pgtable_64_types.h, page_64_types.h (TASK_SIZE_MAX), pgalloc.h (pgd_allocation_order),
arch/x86/mm/pgtable.c, arch/x86/mm/hugetlbpage.c of Linux 6.1, 6.12, 6.18 and 7.2.

With PTI the root is two pages: the kernel's and the one that user mode runs on.  Tables below are shared by both.
Before 6.16 it was two pages wherever the option is built in, as it is in every distribution.
"""

from __future__ import annotations

from typing import Any

from ptcalc.arch.geometry import Geometry, Level, LowZones, Older
from ptcalc.arch.tables import GIB, KIB, MIB, TIB

_PTI_SINCE, _PTI_AT_BOOT = (4, 15), (6, 16)


def _table(name: str, span: int, pages: int = 1) -> Level:
    return Level(name=name, entries=512, span=span, table_bytes=pages * 4 * KIB)


_LOWER = (_table("pte", 2 * MIB), _table("pmd", GIB), _table("pud", 512 * GIB))


def _x86_64(name: str, title: str, p4d: tuple[Level, ...], root_span: int, *, pti: bool, **own: Any) -> Geometry:
    def root(before: tuple[int, int], pages: int) -> Older:
        return Older(before=before, level="pgd", changes={"table_bytes": pages * 4 * KIB})

    return Geometry(
        name=f"{name}-pti" if pti else name,
        title=f"{title}, PTI" if pti else title,
        base_page=4 * KIB,
        levels=(*_LOWER, *p4d, _table("pgd", root_span, 2 if pti else 1)),
        older=(*(() if pti else (root(_PTI_AT_BOOT, 2),)), root(_PTI_SINCE, 1)),
        # Addresses above 2^47 are handed out only where the hint is above it
        # (Documentation/arch/x86/x86_64/5level-paging.rst).
        default_window=1 << 47,
        huge_pages={2 * MIB: "pmd", GIB: "pud"},
        default_huge_page=2 * MIB,
        pmd_sharing_since=(2, 6),
        write_bit_above=True,  # the R/W bits of all levels are ANDed (Intel SDM 3A, 4.6)
        guests="x86_64",
        kernel_stack=16 * KIB,
        # DMA (16 MiB) and DMA32; RAM below 4 GiB ends at the PCI hole, at 3 GiB on most machines
        # (arch/x86/mm/init.c:zone_sizes_init, arch/x86/kernel/e820.c:e820__setup_pci_gap).
        low_zones=LowZones(zones=2, bytes=3 * GIB),
        # Measured, of a program that does nothing: 48.5 KiB with the root, the rest noise of address randomization.
        small_process={"pte": 6, "pmd": 3, "pud": 2},
        source="arch/x86/include/asm/pgtable_64_types.h (Linux 7.2)",
        **own,
    )


def _four_levels(*, pti: bool) -> Geometry:
    title = "x86_64, 4 levels, 4 KiB pages"
    return _x86_64(
        "x86_64", title, (), 256 * TIB, pti=pti, aliases=() if pti else ("amd64",), task_size=(1 << 47) - 4 * KIB
    )


def _five_levels(*, pti: bool) -> Geometry:
    return _x86_64(
        "x86_64-la57",
        "x86_64, 5 levels (LA57), 4 KiB pages",
        (_table("p4d", 256 * TIB),),
        128 * 1024 * TIB,
        pti=pti,
        task_size=(1 << 56) - 4 * KIB,
    )


GEOMETRIES = (_four_levels(pti=False), _five_levels(pti=False), _four_levels(pti=True), _five_levels(pti=True))
