"""Budgets made from today's figures: kept today, missed when something gets worse by more than the margin."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ptcalc
from ptcalc.checking.drawn import drawn
from ptcalc.checking.margins import above, below, proposed
from ptcalc.report.budget_report import render
from ptcalc.workload.sizes import parse_size
from tests.checking.conftest import WORKLOAD, Judge

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


def made(text: str, margin: Fraction) -> str:
    workload = ptcalc.loads(text)
    estimate, _ = drawn(workload, ptcalc.estimate(workload, policies=["today"]), None)
    return render(estimate, proposed(estimate, margin), margin)


def missed(result: ptcalc.CheckResult) -> list[str]:
    return [problem.rule for problem in result.problems if problem.rule.startswith("budget-")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("margin", [Fraction(0), Fraction(1, 4), Fraction(1)])
def test_todays_figures_keep_to_them(judge: Judge, path: Path, margin: Fraction) -> None:
    """Of every example, with any margin; what is out of memory gets none for its risk and headroom."""
    text = path.read_text(encoding="utf-8")
    if "\nbudgets:" in text:
        text = text[: text.index("\nbudgets:") + 1]
    fragment = made(text, margin)
    result = judge("", {"a.yaml": f"{text}\n{fragment}"}, paths=["a.yaml"])

    assert missed(result) == []
    assert ("rule: risk" in fragment) == (result.files[0].risk != "oom")
    assert "rule: page_tables," in fragment


def test_growth_beyond_the_margin_misses_them(judge: Judge) -> None:
    fragment = made(WORKLOAD, Fraction(10, 100))
    little, much = (WORKLOAD.replace("count: 200", f"count: {count}") + fragment for count in (215, 300))

    assert missed(judge("", {"a.yaml": little}, paths=["a.yaml"])) == []
    assert {"budget-page-tables", "budget-headroom"} <= set(missed(judge("", {"a.yaml": much}, paths=["a.yaml"])))


@given(st.integers(0, 1 << 55), st.fractions(0, 1))
def test_sizes_are_rounded_away_from_the_figure(size: int, margin: Fraction) -> None:
    """By less than a tenth, so that a budget is neither missed today nor much looser than asked for."""
    most, least = size * (1 + margin), size * (1 - margin)

    assert most <= parse_size(above(most)) <= most + most / 10 + 1
    assert least - least / 10 - 1 <= parse_size(below(least)) <= least
