"""What must hold for every workload, whatever the numbers are.  Each property names the cases that it leaves
out, and why.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ptcalc
from tests import strategies as make
from tests.reference.policies import POLICIES
from tests.reference.touch import touched_pages
from tests.strategies import GIB, PAGE, SLOT, Document
from tests.test_engine_against_reference import thorough

pytestmark = pytest.mark.many

TABLE = 4096
Figures = dict[str, tuple[int, dict[str, int], dict[str, int]]]


def figures(document: Document) -> Figures:
    """Return for every policy: bytes used, tables by level, VmPTE by group."""
    estimate = ptcalc.estimate(ptcalc.loads(make.text_of(document)))
    return {
        result.policy: (
            result.page_tables.used_bytes,
            {level.level: level.tables for level in result.page_tables.levels if level.tables},
            {process.name: process.vmpte_bytes for process in result.processes},
        )
        for result in estimate.policies
    }


def never_less(before: Figures, after: Figures, note: object) -> None:
    """Every policy costs at least as much after as before."""
    for policy in POLICIES:
        assert after[policy][0] >= before[policy][0], (policy, note)


def one_mind(document: Document) -> Document:
    """The same without advice on huge pages.

    Where advice differs, one process more, or one page more, can make a huge page of a chunk that others have
    mapped
    by a PTE table each: then more use costs less, and rightly so.
    """
    document = copy.deepcopy(document)
    for group in document["processes"].values():
        for mapping in group["mappings"]:
            mapping.pop("madvise", None)
    return document


@thorough()
@given(make.workloads(), st.data())
def test_more_processes_never_cost_less(document: Document, data: st.DataObject) -> None:
    # Of a group that is there already: a group of its own may bring advice, see `one_mind`.
    more = copy.deepcopy(document)
    more["processes"][data.draw(st.sampled_from(sorted(more["processes"])))]["count"] += data.draw(st.integers(1, 5))
    never_less(figures(document), figures(more), (document, more))


@thorough()
@given(make.workloads().map(one_mind), st.data())
def test_a_group_more_never_costs_less(document: Document, data: st.DataObject) -> None:
    less = copy.deepcopy(document)
    gone = data.draw(st.sampled_from(sorted(less["processes"])))
    group = less["processes"].pop(gone)
    # What-ifs move a segment only if some mapping maps it shared; then another process may change where it
    # lies.
    if not less["processes"] or shared_segments(less) != shared_segments(document):
        return
    never_less(figures(less), figures(document), (gone, group, less))


def shared_segments(document: Document) -> set[str]:
    """Names of the segments that some mapping maps shared."""
    mappings = [mapping for group in document["processes"].values() for mapping in group["mappings"]]
    return {mapping["segment"] for mapping in mappings if mapping.get("map", "shared") == "shared"}


@thorough()
@given(make.workloads().map(one_mind), st.data())
def test_more_touched_pages_never_cost_less(document: Document, data: st.DataObject) -> None:
    more = copy.deepcopy(document)
    mappings = more["processes"][data.draw(st.sampled_from(sorted(more["processes"])))]["mappings"]
    mapping = data.draw(st.sampled_from(mappings))
    length = make.length_of(mapping, more["segments"][mapping["segment"]])
    touch = mapping["touch"] if isinstance(mapping["touch"], list) else [mapping["touch"]]
    mapping["touch"] = [*touch, data.draw(make.exact_touches(length, single=True))]
    never_less(figures(document), figures(more), (document, mapping))


@thorough(0.5)
@given(make.tiny_random_workloads(), st.data())
def test_more_random_pages_never_cost_less(document: Document, data: st.DataObject) -> None:
    more = copy.deepcopy(document)
    mapping = more["processes"]["g0"]["mappings"][0]
    touch = mapping["touch"][0] if isinstance(mapping["touch"], list) else mapping["touch"]
    touch["pages"] = min(touch["pages"] + data.draw(st.integers(1, 3)), mapping["length"] // PAGE)
    never_less(figures(document), figures(more), (document, mapping))


@thorough()
@given(make.workloads(backings=("shmem", "file", "private")), st.integers(1, 1000), st.data())
def test_a_larger_segment_never_costs_less_when_private(document: Document, pages: int, data: st.DataObject) -> None:
    """With base pages, and touches that are not random.

    Random pages of a fixed amount can need fewer tables in a larger mapping: two of two pages on either side
    of a
    border need two tables, two of three sometimes one.
    """
    document = copy.deepcopy(document)
    for segment in document["segments"].values():
        segment.pop("thp", None)
    for group in document["processes"].values():
        for mapping in group["mappings"]:
            mapping.pop("address", None)  # stated ones could meet when they grow
    grown = copy.deepcopy(document)
    grown["segments"][data.draw(st.sampled_from(sorted(grown["segments"])))]["size"] += pages * PAGE
    assert figures(grown)["private"][0] >= figures(document)["private"][0], (document, grown)


@thorough()
@given(make.workloads())
def test_sharing_in_place_never_costs_more_than_private(document: Document) -> None:
    """A table is shared only where a mapping fills its whole span, so no neighbour is left with one of its
    own.
    """
    found = figures(document)
    for policy in ("today", "file-shared", "map-shared-pt"):
        assert found[policy][0] <= found["private"][0], (policy, document)
        assert found[policy][2] == found["private"][2], (policy, document)


@thorough()
@given(make.workloads(backings=("shmem", "file", "hugetlb")))
def test_mshare_costs_no_more_than_private_beyond_edge_tables(document: Document) -> None:
    """Where the address is congruent with the offset at every level, so that nothing moves against its
    tables.

    In private tables neighbours share the table at their border; in regions of their own each has its edge
    tables:
    up to two per level and mapping.
    """
    document = copy.deepcopy(document)
    edges = 0
    for group in document["processes"].values():
        for place, mapping in enumerate(group["mappings"]):
            mapping.pop("alignment", None)
            mapping.pop("placement", None)
            mapping["address"] = (place + 1) * SLOT + mapping.get("offset", 0)
            edges += 2 * 3 * TABLE
    found = figures(document)
    assert found["mshare"][0] <= found["private"][0] + edges, document


def ranges_of(pages: frozenset[int]) -> Any:
    """The touch of exactly these pages."""
    runs: list[Document] = []
    for page in sorted(pages):
        if runs and runs[-1]["start"] + runs[-1]["length"] == page * PAGE:
            runs[-1]["length"] += PAGE
        else:
            runs.append({"start": page * PAGE, "length": PAGE})
    return {"ranges": runs} if runs else "none"


def split(document: Document, group: str, number: int, at: int) -> Document:
    """The same with one mapping cut in two, `at` bytes from its start."""
    after = copy.deepcopy(document)
    mappings = after["processes"][group]["mappings"]
    mapping = mappings[number]
    parsed = ptcalc.loads(make.text_of(document)).processes[group].mappings[number]
    offset = mapping.get("offset", 0)
    length = make.length_of(mapping, after["segments"][mapping["segment"]])
    pages: frozenset[int] = frozenset().union(
        *(touched_pages(touch, offset=offset, length=length) for touch in parsed.touch)
    )
    cut = at // PAGE
    first = {
        **mapping,
        "offset": offset,
        "length": at,
        "touch": ranges_of(frozenset(p for p in pages if p < cut)),
    }
    second = {**mapping, "offset": offset + at, "length": length - at, "address": mapping["address"] + at}
    second["touch"] = ranges_of(frozenset(p - cut for p in pages if p >= cut))
    mappings[number : number + 1] = [first, second]
    return after


@thorough()
@given(make.workloads(explicit=True), st.data())
def test_splitting_a_mapping_changes_nothing(document: Document, data: st.DataObject) -> None:
    """At a stated address, at any page; hugetlb at the borders of PUD entries, because its VMAs are never
    merged.
    """
    name = data.draw(st.sampled_from(sorted(document["processes"])))
    number = data.draw(st.integers(0, len(document["processes"][name]["mappings"]) - 1))
    mapping = document["processes"][name]["mappings"][number]
    segment = document["segments"][mapping["segment"]]
    length = make.length_of(mapping, segment)
    unit = GIB if segment["backing"] == "hugetlb" else PAGE
    first = -mapping["address"] % unit or unit
    cuts = range(first, length, unit)
    if len(cuts) == 0 or length % PAGE:
        return
    after = split(document, name, number, data.draw(st.sampled_from(cuts)))
    before, later = figures(document), figures(after)
    for policy in POLICIES:
        # A hugetlb what-if makes hugetlb of it, and of what was rounded: see the next test.
        if not policy.startswith("hugetlb"):
            assert later[policy] == before[policy], (policy, document, after)


@thorough(0.5)
@given(st.integers(1, 3), st.integers(0, 3), st.integers(1, 2), st.integers(1, 3), st.data())
def test_splitting_at_pud_borders_changes_nothing_under_hugetlb(
    address: int, offset: int, cut: int, count: int, data: st.DataObject
) -> None:
    offset *= 2 << 20
    size = 3 * GIB + offset
    mapping = {"segment": "s", "offset": offset, "address": address * GIB}
    mapping["touch"] = data.draw(make.exact_touches(3 * GIB))
    host, segments = {"memory": 1 << 40}, {"s": {"size": size, "backing": "shmem"}}
    groups = {"g": {"count": count, "mappings": [mapping]}}
    document = {"version": 1, "name": "split", "host": host, "segments": segments, "processes": groups}
    before, later = figures(document), figures(split(document, "g", 0, cut * GIB))
    for policy in POLICIES:
        assert later[policy] == before[policy], (policy, document)


@thorough()
@given(make.workloads(), st.randoms(use_true_random=False))
def test_order_of_groups_and_mappings_does_not_matter(document: Document, random: Any) -> None:
    """Without twins: two mappings of a process that differ only in touch and have no address are placed in
    turn.
    """
    document = copy.deepcopy(document)
    for group in document["processes"].values():
        kept: dict[object, Document] = {}
        for place, mapping in enumerate(group["mappings"]):
            same = (mapping["segment"], mapping.get("offset", 0)) if "address" not in mapping else place
            kept.setdefault(same, mapping)
        group["mappings"] = list(kept.values())
    shuffled = copy.deepcopy(document)
    names = list(shuffled["processes"])
    random.shuffle(names)
    shuffled["processes"] = {name: shuffled["processes"][name] for name in names}
    for group in shuffled["processes"].values():
        random.shuffle(group["mappings"])
    names = list(shuffled["segments"])
    random.shuffle(names)
    shuffled["segments"] = {name: shuffled["segments"][name] for name in names}
    assert figures(shuffled) == figures(document), (document, shuffled)
