"""``ptcalc schema``: JSON Schemas of what ptcalc reads and writes, for editors and programs."""

from __future__ import annotations

import click

from ptcalc.cli.options import debug_option, examples
from ptcalc.cli.output import emit
from ptcalc.schemas import NAMES, schema_text


@click.command(
    "schema",
    epilog=examples("ptcalc schema workload", "ptcalc schema result"),
)
@click.argument("name", type=click.Choice(tuple(NAMES)))
@debug_option
def command(name: str) -> None:
    """Print the JSON Schema (draft 2020-12) of a workload file, of a saved result, or of a config file."""
    emit(schema_text(name))
