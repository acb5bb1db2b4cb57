"""The pages of docs/reference that are made of what ptcalc says of itself: the help of every command.

`./run golden` writes them, and test_docs.py fails where they are stale.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from ptcalc.cli.main import COMMANDS, cli

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs/reference"
WRITTEN = "<!-- Written by ./run golden from what ptcalc says of itself; changes here are lost. -->\n\n"


def pages() -> dict[str, str]:
    """Return the pages by their names."""
    return {"commands.md": WRITTEN + "\n".join(_commands())}


def _commands() -> Iterator[str]:
    yield "# Commands\n"
    yield "What `--help` says of each of them. Exit codes are the same for all: [exit-codes.md](../exit-codes.md).\n"
    yield "```text"
    yield f"{_help()}```\n"
    for name in COMMANDS:
        yield from _command([name], cli.get_command(click.Context(cli), name))


def _command(words: list[str], command: click.Command | None) -> Iterator[str]:
    """Yield the section of a command, and of those below it."""
    assert command is not None
    yield f"{'#' * (len(words) + 1)} ptcalc {' '.join(words)}\n"
    yield "```text"
    yield f"{_help(*words)}```\n"
    for name, below in command.commands.items() if isinstance(command, click.Group) else ():
        yield from _command([*words, name], below)


def _help(*words: str) -> str:
    """Return what a command prints, as into a pipe."""
    code = "import sys; from ptcalc.cli.main import main; sys.exit(main())"
    answer = subprocess.run(
        [sys.executable, "-P", "-c", code, *words, "--help"], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True,
        encoding="utf-8", check=True,
    )  # fmt: skip
    return answer.stdout
