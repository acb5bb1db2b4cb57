"""The pages of a process that have an entry in its page tables, as /proc/PID/pagemap tells.

Documentation/admin-guide/mm/pagemap.rst: 8 bytes for each base page; bit 63 present, bit 62 swapped.  An entry that
was emptied since, by reclaim say, is not seen, while its table stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENTRY = 8
ENTRIES_AT_ONCE = 1 << 20
MAX_RUNS = 2048  # among so many entries
MAPPED = 3 << 62
# Reserved address space beyond this is not walked: the zeros alone would be 2 GiB.
MAX_LENGTH = 1 << 40


class Entries(NamedTuple):
    """Where a mapping has entries: ``runs`` of addresses (first byte, one after the last), and ``bytes`` of pages."""

    runs: list[tuple[int, int]]
    bytes: int


def touched(file: int, start: int, end: int, page: int, span: int) -> Entries:
    """Return the parts of ``start`` to ``end`` (addresses) with entries, in order.

    Where they are very many, the runs go from the first to the last entry of each PTE table (``span`` bytes), which
    needs the same tables.  Raises OSError where the process has ended or access is refused.
    """
    runs: list[tuple[int, int]] = []
    pages = 0
    for at, mapped in _chunks(file, start // page, end // page):
        pages += int(mapped.sum())
        for first, last in _edges(mapped, at, span // page):
            if runs and runs[-1][1] == first * page:
                runs[-1] = (runs[-1][0], last * page)
            else:
                runs.append((first * page, last * page))
    return Entries(runs, pages * page)


def _chunks(file: int, first: int, last: int) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield the number of a page, and of it and the next ones whether they have entries."""
    import numpy as np

    for at in range(first, last, ENTRIES_AT_ONCE):
        data = os.pread(file, min(ENTRIES_AT_ONCE, last - at) * ENTRY, at * ENTRY)
        if not data:
            return
        yield at, np.frombuffer(data[: len(data) // ENTRY * ENTRY], np.uint64) & np.uint64(MAPPED) != 0


def _edges(mapped: NDArray[np.bool_], at: int, per_table: int) -> list[list[int]]:
    """Return runs of pages with entries as [first, one after the last]."""
    import numpy as np

    edges = np.flatnonzero(np.diff(mapped, prepend=False, append=False)) + at
    if len(edges) > 2 * MAX_RUNS:
        pages = np.flatnonzero(mapped) + at
        tables = pages // per_table
        last = np.flatnonzero(np.diff(tables, append=-1))
        first = np.concatenate(([0], last[:-1] + 1))
        edges = np.stack((pages[first], pages[last] + 1), axis=1).ravel()
    found: list[list[int]] = edges.reshape(-1, 2).tolist()
    return found
