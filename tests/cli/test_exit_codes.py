"""Exit codes and streams: the answer on standard output, everything else on standard error."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ptcalc.cli import estimate as estimate_command
from ptcalc.cli import output
from ptcalc.cli.main import main
from ptcalc.errors import CannotDoHere

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


def test_done(workload: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An answer is 0, on standard output alone."""
    assert main(["estimate", str(workload)]) == 0

    out, err = capsys.readouterr()
    assert out.startswith("two small groups\n")
    assert err == ""


def test_risk_is_no_failure_unless_asked(crowded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --fail-on a machine that runs out of memory is still an answer."""
    assert main(["estimate", str(crowded), "--format", "json"]) == 0

    report = json.loads(capsys.readouterr().out)
    assert report["policies"][0]["risk"]["level"] == "oom"


@pytest.mark.parametrize("threshold", ["warning", "critical", "oom"])
def test_check_fails_after_its_report(crowded: Path, threshold: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--fail-on prints the whole report first, then says what failed."""
    assert main(["estimate", str(crowded), "--format", "json", "--fail-on", threshold]) == 1

    out, err = capsys.readouterr()
    assert json.loads(out)["workload"]["name"] == "two small groups"
    assert "today is oom" in err
    assert len(err.splitlines()) == 1


def test_check_passes(workload: Path) -> None:
    """Below the threshold the check is passed."""
    assert main(["estimate", str(workload), "--fail-on", "warning"]) == 0


def test_check_judges_the_chosen_policies(workload: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be deployed passes no check: to judge it alone is wrong usage, and nothing is printed."""
    assert main(["estimate", str(workload), "--policy", "mshare", "--fail-on", "oom"]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert "mshare cannot be deployed" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["estimate"], "WORKLOAD"),
        (
            ["estimate", "{}", "--policy", "tody"],
            "did you mean 'today'? accepted: today, private, hugetlb-2M",
        ),
        (["estimate", "{}", "--format", "xml"], "'text', 'json'"),
        (["estimate", "{}", "--fail-on", "ok"], "'warning', 'critical', 'oom'"),
        (["estimate", "{}", "--choice", "phases=zero"], "POLICY.NAME=VALUE"),
        (["estimate", "{}", "--choice", "file-shared.phase=zero"], "accepted: phases"),
        (["estimate", "{}", "--choice", "file-shared.phases=two"], "accepted: every, zero"),
        (["estimate", "{}", "--choice", "private.phases=zero"], "there is none"),
        (
            ["estimate", "{}", "--choice", "file-shared.phases=zero", "--choice", "file-shared.phases=every"],
            "given two values",
        ),
        (
            ["estimate", "{}", "--policy", "today", "--choice", "file-shared.phases=zero"],
            "'file-shared' is no evaluated policy; accepted: today",
        ),
        (["explain", "{}", "--group", "nobody"], "there are server, reporter"),
        (["estimate", "{}.missing"], "small.yaml.missing"),
        (["estimate", "{}", "--config", "{}.missing"], "small.yaml.missing"),
        (["estimat", "{}"], "estimat"),
        ([], "Usage"),
    ],
)
def test_wrong_usage(workload: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage is 2, names what would be accepted, and leaves standard output empty."""
    assert main([argument.replace("{}", str(workload)) for argument in arguments]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bad input is 2, with the place in the file, and leaves standard output empty."""
    path = tmp_path / "bad.yaml"
    path.write_text("version: 1\nhost: {memory: -1 GiB}\n")

    assert main(["estimate", str(path)]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert "bad.yaml:2:" in err


def test_usage_message_shows_hostile_arguments_harmlessly(workload: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was typed comes back without its escape sequences."""
    assert main(["estimate", str(workload), "--policy", "\x1b[31mred\u202e"]) == 2

    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "\u202e" not in err


@pytest.mark.parametrize(
    ("code", "said", "error"),
    [
        (
            70,
            "a defect of ptcalc, not of your input: ZeroDivisionError: by\\nzero",
            ZeroDivisionError("by\nzero"),
        ),
        (70, "a defect of ptcalc, not of your input: KeyError", KeyError()),
        (3, "not enough memory", MemoryError()),
        (3, "no /proc here", CannotDoHere("no /proc here")),
        (130, "interrupted", KeyboardInterrupt()),
    ],
)
def test_everything_else(
    workload: Path,
    code: int,
    said: str,
    error: BaseException,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever happens inside ends in one line and its exit code, never in a traceback."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(estimate_command, "question", fail)

    assert main(["estimate", str(workload)]) == code

    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 1


def test_debug_shows_the_details_of_a_defect(
    workload: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--debug is for whoever mends the defect."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret place")

    monkeypatch.setattr(estimate_command, "question", fail)

    assert main(["estimate", str(workload), "--debug"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_unwritable_output_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is reported, a stream that somebody closed is not."""

    class Stream:
        encoding = "utf-8"

        def __init__(self, number: int) -> None:
            self.number = number

        def write(self, _: str) -> None:
            raise OSError(self.number, "the reason")

    monkeypatch.setattr(sys, "stdout", Stream(errno.ENOSPC))
    with pytest.raises(CannotDoHere, match="the reason"):
        output.emit("report")

    monkeypatch.setattr(sys, "stdout", Stream(errno.EBADF))
    output.emit("report")
