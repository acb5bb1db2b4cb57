"""Sizes, shares and counts from their text: exact integers and fractions, bounded before they are converted.

KiB, MiB, GiB and TiB are powers of 1024, and so are ``K M G T`` and ``KB MB GB TB``, as in the kernel and in
Oracle's parameter files; plain integers are bytes (contract section 1).  Every function takes text (from a
file) or a Python integer (from a program) and raises InputError, which says what would be accepted.
"""

from __future__ import annotations

import re
from fractions import Fraction

from ptcalc.errors import InputError, quote

SIZE_LIMIT = 1 << 62  # sizes stay below, so that sums of two fit int64
MAX_GROWTH = 1000  # in units of what grows
MAX_COUNT = 4_194_304  # PID_MAX_LIMIT of 64-bit kernels (include/linux/threads.h)

SIZES = "a size such as 300 GiB, 512M or a whole number of bytes"
ADDRESSES = "an address such as 0x60000000 or 1 GiB"
AMOUNTS = "a share such as 24%, or a size such as 72 GiB"
DURATIONS = "a time such as 90 s, 15 min, 8 h or 2 d"

_SHIFTS = {"": 0, "B": 0} | {
    letter + tail: shift for letter, shift in (("K", 10), ("M", 20), ("G", 30), ("T", 40)) for tail in ("", "B", "IB")
}
_NUMBER = re.compile(r"(\d+)(?:\.(\d+))?\s*([A-Za-z]*)", re.ASCII)
_HEX = r"0[xX](?:_?[0-9a-fA-F])+"
_GROUPED = r"[0-9]+(?:_[0-9]+)+"
_PERCENT = r"([0-9]+)(?:\.([0-9]+))?\s*%"
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+)(?:\.(\d+))?\s*([A-Za-z]*)", re.ASCII)
_MAX_DIGITS = 25  # more digits than any accepted number has, far below Python's limit on conversions
_MAX_DECIMALS = 40  # 1/2**40 has as many: with more, no unit gives whole bytes


def parse_size(value: object, *, least: int = 0, accepted: str = SIZES) -> int:
    """Return a size in bytes, ``least <= size < 2**62``."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _bounded(value, quote(str(value)) if abs(value) < SIZE_LIMIT else "a number", least, accepted)
    text = _text(value, accepted)
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise _no_number(text, accepted)
    digits, decimals, unit = match.groups()
    shift = _SHIFTS.get(unit.upper())
    if shift is None:
        raise InputError(
            f"{quote(text)}: {quote(unit)} is no unit",
            accepted="B, KiB, MiB, GiB, TiB, also K M G T and KB MB GB TB (powers of 1024)",
        )
    if decimals is not None and not unit:
        raise InputError(f"{quote(text)} has decimals but no unit", accepted=accepted)
    number = _exact(digits, decimals, text, accepted) * (1 << shift)
    if number.denominator != 1:
        raise InputError(f"{quote(text)} is no whole number of bytes", accepted=f"{accepted}, whole in bytes")
    return _bounded(number.numerator, quote(text), least, accepted)


def parse_address(value: object, *, least: int = 0, accepted: str = ADDRESSES) -> int:
    """Return an address, offset or alignment in bytes: a size, or digits with ``0x`` and ``_``."""
    if isinstance(value, str):
        text = value.strip()
        base = 16 if text[:2] in ("0x", "0X") else 10
        if (base == 16 or "_" in text) and re.fullmatch(_HEX if base == 16 else _GROUPED, text):
            digits = text.replace("_", "").lower().removeprefix("0x").lstrip("0") or "0"
            if len(digits) > _MAX_DIGITS:
                raise _too_large(quote(text), accepted)
            return _bounded(int(digits, base), quote(text), least, accepted)
    return parse_size(value, least=least, accepted=accepted)


def parse_share(text: str, *, accepted: str = AMOUNTS) -> Fraction:
    """Return a percentage (``24%``, ``0.5 %``) as a fraction from 0 to 1."""
    stripped = text.strip()
    match = re.fullmatch(_PERCENT, stripped)
    if match is None:
        raise _no_number(stripped, accepted)
    share = _exact(match[1], match[2], stripped, accepted) / 100
    if share > 1:
        raise InputError(f"{quote(stripped)} is more than 100%", accepted="a share from 0% to 100%")
    return share


def parse_growth(text: str) -> Fraction:
    """Return a percentage of growth, which may be more than 100 %, as a fraction from 0 to MAX_GROWTH."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*%", text.strip(), re.ASCII)
    share = Fraction(match[1]) / 100 if match else None
    if share is None or share > MAX_GROWTH:
        raise InputError(f"{quote(text)} is no growth", accepted=f"a share such as 5%, at most {100 * MAX_GROWTH:,}%")
    return share


def parse_amount(value: object) -> int | Fraction:
    """Return bytes (int), or a share of the whole as a Fraction from 0 to 1."""
    if isinstance(value, Fraction):
        if not 0 <= value <= 1:
            raise InputError("the share is not between 0 and 1", accepted=AMOUNTS)
        return value
    if isinstance(value, str) and value.rstrip().endswith("%"):
        return parse_share(value)
    return parse_size(value, accepted=AMOUNTS)


def parse_duration(value: object) -> Fraction:
    """Return a time in seconds, below 2**62."""
    if isinstance(value, (int, Fraction)) and not isinstance(value, bool):
        seconds, shown = Fraction(value), "a number"
    else:
        text = _text(value, DURATIONS)
        match = _DURATION.fullmatch(text)
        if match is None:
            raise _no_number(text, DURATIONS)
        digits, decimals, unit = match.groups()
        if unit not in _SECONDS and (unit or digits.strip("0") or decimals):
            what = f"{quote(unit)} is no unit of time" if unit else "a time needs a unit"
            raise InputError(f"{quote(text)}: {what}", accepted=DURATIONS)
        seconds, shown = _exact(digits, decimals, text, DURATIONS) * _SECONDS.get(unit, 1), quote(text)
    if not 0 <= seconds < SIZE_LIMIT:
        raise InputError(f"{shown} is {'negative' if seconds < 0 else 'too large'}", accepted=DURATIONS)
    return seconds


def parse_signed(value: object, *, least: int, most: int) -> int:
    """Return a whole number, ``least <= number <= most``, which may be below zero."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    accepted = f"a whole number from {least} to {most}"
    if not isinstance(text, str):
        raise InputError(f"{kind_of(value)} stands here", accepted=accepted)
    found = re.fullmatch(r"([+-]?)0*([0-9]{1,12})", text.strip(), re.ASCII)
    if found is None:
        raise InputError(f"{quote(text)} is not understood", accepted=accepted)
    number = int(found[1] + found[2])
    if not least <= number <= most:
        raise InputError(f"{quote(text)} is too {'small' if number < least else 'large'}", accepted=accepted)
    return number


def parse_count(value: object, *, least: int = 0, most: int = SIZE_LIMIT - 1) -> int:
    """Return a whole number, ``least <= number <= most``, written in decimal digits and nothing else."""
    accepted = f"a whole number from {least:,} to {most:,}".replace(",", " ")
    if isinstance(value, int) and not isinstance(value, bool):
        number, shown = value, quote(str(value)) if abs(value) < SIZE_LIMIT else "the number"
    else:
        text = _text(value, accepted)
        if not (text.isascii() and text.isdigit()):
            raise _no_number(text, accepted)
        digits, shown = text.lstrip("0") or "0", quote(text)
        if len(digits) > _MAX_DIGITS:
            raise InputError(f"{shown} is too large", accepted=accepted)
        number = int(digits)
    if not least <= number <= most:
        raise InputError(f"{shown} is too {'small' if number < least else 'large'}", accepted=accepted)
    return number


def show_size(size: int) -> str:
    """Return a size in the largest unit that it is a whole number of: ``300 GiB``, ``5000 B``."""
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size and size % (1 << shift) == 0:
            return f"{size >> shift} {unit}"
    return f"{size} B"


def kind_of(value: object) -> str:
    """Say what a value is that is no text, in the words of YAML."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"a value of type {type(value).__name__}"


def _text(value: object, accepted: str) -> str:
    if isinstance(value, str):
        return value.strip()
    raise InputError(f"{kind_of(value)} stands here", accepted=accepted)


def _exact(digits: str, decimals: str | None, text: str, accepted: str) -> Fraction:
    digits = digits.lstrip("0") or "0"
    decimals = (decimals or "").rstrip("0")
    if len(digits) > _MAX_DIGITS:
        raise _too_large(quote(text), accepted)
    if len(decimals) > _MAX_DECIMALS:
        raise InputError(f"{quote(text)} has too many decimals", accepted=accepted)
    return Fraction(int(digits + decimals), 10 ** len(decimals))


def _bounded(number: int, shown: str, least: int, accepted: str) -> int:
    if number < 0:
        raise InputError(f"{shown} is negative", accepted=accepted)
    if number < least:
        raise InputError(f"{shown} is too small", accepted=f"{accepted}, at least {show_size(least)}")
    if number >= SIZE_LIMIT:
        raise _too_large(shown, accepted)
    return number


def _too_large(shown: str, accepted: str) -> InputError:
    return InputError(f"{shown} is too large", accepted=f"{accepted}; sizes stay below 4 194 304 TiB")


def _no_number(text: str, accepted: str) -> InputError:
    if re.fullmatch(r"[-−–]\s*[0-9.].*", text):
        return InputError(f"{quote(text)} is negative", accepted=accepted)
    return InputError(f"{quote(text)} is not understood" if text else "an empty text stands here", accepted=accepted)
