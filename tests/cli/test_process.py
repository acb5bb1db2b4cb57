"""The command as a process: pipes, closed streams, terminals, and what it imports."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]

HEAVY = {"numpy", "pydantic", "rich", "yaml", "importlib.metadata"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["estimate", "--help"], ["explain", "--help"]])
def test_help_imports_click_alone(arguments: list[str]) -> None:
    """Help and version answer before anything heavy is loaded."""
    script = (
        "import sys; from ptcalc.cli.main import main;"
        f"code = main({arguments!r}); print('modules', *sys.modules); sys.exit(code)"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    loaded = set(process.stdout.rsplit("modules", 1)[1].split())
    assert not HEAVY & loaded
    assert "click" in loaded


def test_completion_imports_click_alone(run: Run) -> None:
    """The shell's completion answers with our options, from click alone."""
    process = run(
        env={"_PTCALC_COMPLETE": "bash_complete", "COMP_WORDS": "ptcalc estimate --", "COMP_CWORD": "2"},
    )

    assert b"--policy" in process.stdout
    script = "import sys; from ptcalc.cli.main import main; main(); print('modules', *sys.modules)"
    environment = {"_PTCALC_COMPLETE": "bash_complete", "COMP_WORDS": "ptcalc esti", "COMP_CWORD": "1"}
    loaded = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    ).stdout
    assert "estimate" in loaded
    assert not HEAVY & set(loaded.rsplit("modules", 1)[1].split())


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_rich_without_colour(workload: Path, form: str) -> None:
    """Programs, pipes and files do not pay for colours."""
    script = (
        "import sys; from ptcalc.cli.main import main;"
        f"main(['estimate', {str(workload)!r}, '--format', {form!r}]); print('modules', *sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    loaded = process.stdout.rsplit("modules", 1)[1].split()
    assert "rich" not in loaded
    assert f"ptcalc.report.{'json_report' if form == 'json' else 'terminal'}" in loaded


def test_standard_input(run: Run, workload: Path) -> None:
    """``-`` is standard input."""
    process = run("estimate", "-", input=workload.read_bytes())

    assert (process.returncode, process.stderr) == (0, b"")
    assert process.stdout.startswith(b"two small groups")


def test_closed_standard_input(run: Run) -> None:
    """Nothing to read is bad input or something that cannot be done, never a traceback."""
    process = run("estimate", "-", preexec_fn=lambda: os.close(0))

    assert process.returncode in (2, 3)
    assert b"Traceback" not in process.stderr
    assert process.stderr


@pytest.mark.parametrize("form", ["text", "json"])
def test_reader_that_goes_away(workload: Path, run: Run, form: str) -> None:
    """A pipe that nobody reads any more is quiet, and the answer stays what it was."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        process = run("estimate", workload, "--format", form, stdout=pipe, stderr=subprocess.PIPE)

    assert (process.returncode, process.stderr) == (0, b"")


def test_help_for_a_reader_that_goes_away(run: Run) -> None:
    """So is help."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        process = run("--help", stdout=pipe, stderr=subprocess.PIPE)

    assert (process.returncode, process.stderr) == (0, b"")


def test_check_survives_a_reader_that_goes_away(crowded: Path, run: Run) -> None:
    """A check that failed has failed, whoever read the report."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        process = run("estimate", crowded, "--fail-on", "oom", stdout=pipe, stderr=subprocess.PIPE)

    assert process.returncode == 1
    assert b"Traceback" not in process.stderr


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("arguments", [["estimate", "{}"], ["estimate", "{}", "--format", "json"], ["--help"]])
def test_closed_streams(workload: Path, run: Run, closed: tuple[int, ...], arguments: list[str]) -> None:
    """Closed streams change nothing about the answer, and nothing is said."""

    def close() -> None:
        for number in closed:
            os.close(number)

    process = run(*(each.replace("{}", str(workload)) for each in arguments), preexec_fn=close)

    assert process.returncode == 0
    assert process.stderr == b""


def test_full_disk(workload: Path, run: Run) -> None:
    """A report that could not be written is a failure with a reason."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with open("/dev/full", "wb") as full:
        process = run("estimate", workload, stdout=full, stderr=subprocess.PIPE)

    assert process.returncode == 3
    assert b"No space left" in process.stderr
    assert b"Traceback" not in process.stderr


@pytest.mark.parametrize("command", ["estimate", "explain"])
def test_pipe_has_no_colour_and_does_not_care_for_width(workload: Path, run: Run, command: str) -> None:
    """What goes to a file is the same at every width, without any escape sequence."""
    environment = {"TERM": "xterm-256color", "FORCE_COLOR": "1", "COLORTERM": "truecolor"}
    narrow = run(command, workload, env={**environment, "COLUMNS": "40"})
    wide = run(command, workload, env={**environment, "COLUMNS": "300"})

    assert narrow.stdout == wide.stdout
    assert b"\x1b" not in narrow.stdout
    assert narrow.stderr == b""


def test_output_that_only_knows_ascii(workload: Path, run: Run) -> None:
    """A name that the encoding lacks is escaped, and the bars are drawn with what there is."""
    workload.write_text(workload.read_text().replace("two small", "zwei größere 漢"), encoding="utf-8")

    process = run("estimate", workload, env={"PYTHONIOENCODING": "ascii"})

    assert (process.returncode, process.stderr) == (0, b"")
    assert b"zwei gr\\xf6\\xdfere \\u6f22" in process.stdout
    assert b"=" in process.stdout


@pytest.mark.parametrize("columns", [40, 50, 60, 80, 120])
def test_terminal(workload: Path, columns: int) -> None:
    """On a terminal there is colour, and no line is wider than the screen."""
    shown = _on_terminal(["estimate", str(workload)], columns, {"TERM": "xterm-256color"})

    assert "\x1b[" in shown
    lines = re.sub(r"\x1b\[[\d;]*m", "", shown).splitlines()
    assert max(map(len, lines)) <= columns
    assert "two small groups" in lines


@pytest.mark.parametrize("environment", [{"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
def test_terminal_without_colour(workload: Path, environment: dict[str, str]) -> None:
    """NO_COLOR and a terminal that knows nothing get text alone."""
    assert "\x1b" not in _on_terminal(["estimate", str(workload)], 80, environment)


def _on_terminal(arguments: list[str], columns: int, environment: dict[str, str]) -> str:
    """Run the command with a terminal of that width as its standard output, and return what is shown."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    inherited = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "HOME") if key in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "ptcalc", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=subprocess.PIPE,
        env={**inherited, "PYTHONUTF8": "1", **environment},
    )
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 65536):
            shown += piece
    except OSError:  # the other end is closed: how Linux ends a terminal
        pass
    finally:
        os.close(master)
    _, complaints = process.communicate(timeout=60)

    assert (process.returncode, complaints) == (0, b"")
    return shown.decode().replace("\r\n", "\n")
