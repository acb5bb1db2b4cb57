"""Numbers as people read them."""

from __future__ import annotations

import pytest

from ptcalc.report import format as fmt


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ("0 B", 0),
        ("1 B", 1),
        ("1023 B", 1023),
        ("1.00 KiB", 1024),
        ("601 MiB", 630_378_496),
        ("881 GiB", 945_567_744_000),
        ("9.99 GiB", int(9.99 * 2**30)),
        ("10.0 GiB", int(9.996 * 2**30)),
        ("99.9 GiB", int(99.94 * 2**30)),
        ("100 GiB", int(99.96 * 2**30)),
        ("999 MiB", 999 * 2**20),
        ("0.977 GiB", 1000 * 2**20),
        ("1.00 GiB", 2**30 - 1),
        ("-710 GiB", -710 * 2**30),
        ("128 PiB", 2**57),
        ("8.00 EiB", 2**63 - 1),
        ("1,048,576 EiB", 2**80),
    ],
)
def test_three_significant_digits(expected: str, value: int) -> None:
    """A size has three significant digits and the unit that allows for them."""
    assert fmt.size(value) == expected


@pytest.mark.parametrize(
    ("expected", "value", "unit"),
    [
        ("1,212", 1_301_000_000_000, "GiB"),
        ("-710", -710 * 2**30, "GiB"),
        ("0", 0, "GiB"),
        ("0.500", 2**29, "GiB"),
        ("8.00 KiB", 8192, "GiB"),
        ("-8.00 KiB", -8192, "GiB"),
        ("7", 7, "B"),
    ],
)
def test_column_with_one_unit(expected: str, value: int, unit: str) -> None:
    """In a common unit no whole digit is lost, and what is too small for it has its own."""
    assert fmt.in_unit(value, unit) == expected


def test_expectation_is_marked() -> None:
    """A figure that depends on chance is never shown bare."""
    assert fmt.size(2**30, exact=False) == "~1.00 GiB"
    assert fmt.in_unit(2**30, "GiB", exact=False) == "~1.00"
    assert fmt.in_unit(8192, "GiB", exact=False) == "~8.00 KiB"
    assert fmt.tables(0.25) == "~0.250"
    assert fmt.tables(153_599.6) == "~153,600"
    assert fmt.tables(153_600) == "153,600"


@pytest.mark.parametrize(
    ("expected", "number"),
    [
        ("1st", 1),
        ("2nd", 2),
        ("3rd", 3),
        ("4th", 4),
        ("11th", 11),
        ("112th", 112),
        ("316th", 316),
        ("1,021st", 1021),
    ],
)
def test_ordinals(expected: str, number: int) -> None:
    """The process that does not fit any more is counted as people count."""
    assert fmt.ordinal(number) == expected
