"""``ptcalc check``: whether workloads keep to thresholds and budgets, for CI."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

import click

from ptcalc.cli.exports import export_options, read_exports, report
from ptcalc.cli.options import debug_option, examples, fail_probability_option
from ptcalc.errors import CheckFailed, InputError
from ptcalc.report.formats import CHECK

if TYPE_CHECKING:
    from fractions import Fraction

    from ptcalc.checking.result import CheckResult, Problem
    from ptcalc.result import RiskLevel

# Where GitHub Actions reads the summary of a step, in Markdown.
SUMMARY = "GITHUB_STEP_SUMMARY"
SHOWN = 5  # files that are named on standard error


@click.command(
    "check",
    epilog=examples(
        "ptcalc check examples/container-cgroup.yaml",
        "ptcalc check examples/oracle-sga-1500.yaml --policy hugetlb-2M --fail-on warning",
        "ptcalc check examples --exit-zero --format json",
    ),
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(tuple(CHECK)),
    default="text",
    show_default=True,
    help="For people, or for programs.",
)
@click.option(
    "--policy",
    "policies",
    metavar="NAME",
    multiple=True,
    help="Judge this policy; may be repeated.  [default: today]",
)
@click.option("--hypothetical", is_flag=True, help="Judge also policies that no mainline kernel has.")
@click.option(
    "--fail-on",
    type=click.Choice(["warning", "critical", "oom"]),
    default="oom",
    show_default=True,
    help="Fail if the risk of a judged policy is this or worse.",
)
@fail_probability_option
@click.option("--config", metavar="FILE", help="Thresholds, budgets and acceptances for all files.")
@export_options
@click.option("--exit-zero", is_flag=True, help="Exit with 0 though a check has failed.")
@debug_option
def command(
    files: tuple[str, ...],
    form: str,
    policies: tuple[str, ...],
    hypothetical: bool,
    fail_on: RiskLevel,
    fail_probability: Fraction | None,
    config: str | None,
    exports: tuple[str, ...],
    force: bool,
    exit_zero: bool,
) -> None:
    """Judge workload files by the risk of running out of memory, and by the budgets that they and a config hold.

    FILE is a workload file, a folder with some, or - for standard input. Each is judged, and the worst decides: exit
    code 1 if one fails, 2 if one is no workload.
    """
    to_write = read_exports(exports, CHECK, force=force)
    from ptcalc.checking.judging import JUDGED, check
    from ptcalc.scenarios.uncertainty import FAIL_PROBABILITY

    result = check(
        files,
        policies=policies or JUDGED,
        hypothetical=hypothetical,
        fail_on=fail_on,
        fail_probability=FAIL_PROBABILITY if fail_probability is None else fail_probability,
        config=config,
    )
    report(CHECK, form, result, to_write, force=force)
    if form == "github":
        _summarize(result)
    _decide(result, exit_zero=exit_zero)


def _summarize(result: CheckResult) -> None:
    """Append the summary of a step of GitHub Actions to the file that it has for this, if it has one."""
    path = os.environ.get(SUMMARY)
    if not path:
        return
    summary: str = import_module("ptcalc.report.github").summary(result)
    try:
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(summary)
    except OSError as error:
        raise InputError(f"${SUMMARY}, {path}, cannot be written: {error.strerror}") from None


def _decide(result: CheckResult, *, exit_zero: bool) -> None:
    """Raise what decides about the exit code: files that cannot be judged, then those that fail."""
    broken = [
        InputError(_sentence(problem), file=problem.file, line=problem.line, column=problem.column)
        for problem in result.problems
        if problem.rule == "invalid-workload"
    ]
    if broken:
        first, *more = broken
        first.more = tuple(more)
        raise first
    failed = [file.file for file in result.files if not file.passed]
    if failed and not exit_zero:
        names = ", ".join(failed[:SHOWN]) + (f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else "")
        raise CheckFailed(f"{len(failed)} of {len(result.files)} files failed the check: {names}")


def _sentence(problem: Problem) -> str:
    return f"{problem.message}; {problem.remedy}" if problem.remedy else problem.message
