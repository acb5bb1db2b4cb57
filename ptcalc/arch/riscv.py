"""riscv64 with the modes Sv39, Sv48 and Sv57, which a kernel chooses at boot by what the processor has.

Sources, Linux 6.1, 6.12 and 7.2: arch/riscv/include/asm/pgtable-64.h, pgalloc.h, processor.h (DEFAULT_MAP_WINDOW),
arch/riscv/mm/hugetlbpage.c, arch/riscv/Kconfig (ARCH_WANT_HUGE_PMD_SHARE, THREAD_SIZE_ORDER).
"""

from __future__ import annotations

from ptcalc.arch.geometry import Geometry, Older
from ptcalc.arch.tables import GIB, KIB, MIB, page_tables

_PAGE = 4 * KIB


def _riscv(mode: int, *aliases: str, **process: int) -> Geometry:
    """Return the geometry of one mode; ``process`` is the estimate of a small process's tables, as on x86_64."""
    levels = page_tables(_PAGE, mode)
    huge = {2 * MIB: "pmd", GIB: levels[2].name}
    return Geometry(
        name=f"riscv64-sv{mode}",
        title=f"riscv64, Sv{mode}, {len(levels)} levels, 4 KiB pages",
        aliases=aliases,
        base_page=_PAGE,
        levels=levels,
        # Half of what the root translates is the kernel's.
        task_size=1 << mode - 1,
        # With Sv57 mmap stays within what Sv48 offers, unless the hint is above it (since 6.6).
        default_window=1 << min(mode, 48) - 1,
        # 64 KiB pages need Svnapot in the processor (arch/riscv/mm/hugetlbpage.c:napot_hugetlbpages_init).
        huge_pages={64 * KIB: "pte", **huge},
        contiguous=frozenset({64 * KIB}),
        default_huge_page=2 * MIB,
        pmd_sharing_since=(5, 3),
        older=(
            Older(before=(6, 4), level=None, changes={"huge_pages": huge, "contiguous": frozenset()}),
            # pgd_alloc used plain GFP_KERNEL.
            Older(before=(6, 14), level="pgd", changes={"charged": False}),
        ),
        kernel_stack=16 * KIB,
        small_process=process,
        source="arch/riscv/include/asm/pgtable-64.h (Linux 7.2)",
    )


GEOMETRIES = (
    _riscv(39, pte=6, pmd=3),
    # The alias: the RISC-V server platform requires Sv48.
    _riscv(48, "riscv64", pte=6, pmd=3, pud=2),
    _riscv(57, pte=6, pmd=3, pud=2),
)
