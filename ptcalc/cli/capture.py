"""``ptcalc capture``: a workload file from a running system, a copied /proc tree or a sosreport."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ptcalc.cli.options import debug_option, examples, named
from ptcalc.cli.output import emit
from ptcalc.cli.progress import bar
from ptcalc.errors import CannotDoHere, printable

if TYPE_CHECKING:
    from ptcalc.capture import Capture, Detail

Progress = Callable[[int, int], None]


@click.command(
    "capture",
    epilog=examples(
        "ptcalc capture",
        "ptcalc capture --proc-root examples/proc-tree --match postmaster",
    ),
)
@click.option("--proc-root", metavar="DIR", help="Read a copied /proc, or a directory with proc (and sys) in it.")
@click.option("--sosreport", metavar="FILE", help="Read a sosreport archive, in place.")
@click.option("--oom-log", metavar="FILE", help="Read the last OOM report of a kernel log, or - for standard input.")
@click.option("--pid", "pids", metavar="PID", type=click.IntRange(min=1), multiple=True, help="Only this process.")
@click.option("--user", "users", metavar="USER", multiple=True, help="Only processes of this user, by name or number.")
@click.option("--cgroup", "cgroups", metavar="PATH", multiple=True, help="Only processes in this cgroup or below it.")
@click.option(
    "--match", metavar="NAME", multiple=True, help="Only processes or programs of this name; * and ? as in a shell."
)
@click.option(
    "--detail",
    type=click.Choice(["quick", "full", "pages"]),
    default="quick",
    show_default=True,
    help="Read status and maps; smaps; or also the pagemap of one process of each group.",
)
@click.option(
    "--min-segment", metavar="SIZE", default="1 MiB", show_default=True, help="Smaller shared memory is left out."
)
@click.option(
    "--spread",
    metavar="PERCENT",
    default="4%",
    show_default=True,
    help="How far the VmPTE of processes in one group may differ.",
)
@click.option("-o", "--output", metavar="FILE", help="Write to this file, in place of standard output.")
@debug_option
def command(
    proc_root: str | None,
    sosreport: str | None,
    oom_log: str | None,
    pids: tuple[int, ...],
    users: tuple[str, ...],
    cgroups: tuple[str, ...],
    match: tuple[str, ...],
    detail: Detail,
    min_segment: str,
    spread: str,
    output: str | None,
) -> None:
    """Write a workload file of what runs here: who maps which memory, and what has been touched of it.

    Options that select processes may be repeated; a process is taken if each kind of them selects it.  What could
    not be read is said on standard error, and in the file.
    """
    if sum(source is not None for source in (proc_root, sosreport, oom_log)) > 1:
        raise click.UsageError("--proc-root, --sosreport, --oom-log: one source at a time")
    if oom_log is not None:
        _no_other_options()
        from ptcalc.capture import capture_oom_log

        _deliver(capture_oom_log(oom_log), output)
        return
    from ptcalc.capture import capture_system
    from ptcalc.workload.sizes import parse_share, parse_size

    with named("--min-segment"):
        least = parse_size(min_segment)
    with named("--spread"):
        share = float(parse_share(spread))
    with bar("processes") as progress:
        found = capture_system(
            proc_root=proc_root,
            sosreport=sosreport,
            pids=pids,
            users=users,
            cgroups=cgroups,
            match=match,
            detail=detail,
            min_segment=least,
            spread=share,
            progress=progress,
        )
    _deliver(found, output)


def _no_other_options() -> None:
    """Refuse options that say how processes are read or selected: a log has them as they were printed."""
    context = click.get_current_context()
    for parameter in context.command.params:
        if parameter.name in ("oom_log", "output") or not parameter.expose_value:
            continue
        if context.get_parameter_source(parameter.name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"{parameter.opts[0]} does not go with --oom-log")


def _deliver(found: Capture, output: str | None) -> None:
    if output is None:
        emit(found.text)
    else:
        _write(output, found.text)
    for note in found.missing:
        click.echo(f"ptcalc: {printable(note)}", err=True)


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise CannotDoHere(f"{path} cannot be written: {why}") from None
