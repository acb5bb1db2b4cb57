"""The JSON Schemas are fresh, and accept and refuse what ptcalc does, as far as the form of a file goes."""

from __future__ import annotations

import json
import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

import ptcalc
from ptcalc.cli.main import main
from ptcalc.report.json_report import render_estimate
from ptcalc.schemas import NAMES, schema_text
from ptcalc.schemas.making import made
from ptcalc.workload.source import NO_VALUE, compose
from tests.checking.test_agreements import DOCUMENT
from tests.report.conftest import CASES
from tests.workload.test_cases import REFUSED, SMALL, changed

ROOT = Path(__file__).parents[1]
WORKLOADS = [*sorted((ROOT / "examples").glob("*.yaml")), *sorted((ROOT / "tests/workload/cases").glob("*.yaml"))]
GOOD = [path for path in WORKLOADS if "refused" not in path.name]
GOLDEN = ROOT / "tests/report/golden"


@cache
def validator(name: str) -> Draft202012Validator:
    schema = json.loads(schema_text(name))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def wrong(name: str, value: Any) -> list[str]:
    return [f"{error.json_path}: {error.message[:300]}" for error in validator(name).iter_errors(value)]


def plain(value: Any) -> Any:
    """As an editor has it: texts as keys, days as texts."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value


def as_editors_read(text: str) -> Any:
    return plain(yaml.safe_load(text))


def as_ptcalc_reads(text: str) -> Any:
    """Every value a text."""
    root = compose(text, "w.yaml").root
    assert root is not None
    return json.loads(json.dumps(root.to_plain(), default=lambda value: None if value is NO_VALUE else str(value)))


def test_schemas_are_fresh(request: pytest.FixtureRequest) -> None:
    """They are made of what ptcalc reads by, and of what its pages say."""
    fresh = made((ROOT / "docs/workload.md").read_text(encoding="utf-8"))
    if request.config.getoption("update_golden", False):
        for name, text in fresh.items():
            (ROOT / f"ptcalc/schemas/{name}.json").write_text(text, encoding="utf-8")
        validator.cache_clear()

    assert {name: schema_text(name) for name in NAMES} == fresh


@pytest.mark.parametrize("name", NAMES)
def test_the_command_prints_them(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", name]) == 0
    assert capsys.readouterr().out == schema_text(name)


@pytest.mark.parametrize("read", [as_editors_read, as_ptcalc_reads])
@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_workloads_are_accepted(path: Path, read: Any) -> None:
    """Every example and every good case, whether numbers are numbers or texts."""
    assert wrong("workload", read(path.read_text(encoding="utf-8"))) == []


def test_what_documents_show_is_accepted() -> None:
    for document in (ROOT / "docs").glob("**/*.md"):
        for text in re.findall(r"^```yaml\n(version: 1\n.*?)^```$", document.read_text(), re.DOTALL | re.MULTILINE):
            try:
                ptcalc.loads(text)
            except ptcalc.InputError:
                continue  # shown as a mistake
            assert wrong("workload", as_editors_read(text)) == [], text


# What several values must agree on is no form, and what is no YAML is none either: ptcalc says it, the schema cannot.
FORM = re.compile(
    "unknown key|is missing|no version|no value|none of the words|neither true nor false|is no unit|is not understood"
    "|stands here|does not go with|stand together|without a cluster|without pattern|does not say how much|an empty"
    "|is negative|with nothing in it|has decimals but no unit"
)


def of_form() -> list[Any]:
    found = []
    for case in REFUSED:
        try:
            value = as_ptcalc_reads(changed(case["old"], case["new"]))
        except ptcalc.InputError:
            continue
        if FORM.search(case["says"]):
            found.append(pytest.param(value, id=case["new"][:40]))
    return found


@pytest.mark.parametrize("value", of_form())
def test_bad_structure_is_refused(value: Any) -> None:
    """Unknown and missing keys, values of another type, words that are none, and forms that do not go together."""
    assert wrong("workload", value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("memory: 8 GiB", "memory: {uniform: [8 GiB]}"),
        ("memory: 8 GiB", "memory: {normal: [8 GiB, 1 GiB], mean: 3}"),
        ("count: 2", "count: {gaussian: [1, 2]}"),
        ("version: 1\n", "version: 1\nbudgets: [{rule: headroom, at_most: 5%}]\n"),
        ("version: 1\n", "version: 1\nbudgets: [{rule: growth, at_most: 5%}]\n"),
        ("version: 1\n", "version: 1\naccept: [{rule: nonsense, reason: r, owner: o, until: 2099-01-01}]\n"),
        ("version: 1\n", "version: 1\naccept: [{rule: risk, reason: r, owner: o, until: tomorrow}]\n"),
        ("version: 1\n", "version: 1\nevents: [{mork: {}}]\n"),
        ("version: 1\n", "version: 1\nx_notes: 1\n"),
    ],
)
def test_bad_sections_are_refused(old: str, new: str) -> None:
    assert wrong("workload", as_editors_read(SMALL.replace(old, new, 1)))


def test_every_number_may_be_a_distribution() -> None:
    text = SMALL.replace("memory: 8 GiB", "memory: {normal: [8 GiB, 1 GiB], min: 4 GiB}").replace(
        "count: 2", "count: {uniform: [1, 3]}"
    )

    assert wrong("workload", as_editors_read(text)) == []
    assert ptcalc.loads(text).positions.uncertain


def test_keys_are_described() -> None:
    """An editor shows what a key is for: every key of the tables of docs/workload.md."""
    properties = json.loads(schema_text("workload"))["properties"]
    host, groups = properties["host"]["properties"], properties["processes"]["additionalProperties"]["properties"]

    assert host["memory"]["description"] == "installed memory"
    assert groups["mappings"]["items"]["properties"]["address"]["description"].startswith(
        "in all processes of the group"
    )
    assert [key for part in (host, groups) for key, each in part.items() if not each.get("description")] == []


def test_documented_budgets_are_accepted() -> None:
    for text in re.findall(
        r"^```yaml\n((?:budgets|accept):\n.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE
    ):
        assert wrong("config", as_editors_read(text)) == []


def test_configs() -> None:
    assert wrong("config", as_editors_read((ROOT / "configs/default.yaml").read_text())) == []
    assert wrong("config", as_editors_read("geometries: {mine: {like: x86_64, kernel_stack: 32 KiB}}")) == []
    for text in (
        "levels: {fine: 3%}",
        "levels: {ok: 10}",
        "geometries: {a: {levels: {pte: {}}}}",
        "version: 2",
        "x: 1",
    ):
        assert wrong("config", as_editors_read(text)), text


RESULTS = [*GOLDEN.glob("*/estimate.json"), *GOLDEN.glob("*/explain.json"), *GOLDEN.glob("examples/*.json")]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_results_are_accepted(path: Path) -> None:
    assert wrong("result", json.loads(path.read_bytes())) == []


def test_damaged_results_are_refused() -> None:
    changes: list[dict[str, Any]] = [{"schema": "ptcalc.estimate/2"}, {"policies": []}, {"findings": None}]
    for change in (*changes, {"workload": {}}):
        saved = json.loads(render_estimate(CASES["oracle-sga"]())) | change

        assert wrong("result", saved), change
    saved = json.loads(render_estimate(CASES["oracle-sga"]()))
    saved["policies"][0]["page_tables"]["bytes"] = "12"
    assert wrong("result", saved)
