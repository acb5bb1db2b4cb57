"""``ptcalc completion``: the script that makes a shell ask ptcalc for what TAB offers."""

from __future__ import annotations

import click

from ptcalc.cli.options import debug_option, examples
from ptcalc.cli.output import emit

INSTRUCTION = "_PTCALC_COMPLETE"  # the environment variable by which the script asks

# What ends with an equal sign goes on; click's own function would end the word with a space.
_BASH = """
_ptcalc_going_on() {
    _ptcalc_completion "$@"
    [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
    return 0
}
complete -o nosort -F _ptcalc_going_on ptcalc
"""


@click.command("completion", epilog=examples("ptcalc completion bash"))
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@debug_option
def command(shell: str) -> None:
    """Print the script that completes commands, options, policies, files and paths of workloads.

    In bash: eval "$(ptcalc completion bash)", in ~/.bashrc.  In zsh the same with zsh, after compinit.  In fish: ptcalc
    completion fish > ~/.config/fish/completions/ptcalc.fish.
    """
    from click.shell_completion import ShellComplete, get_completion_class

    from ptcalc.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None  # click has these three
    # Not kind.source(): that of bash starts the bash at hand to look at its version, which need not be the user's.
    script = ShellComplete.source(kind(cli, {}, "ptcalc", INSTRUCTION))
    emit(script + (_BASH if shell == "bash" else ""))
