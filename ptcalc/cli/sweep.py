"""``ptcalc sweep``: the same workload with other values, on other machines."""

from __future__ import annotations

import click

from ptcalc.cli.options import examples, read_answers, require, workload_options
from ptcalc.cli.output import emit, screen
from ptcalc.errors import printable


@click.command(
    "sweep",
    short_help="The same with other values, on other machines.",
    epilog=examples(
        "ptcalc sweep examples/oracle-sga-1500.yaml --vary host.arch=shipped --policy today --policy hugetlb-default",
        "ptcalc sweep examples/postgres-600.yaml --vary processes.backend.count=300,600 --policy today --format csv",
    ),
)
@click.option(
    "--vary",
    "axes",
    metavar="PATH=V1,V2,...",
    multiple=True,
    required=True,
    help="Values for a place of the file, as they would stand there; may be repeated: every combination.",
)
@workload_options("text", "json", "csv", "markdown")
def command(
    workload: str,
    axes: tuple[str, ...],
    form: str,
    policies: tuple[str, ...],
    choices: tuple[str, ...],
    strict: bool,
    config: str | None,
) -> None:
    """Evaluate a workload for every combination of some values.

    WORKLOAD is a YAML file, or - for standard input. PATH is dotted: host.arch, host.memory,
    processes.NAME.count, segments.NAME.size, processes.NAME.mappings.0.touch.

    For host.arch, all stands for every architecture and shipped for those that distributions ship. The policy
    hugetlb-default is that of the default huge page of each architecture.
    """
    vary = _vary(axes)
    answers = read_answers(choices)
    for key in answers if policies else ():
        require(key.partition(".")[0], policies, "evaluated policy", "--choice")
    import ptcalc
    from ptcalc import risk
    from ptcalc.report import sweep_report

    settings = None if config is None else risk.load_config(config)
    found = ptcalc.sweep(workload, vary, policies=policies or None, config=settings, choices=answers, strict=strict)
    if form == "json":
        from ptcalc.report.json_report import render

        emit(render(sweep_report.to_dict(found)))
    elif form == "csv":
        emit(sweep_report.render_csv(found))
    elif form == "markdown":
        emit(sweep_report.render_markdown(found))
    else:
        emit(sweep_report.render_text(found, screen()))


def _vary(axes: tuple[str, ...]) -> dict[str, list[str]]:
    """Return ``PATH=V1,V2`` texts as path -> values."""
    vary: dict[str, list[str]] = {}
    for axis in axes:
        path, given, values = axis.partition("=")
        if not (path and given):
            raise click.BadParameter(f"'{printable(axis)}' is not of the form PATH=V1,V2", param_hint="--vary")
        if path in vary:
            raise click.BadParameter(f"{printable(path)} is given twice", param_hint="--vary")
        vary[path] = [value.strip() for value in values.split(",")]
    return vary
