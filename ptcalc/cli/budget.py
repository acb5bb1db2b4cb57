"""``ptcalc budget``: budgets for ``ptcalc check``."""

from __future__ import annotations

import click

from ptcalc.cli.files import new_file
from ptcalc.cli.options import debug_option, examples, named
from ptcalc.cli.output import emit, say_left_out


@click.group("budget", epilog=examples("ptcalc budget init examples/container-cgroup.yaml --margin 25%"))
def command() -> None:
    """Help with the budgets that `ptcalc check` judges by."""


@command.command(
    "init",
    short_help="Budgets from today's figures.",
    epilog=examples("ptcalc budget init examples/container-cgroup.yaml --margin 25%"),
)
@click.argument("workload", metavar="WORKLOAD")
@click.option("--margin", metavar="SHARE", default="25%", show_default=True, help="How much worse a figure may become.")
@click.option("-o", "--output", metavar="FILE", help="Write to this file, in place of standard output.")
@click.option("--force", is_flag=True, help="Replace the file of --output if it exists.")
@click.option("--config", metavar="FILE", help="Thresholds and constants, see configs/default.yaml.")
@debug_option
def init_command(workload: str, margin: str, output: str | None, force: bool, config: str | None) -> None:
    """Write the budgets that a workload keeps today, with a margin, as a section of YAML to paste.

    WORKLOAD is a YAML file, or - for standard input.
    """
    if force and output is None:
        raise click.UsageError("--force: there is no --output to replace")
    import ptcalc
    from ptcalc import risk
    from ptcalc.checking.drawn import drawn
    from ptcalc.checking.margins import proposed
    from ptcalc.report.budget_report import render
    from ptcalc.workload.sizes import parse_share

    with named("--margin"):
        share = parse_share(margin, accepted="a share such as 25%")
    settings = None if config is None else risk.load_config(config)
    loaded = ptcalc.load(workload, geometries=settings.geometries if settings else None)
    say_left_out(loaded.positions)
    estimate, _ = drawn(loaded, ptcalc.estimate(loaded, policies=["today"], config=settings), settings)
    text = render(estimate, proposed(estimate, share), share)
    if output is None:
        emit(text)
        return
    with new_file(output, force=force) as file:
        file.write_text(text, encoding="utf-8")
