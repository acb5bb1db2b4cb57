"""Text in GitHub's Markdown, where it is no markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ptcalc.errors import printable
from ptcalc.report.page import Column

# What could be markup, a link or a mention; all else means nothing to Markdown within a line.
_MARKUP = re.compile(r"[^\w .,:;%/()=+-]|(?<![^\W_])_|_(?![^\W_])|(?<=:)/|(?<=www)\.")


def escaped(text: str) -> str:
    """Return text that Markdown and HTML show as it is: what could be markup becomes a character reference."""
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", printable(text))


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table; what stands in `rows` is Markdown already, titles are text."""
    titles = [escaped(column.title) for column in columns]
    sides = ["---:" if column.right else "---" for column in columns]
    return [f"| {' | '.join(cells)} |" for cells in (titles, sides, *rows)]
