"""What the counters of each kernel version count.

Sources: include/linux/mm.h and fs/proc/task_mmu.c (VmPTE); commits b2b29d6d0119 (PMD tables in PageTables, 5.10),
55d2a0bd5ead (PUD tables, 6.7) and the series "Account page tables at all levels" (P4D and PGD, 6.14).  Where an
architecture differs, its levels say so (`ptcalc.arch.geometry.Level.counted_since`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ptcalc.arch.geometry import Geometry, Level, Version

# The last minor version of each major one.
LAST = {2: 6, 3: 19, 4: 20, 5: 19, 6: 19, 7: 2}
OLDEST_TEXT, NEWEST_TEXT = "2.6", "7.2"

# Since when VmPTE counts a level; before 4.15 PMD tables had a line of their own, VmPMD.  P4D and root: never.
VMPTE_SINCE: dict[str, Version] = {"pte": (0, 0), "pmd": (4, 15), "pud": (4, 15)}
# Since when the constructors of the generic code count a level in PageTables.
COUNTED_SINCE: dict[str, Version] = {"pte": (0, 0), "pmd": (5, 10), "pud": (6, 7), "p4d": (6, 14), "pgd": (6, 14)}
# Since when a memory cgroup (version 2) has the line `pagetables` in its memory.stat: commit f0c0c115fb81.
MEMCG_SINCE: Version = (5, 11)


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel version; ``vendor`` is what follows the base version in a distribution's string."""

    text: str
    major: int
    minor: int
    vendor: str = ""

    @property
    def version(self) -> tuple[int, int]:
        """The mainline version whose counter rules are used."""
        return (self.major, self.minor)


@dataclass(frozen=True, slots=True)
class TableCost:
    """What the tables of one level take and show, in bytes.

    ``allocation`` bytes of memory hold ``per_allocation`` tables of one mm, and the last one of a process without
    mappings holds ``in_use`` already; VmPTE adds ``vmpte`` for a table,
    PageTables ``page_tables`` and `pagetables` in a cgroup's memory.stat ``memcg`` (None: there is no such line) for
    an allocation.
    """

    level: str
    allocation: int
    in_use: int
    per_allocation: int
    vmpte: int
    page_tables: int
    memcg: int | None
    charged: bool  # to the memory cgroup of the process that touches first


def parse(text: str) -> Kernel:
    """Read a kernel version: ``6.18``, ``6.1.0-13-amd64``, ``5.14.0-427.el9.x86_64``, ``7.0-rc3``.

    Raises ValueError, saying what would be accepted, for anything else.
    """
    known = f"a version from {OLDEST_TEXT} to {NEWEST_TEXT}, such as 6.18 or 5.14.0-427.el9.x86_64"
    match = re.fullmatch(r"\s*v?(\d{1,3})\.(\d{1,3})((?:\.\d{1,5}){0,3})((?:[-+~_.][A-Za-z0-9._+~-]*)?)\s*", text)
    if match is None or len(text) > 100:
        raise ValueError(f"no kernel version; accepted: {known}")
    major, minor = int(match[1]), int(match[2])
    if minor > LAST.get(major, -1) or (major == 2 and minor < 6):
        raise ValueError(f"unknown kernel version {major}.{minor}; accepted: {known}")
    vendor = "" if re.fullmatch(r"-rc\d+", match[4]) else match[4].strip("-+._~ ")
    return Kernel(text=text.strip(), major=major, minor=minor, vendor=vendor)


def costs(geometry: Geometry, version: Version) -> tuple[TableCost, ...]:
    """Return what the tables of each level take and show on a kernel of that version, from the PTE level up."""
    found = geometry.at(version)
    return tuple(
        _cost(level, found.base_page, found.small_process.get(level.name, 0), version) for level in found.levels
    )


def _cost(level: Level, page: int, small: int, version: Version) -> TableCost:
    allocation = level.allocation_bytes(page)
    since = COUNTED_SINCE[level.name] if level.counted_since == "generic" else level.counted_since
    counted = since is not None and version >= since and level.memory != "slab"
    shown = (level.counted_bytes or allocation) if counted else 0
    vmpte_since = VMPTE_SINCE.get(level.name)
    return TableCost(
        level=level.name,
        allocation=allocation,
        in_use=small % level.per_allocation(page),
        per_allocation=level.per_allocation(page),
        vmpte=level.content_bytes if vmpte_since is not None and version >= vmpte_since else 0,
        page_tables=shown,
        charged=level.charged,
        memcg=(shown if level.charged else 0) if version >= MEMCG_SINCE else None,
    )
