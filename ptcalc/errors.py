"""What can go wrong, and the exit code of each kind; the command line catches `PtcalcError` in one place.

Whatever comes from a file or a command line passes through `printable` before it is shown, so that no name
can move the cursor, recolour the terminal, forge a line or turn the reading direction round.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

QUOTED_WIDTH = 100  # columns of a source line that are shown around the place
MAX_SHOWN = 60  # characters of an offending value
MAX_ERRORS = 5  # places shown by one message
MAX_COLLECTED = 100  # errors of one file that are looked into at all: a file can have a million
MAX_KNOWN = 500  # names that a typo is compared with


class PtcalcError(Exception):
    """Any error that ptcalc reports on purpose; ``exit_code`` is what the command ends with."""

    exit_code = 70

    def render(self) -> str:
        """Return the message as shown on standard error, safe for a terminal."""
        return f"ptcalc: {printable(str(self))}"


class CannotDoHere(PtcalcError):
    """A permission, a kernel feature or memory is missing on this machine; the message says which."""

    exit_code = 3


class CheckFailed(PtcalcError):
    """A check that was asked for has failed: a threshold, a budget, a prediction."""

    exit_code = 1


class InputError(PtcalcError, ValueError):
    """Bad input: what is wrong, where, and what would be accepted.

    ``line`` and ``column`` count from 1 and are None where no place is known; ``quoted`` is the source line;
    ``accepted`` says what may stand there; ``suggestion`` is the nearest name for a typo; ``more`` are
    further errors of the same file.  Also a ValueError, so that a value can be refused where its place is
    not known (pydantic passes it on); `located` adds the place.
    """

    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        quoted: str | None = None,
        accepted: str | None = None,
        suggestion: str | None = None,
        more: Iterable[InputError] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.quoted = quoted
        self.accepted = accepted
        self.suggestion = suggestion
        self.more = tuple(more)
        self.truncated = False  # whether there are more errors than were looked into

    def __reduce__(self) -> tuple[type[InputError], tuple[str], dict[str, object]]:
        """Keep the place when the error travels between processes."""
        return (type(self), (self.message,), dict(self.__dict__))

    def located(
        self, file: str, line: int | None = None, column: int | None = None, quoted: str | None = None
    ) -> InputError:
        """Return the same error at a place of a file."""
        return InputError(
            self.message,
            file=file,
            line=line,
            column=column,
            quoted=quoted,
            accepted=self.accepted,
            suggestion=self.suggestion,
            more=self.more,
        )

    def render(self) -> str:
        """Return ``file:line:column: message``, the quoted line with a caret, and what would be accepted."""
        parts = [self._one()]
        parts += [error._one() for error in self.more[: MAX_ERRORS - 1]]
        left = len(self.more) - (MAX_ERRORS - 1)
        if self.truncated:
            parts.append("and many more errors")
        elif left > 0:
            parts.append(f"and {left} more error{'s' if left > 1 else ''}")
        return "\n".join(parts)

    def _one(self) -> str:
        place = [printable(self.file) if self.file else "ptcalc"]
        place += [str(number) for number in (self.line, self.column) if number is not None]
        lines = [f"{':'.join(place)}: {printable(self.message)}"]
        if self.quoted is not None and self.line is not None:
            shown, indent = _window(self.quoted, (self.column or 1) - 1)
            margin = str(self.line)
            lines += [f"  {margin} | {shown}", f"  {' ' * len(margin)} | {' ' * indent}^"]
        if self.suggestion:
            lines.append(f"  did you mean {quote(self.suggestion)}?")
        if self.accepted:
            lines.append(f"  accepted: {printable(self.accepted)}")
        return "\n".join(lines)


def printable(text: str) -> str:
    """Return `text` on one line and without effect on a terminal.

    Control characters, line breaks, format characters (bidirectional overrides among them), lone surrogates,
    private use and unassigned characters are shown as escapes of Python's kind; all else stays.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def quote(text: str) -> str:
    """Return `text` harmless, in quotes and cut to a length that fits a message."""
    if len(text) > MAX_SHOWN:
        return f"'{printable(text[: MAX_SHOWN - 20])}…' ({len(text):,} characters)"
    return f"'{printable(text)}'"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` is most likely a typo of, if there is one."""
    import difflib

    choices = {each.lower(): each for each in islice(known, MAX_KNOWN)}
    # Long names can only be nonsense; comparing them would cost their square.
    found = difflib.get_close_matches(name.lower()[:100], choices, n=1, cutoff=0.6) if len(name) > 2 else []
    return choices[found[0]] if found else None


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def _window(line: str, column: int) -> tuple[str, int]:
    """Cut a long source line around a column (from 0); return it with the width of what stands before."""
    column = min(max(column, 0), len(line))
    start = 0 if column < QUOTED_WIDTH * 3 // 4 else column - QUOTED_WIDTH // 2
    end = start + QUOTED_WIDTH
    before = ("…" if start else "") + printable(line[start:column])
    after = printable(line[column:end]) + ("…" if end < len(line) else "")
    return before + after, _width(before)


def _width(text: str) -> int:
    """Columns that a terminal gives to `text`."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)
