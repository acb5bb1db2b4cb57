"""The command ``ptcalc``: its lazily loaded commands, and the one place that turns errors into exit codes.

0 done; 1 a check failed; 2 wrong usage or bad input; 3 cannot be done here; 70 a defect of ptcalc;
130 interrupted.  This module imports click and nothing else that is heavy; so do ``--help``, ``--version``
and completion.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import click

from ptcalc import __version__
from ptcalc.cli.options import examples
from ptcalc.cli.output import discard
from ptcalc.errors import PtcalcError, printable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

DEFECT, INTERRUPTED, BAD_USAGE, CANNOT_DO_HERE = 70, 130, 2, 3

# Command -> where it lives, and what it is for; the modules are imported when their command is asked for.
COMMANDS = {
    "estimate": ("ptcalc.cli.estimate", "Page tables under every policy; does the machine still fit?"),
    "explain": ("ptcalc.cli.explain", "The arithmetic behind it, and why tables are not shared."),
    "render": ("ptcalc.cli.render", "A saved result in another format."),
    "schema": ("ptcalc.cli.schema", "JSON Schemas, for editors and programs."),
    "sweep": ("ptcalc.cli.sweep", "The same with other values, on other machines."),
    "solve": ("ptcalc.cli.solve", "The largest value that still fits."),
    "diff": ("ptcalc.cli.diff", "What a change does, and which edited line does it."),
    "timeline": ("ptcalc.cli.timeline", "Events over time: storms, protection, growth, reclaim."),
    "plot": ("ptcalc.cli.plot", "A chart of the report as a picture, PNG or SVG."),
    "check": ("ptcalc.cli.check", "Do workloads keep to what a team has agreed on? For CI."),
    "budget": ("ptcalc.cli.budget", "Budgets for check, from today's figures."),
    "init": ("ptcalc.cli.init", "A workload file to start from, or of a database's configuration."),
    "capture": ("ptcalc.cli.capture", "A workload file from a running system."),
    "autopsy": ("ptcalc.cli.autopsy", "From a kernel's OOM report: was it page tables?"),
    "recommend": ("ptcalc.cli.recommend", "What to change, the best saving first; ready to paste."),
    "verify": ("ptcalc.cli.verify", "Does the running kernel say the same?"),
    "arch": ("ptcalc.cli.arch", "The architectures: which tables there are, and what they take."),
    "completion": ("ptcalc.cli.completion", "What TAB offers, for bash, zsh and fish."),
}


class Settings:
    """What options mean for the outermost level."""

    def __init__(self) -> None:
        self.debug = False


class LazyGroup(click.Group):
    """A group whose commands are the attribute ``command`` of the modules in `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command; None if there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module, short_help = COMMANDS[cmd_name]
        command = cast(click.Command, importlib.import_module(module).command)
        command.short_help = short_help
        if ctx.resilient_parsing:  # so it is for completion, and only then
            from ptcalc.cli.completing import complete

            complete(command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer commands without importing any."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=short_help)
            for name, (_, short_help) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short_help) for name, (_, short_help) in COMMANDS.items()])


def _version(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        click.echo(f"ptcalc {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples("ptcalc estimate examples/oracle-sga-1500.yaml"),
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version.")
def cli() -> None:
    """Say what page tables cost, who owns them, and whether the machine still fits."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (default: those of the process) and return the exit code."""
    settings = Settings()
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments), settings)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        _say(_usage(error))
        return BAD_USAGE
    except click.ClickException as error:
        _say(f"ptcalc: {printable(error.format_message())}")
        return BAD_USAGE
    except PtcalcError as error:
        _say(error.render())
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say("ptcalc: interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a help text has seen enough
        discard()
        return 0
    except MemoryError:
        _say("ptcalc: not enough memory for this workload")
        return CANNOT_DO_HERE
    except Exception as error:  # noqa: BLE001  # whatever it is, nobody is shown a traceback
        _say(_defect(error, settings))
        return DEFECT


def _run(arguments: list[str], settings: Settings) -> int:
    instruction = os.environ.get("_PTCALC_COMPLETE")
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, "ptcalc", "_PTCALC_COMPLETE", instruction)
    # Not cli.main(): click's own top level exits by itself, with codes that mean something else here.
    with cli.make_context("ptcalc", arguments, obj=settings) as context:
        cli.invoke(context)
    return 0


def _usage(error: click.UsageError) -> str:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message()
    lines = []
    if error.ctx is not None:
        lines += [error.ctx.get_usage(), f"Try '{error.ctx.command_path} --help' for help.", ""]
    return "\n".join([*lines, f"ptcalc: {printable(error.format_message())}"])


def _defect(error: Exception, settings: Settings) -> str:
    if settings.debug:
        import traceback

        return "".join(traceback.format_exception(error)).rstrip()
    what = printable(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    return f"ptcalc: a defect of ptcalc, not of your input: {what} (--debug shows the details)"


def _say(message: str) -> None:
    """Write `message` to standard error, if there is one that takes it."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(message, err=True)
