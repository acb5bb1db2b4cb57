"""The examples, checked, in every format of `ptcalc check`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ptcalc.checking.judging import check
from ptcalc.checking.result import CheckResult
from ptcalc.report.formats import CHECK, render

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def examples() -> CheckResult:
    """All examples in one check, as on a day on which nothing has expired."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return replace(check(["examples"], today=date(2026, 11, 1)), version="0.1.0")


@pytest.mark.parametrize("form", CHECK)
def test_golden(form: str, examples: CheckResult, golden: Callable[[str, str], None]) -> None:
    """Each format reads as it was reviewed."""
    golden(f"check-examples/{form}", render(examples, form))
