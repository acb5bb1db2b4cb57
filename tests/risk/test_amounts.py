"""Amounts as text."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptcalc.risk.amounts import about, exact, percent


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (584, "584 B"),
        (4096, "4 KiB"),
        (4097, "4,097 B"),
        (512 << 10, "512 KiB"),
        (300 << 30, "300 GiB"),
        (1 << 57, "128 PiB"),
    ],
)
def test_exact(size: int, text: str) -> None:
    assert exact(size) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (945_567_744_000, "881 GiB"),
        (7_372_800, "7.03 MiB"),
        ((1 << 30) - 1, "1.00 GiB"),
        (-(3 << 30), "-3.00 GiB"),
        (10_239 << 20, "10.0 GiB"),
        (1 << 70, "1,048,576 PiB"),
    ],
)
def test_about(size: int, text: str) -> None:
    assert about(size) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (Fraction(194, 1000), "19.4 %"),
        (0.000835, "0.0835 %"),
        (1, "100 %"),
        (Fraction(417, 100), "417 %"),
        (0, "0 %"),
    ],
)
def test_percent(share: Fraction | float, text: str) -> None:
    assert percent(share) == text


@given(st.integers(1, 1 << 70))
def test_about_is_within_half_a_percent(size: int) -> None:
    number, unit = about(size).split()
    scale = 1024 ** ("B", "KiB", "MiB", "GiB", "TiB", "PiB").index(unit)
    shown = Fraction(number.replace(",", "")) * scale

    assert abs(shown - size) <= Fraction(size, 200)
