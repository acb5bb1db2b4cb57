"""The figures of the case that started it all: 300 GiB, 1500 processes, 512 GiB installed, one node."""

from __future__ import annotations

import pytest

from tests.risk.documents import GIB, KIB, MIB, assessed, items, sga

# Hand-computed with these constants; the ledger's own may differ by 0.1 % in what they lead to.
PAGE_ARRAY = 8 * GIB  # 64 B for each 4 KiB
USABLE = 502 * GIB
TABLES_PRIVATE = 153_901 * 4096  # of one process
BASE_TABLES = 512 * KIB
KERNEL = 48 * KIB  # stack and slab
PRIVATE = 12 * MIB
INDEX = 1_248_306 * 584  # xarray nodes for 300 GiB in base pages

WITHIN = 0.001


@pytest.mark.parametrize(
    ("policy", "tables", "demand_gib", "free_gib", "level", "safe", "most"),
    [
        ("today", 1500 * TABLES_PRIVATE, 1211.7, -710, "oom", 232, 315),
        ("private", 1500 * TABLES_PRIVATE, 1211.7, -710, "oom", 232, 315),
        ("hugetlb-2M", 300 * 4096 + 1500 * 4096, 330.4, 171.6, "ok", 11_402, 15_498),
        ("hugetlb-1G", 1500 * 4096, 330.4, 171.6, "ok", 11_403, 15_498),
        ("thp", 1500 * 301 * 4096, 332.1, 169.8, "ok", 10_429, 14_174),
    ],
)
def test_figures(
    policy: str, tables: int, demand_gib: float, free_gib: float, level: str, safe: int, most: int
) -> None:
    memory, risk, _ = assessed(sga(), policy)

    assert items(memory)["page tables"] == tables
    assert memory.boundary == "host"
    assert memory.capacity_bytes == pytest.approx(USABLE, rel=WITHIN)
    assert memory.demand_bytes == pytest.approx(demand_gib * GIB, rel=WITHIN)
    assert memory.headroom_bytes == memory.capacity_bytes - memory.demand_bytes
    assert memory.headroom_bytes == pytest.approx(free_gib * GIB, rel=0.002)
    assert risk.level == level
    assert risk.safe_processes == pytest.approx(safe, rel=WITHIN)
    assert risk.max_processes == pytest.approx(most, rel=WITHIN)
    assert (risk.limited_by, risk.safe_limited_by) == ("memory", "memory")


def test_the_headline_is_exact() -> None:
    _, risk, _ = assessed(sga())

    assert (risk.safe_processes, risk.max_processes) == (232, 315)


def test_demand_item_by_item() -> None:
    memory, _, one_more = assessed(sga())

    assert items(memory) == {
        "page tables": 945_567_744_000,
        "sga (shmem)": 300 * GIB,
        "page-cache index": INDEX,
        "base tables": 1500 * BASE_TABLES,
        "kernel stacks and slab": 1500 * KERNEL,
        "private memory": 1500 * PRIVATE,
        "everything else": 12 * GIB,
    }
    assert {item.name: item.bytes for item in memory.capacity_terms}["page array"] == -PAGE_ARRAY
    assert one_more == {
        "page tables": TABLES_PRIVATE,
        "base tables": BASE_TABLES,
        "kernel stacks and slab": KERNEL,
        "private memory": PRIVATE,
    }


def test_every_line_says_where_it_comes_from() -> None:
    memory, _, _ = assessed(sga())

    assert all(item.terms and item.source for item in (*memory.items, *memory.capacity_terms))
