"""Mappings as columns: one row for each mapping, piece and group, and the runs that each row touches.

This is what the engine computes on: NumPy columns, all addresses and offsets in bytes (int64).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.numbers import Number, agreed, chosen, flat, larger, smaller
from ptcalc.layout.addresses import NoSlotLeft, Wish, place
from ptcalc.layout.plan import Plan, SegmentPlan, round_up
from ptcalc.layout.touch import STRIDE, TouchRun, runs

if TYPE_CHECKING:
    from ptcalc.arch import Geometry
    from ptcalc.workload.model import Mapping, Touch, Workload

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

BACKINGS = ("shmem", "file", "hugetlb", "private")
PROTECTIONS = ("none", "r", "rw", "rx", "rwx")
THP = ("never", "always", "within_size", "advise")
MADVISE = ("none", "hugepage", "nohugepage")
UFFD = ("none", "missing", "wp", "minor")
LOCKED = ("no", "yes", "on_fault")
MAX_ROWS = 4_000_000
# Memory of a guest whose address the file does not say starts at a multiple of this, after what it has already.
GUEST_STEP = 1 << 30


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
    address: Number
    length: Number
    row: int  # the first of its rows
    lowered: bool  # a stated or canonical address that was no multiple of the huge page
    guest: Number | None = None  # where a guest sees it (bytes); None: no guest does


@dataclass(frozen=True, slots=True, eq=False)
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
    locked: Ints


@dataclass(frozen=True, slots=True, eq=False)
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


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A workload under one plan: places, rows and runs.

    Several ``layouts`` of one workload with other numbers stand one after the other: each has the rows of the first
    one, with groups, files, segments, mappings and draws of its own, whose numbers go on where those of the one before
    end.  ``groups`` is the number of groups in each; ``places`` are those of the first.
    ``owners`` (shape (S,)): of each segment the group for each process of which there is one, or -1: there is one.
    ``file_size`` and ``file_position`` (shape (F,), bytes): the files (pieces), and where each lies in its segment as
    mapped.  ``guest_runs``: what guests touch of the mappings that they have as their memory, at the same addresses.
    """

    geometry: Geometry
    plan: Plan
    places: tuple[Place, ...]
    rows: Rows
    runs: Runs
    guest_runs: Runs
    file_size: Ints
    file_position: Ints
    groups: int
    owners: Ints
    layouts: int = 1


def lay_out(workload: Workload, geometry: Geometry, plan: Plan, layouts: int = 1) -> Layout:
    """Place every mapping and cut it into rows; numbers of the workload stand for so many ``layouts``.

    Raises NoSlotLeft or TooManyRows, which name the mapping, and Disagreement where the layouts differ in more than
    numbers.
    """
    segment_numbers = {name: number for number, name in enumerate(plan.segments)}
    pieces = {name: _Pieces(segment, layouts) for name, segment in plan.segments.items()}
    base = 0
    for piece in pieces.values():
        piece.base = base
        base += len(piece.page)
    wishes, spans = [], []
    seen: dict[tuple[object, ...], int] = {}
    flat_mappings = [
        (group_number, index, mapping)
        for group_number, group in enumerate(workload.processes.values())
        for index, mapping in enumerate(group.mappings)
    ]
    for number, (group_number, _, mapping) in enumerate(flat_mappings):
        wish, span = _wish(number, group_number, mapping, plan.segments[mapping.segment], pieces, geometry, seen)
        wishes.append(wish)
        spans.append(span)
    addresses = place(wishes, geometry)
    groups = tuple(workload.processes.values())
    names = tuple(workload.processes)
    columns: list[list[Ints]] = []
    touched, guests = _Touches(geometry.base_page, layouts), _Guests()
    places = []
    total = 0
    for number, (group_number, index, mapping) in enumerate(flat_mappings):
        piece = pieces[mapping.segment]
        segment = plan.segments[mapping.segment]
        start_pos, end_pos, length = spans[number]
        page = int(piece.page[piece.at(start_pos)])
        lowered = addresses[number] % page
        address = addresses[number] - lowered
        places.append(
            Place(
                group_number, names[group_number], index, mapping.segment, mapping, address, end_pos - start_pos,
                total, bool(np.any(lowered)), guests.address(group_number, mapping, end_pos - start_pos),
            )
        )  # fmt: skip
        first, last = piece.at(start_pos), piece.at(end_pos - 1)
        many = last - first + 1
        total += many
        if total * layouts > MAX_ROWS:
            raise TooManyRows(number)
        cut = slice(first, last + 1)
        at, start, end = (flat(value, layouts)[:, None] for value in (address, start_pos, end_pos))
        offset, stop = (flat(value, layouts)[:, None] for value in (mapping.offset, mapping.offset + length))
        lo_pos = np.maximum(piece.pos[:, cut], start)
        hi_pos = np.minimum(piece.pos[:, cut] + piece.rounded[:, cut], end)

        def fill(value: Number, many: int = many) -> Ints:
            return np.broadcast_to(np.asarray(value, np.int64), (layouts, many))

        columns.append(
            [
                fill(number),
                fill(group_number),
                fill(piece.base + np.arange(first, last + 1)),
                at + lo_pos - start,
                at + hi_pos - start,
                lo_pos - piece.pos[:, cut],
                at - start + piece.pos[:, cut] - piece.lo[:, cut],
                np.maximum(piece.lo[:, cut], offset),
                np.minimum(piece.hi[:, cut], stop),
                fill(segment_numbers[mapping.segment]),
                fill(piece.backing[cut]),
                fill(piece.page[cut]),
                fill(THP.index(segment.thp)),
                fill(mapping.map == "shared" and segment.backing != "private"),
                fill(PROTECTIONS.index(mapping.protection)),
                fill(MADVISE.index(mapping.madvise)),
                fill(UFFD.index(mapping.userfaultfd)),
                fill(mapping.softdirty),
                fill(mapping.page_table_sharing == "allow" and groups[group_number].page_table_sharing == "allow"),
                fill(mapping.access == "write" or _copies_all(mapping, segment)),
                fill(larger(wishes[number].alignment, page) if mapping.placement == "independent" else 0),
                # hugetlb's VMAs never have the flag (mm/mlock.c:mlock_fixup).
                fill(np.where(piece.backing[cut] == BACKINGS.index("hugetlb"), 0, LOCKED.index(mapping.locked))),
            ]
        )
        touched.add(mapping, length, columns[-1], total - many)
    table = [np.concatenate(column, axis=1) for column in zip(*columns, strict=True)] if columns else [_NONE] * 22
    if layouts > 1:
        # Numbers of the next layout go on where those of the one before end.
        number_of = np.arange(layouts)[:, None]
        for at_column, each in ((0, len(flat_mappings)), (1, len(groups)), (2, base), (9, len(pieces))):
            table[at_column] = table[at_column] + number_of * each
    flags = {13, 17, 18, 19}
    rows = Rows(*(column.astype(bool).ravel() if at in flags else column.ravel() for at, column in enumerate(table)))
    return Layout(
        geometry=geometry,
        plan=plan,
        places=tuple(places),
        rows=rows,
        runs=touched.runs(touched.by_processes, total),
        guest_runs=touched.runs(touched.by_guests, total),
        file_size=_stacked([piece.rounded for piece in pieces.values()]),
        file_position=_stacked([piece.pos for piece in pieces.values()]),
        groups=len(groups),
        owners=np.array([_owner(workload, name, names) for name in plan.segments], np.int64),
        layouts=layouts,
    )


def _owner(workload: Workload, segment: str, groups: tuple[str, ...]) -> int:
    per = workload.segments[segment].per
    return -1 if per is None else groups.index(per)


def _copies_all(mapping: Mapping, segment: SegmentPlan) -> bool:
    """Tell whether locking copies every page: it writes where it may and where that concerns nobody else (mm/gup.c)."""
    private = mapping.map == "private" or segment.backing == "private"
    return mapping.locked == "yes" and private and "w" in mapping.protection


class _Touches:
    """What is touched of the mappings, cut along their rows, and a number for each draw."""

    def __init__(self, page: int, layouts: int) -> None:
        self._page, self._layouts = page, layouts
        self._draws = 0
        self.by_processes: list[list[Ints]] = []
        self.by_guests: list[list[Ints]] = []

    def add(self, mapping: Mapping, length: Number, row: list[Ints], first_row: int) -> None:
        """Take in what a mapping of so many bytes touches; `row` are its rows, the first of which has that number."""
        mine = self._cut(mapping.touch, mapping.offset, length, row, first_row)
        self.by_processes += mine
        if mapping.second_level == "none":
            return
        if mapping.written_guest_touch is not None:
            mine = self._cut(mapping.guest_touch, mapping.offset, length, row, first_row)
        self.by_guests += mine

    def _cut(
        self, touches: tuple[Touch, ...], offset: Number, length: Number, row: list[Ints], first_row: int
    ) -> list[list[Ints]]:
        found = []
        for run in (run for touch in touches for run in runs(touch, offset, length, self._page)):
            found.append(_cut(run, row, first_row, self._draws, self._layouts))
            self._draws += 1
        return found

    def runs(self, parts: list[list[Ints]], rows: int) -> Runs:
        """Return the runs of all layouts, each of which has so many rows."""
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else [_EMPTY] * 11
        layout_of, row, kind, lo, hi, step, origin, slots, drawn, same, draw = columns
        return Runs(
            row + layout_of * rows, kind, lo, hi, step, origin, slots, drawn, same.astype(bool),
            draw + layout_of * self._draws,
        )  # fmt: skip


class _Guests:
    """Where guests see their memory: one part after the other, where the file does not say."""

    def __init__(self) -> None:
        self._ends: dict[int, Number] = {}

    def address(self, group: int, mapping: Mapping, size: Number) -> Number | None:
        """Return the guest-physical address of a mapping of so many bytes; None if it is no guest's memory."""
        if mapping.second_level == "none":
            return None
        end = self._ends.get(group, 0)
        start = round_up(end, GUEST_STEP) if mapping.guest_address is None else mapping.guest_address
        self._ends[group] = larger(end, start + size)
        return start


def _stacked(parts: list[Ints]) -> Ints:
    """Return columns of shape (L, ...) side by side, layout after layout."""
    return np.concatenate(parts, axis=1).ravel() if parts else _EMPTY


_EMPTY: Ints = np.zeros(0, np.int64)
_NONE: Ints = np.zeros((1, 0), np.int64)


class _Pieces:
    """The files of a segment as columns: offsets as written (lo, hi), position as mapped, rounded size: (L, P).

    ``page`` and ``backing`` are the same in all layouts, shape (P,).
    """

    def __init__(self, segment: SegmentPlan, layouts: int) -> None:
        lows, highs, pages, backings = [], [], [], []
        for part in segment.parts:
            first = part.lo // segment.piece
            inner = np.arange(1, agreed(-(-part.hi // segment.piece) - first))
            lo, hi, start, piece = (flat(value, layouts)[:, None] for value in (part.lo, part.hi, first, segment.piece))
            cuts = (start + inner) * piece
            lows += [lo, cuts]
            highs += [cuts, hi]
            pages.append(np.full(len(inner) + 1, part.page))
            backings.append(np.full(len(inner) + 1, BACKINGS.index(part.backing)))
        self.lo, self.hi = np.concatenate(lows, axis=1), np.concatenate(highs, axis=1)
        self.page, self.backing = np.concatenate(pages), np.concatenate(backings)
        self.rounded = -(-(self.hi - self.lo) // self.page) * self.page
        self.pos = np.cumsum(self.rounded, axis=1) - self.rounded
        self.base = 0

    def at(self, position: Number) -> int:
        """Number of the piece that holds a position."""
        return _last_below(self.pos, position)

    def start(self, number: int) -> Number:
        """Position of a piece."""
        return _one(self.pos, number)

    def position(self, offset: Number) -> Number:
        """Position, as mapped, of an offset as written."""
        number = _last_below(self.lo, offset)
        return self.start(number) + offset - _one(self.lo, number)


def _one(column: Ints, number: int) -> Number:
    return int(column[0, number]) if len(column) == 1 else column[:, number : number + 1]


def _last_below(column: Ints, value: Number) -> int:
    """Return the last place of an ascending column that is not above a value."""
    if column.shape[1] == 1:
        return 0
    if len(column) == 1:
        return int(np.searchsorted(column[0], int(value), side="right")) - 1
    found: int = agreed((column <= value).sum(axis=1)) - 1
    return found


def _wish(
    number: int,
    group: int,
    mapping: Mapping,
    segment: SegmentPlan,
    pieces: dict[str, _Pieces],
    geometry: Geometry,
    seen: dict[tuple[object, ...], int],
) -> tuple[Wish, tuple[Number, Number, Number]]:
    """Return where a mapping wants to go and its (start, end, length): positions as mapped, length as written."""
    piece = pieces[mapping.segment]
    # A mapping may reach to the end of the last page of its segment.
    length = segment.size - mapping.offset if mapping.length is None else mapping.length
    start = piece.position(mapping.offset)
    head = piece.at(start)
    page = int(piece.page[head])
    # Offsets are rounded down and ends up to the page that holds them (contract section 4, hugetlb what-ifs).
    start = start - (start - piece.start(head)) % page
    last = smaller(mapping.offset + length, segment.size) - 1
    end = piece.position(last)
    tail = piece.at(end)
    end = piece.start(tail) + round_up(end - piece.start(tail) + 1, int(piece.page[tail]))
    alignment, residue = _alignment(mapping, segment, page, end - start, geometry)
    twin = 0
    if mapping.address is None:
        same = (group, mapping.segment, _key(mapping.offset), _key(alignment))
        twin = seen[same] = seen.get(same, -1) + 1
    wish = Wish(number, group, mapping.segment, mapping.offset, twin, end - start, mapping.address, alignment, residue)
    return wish, (start, end, length)


def _key(value: Number) -> object:
    return value.tobytes() if isinstance(value, np.ndarray) else value


def _alignment(
    mapping: Mapping, segment: SegmentPlan, page: int, length: Number, geometry: Geometry
) -> tuple[Number, Number]:
    """Alignment of a mapping without an address, and what is added to the slot (bytes)."""
    if mapping.alignment is not None:
        # No mapping of huge pages is aligned to less than one.
        alignment = larger(mapping.alignment, page)
        return alignment, alignment
    if segment.backing != "hugetlb" and segment.thp != "never":
        # mm/shmem.c:shmem_get_unmapped_area: from one huge page up, congruent to the offset, unless the mapping
        # would hold no whole huge page all the same.
        huge = geometry.thp_size
        offset = mapping.offset % segment.piece % huge
        fits = (length >= huge) & ((offset == 0) | (offset + length >= 2 * huge))
        return chosen(fits, huge, page), chosen(fits, huge + offset, page)
    return page, page


def _cut(run: TouchRun, row: list[Ints], first_row: int, domain: int, layouts: int) -> list[Ints]:
    """Cut a run along the rows of its mapping (the pieces); first the number of the layout."""
    delta, lows, highs = row[6], row[7], row[8]
    lo, hi, step, origin, slots, drawn = (
        flat(value, layouts)[:, None] for value in (run.lo, run.hi, run.step, run.origin, run.slots, run.drawn)
    )
    part = slice(None)
    if layouts == 1 and lows.shape[1] > 1:
        first = int(np.searchsorted(highs[0], lo[0, 0], side="right"))
        part = slice(first, int(np.searchsorted(lows[0], hi[0, 0], side="left")))
    shift = delta[:, part]
    low, high = np.maximum(lo, lows[:, part]), np.minimum(hi, highs[:, part])
    if run.kind == STRIDE:
        low = low + -(low - lo) % step
    which, at = np.nonzero(low < high)
    number = len(which)
    shift = shift[which, at]
    return [
        which,
        first_row + (part.start or 0) + at,
        np.full(number, run.kind, np.int64),
        low[which, at] + shift,
        high[which, at] + shift,
        step[which, 0],
        origin[which, 0] + shift,
        slots[which, 0],
        drawn[which, 0],
        np.full(number, int(run.same), np.int64),
        np.full(number, domain, np.int64),
    ]


__all__ = ["Layout", "NoSlotLeft", "Place", "Rows", "Runs", "TooManyRows", "lay_out"]
