"""What the texts of workload and config files look like: sizes with units, shares, counts, days.

Files are read by ptcalc as texts (`ptcalc.workload.sizes`), editors read them as YAML: a number may be either.
"""

from __future__ import annotations

from typing import Any

from ptcalc.workload.sizes import MAX_COUNT, SIZE_LIMIT

Json = dict[str, Any]

_UNIT = "[KkMmGgTt]([Ii]?[Bb])?|[Bb]"
SIZE_PATTERN = rf"^\s*([0-9]+|[0-9]+(\.[0-9]+)?\s*({_UNIT}))\s*$"
ADDRESS_PATTERN = rf"^\s*([0-9]+(_[0-9]+)*|0[xX](_?[0-9a-fA-F])+|[0-9]+(\.[0-9]+)?\s*({_UNIT}))\s*$"
SHARE_PATTERN = r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$"


def number(pattern: str, least: int = 0, most: int = SIZE_LIMIT - 1) -> Json:
    """Return a number in bounds, or a text of a form."""
    return {"anyOf": [{"type": "integer", "minimum": least, "maximum": most}, {"type": "string", "pattern": pattern}]}


def count(least: int = 0, most: int = SIZE_LIMIT - 1) -> Json:
    """Return a whole number, also as text."""
    return number(r"^\s*[0-9]+\s*$" if least < 1 else r"^\s*0*[1-9][0-9]*\s*$", least, most)


SIZE, POSITIVE = number(SIZE_PATTERN), number(SIZE_PATTERN, 1)
ADDRESS, ALIGNMENT = number(ADDRESS_PATTERN), number(ADDRESS_PATTERN, 1)
SHARE: Json = {"type": "string", "pattern": SHARE_PATTERN}
AMOUNT: Json = {"anyOf": [*SIZE["anyOf"], SHARE]}
PROCESSES, SOME = count(0, MAX_COUNT), count(1, MAX_COUNT)
SIGNED = number(r"^\s*[+-]?[0-9]+\s*$", -(1 << 62))
TRUTH: Json = {"enum": [True, False, "true", "True", "TRUE", "false", "False", "FALSE"]}
LOCKED: Json = {"enum": [*TRUTH["enum"], "on_fault"]}
# What YAML reads as a number or a truth is a name to ptcalc as well.
NAME: Json = {"type": ["string", "number", "boolean"], "minLength": 1, "maxLength": 100}
PROSE: Json = {"type": ["string", "number", "boolean"], "minLength": 1}
DURATION: Json = {
    "anyOf": [{"const": 0}, {"type": "string", "pattern": r"^\s*(0+(\.0+)?|[0-9]+(\.[0-9]+)?\s*[A-Za-z]+)\s*$"}]
}
DAY: Json = {"type": "string", "pattern": r"^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}\s*$"}
LINK: Json = {"type": "string", "pattern": r"^\s*https?://[^\s/]"}


def words(*known: str) -> Json:
    """Return one of some words."""
    return {"enum": list(known)}
