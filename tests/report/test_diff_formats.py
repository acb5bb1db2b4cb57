"""The formats of a comparison, on results made by hand and on pairs of examples."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from ptcalc.diffing import diff
from ptcalc.report.diff_report import render_text
from ptcalc.report.formats import DIFF, render
from ptcalc.report.markup import ROOM
from ptcalc.report.page import Screen
from tests.report.diffs import DIFFS

ROOT = Path(__file__).parents[2]
PAIRS = [
    ("oracle-sga-1500", "oracle-sga-1500-24pct-contiguous"),
    ("oracle-sga-1500", "oracle-sga-1500-24pct-scattered"),
    ("mixed-sga-reporting", "short-pool"),
    ("container-cgroup", "app-with-budgets"),
    ("postgres-600", "kvm-vhost-user"),
]
Golden = Callable[[str, str], None]


@pytest.mark.parametrize("form", DIFF)
@pytest.mark.parametrize("name", DIFFS)
def test_golden(name: str, form: str, golden: Golden) -> None:
    golden(f"diff/{name}.{form}", render(DIFFS[name](), form))


@pytest.mark.parametrize("width", [80, 50])
def test_screens(width: int, golden: Golden) -> None:
    golden(f"diff/grown.{width}.text", render_text(DIFFS["grown"](), Screen(width)))


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_examples(pair: tuple[str, str], golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = diff(*(f"examples/{name}.yaml" for name in pair), policies=("today", "thp", "file-shared"))

    for form in DIFF:
        golden(f"diff-examples/{'-'.join(pair)}.{form}", render(found, form))


@pytest.mark.parametrize("name", DIFFS)
@pytest.mark.parametrize("width", [None, 120, 60])
def test_names_do_nothing_to_a_terminal(name: str, width: int | None) -> None:
    text = render_text(DIFFS[name](), Screen(width))

    assert {each for each in text if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")} == {"\n"}


@pytest.mark.parametrize("name", DIFFS)
def test_names_are_text_in_markdown(name: str) -> None:
    text = render(DIFFS[name](), "markdown")
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(text)
    inline = {child.type for token in tokens for child in token.children or ()}

    assert not {token.type for token in tokens} & {"html_block", "fence", "code_block", "blockquote_open", "hr"}
    assert inline <= {"text", "strong_open", "strong_close", "text_special", "softbreak", "hardbreak"}
    assert len(text) <= ROOM + 1000


@pytest.mark.parametrize("name", DIFFS)
def test_json_is_ascii_and_says_its_schema(name: str) -> None:
    text = render(DIFFS[name](), "json")

    assert text.isascii()
    assert json.loads(text)["schema"] == "ptcalc.diff/1"
