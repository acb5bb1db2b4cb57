"""The values of an axis from their text: lists, ranges by steps, and ranges by number of values.

``4KiB,2MiB``; ``100..3000:100`` (steps, the end included where it is hit); ``1%..100%:log20`` and ``1..9:lin5`` (so
many values, both ends included).  A value that holds a comma or two dots stands in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from math import exp, log

from ptcalc.errors import InputError, quote
from ptcalc.workload.places import Place, place_of
from ptcalc.workload.sizes import show_size
from ptcalc.workload.source import Path

MAX_VALUES = 1_000_000
DIGITS = 6  # of a share between two ends
RANGES = "100..3000:100, 100GiB..500GiB:50GiB, 1%..100%:log20 or 1..9:lin5"
_PART = re.compile(r"""\s*(?:"(?P<quoted>[^"]*)"|(?P<plain>[^,]*?))\s*(?:,|$)""")
_RANGE = re.compile(r"(?P<low>.+?)\.\.(?P<high>[^:]+)(?::(?P<step>.+))?", re.DOTALL)
_SPACED = re.compile(r"(lin|log)\s*([0-9]+)")

Number = int | Fraction


def parse_values(text: str, path: Path) -> tuple[str, ...]:
    """Return the values of an axis as they would stand at ``path`` in a file; those of a range each once.

    Raises InputError for what is no list of values, for a range at a place that holds no number, and for more than
    MAX_VALUES.
    """
    found: list[str] = []
    for value, quoted in _parts(text):
        match = None if quoted else _RANGE.fullmatch(value)
        found += [value] if match is None else dict.fromkeys(_range(match, value, path))
        if len(found) > MAX_VALUES:
            raise InputError(f"more than {MAX_VALUES:,} values", accepted="larger steps")
    return tuple(found)


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    at = 0
    while at < len(text):
        match = _PART.match(text, at)
        value = match and (match["plain"] if match["quoted"] is None else match["quoted"])
        if not match or not value:
            where = quote(text[at:]) if text[at:].strip(" ,") else "nothing"
            raise InputError(
                f"{where} stands where a value should be", accepted=f"values with commas between, or {RANGES}"
            )
        yield value, match["quoted"] is not None
        at = match.end()
        if at == len(text) and text.endswith(","):
            raise InputError("nothing stands behind the last comma", accepted="a value, or no comma")


def _range(match: re.Match[str], text: str, path: Path) -> Iterator[str]:
    place = place_of(path)
    if place is None:
        raise InputError(f"{quote(text)}: no numbers stand at this place", accepted="values with commas between")
    low, high = (place.read(match[end].strip()) for end in ("low", "high"))
    if match["step"] is None:
        raise InputError(f"{quote(text)} does not say in which steps", accepted=RANGES)
    if isinstance(low, Fraction) != isinstance(high, Fraction):
        raise InputError(f"{quote(text)} runs from a share to a size", accepted="two shares, or two sizes")
    if low > high:
        raise InputError(f"{quote(text)} runs downwards", accepted="the smaller end first")
    spaced = _SPACED.fullmatch(match["step"].strip())
    numbers = _spaced(low, high, spaced, text) if spaced else _stepped(low, high, match["step"], place, text)
    return (_text(number, place) for number in numbers)


def _stepped(low: Number, high: Number, text: str, place: Place, whole: str) -> Iterator[Number]:
    step = place.read(text.strip())
    if isinstance(step, Fraction) != isinstance(low, Fraction) or not step:
        raise InputError(f"{quote(whole)}: {quote(text)} is no step between its ends", accepted=RANGES)
    if (high - low) // step >= MAX_VALUES:
        raise InputError(f"{quote(whole)} has more than {MAX_VALUES:,} values", accepted="larger steps")
    return (low + step * number for number in range(int((high - low) // step) + 1))


def _spaced(low: Number, high: Number, spaced: re.Match[str], whole: str) -> Iterator[Number]:
    kind, digits = spaced.groups()
    many = int(digits) if len(digits) < len(str(MAX_VALUES)) + 1 else MAX_VALUES + 1
    if not 2 <= many <= MAX_VALUES:
        raise InputError(f"{quote(whole)}: {digits} values", accepted=f"2 to {MAX_VALUES:,} values")
    if kind == "log" and not low:
        raise InputError(f"{quote(whole)}: a logarithmic range cannot start at 0", accepted="a start above 0, or lin")
    for number in range(many):
        if number in (0, many - 1):
            yield high if number else low
        elif kind == "lin":
            yield _near(low + (high - low) * Fraction(number, many - 1), low)
        else:
            yield _near(Fraction(exp(log(low) + (log(high) - log(low)) * number / (many - 1))), low)


def _near(number: Fraction, like: Number) -> Number:
    """Return a whole number, or a share with few digits, close to a number between two ends."""
    return Fraction(f"{float(number):.{DIGITS}g}") if isinstance(like, Fraction) else round(number)


def _text(number: Number, place: Place) -> str:
    if isinstance(number, int):
        return show_size(number) if place.unit != "count" else str(number)
    shown = f"{float(number * 100):.12g}"
    return f"{shown}%" if "e" not in shown else f"{float(number * 100):.12f}%"
