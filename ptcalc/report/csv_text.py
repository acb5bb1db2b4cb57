"""Texts as cells of CSV: quoted, on one line, and no formula to a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from ptcalc.errors import printable

# What a spreadsheet takes for the beginning of a formula (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def harmless(text: str) -> str:
    """Return a text from a file for a cell; in front of what would be a formula stands a quote, which says: text."""
    text = printable(text)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def row(cells: Iterable[str | int]) -> str:
    """Return a line of cells: texts as they are said, and whole numbers."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([harmless(cell) if isinstance(cell, str) else cell for cell in cells])
    return out.getvalue()
