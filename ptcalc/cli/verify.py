"""``ptcalc verify``: a workload mapped on the running kernel, whose counters are put beside the prediction."""

from __future__ import annotations

from typing import Any, Literal

import click

from ptcalc.cli.options import debug_option, examples, format_option, named
from ptcalc.cli.output import emit, say_left_out, screen
from ptcalc.errors import CheckFailed


@click.command(
    "verify",
    epilog=examples(
        "ptcalc verify examples/oracle-sga-1500.yaml --processes 2 --max-memory 500M",
        "ptcalc verify examples/mixed-sga-reporting.yaml --allow-sysctl --max-memory 500M",
        "ptcalc verify --oom examples/oracle-sga-1500.yaml --limit 300M",
    ),
)
@click.argument("workload", metavar="WORKLOAD")
@format_option("text", "json")
@click.option("--oom", is_flag=True, help="Start processes in a memory cgroup until it is full, and count them.")
@click.option(
    "--processes",
    metavar="N",
    type=click.IntRange(min=1),
    help="At most so many processes of each group; with --oom, how many in all the experiment is scaled for.",
)
@click.option("--scale", metavar="SHARE", help="All sizes times this, such as 10%.")
@click.option("--max-memory", metavar="SIZE", help="Memory that the run may take; by default half of what is at hand.")
@click.option("--limit", metavar="SIZE", help="Limit of the cgroup of --oom; by default what the processes need.")
@click.option("--allow-sysctl", is_flag=True, help="Enlarge pools of huge pages for the time of the run.")
@click.option(
    "--counter",
    type=click.Choice(["page-tables", "cgroup"]),
    help="Where the tables of all processes are read: PageTables of the machine (the default), or a memory cgroup of"
    " the run.",
)
@click.option(
    "--seed", metavar="N", type=click.IntRange(min=0), default=1, show_default=True, help="Of random touches."
)
@debug_option
def command(
    workload: str,
    form: str,
    oom: bool,
    processes: int | None,
    scale: str | None,
    max_memory: str | None,
    limit: str | None,
    allow_sysctl: bool,
    counter: Literal["page-tables", "cgroup"] | None,
    seed: int,
) -> None:
    """Map a workload on the running kernel and compare the kernel's counters with the prediction.

    WORKLOAD is a YAML file, or - for standard input.  It is scaled to the memory at hand: fewer processes, one page
    accessed in each page table, and smaller sizes if that is not enough.  Ends with 1 if a figure differs.

    With --oom, all that the processes take is put into a memory cgroup, scaled down, until the OOM killer acts there.
    Ends with 1 if that is more than 2 % and more than one process away from the prediction.
    """
    import ptcalc
    from ptcalc.report import verify_report as report
    from ptcalc.report.json_report import render as render_json
    from ptcalc.workload.sizes import parse_share, parse_size

    with named("--scale"):
        share = None if scale is None else parse_share(scale)
    with named("--max-memory"):
        memory = None if max_memory is None else parse_size(max_memory)
    with named("--limit"):
        size = None if limit is None else parse_size(limit)
    if share == 0:
        raise click.BadParameter(f"{scale} of all sizes leaves nothing", param_hint="--scale")
    if size is not None and not oom:
        raise click.BadParameter("only the cgroup of --oom has a limit", param_hint="--limit")
    if counter is not None and oom:
        raise click.BadParameter("--oom counts processes", param_hint="--counter")
    if size == 0:
        raise click.BadParameter("nothing fits in 0 bytes", param_hint="--limit")
    common: dict[str, Any] = {
        "processes": processes,
        "share": share,
        "max_memory": memory,
        "allow_sysctl": allow_sysctl,
        "seed": seed,
    }
    loaded = ptcalc.load(workload)
    say_left_out(loaded.positions)
    if oom:
        boundary = ptcalc.verify_boundary(loaded, limit=size, **common)
        emit(
            render_json(report.boundary_to_dict(boundary))
            if form == "json"
            else report.render_boundary(boundary, screen())
        )
        if not boundary.agrees:
            raise CheckFailed(
                f"the kernel contradicts the prediction: {boundary.fitted:,} processes instead of"
                f" {boundary.predicted:,}"
            )
        return
    found = ptcalc.verify_workload(loaded, counter=counter or "page-tables", **common)
    emit(render_json(report.to_dict(found)) if form == "json" else report.render(found, screen()))
    if found.contradicted:
        names = ", ".join(f"{figure.counter} of {figure.name or 'all'}" for figure in found.contradicted)
        raise CheckFailed(f"the kernel contradicts the prediction: {names}")
