"""Levels: shares of capacity, compared exactly, and what swap changes."""

from __future__ import annotations

from fractions import Fraction

import pytest

from ptcalc.result import RISK_ORDER, RiskLevel
from ptcalc.risk.config import Config
from ptcalc.risk.levels import level

HUGE = 128 << 50


@pytest.mark.parametrize(
    ("capacity", "demand", "swap", "expected"),
    [
        (1000, 900, 0, "ok"),
        (1000, 901, 0, "warning"),
        (1000, 950, 0, "warning"),
        (1000, 951, 0, "critical"),
        (1000, 1000, 0, "critical"),
        (1000, 1001, 0, "oom"),
        (1000, 1001, 1, "critical"),
        (1000, 1002, 1, "oom"),
        (0, 0, 0, "ok"),
        (0, 1, 0, "oom"),
        # Beyond what a float could tell apart.
        (10 * HUGE, 9 * HUGE, 0, "ok"),
        (10 * HUGE, 9 * HUGE + 1, 0, "warning"),
    ],
)
def test_levels(capacity: int, demand: int, swap: int, expected: RiskLevel) -> None:
    assert RISK_ORDER[level(capacity, demand, swap, Config())] == expected


def test_thresholds_are_those_of_the_config() -> None:
    config = Config(ok_free=Fraction(1, 2), warning_free=Fraction(1, 3))

    assert RISK_ORDER[level(6, 3, 0, config)] == "ok"
    assert RISK_ORDER[level(6, 4, 0, config)] == "warning"
    assert RISK_ORDER[level(6, 5, 0, config)] == "critical"
