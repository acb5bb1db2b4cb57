"""``ptcalc plot``: one chart of a report as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ptcalc.cli.files import new_file
from ptcalc.cli.options import arch_option, examples, question, require, workload_options
from ptcalc.cli.output import say_left_out
from ptcalc.errors import printable

if TYPE_CHECKING:
    from ptcalc.charting import Charts

FORMS = ("png", "svg")
CHARTS = ("policies", "tables", "demand", "risk")


@click.command(
    "plot",
    epilog=examples(
        "ptcalc plot examples/oracle-sga-1500.yaml --chart demand --output demand.png",
        "ptcalc plot examples/saved/oracle-sga-1500.json --chart policies --output policies.svg",
    ),
)
@workload_options()
@arch_option
@click.option(
    "--chart",
    required=True,
    type=click.Choice(CHARTS),
    help="Which one: demand or page tables of all policies, demand over the processes, or risk.",
)
@click.option("--output", metavar="FILE", required=True, help="Where to: its ending, .png or .svg, says in which form.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def command(
    workload: str,
    policies: tuple[str, ...],
    choices: tuple[str, ...],
    strict: bool,
    config: str | None,
    arch: str | None,
    chart: str,
    output: str,
    force: bool,
) -> None:
    """Draw one chart of the HTML report as a PNG or SVG file, with matplotlib.

    WORKLOAD is a YAML file, - for standard input, or a result that --format json has printed, whose name ends in .json.
    """
    form = output.rpartition(".")[2].lower()
    if form not in FORMS:
        raise click.BadParameter(f"'{printable(output)}' ends neither in .png nor in .svg", param_hint="--output")
    if workload.lower().endswith(".json"):
        if policies or choices or strict or config or arch:
            raise click.UsageError("a saved result is drawn as it is: options that ask anew go with a workload file")
        from ptcalc.saved import load_result

        estimate = load_result(workload)
    else:
        asked = question(workload, policies=policies, choices=choices, strict=strict, config=config, arch=arch)
        say_left_out(asked.workload.positions)
        estimate = asked.estimate()
    from ptcalc.charting import charts_of

    _save(charts_of(estimate, sliders=False), chart, form, output, force=force)


def _save(charts: Charts, chart: str, form: str, output: str, *, force: bool) -> None:
    from ptcalc.report.plot import save

    found = {each.name: each for each in charts.charts}
    require(chart, found, "chart of this workload", "--chart")
    with new_file(output, force=force) as path, path.open("wb") as file:
        save(found[chart], file, "svg" if form == "svg" else "png")
