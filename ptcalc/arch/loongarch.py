"""loongarch64: pages of 4, 16 and 64 KiB with the two numbers of levels that each has.

Sources, Linux 6.1, 6.12 and 7.2: arch/loongarch/Kconfig (Page Table Layout), include/asm/pgtable.h, pgalloc.h,
processor.h (TASK_SIZE64), thread_info.h, mm/hugetlbpage.c.
"""

from __future__ import annotations

from ptcalc.arch.geometry import Geometry, Older
from ptcalc.arch.tables import KIB, MOST_OF_A_FOLIO, page_tables

# User addresses of processors with 48 bits: half of them.  Smaller ones have less (kernel/cpu-probe.c: vabits).
_CPU_BITS = 47


def _loongarch(name: str, page: int, va_bits: int, *aliases: str, **process: int) -> Geometry:
    """Return one layout; ``process`` is the estimate of a small process's tables by level, as on arm64."""
    # pud_alloc_one uses plain GFP_KERNEL.
    levels = page_tables(page, va_bits, pud={"charged": False})
    leaf = levels[0].span
    return Geometry(
        name=f"loongarch64-{name}",
        title=f"loongarch64, {page // KIB} KiB pages, {len(levels)} levels, {va_bits} address bits",
        aliases=aliases,
        base_page=page,
        levels=levels,
        task_size=1 << min(va_bits, _CPU_BITS),
        default_window=1 << min(va_bits, _CPU_BITS),
        huge_pages={leaf: levels[1].name},
        default_huge_page=leaf,
        has_file_thp=leaf // page <= MOST_OF_A_FOLIO,
        pmd_sharing_since=None,
        # pgd_alloc used plain GFP_KERNEL.
        older=(Older(before=(6, 14), level="pgd", changes={"charged": False}),),
        kernel_stack=16 * KIB,
        small_process=process,
        source="arch/loongarch/include/asm/pgtable.h, arch/loongarch/Kconfig (Linux 7.2)",
    )


GEOMETRIES = (
    _loongarch("4k", 4 * KIB, 48, pte=6, pmd=3, pud=2),
    _loongarch("4k-3level", 4 * KIB, 39, pte=6, pmd=3),
    _loongarch("16k", 16 * KIB, 47, "loongarch64", "loong64", pte=4, pmd=2),
    _loongarch("16k-2level", 16 * KIB, 36, pte=4),
    _loongarch("64k", 64 * KIB, 55, pte=4, pmd=2),
    _loongarch("64k-2level", 64 * KIB, 42, pte=4),
)
