"""arm64: pages of 4, 16 and 64 KiB, with the address bits that kernels are built for.

Sources, Linux 6.1, 6.12 and 7.2: arch/arm64/Kconfig (PGTABLE_LEVELS, ARCH_WANT_HUGE_PMD_SHARE), include/asm/memory.h
(VA_BITS_MIN, THREAD_SHIFT), include/asm/processor.h (TASK_SIZE_64, DEFAULT_MAP_WINDOW_64), mm/pgd.c,
mm/hugetlbpage.c (support matrix).

A kernel for 52 bits on a processor without them (LPA2 with 4 and 16 KiB pages) runs one level less: as `va48` with
4 KiB pages and as `va47` with 16 KiB pages.  That is Debian's kernel on most servers.  With 64 KiB pages only the
end of user space differs.
"""

from __future__ import annotations

from ptcalc.arch.geometry import Geometry, Older, Version
from ptcalc.arch.tables import GIB, KIB, MIB, MOST_OF_A_FOLIO, MULTI_INDEX_SINCE, page_tables

# hugetlb sizes: contiguous PTEs, PMD, contiguous PMDs, and PUD where the hardware has it.
_HUGE = {4 * KIB: (64 * KIB, 2 * MIB, 32 * MIB, GIB), 16 * KIB: (2 * MIB, 32 * MIB, GIB),
         64 * KIB: (2 * MIB, 512 * MIB, 16 * GIB)}  # fmt: skip


def _arm64(
    page: int, va_bits: int, *aliases: str, sharing: Version | None, window: int | None = None, **process: int
) -> Geometry:
    """Return one configuration; ``process`` is the estimate of a small process's tables by level.

    The estimate has the program, its heap, the libraries and the stack in PTE tables of their own (two more where
    these span 2 MiB); above that, tables where they lie: the program at 2/3 of the window, libraries and stack at
    its end.
    """
    levels = page_tables(page, va_bits)
    names = [level.name for level in levels]
    pte, pmd = names[0], names[1]
    cont_pte, leaf, cont_pmd, *pud = _HUGE[page]
    huge = {cont_pte: pte, leaf: pmd, cont_pmd: pmd, **dict(zip(pud, names[2:3], strict=False))}
    return Geometry(
        name=f"arm64-{page // KIB}k-va{va_bits}",
        title=f"arm64, {page // KIB} KiB pages, {va_bits} address bits, {len(levels)} levels",
        aliases=aliases,
        base_page=page,
        levels=levels,
        task_size=1 << va_bits,
        default_window=window or 1 << min(va_bits, 48),
        huge_pages=huge,
        contiguous=frozenset({cont_pte, cont_pmd}),
        default_huge_page=leaf,
        has_file_thp=leaf // page <= MOST_OF_A_FOLIO,
        older=(Older(before=MULTI_INDEX_SINCE, level=None, changes={"has_file_thp": True}),),
        pmd_sharing_since=sharing,
        guests="arm64",
        # VMAP_STACK needs whole pages.
        kernel_stack=max(16 * KIB, page),
        small_process=process,
        source="arch/arm64/include/asm/pgtable-hwdef.h, arch/arm64/mm/hugetlbpage.c (Linux 7.2)",
    )


GEOMETRIES = (
    _arm64(4 * KIB, 39, sharing=(3, 11), pte=6, pmd=3),
    _arm64(4 * KIB, 48, "arm64", "arm64-4k", "aarch64", sharing=(3, 11), pte=6, pmd=3, pud=2),
    _arm64(4 * KIB, 52, sharing=(3, 11), pte=6, pmd=3, pud=2),
    _arm64(16 * KIB, 36, sharing=None, pte=4),
    _arm64(16 * KIB, 47, "arm64-16k", sharing=(4, 4), pte=4, pmd=2),
    _arm64(16 * KIB, 48, sharing=(4, 4), pte=4, pmd=2, pud=1),
    # VA_BITS_MIN is 47 here, not 48: without LPA2 there are three levels.
    _arm64(16 * KIB, 52, sharing=(4, 4), window=1 << 47, pte=4, pmd=2, pud=1),
    _arm64(64 * KIB, 42, sharing=None, pte=4),
    _arm64(64 * KIB, 48, sharing=None, pte=4, pmd=2),
    _arm64(64 * KIB, 52, "arm64-64k", sharing=None, pte=4, pmd=2),
)
