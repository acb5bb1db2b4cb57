"""``ptcalc render``: a result that was saved as JSON, in any format of the command that made it."""

from __future__ import annotations

from importlib import import_module

import click

from ptcalc.cli.exports import export_options, read_exports, report
from ptcalc.cli.options import debug_option, examples
from ptcalc.errors import InputError, quote
from ptcalc.report.formats import CHECK, ESTIMATE, EXPLAIN, TEXT, Formats

# Schema of a saved result -> the command that saves it, the formats that it has, and who reads it: module, function.
KINDS: dict[str, tuple[str, Formats, tuple[str, str]]] = {
    "ptcalc.estimate/1": ("estimate", ESTIMATE, ("ptcalc.saved", "estimate_of")),
    "ptcalc.explain/1": ("explain", EXPLAIN, ("ptcalc.saved", "estimate_of")),
    "ptcalc.check/1": ("check", CHECK, ("ptcalc.checking.saved", "check_of")),
}
FORMATS = tuple(dict.fromkeys(form for _, formats, _ in KINDS.values() for form in formats))


@click.command(
    "render",
    epilog=examples(
        "ptcalc render examples/saved/oracle-sga-1500.json",
        "ptcalc render examples/saved/oracle-sga-1500.json --format markdown",
    ),
)
@click.argument("result", metavar="RESULT")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default=TEXT,
    show_default=True,
    help="For people, or for programs.",
)
@export_options
@debug_option
def command(result: str, form: str, exports: tuple[str, ...], force: bool) -> None:
    """Show a saved result as the command would have that made it, in any of its formats.

    RESULT is what --format json of estimate, explain or check has printed, or - for standard input. Nothing is computed
    anew, and the exit code of a check that has failed is not repeated.
    """
    to_write = read_exports(exports, FORMATS, force=force)
    from ptcalc import saved

    data, name = saved.read_bytes(result)
    found = saved.parse(data, name)
    schema = saved.schema_of(found)
    if schema not in KINDS:
        what = f"this is of schema {quote(schema)}" if schema else "this says no schema"
        accepted = ", ".join(f"{known} of ptcalc {made}" for known, (made, *_) in KINDS.items())
        raise InputError(what, file=name, accepted=accepted)
    made, formats, (module, function) = KINDS[schema]
    for option, asked in [("--format", form), *(("--export", each) for each, _ in to_write)]:
        if asked not in formats:
            raise click.BadParameter(
                f"{asked} is no format of ptcalc {made}; accepted: {', '.join(formats)}", param_hint=option
            )
    read = getattr(import_module(module), function)
    report(formats, form, read(found, name), to_write, force=force)
