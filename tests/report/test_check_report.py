"""``ptcalc check`` as text and as JSON: the golden files, and what holds on every screen."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable

import pytest

from ptcalc.checking.result import CheckResult
from ptcalc.report.check_report import render_json, render_text
from ptcalc.report.page import Screen
from tests.report.checks import CASES

Golden = Callable[[str, str], None]


@pytest.mark.parametrize("name", [name for name in CASES if name != "crowded"])  # 800 KB
def test_golden(name: str, golden: Golden) -> None:
    """Both read as they were reviewed."""
    result = CASES[name]()

    golden(f"check/{name}.txt", render_text(result))
    golden(f"check/{name}.80.txt", render_text(result, Screen(80)))
    golden(f"check/{name}.json", render_json(result))


@pytest.mark.parametrize("make", CASES.values(), ids=list(CASES))
def test_names_do_nothing(make: Callable[[], CheckResult]) -> None:
    """No control or format character comes out; JSON has every name as it was."""
    result = make()
    text, report = render_text(result), render_json(result)

    assert {each for each in text if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")} <= {"\n"}
    assert report.isascii()
    assert [file["name"] for file in json.loads(report)["files"]] == [file.name for file in result.files]


@pytest.mark.parametrize("make", CASES.values(), ids=list(CASES))
@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_line_is_wider_than_the_screen(make: Callable[[], CheckResult], width: int) -> None:
    for line in render_text(make(), Screen(width)).splitlines():
        assert sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in line) <= width
