"""``ptcalc verify``: a workload mapped on the running kernel, whose counters are put beside the prediction."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TypeVar

import click

from ptcalc.cli.options import debug_option, examples, format_option
from ptcalc.cli.output import emit, screen
from ptcalc.errors import CheckFailed, InputError

Value = TypeVar("Value")


@click.command(
    "verify",
    short_help="Does the running kernel say the same?",
    epilog=examples(
        "ptcalc verify examples/oracle-sga-1500.yaml",
        "ptcalc verify examples/mixed-sga-reporting.yaml --allow-sysctl --max-memory 2G",
    ),
)
@click.argument("workload", metavar="WORKLOAD")
@format_option("text", "json")
@click.option("--processes", metavar="N", type=click.IntRange(min=1), help="At most so many processes of each group.")
@click.option("--scale", metavar="SHARE", help="All sizes times this, such as 10%.")
@click.option("--max-memory", metavar="SIZE", help="Memory that the run may take; by default half of what is at hand.")
@click.option("--allow-sysctl", is_flag=True, help="Enlarge pools of huge pages for the time of the run.")
@click.option(
    "--counter",
    type=click.Choice(["page-tables", "cgroup"]),
    default="page-tables",
    show_default=True,
    help="Where the tables of all processes are read: PageTables of the machine, or a memory cgroup of the run.",
)
@click.option(
    "--seed", metavar="N", type=click.IntRange(min=0), default=1, show_default=True, help="Of random touches."
)
@debug_option
def command(
    workload: str,
    form: str,
    processes: int | None,
    scale: str | None,
    max_memory: str | None,
    allow_sysctl: bool,
    counter: str,
    seed: int,
) -> None:
    """Map a workload on the running kernel and compare the kernel's counters with the prediction.

    WORKLOAD is a YAML file, or - for standard input.  It is scaled to the memory at hand: fewer processes, one page
    accessed in each page table, and smaller sizes if that is not enough.  Ends with 1 if a figure differs.
    """
    import ptcalc
    from ptcalc.workload.sizes import parse_share, parse_size

    share = None if scale is None else _parsed("--scale", scale, lambda text: Fraction(parse_share(text)))
    memory = None if max_memory is None else _parsed("--max-memory", max_memory, parse_size)
    if share is not None and not 0 < share <= 1:
        raise click.BadParameter(f"{scale} is not above 0 % and at most 100 %", param_hint="--scale")
    found = ptcalc.verify_workload(
        ptcalc.load(workload),
        processes=processes,
        share=share,
        max_memory=memory,
        allow_sysctl=allow_sysctl,
        counter="cgroup" if counter == "cgroup" else "page-tables",
        seed=seed,
    )
    from ptcalc.report.verify_report import render, to_dict

    if form == "json":
        from ptcalc.report.json_report import render as render_json

        emit(render_json(to_dict(found)))
    else:
        emit(render(found, screen()))
    if found.contradicted:
        names = ", ".join(f"{figure.counter} of {figure.name or 'all'}" for figure in found.contradicted)
        raise CheckFailed(f"the kernel contradicts the prediction: {names}")


def _parsed(option: str, text: str, parse: Callable[[str], Value]) -> Value:
    """Return what an option says; a refused value is told with the option's name."""
    try:
        return parse(text)
    except InputError as error:
        raise click.BadParameter(f"{error.message}; accepted: {error.accepted}", param_hint=option) from None
