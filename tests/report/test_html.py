"""The HTML report as text: one file, nothing from outside, nothing of a file's names taken for markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest

import ptcalc
from ptcalc.report import html_report
from ptcalc.report.web import page
from ptcalc.result import Estimate
from tests.report.conftest import CASES, long_names

EXAMPLES = Path(__file__).parents[2] / "examples"
LIBRARY = len(page.asset(page.ECHARTS).encode())
VOID = {"meta", "input", "br"}


class Reader(HTMLParser):
    """Elements and attributes; every element is closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def bare(text: str) -> str:
    """A report without the scripts and styles that are the same in all of them."""
    text = re.sub(r"<script>.*?</script>", "<script></script>", text, flags=re.DOTALL)
    text = re.sub(r"<style>.*?</style>", "<style></style>", text, flags=re.DOTALL)
    return re.sub(r"'sha256-[^']*'", "'sha256-...'", text)


def handmade(estimate: Estimate) -> Estimate:
    """A result made by hand has no text that its figures could come from."""
    return replace(estimate, source="")


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str, golden: Callable[[str, str], None]) -> None:
    """The report reads as it was reviewed; names that try to be markup are among them."""
    golden(f"{name}/estimate.html", bare(html_report.render(handmade(CASES[name]()))))


@pytest.mark.parametrize("estimate", [*(make() for make in CASES.values()), long_names()])
def test_is_one_closed_document(estimate: Estimate) -> None:
    """Elements are closed, ids are one each, nothing refers to another place, and no attribute is a handler."""
    read = Reader(html_report.render(handmade(estimate)))
    assert read.open == []
    names = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(names) == len(set(names))
    assert not {tag for tag, _ in read.tags} & {"link", "img", "iframe", "object", "embed", "form", "base", "a"}
    for _, attributes in read.tags:
        assert not [key for key in attributes if key.startswith("on") or key in ("src", "href", "srcset", "style")]


def test_the_policy_names_every_script_and_no_other(oracle: Estimate) -> None:
    """default-src 'none'; scripts and style by the hashes of what is there."""
    text = html_report.render(ptcalc.estimate(ptcalc.load(EXAMPLES / "oracle-sga-1500.yaml")))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy[1].split("; "))

    def hashes(tag: str) -> str:
        found = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        return " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}'" for each in found
        )

    assert rules == {
        "default-src": "'none'", "script-src": hashes("script"), "style-src": hashes("style"),
        "style-src-attr": "'unsafe-inline'", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    assert text.index("Content-Security-Policy") < text.index("<style>")


@pytest.mark.parametrize("name", ["oracle-sga-1500", "amm-dev-shm"])
def test_size_and_sameness(name: str) -> None:
    """Small beside its library; the same bytes again, also from the saved result."""
    estimate = ptcalc.estimate(ptcalc.load(EXAMPLES / f"{name}.yaml"))
    text = html_report.render(estimate)
    saved = ptcalc.loads_result(json.dumps(ptcalc.to_dict(estimate)))

    assert len(text.encode()) - LIBRARY < 1 << 20
    assert len(text.encode()) < 5 << 20
    assert html_report.render(saved) == text


def test_data_cannot_end_its_element() -> None:
    """What is embedded as JSON has no character that means something to HTML."""
    made = page.document("t", [], data={"live": {"name": "</script><!-- & \u2028"}}, scripts=["1"])
    data = re.search(r'<script type="application/json" id="data-live">(.*?)</script>', made, re.DOTALL)
    assert data is not None
    assert not set(data[1]) & set("<>&\u2028")
    assert json.loads(data[1]) == {"name": "</script><!-- & \\u2028"}  # not printable: shown as an escape


def test_findings_show_their_lines() -> None:
    """The line of the file that a finding points at is there, marked, with those around it."""
    estimate = ptcalc.estimate(ptcalc.load(EXAMPLES / "oracle-sga-1500.yaml"))
    text = html_report.render(estimate)
    finding = next(each for each in estimate.findings if each.line)
    line = estimate.source.splitlines()[finding.line - 1]
    assert f'<span class="here">{page.text(line)}</span>' in text


def test_the_library_is_as_recorded() -> None:
    """The files of Apache ECharts have the checksums that were written down with their version, licence included."""
    folder = resources.files("ptcalc.report.web") / "echarts"
    source = json.loads((folder / "SOURCE.json").read_text())
    for each in source["files"].values():
        assert hashlib.sha256((folder / each["file"]).read_bytes()).hexdigest() == each["sha256"]
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert source["version"] in page.asset(page.ECHARTS)
