"""VMAs: rows that the kernel merges into one.

Adjacent mappings of one file with continuing offset and equal attributes are one VMA (mm/vma.c:vma_merge), except
hugetlb, whose VMAs carry VM_DONTEXPAND and are never merged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptcalc.layout.rows import BACKINGS, Rows

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Vmas:
    """V VMAs: ``start``/``end`` addresses and ``row``, one of their rows (attributes are those of all); ``of_row``,
    shape (R,), is the VMA of each row."""

    start: Ints
    end: Ints
    row: Ints
    of_row: Ints


def merge(rows: Rows) -> Vmas:
    """Merge the rows of each process into VMAs."""
    many = len(rows.group)
    if many == 0:
        nothing = np.zeros(0, np.int64)
        return Vmas(nothing, nothing, nothing, nothing)
    sorted_already = bool(
        ((np.diff(rows.group) > 0) | ((np.diff(rows.group) == 0) & (np.diff(rows.start) >= 0))).all()
    )
    order = np.arange(many) if sorted_already else np.lexsort((rows.start, rows.group))
    joins = np.ones(many - 1, bool)
    left, right = order[:-1], order[1:]
    joins &= rows.end[left] == rows.start[right]
    for column in (
        rows.group, rows.file, rows.shared, rows.protection, rows.madvise, rows.uffd, rows.softdirty, rows.allow,
        rows.alignment,
    ):  # fmt: skip
        joins &= column[left] == column[right]
    joins &= rows.file_offset[left] + rows.end[left] - rows.start[left] == rows.file_offset[right]
    joins &= rows.backing[left] != BACKINGS.index("hugetlb")
    number = np.concatenate([[0], np.cumsum(~joins)])
    of_row = np.empty(many, np.int64)
    of_row[order] = number
    first = order[np.concatenate([[True], ~joins])]
    last = order[np.concatenate([~joins, [True]])]
    return Vmas(start=rows.start[first], end=rows.end[last], row=first, of_row=of_row)
