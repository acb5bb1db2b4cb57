"""``ptcalc solve``: how far a value can go before the workload misses a risk level."""

from __future__ import annotations

from typing import cast

import click

from ptcalc.cli.options import examples, read_answers, read_axes, workload_options
from ptcalc.cli.output import emit, say_left_out, say_refused, screen


@click.command(
    "solve",
    epilog=examples(
        "ptcalc solve examples/oracle-sga-1500.yaml --for processes",
        "ptcalc solve examples/oracle-sga-1500.yaml --for size --target critical --policy today --policy hugetlb-2M",
        "ptcalc solve examples/postgres-600.yaml --for memory --vary processes.backend.count=200..600:200",
    ),
)
@click.option(
    "--for",
    "wanted",
    type=click.Choice(("processes", "size", "memory", "touch")),
    required=True,
    help="The largest number of processes, size or touch of a segment, or the least memory.",
)
@click.option("--group", metavar="NAME", help="Processes of this group alone; touch by this group alone.")
@click.option("--segment", metavar="NAME", help="Whose size or touch.  [default: the only one]")
@click.option(
    "--target",
    type=click.Choice(("ok", "warning", "critical")),
    default="ok",
    show_default=True,
    help="The worst risk level that will do; critical: all but out of memory.",
)
@click.option(
    "--vary",
    "axes",
    metavar="PATH=VALUES",
    multiple=True,
    help="An answer for each of some values, as in sweep, or a range 100..300:50; may be repeated.",
)
@workload_options("text", "json", "csv")
def command(
    workload: str,
    wanted: str,
    group: str | None,
    segment: str | None,
    target: str,
    axes: tuple[str, ...],
    form: str,
    policies: tuple[str, ...],
    choices: tuple[str, ...],
    strict: bool,
    config: str | None,
) -> None:
    """Say how far a value can go under each policy, what binds, and what the next value would be at.

    WORKLOAD is a YAML file, or - for standard input. Processes grow in proportion, or one --group alone; a size is in
    whole pages of its segment, touch in steps of 0.001 % and memory in MiB. The next value is always evaluated.
    """
    if group is not None and wanted not in ("processes", "touch"):
        raise click.UsageError(f"--group goes with --for processes or touch, not with --for {wanted}")
    if segment is not None and wanted not in ("size", "touch"):
        raise click.UsageError(f"--segment goes with --for size or touch, not with --for {wanted}")
    vary = read_axes(axes)
    answers = read_answers(choices, policies)
    import ptcalc
    from ptcalc import risk
    from ptcalc.report import solve_report
    from ptcalc.scenarios.scales import Wanted
    from ptcalc.scenarios.searching import Target
    from ptcalc.workload.loading import read

    document = read(workload)
    found = ptcalc.solve(
        document,
        cast("Wanted", wanted),
        group=group,
        segment=segment,
        target=cast("Target", target),
        vary=vary,
        policies=policies or None,
        config=None if config is None else risk.load_config(config),
        choices=answers,
        strict=strict,
    )
    if form == "json":
        from ptcalc.report.json_report import render

        emit(render(solve_report.to_dict(found)))
    elif form == "csv":
        emit(solve_report.render_csv(found))
    else:
        emit(solve_report.render_text(found, screen()))
    say_left_out(document, vary)
    say_refused(found.refusals)
