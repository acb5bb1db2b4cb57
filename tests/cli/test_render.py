"""`ptcalc render` and `--export` of estimate, as processes of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ptcalc.report.formats import ESTIMATE, EXPLAIN
from tests.cli.conftest import Run

TEXTS = [form for form in ESTIMATE if form != "html"]


@pytest.fixture
def saved(workload: Path, run: Run) -> Path:
    """What estimate has saved of the small workload."""
    path = workload.with_name("saved.json")
    path.write_bytes(run("estimate", workload, "--format", "json").stdout)
    return path


def test_every_format_is_that_of_the_direct_report(workload: Path, saved: Path, run: Run) -> None:
    """To the byte, on standard output and in files; also from standard input."""
    exports = [f"--export={form}={workload.with_name(form)}" for form in ESTIMATE]
    direct = run("estimate", workload, *exports)
    again = [f"--export={form}={saved.with_name(f'{form}.again')}" for form in ESTIMATE]
    rendered = run("render", "-", *again, input=saved.read_bytes())

    assert (rendered.returncode, rendered.stderr) == (0, b"")
    assert rendered.stdout == direct.stdout
    for form in ESTIMATE:
        assert saved.with_name(f"{form}.again").read_bytes() == workload.with_name(form).read_bytes(), form
    assert workload.with_name("json").read_bytes() == saved.read_bytes()
    assert workload.with_name("text").read_bytes() == direct.stdout


def test_explanations_are_rendered_as_such(workload: Path, run: Run) -> None:
    made = run("explain", workload, "--group", "server", "--format", "json")

    assert run("render", "-", input=made.stdout).stdout == run("explain", workload, "--group", "server").stdout
    assert run("render", "-", "--format", "json", input=made.stdout).stdout == made.stdout
    refused = run("render", "-", "--format", "csv", input=made.stdout)
    assert refused.returncode == 2
    assert f"csv is no format of ptcalc explain; accepted: {', '.join(EXPLAIN)}" in refused.stderr.decode()


def test_a_result_of_another_command_is_refused(run: Run) -> None:
    refused = run("render", "-", input=b'{"schema": "ptcalc.sweep/1"}')

    assert refused.returncode == 2
    assert refused.stderr.startswith(b"<stdin>: this is of schema 'ptcalc.sweep/1'\n  accepted: ptcalc.estimate/1 of")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--export", "markdown"], "'markdown' is not of the form FORMAT=PATH"),
        (["--export", "markdwon=x"], "did you mean 'markdown'? accepted: text, json"),
        (["--export", "csv=x", "--export", "text=x"], "x is named twice"),
        (["--force"], "there is no --export to replace"),
        (["--format", "xml"], "'xml' is not one of"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, workload: Path, run: Run) -> None:
    """Nothing is printed or written."""
    for command in ("estimate", "render"):
        result = run(command, workload, *arguments, cwd=workload.parent)

        assert (result.returncode, result.stdout) == (2, b"")
        assert said in result.stderr.decode()
        assert not (workload.parent / "x").exists()


def test_earlier_exports_stay_where_a_later_one_fails(workload: Path, run: Run) -> None:
    """Files are whole or not there; what exists is replaced only with --force, and a folder never."""
    folder = workload.parent
    (folder / "there.csv").write_text("mine")
    arguments = ["estimate", workload, "--export", "json=a.json"]

    for other, said in (("there.csv", "there.csv exists"), ("none/b.csv", "none/b.csv cannot be written"), (".", "")):
        result = run(*arguments, "--export", f"csv={other}", "--export", "markdown=never.md", cwd=folder)
        assert result.returncode == 2
        assert said in result.stderr.decode()
        assert json.loads((folder / "a.json").read_bytes())["schema"] == "ptcalc.estimate/1"
        assert not (folder / "never.md").exists()
        (folder / "a.json").unlink()
    assert (folder / "there.csv").read_text() == "mine"
    assert not list(folder.glob(".*"))

    assert run(*arguments, "--export", "csv=there.csv", "--force", cwd=folder).returncode == 0
    assert (folder / "there.csv").read_text().startswith("workload,file,")


def test_devices_are_written_and_stay(workload: Path, run: Run) -> None:
    """Nothing is replaced, so that --force is not needed."""
    assert run("estimate", workload, "--export", "json=/dev/null").returncode == 0

    full = run("estimate", workload, "--export", "json=/dev/full")
    assert full.returncode == 2
    assert full.stderr.startswith(b"ptcalc: /dev/full cannot be written: No space left on device")


def test_exports_are_written_before_the_exit_code_is_decided(crowded: Path, run: Run) -> None:
    path = crowded.with_name("result.json")

    assert run("estimate", crowded, "--fail-on", "oom", "--export", f"json={path}").returncode == 1
    assert run("render", path).returncode == 0


def test_samples_have_fewer_formats(run: Run) -> None:
    example = Path(__file__).parents[2] / "examples/oracle-sga-uncertain.yaml"

    result = run("estimate", example, "--export", "csv=x")

    assert result.returncode == 2
    assert "its samples are reported as text or json" in result.stderr.decode()
