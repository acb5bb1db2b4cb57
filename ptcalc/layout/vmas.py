"""VMAs: rows that the kernel merges into one.

Adjacent mappings of one file with continuing offset and equal attributes are one VMA (mm/vma.c:vma_merge), except
hugetlb, whose VMAs carry VM_DONTEXPAND and are never merged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.union import sorting
from ptcalc.layout.rows import BACKINGS, Rows

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Vmas:
    """V VMAs.

    ``start``/``end`` addresses and ``row``, one of their rows (attributes are those of all); ``of_row``,
    shape (R,), is the VMA of each row.
    """

    start: Ints
    end: Ints
    row: Ints
    of_row: Ints


def merge(rows: Rows, *, switched: bool = False) -> Vmas:
    """Merge the rows of each process into VMAs.

    ``switched``: the kernel has a switch for page-table sharing, a flag of the VMA that must be equal as well.
    """
    many = len(rows.group)
    if many == 0:
        nothing = np.zeros(0, np.int64)
        return Vmas(nothing, nothing, nothing, nothing)
    order = np.arange(many)[sorting(rows.group, rows.start)]
    group, start, end = rows.group[order], rows.start[order], rows.end[order]
    joins = (end[:-1] == start[1:]) & (group[:-1] == group[1:])
    near = np.flatnonzero(joins)
    left, right = order[near], order[near + 1]
    alike = rows.backing[left] != BACKINGS.index("hugetlb")
    alike &= rows.file_offset[left] + rows.end[left] - rows.start[left] == rows.file_offset[right]
    attributes = [
        rows.file, rows.shared, rows.protection, rows.madvise, rows.uffd, rows.softdirty, rows.alignment, rows.locked,
    ]  # fmt: skip
    for column in [*attributes, rows.allow] if switched else attributes:
        alike &= column[left] == column[right]
    joins[near] = alike
    number = np.concatenate([[0], np.cumsum(~joins)])
    of_row = np.empty(many, np.int64)
    of_row[order] = number
    first, last = np.concatenate([[True], ~joins]), np.concatenate([~joins, [True]])
    return Vmas(start=start[first], end=end[last], row=order[first], of_row=of_row)
