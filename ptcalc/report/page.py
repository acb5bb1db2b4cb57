"""A page of text for people: paragraphs, columns and stacked records, as wide as its reader's screen.

Nothing here cuts data off.  On a screen, prose is wrapped and columns are left out or stacked by choice;
for a file or a pipe the page is as wide as its data.  All text passes through `printable` on its way in,
so a name from a workload file can neither move the cursor nor turn the line around.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ptcalc.errors import printable

# A piece of text, plain or with a rich style.
Cell = str | tuple[str, str]

GAP = "  "
BLOCK_GAP = "    "
# No screen is taken for narrower: figures with all their digits would have to be cut.
NARROWEST = 40
# Wider than any line: rich wants a number.
_UNLIMITED = 10**9
# For an output whose encoding has no block characters; one for one, so that columns stay in line.
_ASCII = str.maketrans({"█": "#", "▒": "=", "·": ".", "▶": ">", "±": "~"})


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
        self._ascii_only = screen.ascii_only
        self._buffer = io.StringIO()
        self._console = Console(
            file=self._buffer,
            width=self.width,
            height=100,
            color_system="standard" if screen.colour else None,
            force_terminal=screen.colour,
            force_jupyter=False,
            no_color=not screen.colour,
            legacy_windows=False,
            markup=False,
            emoji=False,
            highlight=False,
        )

    def text(self) -> str:
        """Return the page; no line has blanks at its end."""
        text = self._buffer.getvalue().strip("\n") + "\n"
        return text.translate(_ASCII) if self._ascii_only else text

    def blank(self) -> None:
        """Add an empty line."""
        self._put([Text()])

    def heading(self, title: str) -> None:
        """Add an empty line and a title."""
        self.blank()
        self.say((title, "bold"))

    def say(self, *parts: Cell, label: Cell = "", indent: int = 0) -> None:
        """Add a paragraph; where it is wrapped, its later lines start below its first word, not `label`."""
        head = Text(" " * indent) + _text(label)
        body = Text().join(_text(part) for part in parts)
        longest = max((cell_len(word) for word in body.plain.split()), default=0)
        if label and (head.cell_len > self.width // 2 or head.cell_len + longest > self.width):
            # No room for the text beside so long a label.
            for line in self._wrap(_text(label), self.width - indent):
                self._put([Text(" " * indent) + line])
            head = Text(" " * (indent + 2))
        blank = Text(" " * head.cell_len)
        for number, line in enumerate(self._wrap(body, self.width - head.cell_len)):
            self._put([(blank if number else head) + line])

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
            if max(line.cell_len for line in lines) + indent <= self.width:
                self._put(Text(" " * indent) + line for line in lines)
                return frozenset(columns[place].title for place in kept)
        if title:
            self.say((title, "dim"), indent=indent)
        for row in rows:
            self._record(columns, row, indent)
        return frozenset(column.title for column in columns)

    def beside(self, blocks: Sequence[Block]) -> None:
        """Add tables side by side, or one below the other where there is no room."""
        grids = [grid(columns, rows) for columns, rows in blocks]
        widths = [max(line.cell_len for line in lines) for lines in grids]
        if sum(widths) + len(BLOCK_GAP) * (len(grids) - 1) > self.width:
            for number, (columns, rows) in enumerate(blocks):
                if number:
                    self.blank()
                self.table(columns, rows, title=columns[0].title)
            return
        for across in zip_longest(*grids, fillvalue=Text()):
            line = Text()
            for number, (piece, width) in enumerate(zip(across, widths, strict=True)):
                line += Text(BLOCK_GAP if number else "") + piece + Text(" " * (width - piece.cell_len))
            self._put([line])

    def _record(self, columns: Sequence[Column], row: Sequence[Cell], indent: int) -> None:
        """One row as a record: its first cell as a title, then ``title value`` pairs that stay whole."""
        self.say(row[0], indent=indent)
        room = self.width - indent - 2
        lines = [Text()]
        for column, cell in zip(columns[1:], row[1:], strict=True):
            value = _text(cell)
            if not value.cell_len:
                continue
            pair = Text.assemble((f"{column.title} ", "dim"), value) if column.title else value
            if not lines[-1].cell_len:
                lines[-1] = pair
            elif lines[-1].cell_len + len(GAP) + pair.cell_len <= room:
                lines[-1] = lines[-1] + Text(GAP) + pair
            else:
                lines.append(pair)
        for line in lines:
            self._put(Text(" " * (indent + 2)) + wrapped for wrapped in self._wrap(line, room))

    def _wrap(self, text: Text, width: int) -> Iterable[Text]:
        return text.wrap(self._console, max(width, 10))

    def _put(self, lines: Iterable[Text]) -> None:
        for line in lines:
            line = line.copy()
            line.rstrip()
            self._console.print(line, soft_wrap=True)


def grid(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[Text]:
    """Return a line of titles, if any, and a line for each row; each column is as wide as its widest cell."""
    cells = [[_text(cell) for cell in row] for row in rows]
    if any(column.title for column in columns):
        cells.insert(0, [Text(column.title, style="dim") for column in columns])
    widths = [max(row[place].cell_len for row in cells) for place in range(len(columns))]
    lines = []
    for row in cells:
        line = Text()
        for place, (cell, width, column) in enumerate(zip(row, widths, columns, strict=True)):
            padding = Text(" " * (width - cell.cell_len))
            line += Text(GAP if place else "") + (padding + cell if column.right else cell + padding)
        lines.append(line)
    return lines


def _text(cell: Cell) -> Text:
    text, style = cell if isinstance(cell, tuple) else (cell, "")
    return Text(printable(text), style=style)
