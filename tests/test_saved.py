"""Saved results come back as they were, and what is damaged is refused with its place."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ptcalc
from ptcalc import InputError
from ptcalc.report import formats
from ptcalc.report.json_report import render_estimate, render_explanation, to_dict
from ptcalc.result import Estimate
from tests.report.conftest import CASES, long_names

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
MANY = int(os.environ.get("PTCALC_EXAMPLES", "40"))
TEXTS = [form for form in formats.ESTIMATE if form != "html"]
MADE = [*(make() for make in CASES.values()), long_names()]


@pytest.mark.parametrize("estimate", MADE, ids=lambda estimate: estimate.name[:20])
@pytest.mark.parametrize("render", [render_estimate, render_explanation])
def test_results_come_back(estimate: Estimate, render: Any) -> None:
    """Nothing is lost, whatever the names."""
    assert ptcalc.loads_result(render(estimate)) == estimate


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_come_back(path: Path) -> None:
    """So that every format of a saved result is that of the direct report."""
    estimate = ptcalc.estimate(ptcalc.load(path))

    assert ptcalc.loads_result(render_estimate(estimate).encode()) == estimate


def test_earlier_results_are_read() -> None:
    """What the contract names is enough; the rest is taken as not there."""
    saved = to_dict(CASES["random-touch"]())
    saved["workload"] = {key: saved["workload"][key] for key in ("name", "processes")}
    for policy in saved["policies"]:
        for key in ("title", "one_more", "mappings", "choices", "bounds"):
            del policy[key]
        for key in ("capacity_terms", "swap_used_bytes"):
            del policy["memory"][key]
        for item in policy["memory"]["items"]:
            for key in ("kind", "terms", "source", "swappable_bytes"):
                del item[key]
        policy["new"] = {"of": "a later version"}
    del saved["question"]

    estimate = ptcalc.loads_result(json.dumps(saved))

    assert estimate.policy("today").page_tables == CASES["random-touch"]().policy("today").page_tables
    assert all(formats.render(estimate, form) for form in TEXTS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_shells_write(encoding: str, tmp_path: Path) -> None:
    """PowerShell's redirection writes UTF-16, editors leave byte order marks."""
    path = tmp_path / "saved.json"
    path.write_text(render_estimate(CASES["oracle-sga"]()), encoding=encoding)

    assert ptcalc.load_result(path) == CASES["oracle-sga"]()


def broken(*changes: tuple[str, Any]) -> str:
    saved: Any = json.loads(render_estimate(CASES["oracle-sga"]()))
    for where, value in changes:
        *path, last = (int(step) if step.isdigit() else step for step in where.split("."))
        place: Any = saved
        for step in path:
            place = place[step]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return json.dumps(saved)


@pytest.mark.parametrize(
    ("text", "said", "accepted"),
    [
        ("", "f:1:1: this is no JSON: expecting value", "schema ptcalc.estimate/1"),
        ('{\n  "schema": x', "f:2:13: this is no JSON", ""),
        (broken()[:-400], "f:1:", ""),
        ("[" * 1_000_000, "f: this is nested too deeply", ""),
        ('{"a":' * 1_000_000, "f: this is nested too deeply", ""),
        ("[]", "f: this is no JSON object", ""),
        ("{}", "f: this says no schema", ""),
        ('{"schema": 7}', "f: this says no schema", ""),
        (broken(("schema", "ptcalc.estimate/2")), "f: this is of schema 'ptcalc.estimate/2'", ""),
        ('{"x": ' + "9" * 5000 + "}", "f: a number has too many digits", ""),
        (broken(("policies", [])), "policies: an empty list", "at least one"),
        (broken(("policies", {})), "policies: an object stands here", "a list"),
        (broken(("workload", ...)), "workload.name: is missing", ""),
        (broken(("workload.processes", "many")), "workload.processes: 'many' stands here", "a whole number"),
        (broken(("workload.name", None)), "workload.name: null stands here", "a text"),
        (broken(("policies.0.page_tables.bytes", float("nan"))), "page_tables.bytes: NaN", "a whole number"),
        (broken(("policies.0.page_tables.bytes", 1.0)), "page_tables.bytes: 1.0", "a whole number"),
        (broken(("policies.0.page_tables.bytes", True)), "page_tables.bytes: true", "a whole number"),
        (broken(("policies.0.page_tables.bytes", 10**40)), "page_tables.bytes: a number of many digits", "at most"),
        (broken(("policies.2.memory.demand_bytes", -1)), "policies[2].memory.demand_bytes: -1", "at least 0"),
        (broken(("policies.1.risk.level", "fine")), "policies[1].risk.level: 'fine'", "ok, warning, critical, oom"),
        (broken(("policies.1.applies", 5)), "policies[1].applies: 5 stands here", "as_written, or a list of texts"),
        (broken(("policies.0.mappings.0.levels.0.span_bytes", 0)), "levels[0].span_bytes: 0", "at least 1"),
        (broken(("findings.0.location", [])), "findings[0].location.line: is missing", ""),
        (broken(("findings.0.severity", "\x1b[31m")), r"findings[0].severity: '\\x1b[31m'", "info, warning, error"),
        (broken(("question.config", [])), "question.config: a list stands here", "an object"),
        (broken(("question.choices.a", 1)), "question.choices.a: 1 stands here", "a text"),
    ],
)  # fmt: skip
def test_damage_is_refused_with_its_place(text: str, said: str, accepted: str) -> None:
    """No traceback, and what would be accepted."""
    with pytest.raises(InputError) as refused:
        ptcalc.loads_result(text, name="f")

    shown = refused.value.render()
    assert said.replace("\\\\", "\\") in shown
    assert accepted in shown


@pytest.mark.parametrize("depth", [60, 900])
def test_a_config_is_not_nested_without_end(depth: int) -> None:
    config: Any = {}
    for _ in range(depth):
        config = {"a": config}

    with pytest.raises(InputError, match="nested deeper than 50 levels"):
        ptcalc.loads_result(broken(("question.config", config)))


def test_files_that_are_none(tmp_path: Path) -> None:
    for path, what in ((tmp_path, "Is a directory"), (tmp_path / "none", "No such file"), ("a\0b", "null")):
        with pytest.raises(InputError, match=what):
            ptcalc.load_result(path)


def test_huge_files_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate((64 << 20) + 1)

    with pytest.raises(InputError, match="more than 64 MiB"):
        ptcalc.load_result(path)


SAVED: Any = json.loads(render_estimate(CASES["random-touch"]()))
JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, -1, 0, 1.5, 10**19, 2**79, 10**40, float("nan"), float("inf"), "", "oom", "\ud800\x1b", [], [[]], {}]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in places(each, (*path, key)))] if path else [
        found for key, each in inner for found in places(each, (key,))
    ]  # fmt: skip


PLACES = places(SAVED)


@settings(max_examples=MANY)
@given(st.lists(st.tuples(st.sampled_from(PLACES), JUNK), min_size=1, max_size=2))
def test_any_damage_is_refused_or_harmless(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    """What can be read can be shown in every format."""
    saved = copy.deepcopy(SAVED)
    for path, junk in changes:
        place = saved
        try:
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = junk
        except (TypeError, KeyError, IndexError):
            continue  # the first change has taken it away
    try:
        estimate = ptcalc.loads_result(json.dumps(saved))
    except InputError:
        return
    for form in (*TEXTS, "explain"):
        text = (
            formats.rendered(formats.EXPLAIN, "text", estimate) if form == "explain" else formats.render(estimate, form)
        )
        assert len(text) < 10**6
