"""``ptcalc arch``: the architectures that ptcalc knows, and the tables of one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from ptcalc.cli.options import Command, debug_option, examples, format_option, require
from ptcalc.cli.output import emit, screen

if TYPE_CHECKING:
    from ptcalc.arch import Geometry


def _options(command: Command) -> Command:
    config = click.option("--config", metavar="FILE", help="A config with architectures of your own.")
    return format_option("text", "json")(config(debug_option(command)))


@click.group(
    "arch",
    epilog=examples("ptcalc arch list", "ptcalc arch show x86_64"),
)
def command() -> None:
    """Say which architectures ptcalc knows, and what their page tables look like."""


@command.command(
    "list",
    short_help="All architectures.",
    epilog=examples("ptcalc arch list", "ptcalc arch list --format json"),
)
@_options
def list_command(form: str, config: str | None) -> None:
    """List the architectures: page size, levels, huge pages, and the short names that some have."""
    from ptcalc.report import arch_report

    geometries = _geometries(config).values()
    if form == "json":
        from ptcalc.report.json_report import render

        emit(render(arch_report.list_to_dict(geometries)))
    else:
        emit(arch_report.render_list(geometries, screen()))


@command.command(
    "show",
    short_help="The tables of one architecture.",
    epilog=examples("ptcalc arch show x86_64", "ptcalc arch show x86_64-la57 --kernel 6.1 --format json"),
)
@click.argument("name", metavar="NAME")
@click.option("--kernel", metavar="VERSION", help="As this kernel has and counts them; default: the newest known.")
@_options
def show_command(name: str, kernel: str | None, form: str, config: str | None) -> None:
    """Draw how an architecture splits an address, and say what its tables span, take and add to the counters.

    NAME is one of `ptcalc arch list`.
    """
    from ptcalc import arch
    from ptcalc.arch import kernels
    from ptcalc.report import arch_report

    geometries = _geometries(config)
    require(name, _nearest_first(name, {*geometries, *arch.names()}), "architecture", "NAME")
    geometry = arch.get(name, geometries)
    try:
        version = kernels.parse(kernel or kernels.NEWEST_TEXT)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--kernel") from None
    if form == "json":
        from ptcalc.report.json_report import render

        emit(render(arch_report.show_to_dict(geometry, version)))
    else:
        emit(arch_report.render_show(geometry, version, screen()))


def _geometries(config: str | None) -> Mapping[str, Geometry]:
    """Return the known architectures and those of a config file, whose names come first."""
    from ptcalc import arch

    if config is None:
        return arch.known()
    from ptcalc.risk import load_config

    return {**arch.known(), **load_config(config).geometries}


def _nearest_first(name: str, known: set[str]) -> list[str]:
    from difflib import SequenceMatcher

    matcher = SequenceMatcher(b=name[:100])

    def distance(each: str) -> tuple[float, str]:
        matcher.set_seq1(each)
        return (-matcher.ratio(), each)

    return sorted(known, key=distance)
