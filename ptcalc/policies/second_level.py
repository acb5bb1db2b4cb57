"""Second-level tables of guests: the mappings that are their memory, at guest-physical addresses.

KVM maps a chunk by one huge leaf if the host maps it by one (arch/x86/kvm/mmu/mmu.c:host_pfn_mapping_level), the chunk
lies wholly inside the slot, and the addresses of host and guest agree modulo its size (kvm_alloc_memslot_metadata;
arm64: fault_supports_stage2_huge_mapping).  Else it tries the next smaller size.  VFIO maps what is one piece of memory
by the largest page that both addresses allow, which comes to the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ptcalc.arch import Level
from ptcalc.arch.second_level import COUNTED_SINCE, KINDS, Kind, SecondLevel, second_level
from ptcalc.engine.covers import Touched
from ptcalc.engine.footprint import Footprint, alike
from ptcalc.engine.numbers import Number, columns, flat, is_single, product, rounded
from ptcalc.layout.rows import MADVISE, THP, Layout, Rows
from ptcalc.layout.vmas import Vmas
from ptcalc.policies.view import PRIVATE, Thp, View, spread_of, touched_by
from ptcalc.result import GuestTables, LevelTables, SecondLevelTables

if TYPE_CHECKING:
    from ptcalc.policies.base import Context

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class GuestView(View):
    """The same memory from inside: rows at guest-physical addresses, each guest's tables in the scope of its process.

    ``leaves`` (shape (R,)): place of the level whose table holds a row's leaves; ``chunks``: the answer of `thp`.
    """

    shape: tuple[Level, ...] = ()
    leaves: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    chunks: Thp | None = None

    @property
    def levels(self) -> tuple[Level, ...]:
        """Those of the second level."""
        return self.shape

    def leaf_table(self) -> Ints:
        """Those of the second level."""
        return self.leaves

    def thp(self) -> Thp | None:
        """Those of the host, where the guest's addresses agree."""
        return self.chunks


@dataclass
class SecondLevels:
    """The second-level tables of one kind for all guests, as a function of the process counts."""

    kind: Kind
    context: Context
    footprint: Footprint
    shapes: tuple[SecondLevel | None, ...]  # of one process of each group; None: it has no guest

    def used(self, counts: Sequence[Number]) -> Number:
        """Return the bytes that they take, roots included."""
        return self._bytes(counts, counted=False)

    def shown(self, counts: Sequence[Number]) -> Number:
        """Return what SecPageTables shows of them, bytes."""
        version = self.context.workload.kernel.version
        return self._bytes(counts, counted=True) if version >= COUNTED_SINCE[self.kind] else 0

    def _bytes(self, counts: Sequence[Number], *, counted: bool) -> Number:
        many = columns(counts, self.context.layouts)
        page = self.context.geometry.base_page
        layouts = self.context.layouts
        groups = len(many) // layouts
        total: NDArray[Any] = np.zeros((layouts, many.shape[1]), object)
        for part in alike(many):
            found: NDArray[Any] = np.zeros((layouts, len(part)), object)
            for place, tally in enumerate(self.footprint.tally(many[:, part])):
                there = np.tile([shape is not None and place < len(shape.levels) for shape in self.shapes], layouts)
                exact = product(many[:, part], np.where(there, tally.private_exact, 0)[:, None], groups)
                expected = many[:, part] * np.where(there[:, None], tally.private_expected, 0.0)
                found = found + exact.reshape(layouts, groups, -1).sum(axis=1)
                found = found + rounded(expected.reshape(layouts, groups, -1).sum(axis=1))
            total[:, part] = found * page
        for group, shape in enumerate(self.shapes):
            if shape is not None and (shape.root_counted or not counted):
                total = total + np.asarray(counts[group]) * shape.root_bytes
        return int(total[0, 0]) if is_single(counts, layouts) else total

    def guests(self, counts: Sequence[int]) -> Iterator[GuestTables]:
        """Yield what the tables of one guest of each group take."""
        for number, (name, shape) in enumerate(zip(self.context.workload.processes, self.shapes, strict=True)):
            if shape is None:
                continue
            levels = []
            for level, tally in zip(shape.levels, self.footprint.tally(counts), strict=False):
                tables = int(tally.private_exact[number]) + round(float(tally.private_expected[number, 0]))
                levels.append(LevelTables(level.name, tables, tables * level.table_bytes))
            exact = self.footprint.is_exact(counts, number)
            weights = [level.table_bytes for level in shape.levels]
            weights += [0] * (len(self.footprint.levels) - len(weights))
            sd = None if exact else round(self.footprint.variance_private(counts, number, weights) ** 0.5)
            size = sum(level.bytes for level in levels) + shape.root_bytes
            yield GuestTables(name, self.kind, counts[number], size, exact, sd, tuple(levels), shape.root_bytes)

    @property
    def source(self) -> str:
        """Where the rule comes from."""
        return next(shape.source for shape in self.shapes if shape is not None)


def tables_of(found: Sequence[SecondLevels], counts: Sequence[int]) -> SecondLevelTables:
    """Return the second-level tables of all kinds together."""
    guests = tuple(guest for each in found for guest in each.guests(counts))
    return SecondLevelTables(
        bytes=sum(each.shown(counts) for each in found),
        used_bytes=sum(each.used(counts) for each in found),
        exact=all(guest.exact for guest in guests),
        guests=guests,
        sources=tuple(each.source for each in found),
    )


def second_levels(view: View, layout: Layout, context: Context) -> tuple[SecondLevels, ...]:
    """Return the second-level tables of the guests whose memory a policy maps as `view` says, by kind."""
    if not any(place.guest is not None for place in layout.places):
        return ()
    out = []
    for kind in KINDS:
        chosen = [place.guest is not None and kind in place.mapping.second_level.split("+") for place in layout.places]
        if not any(chosen):
            continue
        shapes: list[SecondLevel | None] = [None] * layout.groups
        ends: dict[int, int] = {}
        for place, mine in zip(layout.places, chosen, strict=True):
            if mine:
                ends[place.group] = max(ends.get(place.group, 0), int(np.max(place.guest + place.length)))
                shapes[place.group] = second_level(context.geometry, kind, ends[place.group])
        levels = max((shape.levels for shape in shapes if shape is not None), key=len)
        guest = _guest_view(view, layout, np.array(chosen), levels)
        out.append(SecondLevels(kind, context, guest.footprint(), tuple(shapes)))
    return tuple(out)


def _guest_view(view: View, layout: Layout, chosen: Flags, levels: tuple[Level, ...]) -> GuestView:
    """Return the guests' view of the mappings that are `chosen`, shape (P,), in a policy's view of all."""
    places, rows = layout.places, view.rows
    mapping = rows.mapping % len(places)
    mine = np.flatnonzero(chosen[mapping])
    in_layout = rows.mapping[mine] // len(places)
    # Where the guest sees a row, from where the row lies in its mapping as the layout has it (a policy may move rows).
    start = layout.rows.start[mine].copy()
    for number in np.flatnonzero(chosen):
        place = places[number]
        shift = flat(place.guest, layout.layouts) - flat(place.address, layout.layouts)
        here = mapping[mine] == number
        start[here] += shift[in_layout[here]]
    apart = start - rows.start[mine]
    seen = replace(_rows(rows, mine), start=start, end=start + rows.end[mine] - rows.start[mine])

    # What the guest touches lies in the layout's addresses as well.
    number_of = np.full(len(rows.start), -1, np.int64)
    number_of[mine] = np.arange(len(mine))
    runs = np.flatnonzero(number_of[layout.guest_runs.row] >= 0)
    run_row = number_of[layout.guest_runs.row[runs]]
    moved = (start - layout.rows.start[mine])[run_row]
    touched = touched_by(layout.guest_runs, layout).take(runs)
    touched = replace(touched, lo=touched.lo + moved, hi=touched.hi + moved, origin=touched.origin + moved)

    spread = spread_of(layout.guest_runs.row[runs], layout)
    leaves = _leaves(view, levels, mine, apart)
    vmas = Vmas(seen.start, seen.end, np.arange(len(mine)), np.arange(len(mine)))
    home = seen.group
    chunks = _chunks(view, mine, apart, run_row)
    if chunks is not None and chunks.may_block.any():
        # Whether a chunk is huge depends on the other mappers: they stand beside, their tables in a scope for nothing.
        many = len(mine)
        everybody = view.thp()
        assert everybody is not None
        seen = Rows(*(np.concatenate([getattr(part, f.name) for part in (seen, rows)]) for f in fields(Rows)))
        touched = Touched(
            *(np.concatenate([getattr(p, f.name) for p in (touched, view.touched)]) for f in fields(Touched))
        )
        vmas = Vmas(
            start=np.concatenate([vmas.start, view.vmas.start]),
            end=np.concatenate([vmas.end, view.vmas.end]),
            row=np.concatenate([vmas.row, view.vmas.row + many]),
            of_row=np.concatenate([vmas.of_row, view.vmas.of_row + many]),
        )
        none = np.zeros(len(rows.start), bool)
        chunks = Thp(
            huge=np.concatenate([chunks.huge, ~none]),  # so that nothing is counted there
            may_block=np.concatenate([chunks.may_block, none]),
            advising=np.concatenate([chunks.advising, everybody.advising]),
        )
        run_row = np.concatenate([run_row, view.run_row + many])
        if spread is not None and view.spread is not None:
            spread = replace(spread, kind=np.concatenate([spread.kind, view.spread.kind]))
        leaves = np.concatenate([leaves, view.leaf_table()])
        home = np.concatenate([home, np.full(len(rows.start), view.groups)])
    return GuestView(
        geometry=view.geometry,
        groups=view.groups,
        rows=seen,
        vmas=vmas,
        touched=touched,
        run_row=run_row,
        home=home,
        homes=view.groups + 1,
        file_size=view.file_size,
        layouts=view.layouts,
        spread=spread,
        shape=levels,
        leaves=leaves,
        chunks=chunks,
    )


def _rows(rows: Rows, chosen: Ints) -> Rows:
    return Rows(*(getattr(rows, f.name)[chosen] for f in fields(Rows)))


def _leaves(view: View, levels: tuple[Level, ...], mine: Ints, apart: Ints) -> Ints:
    """Return the place of the level whose table holds the leaves of each of `mine`; the root's is len(levels)."""
    host = view.leaf_table()[mine]
    leaf = np.zeros(len(mine), np.int64)
    size = view.geometry.base_page
    for place in range(1, len(levels) + 1):
        size = levels[place - 1].span
        leaf[(host >= place) & (apart % size == 0) & (leaf == place - 1)] = place
    return leaf


def _chunks(view: View, mine: Ints, apart: Ints, run_row: Ints) -> Thp | None:
    """Return which of `mine` have transparent huge pages that a guest maps whole; None if none has."""
    found = view.thp()
    rows = view.rows
    # Anonymous memory has huge leaves as well, whose tables in deposit are no matter of the guest's.
    advised = (
        (rows.backing == PRIVATE)
        & (rows.madvise != MADVISE.index("nohugepage"))
        & (
            np.isin(rows.thp, (THP.index("always"), THP.index("within_size")))
            | ((rows.thp == THP.index("advise")) & (rows.madvise == MADVISE.index("hugepage")))
        )
    )[mine]
    if found is None and not advised.any():
        return None
    agrees = apart % view.geometry.thp_size == 0
    huge = advised & agrees
    may_block = np.zeros(len(mine), bool)
    if found is not None:
        huge |= found.huge[mine] & agrees
        may_block = found.may_block[mine] & agrees
    return Thp(huge=huge, may_block=may_block, advising=np.zeros(len(run_row), bool))
