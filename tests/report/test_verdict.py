"""The answer, the advice and what they must never say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ptcalc.report import terminal
from ptcalc.report.page import Screen
from ptcalc.report.verdict import judge
from ptcalc.result import Availability, Estimate, LedgerItem, PolicyResult

Maker = Callable[..., PolicyResult]

GIB = 2**30
PATCHES = Availability("patches", "", "linux-mm", "2026-11")


def test_best_is_deployable_even_if_a_proposal_is_better(oracle: Estimate, make_policy: Maker) -> None:
    """What no mainline kernel has is never advised, however good it is."""
    today = make_policy("today", tables=150 * GIB, vmpte=GIB, level="warning")
    mshare = make_policy("mshare", tables=1, vmpte=1 * GIB, availability=PATCHES)

    assert judge(replace(oracle, policies=(today, mshare))).best is today
    assert judge(replace(oracle, policies=(mshare,))).best is None


def test_swap_is_refused_only_where_it_cannot_help(oracle: Estimate, make_policy: Maker) -> None:
    """Swap is called useless if what cannot be swapped is too much by itself."""
    assert judge(oracle).swap_is_useless

    swappable = make_policy("today", tables=200 * GIB, vmpte=GIB, level="oom")

    assert not judge(replace(oracle, policies=(swappable,))).swap_is_useless


def test_nothing_must_be_done_where_today_is_safe(oracle: Estimate, make_policy: Maker) -> None:
    """A host that is safe is told so, and only then what more there would be."""
    today = make_policy("today", tables=20 * GIB, vmpte=GIB)
    huge = make_policy("hugetlb-2M", tables=GIB, vmpte=GIB, applies=("move sga",))
    page = terminal.render(replace(oracle, policies=(today, huge)), Screen())

    assert "DO   nothing: today is safe. hugetlb-2M would leave 19.0 GiB more." in page


@pytest.mark.parametrize("width", [None, 120, 80])
def test_legend_explains_what_is_shown(oracle: Estimate, width: int | None) -> None:
    """No footnote without its mark, no mark without its footnote."""
    page = terminal.render(oracle, Screen(width))

    assert ("MiB*" in page) is ("VmPTE with *:" in page)
    assert "of memory: " in page


@pytest.mark.parametrize(
    ("starts", "level", "most"),
    [
        ("YES. This host", "ok", 15_498),
        ("YES, but little is left (WARNING)", "warning", 15_498),
        ("BARELY (CRITICAL)", "critical", 1600),
        ("NO. This host runs out of memory at the 316th of 1,500 processes", "oom", 315),
        ("NO. This host cannot carry this workload, with however few", "oom", 0),
        # Not for want of memory: a pool of huge pages that is too short, say.
        ("NO. This host has the memory, but cannot run this workload as written", "oom", 4_194_304),
    ],
)
def test_answer_comes_first(oracle: Estimate, make_policy: Maker, starts: str, level: str, most: int) -> None:
    """The first line below the title says yes or no."""
    result = make_policy("today", tables=100 * GIB, vmpte=GIB, level=level, most=most)
    page = terminal.render(replace(oracle, policies=(result,)), Screen())

    assert page.splitlines()[3].startswith(starts)


def test_what_does_not_help(oracle: Estimate, make_policy: Maker) -> None:
    """Where help is needed, deployable policies that run out of memory are named; elsewhere none."""
    today = make_policy("today", tables=300 * GIB, vmpte=GIB, level="oom", most=900)
    huge = make_policy("hugetlb-2M", tables=GIB, vmpte=GIB)
    thp = make_policy("thp", tables=300 * GIB, vmpte=GIB, level="oom", most=0)
    page = terminal.render(replace(oracle, policies=(today, huge, thp)), Screen())

    assert "NOT  thp: out of memory with however few processes." in page

    safe = make_policy("today", tables=GIB, vmpte=GIB)

    assert "NOT  " not in terminal.render(replace(oracle, policies=(safe, thp)), Screen())


def test_advice_says_how_many_huge_pages(oracle: Estimate, make_policy: Maker) -> None:
    """The pool that the best policy needs beyond what there is stands in the advice."""
    today = make_policy("today", tables=300 * GIB, vmpte=GIB, level="oom")
    huge = make_policy("hugetlb-2M", tables=GIB, vmpte=GIB, applies=("back sga with 2M hugetlb pages",))
    pool = LedgerItem("huge pages (2M)", 300 * GIB, "pool", "153,600 x 2 MiB")
    huge = replace(huge, memory=replace(huge.memory, items=(pool, *huge.memory.items[1:])))
    page = terminal.render(replace(oracle, policies=(today, huge)), Screen())

    assert "DO   hugetlb-2M: back sga with 2M hugetlb pages; reserve huge pages (2M): 153,600 x 2 MiB. " in page


def test_limits_that_are_not_memory(oracle: Estimate, make_policy: Maker) -> None:
    """Out of memory is not said of a count that the kernel's pid_max bounds, nor where no group grows."""
    result = make_policy("today", tables=GIB, vmpte=GIB, most=4_194_304)
    pids = replace(result, risk=replace(result.risk, limited_by="pid_max"))
    fixed = replace(result, risk=replace(result.risk, limited_by="fixed", safe_limited_by="fixed"))

    page = terminal.render(replace(oracle, policies=(pids,)), Screen())
    assert "out of memory after >4,194,304" in page

    page = terminal.render(replace(oracle, policies=(fixed,)), Screen())
    assert "carries 1,500 processes (no group of processes grows)." in page
    assert "4,194,304" not in page


def test_answer_for_a_what_if_is_no_yes(oracle: Estimate, make_policy: Maker) -> None:
    """A policy that cannot be deployed gets no YES, no green and no other colour of a judgement."""
    result = make_policy("mshare", tables=GIB, vmpte=GIB, availability=PATCHES)
    page = terminal.render(replace(oracle, policies=(result,)), Screen(100, colour=True))

    assert "YES" not in page
    assert "would be ok" in page
    assert "\x1b[32m" not in page
    assert "\x1b[1;32m" not in page


@pytest.mark.parametrize(
    ("expected", "tables", "other", "capacity"),
    [
        ("··········   0 %", 0, 0, 100),
        ("▒▒▒▒▒·····   50 %", 0, 50, 100),
        ("▒▒▒▒█·····   50 %", 1, 49, 100),
        ("▒▒▒▒▒█████   100 %", 50, 50, 100),
        ("▒▒▒▒▒█████▶ 101 %", 51, 50, 100),
        ("▒▒▒▒▒▒▒▒▒█▶ 500 %", 1, 499, 100),
        ("██████████▶ 999 %", 999, 0, 100),
        ("█·········   1 %", 1, 0, 100),
    ],
)
def test_bar(make_policy: Maker, expected: str, tables: int, other: int, capacity: int) -> None:
    """The bar shows what there is, however little, and never more cells than it has."""
    result = make_policy("today", tables=tables, vmpte=4096)
    memory = replace(result.memory, capacity_bytes=capacity, demand_bytes=tables + other)

    assert terminal.bar(replace(result, memory=memory)).split() == expected.split()
