"""x86_64 with 4 and 5 levels (LA57).

Sources: arch/x86/include/asm/pgtable_64_types.h, page_64_types.h (TASK_SIZE_MAX), arch/x86/mm/pgtable.c,
arch/x86/mm/hugetlbpage.c of Linux 6.12 and 6.18.
"""

from __future__ import annotations

from typing import Any

from ptcalc.arch.geometry import Geometry, Level, LowZones

_KIB, _MIB, _GIB, _TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40


def _table(name: str, span: int) -> Level:
    return Level(name=name, entries=512, span=span, table_bytes=4 * _KIB)


_LOWER = (_table("pte", 2 * _MIB), _table("pmd", _GIB), _table("pud", 512 * _GIB))


def _x86_64(name: str, title: str, upper: tuple[Level, ...], **own: Any) -> Geometry:
    return Geometry(
        name=name,
        title=title,
        base_page=4 * _KIB,
        levels=(*_LOWER, *upper),
        # Addresses above 2^47 are handed out only where the hint is above it
        # (Documentation/arch/x86/x86_64/5level-paging.rst).
        default_window=1 << 47,
        huge_pages={2 * _MIB: "pmd", _GIB: "pud"},
        default_huge_page=2 * _MIB,
        pmd_sharing_since=(2, 6),
        kernel_stack=16 * _KIB,
        # DMA (16 MiB) and DMA32; RAM below 4 GiB ends at the PCI hole, at 3 GiB on most machines
        # (arch/x86/mm/init.c:zone_sizes_init, arch/x86/kernel/e820.c:e820__setup_pci_gap).
        low_zones=LowZones(zones=2, bytes=3 * _GIB),
        source="arch/x86/include/asm/pgtable_64_types.h (Linux 6.12)",
        **own,
    )


GEOMETRIES = (
    _x86_64(
        "x86_64",
        "x86_64, 4 levels, 4 KiB pages",
        (_table("pgd", 256 * _TIB),),
        task_size=(1 << 47) - 4 * _KIB,
        process_tables=48 * _KIB,
    ),
    _x86_64(
        "x86_64-la57",
        "x86_64, 5 levels (LA57), 4 KiB pages",
        (_table("p4d", 256 * _TIB), _table("pgd", 128 * 1024 * _TIB)),
        task_size=(1 << 56) - 4 * _KIB,
        # The P4D table of the low 256 TiB holds the program, its libraries and the stack of every process.
        free_tables_below={"p4d": 1 << 47},
        process_tables=52 * _KIB,
    ),
)
