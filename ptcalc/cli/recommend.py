"""``ptcalc recommend``: what to change, with the saving of each, as a report or as fragments of configuration files."""

from __future__ import annotations

from typing import cast

import click

from ptcalc.cli.options import arch_option, debug_option, examples, require
from ptcalc.cli.output import emit, say_left_out, screen
from ptcalc.errors import printable

FORMS = ("text", "json", "sysctl", "systemd", "tmpfiles", "cmdline", "fstab", "init.ora", "postgresql.conf")


@click.command(
    "recommend",
    epilog=examples(
        "ptcalc recommend examples/oracle-sga-1500.yaml",
        "ptcalc recommend examples/oracle-sga-1500.yaml --format sysctl",
        "ptcalc recommend examples/postgres-600.yaml --pick hugetlb-1G --format cmdline",
    ),
)
@click.argument("workload", metavar="WORKLOAD")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    default="text",
    show_default=True,
    help="A report for people or programs, or the lines for one kind of file.",
)
@click.option(
    "--pick", metavar="CODE", help="Only this recommendation, or as-written.  [default in files: where to start]"
)
@click.option(
    "--limit",
    "stated",
    metavar="NAME=VALUE",
    multiple=True,
    help="What the host allows: kernel.shmmax, kernel.shmall, /dev/shm, memlock.  [default: as the kernel starts]",
)
@click.option("--shm-group", metavar="GID", type=click.IntRange(0, 2**32 - 2), help="The group that uses huge pages.")
@click.option("--strict", is_flag=True, help="Refuse to guess a default that matters.")
@click.option("--config", metavar="FILE", help="Thresholds and constants, see configs/default.yaml.")
@arch_option
@debug_option
def command(
    workload: str,
    form: str,
    pick: str | None,
    stated: tuple[str, ...],
    shm_group: int | None,
    strict: bool,
    config: str | None,
    arch: str | None,
) -> None:
    """Say what to change, the best saving first: what it saves, the risk afterwards, and what it needs.

    WORKLOAD is a YAML file, or - for standard input.  Only what a released kernel can do is recommended, and nothing
    is ever applied.
    """
    host_limits = _limits(stated)
    from dataclasses import replace

    import ptcalc
    from ptcalc import risk
    from ptcalc.recommend import Form, limits
    from ptcalc.report import recommend_report as report
    from ptcalc.workload.source import Override

    for name in host_limits:
        require(name, limits.NAMES, "limit", "--limit")
    settings = None if config is None else risk.load_config(config)
    loaded = ptcalc.load(
        workload,
        strict=strict,
        geometries=settings.geometries if settings else None,
        overrides=() if arch is None else [Override(("host", "arch"), arch, f"--arch {arch}")],
    )
    say_left_out(loaded.positions)
    found = ptcalc.recommend_changes(loaded, config=settings, host_limits=host_limits, shm_group=shm_group)
    if pick is not None:
        require(pick, [*(advice.code for advice in found.advice), "as-written"], "recommendation", "--pick")
    if form in ("text", "json"):
        if pick is not None:
            chosen = () if pick == "as-written" else (found.find(pick),)
            found = replace(found, advice=chosen, start=pick, rejected=(), ideas=())
        if form == "json":
            from ptcalc.report.json_report import render

            emit(render(report.to_dict(found)))
        else:
            emit(report.render_text(found, screen()))
        return
    emit(report.render_fragment(found, found.find(pick or found.start), cast("Form", form)))


def _limits(stated: tuple[str, ...]) -> dict[str, str]:
    """Return ``NAME=VALUE`` texts as name -> value."""
    found: dict[str, str] = {}
    for text in stated:
        name, given, value = text.partition("=")
        if not (name and given and value):
            raise click.BadParameter(f"'{printable(text)}' is not of the form NAME=VALUE", param_hint="--limit")
        if name in found:
            raise click.BadParameter(f"{printable(name)} is given twice", param_hint="--limit")
        found[name] = value
    return found
