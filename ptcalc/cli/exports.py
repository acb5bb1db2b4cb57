"""``--export FORMAT=PATH``: a finished report in other formats, each in a file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import click

from ptcalc.cli.files import new_file
from ptcalc.cli.options import Command, require
from ptcalc.cli.output import emit, screen
from ptcalc.errors import printable
from ptcalc.report.formats import TEXT, Formats, rendered


def export_options(command: Command) -> Command:
    """Add ``--export`` and ``--force``."""
    export = click.option(
        "--export",
        "exports",
        metavar="FORMAT=PATH",
        multiple=True,
        help="Write the report to a file as well, in any format; may be repeated.",
    )
    return export(click.option("--force", is_flag=True, help="Replace files of --export that exist.")(command))


def read_exports(texts: Sequence[str], formats: Collection[str], *, force: bool) -> list[tuple[str, str]]:
    """Return ``FORMAT=PATH`` texts as (format, path).

    Raises click.UsageError for other texts and formats, for a file that is named twice, and for ``force`` without any.
    """
    if force and not texts:
        raise click.UsageError("--force: there is no --export to replace")
    exports: dict[str, str] = {}
    for text in texts:
        form, given, path = text.partition("=")
        if not (given and path):
            raise click.BadParameter(f"'{printable(text)}' is not of the form FORMAT=PATH", param_hint="--export")
        require(form, formats, "format", "--export")
        if path in exports:
            raise click.BadParameter(f"{printable(path)} is named twice", param_hint="--export")
        exports[path] = form
    return [(form, path) for path, form in exports.items()]


def report(formats: Formats, form: str, result: object, exports: Iterable[tuple[str, str]], *, force: bool) -> None:
    """Print a result in a format, for the screen that there is, and write its exports; raises what these two raise."""
    emit(rendered(formats, form, result, screen() if form == TEXT else None))
    write_exports(exports, lambda name: rendered(formats, name, result), force=force)


def write_exports(exports: Iterable[tuple[str, str]], render: Callable[[str], str], *, force: bool) -> None:
    """Write each export, ``render(format)``, one after the other; one that fails leaves those before it.

    Raises InputError for a file that exists, unless ``force``, or cannot be written.
    """
    for form, path in exports:
        with new_file(path, force=force) as file:
            file.write_text(render(form), encoding="utf-8", errors="backslashreplace", newline="")
