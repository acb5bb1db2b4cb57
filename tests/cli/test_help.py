"""Help of every command, and the examples in it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from _pytest.mark import ParameterSet

from ptcalc import __version__
from ptcalc.cli.main import COMMANDS, cli, main

ROOT = Path(__file__).parents[2]


def _help(name: str) -> str:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command.get_help(click.Context(command, info_name=f"ptcalc {name}"))


def _examples() -> list[str]:
    with click.Context(cli) as context:
        pages = [cli.get_help(context), *map(_help, COMMANDS)]
    return [line.strip() for page in pages for line in re.findall(r"^ +ptcalc .*$", page, re.MULTILINE)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example(name: str) -> None:
    """The help of each command shows how it is called."""
    assert re.search(rf"^ +ptcalc {name} \S", _help(name), re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    """No option without a word of help."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help, parameter.name


def _marked(example: str) -> ParameterSet | str:
    return pytest.param(example, marks=pytest.mark.kernel) if example.startswith("ptcalc verify") else example


@pytest.mark.usefixtures("early_readings")
@pytest.mark.parametrize("example", [_marked(example) for example in _examples()])
def test_examples_run(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What help shows can be typed."""
    writes = " --output " in example
    if writes:
        (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path if writes else ROOT)

    code = main(shlex.split(example)[1:])
    out, said = capsys.readouterr()
    if code == 3 and example.startswith("ptcalc verify"):
        pytest.skip(said)

    assert code == 0, said
    assert out or len(list(tmp_path.iterdir())) == 2


def test_unknown_command_is_not_looked_for() -> None:
    """A command that does not exist is none, not an import that fails."""
    assert cli.get_command(click.Context(cli), "os") is None


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is the package's."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"ptcalc {__version__}\n"
