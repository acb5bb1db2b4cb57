"""Standard output: what it is (screen, pipe, nothing at all), and how a finished report gets there."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ptcalc.errors import CannotDoHere, printable

if TYPE_CHECKING:
    from ptcalc.report.page import Screen
    from ptcalc.scenarios.varied import Refusal
    from ptcalc.workload.source import Positions


def screen() -> Screen:
    """Return the `Screen` that standard output is.

    A pipe or a file has no width, so that nothing in it is wrapped, and no colour.
    ``NO_COLOR`` (not empty, see https://no-color.org) and ``TERM=dumb`` switch every escape sequence off.
    """
    from ptcalc.report.page import Screen

    if sys.stdout is None:
        return Screen()
    ascii_only = not _can_draw(sys.stdout.encoding)
    if not sys.stdout.isatty():
        return Screen(ascii_only=ascii_only)
    # Like shutil.get_terminal_size, but of standard output as it is now, and a width of 0 is no width.
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isascii() and columns.isdecimal() and 0 < len(columns) < 5 else 0
    if not width:
        try:
            width = os.get_terminal_size(sys.stdout.fileno()).columns
        except OSError:
            width = 0
    colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return Screen(width=width or 80, colour=colour, ascii_only=ascii_only)


def emit(text: str) -> None:
    """Write a finished report to standard output, whole, and flush it.

    Whoever closed standard output, or stopped reading it, does not want the rest: that is no failure, and the
    exit code stays that of the answer.  Any other failure to write is one.

    Raises:
        CannotDoHere: standard output cannot be written (a full disk, say).
    """
    if sys.stdout is None:
        return
    try:
        encoding = sys.stdout.encoding or "utf-8"
        # A name that the encoding lacks is shown as an escape, not as an error.
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        discard()
    except OSError as error:
        discard()
        if error.errno == errno.EBADF:  # closed below Python's back
            return
        raise CannotDoHere(f"standard output cannot be written: {error.strerror}") from error


def say_left_out(document: Positions, varied: Iterable[str] = ()) -> None:
    """Say on standard error what of a file is not looked at: distributions, for which medians stand, and events.

    ``varied`` are dotted paths at which other values stand.
    """
    paths = [document.resolve(dotted) for dotted in varied] if document.uncertain else []
    many = sum(all(path[: len(other)] != other for other in paths) for path in document.uncertain)
    if many:
        import click

        what = f"{many} distribution{'s' if many > 1 else ''}: {'their medians are' if many > 1 else 'its median is'}"
        click.echo(f"ptcalc: {printable(document.file)}: {what} taken; ptcalc estimate samples", err=True)
    events, _ = document.find(("events",)) if document.stated(("events",)) else (None, True)
    if events is not None and isinstance(events.value, list):
        say_events(document.file, len(events.value))


def say_events(file: str, many: int | None = None) -> None:
    """Say on standard error that a file has events (so many, if that is known), which nothing here follows."""
    import click

    what = "events" if many is None else f"{many:,} event{'s' if many > 1 else ''}"
    told = f"{what}: figures are of the beginning; ptcalc timeline follows them"
    click.echo(f"ptcalc: {printable(file)}: {told}", err=True)


def say_refused(refusals: Iterable[Refusal]) -> None:
    """Say on standard error what some architectures cannot have."""
    import click

    for refusal in refusals:
        what = ", ".join(f"{path}={value}" for path, value in refusal.values)
        policy = f", {refusal.policy}" if refusal.policy else ""
        click.echo(f"ptcalc: not possible: {printable(f'{what}{policy}: {refusal.why}')}", err=True)


def discard() -> None:
    """Point standard output at nothing, so that the interpreter's last flush does not fail aloud."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        sys.stdout = None  # what Python itself sets where there is no descriptor


def _can_draw(encoding: str | None) -> bool:
    try:
        "█▒·▶±".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
