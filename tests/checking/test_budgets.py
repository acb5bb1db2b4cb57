"""Budgets: each kind kept to the byte and missed by one, and whose word holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ptcalc
from ptcalc import CheckResult, Problem
from tests.checking.conftest import MEMORY, PER_PROCESS, TABLES, WORKLOAD, Judge


def budget_problems(result: CheckResult) -> list[Problem]:
    return [problem for problem in result.problems if problem.rule.startswith("budget-")]


def figures() -> ptcalc.PolicyResult:
    return ptcalc.estimate(ptcalc.loads(WORKLOAD), policies=["today"]).policy("today")


FREE, MOST = figures().memory.headroom_bytes, figures().risk.max_processes
CAPACITY = figures().memory.capacity_bytes


def test_the_figures_are_those_of_the_model() -> None:
    assert figures().page_tables.used_bytes == TABLES
    assert figures().processes[0].vmpte_bytes == PER_PROCESS


@pytest.mark.parametrize(
    ("kept", "missed", "line"),
    [
        (f"page_tables, at_most: {TABLES}", f"page_tables, at_most: {TABLES - 1}", 8),
        ("page_tables, at_most: 15%", "page_tables, at_most: 14%", 8),
        (
            f"page_tables_per_process, at_most: {PER_PROCESS}",
            f"page_tables_per_process, at_most: {PER_PROCESS - 1}",
            11,
        ),
        (f"headroom, at_least: {FREE}", f"headroom, at_least: {FREE + 1}", 5),
        ("headroom, at_least: 33%", "headroom, at_least: 35%", 5),
        (f"max_processes, at_least: {MOST}", f"max_processes, at_least: {MOST + 1}", 5),
    ],
)
@pytest.mark.parametrize("level", ["error", "warn"])
def test_bounds_are_exact(judge: Judge, kept: str, missed: str, line: int, level: str) -> None:
    """What equals the bound keeps to it; one byte or process beyond misses it, and fails if it is an error."""
    assert 0.14 < TABLES / MEMORY < 0.15
    assert 0.33 < FREE / CAPACITY < 0.35

    assert budget_problems(judge(f"budgets: [{{rule: {kept}, level: {level}}}]\n")) == []
    result = judge(f"budgets: [{{rule: {missed}, level: {level}}}]\n")
    (problem,) = budget_problems(result)

    assert problem.rule == "budget-" + missed.partition(",")[0].replace("_", "-")
    assert problem.line == line
    assert problem.level == {"error": "error", "warn": "warning"}[level]
    assert problem.fails == (level == "error")
    assert result.passed == (level == "warn")
    assert {rule.id for rule in result.rules} == {each.rule for each in result.problems}


@pytest.mark.parametrize(("memory", "misses"), [("64 GiB", "ok"), ("46 GiB", "warning"), ("42 GiB", "oom")])
@pytest.mark.parametrize("bound", ["ok", "warning", "critical", "oom"])
def test_risk(judge: Judge, memory: str, misses: str, bound: str) -> None:
    """The budget is the worst level that will do."""
    text = WORKLOAD.replace("64 GiB", memory)
    result = judge(files={"a.yaml": f"{text}budgets: [{{rule: risk, at_most: {bound}}}]\n"}, paths=["a.yaml"])
    order = ["ok", "warning", "critical", "oom"]

    assert result.files[0].risk == misses
    assert bool(budget_problems(result)) == (order.index(misses) > order.index(bound))


def test_a_workload_that_maps_nothing(judge: Judge) -> None:
    """And is out of memory all the same: there is a figure, and a place, for each budget."""
    text = (
        "version: 1\nhost: {memory: 1 GiB}\nprocesses: {a: {count: 1000, private: 2 MiB}}\n"
        "budgets: [{rule: page_tables, at_most: 0}, {rule: page_tables_per_process, at_most: 0},\n"
        "          {rule: max_processes, at_least: 10000}, {rule: headroom, at_least: 1 GiB}]\n"
    )
    problems = budget_problems(judge("", {"a.yaml": text}, paths=["a.yaml"]))

    assert [(each.rule, each.line) for each in problems] == [("budget-max-processes", 3), ("budget-headroom", 3)]
    assert problems[1].message.startswith("1.18 GiB are missing, agreed are at least 1.00 GiB free")


@pytest.mark.parametrize(
    ("of", "room", "key"),
    [("", "page_tables", "used_bytes"), (", of: demand", "memory", "demand_bytes")],
)
def test_growth(judge: Judge, of: str, room: str, key: str) -> None:
    """Growth by the bound is allowed, one byte more is not; the base line is beside the file that names it."""
    saved = ptcalc.to_dict(ptcalc.estimate(ptcalc.loads(WORKLOAD)))
    text = f"budgets: [{{rule: growth, at_most: 25%, baseline: base.json{of}}}]\n"
    now = saved["policies"][0][room][key]

    for before, fails in ((now, False), (-(-now * 4 // 5), False), (now * 4 // 5 - 1, True), (0, True)):
        saved["policies"][0][room][key] = before
        (problems,) = [budget_problems(judge(text, {"base.json": json.dumps(saved)}))]
        assert bool(problems) == fails, before


def without_today() -> str:
    return json.dumps(ptcalc.to_dict(ptcalc.estimate(ptcalc.loads(WORKLOAD), policies=["thp"])))


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        (None, "No such file"),
        ("{", "base.json:1:2: this is no JSON"),
        ("[" * 100_000, "is nested too deeply"),
        ("[]", "is no JSON object"),
        ("{}", "says no schema"),
        ('{"schema": "ptcalc.estimate/2"}', "is of schema 'ptcalc.estimate/2'"),
        ('{"schema": "ptcalc.sweep/1"}', "is of schema 'ptcalc.sweep/1'"),
        ('{"schema": "ptcalc.estimate/1"}', "workload.name: is missing"),
        (without_today(), "has no policy today"),
    ],
)
def test_base_lines_that_are_none(judge: Judge, saved: str | None, said: str) -> None:
    """They make the file one that cannot be judged, and the message points at the budget."""
    files = {} if saved is None else {"base.json": saved}
    result = judge("budgets:\n  - {rule: growth, at_most: 5%, baseline: base.json}\n", files)
    (problem,) = result.problems

    assert problem.rule == "invalid-workload"
    assert (problem.line, problem.column) == (13, 29)
    assert "base.json" in problem.message
    assert said in problem.message


def test_message_and_link_are_the_teams(judge: Judge) -> None:
    (problem,) = budget_problems(
        judge("budgets: [{rule: page_tables, at_most: 1 GiB, message: Ask the DBAs, link: 'https://x.example/#1'}]\n")
    )

    assert problem.message.startswith("Ask the DBAs: page tables take 9.40 GiB (14.7 % of the memory)")
    assert problem.message.endswith("(budget at w.yaml:12:40)")
    assert problem.link == "https://x.example/#1"


def test_a_budget_of_a_policy_is_judged_under_it(judge: Judge) -> None:
    """Whatever --policy says; one without a policy holds for each judged one."""
    text = "budgets: [{rule: page_tables, at_most: 1 MiB, policy: hugetlb-2M}, {rule: page_tables, at_most: 2 MiB}]\n"
    problems = budget_problems(judge(text, policies=["today", "private"]))

    assert sorted(problem.policy for problem in problems) == ["hugetlb-2M", "private", "today"]


def test_a_workload_has_the_last_word(judge: Judge) -> None:
    """Its budget stands in the place of the config's of the same rule and policy; the others hold."""
    config = {"c.yaml": "budgets: [{rule: page_tables, at_most: 1 GiB}, {rule: max_processes, at_least: 1000000}]\n"}
    own = "budgets: [{rule: page_tables, at_most: 2 GiB}]\n"

    common = budget_problems(judge("", config, config="c.yaml"))
    assert [problem.rule for problem in common] == ["budget-page-tables", "budget-max-processes"]
    assert "c.yaml:1:40" in common[0].message
    both = budget_problems(judge(own, config, config="c.yaml"))
    assert [problem.rule for problem in both] == ["budget-page-tables", "budget-max-processes"]
    assert "w.yaml:12:40" in both[0].message
    assert {problem.file for problem in both} == {"w.yaml"}


def test_base_lines_of_a_config_are_found_by_the_name_of_the_workload(judge: Judge) -> None:
    saved = ptcalc.to_dict(ptcalc.estimate(ptcalc.loads(WORKLOAD), policies=["today"]))
    config = "budgets: [{rule: growth, at_most: 0%, baseline: 'saved/{stem}.json'}]\n"
    files = {"ci/c.yaml": config, "ci/saved/w.json": json.dumps(saved)}

    assert judge("", files, config="ci/c.yaml").passed
    Path("ci/saved/w.json").unlink()
    (problem,) = judge("", config="ci/c.yaml").problems
    assert (problem.file, problem.line, problem.rule) == ("ci/c.yaml", 1, "invalid-workload")
