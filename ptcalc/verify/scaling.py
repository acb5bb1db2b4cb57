"""A workload made smaller: all sizes by one factor, and fewer processes."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import replace
from fractions import Fraction

from ptcalc.layout.plan import round_up
from ptcalc.workload.model import Mapping, ProcessGroup, Range, Segment, Touch, Workload


def scaled(workload: Workload, share: Fraction, counts: MappingOf[str, int]) -> Workload:
    """Return the workload with all sizes times ``share`` (at most 1) and counts[name] processes of each group.

    Sizes are rounded up, offsets down, to what the segment's pages (with THP: huge pages) allow; addresses,
    alignments, steps and clusters stay, so that the boundaries of tables lie as they do in the original.
    """
    if share == 1:
        groups = {name: replace(group, count=counts[name]) for name, group in workload.processes.items()}
        return replace(workload, processes=groups)
    units = {name: _unit(segment, workload) for name, segment in workload.segments.items()}
    segments = {name: _segment(segment, share, units[name]) for name, segment in workload.segments.items()}
    groups = {
        name: replace(
            group,
            count=counts[name],
            private=_amount(group.private, share),
            mappings=tuple(
                _mapping(mapping, share, units[mapping.segment], segments[mapping.segment].size, workload)
                for mapping in group.mappings
            ),
        )
        for name, group in workload.processes.items()
    }
    pools = workload.host.hugepages
    if pools is not None:
        pools = {size: _amount(count, share) for size, count in pools.items()}
    return replace(workload, host=replace(workload.host, hugepages=pools), segments=segments, processes=groups)


def unfolded(workload: Workload) -> tuple[Workload, dict[str, str]]:
    """Give every copy of a segment that exists once for each process of a group a name of its own.

    Processes that map copies are dealt out over them: their group becomes as many groups as it has processes.  Returns
    also which group each one was.
    """
    copies = {name: workload.copies(name) for name, segment in workload.segments.items() if segment.per is not None}
    segments = {name: segment for name, segment in workload.segments.items() if name not in copies}
    for name, many in copies.items():
        one = replace(workload.segments[name], per=None)
        segments |= {_numbered(name, number): one for number in range(many)}
    groups: dict[str, ProcessGroup] = {}
    origin: dict[str, str] = {}
    for name, group in workload.processes.items():
        if not any(mapping.segment in copies for mapping in group.mappings):
            groups[name], origin[name] = group, name
            continue
        for process in range(group.count):
            mappings = tuple(
                replace(mapping, segment=_numbered(mapping.segment, process % copies[mapping.segment]))
                if mapping.segment in copies
                else mapping
                for mapping in group.mappings
            )
            each = _numbered(name, process)
            groups[each], origin[each] = replace(group, count=1, mappings=mappings), name
    return replace(workload, segments=segments, processes=groups), origin


def _numbered(name: str, number: int) -> str:
    return f"{name} ({number + 1})"


def one_by_one(workload: Workload, addresses: MappingOf[tuple[str, int], int]) -> tuple[Workload, dict[str, str]]:
    """Give each process of `placement: independent` hugetlb mappings an address of its own.

    Their addresses agree modulo the alignment and in nothing more, which decides whether PMD tables are shared: such
    a group becomes as many groups as it has processes.  ``addresses`` are those of its mappings, by group and place.
    Nothing else depends on where independent mappings are.  Returns also which group each one was.
    """
    geometry = workload.geometry
    if "pmd" not in geometry.index:
        return workload, {name: name for name in workload.processes}
    span = geometry.level("pmd").span
    groups: dict[str, ProcessGroup] = {}
    origin: dict[str, str] = {}
    for name, group in workload.processes.items():
        apart = {
            place: max(
                mapping.alignment or 0, workload.segments[mapping.segment].page_size or geometry.default_huge_page
            )
            for place, mapping in enumerate(group.mappings)
            if mapping.placement == "independent" and workload.segments[mapping.segment].backing == "hugetlb"
        }
        apart = {place: alignment for place, alignment in apart.items() if alignment < span}
        if not apart:
            groups[name], origin[name] = group, name
            continue
        for number in range(group.count):
            mappings = tuple(
                replace(
                    mapping,
                    placement="same",
                    alignment=None,
                    address=addresses[name, place] + number * apart[place] % span,
                )
                if place in apart
                else mapping
                for place, mapping in enumerate(group.mappings)
            )
            one = _numbered(name, number)
            groups[one], origin[one] = replace(group, count=1, mappings=mappings), name
    return replace(workload, processes=groups), origin


def _unit(segment: Segment, workload: Workload) -> int:
    geometry = workload.geometry
    if segment.backing == "hugetlb":
        return segment.page_size or geometry.default_huge_page
    return geometry.base_page if segment.thp == "never" else geometry.thp_size


def _amount(size: int, share: Fraction) -> int:
    return -(-size * share.numerator // share.denominator)


def _segment(segment: Segment, share: Fraction, unit: int) -> Segment:
    resident = segment.resident
    if isinstance(resident, int):
        resident = _amount(resident, share)
    return replace(segment, size=min(segment.size, round_up(_amount(segment.size, share), unit)), resident=resident)


def _mapping(mapping: Mapping, share: Fraction, unit: int, size: int, workload: Workload) -> Mapping:
    page = workload.geometry.base_page
    offset = int(mapping.offset * share) // unit * unit
    rest = round_up(size, page) - offset
    length = mapping.length
    if length is not None:
        length = min(length, rest, max(round_up(_amount(length, share), unit), page))
    whole = rest if length is None else length
    touch = mapping.written_touch
    if touch is not None:
        touch = tuple(_touch(form, share, page, whole) for form in touch)
    return replace(mapping, offset=offset, length=length, written_touch=touch)


def _touch(touch: Touch, share: Fraction, page: int, length: int) -> Touch:
    """Scale what is an amount or a place; ``length`` is that of the mapping."""
    if touch.form == "every":
        start = min(int(touch.start * share) // page * page, length - page)
        part = None if touch.length is None else min(_amount(touch.length, share), length - start)
        return replace(touch, start=start, length=part)
    if touch.form == "ranges":
        places = [
            (int(part.start * share) // page * page, round_up(_amount(part.length, share), page))
            for part in touch.ranges
        ]
        return replace(touch, ranges=tuple(Range(at, min(size, length - at)) for at, size in places if at < length))
    amount = touch.amount
    if isinstance(amount, int):
        amount = _amount(amount, share)
    return replace(touch, amount=amount, pages=None if touch.pages is None else _amount(touch.pages, share))
