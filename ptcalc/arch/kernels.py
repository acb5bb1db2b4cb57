"""What the counters of each kernel version count.

Sources: include/linux/mm.h and fs/proc/task_mmu.c (VmPTE); commits b2b29d6d0119 (PMD tables in PageTables, 5.10),
55d2a0bd5ead (PUD tables, 6.7) and the series "Account page tables at all levels" (P4D and PGD, 6.14).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# The last minor version of each major one.
LAST = {2: 6, 3: 19, 4: 20, 5: 19, 6: 19, 7: 2}
OLDEST_TEXT, NEWEST_TEXT = "2.6", "7.2"


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
class Counters:
    """Names of the levels whose tables each counter counts."""

    vmpte: frozenset[str]
    page_tables: frozenset[str]


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


def counters(kernel: Kernel) -> Counters:
    """Return which levels VmPTE and PageTables count in that version."""
    version = kernel.version
    vmpte = {"pte"} if version < (4, 15) else {"pte", "pmd", "pud"}
    page_tables = {"pte"}
    for since, levels in (((5, 10), {"pmd"}), ((6, 7), {"pud"}), ((6, 14), {"p4d", "pgd"})):
        if version >= since:
            page_tables |= levels
    return Counters(vmpte=frozenset(vmpte), page_tables=frozenset(page_tables))
