"""What several values of a workload must agree on, as far as that needs no layout (contract 1 and 4)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

from ptcalc import arch
from ptcalc.arch import Geometry, kernels
from ptcalc.arch.second_level import END as GUEST_END
from ptcalc.errors import MAX_COLLECTED, nearest, quote
from ptcalc.workload.model import Mapping, ProcessGroup, Segment, Touch, Workload
from ptcalc.workload.refusals import first_of
from ptcalc.workload.sizes import MAX_COUNT, SIZE_LIMIT, show_size
from ptcalc.workload.source import Path

MAX_PIECES = 1 << 18  # of all segments together: the engine gives each a row of its own


class Problem(NamedTuple):
    """What is wrong with the value at a path, and what would be accepted."""

    path: Path
    message: str
    accepted: str | None = None
    suggestion: str | None = None


class Extent(NamedTuple):
    """A mapping in bytes: ``length`` as written (or the rest), ``mapped`` as the kernel rounds it."""

    length: int
    mapped: int


def check(workload: Workload) -> None:
    """Raise InputError, with the places, unless the values of a workload agree with each other."""
    problems = list(islice(_all(workload), MAX_COLLECTED))
    if problems:
        raise first_of(
            [
                workload.error(path, message, accepted=accepted, suggestion=suggestion)
                for path, message, accepted, suggestion in problems
            ],
            truncated=len(problems) == MAX_COLLECTED,
        )


def _all(workload: Workload) -> Iterator[Problem]:
    """Yield the problems of the first part of the file that has any: what follows depends on it."""
    for part in (_host, _segments, _processes):
        found = False
        for problem in part(workload):
            found = True
            yield problem
        if found:
            return


def _host(workload: Workload) -> Iterator[Problem]:
    host = workload.host
    names = (*workload.geometries, *arch.names())
    if host.arch not in names:
        yield Problem(
            ("host", "arch"),
            f"unknown architecture {quote(host.arch)}",
            ", ".join(names),
            nearest(host.arch, names),
        )
        return
    known = True
    if host.kernel is not None:
        try:
            kernels.parse(host.kernel)
        except ValueError as error:
            known = False
            what, _, accepted = str(error).partition("; accepted: ")
            yield Problem(("host", "kernel"), f"{quote(host.kernel)}: {what}", accepted or None)
    if host.mem_total is not None and host.mem_total > host.memory:
        yield Problem(
            ("host", "mem_total"),
            f"{show_size(host.mem_total)} is more than memory",
            f"at most {show_size(host.memory)}",
        )
    if known:
        yield from _pools(workload)


def _pools(workload: Workload) -> Iterator[Problem]:
    pools = workload.host.hugepages or {}
    path = ("host", "hugepages")
    node, whole = workload.positions.find(path)
    if node is not None and whole and isinstance(node.value, dict) and len(node.value) > len(pools):
        yield Problem(path, "one page size stands here twice, in different words", "each page size once")
    known = workload.geometry.huge_pages
    for size, count in pools.items():
        if size not in known:
            yield Problem(path, f"{workload.host.arch} has no huge pages of {show_size(size)}", _sizes(known))
        elif size * count >= SIZE_LIMIT:
            yield Problem(path, f"{count} pages of {show_size(size)} are too many", "pools below 4 194 304 TiB")


def _segments(workload: Workload) -> Iterator[Problem]:
    geometry = workload.geometry
    pieces = 0
    for name, segment in workload.segments.items():
        path = ("segments", name)
        yield from _segment(path, segment, geometry, workload)
        if segment.pieces is not None:
            pieces += -(-segment.size // segment.pieces)
            if pieces > MAX_PIECES:
                least = show_size(-(-segment.size // MAX_PIECES))
                yield Problem(
                    (*path, "pieces"),
                    f"{pieces:,} pieces in all segments so far",
                    f"at most {MAX_PIECES:,}; here at least {least}",
                )
                return


def _segment(path: Path, segment: Segment, geometry: Geometry, workload: Workload) -> Iterator[Problem]:
    if segment.backing == "hugetlb":
        if segment.page_size is not None and segment.page_size not in geometry.huge_pages:
            what = f"{geometry.name} has no huge pages of {show_size(segment.page_size)}"
            yield Problem((*path, "page_size"), what, _sizes(geometry.huge_pages))
        if segment.thp != "never":
            yield Problem(
                (*path, "thp"),
                "hugetlb has no transparent huge pages",
                "thp with backing shmem, file or private",
            )
    else:
        for key in ("page_size", "on_short_pool"):
            if workload.stated((*path, key)):
                yield Problem(
                    (*path, key),
                    f"only hugetlb has it, this is {segment.backing}",
                    f"{key} with backing hugetlb",
                )
    if segment.per is not None:
        yield from _per(path, segment, workload)
    if segment.backing == "private" and segment.pieces is not None:
        yield Problem((*path, "pieces"), "private memory has no files", "pieces with backing shmem, file or hugetlb")
    if isinstance(segment.resident, int) and segment.resident > segment.size:
        what = f"{show_size(segment.resident)} is more than the segment"
        yield Problem((*path, "resident"), what, f"all, touched, or at most {show_size(segment.size)}")


def _per(path: Path, segment: Segment, workload: Workload) -> Iterator[Problem]:
    """Check that there is a group of which each process has such a segment."""
    names = tuple(workload.processes)
    if segment.per not in workload.processes:
        listed = ", ".join(quote(name) for name in names[:20]) + (", …" if len(names) > 20 else "")
        what = f"there is no group {quote(str(segment.per))}"
        yield Problem((*path, "per"), what, listed, nearest(str(segment.per), names))
    elif segment.backing == "private":
        yield Problem((*path, "per"), "private memory is one for each process anyway", "per with another backing")


def _processes(workload: Workload) -> Iterator[Problem]:
    geometry = workload.geometry
    total = 0
    for name, group in workload.processes.items():
        path = ("processes", name)
        total += group.count
        if not group.count and not workload.stated(("events",)):
            most = f"{MAX_COUNT:,}".replace(",", " ")
            accepted = f"a whole number from 1 to {most}; 0 in a file with events"
            yield Problem((*path, "count"), "'0' is too small", accepted)
        if total > MAX_COUNT:
            yield Problem((*path, "count"), f"{total:,} processes with this group", f"at most {MAX_COUNT:,} (pid_max)")
            return
        if group.private_cap is not None and group.private_cap < group.private:
            what = f"{show_size(group.private_cap)} for all is less than private, which each one has"
            yield Problem((*path, "private_cap"), what, f"at least {show_size(group.private)}")
        yield from _mappings(path, group, workload, geometry)


def _mappings(path: Path, group: ProcessGroup, workload: Workload, geometry: Geometry) -> Iterator[Problem]:
    placed: list[tuple[int, int, int]] = []
    guests: list[tuple[int, int, int]] = []
    for number, mapping in enumerate(group.mappings):
        here = (*path, "mappings", number)
        segment = workload.segments.get(mapping.segment)
        if segment is None:
            names = tuple(workload.segments)
            listed = ", ".join(quote(name) for name in names[:20]) + (", …" if len(names) > 20 else "")
            what = f"there is no segment {quote(mapping.segment)}"
            yield Problem((*here, "segment"), what, listed or "a name under segments", nearest(mapping.segment, names))
            continue
        problems = list(_mapping(here, mapping, segment, geometry))
        yield from problems
        if mapping.address is not None and not problems:
            end = mapping.address + extent(mapping, segment, geometry).mapped
            placed.append((mapping.address, end, number))
        if mapping.guest_address is not None and mapping.second_level != "none" and not problems:
            end = mapping.guest_address + extent(mapping, segment, geometry).mapped
            guests.append((mapping.guest_address, end, number))
    memory = [number for number, mapping in enumerate(group.mappings) if mapping.second_level != "none"]
    unplaced = [number for number in memory if group.mappings[number].guest_address is None]
    if unplaced and len(unplaced) < len(memory):
        what = "other memory of this guest has an address, this has none"
        yield Problem((*path, "mappings", unplaced[0]), what, "guest_address for all of it, or for none")
    yield from _overlaps(path, placed, "address", "process")
    yield from _overlaps(path, guests, "guest_address", "guest")


def _overlaps(path: Path, placed: list[tuple[int, int, int]], key: str, owner: str) -> Iterator[Problem]:
    """Yield the places (start, end, number of the mapping) that overlap one before them."""
    placed.sort()
    reach, holder = 0, -1
    for start, end, number in placed:
        if start < reach:
            # Report the one that stands further down.
            late, early = max(number, holder), min(number, holder)
            what = f"overlaps mappings[{early}] of the same {owner}"
            yield Problem(
                (*path, "mappings", late, key),
                what,
                f"a free address; the other ends at {reach:#x}"
                if late == number
                else f"a free address; the other starts at {start:#x}",
            )
        if end > reach:
            reach, holder = end, number


def extent(mapping: Mapping, segment: Segment, geometry: Geometry) -> Extent:
    """Return how much a mapping covers; each piece of its segment is rounded up to whole pages."""
    page = page_of(segment, geometry)
    piece = min(segment.pieces or segment.size, segment.size)
    length = segment.size - mapping.offset if mapping.length is None else mapping.length
    first, into = divmod(mapping.offset, piece)
    last, rest = divmod(min(mapping.offset + length, segment.size) - 1, piece)
    stride = _up(piece, page)
    return Extent(length, (last - first) * stride + _up(rest + 1, page) - into // page * page)


def page_of(segment: Segment, geometry: Geometry) -> int:
    """Return the page size to which offsets, addresses and lengths of a segment are bound, bytes."""
    if segment.backing == "hugetlb":
        return segment.page_size or geometry.default_huge_page
    return geometry.base_page


def _mapping(path: Path, mapping: Mapping, segment: Segment, geometry: Geometry) -> Iterator[Problem]:
    page = page_of(segment, geometry)
    yield from _offset(path, mapping, segment, page)
    yield from _place(path, mapping, page, geometry.task_size)
    yield from _access(path, mapping, segment)
    if mapping.offset >= segment.size:
        return
    size = extent(mapping, segment, geometry)
    piece = min(segment.pieces or segment.size, segment.size)
    end = (segment.size - 1) // piece * piece + _up((segment.size - 1) % piece + 1, page)
    if mapping.offset + size.length > end:
        left = show_size(end - mapping.offset)
        past = show_size(mapping.offset + size.length - end)
        what = f"reaches {past} past the end of segment {quote(mapping.segment)}"
        yield Problem((*path, "length"), what, f"at most {left}")
        return
    if size.mapped > geometry.task_size:
        what = f"{show_size(size.mapped)} do not fit user space of {geometry.name}"
        yield Problem((*path, "length"), what, f"less than {show_size(geometry.task_size)}")
    elif mapping.address is not None and mapping.address + size.mapped > geometry.task_size:
        highest = (geometry.task_size - size.mapped) // page * page
        upto = mapping.address + size.mapped
        what = f"{mapping.address:#x} to {upto:#x} is outside user space of {geometry.name}"
        yield Problem((*path, "address"), what, f"at most {highest:#x} for this length")
    for number, touch in enumerate(mapping.touch):
        yield from touch_problems((*path, "touch", number), touch, size.length, geometry.base_page)
    yield from _guest(path, mapping, size, page, geometry)


def _offset(path: Path, mapping: Mapping, segment: Segment, page: int) -> Iterator[Problem]:
    offset = mapping.offset
    if offset >= segment.size:
        what = f"{show_size(offset)} is past the end of segment {quote(mapping.segment)}"
        yield Problem((*path, "offset"), what, f"less than {show_size(segment.size)}")
        return
    # In a row of pieces an offset lies in a piece, and each piece starts with a page.
    piece = segment.pieces or segment.size
    rest = offset % piece % page
    if rest:
        near = (offset - rest, min(offset - rest + page, offset - offset % piece + piece))
        accepted = [show_size(each) for each in near if each < segment.size]
        yield _unaligned((*path, "offset"), show_size(offset), page, accepted)


def _place(path: Path, mapping: Mapping, page: int, limit: int) -> Iterator[Problem]:
    address, alignment = mapping.address, mapping.alignment
    if address is not None:
        if mapping.placement == "independent":
            what = "with an address, all processes have the same one"
            yield Problem((*path, "placement"), what, "placement: same, or no address")
        if alignment is not None:
            yield Problem((*path, "alignment"), "the address is given already", "either address or alignment")
        below = address - address % page
        if address != below:
            # Above user space there is nothing to suggest.
            accepted = [f"{each:#x}" for each in (below, below + page) if each < limit]
            yield _unaligned((*path, "address"), f"{address:#x}", page, accepted)
    if alignment is None:
        return
    if alignment & (alignment - 1):
        below = 1 << (alignment.bit_length() - 1)
        near = [show_size(max(each, page)) for each in (below, 2 * below)]
        what = f"{show_size(alignment)} is no power of two"
        yield Problem((*path, "alignment"), what, " or ".join(dict.fromkeys(near)))
    elif alignment < page:
        what = f"{show_size(alignment)} is less than a page of {show_size(page)}"
        yield Problem((*path, "alignment"), what, f"{show_size(page)} or a larger power of two")


def _unaligned(path: Path, shown: str, page: int, near: list[str]) -> Problem:
    what = f"{shown} is no multiple of the page size, {show_size(page)}"
    return Problem(path, what, " or ".join(near) or f"a multiple of {show_size(page)}")


def _access(path: Path, mapping: Mapping, segment: Segment) -> Iterator[Problem]:
    touched = any(touch.form != "none" for touch in mapping.touch)
    if mapping.protection == "none":
        if touched and segment.backing == "hugetlb":
            what = "the tables of hugetlb with protection none are dropped by the sharers one by one"
            yield Problem((*path, "touch"), what, "touch: none, or another protection")
        if mapping.access == "write" and not touched:
            yield Problem((*path, "access"), "nothing is touched", "access beside an explicit touch")
    elif mapping.access == "write" and "w" not in mapping.protection:
        what = f"protection {mapping.protection} does not allow to write"
        yield Problem((*path, "access"), what, "read, or protection rw or rwx")


def _guest(path: Path, mapping: Mapping, size: Extent, page: int, geometry: Geometry) -> Iterator[Problem]:
    """Check what makes a mapping the memory of a guest."""
    if mapping.second_level == "none":
        for key, value in (("guest_address", mapping.guest_address), ("guest_touch", mapping.written_guest_touch)):
            if value is not None:
                yield Problem((*path, key), "this mapping is no guest's memory", f"{key} beside second_level: kvm")
        return
    here = (*path, "second_level")
    if geometry.guests is None:
        what = f"the second-level tables of {geometry.name} are not known"
        yield Problem(here, what, "none, or an architecture whose tables are: x86_64 and arm64")
        return
    if mapping.protection == "none":
        yield Problem(here, "with protection none no guest reaches it", "second_level: none, or another protection")
    if "vfio" in mapping.second_level and any(touch.form != "all" for touch in mapping.touch):
        yield Problem((*path, "touch"), "VFIO pins all of the memory, which touches it", "touch: all, or no touch")
    if mapping.guest_address is not None:
        base = geometry.base_page
        if mapping.guest_address % base:
            below = mapping.guest_address - mapping.guest_address % base
            near = [f"{each:#x}" for each in (below, below + base)]
            yield _unaligned((*path, "guest_address"), f"{mapping.guest_address:#x}", base, near)
        elif mapping.guest_address + size.mapped > GUEST_END:
            what = f"ends at {mapping.guest_address + size.mapped:#x}, beyond what a guest can address"
            yield Problem((*path, "guest_address"), what, f"at most {GUEST_END - size.mapped:#x} for this length")
    for number, touch in enumerate(mapping.written_guest_touch or ()):
        yield from touch_problems((*path, "guest_touch", number), touch, size.length, geometry.base_page)


def touch_problems(path: Path, touch: Touch, length: int, page: int) -> Iterator[Problem]:
    """Check one form of touch against a mapping of `length` bytes, the last page of which is whole."""
    end = _up(length, page)
    whole = f"at most {show_size(end)}, the mapping's length"
    if touch.form == "amount":
        if touch.amount is not None and not isinstance(touch.amount, Fraction) and touch.amount > end:
            key = (*path, "amount")
            yield Problem(key, f"{show_size(touch.amount)} is more than the mapping", f"100%, or {whole}")
        if touch.pages is not None and touch.pages > end // page:
            yield Problem((*path, "pages"), f"{touch.pages} pages are more than the mapping", f"at most {end // page}")
        # A run within a page is a database's block on a machine with larger pages: some of them meet in one page.
        if touch.cluster is not None and touch.cluster % page and page % touch.cluster:
            below = touch.cluster - touch.cluster % page
            near = [show_size(each) for each in (below, below + page) if each]
            yield _unaligned((*path, "cluster"), show_size(touch.cluster), page, near)
    elif touch.form == "every":
        if touch.start >= end:
            what = f"{show_size(touch.start)} is outside the mapping"
            yield Problem((*path, "start"), what, f"less than {show_size(end)}")
        elif touch.length is not None and touch.start + touch.length > end:
            what = f"reaches {show_size(touch.start + touch.length - end)} past the mapping's end"
            yield Problem((*path, "length"), what, f"at most {show_size(end - touch.start)}")
    for number, part in enumerate(touch.ranges):
        if part.start + part.length > end:
            what = f"reaches {show_size(part.start + part.length - end)} past the mapping's end"
            left = f"at most {show_size(end - part.start)}" if part.start < end else f"a start below {show_size(end)}"
            yield Problem((*path, "ranges", number, "length"), what, left)


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


def _sizes(known: Collection[int]) -> str:
    return ", ".join(show_size(size) for size in known) or "none"
