"""``ptcalc diff``: what a change does to page tables, and which edit did it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ptcalc.cli.exports import export_options, read_exports, report
from ptcalc.cli.options import arch_option, debug_option, examples, format_option, named, read_answers
from ptcalc.cli.output import say_events
from ptcalc.errors import CheckFailed
from ptcalc.report.formats import DIFF

if TYPE_CHECKING:
    from ptcalc.diffing.result import Name


@click.command(
    "diff",
    epilog=examples(
        "ptcalc diff examples/oracle-sga-1500.yaml examples/oracle-sga-1500-24pct-scattered.yaml --policy today",
        "ptcalc diff examples/saved/oracle-sga-1500.json examples/oracle-sga-1500.yaml --fail-on-growth 5%",
    ),
)
@click.argument("base", metavar="BASE")
@click.argument("new", metavar="NEW")
@format_option(*DIFF)
@click.option("--policy", "policies", metavar="NAME", multiple=True, help="Only this policy; may be repeated.")
@click.option(
    "--fail-on-growth",
    metavar="SHARE",
    help="Exit with 1 if page tables grow by more than this share; of today, or of each --policy.",
)
@click.option(
    "--growth-of",
    type=click.Choice(["page_tables", "demand"]),
    help="What may not grow.  [default: page_tables]",
)
@click.option(
    "--choice",
    "choices",
    metavar="POLICY.NAME=VALUE",
    multiple=True,
    help="Settle an open choice of a policy on both sides; may be repeated.",
)
@click.option("--config", metavar="FILE", help="Thresholds and constants for both sides.")
@arch_option
@export_options
@debug_option
def command(
    base: str,
    new: str,
    form: str,
    policies: tuple[str, ...],
    fail_on_growth: str | None,
    growth_of: Name | None,
    choices: tuple[str, ...],
    config: str | None,
    arch: str | None,
    exports: tuple[str, ...],
    force: bool,
) -> None:
    """Show what changes from BASE to NEW under each policy, the biggest mover first, and which edited line moved it.

    Each is a workload file, a result that estimate --format json has saved, or - for standard input. Saved results
    are taken as they are, and a workload beside one is asked the same. With --config, --choice or --arch both are
    evaluated.
    """
    to_write = read_exports(exports, DIFF, force=force)
    answers = read_answers(choices, policies)
    if growth_of is not None and fail_on_growth is None:
        raise click.UsageError("--growth-of: there is no --fail-on-growth that judges it")
    from ptcalc import risk
    from ptcalc.diffing import diff
    from ptcalc.workload.sizes import parse_growth

    allowed = None
    if fail_on_growth is not None:
        with named("--fail-on-growth"):
            allowed = parse_growth(fail_on_growth)
    found = diff(
        base,
        new,
        policies=policies,
        config=None if config is None else risk.load_config(config),
        choices=answers,
        arch=arch,
        allowed_growth=allowed,
        growth_of=growth_of or "page_tables",
    )
    for side in (found.base, found.new):
        if side.events_left_out:
            say_events(side.file)
    report(DIFF, form, found, to_write, force=force)
    if found.failed:
        names = ", ".join(each.policy for each in found.growth if each.failed)
        raise CheckFailed(f"growth beyond --fail-on-growth {fail_on_growth}: {names}")
