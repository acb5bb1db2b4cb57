"""On every architecture: page sizes, counts and files come from its geometry."""

from __future__ import annotations

import pytest

from ptcalc import arch

from .documents import GIB, codes, recommended, servers, values

NAMES = list(arch.known())


@pytest.mark.parametrize("name", NAMES)
def test_pages_of_each_size(name: str) -> None:
    """Each size that saves tables is recommended with exactly the pages of 20 GiB less 5 bytes."""
    geometry = arch.get(name).at((6, 12))
    size = 20 * GIB - 5
    text = servers(size=str(size), memory="256 GiB", host=f"arch: {name}, kernel: '6.12'", mapping="touch: all")
    found = recommended(text)

    pages = {page: f"hugetlb-{geometry.huge_page_name(page)}" for page in geometry.huge_pages}
    offered = {page: code for page, code in pages.items() if code in codes(found)}
    assert geometry.default_huge_page in offered
    for page, code in offered.items():
        advice, count = found.find(code), str(-(-size // page))
        assert advice.saves_tables_bytes > 0
        if page > geometry.pmd_size:
            assert values(advice, "cmdline") == [
                ("hugepagesz", geometry.huge_page_name(page)),
                ("hugepages", count),
            ]
        elif page == geometry.default_huge_page:
            assert values(advice, "sysctl")[0] == ("vm.nr_hugepages", count)
        else:
            path = f"/sys/kernel/mm/hugepages/hugepages-{page >> 10}kB/nr_hugepages"
            assert values(advice, "tmpfiles") == [(path, count)]
        assert advice.check.pool_bytes == int(count) * page


@pytest.mark.parametrize("name", NAMES)
def test_runs_of_entries_save_no_tables(name: str) -> None:
    """Huge pages that are runs of PTEs keep their tables: they are never recommended."""
    geometry = arch.get(name).at((6, 12))
    found = recommended(servers(memory="256 GiB", host=f"arch: {name}, kernel: '6.12'", mapping="touch: all"))

    for page in geometry.contiguous:
        if geometry.huge_pages[page] == "pte":
            code = f"hugetlb-{geometry.huge_page_name(page)}"
            assert code not in codes(found)
            assert dict(found.rejected)[code] == "saves no page tables"
