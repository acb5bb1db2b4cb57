"""Whole processes: what a user waits for, against the bare imports that it cannot do without."""

from __future__ import annotations

from benchmarks.ratio import Ratio, measure, process

SCRIPT = "import sys; from ptcalc.cli.main import main; sys.exit(main())"  # what the command `ptcalc` runs
LIBRARIES = "import click, yaml, numpy, rich.console, rich.table; from pydantic import BaseModel"


def estimate() -> Ratio:
    """The first report against the libraries that it uses."""
    run = process(SCRIPT, "estimate", "examples/oracle-sga-1500.yaml")
    return measure("estimate / bare imports", run, process(LIBRARIES), limit=1.5, rounds=15)


def help_text() -> Ratio:
    """The help text against click alone."""
    return measure("--help / import click", process(SCRIPT, "--help"), process("import click"), limit=1.5, rounds=25)


# The commands of ptcalc in a program that is click and nothing else: what TAB costs anyway.
BARE = """
import sys
import click
from click.shell_completion import shell_complete

names = sys.argv[1].split(",")
cli = click.Group("ptcalc", commands={name: click.Command(name, short_help=name) for name in names})
options = [click.Option([option]) for option in ("--policy", "--format", "--config", "--strict")]
cli.add_command(click.Command("estimate", params=[click.Argument(["workload"]), *options]))
sys.exit(shell_complete(cli, {}, "ptcalc", "_PTCALC_COMPLETE", "bash_complete"))
"""


def _tab(typed: str, before: str = "") -> Ratio:
    from ptcalc.cli.main import COMMANDS

    asked = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), "_PTCALC_COMPLETE": "bash_complete"}
    ours = process(SCRIPT, environment=asked)
    bare = process(before + BARE, ",".join(COMMANDS), environment=asked)
    return measure(f"TAB after '{typed}' / bare click", ours, bare, limit=1.5, rounds=25)


def command_tab() -> Ratio:
    """TAB for a command against a click program with the same commands."""
    return _tab("ptcalc ")


def option_tab() -> Ratio:
    """TAB for an option of a command."""
    return _tab("ptcalc estimate --")


def policy_tab() -> Ratio:
    """TAB for the name of a policy."""
    return _tab("ptcalc estimate --policy hu")


def path_tab() -> Ratio:
    """TAB for a value of a workload, against a program that has what reads it."""
    return _tab("ptcalc sweep examples/postgres-600.yaml --vary proc", "import yaml")
