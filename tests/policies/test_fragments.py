"""Tables that are fragments of pages: the pages that a process needs where a draw decides how many tables it has."""

from __future__ import annotations

import random

import pytest

import ptcalc

PAGE, MIB = 64 << 10, 1 << 20
TABLES, PAGES = 512, 32  # of the segment; of a PTE table, of which a page holds 256
BEGUN = 6  # PTE tables of a small process
WORKLOAD = """\
version: 1
host: {{memory: 64 GiB, arch: ppc64le-64k, kernel: "6.12"}}
segments: {{sga: {{size: 1 GiB, backing: shmem}}}}
processes: {{server: {{count: {count}, mappings: [{{segment: sga, address: 0x8000000000, touch: {touch}}}]}}}}
"""


def used(touch: str, count: int = 1) -> ptcalc.PageTables:
    workload = ptcalc.loads(WORKLOAD.format(touch=touch, count=count))
    return ptcalc.estimate(workload, policies=["today"]).policy("today").page_tables


@pytest.mark.parametrize("pages", [250, 330, 340, 345, 350, 370, 500])
def test_pages_where_tables_are_drawn(pages: int) -> None:
    """About as many tables as fill the page begun: a page more for some processes, none for others."""
    rng = random.Random(pages)
    draws = 4000
    more = 0
    for _ in range(draws):
        tables = len({page // PAGES for page in rng.sample(range(TABLES * PAGES), pages)})
        more += -(-(tables + BEGUN) // 256) - 1
    found = used(f"{{pages: {pages}, pattern: scattered}}", count=1000)
    # per process: its share of a further page of PTE tables, no further page of PMD tables, a PUD table
    share = (found.used_bytes / 1000 - 4096) / PAGE
    assert share == pytest.approx(more / draws, abs=4 * 0.5 / draws**0.5)


@pytest.mark.parametrize(("tables", "pages"), [(1, 0), (250, 0), (251, 1), (506, 1), (507, 2), (512, 2)])
def test_the_page_begun_takes_the_first_tables(tables: int, pages: int) -> None:
    found = used(f"{{every: 2 MiB, length: {tables * 2} MiB}}", count=7)
    assert found.exact
    assert found.used_bytes == 7 * (pages * PAGE + 4096)
    # PUD tables are slab; 1 PMD table is a fragment of a page that is there
    assert found.bytes == 7 * pages * PAGE
