"""Vectors computed by hand: an SGA of 300 GiB and 1500 processes, under every policy, to the byte.

x86_64, 4 levels, everything touched; the base address is a multiple of 512 GiB unless a test says otherwise.
"""

from __future__ import annotations

from typing import Any

import pytest

import ptcalc
from ptcalc.result import Estimate, PolicyResult

MIB, GIB = 2**20, 2**30
TABLE = 4096

SIZE = 300 * GIB
PROCESSES = 1500
PTE, PMD, PUD = 153_600, 300, 1
PER_PROCESS = 630_378_496

SGA = {"size": "300 GiB", "backing": "shmem"}
WHOLE = {"segment": "sga", "address": 512 * GIB}


def workload(segment: dict[str, Any], *groups: tuple[int, dict[str, Any]]) -> ptcalc.Workload:
    """A workload of one segment ``sga`` and groups of (count, mapping); the text of a dictionary is YAML."""
    processes = {f"group-{n}": {"count": count, "mappings": [m]} for n, (count, m) in enumerate(groups)}
    document = {
        "version": 1,
        "name": "vector",
        "host": {"memory": "2 TiB"},
        "segments": {"sga": segment},
        "processes": processes,
    }
    return ptcalc.loads(repr(document))


def under(
    policy: str, segment: dict[str, Any] = SGA, mapping: dict[str, Any] = WHOLE, count: int = PROCESSES
) -> PolicyResult:
    """The result of one policy for one group."""
    return ptcalc.estimate(workload(segment, (count, mapping)), policies=[policy]).policy(policy)


def tables(result: PolicyResult) -> dict[str, int]:
    """Tables per level."""
    return {level.level: level.tables for level in result.page_tables.levels if level.tables}


def hugetlb(page_size: str) -> dict[str, Any]:
    return {**SGA, "backing": "hugetlb", "page_size": page_size}


def test_v1_private_base_pages() -> None:
    """V1: 153,901 tables a process, 945,567,744,000 bytes for all."""
    result = under("private")

    assert result.page_tables.bytes == 945_567_744_000
    assert result.page_tables.used_bytes == 945_567_744_000
    assert result.page_tables.exact
    assert tables(result) == {"pte": 1500 * PTE, "pmd": 1500 * PMD, "pud": 1500 * PUD}
    assert [process.vmpte_bytes for process in result.processes] == [PER_PROCESS]


def test_v1_is_what_happens_today() -> None:
    """Shared memory in base pages shares no table on a mainline kernel."""
    assert under("today").page_tables == under("private").page_tables


def test_v1a_pte_tables_only() -> None:
    """V1a: 600 MiB a process and 878.90625 GiB for all, the worst case that the mshare letters give."""
    one, all_of_them = under("private", count=1), under("private")

    assert one.page_tables.levels[0].level == "pte"
    assert one.page_tables.levels[0].bytes == 600 * MIB
    assert all_of_them.page_tables.levels[0].bytes / GIB == 878.90625


def test_v2_huge_pages_without_sharing() -> None:
    """V2: 301 tables a process."""
    result = under("private", hugetlb("2 MiB"))

    assert result.page_tables.bytes == 1_849_344_000
    assert tables(result) == {"pmd": 1500 * 300, "pud": 1500}
    assert result.processes[0].vmpte_bytes == 1_232_896


@pytest.mark.parametrize(
    ("policy", "segment"),
    [("today", hugetlb("2 MiB")), ("hugetlb-2M", SGA), ("hugetlb-2M", hugetlb("2 MiB"))],
)
def test_v3_huge_pages_all_sharing(policy: str, segment: dict[str, Any]) -> None:
    """V3: 300 PMD tables once and a PUD table each; VmPTE shows the shared ones in every process."""
    result = under(policy, segment)

    assert result.page_tables.bytes == 7_372_800
    assert tables(result) == {"pmd": 300, "pud": 1500}
    assert result.processes[0].vmpte_bytes == 1_232_896


@pytest.mark.parametrize(("policy", "segment"), [("today", hugetlb("1 GiB")), ("hugetlb-1G", SGA)])
def test_v4_gigantic_pages(policy: str, segment: dict[str, Any]) -> None:
    """V4: one PUD table a process."""
    result = under(policy, segment)

    assert result.page_tables.bytes == 6_144_000
    assert result.processes[0].vmpte_bytes == 4_096


def test_v5_generic_sharing() -> None:
    """V5: one set of PTE and PMD tables, and a PUD table each."""
    result = under("file-shared")

    assert result.page_tables.bytes == 630_374_400 + 6_144_000 == 636_518_400
    assert tables(result) == {"pte": PTE, "pmd": PMD, "pud": 1500}
    assert result.processes[0].marginal_bytes == 4_096


def test_v6_generic_sharing_of_readers_and_writers() -> None:
    """V6: one set for each protection."""
    loaded = workload(SGA, (1200, WHOLE), (300, {**WHOLE, "protection": "r"}))
    result = ptcalc.estimate(loaded, policies=["file-shared"]).policy("file-shared")

    assert result.page_tables.bytes == 1_260_748_800 + 6_144_000
    assert tables(result) == {"pte": 2 * PTE, "pmd": 2 * PMD, "pud": 1500}


def test_v7_mshare() -> None:
    """V7: all tables once, in a host mm whose root is a memory item of its own; a member shows nothing."""
    result = under("mshare")

    assert result.page_tables.bytes == PER_PROCESS
    assert tables(result) == {"pte": PTE, "pmd": PMD, "pud": PUD}
    assert result.processes[0].vmpte_bytes == 0
    assert [item.bytes for item in result.memory.items if "mshare" in item.name] == [4_096]


def test_v8_base_at_one_and_a_half_gib() -> None:
    """V8: the usual base of an SGA, 0x60000000, costs a PMD table more."""
    result = under("private", mapping={**WHOLE, "address": 0x60000000}, count=1)

    assert tables(result) == {"pte": 153_600, "pmd": 301, "pud": 1}


def test_v9_base_one_mib_beyond() -> None:
    """V9: one MiB beyond a boundary costs a PTE and a PMD table more."""
    result = under("private", mapping={**WHOLE, "address": 512 * GIB + MIB}, count=1)

    assert tables(result) == {"pte": 153_601, "pmd": 301, "pud": 1}


def test_v10_processes_in_the_rest_of_the_memory() -> None:
    """V10: 212 GiB hold the tables of 361 processes (arithmetic, without the other items of the ledger)."""
    one = under("private", count=1).page_tables.bytes

    assert 212 * GIB / one == pytest.approx(361.1, abs=0.05)
    assert under("private", count=361).page_tables.bytes <= 212 * GIB
    assert under("private", count=362).page_tables.bytes > 212 * GIB


def test_v11_share_that_may_be_touched() -> None:
    """V11: 212 GiB hold the tables of 1500 processes that touch 24.1 % of the SGA densely."""
    everything = under("private").page_tables.bytes

    assert 100 * 212 * GIB / everything == pytest.approx(24.1, abs=0.05)
    for percent, fits in (("24.07%", True), ("24.08%", False)):
        dense = {**WHOLE, "touch": {"amount": percent, "pattern": "contiguous"}}

        assert (under("private", mapping=dense).page_tables.bytes <= 212 * GIB) is fits


# The case of the first screen: 512 GiB installed, `used` 12 GiB, 12 MiB private and 512 KiB base tables each.
# Usable memory by these constants:
PAGE_ARRAY = 512 * GIB * 64 // 4096  # struct page, 64 bytes for each page of 4 KiB: 8.0 GiB
RESERVES = 512 * GIB // 256  # watermarks and lowmem reserve, Normal / 256: 2.0 GiB, less a little for DMA32
INDEX = SIZE // 4096 * 8  # page-cache index of the segment, at least a slot of 8 bytes for each page: 0.6 GiB
OK_SHARE_FREE = 0.10


@pytest.fixture(scope="module")
def first_screen() -> Estimate:
    return ptcalc.estimate(ptcalc.load("examples/oracle-sga-1500.yaml"))


def printed(figure: float, last_digit: float) -> Any:
    """A figure as a person reads it: 0.1 %, and the rounding of its last digit."""
    return pytest.approx(figure, rel=1e-3, abs=last_digit / 2)


def test_usable_memory(first_screen: Estimate) -> None:
    """502 GiB: installed memory less the page array and the reserves."""
    capacity = first_screen.policy("today").memory.capacity_bytes

    assert capacity == pytest.approx(512 * GIB - PAGE_ARRAY - RESERVES, rel=1e-3)
    assert capacity / GIB == printed(502, 1)


def test_demand_by_item(first_screen: Estimate) -> None:
    """Tables 880.6, data 300, private 17.6, host 12, index and base 1.5 GiB: 1212 in all."""
    memory = first_screen.policy("today").memory
    items = {item.name: item.bytes for item in memory.items}
    rest = memory.demand_bytes - 945_567_744_000 - SIZE - 1500 * 12 * MIB - 12 * GIB

    assert items["page tables"] == 945_567_744_000
    assert sum(items.values()) == memory.demand_bytes
    assert memory.demand_bytes / GIB == printed(1212, 1)
    assert memory.headroom_bytes / GIB == printed(-710, 1)
    assert rest >= INDEX + 1500 * 512 * 1024 - GIB // 100
    assert rest / GIB == printed(1.5, 0.1)


def test_one_more_process(first_screen: Estimate) -> None:
    """601.2 MiB of tables, 12 private, 0.5 of its own: 613.7 MiB."""
    more = first_screen.policy("today").one_more

    assert sum(size for _, size in more) / MIB == printed(613.7, 0.1)
    assert PER_PROCESS in [size for _, size in more]
    assert 12 * MIB in [size for _, size in more]


@pytest.mark.parametrize(
    ("policy", "page_tables", "demand", "free", "level", "safe", "largest"),
    [
        ("today", 945_567_744_000, 1212, -710, "oom", 232, 315),
        ("hugetlb-2M", 7_372_800, 330, 172, "ok", 11_402, 15_498),
        ("hugetlb-1G", 6_144_000, 330, 172, "ok", 11_403, 15_498),
        ("thp", 1_849_344_000, 332, 170, "ok", 10_429, 14_174),
    ],
)
def test_table_of_policies(
    first_screen: Estimate,
    policy: str,
    page_tables: int,
    demand: int,
    free: int,
    level: str,
    safe: int,
    largest: int,
) -> None:
    """Page tables to the byte, the others within 0.1 %."""
    result = first_screen.policy(policy)

    assert result.page_tables.bytes == page_tables
    assert result.memory.demand_bytes / GIB == printed(demand, 1)
    assert result.memory.headroom_bytes / GIB == printed(free, 1)
    assert result.risk.level == level
    assert result.risk.safe_processes == pytest.approx(safe, rel=1e-3)
    assert result.risk.max_processes == pytest.approx(largest, rel=1e-3)


def test_policies_of_no_mainline_kernel(first_screen: Estimate) -> None:
    """607 MiB, 601 MiB and 2.3 GiB, none of them deployable."""
    expected = {"file-shared": 636_518_400, "mshare": 630_378_496, "map-shared-pt": 2_478_489_600}
    results = {name: first_screen.policy(name) for name in expected}

    assert {name: result.page_tables.bytes for name, result in results.items()} == expected
    assert not any(result.availability.deployable for result in results.values())


def test_safe_means_a_tenth_free(first_screen: Estimate) -> None:
    """The safe count leaves 10 % of the capacity free, one more does not."""
    result = first_screen.policy("today")
    each = sum(size for _, size in result.one_more)
    at_safe = result.memory.demand_bytes - (1500 - result.risk.safe_processes) * each
    allowed = (1 - OK_SHARE_FREE) * result.memory.capacity_bytes

    assert at_safe <= allowed < at_safe + each


@pytest.mark.parametrize(
    ("touch", "largest"),
    [
        ("{amount: 0.083%, pattern: clustered, cluster: 8 KiB}", False),
        ("{amount: 0.085%, pattern: clustered, cluster: 8 KiB}", True),
        ("{amount: 19.3%, pattern: contiguous}", False),
        ("{amount: 19.5%, pattern: contiguous}", True),
    ],
)
def test_share_that_exhausts_the_host(touch: str, largest: bool) -> None:
    """Memory runs out at 0.084 % of random 8 KiB blocks per process, or at 19.4 % in one run."""
    with open("examples/oracle-sga-1500.yaml", encoding="utf-8") as file:
        text = file.read().replace("touch: all ", f"touch: {touch} ")
    result = ptcalc.estimate(ptcalc.loads(text), policies=["today"]).policy("today")

    assert (result.risk.level == "oom") is largest
