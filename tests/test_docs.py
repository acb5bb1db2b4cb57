"""What the documents show is what happens: commands run, outputs are current, code and workloads work.

`./run ptcalc` stands for ptcalc itself here; test_run.py has the tests of the task runner.
Outputs that follow an ``<!-- output: COMMAND -->`` line, and Markdown between ``<!-- table: COMMAND -->`` and
``<!-- end of table -->``, are compared, and written anew with --update-golden.  So are sessions: after
``<!-- session -->``, each ``$ `` line of a block is run by bash and followed by what it shows.  All sessions of a
document run in one directory, in which ``<!-- session file: NAME -->`` puts the block below it.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import click
import pytest

import ptcalc
from ptcalc.cli.main import cli, main
from ptcalc.risk import loads_config
from ptcalc.workload.schema import keys_at
from tests.reference_pages import FOLDER, pages

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
OUTPUT = re.compile(r"<!-- output: (?P<command>[^\n]+) -->\n```text\n(?P<text>.*?)```\n", re.DOTALL)
TABLE = re.compile(r"<!-- table: (?P<command>[^\n]+) -->\n\n(?P<text>.*?)\n?<!-- end of table -->\n", re.DOTALL)
SESSION = re.compile(
    r"<!-- session(?: file: (?P<file>[\w./-]+))? -->\n```(?P<language>\w+)\n(?P<text>.*?)^```\n",
    re.DOTALL | re.MULTILINE,
)


def blocks(language: str) -> list[tuple[str, str]]:
    """All fenced blocks of a language that no session runs, as (document, text)."""
    pattern = re.compile(rf"^```{language}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    texts = [(path.name, SESSION.sub("", path.read_text(encoding="utf-8"))) for path in DOCUMENTS]
    return [(name, found[1]) for name, text in texts for found in pattern.finditer(text)]


def commands() -> list[str]:
    """All command lines that the documents show."""
    lines = (line.strip() for _, text in blocks("sh") for line in text.splitlines())
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@functools.cache
def ran(line: str, folder: Path = ROOT) -> Ran:
    """Run a command line of ptcalc, by default in the checkout, into a pipe.

    In this process: that it is one of its own as well is what tests/cli/test_process.py establishes.
    """
    out, err = io.BytesIO(), io.StringIO()
    pipe = io.TextIOWrapper(out, encoding="utf-8", write_through=True)
    with contextlib.chdir(folder), redirect_stdout(pipe), redirect_stderr(err):
        code = main(shlex.split(line.removeprefix("./run "))[1:])
    return Ran(code, out.getvalue().decode(), err.getvalue())


PTCALC = [line for line in commands() if line.startswith(("./run ptcalc ", "ptcalc "))]
OTHERS = [line for line in commands() if line not in PTCALC]
# What help shows as an example is run by tests/cli/test_help.py; the reference has all help texts.
IN_HELP = re.findall(r"^ +(ptcalc .*)$", (FOLDER / "commands.md").read_text(encoding="utf-8"), re.MULTILINE)


def on_the_kernel(line: str) -> bool:
    return "verify" in line.split()


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, marks=pytest.mark.kernel) if on_the_kernel(line) else line
        for line in PTCALC
        if line.removeprefix("./run ") not in IN_HELP
    ],
)
def test_command_works(line: str) -> None:
    """Every ptcalc command shown succeeds, says something and complains about nothing."""
    result = ran(line)
    if result.code == 3 and on_the_kernel(line):
        pytest.skip(result.err)

    assert result.code == 0, result.err
    assert result.out
    assert not result.err


@pytest.mark.parametrize("line", OTHERS)
def test_other_commands_are_verbs(line: str) -> None:
    """Every other command shown is a verb of the task runner."""
    words = shlex.split(line)
    usage = subprocess.run([ROOT / "run"], capture_output=True, text=True, check=True).stdout

    assert words[0] == "./run"
    assert f"\n  {words[1]} " in usage


@pytest.mark.parametrize(
    "line",
    [line[2:] for _, text in blocks("console") for line in text.splitlines() if line.startswith(("# p", "$ p"))],
)
def test_commands_for_another_machine_are_accepted(line: str) -> None:
    """What is shown of systems that are not here has the commands and options that there are."""
    program, name, *arguments = shlex.split(line)
    command = cli.get_command(click.Context(cli), name)

    assert program == "ptcalc"
    assert command is not None
    command.make_context(name, arguments)


def test_first_commands_are_the_main_job_and_the_tests() -> None:
    """The README opens with two commands, and CI runs the second one exactly as it stands there."""
    first, second = [text.strip() for name, text in blocks("sh") if name == "README.md"][:2]

    assert first == "./run ptcalc estimate examples/oracle-sga-1500.yaml"
    assert re.search(rf"^stage tests {re.escape(second)}$", (ROOT / ".ci/run").read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_outputs_are_current(path: Path, request: pytest.FixtureRequest) -> None:
    """Outputs shown are those of the commands named above them."""
    shown = path.read_text(encoding="utf-8")

    def printed(found: re.Match[str]) -> str:
        result = ran(found["command"])
        assert result.code == 0, result.err
        return result.out

    def output(found: re.Match[str]) -> str:
        return f"<!-- output: {found['command']} -->\n```text\n{printed(found)}```\n"

    def table(found: re.Match[str]) -> str:
        return f"<!-- table: {found['command']} -->\n\n{printed(found)}\n<!-- end of table -->\n"

    current = TABLE.sub(table, OUTPUT.sub(output, shown))
    if request.config.getoption("update_golden", False) and current != shown:
        path.write_text(current, encoding="utf-8")
        return

    assert shown == current


@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if SESSION.search(path.read_text())], ids=lambda path: path.name
)
def test_sessions_are_current(path: Path, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """What follows a prompt is what the command shows, after all that was done before on the page."""
    command = tmp_path / "bin" / "ptcalc"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {sys.executable} -P -m ptcalc "$@"\n')
    command.chmod(0o755)
    folder = tmp_path / "session"
    folder.mkdir()
    environment = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}

    def run(line: str) -> str:
        if line.startswith("ptcalc ") and not re.search(r"[|&;<>$`]", line):
            result = ran.__wrapped__(line, folder)  # without a shell, in this process
            assert result.code == 0, f"{line}: {result.err}"
            return f"$ {line}\n{result.out}{result.err}"
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        ended = subprocess.run(["bash", "-c", line], cwd=folder, env=environment, encoding="utf-8", **streams)  # type: ignore[call-overload]
        assert ended.returncode == 0, f"{line}: {ended.stdout}"
        return f"$ {line}\n{ended.stdout}"

    def session(found: re.Match[str]) -> str:
        if found["file"]:
            target = folder / found["file"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(found["text"], encoding="utf-8")
            return found[0]
        shown = "".join(run(line[2:]) for line in found["text"].splitlines() if line.startswith("$ "))
        return f"<!-- session -->\n```{found['language']}\n{shown}```\n"

    shown = path.read_text(encoding="utf-8")
    current = SESSION.sub(session, shown)
    if request.config.getoption("update_golden", False) and current != shown:
        path.write_text(current, encoding="utf-8")
        return

    assert shown == current


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ("The workload file", ()),
        ("`host`", ("host",)),
        ("`segments`", ("segments", "any")),
        ("`processes`", ("processes", "any")),
        ("`mappings`", ("processes", "any", "mappings", 0)),
        ("`touch`", ("processes", "any", "mappings", 0, "touch", 0)),
    ],
)
def test_every_key_of_a_workload_is_documented(section: str, path: tuple[str | int, ...]) -> None:
    """Each section of the page on workload files has the keys that there are, and no others."""
    text = (ROOT / "docs/workload.md").read_text(encoding="utf-8")
    body = re.split(r"^#+ ", text.split(f"# {section}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| ([^|]+) \|", body, re.MULTILINE)
    named = {key for row in rows for key in re.findall(r"`(\w+)`", row)}

    if section == "`touch`":
        assert all(re.search(rf"\b{key}\b", body) for key in keys_at(path))
    else:
        assert named == set(keys_at(path))


def test_reference_is_current(request: pytest.FixtureRequest) -> None:
    """The pages that are made of what ptcalc says of itself say what it says now, and there are no others."""
    made = pages()
    if request.config.getoption("update_golden", False):
        FOLDER.mkdir(exist_ok=True)
        for name, text in made.items():
            (FOLDER / name).write_text(text, encoding="utf-8")

    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")} == made


@pytest.mark.parametrize("text", [text for _, text in blocks("python")])
def test_python_works(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code shown runs."""
    monkeypatch.chdir(ROOT)
    exec(compile(text, "document", "exec"), {})


@pytest.mark.parametrize("text", [text for _, text in blocks("yaml") if text.startswith("version:")])
def test_workload_works(text: str) -> None:
    """Workloads shown can be estimated."""
    assert ptcalc.estimate(ptcalc.loads(text)).policies


@pytest.mark.parametrize("text", [text for _, text in blocks("yaml") if text.startswith("geometries:")])
def test_config_works(text: str) -> None:
    """Architectures shown are accepted."""
    assert loads_config(text).geometries


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """Files that a document links to, or names in backticks with a folder of this project, exist."""
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    named = re.findall(r"`((?:ptcalc|tests|configs|examples|benchmarks|docs)/[\w./-]*)`", text)

    assert [link for link in links if not (path.parent / link).exists()] == []
    assert [name for name in named if not (ROOT / name).exists()] == []
