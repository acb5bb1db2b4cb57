"""Mappings as columns: one row for each mapping, piece and group, and the runs that each row touches.

This is what the engine computes on: NumPy columns, all addresses and offsets in bytes (int64).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptcalc.layout.addresses import NoSlotLeft, Wish, place
from ptcalc.layout.plan import Plan, SegmentPlan, round_up
from ptcalc.layout.touch import TouchRun, runs

if TYPE_CHECKING:
    from ptcalc.arch import Geometry
    from ptcalc.workload.model import Mapping, Workload

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

BACKINGS = ("shmem", "file", "hugetlb", "private")
PROTECTIONS = ("none", "r", "rw", "rx", "rwx")
THP = ("never", "always", "within_size", "advise")
MADVISE = ("none", "hugepage", "nohugepage")
UFFD = ("none", "missing", "wp", "minor")
MAX_ROWS = 4_000_000


class TooManyRows(Exception):
    """The pieces of the mappings are more than ptcalc evaluates; ``mapping`` is the number of the one at fault."""

    def __init__(self, mapping: int) -> None:
        super().__init__(mapping)
        self.mapping = mapping


@dataclass(frozen=True, slots=True)
class Place:
    """One mapping as placed: its group, position in the file, address and mapped length in bytes."""

    group: int
    group_name: str
    index: int
    segment: str
    mapping: Mapping
    address: int
    length: int
    row: int  # the first of its rows
    lowered: bool  # a stated or canonical address that was no multiple of the huge page


@dataclass(frozen=True, slots=True)
class Rows:
    """R rows (shape (R,) each); ``delta`` is the address of segment offset 0 as this row maps it."""

    mapping: Ints
    group: Ints
    file: Ints
    start: Ints
    end: Ints
    file_offset: Ints
    delta: Ints
    seg_lo: Ints
    seg_hi: Ints
    segment: Ints
    backing: Ints
    page: Ints
    thp: Ints
    shared: Flags
    protection: Ints
    madvise: Ints
    uffd: Ints
    softdirty: Flags
    allow: Flags
    write: Flags
    alignment: Ints  # 0: same addresses in all processes; else they agree modulo this only


@dataclass(frozen=True, slots=True)
class Runs:
    """T touched runs (shape (T,)); lo/hi are addresses; see `touch.TouchRun` for the rest.

    ``domain`` numbers the draws: runs of one draw (a mapping cut into pieces) have equal numbers.
    """

    row: Ints
    kind: Ints
    lo: Ints
    hi: Ints
    step: Ints
    origin: Ints
    slots: Ints
    drawn: Ints
    same: Flags
    domain: Ints


@dataclass(frozen=True, slots=True)
class Layout:
    """A workload under one plan: places, rows and runs.

    ``file_size`` and ``file_position`` (shape (F,), bytes): the files (pieces), and where each lies in its segment as
    mapped.
    """

    geometry: Geometry
    plan: Plan
    places: tuple[Place, ...]
    rows: Rows
    runs: Runs
    file_size: Ints
    file_position: Ints
    counts: tuple[int, ...]


def lay_out(workload: Workload, geometry: Geometry, plan: Plan) -> Layout:
    """Place every mapping and cut it into rows.

    Raises NoSlotLeft or TooManyRows, which name the mapping.
    """
    segment_numbers = {name: number for number, name in enumerate(plan.segments)}
    pieces = {name: _Pieces(segment) for name, segment in plan.segments.items()}
    base = 0
    for piece in pieces.values():
        piece.base = base
        base += len(piece.lo)
    wishes, spans = [], []
    seen: dict[tuple[object, ...], int] = {}
    flat = [
        (group_number, index, mapping)
        for group_number, group in enumerate(workload.processes.values())
        for index, mapping in enumerate(group.mappings)
    ]
    for number, (group_number, _, mapping) in enumerate(flat):
        wish, span = _wish(number, group_number, mapping, plan.segments[mapping.segment], pieces, geometry, seen)
        wishes.append(wish)
        spans.append(span)
    addresses = place(wishes, geometry)
    groups = tuple(workload.processes.values())
    names = tuple(workload.processes)
    columns: list[list[Ints]] = []
    run_rows: list[list[tuple[int, ...]]] = []
    places = []
    total = 0
    domain = 0
    for number, (group_number, index, mapping) in enumerate(flat):
        piece = pieces[mapping.segment]
        segment = plan.segments[mapping.segment]
        start_pos, end_pos, length = spans[number]
        address = addresses[number]
        page = int(piece.page[piece.at(start_pos)])
        lowered = address % page != 0
        address -= address % page
        places.append(
            Place(
                group_number, names[group_number], index, mapping.segment, mapping, address, end_pos - start_pos,
                total, lowered,
            )
        )  # fmt: skip
        first, last = piece.at(start_pos), piece.at(end_pos - 1)
        total += last - first + 1
        if total > MAX_ROWS:
            raise TooManyRows(number)
        cut = slice(first, last + 1)
        lo_pos = np.maximum(piece.pos[cut], start_pos)
        hi_pos = np.minimum(piece.pos[cut] + piece.rounded[cut], end_pos)
        delta = address - start_pos + piece.pos[cut] - piece.lo[cut]
        many = len(lo_pos)

        def fill(value: int, many: int = many) -> Ints:
            return np.full(many, value, np.int64)

        columns.append(
            [
                fill(number),
                fill(group_number),
                piece.base + np.arange(first, last + 1),
                address + lo_pos - start_pos,
                address + hi_pos - start_pos,
                lo_pos - piece.pos[cut],
                delta,
                np.maximum(piece.lo[cut], mapping.offset),
                np.minimum(piece.hi[cut], mapping.offset + length),
                fill(segment_numbers[mapping.segment]),
                piece.backing[cut],
                piece.page[cut],
                fill(THP.index(segment.thp)),
                fill(mapping.map == "shared" and segment.backing != "private"),
                fill(PROTECTIONS.index(mapping.protection)),
                fill(MADVISE.index(mapping.madvise)),
                fill(UFFD.index(mapping.userfaultfd)),
                fill(mapping.softdirty),
                fill(mapping.page_table_sharing == "allow" and groups[group_number].page_table_sharing == "allow"),
                fill(mapping.access == "write"),
                fill(max(wishes[number].alignment, page) if mapping.placement == "independent" else 0),
            ]
        )
        for touch in mapping.touch:
            for run in runs(touch, mapping.offset, length, geometry.base_page):
                run_rows.append(_cut(run, columns[-1], total - many, domain))
                domain += 1
    table = [np.concatenate(column) for column in zip(*columns, strict=True)] if columns else [_EMPTY] * 21
    flags = {13, 17, 18, 19}
    rows = Rows(*(column.astype(bool) if at in flags else column for at, column in enumerate(table)))
    cut_runs = np.array([run for part in run_rows for run in part], np.int64).reshape(-1, 10).T
    row, kind, lo, hi, step, origin, slots, drawn, same, draw = cut_runs
    layout_runs = Runs(row, kind, lo, hi, step, origin, slots, drawn, same.astype(bool), draw)
    sizes = [piece.rounded for piece in pieces.values()]
    positions = [piece.pos for piece in pieces.values()]
    return Layout(
        geometry=geometry,
        plan=plan,
        places=tuple(places),
        rows=rows,
        runs=layout_runs,
        file_size=np.concatenate(sizes) if sizes else _EMPTY,
        file_position=np.concatenate(positions) if positions else _EMPTY,
        counts=tuple(group.count for group in groups),
    )


_EMPTY: Ints = np.zeros(0, np.int64)


class _Pieces:
    """The files of a segment as columns: offsets as written (lo, hi), position as mapped, rounded size."""

    def __init__(self, segment: SegmentPlan) -> None:
        cuts = segment.pieces()
        self.lo = np.array([lo for lo, _, _ in cuts], np.int64)
        self.hi = np.array([hi for _, hi, _ in cuts], np.int64)
        self.page = np.array([part.page for _, _, part in cuts], np.int64)
        self.backing = np.array([BACKINGS.index(part.backing) for _, _, part in cuts], np.int64)
        self.rounded = -(-(self.hi - self.lo) // self.page) * self.page
        self.pos = np.cumsum(self.rounded) - self.rounded
        self.end = int(self.rounded.sum())
        self.base = 0

    def at(self, position: int) -> int:
        """Number of the piece that holds a position."""
        return int(np.searchsorted(self.pos, position, side="right")) - 1

    def position(self, offset: int) -> int:
        """Position, as mapped, of an offset as written."""
        number = int(np.searchsorted(self.lo, offset, side="right")) - 1
        return int(self.pos[number]) + offset - int(self.lo[number])


def _wish(
    number: int,
    group: int,
    mapping: Mapping,
    segment: SegmentPlan,
    pieces: dict[str, _Pieces],
    geometry: Geometry,
    seen: dict[tuple[object, ...], int],
) -> tuple[Wish, tuple[int, int, int]]:
    """Return where a mapping wants to go and its (start, end, length): positions as mapped, length as written."""
    piece = pieces[mapping.segment]
    # A mapping may reach to the end of the last page of its segment.
    length = segment.size - mapping.offset if mapping.length is None else mapping.length
    start = piece.position(mapping.offset)
    page = int(piece.page[piece.at(start)])
    # Offsets are rounded down and ends up to the page that holds them (contract section 4, hugetlb what-ifs).
    start -= (start - int(piece.pos[piece.at(start)])) % page
    last = min(mapping.offset + length, segment.size) - 1
    end = piece.position(last)
    tail = piece.at(end)
    end = int(piece.pos[tail]) + round_up(end - int(piece.pos[tail]) + 1, int(piece.page[tail]))
    alignment, residue = _alignment(mapping, segment, page, end - start, geometry)
    key: tuple[object, ...] | None = None
    if mapping.address is None:
        twin = (group, mapping.segment, mapping.offset, alignment)
        seen[twin] = seen.get(twin, -1) + 1
        key = (mapping.segment, mapping.offset, alignment, seen[twin])
    wish = Wish(number, group, key, end - start, mapping.address, alignment, residue)
    return wish, (start, end, length)


def _alignment(mapping: Mapping, segment: SegmentPlan, page: int, length: int, geometry: Geometry) -> tuple[int, int]:
    """Alignment of a mapping without an address, and what is added to the slot (bytes)."""
    if mapping.alignment is not None:
        # No mapping of huge pages is aligned to less than one.
        alignment = max(mapping.alignment, page)
        return alignment, alignment
    if segment.backing != "hugetlb" and segment.thp != "never":
        # mm/shmem.c:shmem_get_unmapped_area: from one huge page up, congruent to the offset, unless the mapping
        # would hold no whole huge page all the same.
        huge = geometry.thp_size
        offset = mapping.offset % segment.piece % huge
        if length >= huge and not (offset and offset + length < 2 * huge):
            return huge, huge + offset
    return page, page


def _cut(run: TouchRun, row: list[Ints], first_row: int, domain: int) -> list[tuple[int, ...]]:
    """Cut a run along the rows of its mapping (the pieces)."""
    delta, lows, highs = row[6], row[7], row[8]
    first = max(int(np.searchsorted(highs, run.lo, side="right")), 0)
    last = int(np.searchsorted(lows, run.hi, side="left"))
    out: list[tuple[int, ...]] = []
    for at in range(first, last):
        shift = int(delta[at])
        lo, hi = max(run.lo, int(lows[at])), min(run.hi, int(highs[at]))
        if run.kind == 1:
            lo += -(lo - run.lo) % run.step
        if lo < hi:
            out.append(
                (
                    first_row + at, run.kind, lo + shift, hi + shift, run.step, run.origin + shift,
                    run.slots, run.drawn, int(run.same), domain,
                )
            )  # fmt: skip
    return out


__all__ = ["Layout", "NoSlotLeft", "Place", "Rows", "Runs", "TooManyRows", "lay_out"]
