"""How errors are shown: on lines of their own, harmless, and cut where they are long."""

from __future__ import annotations

import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptcalc.errors import CannotDoHere, CheckFailed, InputError, PtcalcError, nearest, printable, quote

HOSTILE = [
    "\x1b[2J",
    "\x9b31m",
    "\x07",
    "\r",
    "\n",
    "\t",
    "\x00",
    "\u202e",
    "\u2066",
    "\u200b",
    "\u2028",
    "\ud800",
    "\ufeff",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_characters_are_shown_as_escapes(text: str) -> None:
    shown = printable(f"a{text}b")
    assert shown.isprintable()
    assert shown.startswith("a\\")


@given(st.text(st.characters()))
def test_printable_is_printable_and_the_rest_stays(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode("utf-8")
    assert all(unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for char in shown)
    if text.isprintable():
        assert shown == text


def test_exit_codes() -> None:
    codes = [kind("x").exit_code for kind in (PtcalcError, InputError, CannotDoHere, CheckFailed)]
    assert codes == [70, 2, 3, 1]


def test_render() -> None:
    error = InputError(
        "count: '-3' is negative",
        file="w.yaml",
        line=12,
        column=7,
        quoted="count: -3",
        accepted="1 to 5",
        suggestion="3",
    )
    assert error.render().splitlines() == [
        "w.yaml:12:7: count: '-3' is negative",
        "  12 | count: -3",
        "     |       ^",
        "  did you mean '3'?",
        "  accepted: 1 to 5",
    ]


def test_hostile_text_in_every_part() -> None:
    bad = "".join(HOSTILE)
    error = InputError(bad, file=bad, line=1, column=3, quoted=bad, accepted=bad, suggestion=bad)
    shown = InputError("first", more=[error]).render()
    assert all(line.isprintable() for line in shown.split("\n"))
    assert len(shown.split("\n")) == 6


@pytest.mark.parametrize("column", [1, 50, 5000, 9999, 10_000, 10_001, 999_999, 0, -5])
def test_long_lines_are_cut_around_the_place(column: int) -> None:
    error = InputError("x", file="w", line=1, column=column, quoted="-" * 4999 + "#" + "-" * 5000)
    _, line, caret = error.render().splitlines()
    assert len(line) < 120 and len(caret) < 120
    if column == 5000:
        assert line[caret.index("^")] == "#"


def test_the_caret_stands_below_wide_characters() -> None:
    error = InputError("x", file="w", line=1, column=4, quoted="日本 x")
    _, line, caret = error.render().splitlines()
    assert caret.index("^") - line.index("日") == 5  # two columns each, and a space


def test_many_errors_are_counted() -> None:
    error = InputError("0", more=[InputError(str(number)) for number in range(1, 12)])
    assert error.render().splitlines()[-1] == "and 7 more errors"


def test_errors_travel_between_processes() -> None:
    error = InputError("x", file="w", line=1, column=2, quoted="q", accepted="a", suggestion="s")
    assert pickle.loads(pickle.dumps(error)).render() == error.render()


def test_nearest() -> None:
    assert nearest("backng", ("size", "backing")) == "backing"
    assert nearest("BACKING", ("size", "backing")) == "backing"
    assert nearest("zzz", ("size", "backing")) is None
    assert nearest("x" * 10**6, ("size",)) is None
    assert nearest("", ("size",)) is None


def test_quote_cuts() -> None:
    assert quote("a") == "'a'"
    assert len(quote("a" * 10**6)) < 80
