"""Sizes, shares and counts from their text."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptcalc.errors import InputError
from ptcalc.workload.sizes import (
    MAX_COUNT,
    SIZE_LIMIT,
    parse_address,
    parse_amount,
    parse_count,
    parse_share,
    parse_size,
    show_size,
)

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("010", 10),
        ("0 B", 0),
        ("7b", 7),
        ("300 GiB", 300 * GIB),
        ("300GiB", 300 * GIB),
        ("300 gib", 300 * GIB),
        ("300 GB", 300 * GIB),
        ("300 G", 300 * GIB),
        ("512k", 512 * KIB),
        ("512 KB", 512 * KIB),
        ("512 KiB", 512 * KIB),
        ("2M", 2 * MIB),
        ("2 MB", 2 * MIB),
        ("1 T", TIB),
        ("1 tb", TIB),
        ("1 TiB", TIB),
        ("1.5 GiB", 3 * GIB // 2),
        ("0.5 KiB", 512),
        ("2.0 B", 2),
        ("0.0009765625 KiB", 1),
        ("  8 MiB  ", 8 * MIB),
        (str(SIZE_LIMIT - 1), SIZE_LIMIT - 1),
        ("0" * 5000 + "1", 1),
        ("1." + "0" * 5000 + " KiB", KIB),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert parse_address(text) == size


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("-1", "negative"),
        ("-1 GiB", "negative"),
        ("- 1", "negative"),
        ("\u22125", "negative"),
        ("-9" * 2000, "negative"),
        ("+1", "not understood"),
        ("1.5", "no unit"),
        ("1.0", "no unit"),
        (".5 GiB", "not understood"),
        ("1. GiB", "not understood"),
        ("1,5 GiB", "not understood"),
        ("0.3 KiB", "whole number of bytes"),
        ("1.5 B", "whole number of bytes"),
        ("0." + "3" * 30 + " TiB", "whole number of bytes"),
        ("0." + "3" * 5000 + " TiB", "too many decimals"),
        ("9" * 25 + " TiB", "too large"),
        ("9" * 5000, "too large"),
        (str(SIZE_LIMIT), "too large"),
        ("4194304 TiB", "too large"),
        ("1 PiB", "is no unit"),
        ("1 KiBs", "is no unit"),
        ("1 Mib s", "not understood"),
        ("nan", "not understood"),
        (".inf", "not understood"),
        ("1e400", "not understood"),
        ("24%", "not understood"),
        ("\u0661\u0662", "not understood"),
        ("1\u00a0GiB\n2", "not understood"),
        ("GiB", "not understood"),
    ],
)
def test_no_sizes(text: str, why: str) -> None:
    for parse in (parse_size, parse_address, parse_amount):
        if parse is parse_amount and text.endswith("%"):
            continue
        with pytest.raises(InputError, match=why) as caught:
            parse(text)
        assert caught.value.accepted
        assert len(caught.value.message) < 120


@pytest.mark.parametrize("value", [None, True, 1.0, [], {}, b"1", float("nan"), Fraction(1, 2)])
def test_no_sizes_from_programs(value: object) -> None:
    with pytest.raises(InputError, match="stands here"):
        parse_size(value)


def test_integers_from_programs_have_the_same_bounds() -> None:
    assert parse_size(4096) == 4096
    assert parse_count(7) == 7
    for value in (-1, SIZE_LIMIT, 10**5000, -(10**5000)):
        with pytest.raises(InputError):
            parse_size(value)
        with pytest.raises(InputError):
            parse_count(value, most=MAX_COUNT)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0x60000000", 0x60000000),
        ("0X6000_0000", 0x60000000),
        ("0x" + "0" * 5000 + "a", 10),
        ("1_000_000", 1_000_000),
        ("1 GiB", GIB),
    ],
)
def test_addresses(text: str, address: int) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["0x", "0x_", "0xg", "0x1__0", "1__0", "_1", "1_", "-0x1", "0x1 KiB", "0b1", "0o7"])
def test_no_addresses(text: str) -> None:
    with pytest.raises(InputError):
        parse_address(text)


@pytest.mark.parametrize("text", ["0x1000", "1_000", "0x" + "f" * 5000, "1" + "_1" * 3000])
def test_prefixes_and_underscores_are_for_addresses(text: str) -> None:
    with pytest.raises(InputError):
        parse_size(text)


def test_long_addresses_are_too_large() -> None:
    for text in ("0x" + "f" * 5000, "1" + "_1" * 3000):
        with pytest.raises(InputError, match="too large"):
            parse_address(text)


@pytest.mark.parametrize(
    ("text", "share"),
    [("24%", Fraction(6, 25)), ("0.1 %", Fraction(1, 1000)), ("100%", 1), ("100.000%", 1), ("0%", 0)],
)
def test_shares(text: str, share: Fraction) -> None:
    assert parse_share(text) == share
    assert parse_amount(text) == share
    assert isinstance(parse_amount(text), Fraction), "a share is never mistaken for bytes"


@pytest.mark.parametrize("text", ["100.01%", "-1%", "%", "nan%", "1e2%", "9" * 5000 + "%", "1_0%", "1.%", "24 % of it"])
def test_no_shares(text: str) -> None:
    with pytest.raises(InputError):
        parse_amount(text)


@pytest.mark.parametrize(
    "text", ["", "-1", "1.0", "1_000", "1,000", "0x1", "1 KiB", "\u0661", "9" * 5000, "nan", "\u00b2"]
)
def test_no_counts(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_count(text, least=1, most=MAX_COUNT)
    assert "4 194 304" in (caught.value.accepted or "")


@given(st.integers(0, SIZE_LIMIT - 1))
def test_shown_sizes_are_read_back(size: int) -> None:
    assert parse_size(show_size(size)) == size
    assert parse_size(str(size)) == size
    assert parse_address(hex(size)) == size


@given(st.integers(0, SIZE_LIMIT >> 40), st.sampled_from("KMGT"), st.integers(0, 10**6))
def test_decimals_are_exact(whole: int, unit: str, millionths: int) -> None:
    exact = (whole + Fraction(millionths, 10**6)) * (1 << (10 * ("KMGT".index(unit) + 1)))
    if exact.denominator == 1 and exact < SIZE_LIMIT and millionths < 10**6:
        assert parse_size(f"{whole}.{millionths:06} {unit}iB") == exact
    elif millionths < 10**6:
        with pytest.raises(InputError):
            parse_size(f"{whole}.{millionths:06} {unit}iB")


@given(st.text(max_size=30))
def test_any_text_is_a_size_or_an_input_error(text: str) -> None:
    for parse in (parse_size, parse_address, parse_amount, parse_count):
        try:
            found = parse(text)
        except InputError:
            continue
        assert 0 <= found < SIZE_LIMIT
