"""``ptcalc timeline``: what happens to page tables and memory while processes run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import click

from ptcalc.cli.options import arch_option, examples, question, workload_options
from ptcalc.cli.output import emit, screen
from ptcalc.errors import CheckFailed

if TYPE_CHECKING:
    from ptcalc.result import RiskLevel
    from ptcalc.timeline.result import Timeline


def _list_choices(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from ptcalc.policies.choices import listed

        emit(listed())
        ctx.exit()


@click.command(
    "timeline",
    epilog=examples(
        "ptcalc timeline examples/connection-storm.yaml",
        "ptcalc timeline examples/connection-storm.yaml --policy today --policy file-shared --format json",
        "ptcalc timeline examples/connection-storm.yaml --choice file-shared.unused=last_user",
        "ptcalc timeline --choices",
    ),
)
@workload_options("text", "json", "csv", "markdown", "html")
@arch_option
@click.option(
    "--choices",
    "list_choices",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_list_choices,
    help="List the open choices of all policies, with their defaults, and stop.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["warning", "critical", "oom"]),
    help="Exit with 1 if today, or a chosen policy that can be deployed, ever comes to this risk or worse.",
)
def command(
    workload: str,
    form: str,
    policies: tuple[str, ...],
    choices: tuple[str, ...],
    strict: bool,
    config: str | None,
    arch: str | None,
    fail_on: RiskLevel | None,
) -> None:
    """Follow the events of a workload file: page tables, memory and risk after each of them, under every policy.

    WORKLOAD is a YAML file with events, or - for standard input.
    """
    asked = question(workload, policies=policies, choices=choices, strict=strict, config=config, arch=arch)
    if fail_on is not None:
        from ptcalc.policies import policies_of

        deployable = {each.name for each in policies_of(asked.workload.geometry) if each.availability.deployable}
        if not deployable.intersection(policies or ("today",)):
            raise click.BadParameter(
                f"it judges policies that a mainline kernel has; {', '.join(policies)} cannot be deployed",
                param_hint="--fail-on",
            )
    from ptcalc.timeline.following import follow_timeline

    found = follow_timeline(asked.workload, policies=asked.policies or None, config=asked.config, choices=asked.choices)
    emit(_rendered(found, form))
    if fail_on is not None:
        _check(found, policies or ("today",), fail_on)


def _rendered(found: Timeline, form: str) -> str:
    if form == "text":
        from ptcalc.report.timeline_report import render

        return render(found, screen())
    if form == "json":
        from ptcalc.report import json_report
        from ptcalc.report.timeline_json import to_dict

        return json_report.render(to_dict(found))
    module = {"csv": "timeline_csv", "markdown": "timeline_markdown", "html": "timeline_html"}[form]
    text: str = import_module(f"ptcalc.report.{module}").render(found)
    return text


def _check(found: Timeline, judged: tuple[str, ...], fail_on: RiskLevel) -> None:
    failed = [
        f"{policy.policy} after event {first}" if first else f"{policy.policy} at the beginning"
        for policy in found.policies
        if policy.policy in judged and policy.availability.deployable
        for level, first in policy.firsts
        if level == fail_on and first is not None
    ]
    if failed:
        raise CheckFailed(f"the risk is at or above --fail-on {fail_on}: {', '.join(failed)}")
