"""Workload files as text that people read: entries of YAML with a comment beside them."""

from __future__ import annotations

import re
from textwrap import wrap

from ptcalc.errors import printable

WIDTH = 110
# Names that stand without quotes: none of them means anything else in YAML.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./+-]*")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def quoted(name: str) -> str:
    """Return a name as YAML reads it back."""
    if _PLAIN.fullmatch(name) and name.lower() not in _WORDS:
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def comment(text: str, indent: int = 0) -> list[str]:
    """Return a text as comment lines that are not too wide."""
    lead = " " * indent + "# "
    return wrap(printable(text), WIDTH, initial_indent=lead, subsequent_indent=lead, break_on_hyphens=False)


def entry(indent: int, key: str, value: str, why: str = "") -> str:
    """Return the line of a key, with a comment that says where its value comes from."""
    text = f"{' ' * indent}{key}: {value}"
    return f"{text:<39} # {printable(why)}" if why else text
