"""``ptcalc solve``: what is refused, and what comes out in each format."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ptcalc
from ptcalc.cli.main import main
from ptcalc.report import solve_report
from ptcalc.report.page import Screen
from ptcalc.scenarios.solving import Solution

WORKLOAD = """\
version: 1
name: how far
host: {memory: 8 GiB, used: 1 GiB}
segments:
  sga: {size: 2 GiB, backing: shmem}
  work: {size: 64 MiB, backing: private}
processes:
  server:
    count: 10
    private: 1 MiB
    mappings: [{segment: sga, touch: 10%}, {segment: work, touch: {every: 2 MiB}}]
  writer: {count: 2, scale: fixed, mappings: [{segment: sga}]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "how-far.yaml"
    path.write_text(WORKLOAD)
    return path


def solved(file: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["solve", str(file), *arguments]) == 0
    out, said = capsys.readouterr()
    assert not said
    return out


# arguments, what is said
REFUSED = [
    ([], "Missing option '--for'"),
    (["--for", "speed"], "'speed' is not one of 'processes', 'size', 'memory', 'touch'"),
    (["--for", "processes", "--target", "oom"], "'oom' is not one of 'ok', 'warning', 'critical'"),
    (["--for", "processes", "--segment", "sga"], "--segment goes with --for size or touch, not with --for processes"),
    (["--for", "memory", "--segment", "sga"], "--segment goes with --for size or touch, not with --for memory"),
    (["--for", "memory", "--group", "server"], "--group goes with --for processes or touch, not with --for memory"),
    (["--for", "size", "--group", "server"], "--group goes with --for processes or touch, not with --for size"),
    (["--for", "size"], "there are several segments: say which\n  accepted: --segment with one of sga, work"),
    (["--for", "size", "--segment", "sgo"], "'sgo' is no segment\n  did you mean 'sga'?\n  accepted: sga, work"),
    (["--for", "processes", "--group", "sever"], "did you mean 'server'?\n  accepted: server, writer"),
    (["--for", "processes", "--policy", "hugetlb-2m"], "did you mean 'hugetlb-2M'?"),
    (["--for", "touch", "--segment", "work", "--group", "writer"], "'writer' does not map 'work'\n  accepted: server"),
    (
        ["--for", "touch", "--segment", "work"],
        "how-far.yaml:11:67: processes.server.mappings[1].touch: this says which",
    ),
    (["--for", "memory", "--vary", "host.swap"], "'host.swap' is not of the form PATH=VALUES"),
    (["--for", "memory", "--vary", "host.swap=1", "--vary", "host.swap=2"], "host.swap is given twice"),
    (["--for", "memory", "--vary", "host.swap="], "--vary host.swap: no value"),
    (["--for", "memory", "--vary", "host.swap=1..9"], "'1..9' does not say in which steps"),
    (["--for", "memory", "--vary", "host.memory=1 GiB"], "--vary host.memory: host.memory is what is solved for"),
    (["--for", "memory", "--vary", "host.swop=1"], "unknown key 'swop'\n  did you mean 'swap'?"),
    (["--for", "memory", "--vary", "segments.sgo.size=1"], "--vary segments.sgo.size: there is no 'sgo' in segments"),
    (["--for", "memory", "--vary", "segments.sga.size=1,0"], "segments.sga.size=0"),
    (["--for", "memory", "--choice", "mshare"], "'mshare' is not of the form POLICY.NAME=VALUE"),
    (["--for", "memory", "--choice", "mshare.x=1"], "'mshare.x' is no open choice of a policy"),
    (["--for", "memory", "--config", "there-is-none.yaml"], "there-is-none.yaml: cannot be read"),
    (["--for", "memory", "--format", "markdown"], "'markdown' is not one of 'text', 'json', 'csv'"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[" ".join(each) or "nothing" for each, _ in REFUSED])
def test_refused(file: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, one message that says what would be accepted, and nothing on standard output."""
    assert main(["solve", str(file), *arguments]) == 2
    out, said = capsys.readouterr()

    assert not out
    assert message in said
    assert "Traceback" not in said


def test_a_file_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", str(tmp_path / "none.yaml"), "--for", "memory"]) == 2
    assert "none.yaml: cannot be read" in capsys.readouterr().err


def test_every_format_says_the_same(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The library's answers, exact in JSON and CSV, readable in the text."""
    arguments = ["--for", "size", "--segment", "sga", "--vary", "processes.server.count=10..20:10"]
    arguments += ["--policy", "today", "--policy", "file-shared"]
    vary, policies = {"processes.server.count": ["10", "20"]}, ["today", "file-shared"]
    found = ptcalc.solve(file, "size", segment="sga", vary=vary, policies=policies)
    report = json.loads(solved(file, capsys, *arguments, "--format", "json"))
    rows = list(csv.DictReader(io.StringIO(solved(file, capsys, *arguments, "--format", "csv"))))
    text = solved(file, capsys, *arguments)

    assert report["rows"] == [_as_json(row.values[0], answer) for row in found.rows for answer in row.answers]
    assert {key: value for key, value in report.items() if key != "rows"} == {
        "schema": "ptcalc.solve/1",
        "workload": {"name": "how far", "file": str(file)},
        "for": "size",
        "places": ["segments.sga.size"],
        "unit": "bytes",
        "target": "ok",
        "axes": [{"path": "processes.server.count", "values": ["10", "20"]}],
    }
    for line, row in zip(rows, report["rows"], strict=True):
        values = row.pop("values") | row
        assert line == {key: "" if value is None else str(value) for key, value in values.items()}
        assert re.search(rf"^{values['processes.server.count']} +{row['policy']} .* memory ", text, re.MULTILINE)


def _as_json(count: str, answer: ptcalc.Answer) -> dict[str, Any]:
    return {
        "values": {"processes.server.count": count},
        "policy": answer.policy,
        "state": answer.availability.state,
        "value": answer.value,
        "limited_by": answer.limited_by,
        "fails_at": answer.fails_at,
        "level": answer.level,
        "why": answer.why,
    }


def test_touch_is_per_cent(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--for", "touch", "--segment", "sga", "--group", "server", "--policy", "today"]
    arguments += ["--target", "critical", "--vary", "processes.server.count=2000"]
    (row,) = json.loads(solved(file, capsys, *arguments, "--format", "json"))["rows"]

    assert 0 < row["value"] < 100
    assert row["fails_at"] == round(row["value"] + 0.001, 3)
    assert f" {row['value']:.3f} %  memory " in solved(file, capsys, *arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--for", "processes"], "the largest number of processes at level ok"),
        (["--for", "processes", "--target", "critical"], "the largest number of processes not out of memory"),
        (["--for", "memory", "--target", "warning"], "the least memory (host.memory) at level warning or better"),
        (
            ["--for", "processes", "--vary", "host.memory=1MiB"],
            "memory: too little even without the processes that grow.",
        ),
        (["--for", "processes", "--group", "server", "--vary", "host.memory=1MiB"], "none: the smallest"),
        (["--for", "processes", "--vary", "processes.server.scale=fixed"], "nothing grows: all groups"),
        (["--for", "processes", "--vary", "host.memory=4000TiB"], "pid_max: more than pid_max, 4,194,304 processes"),
        (["--for", "touch", "--segment", "sga"], "nothing: all of it meets the target"),
        pytest.param(
            ["--for", "size", "--segment", "sga", "--vary", "host.memory=4000TiB"],
            "no workload beyond: ",
            marks=pytest.mark.many,
        ),
    ],
)
def test_bounds_are_said_in_words(
    file: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = solved(file, capsys, *arguments)

    assert words in text
    assert "None" not in text


def test_policies_that_nobody_has_are_marked(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No text treats a policy that no mainline kernel has as deployable."""
    text = solved(file, capsys, "--for", "processes", "--policy", "mshare", "--policy", "today")

    assert re.search(r"^mshare +would be [\d,]+ ", text, re.MULTILINE)
    assert not re.search(r"^today .*would be", text, re.MULTILINE)
    assert re.search(r"In no mainline kernel as of \d{4}-\d\d: mshare \(patches\)\.", text)


def test_policies_come_in_their_own_order(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = solved(file, capsys, "--for", "memory", "--policy", "thp", "--policy", "today", "--format", "csv")
    assert [line.split(",")[0] for line in lines.splitlines()[1:]] == ["today", "thp"]


def test_no_line_is_wider_than_the_screen(file: Path) -> None:
    found = ptcalc.solve(file, "size", segment="sga", vary={"processes.server.count": "10,20"})

    for width in (40, 60, 80, 100):
        assert max(map(len, solve_report.render_text(found, Screen(width)).splitlines())) <= width


def test_names_do_nothing(tmp_path: Path) -> None:
    """No name from a file moves a cursor."""
    name = "a|b \u202e\x1b[31m"
    found = ptcalc.solve(ptcalc.loads(WORKLOAD.replace("sga", json.dumps(name))), "size", segment=name)

    assert isinstance(found, Solution)
    for text in (solve_report.render_text(found, Screen()), solve_report.render_csv(found)):
        assert not {"\x1b", "\u202e"} & set(text)


def test_standard_input_is_read_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--for", "memory", "--vary", "host.swap=0,1GiB", "--format", "csv"]
    piped = subprocess.run(
        [sys.executable, "-m", "ptcalc", "solve", "-", *arguments],
        input=file.read_bytes(),
        capture_output=True,
        check=True,
    )

    assert piped.stdout.decode() == solved(file, capsys, *arguments)


def test_words_for_many_architectures(file: Path) -> None:
    """`shipped` is what it is in sweep; the answer is that of each architecture by its name."""
    found = ptcalc.solve(file, "processes", vary={"host.arch": "x86_64,s390x,shipped"}, policies=["today"])
    alone = {
        name: ptcalc.solve(file, "processes", vary={"host.arch": name}, policies=["today"]).rows[0].answers[0].value
        for name in ("x86_64", "s390x", "arm64-64k-va52")
    }
    by_name = {row.values[0]: row.answers[0].value for row in found.rows}
    assert len(by_name) > 5
    assert {name: by_name[name] for name in alone} == alone


def test_what_an_architecture_cannot_have_is_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for by a word, the others are answered; asked for by its name, or where nobody can have it, an error."""
    file.write_text(WORKLOAD.replace("used: 1 GiB", "used: 1 GiB, hugepages: {2 MiB: 8}"))
    asked = ["solve", str(file), "--for", "processes", "--policy", "hugetlb-default", "--format", "csv"]

    assert main([*asked, "--vary", "host.arch=all", "--vary", "host.swap=0,1GiB"]) == 0
    out, said = capsys.readouterr()
    answered = {(row["host.arch"], row["host.swap"], row["policy"]) for row in csv.DictReader(io.StringIO(out))}
    assert ("x86_64", "1GiB", "hugetlb-2M") in answered
    assert ("arm64-64k-va48", "0", "hugetlb-512M") in answered
    assert not any(arch == "s390x" for arch, _, _ in answered)
    assert "not possible: host.arch=s390x, host.swap=1GiB: host.hugepages: s390x has no huge pages of 2 MiB" in said
    assert main([*asked, "--vary", "host.arch=x86_64,s390x"]) == 2
    assert "s390x has no huge pages of 2 MiB" in capsys.readouterr().err
    assert main([*asked[:-4], "--vary", "host.arch=all", "--policy", "hugetlb-3M"]) == 2
    assert "'hugetlb-3M' is no policy of x86_64" in capsys.readouterr().err
