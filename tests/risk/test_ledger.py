"""What counts as demand, on the host and in the cgroup; swap; limits of whole workloads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptcalc import policies
from ptcalc.result import RISK_ORDER
from ptcalc.risk import Config, Ledger, assess, memory
from ptcalc.risk.ledger import index_nodes
from tests.risk.documents import GIB, KIB, MIB, TIB, Document, assessed, items, load, sga


def small(segment: Document | None = None, *mappings: Document, **group: Any) -> Document:
    """A host of 16 GiB, one segment `s` of 1 GiB, and ten processes that map it."""
    return {
        "version": 1,
        "name": "small",
        "host": {"memory": "16 GiB", "used": 0},
        "segments": {"s": {"size": "1 GiB", "backing": "shmem", **(segment or {})}},
        "processes": {"p": {"count": 10, **group, "mappings": [{"segment": "s", **m} for m in mappings or ({},)]}},
    }


@pytest.mark.parametrize(
    ("segment", "mapping", "expected"),
    [
        pytest.param({}, {}, {"s (shmem)": GIB}, id="shmem counts once"),
        pytest.param({}, {"touch": "none"}, {"s (shmem)": GIB}, id="resident, touched or not"),
        pytest.param({"resident": "touched"}, {"touch": "none"}, {"s (shmem)": 0}, id="nothing touched"),
        pytest.param(
            {"resident": "touched"},
            {"touch": {"amount": "25%", "pattern": "contiguous"}},
            {"s (shmem)": GIB // 4},
            id="what is touched, once",
        ),
        pytest.param({"resident": "100 MiB"}, {}, {"s (shmem)": 100 * MIB}, id="the rest is swapped"),
        pytest.param({"backing": "file"}, {}, {"s (file)": 0}, id="page cache can be given back"),
        pytest.param({"backing": "file"}, {"map": "private"}, {"s (file)": 10 * GIB}, id="written copies"),
        pytest.param(
            {"backing": "file"}, {"map": "private", "access": "read"}, {"s (file)": 0}, id="read, not copied"
        ),
        pytest.param({"backing": "private"}, {"map": "private"}, {"s (private)": 10 * GIB}, id="private"),
        pytest.param({"backing": "hugetlb"}, {}, {"huge pages (2M)": GIB}, id="the pool is what is needed"),
    ],
)  # fmt: skip
def test_segments(segment: Document, mapping: Document, expected: dict[str, int]) -> None:
    found, _, _ = assessed(small(segment, mapping))
    memory_items = {item.name: item.bytes for item in found.items if item.kind in ("segment", "pool")}

    assert memory_items == expected


def test_a_stated_pool_counts_whole() -> None:
    document = small({"backing": "hugetlb"})
    document["host"]["hugepages"] = {"2 MiB": 1024, "1 GiB": 3}

    assert items(assessed(document)[0])["huge pages (2M)"] == 2 * GIB
    assert items(assessed(document)[0])["huge pages (1G)"] == 3 * GIB
    assert items(assessed(document, "hugetlb-1G")[0])["huge pages (2M)"] == 2 * GIB


def test_a_short_pool_counts_the_need_and_is_oom() -> None:
    document = small({"backing": "hugetlb"})
    document["host"]["hugepages"] = {"2 MiB": 100}
    found, risk, _ = assessed(document)

    assert items(found)["huge pages (2M)"] == GIB
    assert risk.level == "oom"
    assert risk.max_processes > 10  # by memory, it would fit


def test_a_mixed_segment_counts_in_pool_and_base_pages() -> None:
    document = small({"backing": "hugetlb", "on_short_pool": "mixed"})
    document["host"]["hugepages"] = {"2 MiB": 128}
    found, risk, _ = assessed(document)

    assert items(found)["huge pages (2M)"] == GIB // 4
    assert items(found)["s (shmem)"] == GIB * 3 // 4
    assert risk.level == "ok"


@pytest.mark.parametrize(("kernel", "charged"), [("6.1", False), ("6.12", True)])
def test_a_cgroup_holds_the_tables_that_it_is_charged(kernel: str, charged: bool) -> None:
    """s390x allocated page tables without __GFP_ACCOUNT (arch/s390/mm/pgalloc.c) until 6.12."""
    document = small({})
    document["host"] |= {"arch": "s390x", "kernel": kernel, "cgroup_limit": "2 GiB"}
    found, _, _ = assessed(document)
    # 1 GiB: 1024 tables of 1 MiB and one more, which the default address off the boundary needs, and a segment table;
    # before 6.7 two PTE tables share a page, and the first finds one begun
    used = 10 * ((1025 * 4096 if charged else 512 * 4096) + 16 * KIB)

    assert found.boundary == "cgroup"
    assert items(found).get("page tables", 0) == (used if charged else 0)
    assert ("base tables" in items(found)) is charged
    # the host has them either way
    document["host"]["cgroup_limit"] = "1 TiB"
    assert sum(item.bytes for item in assessed(document)[0].items if item.kind == "page_tables") == used


@pytest.mark.parametrize(
    ("group", "name", "each"),
    [
        ({}, "base tables", 48 * KIB),
        ({"private": "3 MiB"}, "base tables", 48 * KIB + 2 * 4096),
        ({"base_tables": 0}, "base tables", 0),
        ({}, "kernel stacks and slab", 48 * KIB),
        ({"threads": 5}, "kernel stacks and slab", 48 * KIB + 4 * 24 * KIB),
        ({"private": "12 MiB"}, "private memory", 12 * MIB),
        ({"private": "12 MiB", "private_cap": "60 MiB"}, "private memory", 6 * MIB),
    ],
)
def test_what_every_process_has(group: Document, name: str, each: int) -> None:
    assert items(assessed(small(None, **group))[0])[name] == 10 * each


def test_five_levels_add_a_p4d_table() -> None:
    document = small()
    document["host"]["arch"] = "x86_64-la57"

    assert items(assessed(document)[0])["base tables"] == 10 * (48 * KIB + 4096)


def test_an_mshare_region_has_a_root() -> None:
    assert items(assessed(small(), "mshare")[0])["mshare host mm"] == 4096


@pytest.mark.parametrize(
    ("pages", "order", "nodes"),
    [
        (0, 0, 0),
        (1, 0, 1),
        (64, 0, 1),
        (65, 0, 3),
        (262_144, 0, 4096 + 64 + 1),
        (8, 9, 1),
        (9, 9, 3),
        (512, 9, 64 + 1),
        (64, 18, 1),
        (300, 18, 5 + 1),
        (1 << 50, 0, sum(1 << (50 - 6 * level) for level in range(1, 9)) + 1),
    ],
)
def test_index_nodes(pages: int, order: int, nodes: int) -> None:
    assert index_nodes(pages, order) == nodes


def test_the_cgroup_leaves_out_used_and_huge_pages() -> None:
    document = small({"backing": "hugetlb"}, private="20 MiB")
    document["host"] |= {"cgroup_limit": "256 MiB", "used": "1 GiB"}
    found, risk, _ = assessed(document)

    assert (found.boundary, found.capacity_bytes) == ("cgroup", 256 * MIB)
    assert "everything else" not in items(found)
    assert "huge pages (2M)" not in items(found)
    assert found.demand_bytes == sum(items(found).values())
    assert (risk.level, risk.limited_by) == ("ok", "cgroup")
    assert risk.max_processes == (256 * MIB - index_nodes(512, 9) * 584 - 4096) // (
        20 * MIB + 48 * KIB + 10 * 4096 + 48 * KIB + 4096
    )


def test_the_boundary_with_less_headroom_is_reported_and_the_worse_level_counts() -> None:
    document = small(private="100 MiB")
    document["host"]["cgroup_limit"] = "15 GiB"
    found, _, _ = assessed(document)
    assert found.boundary == "cgroup"

    document["host"]["cgroup_limit"] = "64 GiB"
    found, _, _ = assessed(document)
    assert found.boundary == "host"


@pytest.mark.parametrize(
    ("host", "segment", "level", "swapped"),
    [
        pytest.param({"swap": "4 GiB"}, {"size": "17 GiB"}, "critical", True, id="shmem goes to swap"),
        pytest.param({}, {"size": "17 GiB"}, "oom", False, id="no swap"),
        pytest.param({"swap": "1 MiB"}, {"size": "17 GiB"}, "oom", False, id="too little swap"),
        pytest.param({"swap": "1 TiB"}, {"size": "17 GiB", "locked": True}, "oom", False, id="locked"),
        pytest.param({"swap": "1 TiB"}, {"size": "17 GiB", "backing": "hugetlb"}, "oom", False, id="hugetlb"),
    ],
)
def test_swap(host: Document, segment: Document, level: str, swapped: bool) -> None:
    document = small(segment, {"touch": "none"})
    document["host"] |= host
    found, risk, _ = assessed(document)

    assert risk.level == level
    assert found.swap_used_bytes == (-found.headroom_bytes if swapped else 0)


def test_page_tables_cannot_be_swapped() -> None:
    without, with_swap = assessed(sga())[1], assessed(sga(host__swap="1 TiB"))[1]

    assert with_swap.level == "oom"
    assert with_swap.safe_processes == without.safe_processes
    assert with_swap.max_processes > without.max_processes  # the SGA itself goes to swap


def test_fixed_groups_stay() -> None:
    document = sga()
    document["processes"]["background"] = {**document["processes"]["server"], "count": 100, "scale": "fixed"}
    _, risk, _ = assessed(document)

    assert risk.max_processes == 315

    document["processes"]["background"]["count"] = 400
    assert assessed(document)[1].max_processes == 0


def test_only_fixed_groups() -> None:
    document = small(scale="fixed")
    _, risk, one_more = assessed(document)

    assert (risk.max_processes, risk.limited_by) == (10, "fixed")
    assert one_more == {}


def test_pid_max_binds() -> None:
    document = small(None, {"touch": "none"}, base_tables=0)
    document["host"]["memory"] = "2 TiB"
    _, risk, _ = assessed(document)

    assert (risk.max_processes, risk.limited_by) == (4_194_304, "pid_max")


def test_extremes_are_python_integers() -> None:
    size = 32 << 50
    document = sga(host__memory="4000000 TiB", host__arch="x86_64-la57", segments__sga__size=size)
    document["processes"]["server"]["count"] = 4_000_000
    document["processes"]["server"]["mappings"] = [{"segment": "sga", "address": 256 * TIB}]
    found, risk, _ = assessed(document)
    each = sum(size // span for span in (2 * MIB, GIB, 512 * GIB, 256 * TIB)) * 4096

    assert items(found)["page tables"] == 4_000_000 * each > 1 << 63
    assert found.demand_bytes == sum(items(found).values())
    room = found.capacity_bytes - found.demand_bytes + 4_000_000 * (each + 12 * MIB + 560 * KIB)
    assert risk.max_processes == room // (each + 12 * MIB + 560 * KIB)


GROUPS = st.lists(
    st.fixed_dictionaries(
        {
            "count": st.integers(1, 300),
            "scale": st.sampled_from(["proportional", "proportional", "fixed"]),
            "private": st.sampled_from([0, 1 << 20, 50 << 20]),
            "map": st.sampled_from(["shared", "private"]),
            "access": st.sampled_from(["read", "write"]),
            "touch": st.sampled_from(["all", "none", "10%", {"amount": "30%", "pattern": "contiguous"}]),
        }
    ),
    min_size=1,
    max_size=3,
)
SEGMENTS = st.sampled_from(
    [
        {"backing": "shmem"},
        {"backing": "shmem", "resident": "touched"},
        {"backing": "hugetlb"},
        {"backing": "file"},
        {"backing": "private"},
        {"backing": "hugetlb", "on_short_pool": "mixed"},
    ]
)


POLICIES = st.sampled_from(policies.policy_names())


def several(groups: list[Document], segment: Document) -> Document:
    """64 MiB mapped by several groups; a pool for a part of it where it may be short."""
    document = small(segment)
    document["segments"]["s"]["size"] = 64 * MIB
    if "on_short_pool" in segment:
        document["host"]["hugepages"] = {"2 MiB": 20}
    document["processes"] = {
        f"g{number}": {
            "count": group["count"],
            "scale": group["scale"],
            "private": group["private"],
            "mappings": [
                {
                    "segment": "s",
                    "map": "private" if segment["backing"] == "private" else group["map"],
                    "access": group["access"],
                    "touch": group["touch"],
                }
            ],
        }
        for number, group in enumerate(groups)
    }
    return document


@settings(deadline=None)
@given(groups=GROUPS, segment=SEGMENTS, policy=POLICIES, counts=st.lists(st.integers(0, 999), min_size=3, max_size=3))
def test_what_is_asked_once_holds_for_all_counts(
    groups: list[Document], segment: Document, policy: str, counts: list[int]
) -> None:
    (outcome,) = policies.evaluate(load(several(groups, segment)), [policy])
    counts = counts[: len(groups)]
    lines = {line.kind: line for line in Ledger(outcome, Config()).lines}
    direct = outcome.segments(counts)
    need = outcome.pool_need(counts)
    stated = 20 * 2 * MIB if "on_short_pool" in segment else 0

    small_pages = sum(each.index_small_pages for each in direct)
    in_base_pages = sum(
        each.resident_bytes if each.backing == "shmem" else 4096 * small_pages if each.backing == "hugetlb" else 0
        for each in direct
    )
    copies = sum(each.copies_bytes for each in direct if not each.huge_copies)
    segments = lines["segment"].amount(counts)[0] if "segment" in lines else 0
    pools = sum(line.amount(counts)[0] for line in Ledger(outcome, Config()).lines if line.kind == "pool")

    assert segments == in_base_pages + copies
    assert pools == sum(max(need.get(size, 0), stated if size == 2 * MIB else 0) for size in {*need, 2 * MIB})


@settings(deadline=None)
@given(
    groups=GROUPS,
    segment=SEGMENTS,
    swap=st.sampled_from([0, 2 * GIB]),
    limit=st.sampled_from([0, 6 * GIB]),
    policy=POLICIES,
)
def test_limits_are_where_the_levels_change(
    groups: list[Document], segment: Document, swap: int, limit: int, policy: str
) -> None:
    document = several(groups, segment)
    document["host"] |= {"swap": swap} | ({"cgroup_limit": limit} if limit else {})
    config = Config(pid_max=5000)
    (outcome,) = policies.evaluate(load(document), [policy])
    ledger = Ledger(outcome, config)
    found, risk, _ = assess(outcome, config)

    # Report, search and outcome speak of the same bytes.
    assert found.demand_bytes == ledger.demand(outcome.counts).on(found.boundary)
    assert found.demand_bytes == sum(item.bytes for item in found.items)
    assert found.headroom_bytes == found.capacity_bytes - found.demand_bytes
    assert all(type(item.bytes) is type(item.swappable_bytes) is int for item in found.items)
    copies = sum(each.copies_bytes for each in outcome.segments(outcome.counts) if not each.huge_copies)
    shown = sum(item.bytes for item in memory(outcome, outcome.counts, config).items if item.kind == "segment")
    assert shown >= copies

    # Growing in proportion, the level is accepted up to the limit and not beyond.
    def at(step: int, top: int) -> tuple[int, ...]:
        return tuple(g["count"] * step // top if g["scale"] == "proportional" else g["count"] for g in groups)

    top = max((g["count"] for g in groups if g["scale"] == "proportional"), default=0)
    for limit_found, accepted in ((risk.max_processes, "critical"), (risk.safe_processes, "ok")):
        assert limit_found <= 5000
        for step in range(0, 2 * top + 1, 7) if top else []:
            counts = at(step, top)
            level = ledger.level(ledger.demand(counts))
            fits = RISK_ORDER.index(level) <= RISK_ORDER.index(accepted) and sum(counts) <= 5000
            assert fits == (sum(counts) <= limit_found), (counts, limit_found)


@settings(deadline=None)
@given(groups=GROUPS, segment=SEGMENTS)
def test_one_more_process_costs_the_difference(groups: list[Document], segment: Document) -> None:
    document = small(segment, {"touch": groups[0]["touch"]}, count=groups[0]["count"], private=groups[0]["private"])
    document["segments"]["s"]["size"] = 64 * MIB
    (outcome,) = policies.evaluate(load(document), ["today"])
    _, _, one_more = assess(outcome, Config())

    now, then = (memory(outcome, [groups[0]["count"] + more], Config()) for more in (0, 1))

    assert sum(cost for _, cost in one_more) == then.demand_bytes - now.demand_bytes


@pytest.mark.parametrize("policy", policies.policy_names())
def test_the_search_asks_for_few_counts(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = policies.Outcome.page_tables_used

    def counting(outcome: policies.Outcome, counts: Sequence[int], *, charged: bool | None = None) -> int:
        asked.append(tuple(counts))
        found: int = real(outcome, counts, charged=charged)
        return found

    monkeypatch.setattr(policies.Outcome, "page_tables_used", counting)
    document = sga()
    document["processes"]["reporting"] = {**document["processes"]["server"], "count": 77}
    assessed(document, policy)

    assert len(asked) <= 40
