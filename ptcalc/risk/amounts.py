"""Amounts of memory as text, in terms and messages (reports round the figures themselves)."""

from __future__ import annotations

from fractions import Fraction

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def exact(size: int) -> str:
    """Return a size to the byte, in the largest unit that it is a whole number of: 512 KiB, 4,097 B."""
    place = 0
    while size and place < len(_UNITS) - 1 and size % 1024 == 0:
        size //= 1024
        place += 1
    return f"{size:,} {_UNITS[place]}"


def about(size: int) -> str:
    """Return a size with three significant digits: 881 GiB, 1.72 GiB, 7.03 MiB."""
    if abs(size) < 1024:
        return f"{size} B"
    place = min(len(_UNITS) - 1, (abs(size).bit_length() - 1) // 10)
    text = three_digits(Fraction(size, 1024**place))
    if text in ("1,024", "-1,024") and place < len(_UNITS) - 1:
        place, text = place + 1, text.replace("1,024", "1.00")
    return f"{text} {_UNITS[place]}"


def percent(share: Fraction | float) -> str:
    """Return a share as a percentage with three significant digits: 19.4 %, 0.0835 %."""
    return f"{three_digits(Fraction(share) * 100)} %"


def three_digits(value: Fraction) -> str:
    """Return a number with three significant digits; whole from 100 on."""
    size = abs(value)
    if size == 0:
        return "0"
    places = 0
    while size < 100 and places < 12:
        size, places = size * 10, places + 1
    scaled = round(value * 10**places)
    if abs(scaled) >= 1000 and places:  # 99.96 is 100, not 100.0
        scaled, places = round(value * 10 ** (places - 1)), places - 1
    sign, digits = "-" if scaled < 0 else "", abs(scaled)
    whole, rest = divmod(digits, 10**places)
    return f"{sign}{whole:,}" + (f".{rest:0{places}d}" if places else "")
