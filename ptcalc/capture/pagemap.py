"""The pages of a process that have an entry in its page tables, as /proc/PID/pagemap tells.

Documentation/admin-guide/mm/pagemap.rst: 8 bytes for each base page; bit 63 present, bit 62 swapped.  An entry that
was emptied since, by reclaim say, is not seen, while its table stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

ENTRY = 8
ENTRIES_AT_ONCE = 1 << 20
MAPPED = 3 << 62
# Reserved address space beyond this is not walked: the zeros alone would be 2 GiB.
MAX_LENGTH = 1 << 40


def touched(file: int, start: int, end: int, page: int) -> list[tuple[int, int]]:
    """Return the parts of ``start`` to ``end`` (addresses) with entries, in order, as (first byte, one after the last).

    Raises OSError where the process has ended or access is refused.
    """
    runs: list[tuple[int, int]] = []
    for first, last in _runs(file, start // page, end // page):
        if runs and runs[-1][1] == first * page:
            runs[-1] = (runs[-1][0], last * page)
        else:
            runs.append((first * page, last * page))
    return runs


def _runs(file: int, first: int, last: int) -> Iterator[tuple[int, int]]:
    import numpy as np

    for at in range(first, last, ENTRIES_AT_ONCE):
        data = os.pread(file, min(ENTRIES_AT_ONCE, last - at) * ENTRY, at * ENTRY)
        mapped = np.frombuffer(data[: len(data) // ENTRY * ENTRY], np.uint64) & np.uint64(MAPPED) != 0
        edges = np.flatnonzero(np.diff(mapped, prepend=False, append=False))
        for begin, end in edges.reshape(-1, 2).tolist():
            yield at + begin, at + end
        if not data:
            return
