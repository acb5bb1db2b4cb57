"""A page of text for people: paragraphs, columns and stacked records, as wide as its reader's screen.

Nothing here cuts data off.  On a screen, prose is wrapped and columns are left out or stacked by choice;
for a file or a pipe the page is as wide as its data.  All text passes through `printable` on its way in,
so a name from a workload file can neither move the cursor nor turn the line around.  Colours are rich's,
which is loaded for a page that has any.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from unicodedata import combining, east_asian_width

from ptcalc.errors import printable

# A piece of text, plain or with a rich style; a line is some of them, one after the other.
Cell = str | tuple[str, str]
Line = tuple[tuple[str, str], ...]

GAP = "  "
BLOCK_GAP = "    "
# No screen is taken for narrower: figures with all their digits would have to be cut.
NARROWEST = 40
# Wider than any line.
_UNLIMITED = 10**9
# For an output whose encoding has no block characters; one for one, so that columns stay in line.
_ASCII = str.maketrans("█▒·▶±▁▂▃▄▅▆▇", "#=.>~_.,:;+*")


@dataclass(frozen=True, slots=True)
class Screen:
    """Where a page is read.  ``width`` None: a file or a pipe, so no line is ever wrapped."""

    width: int | None = None
    colour: bool = False
    ascii_only: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `grid`: its title and whether its cells stand at the right."""

    title: str
    right: bool = True


# What `grid` takes: columns and rows.
Block = tuple[Sequence[Column], Sequence[Sequence[Cell]]]


class Page:
    """Collects lines for one `Screen`."""

    def __init__(self, screen: Screen) -> None:
        self.width = max(screen.width, NARROWEST) if screen.width is not None else _UNLIMITED
        self._screen = screen
        self._lines: list[Line] = []

    def text(self) -> str:
        """Return the page; no line has blanks at its end."""
        lines = map(_coloured if self._screen.colour else _plain, map(_stripped, self._lines))
        text = "\n".join(lines).strip("\n") + "\n"
        return text.translate(_ASCII) if self._screen.ascii_only else text

    def blank(self) -> None:
        """Add an empty line."""
        self._lines.append(())

    def heading(self, title: str) -> None:
        """Add an empty line and a title."""
        self.blank()
        self.say((title, "bold"))

    def say(self, *parts: Cell, label: Cell = "", indent: int = 0) -> None:
        """Add a paragraph; where it is wrapped, its later lines start below its first word, not `label`."""
        head, body = _line(" " * indent, label), _line(*parts)
        longest = max(map(cells, _plain(body).split()), default=0)
        if label and (_width(head) > self.width // 2 or _width(head) + longest > self.width):
            # No room for the text beside so long a label.
            self._put(_wrapped(_line(label), self.width - indent), indent)
            head = _line(" " * (indent + 2))
        blank = _line(" " * _width(head))
        for number, line in enumerate(_wrapped(body, self.width - _width(head))):
            self._lines.append((blank if number else head) + line)

    def table(
        self,
        columns: Sequence[Column],
        rows: Sequence[Sequence[Cell]],
        *,
        leave_out: Sequence[Collection[str]] = (),
        indent: int = 0,
        title: str = "",
    ) -> frozenset[str]:
        """Add `rows` in columns and return the titles of those that are shown.

        Where they do not fit, the first of `leave_out` (titles) that makes them fit is left out; if none
        does, each row becomes a record of its own with all its cells, below `title` if there is one.
        """
        for out in ((), *leave_out):
            kept = [place for place, column in enumerate(columns) if column.title not in out]
            lines = grid([columns[place] for place in kept], [[row[place] for place in kept] for row in rows])
            if max(map(_width, lines)) + indent <= self.width:
                self._put(lines, indent)
                return frozenset(columns[place].title for place in kept)
        if title:
            self.say((title, "dim"), indent=indent)
        for row in rows:
            self._record(columns, row, indent)
        return frozenset(column.title for column in columns)

    def beside(self, blocks: Sequence[Block]) -> None:
        """Add tables side by side, or one below the other where there is no room."""
        grids = [grid(columns, rows) for columns, rows in blocks]
        widths = [max(map(_width, lines)) for lines in grids]
        if sum(widths) + len(BLOCK_GAP) * (len(grids) - 1) > self.width:
            for number, (columns, rows) in enumerate(blocks):
                if number:
                    self.blank()
                self.table(columns, rows, title=columns[0].title)
            return
        for across in zip_longest(*grids, fillvalue=_line()):
            line = _line()
            for number, (piece, width) in enumerate(zip(across, widths, strict=True)):
                line += _line(BLOCK_GAP if number else "") + piece + _line(" " * (width - _width(piece)))
            self._lines.append(line)

    def _record(self, columns: Sequence[Column], row: Sequence[Cell], indent: int) -> None:
        """One row as a record: its first cell as a title, then ``title value`` pairs that stay whole."""
        self.say(row[0], indent=indent)
        room = self.width - indent - 2
        lines = [_line()]
        for column, cell in zip(columns[1:], row[1:], strict=True):
            if not _width(_line(cell)):
                continue
            pair = _line((f"{column.title} " if column.title else "", "dim"), cell)
            if not lines[-1]:
                lines[-1] = pair
            elif _width(lines[-1]) + len(GAP) + _width(pair) <= room:
                lines[-1] += _line(GAP) + pair
            else:
                lines.append(pair)
        for line in lines:
            self._put(_wrapped(line, room), indent + 2)

    def _put(self, lines: Iterable[Line], indent: int) -> None:
        self._lines.extend(_line(" " * indent) + line for line in lines)


def grid(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[Line]:
    """Return a line of titles, if any, and a line for each row; each column is as wide as its widest cell."""
    table = [[_line(cell) for cell in row] for row in rows]
    if any(column.title for column in columns):
        table.insert(0, [_line((column.title, "dim")) for column in columns])
    widths = [max(_width(row[place]) for row in table) for place in range(len(columns))]
    lines = []
    for row in table:
        line = _line()
        for place, (cell, width, column) in enumerate(zip(row, widths, columns, strict=True)):
            padding = _line(" " * (width - _width(cell)))
            line += _line(GAP if place else "") + (padding + cell if column.right else cell + padding)
        lines.append(line)
    return lines


def cells(text: str) -> int:
    """Return the columns that a terminal gives to `text`."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def _line(*parts: Cell) -> Line:
    pairs = (part if isinstance(part, tuple) else (part, "") for part in parts)
    return tuple((printable(text), style) for text, style in pairs if text)


def _width(line: Line) -> int:
    return sum(cells(text) for text, _ in line)


def _plain(line: Line) -> str:
    return "".join(text for text, _ in line)


def _coloured(line: Line) -> str:
    from rich.color import ColorSystem
    from rich.style import Style

    return "".join(
        Style.parse(style).render(text, color_system=ColorSystem.STANDARD) if style else text for text, style in line
    )


def _stripped(line: Line) -> Line:
    return _cut(line, 0, len(_plain(line).rstrip()))


def _cut(line: Line, start: int, end: int) -> Line:
    """Return the characters `start` to `end` of a line, each in its style."""
    kept, place = [], 0
    for text, style in line:
        kept.append((text[max(start - place, 0) : max(end - place, 0)], style))
        place += len(text)
    return tuple(piece for piece in kept if piece[0])


def _wrapped(line: Line, width: int) -> list[Line]:
    """Break a line between words so that no part is wider than `width`; a word wider than that is folded."""
    if _width(line) <= width:
        return [line]
    return [_cut(line, start, end) for start, end in _breaks(_plain(line), max(width, 10))]


def _breaks(text: str, width: int) -> Iterator[tuple[int, int]]:
    start = end = 0
    for word in re.finditer(r"\S+", text):
        if end and cells(text[start : word.end()]) <= width:
            end = word.end()
            continue
        if end:
            yield start, end
        start, end = word.span()
        while cells(text[start:end]) > width:
            fold = start + 1
            while cells(text[start : fold + 1]) <= width:
                fold += 1
            yield start, fold
            start = fold
    yield start, end
