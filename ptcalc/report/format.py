"""Numbers as people read them: three significant digits, thousands separated, uncertainty marked.

Rounding exists here and nowhere before; programs get the exact integers of the JSON report.
"""

from __future__ import annotations

from typing import Literal

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size(value: int, *, exact: bool = True) -> str:
    """Return `value` bytes with three significant digits and a binary unit; ``~`` in front if not `exact`.

    >>> size(945_567_744_000)
    '881 GiB'
    >>> size(7 * 2**20, exact=False)
    '~7.00 MiB'
    """
    mark = "" if exact else "~"
    sign, value = ("-", -value) if value < 0 else ("", value)
    if value < 1024:
        return f"{mark}{sign}{value} B"
    for power in range(1, len(_UNITS)):
        # What would round to 1000 goes to the next unit as well: 1023 GiB has four digits, 0.999 TiB three.
        if value / 1024**power < 999.5 or power == len(_UNITS) - 1:
            break
    return f"{mark}{sign}{_digits(value / 1024**power)} {_UNITS[power]}"


def whole(value: int) -> str:
    """Return `value` bytes in the largest unit that it is a whole number of, for sizes that are powers of two.

    >>> whole(4096), whole(2**57), whole(5000)
    ('4 KiB', '128 PiB', '5,000 B')
    """
    power = 0
    while value and power + 1 < len(_UNITS) and value % 1024 ** (power + 1) == 0:
        power += 1
    return f"{value // 1024**power:,} {_UNITS[power]}"


def unit_of(value: int) -> str:
    """Return the largest unit in which `value` bytes are at least 1, for a column with one unit."""
    power = 0
    while power + 1 < len(_UNITS) and abs(value) >= 1024 ** (power + 1):
        power += 1
    return _UNITS[power]


def in_unit(value: int, unit: str, *, exact: bool = True) -> str:
    """Return `value` bytes in `unit`, without its name: three significant digits, whole digits always all.

    What would lose its digits in so large a unit is written with its own.

    >>> in_unit(1_301_000_000_000, "GiB")
    '1,212'
    >>> in_unit(8192, "GiB")
    '8.00 KiB'
    """
    mark = "" if exact else "~"
    if unit == "B":
        return f"{mark}{value:,}"
    scaled = abs(value) / 1024 ** _UNITS.index(unit)
    if value and scaled < 0.01:
        return size(value, exact=exact)
    return f"{mark}{'-' if value < 0 else ''}{_digits(scaled) if value else '0'}"


def exact_bytes(value: int) -> str:
    """Return all digits of `value`, thousands separated, with the unit: ``945,567,744,000 bytes``."""
    return f"{value:,} bytes"


def tables(value: int | float) -> str:
    """Return a number of tables; an expectation keeps its ``~`` and three significant digits below 100."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"~{round(value):,}" if value >= 100 else f"~{_digits(value)}"


def percent(part: int, whole: int) -> str:
    """Return `part` of `whole` in whole percent; ``-`` where there is no whole."""
    return f"{round(100 * part / whole):,} %" if whole > 0 else "-"


def deviation(found: int, reference: int) -> str:
    """Return how far `found` is from `reference`, in percent of it; ``-`` where that is nothing.

    >>> deviation(1020, 1000), deviation(1000, 1000)
    ('+2.0 %', '+0.0 %')
    """
    return f"{100 * (found - reference) / reference:+,.1f} %" if reference else "-"


def times(part: int, whole: int) -> str:
    """Return how many times `whole` goes into `part`, with two significant digits at least."""
    ratio = part / whole
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"


def plural(count: int, noun: str, many: str = "") -> str:
    """Return ``1 process`` or ``1,500 processes``."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def ordinal(number: int) -> str:
    """Return ``1st``, ``2nd``, ``316th``."""
    suffix: Literal["st", "nd", "rd", "th"] = "th"
    if number % 100 not in (11, 12, 13):
        match number % 10:
            case 1:
                suffix = "st"
            case 2:
                suffix = "nd"
            case 3:
                suffix = "rd"
    return f"{number:,}{suffix}"


def _digits(scaled: float) -> str:
    """Three significant digits of a value in its unit; never fewer than the whole part has."""
    if scaled >= 99.95:
        return f"{scaled:,.0f}"
    if scaled >= 9.995:
        return f"{scaled:.1f}"
    return f"{scaled:.2f}" if scaled >= 0.9995 else f"{scaled:.3f}"
