"""The formats of an estimate: over the examples, over hostile names, and held against readers of other people."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import ptcalc
from ptcalc.report import csv_report, formats, markdown
from ptcalc.report.markup import ROOM
from ptcalc.result import Estimate
from tests.report.conftest import CASES, MARKUP, long_names

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
LARGE = 500_000  # characters: nobody reads their differences
TEXTS = [form for form in formats.ESTIMATE if form != "html"]
HOSTILE = [CASES["hostile-names"](), CASES["hostile-markup"](), long_names()]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path, golden: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example reads as it was reviewed, in every format."""
    monkeypatch.chdir(ROOT)
    estimate = ptcalc.estimate(ptcalc.load(path.relative_to(ROOT)))

    for form in TEXTS:
        text = formats.render(estimate, form)
        if len(text) < LARGE:
            golden(f"examples/{path.stem}.{form}", text)
    if path.stem == "oracle-sga-1500":
        golden("../../../examples/saved/oracle-sga-1500.json", formats.render(estimate, "json"))


@pytest.mark.parametrize("form", TEXTS)
def test_long_names(form: str, golden: Callable[[str, str], None]) -> None:
    """10,000 characters are no reason to break a format."""
    golden(f"long-names/estimate.{form}", formats.render(long_names(), form))


def test_a_format_that_there_is_not() -> None:
    with pytest.raises(ptcalc.InputError, match="'markdwon' is no format of this result") as refused:
        ptcalc.render(CASES["oracle-sga"](), "markdwon")

    assert refused.value.suggestion == "markdown"


@pytest.mark.parametrize("estimate", [*HOSTILE, CASES["oracle-sga"]()])
def test_csv_is_read_back(estimate: Estimate) -> None:
    """A reader finds a row for each policy, with the figures of the JSON report, and no cell is a formula."""
    text = csv_report.render(estimate)
    rows = list(csv.DictReader(io.StringIO(text), strict=True))

    assert text.count("\n") == 1 + len(estimate.policies)
    for row, result in zip(rows, estimate.policies, strict=True):
        assert int(row["page_tables_used_bytes"]) == result.page_tables.used_bytes
        assert int(row["headroom_bytes"]) == result.memory.headroom_bytes
        for cell in row.values():
            assert not cell.startswith(("=", "+", "@")) and (not cell.startswith("-") or cell[1:].isdigit()), cell


def test_the_columns_of_csv_are_those_that_were_promised() -> None:
    """Spreadsheets refer to them by their place: more may follow, none may move."""
    first = csv_report.render(CASES["oracle-sga"]()).partition("\n")[0].split(",")

    assert " ".join(first) == (
        "workload file arch kernel processes installed_bytes segments_bytes policy state as_of needs risk"
        " safe_processes safe_limited_by max_processes limited_by page_tables_bytes page_tables_used_bytes exact"
        " page_tables_sd_bytes pte_tables pmd_tables pud_tables largest_vmpte_group largest_vmpte_bytes boundary"
        " capacity_bytes demand_bytes headroom_bytes swap_used_bytes one_more_process_bytes"
    )


@pytest.mark.parametrize("estimate", HOSTILE, ids=["controls", "markup", "long"])
def test_names_are_text_in_markdown(estimate: Estimate) -> None:
    """A reader of Markdown with HTML and links finds headings, lists, tables and text, and nothing that a name made."""
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(markdown.render(estimate))
    inline = [child.type for token in tokens for child in token.children or ()]

    assert {token.type for token in tokens} & {"html_block", "fence", "code_block", "blockquote_open", "hr"} == set()
    assert set(inline) <= {"text", "strong_open", "strong_close", "text_special", "softbreak"}


def test_hostile_names_are_shown(oracle: Estimate) -> None:
    """What was escaped reads as it was written."""
    shown = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(markdown.render(CASES["hostile-markup"]()))

    assert "&lt;script&gt;alert(1)&lt;/script&gt; ]]&gt; ::error" in shown
    assert "<script" not in shown
    assert MARKUP not in markdown.render(CASES["hostile-markup"]())


def test_a_comment_has_room_for_it() -> None:
    """GitHub refuses longer ones."""
    assert len(markdown.render(long_names())) <= ROOM + 1000
