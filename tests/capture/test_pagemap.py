"""Reading a pagemap: a file of numbers stands in for it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest

from ptcalc.capture import pagemap

PAGE, SPAN = 4096, 2 << 20
PER_TABLE = SPAN // PAGE


def read(path: Path, flags: list[int], first: int) -> pagemap.Entries:
    """Write entries for pages from ``first`` on, and read them back."""
    data = np.zeros(first + len(flags), np.uint64)
    data[first:] = flags
    path.write_bytes(data.tobytes())
    file = os.open(path, os.O_RDONLY)
    try:
        return pagemap.touched(file, first * PAGE, (first + len(flags)) * PAGE, PAGE, SPAN)
    finally:
        os.close(file)


@pytest.mark.parametrize(
    ("flags", "runs"),
    [
        ([], []),
        ([0, 0], []),
        ([1 << 63, 1 << 62, 0, 1 << 63], [(0, 2), (3, 4)]),  # present, swapped
        ([1 << 61, 1 << 55, 123], []),  # of a file, soft-dirty and a frame number make no entry
    ],
)
def test_entries(flags: list[int], runs: list[tuple[int, int]], tmp_path: Path) -> None:
    """What counts as an entry."""
    found = read(tmp_path / "pagemap", flags, 700)

    assert found.runs == [((700 + start) * PAGE, (700 + end) * PAGE) for start, end in runs]
    assert found.bytes == sum(end - start for start, end in runs) * PAGE


@pytest.mark.parametrize("first", [0, 3, PER_TABLE - 1])
def test_many_runs_need_the_same_tables(first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs joined within a table, in pieces of any size, lie in the same tables as all of them."""
    draw = random.Random(first)
    flags = [(draw.random() < 0.01) << 63 for _ in range(40 * PER_TABLE)]
    exact = read(tmp_path / "pagemap", flags, first)
    monkeypatch.setattr(pagemap, "MAX_RUNS", 8)
    monkeypatch.setattr(pagemap, "ENTRIES_AT_ONCE", 7 * PER_TABLE + 5)
    joined = read(tmp_path / "pagemap", flags, first)

    def tables(entries: pagemap.Entries) -> set[int]:
        return {table for start, end in entries.runs for table in range(start // SPAN, (end - 1) // SPAN + 1)}

    assert len(joined.runs) < len(exact.runs) / 2
    assert tables(joined) == tables(exact)
    assert joined.bytes == exact.bytes == sum(flag > 0 for flag in flags) * PAGE
