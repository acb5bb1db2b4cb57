"""``ptcalc arch`` and ``--arch``: which architectures there are, one of them shown, and a workload on another one."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from ptcalc import arch
from ptcalc.cli.arch import command as group
from ptcalc.cli.main import main

CONFIG = "geometries:\n  mine: {like: x86_64, kernel_stack: 64 KiB}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config with an architecture of its own."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


def test_list_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Every architecture has its line, every alias is told."""
    assert main(["arch", "list"]) == 0

    out = capsys.readouterr().out
    assert set(arch.names()) <= set(out.replace(",", " ").replace(":", " ").split())


def test_list_for_programs(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as JSON, those of a config file among them."""
    assert main(["arch", "list", "--format", "json", "--config", str(config)]) == 0

    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == "ptcalc.arch-list/1"
    assert [each["name"] for each in report["architectures"]] == [*arch.known(), "mine"]


@pytest.mark.parametrize("name", arch.names())
def test_every_name_is_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Names and aliases lead to the same page."""
    assert main(["arch", "show", name, "--format", "json"]) == 0

    assert json.loads(capsys.readouterr().out)["name"] == arch.get(name).name


def test_kernel_decides_what_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """PUD tables are in PageTables since 6.7; before 5.11 there is no line in memory.stat."""
    found = {}
    for kernel in ("5.4", "6.6", "6.7"):
        assert main(["arch", "show", "x86_64", "--kernel", kernel, "--format", "json"]) == 0
        tables = json.loads(capsys.readouterr().out)["tables"]
        found[kernel] = next(each["counters"] for each in tables if each["level"] == "pud")

    assert {kernel: counters["page_tables_bytes"] for kernel, counters in found.items()} == {
        "5.4": 0,
        "6.6": 0,
        "6.7": 4096,
    }
    assert (found["5.4"]["memory_stat_bytes"], found["6.6"]["memory_stat_bytes"]) == (None, 0)


def test_own_architecture_is_shown(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of a config file is shown like any other."""
    assert main(["arch", "show", "mine", "--config", str(config)]) == 0

    assert "kernel stack: 64 KiB" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["arch"], "Usage: ptcalc arch"),
        (["arch", "show"], "NAME"),
        (["arch", "show", "x86_46"], "'x86_46' is no architecture; did you mean 'x86_64'? accepted: x86_64, "),
        (["arch", "show", "s390"], "accepted: s390x, "),
        (["arch", "show", "mine"], "'mine' is no architecture"),
        (["arch", "show", "x86_64", "--kernel", "9.9"], "accepted: a version from"),
        (["arch", "show", "x86_64", "--config", "missing.yaml"], "missing.yaml: cannot be read"),
        (["arch", "show", "\x1b[31m"], "'\\x1b[31m' is no architecture"),
        (["arch", "list", "--format", "csv"], "'text', 'json'"),
        (["estimate", "{}", "--arch", "x86_46"], "--arch x86_46: host.arch: unknown architecture 'x86_46'"),
        (["explain", "{}", "--arch", ""], "--arch : host.arch: no value"),
    ],
)
def test_wrong_usage(workload: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage is 2, names what would be accepted, and leaves standard output empty."""
    assert main([argument.replace("{}", str(workload)) for argument in arguments]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


@pytest.mark.parametrize("name", list(group.commands))
def test_commands_are_explained(name: str) -> None:
    """Each command says what it does, shows how it is called, and has no option without a word of help."""
    command = group.commands[name]
    page = command.get_help(click.Context(command, info_name=f"ptcalc arch {name}"))

    assert f"\n    ptcalc arch {name}" in page
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


@pytest.mark.parametrize("command", ["estimate", "explain"])
def test_workload_on_another_machine(
    workload: Path, command: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--arch says what host.arch would; a name from the config is as good."""
    reports = []
    for name in ("x86_64-la57", "mine"):
        assert main([command, str(workload), "--arch", name, "--config", str(config), "--format", "json"]) == 0
        reports.append(json.loads(capsys.readouterr().out))

    assert [report["workload"]["arch"] for report in reports] == ["x86_64-la57", "mine"]
    for report in reports:
        assert "host.arch" not in {assumption["key"] for assumption in report["assumptions"]}
