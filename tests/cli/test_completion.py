"""What TAB offers, in the shells themselves: bash, zsh and fish.

bash fills COMPREPLY as at a prompt, and one line is typed into an interactive bash; fish answers ``complete -C``; zsh
is typed into.  zsh and fish are skipped where they are not installed (Debian: ``apt install zsh fish``).
"""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from ptcalc.arch import get
from ptcalc.cli.completing import AFTER, BEFORE, HUGE, _scalars, complete
from ptcalc.cli.main import COMMANDS, cli
from ptcalc.policies import policies_of

ROOT = Path(__file__).parent.parent.parent

# What is typed, and what TAB offers of it: exactly, or among others.
CASES: list[tuple[str, list[str], bool]] = [
    ("ptcalc esti", ["estimate"], True),
    ("ptcalc ", list(COMMANDS), True),
    ("ptcalc --ver", ["--version"], True),
    ("ptcalc arch ", ["list", "show"], True),
    ("ptcalc budget ", ["init"], True),
    ("ptcalc estimate --forma", ["--format"], True),
    ("ptcalc estimate --format ", ["text", "json"], False),
    ("ptcalc check --fail-on ", ["warning", "critical", "oom"], False),
    ("ptcalc estimate --policy huge", ["hugetlb-2M", "hugetlb-1G"], True),
    ("ptcalc estimate --policy today --policy ms", ["mshare"], True),
    ("ptcalc sweep --arch x86_64 --policy t", ["today", "thp"], True),
    ("ptcalc estimate --arch loong", ["loongarch64-4k", "loongarch64-16k", "loongarch64-64k", "loongarch64"], False),
    ("ptcalc arch show s39", ["s390x"], False),
    ("ptcalc init ora", ["oracle"], True),
    ("ptcalc completion ", ["bash", "zsh", "fish"], True),
    ("ptcalc sweep examples/amm-dev-shm.yaml --vary segments.", [
        "segments.memory-target.size=", "segments.memory-target.pieces=", "segments.memory-target.backing=",
        "segments.memory-target.thp=", "segments.memory-target.resident=",
    ], True),
    ("ptcalc sweep examples/amm-dev-shm.yaml --policy today --vary host.a", ["host.arch="], True),
    ("ptcalc sweep missing.yaml --vary host", ["host.arch="], True),
    ("ptcalc sweep missing.yaml --vary proc", [], True),
]  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH on which ``ptcalc`` is this checkout's."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "ptcalc"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {sys.executable} -P -m ptcalc "$@"\n')
    command.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory, path: str) -> Path:
    """The scripts that the command prints, as files named after the shells."""
    folder = tmp_path_factory.mktemp("scripts")
    for shell in ("bash", "zsh", "fish"):
        printed = subprocess.run(
            ["ptcalc", "completion", shell],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        assert not printed.stderr
        (folder / shell).write_text(printed.stdout)
    return folder


def agrees(offered: list[str], expected: list[str], exactly: bool) -> bool:
    return sorted(offered) == sorted(expected) if exactly else set(expected) <= set(offered)


def test_bash(script: Path, path: str) -> None:
    """The function fills COMPREPLY; all cases in one bash."""
    lines = [
        f"source {script}/bash",
        "_ask() { COMPREPLY=(); _ptcalc_going_on ptcalc 2>/dev/null; }",
        "compopt() { :; }",
    ]
    for typed, _, _ in CASES:
        words = typed.split(" ")
        lines.append(f"COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}; _ask")
        lines.append('echo "${COMPREPLY[@]}"')
    answer = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)], cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    offered = [line.split() for line in answer.stdout.splitlines()]

    assert len(offered) == len(CASES)
    assert [case for case, found in zip(CASES, offered, strict=True) if not agrees(found, *case[1:])] == []


def test_fish(script: Path, path: str) -> None:
    """``complete -C`` is what fish shows at a TAB."""
    if shutil.which("fish") is None:
        pytest.skip("no fish here: apt install fish")
    lines = [f"source {script}/fish"]
    for typed, _, _ in CASES:
        lines += [f"complete -C {shlex.quote(typed)}", "echo ---"]
    answer = subprocess.run(
        ["fish", "--no-config", "-c", "\n".join(lines)], cwd=ROOT, env={**os.environ, "PATH": path},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = [
        [line.split("\t")[0] for line in part.split("\n") if line]
        for part in answer.stdout.split("---\n")[: len(CASES)]
    ]

    # Where ptcalc offers nothing, fish offers files.
    told = [(case, each) for case, each in zip(CASES, found, strict=True) if case[1]]
    assert [(case, each) for case, each in told if not agrees(each, *case[1:])] == []


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_typed(script: Path, path: str, shell: str, tmp_path: Path) -> None:
    """A TAB at the prompt completes a command, an option, a policy and the name of a file."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here: apt install {shell}")
    (tmp_path / "only-workload.yaml").touch()
    start = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}[shell]
    begin = "" if shell == "bash" else "autoload -Uz compinit && compinit -u -d $PWD/dump; "
    typed = [
        ("ptcalc reco\t", "ptcalc recommend "),
        ("ptcalc estimate --stri\t", "ptcalc estimate --strict "),
        ("ptcalc estimate --policy map\t", "ptcalc estimate --policy map-shared-pt "),
        ("ptcalc estimate only\t", "ptcalc estimate only-workload.yaml "),
    ]
    environment = {**os.environ, "PATH": path, "PS1": "> ", "TERM": "dumb", "HOME": str(tmp_path)}
    with Terminal(start, environment, tmp_path) as terminal:
        terminal.send(f"{begin}source {script}/{shell}; echo REA''DY\n")
        terminal.wait_for("READY")
        for keys, expected in typed:
            terminal.send(keys)
            terminal.wait_for(expected)
            terminal.send("\x15")  # Ctrl-U: away with the line


class Terminal:
    """An interactive program on a pseudo-terminal."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self.command, self.environment, self.folder = command, environment, folder
        self.shown = ""

    def __enter__(self) -> Terminal:
        self.screen, other = pty.openpty()
        self.process = subprocess.Popen(
            self.command, cwd=self.folder, env=self.environment, stdin=other, stdout=other, stderr=other,
            start_new_session=True,
        )  # fmt: skip
        os.close(other)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.screen)

    def send(self, keys: str) -> None:
        self.shown = ""
        os.write(self.screen, keys.encode())

    def wait_for(self, text: str) -> None:
        """Read until a text is shown; a minute is forever."""
        end = time.monotonic() + 60
        while text not in self.shown:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.screen], [], [], left)[0], f"{text!r} not in {self.shown!r}"
            self.shown += os.read(self.screen, 65536).decode(errors="replace").replace("\r", "").replace("\a", "")


@pytest.mark.parametrize("arch", ["x86_64", "arm64-64k", "s390x"])
def test_policies_are_those_that_there_are(arch: str) -> None:
    """The names offered, for which nothing heavy is imported, are the policies."""
    geometry = get(arch)
    huge = [name for name in (policy.name for policy in policies_of(geometry)) if name.startswith("hugetlb-")]

    assert [policy.name for policy in policies_of(geometry)] == [*BEFORE, *huge, *AFTER]
    assert sorted(huge) == sorted(f"hugetlb-{geometry.huge_page_name(size)}" for size in geometry.huge_pages)
    assert arch != "x86_64" or tuple(huge) == HUGE


def test_every_workload_and_file_is_completed() -> None:
    """Each parameter that takes a file or a directory offers them."""
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        context = click.Context(command)
        complete(command)
        for parameter in command.params:
            if parameter.metavar in ("WORKLOAD", "FILE", "FILE...", "LOG", "DIR"):
                found = parameter.shell_complete(context, "some")
                assert [(each.value, each.type) for each in found] in ([("some", "file")], [("some", "dir")])


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "a: [1, {b: 2}]\n\t", "- x\n- y", "&a [*a]", "\0", "? [a]: b"]
)
def test_paths_of_what_is_no_workload(text: str) -> None:
    """Whatever the file holds, TAB stays silent."""
    assert all(isinstance(each, str) for each in _scalars(text))
