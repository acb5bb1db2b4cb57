"""What the segments keep in memory: shared copies once, private copies once per process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.covers import Covers, Touched, covers
from ptcalc.engine.footprint import Footprint, LevelCovers
from ptcalc.engine.numbers import Number, columns, distinct, is_single, larger, rounded, smaller, times
from ptcalc.layout.plan import Plan, SegmentPlan, round_up
from ptcalc.layout.rows import MADVISE, THP, Layout, Rows
from ptcalc.policies.view import PRIVATE, View

if TYPE_CHECKING:
    from ptcalc.policies.base import Context
    from ptcalc.workload.model import Workload

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SegmentMemory:
    """Memory of one segment, bytes: the shared copy once, and the private copies of all processes together.

    ``index_small_pages`` and ``index_huge_pages``: entries of the page-cache index for the resident shmem copy, each of
    ``many`` where there is a segment for each process of a group.
    """

    name: str
    backing: str
    resident_bytes: Number
    copies_bytes: Number
    huge_copies: bool
    index_small_pages: Number
    index_huge_pages: Number
    locked: bool
    many: Number = 1


class Pages(Protocol):
    """What is in memory of the segments, by their number in the file, bytes."""

    def copies(self) -> Sequence[Number]:
        """Return the private copies of each, those of all processes."""

    def mappers(self, segment: int) -> Number:
        """Return how many processes map one."""

    def touched(self, segment: int, leaf: int) -> Number:
        """Return what any process has touched of one, in pages of that size."""

    def absent(self, segment: int) -> Number:
        """Return what has left one for good."""

    def many(self, segment: int) -> Number:
        """Return how many such segments there are."""


@dataclass(frozen=True, slots=True)
class _AsWritten:
    """A layout where group g has counts[g] processes."""

    layout: Layout
    counts: Sequence[Number]

    def copies(self) -> Sequence[Number]:
        return copies(self.layout, self.counts)

    def mappers(self, segment: int) -> Number:
        return _mappers(self.layout, self.counts, segment)

    def touched(self, segment: int, leaf: int) -> Number:
        return _touched(self.layout, self.counts, segment, leaf)

    def absent(self, segment: int) -> Number:
        return 0

    def many(self, segment: int) -> Number:
        owner = self.layout.owners[segment]
        return 1 if owner < 0 else self.counts[owner]


def segments(layout: Layout, context: Context, counts: Sequence[Number]) -> tuple[SegmentMemory, ...]:
    """Return the memory of each segment where group g has counts[g] processes."""
    return memory_of(layout.plan, context, _AsWritten(layout, counts))


def memory_of(plans: Plan, context: Context, pages: Pages) -> tuple[SegmentMemory, ...]:
    """Return the memory of each segment under a plan."""
    workload, geometry = context.workload, context.geometry
    copied = pages.copies()
    out = []
    for number, (name, plan) in enumerate(plans.segments.items()):
        segment = workload.segments[name]
        resident = segment.resident
        if resident is None:
            resident = "touched" if plan.backing in ("file", "private") else "all"
        many = pages.many(number)
        huge_leaf = plan.thp in ("always", "within_size") and plan.backing != "hugetlb"
        leaf = geometry.thp_size if huge_leaf else plan.page
        shared: Number = 0
        word = resident if isinstance(resident, str) else ""
        private = copied[number] if plan.backing != "private" or word == "touched" else 0
        if plan.backing == "private":
            if word != "touched":
                each = plan.size if word == "all" else resident
                private = times(round_up(each, leaf), pages.mappers(number))
        elif word == "all":
            shared = times(many, _whole(plan, geometry.thp_size if plan.thp == "always" else 0))
        elif word == "touched":
            shared = pages.touched(number, leaf)
        else:
            shared = times(many, smaller(round_up(resident, leaf), _whole(plan, 0)))
        if word != "touched":
            shared = larger(shared - pages.absent(number), 0)
        small_parts = [part for part in plan.parts if part.backing == "shmem"]
        small_bytes = sum(part.hi - part.lo for part in small_parts)
        cached = smaller(-(-shared // larger(many, 1)), round_up(small_bytes, leaf)) if small_parts else 0
        out.append(
            SegmentMemory(
                name=name,
                backing=plan.backing,
                resident_bytes=shared,
                copies_bytes=private,
                huge_copies=plan.backing == "hugetlb",
                index_small_pages=0 if huge_leaf else cached // geometry.base_page,
                index_huge_pages=cached // geometry.thp_size if huge_leaf else 0,
                locked=segment.locked or _locked_whole(workload, name),
                many=many,
            )
        )
    return tuple(out)


def _locked_whole(workload: Workload, segment: str) -> bool:
    """Tell whether one mapping locks a whole segment in memory."""
    size = workload.segments[segment].size
    return any(
        mapping.segment == segment and mapping.locked != "no"
        and bool(np.all(mapping.offset == 0)) and bool(mapping.length is None or np.all(mapping.length >= size))
        for group in workload.processes.values()
        for mapping in group.mappings
    )  # fmt: skip


def _whole(plan: SegmentPlan, huge: int) -> Number:
    """Bytes of a whole segment, each piece rounded up to its page (`huge`: to a transparent huge page)."""
    return sum(plan.rounded(part, huge if huge and part.backing != "hugetlb" else part.page) for part in plan.parts)


def _mappers(layout: Layout, counts: Sequence[Number], segment: int) -> Number:
    groups = distinct(layout.rows.group[layout.rows.segment == segment])
    return sum(counts[int(group)] for group in groups)


def _touched(layout: Layout, counts: Sequence[Number], segment: int, leaf: int) -> Number:
    """Bytes of the segment that any process touches, in leaves of that size."""
    view = View.of(layout)
    chosen = np.flatnonzero(layout.rows.segment[view.run_row] % len(layout.plan.segments) == segment)
    rows = view.run_row[chosen]
    to_file = (layout.rows.file_offset - layout.rows.start)[rows] + layout.file_position[layout.rows.file[rows]]
    scope = view.groups + view.touched.group[chosen] // layout.groups
    pages = _pages(view, chosen, to_file, scope, leaf)
    found = np.zeros((layout.layouts, 1))
    if len(chosen):
        tables = pages.by_scope(0, columns(counts, layout.layouts))[view.groups :]
        found = np.zeros((layout.layouts, tables.shape[1]))
        found[: len(tables)] = tables
    found = rounded(found) * leaf
    return int(found[0, 0]) if is_single(counts, layout.layouts) else found


def copies(layout: Layout, counts: Sequence[Number]) -> list[Number]:
    """Bytes of private copies of each segment: written pages of private mappings, one for each process."""
    rows = layout.rows
    out: list[Number] = [0] * len(layout.plan.segments)
    view = View.of(layout)
    written = (~rows.shared & rows.write)[view.run_row]
    if not written.any():
        return out
    many = len(out)
    advised = in_chunks(rows)
    for leaf in distinct(rows.page[view.run_row[written]]):
        chosen = np.flatnonzero(written & (rows.page[view.run_row] == leaf))
        pair = rows.group[view.run_row[chosen]] * many + rows.segment[view.run_row[chosen]] % many
        pairs, owner = np.unique(pair, return_inverse=True)
        huge = advised[view.run_row[chosen]]
        size = int(leaf)
        if int(leaf) == view.geometry.base_page and huge.any():
            found = _chunked(view, chosen, owner.reshape(-1), huge, len(pairs))
        else:
            found = _owned(view, chosen, owner.reshape(-1), len(pairs), size)
        if layout.layouts == 1:
            for at, key in enumerate(pairs):
                group, segment = divmod(int(key), many)
                out[segment] += counts[group] * found[at]
            continue
        each = np.zeros((layout.layouts, layout.groups, many), np.int64)
        each[pairs // many // layout.groups, pairs // many % layout.groups, pairs % many] = found
        for group, segment in zip(*np.nonzero(each.any(axis=0)), strict=True):
            out[segment] = out[segment] + times(counts[group], each[:, group, segment, None])
    return out


def in_chunks(rows: Rows) -> Flags:
    """Tell which rows have a huge page for each touched chunk of anonymous memory wholly inside their VMA."""
    return np.asarray(
        (rows.backing == PRIVATE)
        & (rows.madvise != MADVISE.index("nohugepage"))
        & (
            np.isin(rows.thp, (THP.index("always"), THP.index("within_size")))
            | ((rows.thp == THP.index("advise")) & (rows.madvise == MADVISE.index("hugepage")))
        )
    )


def _owned(view: View, chosen: Ints, owner: Ints, owners: int, leaf: int) -> list[int]:
    """Bytes that one process of each owner touches, in leaves of that size."""
    touched = replace(view, touched=replace(view.touched.take(chosen), group=owner), groups=owners, spread=None)
    nothing = np.zeros(len(chosen), np.int64)
    pages = _pages(touched, np.arange(len(chosen)), nothing, owner, leaf)
    return [round(float(value)) * leaf for value in pages.by_scope(0, (1,) * owners)[:owners]]


def _chunked(view: View, chosen: Ints, owner: Ints, huge: Flags, owners: int) -> list[int]:
    """Bytes touched by one process of each owner where advised chunks inside a VMA are huge pages."""
    thp, base = view.geometry.thp_size, view.geometry.base_page
    vma = view.vmas.of_row[view.run_row[chosen]]
    first, last = -(-view.vmas.start // thp), view.vmas.end // thp
    touched = replace(view.touched.take(chosen), group=owner)
    out = [0] * owners
    for leaf, inside in ((thp, True), (base, False)):
        found = covers(touched, leaf)
        found = replace(found, scope=owner[found.run])
        ratio = thp // leaf
        lo, hi = first[vma[found.run]] * ratio, np.maximum(last, first)[vma[found.run]] * ratio
        if inside:
            parts = [found.clipped(lo, hi)]
            parts = [part.take(huge[part.run]) for part in parts]
        else:
            low, high = np.full_like(lo, -(1 << 62)), np.full_like(hi, 1 << 62)
            edge = np.where(huge[found.run], lo, high)
            parts = [found.clipped(low, edge), found.clipped(np.where(huge[found.run], hi, high), high)]
        joined = Covers.concatenate(parts)
        axis = LevelCovers("page", leaf, joined, np.arange(owners), np.zeros(owners, np.int64), np.zeros(owners, bool))
        values = Footprint([axis], touched, owners).by_scope(0, (1,) * owners)
        out = [total + round(float(value)) * leaf for total, value in zip(out, values, strict=True)]
    return out


def _pages(view: View, chosen: Ints, shift: Ints, scope: Ints, leaf: int) -> Footprint:
    """Return the footprint of one level whose "tables" are the leaves themselves."""
    touched = view.touched.take(chosen)
    moved: Touched = replace(touched, lo=touched.lo + shift, hi=touched.hi + shift, origin=touched.origin + shift)
    found = covers(moved, leaf)
    found = replace(found, scope=scope[found.run])
    scopes = int(scope.max(initial=0)) + 1
    axis = LevelCovers("page", leaf, found, np.arange(scopes), np.zeros(scopes, np.int64), np.zeros(scopes, bool))
    spread = view.spread.take(chosen) if view.spread is not None else None
    return Footprint([axis], moved, view.groups, view.layouts if spread is not None else 1, spread)


def pool_need(plan: Plan, memories: Sequence[SegmentMemory]) -> dict[int, Number]:
    """Return the bytes of hugetlb pages needed, by page size."""
    need: dict[int, Number] = {}
    for segment, memory in zip(plan.segments.values(), memories, strict=True):
        for page, size in segment.huge_bytes().items():
            need[page] = need.get(page, 0) + times(memory.many, size)
    for memory in memories:
        if memory.huge_copies and np.any(memory.copies_bytes):
            page = plan.segments[memory.name].page
            need[page] = need.get(page, 0) + memory.copies_bytes
    return need


__all__ = ["SegmentMemory", "copies", "in_chunks", "memory_of", "pool_need", "segments"]
