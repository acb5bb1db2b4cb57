"""`ptcalc diff` as a process of its own."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import ptcalc
from ptcalc.cli.main import main
from ptcalc.report.json_report import render
from tests.cli.conftest import WORKLOAD, Run


@pytest.fixture
def edited(workload: Path) -> Path:
    """The small workload with more servers."""
    path = workload.with_name("edited.yaml")
    path.write_text(WORKLOAD.replace("count: 10", "count: 12"))
    return path


def test_the_edited_line_is_named(workload: Path, edited: Path, run: Run) -> None:
    result = run("diff", workload, edited, "--policy", "today")

    assert (result.returncode, result.stderr) == (0, b"")
    assert f"processes.server.count: 10 -> 12 ({edited}:8:12)" in result.stdout.decode()


@pytest.mark.parametrize(("share", "code"), [("5%", 1), ("1000%", 0)])
def test_growth_decides_about_the_exit_code(share: str, code: int, workload: Path, edited: Path, run: Run) -> None:
    """The report and its exports are there before."""
    path = workload.with_name("diff.json")
    result = run(
        "diff", workload, edited, "--fail-on-growth", share, "--format", "markdown", "--export", f"json={path}"
    )

    assert result.returncode == code
    assert result.stdout.startswith(b"## ptcalc diff\n")
    assert json.loads(path.read_bytes())["failed"] is bool(code)
    assert (b"growth beyond --fail-on-growth 5%: today" in result.stderr) is bool(code)


def test_pipes(workload: Path, edited: Path, run: Run) -> None:
    """As with git: an earlier version of a file on a descriptor, or on standard input."""
    line = f"{shlex.quote(sys.executable)} -m ptcalc diff <(cat {workload}) {edited} --format json"
    piped = subprocess.run(["bash", "-c", line], capture_output=True, timeout=60)
    stdin = run("diff", "-", edited, "--format", "json", input=workload.read_bytes())

    assert (piped.returncode, piped.stderr) == (0, b"")
    for result in (piped, stdin):
        assert json.loads(result.stdout)["edits"][0]["paths"] == ["processes.server.count"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-", "-"], "both sides are standard input"),
        (["none.yaml", "small.yaml"], "none.yaml: cannot be read: No such file or directory"),
        (["small.yaml", "."], ".: cannot be read: Is a directory"),
        (["small.yaml", "cut.json"], "unterminated string"),
        (["small.yaml", "other.json"], "other.json: this is of schema 'ptcalc.estimate/2'"),
        (["small.yaml", "nan.json"], "nan.json: policies[0].page_tables.used_bytes: NaN stands here"),
        (["small.yaml", "deep.json"], "deep.json: "),
        (["small.yaml", "broken.yaml"], "broken.yaml:1:1"),
        (["small.yaml", "small.yaml", "--policy", "toady"], "did you mean 'today'?"),
        (["small.yaml", "small.yaml", "--fail-on-growth", "5"], "'5' is no growth; accepted: a share such as 5%"),
        (["small.yaml", "small.yaml", "--fail-on-growth", "-5%"], "'-5%' is no growth"),
        (["small.yaml", "small.yaml", "--growth-of", "demand"], "there is no --fail-on-growth"),
        (["small.yaml", "small.yaml", "--choice", "file-shared.phases=x"], "'x' is no value of file-shared.phases"),
        (["small.yaml", "small.yaml", "--arch", "vax"], "'vax'"),
        (["small.yaml", "small.yaml", "--format", "xml"], "'xml' is not one of"),
        (["small.yaml"], "Missing argument 'NEW'"),
    ],
)
def test_bad_input(
    arguments: list[str], said: str, workload: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One message, nothing printed, exit code 2."""
    folder = workload.parent
    good = render(ptcalc.to_dict(ptcalc.estimate(ptcalc.load(workload), policies=["today"])))
    (folder / "cut.json").write_text(good[:-300])
    (folder / "other.json").write_text(good.replace("estimate/1", "estimate/2", 1))
    (folder / "nan.json").write_text(good.replace('"used_bytes": ', '"used_bytes": NaN, "x": ', 1))
    (folder / "deep.json").write_text('{"schema": ' * 100_000)
    (folder / "broken.yaml").write_text("version: 2\n")
    monkeypatch.chdir(folder)

    assert main(["diff", *arguments]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "Traceback" not in err


def test_events_are_left_out_aloud(workload: Path, run: Run) -> None:
    """Figures know nothing of events, which may be all that differs."""
    with_events = workload.with_name("events.yaml")
    with_events.write_text(WORKLOAD + "events: [{exit: {group: server, count: 1}}, {mark: {}}]\n")
    result = run("diff", workload, with_events, "--policy", "today")

    assert result.returncode == 0
    said = f"ptcalc: {with_events}: events: figures are of the beginning; ptcalc timeline follows them\n"
    assert result.stderr.decode() == said


@pytest.mark.parametrize(
    "arguments", [("explain",), ("solve", "--for", "processes"), ("sweep", "--vary", "host.used=1GiB")]
)
def test_who_shows_no_findings_says_so_too(arguments: tuple[str, ...], workload: Path, run: Run) -> None:
    workload.write_text(WORKLOAD + "events: [{exit: {group: server, count: 1}}, {mark: {}}]\n")
    result = run(arguments[0], workload, *arguments[1:])

    assert "2 events: figures are of the beginning; ptcalc timeline follows them" in result.stderr.decode()
