"""Reports of timelines: golden files, and what holds for all of them."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable
from fractions import Fraction

import pytest
from markdown_it import MarkdownIt

from ptcalc.report import timeline_csv, timeline_html, timeline_json, timeline_markdown, timeline_report
from ptcalc.report.json_report import render as render_json
from ptcalc.report.page import Screen
from ptcalc.report.timeline_telling import moment
from ptcalc.timeline.result import Timeline
from tests.report.timelines import CASES

Golden = Callable[[str, str], None]
Case = tuple[str, Timeline]


@pytest.fixture(params=CASES)
def told(request: pytest.FixtureRequest) -> Case:
    """Each timeline, by its name."""
    name: str = request.param
    return name, CASES[name]()


@pytest.mark.parametrize("width", [None, 120, 80, 50], ids=str)
def test_text(told: Case, golden: Golden, width: int | None) -> None:
    name, timeline = told
    golden(f"timeline/{name}.{width or 'pipe'}.txt", timeline_report.render(timeline, Screen(width)))


def test_colours(golden: Golden) -> None:
    """Colour goes to risk and titles, never to a policy that cannot be deployed."""
    golden("timeline/storm.80.ansi", timeline_report.render(CASES["storm"](), Screen(80, colour=True)))


@pytest.mark.parametrize("name", ["storm", "hostile"])
def test_other_formats(name: str, golden: Golden) -> None:
    timeline = CASES[name]()
    golden(f"timeline/{name}.json", render_json(timeline_json.to_dict(timeline)))
    golden(f"timeline/{name}.csv", timeline_csv.render(timeline))
    golden(f"timeline/{name}.md", timeline_markdown.render(timeline))


@pytest.mark.parametrize("width", [40, 41, 50, 60, 79, 80, 132])
def test_no_line_is_wider_than_the_screen(told: Case, width: int) -> None:
    for line in timeline_report.render(told[1], Screen(width)).splitlines():
        assert sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in line) <= width, line


@pytest.mark.parametrize("width", [None, 50])
def test_names_do_nothing_to_a_terminal(told: Case, width: int | None) -> None:
    text = timeline_report.render(told[1], Screen(width))
    assert {each for each in text if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")} == {"\n"}


def test_a_screen_without_block_characters(told: Case) -> None:
    full = timeline_report.render(told[1], Screen(100))
    plain = timeline_report.render(told[1], Screen(100, ascii_only=True))
    assert [len(line) for line in full.splitlines()] == [len(line) for line in plain.splitlines()]
    assert not set("▁▂▃▄▅▆▇█▶·±") & set(plain)


def test_what_no_kernel_has_is_told_of_as_what_would_be(told: Case) -> None:
    """Its risk is never named without saying so."""
    _, timeline = told
    names = [each.policy for each in timeline.policies if not each.availability.deployable]
    for text in (timeline_report.render(timeline, Screen()), timeline_markdown.render(timeline)):
        for line in text.splitlines():
            for name in names:
                if re.match(rf"{name}\b.*\b(runs out|becomes|leaves|stays|visits)\b", line):
                    raise AssertionError(line)


def test_json_reads_back(told: Case) -> None:
    """ASCII, one step for each event and the beginning, and names as they were."""
    _, timeline = told
    text = render_json(timeline_json.to_dict(timeline))
    report = json.loads(text)
    assert text.isascii()
    assert report["schema"] == "ptcalc.timeline/1"
    assert report["workload"]["name"] == timeline.name
    for policy in report["policies"]:
        assert [each["event"] for each in policy["steps"]] == list(range(len(report["events"]) + 1))
        for found in policy["steps"]:
            tables = found["page_tables"]
            assert tables["used_bytes"] == sum(tables[f"{kind}_bytes"] for kind in ("shared", "cached", "private"))


def test_csv_is_one_table(told: Case) -> None:
    """Every row has every column, and no text begins what a spreadsheet would compute."""
    _, timeline = told
    text = timeline_csv.render(timeline)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) == timeline_csv.COLUMNS
    assert all(None not in row and None not in row.values() for row in rows)
    steps = [row for row in rows if row["row"] == "step"]
    assert len(steps) == sum(len(policy.steps) for policy in timeline.policies)
    assert {row["row"] for row in rows} <= {"step", "processes", "walk"}
    for row in rows:
        for key in ("name", "group", "label", "segment", "victim"):
            assert not row[key].startswith(("=", "+", "-", "@", "\t", "\r"))
    classes = [row for row in rows if row["row"] == "processes"]
    assert len(classes) == sum(len(each.classes) for policy in timeline.policies for each in policy.steps)


def test_markdown_has_no_markup_of_others() -> None:
    """Names are text: no HTML, no link, no cell of their own."""
    html = MarkdownIt("commonmark").enable("table").render(timeline_markdown.render(CASES["hostile"]()))
    assert "<b>" not in html
    assert "<a " not in html
    for row in re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL):
        assert row.count("<td") in (0, 4, 5, 6, 10, 11)


def test_html_is_one_page(told: Case) -> None:
    """The answer is there without scripts, names are text, and the same timeline gives the same bytes."""
    _, timeline = told
    text = timeline_html.render(timeline)
    assert text == timeline_html.render(timeline)
    assert "<b>" not in text
    assert text.count('id="figure-demand"') == text.count('id="figure-tables"') == 1
    assert "\x1b" not in text
    assert "default-src 'none'" in text


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (Fraction(0), "0"),
        (Fraction(1, 3), "0.333333 s"),
        (Fraction(90), "90 s"),
        (Fraction(120), "2 min"),
        (Fraction(3661), "1 h 1 min 1 s"),
        (Fraction(86400 * 1000), "1,000 d"),
    ],
)
def test_moments(at: Fraction, shown: str) -> None:
    assert moment(at) == shown
