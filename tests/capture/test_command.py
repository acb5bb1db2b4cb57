"""``ptcalc capture`` and the measured section of ``ptcalc estimate``, as commands."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import ptcalc
from ptcalc.cli.main import main
from ptcalc.errors import InputError

from .trees import archive, bundle

MIB = 1 << 20
ROOT = Path(__file__).parents[2]
TREE = str(ROOT / "examples" / "proc-tree")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command line."""
    code = main(arguments)
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def test_the_example_is_the_scenario() -> None:
    """The tree that the documents show is the one that the tests know."""
    files = bundle("postgres-fork")

    assert {str(path.relative_to(TREE)) for path in Path(TREE).rglob("*") if path.is_file()} == set(files)
    assert all((Path(TREE) / name).read_bytes() == data for name, data in files.items())


@pytest.mark.parametrize(
    ("options", "pids"),
    [
        ((), {1, 900, 1000, 1001, 1002, 1003, 1004, 1005, 1010}),
        (("--pid", "1000", "--pid", "1005"), {1000, 1005}),
        (("--match", "systemd"), {1}),
        (("--match", "post*", "--pid", "1"), set()),
        (("--match", "postgres", "--user", "26", "--pid", "900"), {900}),  # the program's name
        (("--user", "0"), {1}),
        (("--cgroup", "/system.slice"), {900, 1000, 1001, 1002, 1003, 1004, 1005, 1010}),
        (("--cgroup", "init.scope", "--cgroup", "/nowhere"), {1}),
        (("--cgroup", "/system"), set()),
    ],
)
def test_selection(options: tuple[str, ...], pids: set[int], capsys: pytest.CaptureFixture[str]) -> None:
    """Several of one option are alternatives, different options must all agree; no process at all is bad input."""
    code, text, errors = run(capsys, "capture", "--proc-root", TREE, *options)

    assert code == (0 if pids else 2)
    assert ("is selected" in errors) == (not pids)
    if pids:
        assert sum(group.count for group in ptcalc.loads(text).processes.values()) == len(pids)
        everything = len(pids) == 9
        assert ("page_tables:" in text) == everything


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--detail", "pages"), "pagemap"),
        (("--sosreport", "x"), "one source"),
        (("--spread", "150%"), "--spread"),
        (("--spread", "much"), "--spread"),
        (("--min-segment", "-1"), "--min-segment"),
        (("--user", "nobody-of-that-name"), "not known"),
        (("--pid", "0"), "--pid"),
        (("--detail", "all"), "--detail"),
    ],
)
def test_wrong_usage(options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Bad options are exit code 2 and say which."""
    code, text, errors = run(capsys, "capture", "--proc-root", TREE, *options)

    assert code == 2
    assert message in errors
    assert not text


def test_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file in place of standard output; one that cannot be written cannot be done here."""
    target = tmp_path / "captured.yaml"
    _, text, _ = run(capsys, "capture", "--proc-root", TREE)

    assert run(capsys, "capture", "--proc-root", TREE, "-o", str(target)) == (0, "", "")
    assert target.read_text() == text
    assert run(capsys, "capture", "--proc-root", TREE, "-o", str(tmp_path / "no" / "way"))[0] == 3


def test_spread_decides_over_groups(capsys: pytest.CaptureFixture[str]) -> None:
    """How far VmPTE may differ in a group."""
    narrow = ptcalc.loads(run(capsys, "capture", "--proc-root", TREE)[1])
    wide = ptcalc.loads(run(capsys, "capture", "--proc-root", TREE, "--spread", "60%")[1])

    assert [group.count for group in narrow.processes.values() if group.mappings] == [6, 1, 1]
    assert [group.count for group in wide.processes.values() if group.mappings] == [7, 1]


def test_small_segments(capsys: pytest.CaptureFixture[str]) -> None:
    """What is smaller is not listed."""
    text = run(capsys, "capture", "--proc-root", TREE, "--min-segment", "2 MiB")[1]
    assert list(ptcalc.loads(text).segments) == ["anonymous-1027"]
    text = run(capsys, "capture", "--proc-root", TREE, "--min-segment", "0")[1]
    assert len(ptcalc.loads(text).segments) == 3


def test_missing_parts_go_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What could not be read is told beside the file, and in it."""
    files = bundle("postgres-fork")
    del files["proc/1002/status"]
    path = archive(files, tmp_path / "report.tar.xz")

    code, text, errors = run(capsys, "capture", "--sosreport", str(path))

    assert code == 0
    assert errors == "ptcalc: 1 process vanished before all was read: 1002\n"
    assert "# 1 process vanished before all was read: 1002" in text


@pytest.mark.parametrize("path", ["/nowhere", "/dev/null"])
def test_no_archive(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that is no archive is bad input."""
    code, text, errors = run(capsys, "capture", "--sosreport", path)

    assert (code, text) == (2, "")
    assert path in errors


def test_a_bar_is_drawn_on_a_terminal_only() -> None:
    """Standard error that is no terminal stays empty; on one, something moves and standard output is the same."""
    command = [sys.executable, "-P", "-m", "ptcalc", "capture", "--proc-root", "examples/proc-tree"]
    where = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"}
    piped = subprocess.run(command, cwd=ROOT, env=where, capture_output=True, check=True)
    leader, follower = pty.openpty()
    shown = subprocess.run(command, cwd=ROOT, env=where, stdout=subprocess.PIPE, stderr=follower, check=True)
    os.close(follower)
    bar = os.read(leader, 1 << 16)
    os.close(leader)

    assert piped.stderr == b""
    assert b"processes" in bar
    assert shown.stdout == piped.stdout


LOGS = ROOT / "tests" / "autopsy" / "logs"


def test_an_oom_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last report that lists processes; options that choose processes do not go with it."""
    log = str(LOGS / "linux-6.12.log")

    code, text, errors = run(capsys, "capture", "--oom-log", log)

    assert code == 0
    assert "OOM reports: the one in line" in errors
    estimate = ptcalc.estimate(ptcalc.loads(text), policies=["today"])
    assert {each.counter for each in estimate.measured} == {"VmPTE", "PageTables"}
    for each in estimate.measured:
        assert each.expected_bytes == pytest.approx(each.measured_bytes, rel=0.02), each.name
    assert run(capsys, "capture", "--oom-log", log, "-o", str(tmp_path / "out"))[:2] == (0, "")
    assert (tmp_path / "out").read_text() == text
    for options in (("--pid", "11"), ("--detail", "quick"), ("--proc-root", TREE)):
        assert run(capsys, "capture", "--oom-log", log, *options)[0] == 2


@pytest.mark.parametrize("text", ["", "nothing of the kind\n", (LOGS / "arm64-16k-7.2-lost.log").read_text()])
def test_no_oom_log(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log without such a report is bad input."""
    path = tmp_path / "log"
    path.write_text(text)

    code, output, errors = run(capsys, "capture", "--oom-log", str(path))

    assert (code, output) == (2, "")
    assert str(path) in errors


def test_estimate_shows_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For people and as JSON, as long as the file is about that machine and `today` is evaluated."""
    path = tmp_path / "captured.yaml"
    run(capsys, "capture", "--proc-root", TREE, "-o", str(path))

    text = run(capsys, "estimate", str(path))[1]
    (line,) = [line for line in text.splitlines() if line.startswith("PageTables")]
    assert line.split() == ["PageTables", "all", "174", "MiB", "174", "MiB", "-0.3", "%"]
    report = json.loads(run(capsys, "estimate", str(path), "--format", "json")[1])
    assert [each["counter"] for each in report["measured"]] == ["VmPTE"] * 4 + ["PageTables"]
    assert report["measured"][0] == {
        "counter": "VmPTE", "name": "postmaster", "expected_bytes": 24020 << 10, "exact": True,
        "measured_bytes": 24020 << 10,
    }  # fmt: skip
    for options in (("--arch", "arm64-64k"), ("--policy", "private")):
        assert "measured" not in json.loads(run(capsys, "estimate", str(path), "--format", "json", *options)[1])


HEAD = "version: 1\nhost: {memory: 1 GiB}\nprocesses: {p: {count: 1}}\n"


@pytest.mark.parametrize(
    "below",
    [
        "x-measured: {measured: 1}",
        "x-measured: [1, 2]",
        "x-measured: text",
        "x-measured: {schema: of-somebody-else/7, processes: 1}",
        "x-other: {schema: ptcalc.capture/1, processes: 1}",
        "x-measured: {schema: ptcalc.capture/1, arch: riscv64, processes: {p: {measured: 1, beside: 1}}}",
    ],
)
def test_other_keys_of_that_name_are_nobodys_business(below: str) -> None:
    """Keys with x- hold what people like."""
    assert ptcalc.estimate(ptcalc.loads(HEAD + below)).measured == ()


@pytest.mark.parametrize(
    ("below", "message"),
    [
        ("processes: 1", "no mapping"),
        ("processes: {p: 1}", "no mapping"),
        ("processes: {p: {measured: 1}}", "beside"),
        ("processes: {p: {measured: x, beside: 1}}", "not understood"),
        ("page_tables: {measured: [], beside: 1}", "a list"),
        ("pages: 1", "unknown key"),
    ],
)
def test_damaged_counters(below: str, message: str) -> None:
    """What says it is of this schema, and is not, is bad input with its place."""
    with pytest.raises(InputError, match=message) as caught:
        ptcalc.estimate(ptcalc.loads(f"{HEAD}x-measured: {{schema: ptcalc.capture/1, arch: x86_64, {below}}}"))
    assert caught.value.line == 4
