"""What can go wrong, and how it is said.

    PtcalcError            70  a defect of ptcalc, or the base of:
      InputError            2  bad input: what is wrong, where, the value, what would be accepted
      CheckFailed           1  the answer is no
      CannotDoHere          3  permission, kernel, memory at hand; says what is missing

Each class knows its exit code; they are caught in one place, `ptcalc.cli.main`.
"""

from __future__ import annotations

from typing import ClassVar

# Characters that reorder text around them (Unicode bidirectional formatting) or hide in it.
_REORDERING = frozenset("\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_QUOTE_WIDTH = 100


class PtcalcError(Exception):
    """Something that ptcalc says in its own words; ``exit_code`` is what the command returns."""

    exit_code: ClassVar[int] = 70

    def render(self) -> str:
        """Return the message for people."""
        return f"ptcalc: {printable(str(self))}"


class CheckFailed(PtcalcError):
    """A check came out negative: a normal outcome, said after the full report."""

    exit_code: ClassVar[int] = 1


class CannotDoHere(PtcalcError):
    """This machine cannot do it; the message says what is missing."""

    exit_code: ClassVar[int] = 3


class InputError(PtcalcError):
    """Bad input at ``file``:``line``:``column`` (1-based; 0 where there is no such place).

    ``accepted`` says what would do, ``suggestion`` the nearest accepted word, ``quoted`` is the line of the file.
    """

    exit_code: ClassVar[int] = 2

    def __init__(
        self,
        message: str,
        *,
        file: str = "",
        line: int = 0,
        column: int = 0,
        accepted: str = "",
        suggestion: str = "",
        quoted: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.accepted = accepted
        self.suggestion = suggestion
        self.quoted = quoted

    def render(self) -> str:
        """Return one message: place, what is wrong, the line with a caret, what would be accepted."""
        place = printable(self.file) if self.file else "ptcalc"
        if self.line:
            place += f":{self.line}:{self.column}"
        lines = [f"{place}: {printable(self.message)}"]
        if self.quoted is not None:
            lines += _quote(self.quoted, self.column)
        if self.accepted:
            lines.append(f"  accepted: {printable(self.accepted)}")
        if self.suggestion:
            lines.append(f"  did you mean {printable(self.suggestion)!r}?")
        return "\n".join(lines)


def _quote(line: str, column: int) -> list[str]:
    """Return the line, cut around the column if it is long, and a caret below the column."""
    at = max(column - 1, 0)
    start = 0 if len(line) <= _QUOTE_WIDTH else max(0, min(at - _QUOTE_WIDTH // 2, len(line) - _QUOTE_WIDTH))
    cut = line[start : start + _QUOTE_WIDTH]
    shown = ("..." if start else "") + printable(cut) + ("..." if start + _QUOTE_WIDTH < len(line) else "")
    before = len(("..." if start else "") + printable(cut[: at - start]))
    return [f"    {shown}", f"    {' ' * before}^"]


def printable(text: str) -> str:
    """Return `text` with all that a terminal would interpret, reorder or hide written as escapes."""
    return "".join(
        character
        if character.isprintable() and character not in _REORDERING
        else character.encode("unicode_escape", "backslashreplace").decode("ascii")
        for character in text
    )
