"""ppc64le on Book3S processors: radix and hash, with pages of 64 and 4 KiB.

Sources, Linux 6.1, 6.12 and 7.2: arch/powerpc/include/asm/book3s/64/radix-64k.h, radix-4k.h, hash-64k.h, hash-4k.h,
pgalloc.h, hugetlb.h (check_and_get_huge_psize), arch/powerpc/include/asm/task_size_64.h, arch/powerpc/Kconfig
(THREAD_SHIFT), arch/powerpc/mm/pgtable-frag.c, arch/powerpc/mm/book3s64/pgtable.c, arch/powerpc/mm/hugetlbpage.c.

PTE and PMD tables smaller than a page are fragments of pages that one process owns; PUD tables come from slab.  No
kernel up to 7.2 counts the root: radix__pgd_alloc does not call its constructor.

Before 6.11 the 16 MiB and 16 GiB pages of the 4 KiB hash geometry hung off the level above, in slab objects of 128
and 64 bytes (hugepd); this geometry is what came after.
"""

from __future__ import annotations

from typing import Any

from ptcalc.arch.geometry import Geometry, Level, Older
from ptcalc.arch.tables import GIB, KIB, MIB, TIB


def _root(entries: int, span: int, **own: Any) -> Level:
    return Level(name="pgd", entries=entries, span=span, table_bytes=8 * entries, counted_since=None, **own)


def _slab(entries: int, span: int, table_bytes: int) -> Level:
    return Level(name="pud", entries=entries, span=span, table_bytes=table_bytes, memory="slab")


_RADIX_UPPER = (_slab(512, 512 * GIB, 4 * KIB), _root(8192, 4096 * TIB))
_RADIX_64K = (
    Level(name="pte", entries=32, span=2 * MIB, table_bytes=256, memory="fragments"),
    Level(name="pmd", entries=512, span=GIB, table_bytes=4 * KIB, memory="fragments"),
    *_RADIX_UPPER,
)
_RADIX_4K = (
    Level(name="pte", entries=512, span=2 * MIB, table_bytes=4 * KIB),
    Level(name="pmd", entries=512, span=GIB, table_bytes=4 * KIB),
    *_RADIX_UPPER,
)
# The second half of a table holds the hash slots of its entries, or the deposited PTE tables of a PMD table.
_HASH_64K = (
    Level(name="pte", entries=256, span=16 * MIB, table_bytes=4 * KIB, memory="fragments"),
    Level(name="pmd", entries=1024, span=16 * GIB, table_bytes=16 * KIB, memory="fragments"),
    _slab(1024, 16 * TIB, 16 * KIB),
    _root(256, 4096 * TIB, memory="slab"),
)
_HASH_4K = (
    Level(name="pte", entries=512, span=2 * MIB, table_bytes=4 * KIB),
    Level(name="pmd", entries=128, span=256 * MIB, table_bytes=KIB, memory="fragments"),
    _slab(512, 128 * GIB, 4 * KIB),
    _root(512, 64 * TIB, memory="slab"),
)

_RADIX_HUGE = {2 * MIB: "pmd", GIB: "pud"}
_HASH_HUGE = {16 * MIB: "pmd", 16 * GIB: "pud"}


def _ppc64le(name: str, title: str, page: int, levels: tuple[Level, ...], **own: Any) -> Geometry:
    huge = own["huge_pages"]
    # 64 KiB pages allow 4 PiB, of which mmap without a hint uses 128 TiB.
    large = page == 64 * KIB
    # An estimate: program and heap low (ELF_ET_DYN_BASE is 4 GiB), libraries and stack high.
    own_tables = {"pte": 6, "pmd": 3, "pud": 2} if levels[0].span == 2 * MIB else {"pte": 4, "pmd": 2, "pud": 2}
    return Geometry(
        name=f"ppc64le-{name}",
        title=f"ppc64le, {title}, {page // KIB} KiB pages",
        base_page=page,
        levels=levels,
        task_size=4096 * TIB if large else 64 * TIB,
        default_window=128 * TIB if large else 64 * TIB,
        default_huge_page=min(huge),
        pmd_sharing_since=None,
        older=(Older(before=(6, 8), level=None, changes={"kernel_stack": 16 * KIB}),),
        kernel_stack=32 * KIB,
        small_process=own_tables,
        source=f"arch/powerpc/include/asm/book3s/64/{title.split()[0]}-{page // KIB}k.h (Linux 7.2)",
        **own,
    )


GEOMETRIES = (
    _ppc64le("64k", "radix", 64 * KIB, _RADIX_64K, huge_pages=_RADIX_HUGE, aliases=("ppc64le", "ppc64el")),
    # A THP keeps a PTE table, which holds its hash slots, also where it is of a file (arch_needs_pgtable_deposit).
    _ppc64le("64k-hash", "hash", 64 * KIB, _HASH_64K, huge_pages=_HASH_HUGE, thp_keeps_tables=True),
    _ppc64le("4k", "radix", 4 * KIB, _RADIX_4K, huge_pages=_RADIX_HUGE),
    # Huge pages are runs of entries; THP needs a PMD of 16 MiB (hash__has_transparent_hugepage).
    _ppc64le("4k-hash", "hash", 4 * KIB, _HASH_4K, huge_pages=_HASH_HUGE, contiguous=frozenset(_HASH_HUGE),
             has_thp=False, has_file_thp=False),
)  # fmt: skip
