"""Results made by hand for the renderers: no engine, no workload; and the golden files to compare with.

``pytest tests/report --update-golden`` writes the files anew; read the diff before committing it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ptcalc.result import (
    Assumption,
    Availability,
    Bound,
    Estimate,
    Finding,
    LedgerItem,
    LevelArithmetic,
    LevelTables,
    MappingShare,
    Memory,
    PageTables,
    PolicyResult,
    ProcessTables,
    Question,
    Reason,
    Risk,
    RiskLevel,
)

GOLDEN = Path(__file__).parent / "golden"

MIB, GIB = 2**20, 2**30

MAINLINE = Availability("mainline", "2.6.20", "mm/hugetlb.c", "2026-11")
PROPOSAL = Availability("proposal", "", "linux-mm, 2022-07-18", "2026-11")
PATCHES = Availability("patches", "", "linux-mm, v3 of 2025-08-19", "2026-11")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files of the reports anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with golden/NAME, or write it there with --update-golden."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("update_golden", False):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
            return
        expected = path.read_bytes().decode() if path.exists() else ""
        if text != expected:
            diff = difflib.unified_diff(
                expected.splitlines(), text.splitlines(), f"golden/{name}", "what came out", lineterm=""
            )
            pytest.fail("\n".join(diff), pytrace=False)

    return compare


@pytest.fixture(
    params=["oracle-sga", "random-touch", "cgroup-in-swap", "hostile-names", "hostile-markup", "what-ifs-alone"]
)
def case(request: pytest.FixtureRequest) -> tuple[str, Estimate]:
    """Each golden case: its name and its result."""
    name: str = request.param
    return name, CASES[name]()


@pytest.fixture
def oracle() -> Estimate:
    """300 GiB by 1500 processes: out of memory today, no concern on huge pages."""
    return oracle_sga()


@pytest.fixture
def make_policy() -> Callable[..., PolicyResult]:
    """The maker of one policy's result."""
    return policy


def policy(
    name: str,
    *,
    tables: int,
    vmpte: int,
    other: int = 331 * GIB,
    capacity: int = 502 * GIB,
    level: RiskLevel = "ok",
    safe: int = 11_402,
    most: int = 15_498,
    availability: Availability = MAINLINE,
    applies: tuple[str, ...] = (),
    sd: int | None = None,
    group: str = "dedicated-server",
    segment: str = "sga",
    reasons: tuple[Reason, ...] = (),
) -> PolicyResult:
    """One policy, 1500 processes: `tables` bytes of page tables beside `other` demand."""
    pte, pmd = vmpte // 4096 - 301, 300
    return PolicyResult(
        policy=name,
        title=f"the title of {name}",
        availability=availability,
        applies=applies or "as_written",
        page_tables=PageTables(
            tables,
            tables,
            sd is None,
            sd,
            (
                LevelTables("pte", tables // 4096 - 301, tables - 301 * 4096),
                LevelTables("pmd", 301, 301 * 4096),
            ),
        ),
        processes=(
            ProcessTables(
                name=group,
                count=1500,
                vmpte_bytes=vmpte,
                exact=sd is None,
                vmpte_sd_bytes=None if sd is None else sd // 1500,
                levels=(LevelTables("pte", pte, pte * 4096), LevelTables("pmd", pmd, pmd * 4096)),
                marginal_bytes=vmpte,
                vmpte_defined=availability is not PROPOSAL,
            ),
        ),
        memory=Memory(
            boundary="host",
            capacity_bytes=capacity,
            demand_bytes=tables + other,
            headroom_bytes=capacity - tables - other,
            items=(
                LedgerItem(
                    f"{segment} (shmem)",
                    300 * GIB,
                    "segment",
                    "300 GiB, resident: all",
                    "host file",
                    300 * GIB,
                ),
                LedgerItem("page tables", tables, "page_tables", f"{tables // 4096:,} x 4,096", "counted"),
                LedgerItem("private", other - 300 * GIB, "private", "1500 x ...", "stated", other - 300 * GIB),
            ),
            capacity_terms=(
                LedgerItem("installed", capacity + 10 * GIB, "installed", "host.memory", "stated"),
                LedgerItem("page array", -8 * GIB, "page_array", "64 B a page", "struct page"),
                LedgerItem("reserves", -2 * GIB, "reserves", "Normal / 256", "lowmem_reserve_ratio"),
            ),
        ),
        risk=Risk(level, safe, most, "memory", "memory"),
        mappings=(
            MappingShare(
                group=group,
                index=0,
                segment=segment,
                address=0x60000000,
                length=300 * GIB,
                address_stated=True,
                levels=(
                    LevelArithmetic(
                        "pte", 2 * MIB, 4096, 768, 154_367, pte if sd is None else pte + 0.25, 0, "every page"
                    ),
                    LevelArithmetic("pmd", GIB, 4096, 1, 301, pmd, 0, "first..last"),
                ),
                reasons=reasons,
                path=("processes", group, "mappings", 0),
            ),
        ),
        one_more=(("page tables", vmpte), ("private (stated)", 12 * MIB), ("own tables, stack", 512 * 1024)),
    )


def estimate(*policies: PolicyResult, **changes: object) -> Estimate:
    """An estimate of `policies`, with nothing found and nothing assumed unless `changes` say so."""
    plain = Estimate(
        name="Oracle SGA, 1500 dedicated servers",
        file="oracle.yaml",
        processes=1500,
        policies=policies,
        findings=(),
        assumptions=(),
        arch="x86_64",
        kernel="6.18",
        installed_bytes=512 * GIB,
        segment_bytes=(("sga", 300 * GIB),),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def oracle_sga() -> Estimate:
    """Every policy of the contract, on the case that started it all."""
    misaligned = Reason(
        "base-pages", "page tables of 4 KiB pages are never shared", "move sga to huge pages", 945_560_000_000
    )
    shared = policy(
        "file-shared",
        tables=607 * MIB,
        vmpte=601 * MIB,
        availability=PROPOSAL,
        applies=("a kernel that has it",),
    )
    return estimate(
        policy(
            "today",
            tables=945_567_744_000,
            vmpte=630_378_496,
            level="oom",
            safe=232,
            most=315,
            reasons=(misaligned,),
        ),
        policy("private", tables=945_567_744_000, vmpte=630_378_496, level="oom", safe=232, most=315),
        policy(
            "hugetlb-2M",
            tables=7 * MIB,
            vmpte=2 * MIB,
            applies=("sga: backing hugetlb, vm.nr_hugepages=153600",),
        ),
        policy(
            "hugetlb-1G",
            tables=6_186_598,
            vmpte=1_310_720,
            applies=("sga: backing hugetlb, page_size 1 GiB",),
        ),
        policy("thp", tables=1_825_361_100, vmpte=2 * MIB, safe=10_429, most=14_174, applies=("sga: thp always",)),
        replace(
            shared,
            choices=(("phases", "every", "one set of tables for each phase, or phase 0 only"),),
            bounds=(Bound("phases", "zero", 945_567_744_000, "misaligned mappings share nothing"),),
        ),
        policy("map-shared-pt", tables=2_469_606_195, vmpte=601 * MIB, availability=PATCHES),
        policy("mshare", tables=601 * MIB, vmpte=301 * 4096, availability=PATCHES),
        findings=(
            Finding(
                "page-tables-large",
                "warning",
                "page tables take 417 % of the memory that is not in huge pages",
                12,
                7,
                "huge pages for sga",
                "today",
            ),
            Finding("vendor-kernel", "info", "counter rules of 6.12 assumed", 6, 11),
        ),
        assumptions=(Assumption("host.swap", "0 B", "the usual setting of a database host"),),
        source="version: 1\nname: Oracle SGA, 1500 dedicated servers\n# and so on\n",
        question=Question(
            choices=(("file-shared.phases", "every"),),
            overrides=((("host", "arch"), "x86_64", "--arch x86_64"),),
            config={"levels": {"ok": "10%"}},
            version="0.1.0",
        ),
    )


def random_touch() -> Estimate:
    """Expectations: figures with ~, and a warning that huge pages would lift."""
    return estimate(
        policy("today", tables=130 * GIB, vmpte=90 * MIB, sd=12 * MIB, level="warning", safe=1400, most=1630),
        policy("hugetlb-2M", tables=7 * MIB, vmpte=2 * MIB, sd=1500, applies=("sga: backing hugetlb",)),
        name="24 % at random",
    )


def cgroup_in_swap() -> Estimate:
    """Two groups in a container that fits only with swap."""
    today = policy("today", tables=40 * GIB, vmpte=28 * MIB, capacity=360 * GIB, level="critical", safe=10, most=1700)
    second = replace(today.processes[0], name="reporting", count=20, vmpte_bytes=3 * MIB)
    return estimate(
        replace(
            today,
            processes=(*today.processes, second),
            memory=replace(today.memory, boundary="cgroup", swap_used_bytes=11 * GIB),
        ),
        policy("thp", tables=40 * GIB, vmpte=28 * MIB, capacity=360 * GIB, level="oom", safe=0, most=1200),
        name="a container",
    )


def hostile_names() -> Estimate:
    """Names that would colour, clear, link or turn around a terminal."""
    name = "[bold red]x[/] \x1b[31mred\x1b[0m\x07\r\nNO. \u202eesrever\u2066 :boom: \ud800 漢字 \x9b2J"
    return named(name)


MARKUP = (
    "<script>alert(1)</script> ]]> ::error file=x::y --> </style> \"'`|*_~[x](javascript:x)![](http://x) @team #1 &amp;"
)


def hostile_markup() -> Estimate:
    """Names that would be markup, links, mentions, annotations or formulas in some format."""
    first = replace(named(MARKUP).policies[0], policy="=cmd|' /C calc'!A0", applies=("@SUM(1+1)", "+1"))
    return replace(named(MARKUP), name="=1+1", file="-2+3", policies=(first,))


def long_names() -> Estimate:
    """Names of 10,000 characters, half of them markup."""
    return named("x<" * 5_000)


def named(name: str) -> Estimate:
    """An estimate in which everything that comes from a file is a name."""
    today = policy(
        "today", tables=7 * GIB, vmpte=5 * MIB, group=name, segment=name, reasons=(Reason(name, name, name),)
    )
    return estimate(
        replace(today, applies=(name,), choices=((name, name, name),), bounds=(Bound(name, name, 1, name),)),
        name=name,
        file=name,
        findings=(Finding("code", "error", name, 1, 1, name, name),),
        assumptions=(Assumption(name, name, name),),
        segment_bytes=((name, 300 * GIB),),
        source=name,
        question=Question((name,), ((name, name),), (((name, 0), name, name),), {name: name}, name),
    )


def what_ifs_alone() -> Estimate:
    """Nothing that can be deployed was asked for."""
    return estimate(
        policy("file-shared", tables=607 * MIB, vmpte=601 * MIB, availability=PROPOSAL),
        policy("mshare", tables=601 * MIB, vmpte=301 * 4096, availability=PATCHES),
    )


CASES: dict[str, Callable[[], Estimate]] = {
    "oracle-sga": oracle_sga,
    "random-touch": random_touch,
    "cgroup-in-swap": cgroup_in_swap,
    "hostile-names": hostile_names,
    "hostile-markup": hostile_markup,
    "what-ifs-alone": what_ifs_alone,
}
