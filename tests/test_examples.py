"""Every example runs, guesses nothing that matters, and shows what it says that it shows."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import ptcalc
from ptcalc.result import Estimate, PolicyResult
from ptcalc.timeline.following import follow_timeline
from ptcalc.timeline.result import ClassState, PolicyTimeline, Step

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


@cache
def happens(name: str, policy: str = "today") -> PolicyTimeline:
    (found,) = follow_timeline(ptcalc.load(EXAMPLES / name), policies=[policy]).policies
    return found


def of_group(step: Step, group: str, label: str = "") -> ClassState:
    """One process of a group after an event."""
    return next(each for each in step.classes if (each.group, each.label) == (group, label))


def test_fork_copies_no_tables_of_shared_buffers() -> None:
    """A new backend has the tables of the postmaster's 8 MiB; a storm's own come minutes later, and bring the OOM."""
    steps = happens("postgres-storm.yaml").steps

    assert of_group(steps[1], "backend").vmpte_bytes == (5 + 1 + 1) * 4096
    assert of_group(steps[3], "backend", "storm").vmpte_bytes == (5 + 1 + 1) * 4096
    assert [step.risk for step in steps[3:9]] == ["ok"] * 5 + ["oom"]
    # 4 GiB an hour for five minutes: 341 1/3 MiB, in 171 PTE tables and one PMD and PUD table.
    assert of_group(steps[5], "backend", "storm").vmpte_bytes == (5 + 171 + 2 + 2) * 4096
    victim = steps[8].victim
    assert victim is not None and victim.group == "checkpointer"  # the largest RSS, which is shared
    assert victim.frees_bytes < -steps[8].memory.headroom_bytes / 100


def test_fork_copies_tables_of_what_the_zygote_has_written() -> None:
    """120 libraries of 1.75 MiB, one behind the other: each PTE table below them holds RELRO, and is copied."""
    steps = happens("android-zygote.yaml").steps
    zygote, app = of_group(steps[0], "zygote"), of_group(steps[1], "app")
    libraries = 120 * 7 // 8  # spans of 2 MiB
    heap = -(-64 * 6 // 10 // 2)

    assert app.vmpte_bytes == (libraries + heap + 2 + 1) * 4096
    # The boot image, of which nothing is written, in a GiB of its own: an app has to fault it in.
    assert zygote.vmpte_bytes == app.vmpte_bytes + (32 + 1) * 4096
    assert of_group(steps[3], "app", "cached").vmpte_bytes == app.vmpte_bytes


def test_nothing_of_a_zygote_can_be_shared() -> None:
    """All that its children inherit is mapped private."""
    today, shared = (happens("android-zygote.yaml", policy).steps[-1] for policy in ("today", "file-shared"))

    assert shared.used_bytes == today.used_bytes
    assert shared.shared_bytes == shared.cached_bytes == 0
