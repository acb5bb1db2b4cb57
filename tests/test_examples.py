"""Every example runs, guesses nothing that matters, and shows what it says that it shows."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import ptcalc
from ptcalc.result import Estimate, PolicyResult

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = sorted(path.name for path in EXAMPLES.glob("*.yaml"))
GIB = 2**30
WHOLE_SGA = 945_567_744_000  # tables of 1500 processes that touch all of 300 GiB


@cache
def estimate(name: str) -> Estimate:
    return ptcalc.estimate(ptcalc.load(EXAMPLES / name))


def today(name: str) -> PolicyResult:
    return estimate(name).policy("today")


@pytest.mark.parametrize("name", NAMES)
def test_it_runs(name: str) -> None:
    """Each example is evaluated under every policy and costs something under each."""
    results = estimate(name).policies

    assert [result.policy for result in results][:2] == ["today", "private"]
    assert all(result.page_tables.used_bytes > 0 for result in results)
    assert all(result.memory.demand_bytes > 0 for result in results)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_explained(name: str) -> None:
    """Each example opens with a comment that says what it is about, and is shown in the README."""
    assert (EXAMPLES / name).read_text(encoding="utf-8").startswith("# ")
    assert f"(examples/{name})" in (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")


def test_dense_touch_costs_its_share() -> None:
    """24 % in one run costs 24 % of the tables."""
    tables = today("oracle-sga-1500-24pct-contiguous.yaml").page_tables

    assert tables.exact
    assert tables.bytes == pytest.approx(0.24 * WHOLE_SGA, rel=1e-3)


def test_scattered_touch_costs_it_all() -> None:
    """24 % in random blocks of 8 KiB costs all of the tables, and the host."""
    result = today("oracle-sga-1500-24pct-scattered.yaml")

    assert not result.page_tables.exact
    assert result.page_tables.bytes == pytest.approx(WHOLE_SGA, rel=1e-6)
    assert result.risk.level == "oom"


def test_postgres_fits_only_on_huge_pages() -> None:
    """600 backends do not fit with base pages, and do with huge ones."""
    assert today("postgres-600.yaml").risk.level == "oom"
    assert estimate("postgres-600.yaml").policy("hugetlb-2M").risk.level == "ok"


def test_independent_back_ends_share_nothing() -> None:
    """Nothing is shared today; a region for each guest with one set of tables costs less than a third."""
    name = "kvm-vhost-user.yaml"

    assert today(name).page_tables == estimate(name).policy("private").page_tables
    assert estimate(name).policy("mshare").page_tables.bytes < today(name).page_tables.bytes / 3


def test_forty_guests_have_second_level_tables() -> None:
    """16 GiB in base pages: 8192 PTE tables, 16 PMD tables, a PUD table and the root, which no counter shows."""
    tables = today("kvm-vhost-user.yaml").second_level

    assert tables is not None
    assert tables.bytes == 40 * (8192 + 16 + 1) * 4096
    assert tables.used_bytes == tables.bytes + 40 * 4096
    assert estimate("kvm-vhost-user.yaml").segment_bytes == (("guest-memory", 640 * GIB),)


def test_reporting_group_shares_among_itself() -> None:
    """300 PMD tables for the writers, 300 for the readers, and a PUD table for each of 1800."""
    levels = {level.level: level.tables for level in today("mixed-sga-reporting.yaml").page_tables.levels}

    assert {name: tables for name, tables in levels.items() if tables} == {"pmd": 600, "pud": 1800}


def test_short_pool_does_not_help() -> None:
    """200 of 300 GiB in huge pages still runs out, and a finding tells of the pool."""
    result = today("short-pool.yaml")
    pte = next(level for level in result.page_tables.levels if level.level == "pte")

    assert pte.tables == 1500 * 100 * GIB // (2 * 2**20)
    assert result.risk.level == "oom"
    assert any("pool" in finding.code for finding in estimate("short-pool.yaml").findings)


def test_granules_share_pte_tables_only() -> None:
    """No whole PMD table lies inside a file of 512 MiB, so that generic sharing leaves those private."""
    result = estimate("amm-dev-shm.yaml").policy("file-shared")
    levels = {level.level: level.tables for level in result.page_tables.levels}

    assert levels["pte"] == 96 * GIB // (2 * 2**20)
    assert levels["pmd"] == 800 * 97


def test_container_is_bound_by_its_limit() -> None:
    """The cgroup has less headroom than the host."""
    memory = today("container-cgroup.yaml").memory

    assert memory.boundary == "cgroup"
    assert memory.capacity_bytes == 48 * GIB
