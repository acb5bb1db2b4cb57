"""Every renderer on every hand-made case, compared with its golden file, and what holds for all of them."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable

import pytest

from ptcalc.report import explain_report, formats, terminal
from ptcalc.report.json_report import explain_to_dict, render, to_dict
from ptcalc.report.page import Screen
from ptcalc.result import Estimate

Case = tuple[str, Estimate]
Golden = Callable[[str, str], None]

SCREENS = [None, 120, 80, 50]


@pytest.mark.parametrize("width", SCREENS, ids=str)
def test_first_screen(case: Case, golden: Golden, width: int | None) -> None:
    """The terminal report reads as it was reviewed, in a pipe and at three widths."""
    name, estimate = case

    golden(f"{name}/estimate.{width or 'pipe'}.txt", terminal.render(estimate, Screen(width)))


@pytest.mark.parametrize("width", [None, 60], ids=str)
def test_arithmetic(case: Case, golden: Golden, width: int | None) -> None:
    """The explanation reads as it was reviewed."""
    name, estimate = case

    golden(f"{name}/explain.{width or 'pipe'}.txt", explain_report.render(estimate, Screen(width)))


def test_json(case: Case, golden: Golden) -> None:
    """The JSON reports hold what was reviewed."""
    name, estimate = case

    golden(f"{name}/estimate.json", render(to_dict(estimate)))
    golden(f"{name}/explain.json", render(explain_to_dict(estimate)))


@pytest.mark.parametrize("form", ["markdown", "csv"])
def test_further_formats(case: Case, golden: Golden, form: str) -> None:
    """Each reads as it was reviewed."""
    name, estimate = case

    golden(f"{name}/estimate.{form}", formats.render(estimate, form))


def test_colours(oracle: Estimate, golden: Golden) -> None:
    """Colour goes to risk and titles, never to a policy that cannot be deployed."""
    golden("oracle-sga/estimate.80.ansi", terminal.render(oracle, Screen(80, colour=True)))


@pytest.mark.parametrize("renderer", [terminal.render, explain_report.render])
@pytest.mark.parametrize("width", [40, 41, 50, 60, 79, 80, 100, 132])
def test_no_line_is_wider_than_the_screen(case: Case, renderer: Callable[[Estimate, Screen], str], width: int) -> None:
    """Nothing is left to the terminal to wrap, wide characters included."""
    for line in renderer(case[1], Screen(width)).splitlines():
        cells = sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in line)

        assert cells <= width, line


@pytest.mark.parametrize("renderer", [terminal.render, explain_report.render])
@pytest.mark.parametrize("width", [40, 50, 80])
def test_no_number_is_cut(case: Case, renderer: Callable[[Estimate, Screen], str], width: int) -> None:
    """Every figure on a narrow screen is one of the wide report, whole."""
    figure = re.compile(r"(?<![\w\\])~?-?\d[\d,]*(?:\.\d+)?(?![\w\\])")
    wide = set(figure.findall(renderer(case[1], Screen())))

    assert set(figure.findall(renderer(case[1], Screen(width)))) <= wide


@pytest.mark.parametrize("renderer", [terminal.render, explain_report.render])
@pytest.mark.parametrize("width", SCREENS, ids=str)
def test_names_do_nothing_to_a_terminal(
    case: Case, renderer: Callable[[Estimate, Screen], str], width: int | None
) -> None:
    """No control or format character, surrogate or line separator comes out, whatever went in."""
    text = renderer(case[1], Screen(width))

    assert {each for each in text if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")} == {"\n"}


def test_markup_in_a_name_is_text(case: Case) -> None:
    """With colour, the only escape sequences are those of colour, and without them the page is the same."""
    text = terminal.render(case[1], Screen(100, colour=True))
    sequences = re.findall(r"\x1b[^m]*m", text)

    assert text.count("\x1b") == len(sequences)
    assert all(re.fullmatch(r"\x1b\[[\d;]+m", sequence) for sequence in sequences)
    assert re.sub(r"\x1b\[[\d;]+m", "", text) == terminal.render(case[1], Screen(100))


def test_screen_without_block_characters(case: Case) -> None:
    """An ASCII terminal gets the same page, line for line and column for column."""
    full = terminal.render(case[1], Screen(100))
    plain = terminal.render(case[1], Screen(100, ascii_only=True))

    assert [len(line) for line in full.splitlines()] == [len(line) for line in plain.splitlines()]
    assert not set("█▒·▶±") & set(plain)


def test_json_is_ascii_and_reads_back(case: Case) -> None:
    """Names come back as they were, and nothing in the text is more than ASCII."""
    text = render(to_dict(case[1]))

    assert text.isascii()
    assert json.loads(text)["workload"]["name"] == case[1].name
