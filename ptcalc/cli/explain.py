"""``ptcalc explain``: the arithmetic with the numbers filled in, and why a table is not shared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from ptcalc.cli.exports import report
from ptcalc.cli.options import arch_option, examples, question, workload_options
from ptcalc.cli.output import say_left_out
from ptcalc.errors import printable
from ptcalc.report.formats import EXPLAIN

if TYPE_CHECKING:
    from ptcalc.result import Estimate


@click.command(
    "explain",
    epilog=examples(
        "ptcalc explain examples/oracle-sga-1500.yaml --policy today",
        "ptcalc explain examples/oracle-sga-1500.yaml --policy file-shared --format json",
    ),
)
@workload_options(*EXPLAIN)
@arch_option
@click.option("--group", metavar="NAME", help="Only this group of processes.")
def command(
    workload: str,
    form: str,
    policies: tuple[str, ...],
    choices: tuple[str, ...],
    strict: bool,
    config: str | None,
    arch: str | None,
    group: str | None,
) -> None:
    """Show the arithmetic: level by level, mapping by mapping, and why what is not shared is not.

    WORKLOAD is a YAML file, or - for standard input.
    """
    asked = question(workload, policies=policies, choices=choices, strict=strict, config=config, arch=arch)
    say_left_out(asked.workload.positions)
    estimate = asked.estimate()
    if group is not None:
        estimate = _of_group(estimate, group)
    report(EXPLAIN, form, estimate, (), force=False)


def _of_group(estimate: Estimate, group: str) -> Estimate:
    """Return `estimate` with the processes and mappings of `group` alone; the sums stay those of all."""
    known = dict.fromkeys(process.name for result in estimate.policies for process in result.processes)
    if group not in known:
        names = ", ".join(printable(name) for name in known)
        raise click.BadParameter(f"no group is called '{printable(group)}'; there are {names}", param_hint="--group")
    return replace(
        estimate,
        policies=tuple(
            replace(
                result,
                processes=tuple(process for process in result.processes if process.name == group),
                mappings=tuple(mapping for mapping in result.mappings if mapping.group == group),
            )
            for result in estimate.policies
        ),
    )
