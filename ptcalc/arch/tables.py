"""Table shapes that several architectures have in common."""

from __future__ import annotations

from typing import Any

from ptcalc.arch.geometry import LEVEL_NAMES, Level

# The page cache's tree takes no larger entries (include/linux/xarray.h: MAX_XAS_ORDER).  Since 5.17, that is what makes
# folios of this many base pages the largest ones of shmem and files; before, a huge page filled many entries.
MOST_OF_A_FOLIO = 1 << 11
MULTI_INDEX_SINCE = (5, 17)

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40


def page_tables(page: int, va_bits: int, **changes: dict[str, Any]) -> tuple[Level, ...]:
    """Return tables of one page of 8-byte entries, whose root translates what is left of ``va_bits``.

    A root smaller than a page comes from slab (arch/arm64/mm/pgd.c:pgd_alloc).
    ``page`` is in bytes; ``changes`` are the fields of a level that differ, by its name.
    """
    levels: list[Level] = []
    mapped = page.bit_length() - 1
    full = mapped - 3
    while mapped < va_bits:
        bits = min(full, va_bits - mapped)
        mapped += bits
        name = "pgd" if mapped == va_bits else LEVEL_NAMES[len(levels)]
        size = 8 << bits
        levels.append(
            Level(
                name=name,
                entries=1 << bits,
                span=1 << mapped,
                table_bytes=size,
                memory="pages" if size == page else "slab",
                **changes.get(name, {}),
            )
        )
    return tuple(levels)
