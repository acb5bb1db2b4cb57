"""``ptcalc autopsy``: was it page tables that memory ran out of?"""

from __future__ import annotations

import click

from ptcalc.cli.options import debug_option, examples, format_option
from ptcalc.cli.output import emit, screen


@click.command(
    "autopsy",
    epilog=examples(
        "ptcalc autopsy examples/oom.log",
        "ptcalc autopsy examples/oom.log --report 1 --format json",
    ),
)
@click.argument("log", metavar="LOG")
@format_option("text", "json")
@click.option(
    "--report",
    "number",
    metavar="N",
    type=click.IntRange(min=1),
    help="This one of the log's reports; default: where page tables were the largest share of memory.",
)
@click.option("--config", metavar="FILE", help="Thresholds and constants, see configs/default.yaml.")
@debug_option
def command(log: str, form: str, number: int | None, config: str | None) -> None:
    """Say whether it was page tables that memory ran out of, who held them, and what would have prevented it.

    LOG is a kernel log (dmesg, journalctl -k, /var/log/messages), or - for standard input.
    """
    from ptcalc import autopsy, risk
    from ptcalc.report import autopsy_report

    settings = None if config is None else risk.load_config(config)
    reports = autopsy.read_reports(log)
    if number is not None and number > len(reports):
        raise click.BadParameter(f"the log has {len(reports):,} OOM reports", param_hint="--report")
    chosen = autopsy.gravest(reports) if number is None else number - 1
    found = autopsy.examine(reports[chosen], settings)
    if form == "json":
        from ptcalc.report.json_report import render

        emit(render(autopsy_report.to_dict(log, reports, chosen, found)))
    else:
        emit(autopsy_report.render(log, reports, chosen, found, screen()))
