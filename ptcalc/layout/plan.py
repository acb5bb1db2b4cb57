"""What the segments are made of under one policy: backing and page size, part by part.

A workload says what it wants; a `Plan` says what it gets: a hugetlb segment whose pool is too short
falls back (contract section 4, Memory), a what-if moves segments to other pages.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ptcalc.engine.numbers import Number, agreed, larger, smaller

if TYPE_CHECKING:
    from ptcalc.arch import Geometry
    from ptcalc.workload.model import Segment, Workload


@dataclass(frozen=True, slots=True)
class Part:
    """A run of a segment, ``lo`` to ``hi`` (bytes, as written), in pages of one size."""

    lo: Number
    hi: Number
    backing: str
    page: int


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """One segment under a policy: its parts, the size of its pieces and its THP switch."""

    name: str
    size: Number
    piece: Number
    parts: tuple[Part, ...]
    thp: str

    @property
    def backing(self) -> str:
        """Backing of the first part (mixed segments start in huge pages)."""
        return self.parts[0].backing

    @property
    def page(self) -> int:
        """Page size of the first part, bytes."""
        return self.parts[0].page

    def rounded(self, part: Part, page: int) -> Number:
        """Bytes of a part of which each piece is rounded up to a page size."""
        first = smaller(part.hi, (part.lo // self.piece + 1) * self.piece)
        whole, rest = divmod(part.hi - first, self.piece)
        return round_up(first - part.lo, page) + whole * round_up(self.piece, page) + round_up(rest, page)

    def huge_bytes(self) -> dict[int, Number]:
        """Bytes of hugetlb pages that the segment reserves, by page size; rounded up once per piece."""
        need: dict[int, Number] = {}
        for part in self.parts:
            if part.backing == "hugetlb":
                need[part.page] = need.get(part.page, 0) + self.rounded(part, part.page)
        return need


@dataclass(frozen=True, slots=True)
class ShortPool:
    """A hugetlb segment that the stated pool cannot hold (bytes)."""

    segment: str
    page_size: int
    need_bytes: Number
    pool_bytes: Number
    mode: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All segments under a policy."""

    segments: MappingOf[str, SegmentPlan]
    short_pools: tuple[ShortPool, ...] = ()


def round_up(value: Number, step: Number) -> Number:
    """Round up to a multiple of step."""
    return -(-value // step) * step


def as_written(workload: Workload, geometry: Geometry) -> Plan:
    """Give every segment the pages that it asks for, as far as the stated pools reach."""
    left = {size: size * count for size, count in (workload.host.hugepages or {}).items()}
    plans: dict[str, SegmentPlan] = {}
    short: list[ShortPool] = []
    for name, segment in workload.segments.items():
        plan = _plain(name, segment, geometry)
        if segment.backing == "hugetlb":
            page = plan.page
            copies = workload.copies(name)
            need = plan.huge_bytes()[page] * copies
            stated = workload.host.hugepages is not None and page in workload.host.hugepages
            if stated and agreed(need > left[page]):
                short.append(ShortPool(name, page, need, left[page], segment.on_short_pool))
                # Copies get equal parts of what is there.
                plan = _fall_back(plan, segment.on_short_pool, left[page] // larger(copies, 1), geometry)
                need = plan.huge_bytes().get(page, 0) * copies
            if stated:
                left[page] = larger(0, left[page] - need)
        plans[name] = plan
    return Plan(plans, tuple(short))


def moved_to_hugetlb(plan: Plan, workload: Workload, page: int) -> tuple[Plan, tuple[str, ...]]:
    """Move shmem segments that are mapped shared, and hugetlb of another size, to pages of that size.

    Returns the new plan, whose pool is never short, and the names of the segments that moved.
    """
    shared = mapped_shared(workload)
    moved = []
    plans = {}
    for name, segment in workload.segments.items():
        old = plan.segments[name]
        if segment.backing == "hugetlb" or (segment.backing == "shmem" and name in shared):
            if [(part.backing, part.page) for part in old.parts] != [("hugetlb", page)]:
                old = replace(old, parts=(Part(0, segment.size, "hugetlb", page),), thp="never")
                moved.append(name)
            plans[name] = old
        else:
            plans[name] = old
    return Plan(plans), tuple(moved)


def mapped_shared(workload: Workload) -> set[str]:
    """Return the segments that some process maps shared: those whose page tables could be shared at all."""
    return {
        mapping.segment
        for group in workload.processes.values()
        for mapping in group.mappings
        if mapping.map == "shared" and workload.segments[mapping.segment].backing != "private"
    }


def with_thp(plan: Plan, workload: Workload, geometry: Geometry) -> tuple[Plan, tuple[str, ...]]:
    """Switch transparent huge pages on for shmem and files that are mapped shared; returns the names that changed."""
    shared = mapped_shared(workload) if geometry.has_file_thp else set()
    plans = {
        name: replace(old, thp="always")
        if name in shared and old.thp != "always" and any(part.backing in ("shmem", "file") for part in old.parts)
        else old
        for name, old in plan.segments.items()
    }
    changed = tuple(name for name, new in plans.items() if new is not plan.segments[name])
    return Plan(plans, plan.short_pools), changed


def _plain(name: str, segment: Segment, geometry: Geometry) -> SegmentPlan:
    page = geometry.base_page
    if segment.backing == "hugetlb":
        page = segment.page_size or geometry.default_huge_page
    has_thp = geometry.has_thp if segment.backing == "private" else geometry.has_file_thp
    return SegmentPlan(
        name=name,
        size=segment.size,
        piece=segment.size if segment.pieces is None else smaller(segment.pieces, segment.size),
        parts=(Part(0, segment.size, segment.backing, page),),
        thp=segment.thp if has_thp else "never",
    )


def _fall_back(plan: SegmentPlan, mode: str, pool: Number, geometry: Geometry) -> SegmentPlan:
    """Apply `on_short_pool`: tables as if it fitted (fail), base pages (small), or both (mixed)."""
    if mode == "fail":
        return plan
    small = Part(0, plan.size, "shmem", geometry.base_page)
    if mode == "small":
        return replace(plan, parts=(small,))
    page = plan.page
    per_piece = round_up(plan.piece, page)
    whole, rest = divmod(pool // page * page, per_piece)
    edge = smaller(whole * plan.piece + smaller(rest, plan.piece), plan.size)
    parts = (replace(plan.parts[0], hi=edge), replace(small, lo=edge))
    return replace(plan, parts=tuple(part for part in parts if agreed(part.lo < part.hi)))
