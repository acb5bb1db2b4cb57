"""Small random workloads, as plain dictionaries that YAML can hold.

Sizes are near the borders where tables begin and end (2 MiB, 1 GiB, 512 GiB); what is large is touched
sparsely, so
that a model that looks at every page stays quick.
"""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import strategies as st

PAGE = 4096
MIB = 1 << 20
GIB = 1 << 30
SLOT = 512 * GIB
DENSE = 5 * MIB  # mappings up to this size may be touched in full

Document = dict[str, Any]

_few_pages = st.integers(-3, 3).map(lambda pages: pages * PAGE)


def text_of(document: Document) -> str:
    """Write a workload file."""
    return yaml.safe_dump(document, sort_keys=False)


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


@st.composite
def sizes(draw: st.DrawFn, page: int = PAGE, most: int = 3 * GIB) -> int:
    """Multiples of `page`, a few pages off the borders of tables."""
    around = draw(st.sampled_from([4 * PAGE, 2 * MIB, 2 * MIB, 4 * MIB, DENSE, GIB, 2 * GIB, 3 * GIB]))
    size = around + draw(_few_pages) + draw(st.sampled_from([0, 0, 0, MIB]))
    return min(most, max(page, _up(size, page)))


@st.composite
def segments(draw: st.DrawFn, backings: tuple[str, ...] = ("shmem", "file", "hugetlb", "private")) -> Document:
    """One segment."""
    backing = draw(st.sampled_from(backings))
    segment: Document = {"backing": backing}
    page = PAGE
    if backing == "hugetlb":
        page = draw(st.sampled_from([2 * MIB, 2 * MIB, 2 * MIB, GIB]))
        segment["page_size"] = page
    elif draw(st.booleans()):
        segment["thp"] = draw(st.sampled_from(["always", "within_size", "advise"]))
    segment["size"] = draw(sizes(page))
    if backing == "hugetlb" and draw(st.booleans()):
        segment["size"] = draw(st.sampled_from([GIB, 2 * GIB, 3 * GIB])) // page * page
    if backing in ("shmem", "file", "hugetlb") and draw(st.integers(0, 3)) == 0:
        piece = draw(st.sampled_from([MIB, 2 * MIB, 3 * MIB, 2 * MIB + PAGE, GIB, GIB + 2 * MIB]))
        piece = _up(piece, page)
        if segment["size"] <= 16 * piece:
            segment["pieces"] = piece
    return segment


@st.composite
def exact_touches(draw: st.DrawFn, length: int, *, single: bool = False) -> Any:
    """A touch that is not random, for a mapping of `length` bytes; few pages if the mapping is large."""
    forms = ["none", "contiguous", "every", "ranges", "ranges"]
    if length <= DENSE:
        forms += ["all", "all", "share"]
    if not single:
        forms.append("list")
    form = draw(st.sampled_from(forms))
    if form == "list":
        return draw(st.lists(exact_touches(length, single=True), min_size=1, max_size=3))
    if form in ("all", "none"):
        return form
    if form == "share":
        return {"amount": f"{draw(st.integers(1, 100))}%", "pattern": "contiguous"}
    if form == "contiguous":
        if draw(st.booleans()):
            return {"pages": draw(st.integers(1, min(length // PAGE, 700))), "pattern": "contiguous"}
        return {"amount": draw(st.integers(1, min(length, DENSE))), "pattern": "contiguous"}
    if form == "every":
        coarse = max(PAGE, length // 300)
        step = draw(st.sampled_from([2 * MIB, MIB, 3 * PAGE, PAGE, 2 * MIB + PAGE, GIB]))
        every: Document = {"every": max(step, _up(coarse, PAGE))}
        if draw(st.booleans()):
            every["start"] = draw(st.integers(0, length // PAGE - 1)) * PAGE
        if draw(st.booleans()):
            left = (length - every.get("start", 0)) // PAGE
            every["length"] = draw(st.integers(1, left)) * PAGE
        return every
    return {"ranges": draw(st.lists(_range(length), min_size=1, max_size=4))}


@st.composite
def _range(draw: st.DrawFn, length: int) -> Document:
    pages = length // PAGE
    border = draw(st.sampled_from([0, 2 * MIB, MIB, GIB, 2 * GIB, length])) // PAGE
    start = draw(st.one_of(st.integers(0, pages - 1), st.just(border + draw(st.integers(-2, 2)))))
    start = min(max(start, 0), pages - 1)
    size = draw(st.sampled_from([1, 1, 2, 3, 512, 513]))
    return {"start": start * PAGE, "length": min(size, pages - start) * PAGE}


@st.composite
def random_touches(draw: st.DrawFn, length: int, *, most: int = 3) -> Document:
    """A scattered or clustered touch of few pages."""
    pages = length // PAGE
    touch: Document = {"pages": draw(st.integers(1, min(pages, most))), "pattern": "scattered"}
    if draw(st.booleans()):
        touch["pattern"] = "clustered"
        touch["cluster"] = draw(st.sampled_from([2 * PAGE, 4 * PAGE]))
    if draw(st.booleans()):
        touch["overlap"] = draw(st.sampled_from(["independent", "same"]))
    return touch


@st.composite
def _attributes(draw: st.DrawFn, segment: Document) -> Document:
    """Protection, advice and opt-outs; the usual ones most of the time."""
    found: Document = {}
    protections = ["rw", "rw", "rw", "r", "r", "rx", "rwx"]
    if draw(st.integers(0, 2)) == 0:
        found["protection"] = draw(st.sampled_from(protections + ["none"] * (segment["backing"] != "hugetlb")))
    if draw(st.integers(0, 4)) == 0:
        found["map"] = "private"
        if draw(st.booleans()):
            found["access"] = "read"
    if draw(st.integers(0, 3)) == 0:
        found["madvise"] = draw(st.sampled_from(["hugepage", "nohugepage"]))
    if draw(st.integers(0, 7)) == 0:
        found["softdirty"] = True
    if draw(st.integers(0, 7)) == 0:
        found["userfaultfd"] = draw(st.sampled_from(["missing", "wp", "minor"]))
    if draw(st.integers(0, 5)) == 0:
        found["page_table_sharing"] = "never"
    if draw(st.integers(0, 7)) == 0:
        whole = segment["size"] <= 32 * MIB  # all of it would be touched, and the slow model looks at every page
        found["locked"] = draw(st.sampled_from([True, "on_fault"] if whole else ["on_fault"]))
    return found


def length_of(mapping: Document, segment: Document) -> int:
    """Length of a mapping in bytes."""
    return int(mapping.get("length", segment["size"] - mapping.get("offset", 0)))


@st.composite
def _mapping(
    draw: st.DrawFn, name: str, segment: Document, base: int, touches: Any, *, explicit: bool = False
) -> Document:
    page = segment.get("page_size", PAGE)
    size = segment["size"]
    mapping: Document = {"segment": name}
    if draw(st.booleans()) and size > page:
        border = draw(st.sampled_from([0, page, 2 * MIB, GIB, size // 2]))
        mapping["offset"] = min(_up(border, page), size - page)
        if mapping["offset"] and draw(st.integers(0, 3)) == 0:
            mapping["offset"] -= page
    left = size - mapping.get("offset", 0)
    if draw(st.booleans()):
        wanted = draw(
            st.sampled_from([page, 2 * MIB, 2 * MIB + PAGE, 4 * MIB, GIB, GIB + page, left // 2, left - page])
        )
        mapping["length"] = min(left, max(page, _up(wanted, page)))
    if explicit or draw(st.integers(0, 3)) > 0:
        # One home for a segment, so that processes agree; shifted now and then, so that they disagree.
        shift = draw(st.sampled_from([0, 0, 0, 0, 0, PAGE, MIB, 2 * MIB, GIB]))
        mapping["address"] = base + mapping.get("offset", 0) + _up(shift, page)
    else:
        if draw(st.booleans()):
            mapping["alignment"] = max(page, draw(st.sampled_from([PAGE, 2 * MIB, GIB, SLOT])))
        if draw(st.integers(0, 3)) == 0:
            mapping["placement"] = "independent"
    mapping |= draw(_attributes(segment))
    mapping["touch"] = draw(touches(length_of(mapping, segment)))
    if mapping.get("map") == "private" and mapping.get("protection", "rw") in ("r", "rx"):
        mapping.pop("access", None)
    return mapping


def _overlaps(mapping: Document, others: list[Document], segments_: Document, unit: int) -> bool:
    """Whether two stated addresses meet; with bounds widened to `unit`, as hugetlb what-ifs widen them."""
    if "address" not in mapping:
        return False

    def bounds(one: Document) -> tuple[int, int]:
        start, size = one["address"], length_of(one, segments_[one["segment"]])
        return start // unit * unit, _up(start + size, unit)

    start, end = bounds(mapping)
    return any("address" in o and start < bounds(o)[1] and bounds(o)[0] < end for o in others)


@st.composite
def workloads(
    draw: st.DrawFn,
    touches: Any = exact_touches,
    backings: tuple[str, ...] = ("shmem", "file", "hugetlb", "private"),
    explicit: bool = False,
    most_processes: int = 4,
    most_groups: int = 3,
) -> Document:
    """A workload of one to three segments and groups; `touches` makes the touch of a mapping from its
    length.
    """
    found: Document = {f"s{n}": draw(segments(backings)) for n in range(draw(st.integers(1, 3)))}
    host: Document = {"memory": 1 << 40}
    high = 0
    if draw(st.integers(0, 9)) == 0:
        host["arch"] = "x86_64-la57"
        high = draw(st.sampled_from([0, 1 << 48, (1 << 48) - GIB]))
    if draw(st.integers(0, 5)) == 0:
        host["kernel"] = draw(st.sampled_from(["5.4", "6.1", "6.12", "6.18"]))
    # Homes lie one after the other, on, before or behind the borders of tables, so that neighbours share edge
    # tables.
    start = (
        high
        + draw(st.sampled_from([GIB, SLOT, SLOT - GIB, SLOT - 2 * MIB]))
        + draw(st.sampled_from([0, 0, 2 * MIB, MIB, PAGE]))
    )
    homes = {}
    for name, segment in found.items():
        start = _up(start, segment.get("page_size", PAGE))
        homes[name] = start
        start += segment["size"] + draw(st.sampled_from([0, 0, PAGE, MIB, 2 * MIB]))
    groups: Document = {}
    for number in range(draw(st.integers(1, most_groups))):
        group: Document = {"count": draw(st.integers(1, most_processes))}
        if draw(st.integers(0, 7)) == 0:
            group["page_table_sharing"] = "never"
        mappings: list[Document] = []
        for _ in range(draw(st.integers(1, 4))):
            name = draw(st.sampled_from(sorted(found)))
            mapping = draw(_mapping(name, found[name], homes[name], touches, explicit=explicit))
            following = draw(st.integers(0, 3)) == 0 and mappings and "address" in mappings[-1]
            if following:
                continued: Document | None = draw(_continued(mappings[-1], found, touches))
                mapping = continued or mapping
            if not _overlaps(mapping, mappings, found, PAGE):
                mappings.append(mapping)
        group["mappings"] = mappings
        groups[f"g{number}"] = group
    return {"version": 1, "name": "random", "host": host, "segments": found, "processes": groups}


@st.composite
def _continued(draw: st.DrawFn, before: Document, segments_: Document, touches: Any) -> Document | None:
    """A mapping that goes on where the one before ends: one VMA with it, unless an attribute differs."""
    segment = segments_[before["segment"]]
    size = length_of(before, segment)
    offset = before.get("offset", 0) + size
    if offset >= segment["size"] or size % segment.get("page_size", PAGE):
        return None
    mapping = {**before, "offset": offset, "address": before["address"] + size}
    mapping.pop("length", None)
    if draw(st.integers(0, 3)) == 0:
        mapping["protection"] = draw(st.sampled_from(["rw", "r"]))
    mapping.pop("access", None)
    mapping["touch"] = draw(touches(length_of(mapping, segment)))
    return mapping


@st.composite
def short_pools(draw: st.DrawFn) -> Document:
    """One hugetlb segment whose pool may be too small for it."""
    page = draw(st.sampled_from([2 * MIB, 2 * MIB, GIB]))
    most = 8 if page == 2 * MIB else 3
    size = draw(st.integers(1, most)) * page
    pool = draw(st.integers(0, most))
    segment = {"size": size, "backing": "hugetlb", "page_size": page}
    segment["on_short_pool"] = draw(st.sampled_from(["small", "mixed", "fail"]))
    start = draw(st.sampled_from([GIB, SLOT - GIB]))
    groups: Document = {}
    for number in range(draw(st.integers(1, 2))):
        offset = draw(st.integers(0, size // page - 1)) * page
        mapping: Document = {"segment": "pool", "offset": offset, "address": start + offset}
        mapping["touch"] = draw(exact_touches(size - offset))
        if draw(st.booleans()):
            mapping["protection"] = "r"
        groups[f"g{number}"] = {"count": draw(st.integers(1, 3)), "mappings": [mapping]}
    host = {"memory": 1 << 40, "hugepages": {page: pool}}
    return {"version": 1, "name": "pool", "host": host, "segments": {"pool": segment}, "processes": groups}


@st.composite
def tiny_random_workloads(draw: st.DrawFn) -> Document:
    """Mappings of a few pages that lie across the border of a table, touched at random: all outcomes can be
    listed.
    """
    border = draw(st.sampled_from([2 * MIB, GIB, SLOT]))
    inside = draw(st.sampled_from([2 * MIB, 2 * MIB, GIB])) - 2 * PAGE  # offset: near a border of the region's tables
    pages = draw(st.integers(3, 5))
    backing = draw(st.sampled_from(["shmem", "file", "private"]))
    segment = {"size": inside + 16 * PAGE, "backing": backing}
    groups: Document = {}
    for number in range(draw(st.integers(1, 2))):
        before = draw(st.integers(1, pages - 1))
        mapping: Document = {"segment": "s", "offset": inside, "length": pages * PAGE}
        mapping["address"] = SLOT + border - before * PAGE
        mapping["touch"] = draw(random_touches(pages * PAGE, most=2))
        if draw(st.integers(0, 3)) == 0:
            mapping["touch"] = [mapping["touch"], {"ranges": [{"start": 0, "length": PAGE}]}]
        mappings = [mapping]
        if draw(st.booleans()) and number == 0:
            # A neighbour that shares the edge table.
            more: Document = {"segment": "s", "offset": 0, "length": 4 * PAGE}
            more["address"] = mapping["address"] + pages * PAGE + draw(st.sampled_from([0, PAGE]))
            more["touch"] = draw(st.sampled_from(["all", "none", {"pages": 1, "pattern": "scattered"}]))
            mappings.append(more)
        groups[f"g{number}"] = {"count": 1 if number else draw(st.integers(1, 2)), "mappings": mappings}
    host = {"memory": 1 << 40}
    return {"version": 1, "name": "tiny", "host": host, "segments": {"s": segment}, "processes": groups}


@st.composite
def clustered_random_workloads(draw: st.DrawFn) -> Document:
    """A few large clusters, so that whole tables are shared and all outcomes can still be listed."""
    size = draw(st.sampled_from([4 * MIB, 5 * MIB, 4 * MIB + PAGE]))
    segment = {"size": size, "backing": draw(st.sampled_from(["shmem", "file"]))}
    groups: Document = {}
    for number in range(draw(st.integers(1, 2))):
        offset = draw(st.sampled_from([0, 0, PAGE, MIB]))
        mapping: Document = {"segment": "s", "offset": offset}
        mapping["address"] = SLOT + draw(st.sampled_from([0, 0, PAGE, 2 * MIB])) + offset
        touch: Document = {"pages": draw(st.sampled_from([1, 256, 300])), "pattern": "clustered"}
        touch["cluster"] = draw(st.sampled_from([MIB, 2 * MIB, 3 * MIB]))
        touch["overlap"] = draw(st.sampled_from(["independent", "same"]))
        mapping["touch"] = touch
        if number:
            mapping["protection"] = draw(st.sampled_from(["rw", "r"]))
        groups[f"g{number}"] = {"count": 1 if number else draw(st.integers(1, 2)), "mappings": [mapping]}
    host = {"memory": 1 << 40}
    return {"version": 1, "name": "clusters", "host": host, "segments": {"s": segment}, "processes": groups}
