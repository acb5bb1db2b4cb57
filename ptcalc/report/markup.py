"""Text in GitHub's Markdown, where it is no markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ptcalc.errors import printable
from ptcalc.report.format import plural
from ptcalc.report.page import Column

ROOM = 60_000  # characters; GitHub takes 65,536 for a comment

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


def fitting(pieces: Sequence[str], room: int) -> list[str]:
    """Return the pieces, less those that have no room left in that many characters."""
    shown = []
    for piece in pieces:
        if len(piece) < room:
            shown.append(piece)
            room -= len(piece) + 1
    return shown


def left_out(many: int, noun: str) -> list[str]:
    """Return the sentence that counts what is not shown, if there is something."""
    return [f"And {plural(many, f'more {noun}')}."] if many else []


def paragraphs(blocks: Iterable[Sequence[str]]) -> str:
    """Return blocks of lines with empty lines between them; lines that a comment has no room for are counted."""
    parts: list[str] = []
    room = ROOM
    for block in blocks:
        shown = fitting(block, room)
        parts += ["\n".join(shown), *left_out(len(block) - len(shown), "line")]
        room -= sum(map(len, shown)) + len(shown) + 1
    return "\n\n".join(filter(None, parts)) + "\n"
