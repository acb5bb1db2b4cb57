"""What must hold of the recommendations for every workload."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ptcalc
from ptcalc.recommend import FORMS, Recommendations
from ptcalc.report.page import Screen
from ptcalc.report.recommend_report import render_fragment, render_text, to_dict
from ptcalc.result import RISK_ORDER
from tests import strategies as make
from tests.strategies import Document
from tests.test_engine_against_reference import thorough

from .documents import GIB, MIB, values


def pages_of(document: Document, page: int, moved: bool) -> int:
    """Pages of a size that the segments need, piece by piece; ``moved``: with shmem that is mapped shared."""
    shared = {
        mapping["segment"]
        for group in document["processes"].values()
        for mapping in group["mappings"]
        if mapping.get("map", "shared") == "shared"
    }
    # What was touched and then protected stays as it is.
    shared -= {
        mapping["segment"]
        for group in document["processes"].values()
        for mapping in group["mappings"]
        if mapping.get("protection") == "none" and mapping.get("touch", "none") != "none"
    }
    pages = 0
    for name, segment in document["segments"].items():
        size, backing = segment["size"], segment["backing"]
        piece = min(segment.get("pieces", size), size)
        here = backing == "hugetlb" and segment.get("page_size", 2 * MIB) == page
        if here or (moved and piece >= page and (backing == "hugetlb" or (backing == "shmem" and name in shared))):
            pages += sum(-(-min(piece, size - start) // page) for start in range(0, size, piece))
    return pages


def sound(found: Recommendations) -> None:
    """Order, risk and sums."""
    savings = [advice.saves_bytes for advice in found.advice]
    assert savings == sorted(savings, reverse=True)
    assert len({advice.code for advice in found.advice}) == len(found.advice)
    level = RISK_ORDER.index(found.as_written.result.risk.level)
    for advice in found.advice:
        check = advice.check
        assert RISK_ORDER.index(advice.result.risk.level) <= level
        assert check.free_bytes == check.capacity_bytes - check.pool_bytes - check.rest_bytes
        assert advice.saves_bytes > 0 or RISK_ORDER.index(advice.result.risk.level) < level
    found.find(found.start)
    assert render_text(found, Screen(width=80))
    assert to_dict(found)["start"] == found.start
    for form in FORMS:
        assert render_fragment(found, found.find(found.start), form)


@pytest.mark.many
@thorough()
@given(make.workloads(), st.sampled_from(["2 GiB", "6 GiB", "64 GiB"]))
def test_recommendations_are_sound(document: Document, memory: str) -> None:
    """Nothing that is recommended raises the risk, and the pages are those of the segments, counted by hand."""
    document["host"] = {**document["host"], "memory": memory, "used": "256 MiB"}
    found = ptcalc.recommend_changes(ptcalc.loads(make.text_of(document)))

    sound(found)
    copies = any(
        mapping.get("map") == "private" and document["segments"][mapping["segment"]]["backing"] in ("hugetlb", "shmem")
        for group in document["processes"].values()
        for mapping in group["mappings"]
    )
    for advice in found.advice:
        if copies or ":" in advice.code:  # private copies take huge pages as well; one segment alone
            continue
        if advice.code.startswith("hugetlb-2M"):
            count = dict(values(advice, "sysctl"))["vm.nr_hugepages"]
            assert count == str(pages_of(document, 2 * MIB, moved=True))
        if advice.code.startswith("hugetlb-1G"):
            assert dict(values(advice, "cmdline"))["hugepages"] == str(pages_of(document, GIB, moved=True))


@pytest.mark.many
@thorough()
@given(make.short_pools())
def test_short_pools_are_filled(document: Document) -> None:
    """Where a pool is too short, filling it is recommended or said not to help."""
    found = ptcalc.recommend_changes(ptcalc.loads(make.text_of(document)))

    sound(found)
    assert "pool" in {advice.code for advice in found.advice} | dict(found.rejected).keys()
