"""``ptcalc autopsy``: exit codes, both forms, harmless names."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from ptcalc.cli.main import main

from .data import EXAMPLE, NAMES, path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["autopsy", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("name", NAMES)
def test_every_log_in_both_forms(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each report of each log can be shown; text has a heading, JSON its schema and integers for bytes."""
    reports = json.loads(run(capsys, path(name), "--format", "json")[1])["reports"]
    for each in reports:
        code, text, errors = run(capsys, path(name), "--report", each["report"])
        assert (code, errors) == (0, "")
        assert "WHAT WOULD HAVE PREVENTED IT" in text
        document = json.loads(run(capsys, path(name), "--report", each["report"], "--format", "json")[1])
        assert document["schema"] == "ptcalc.autopsy/1"
        assert document["report"] == each["report"]
        assert document["verdict"] in ("yes", "partly", "no", "unknown")
        assert all(isinstance(item["bytes"], int) for item in document["items"])
        assert [policy["policy"] for policy in document["policies"]][:2] in ([], ["today", "private"])


def test_what_is_said_first(capsys: pytest.CaptureFixture[str]) -> None:
    """The answer, who held them, who was killed."""
    text = run(capsys, EXAMPLE, "--report", 3)[1]

    assert text.splitlines()[:4] == [
        f"{EXAMPLE}: report 3 of 4, line 276, 6.146468",
        "the machine ran out of memory, kernel 7.2.13+deb14-cloud-amd64, x86_64",
        "",
        "YES, it was page tables. They held 284 MiB of 461 MiB (62 %); without them that would have been free.",
    ]
    assert "42 processes of postgres had 89 % of the processes' page tables, 6.02 MiB each." in text


def test_by_default_the_gravest(capsys: pytest.CaptureFixture[str]) -> None:
    assert "report 1 of 4" in run(capsys, EXAMPLE)[1]


def test_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(EXAMPLE.read_bytes())))

    assert run(capsys, "-")[1].splitlines()[1:] == run(capsys, EXAMPLE)[1].splitlines()[1:]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Missing argument 'LOG'"),
        (["/dev/null"], 2, "no OOM report is in it"),
        (["/nonexistent"], 2, "cannot be read"),
        ([EXAMPLE, "--report", "5"], 2, "the log has 4 OOM reports"),
        ([EXAMPLE, "--report", "0"], 2, "0 is not in the range"),
        ([EXAMPLE, "--config", "/nonexistent"], 2, "/nonexistent"),
    ],
)
def test_refusals(arguments: list[object], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    found, text, errors = run(capsys, *arguments)

    assert (found, text) == (code, "")
    assert message in errors
    assert "Traceback" not in errors


def test_a_config_moves_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("levels: {ok: 80%, warning: 70%}\n")

    assert "NO, it was not page tables." in run(capsys, EXAMPLE, "--config", config)[1]


def test_hostile_names_are_harmless(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names that try to colour the terminal, to move its cursor or to turn the line round are shown as escapes."""
    log = tmp_path / "hostile.log"
    text = EXAMPLE.read_text().replace("postgres", "\x1b[31m\u202ex").replace("oom_memcg=/db", "oom_memcg=/\x1b[2J,x")
    log.write_text(text, encoding="utf-8")
    code, shown, _ = run(capsys, log)
    _, document, _ = run(capsys, log, "--format", "json")

    assert code == 0
    assert "\\x1b[31m\\u202ex" in shown
    assert "\x1b" not in shown and "\u202e" not in shown
    assert document.isascii()
    assert json.loads(document)["groups"][0]["name"] == "\x1b[31m\u202ex"
    assert json.loads(document)["reports"][0]["cgroup"] == "/\x1b[2J,x"


def test_bytes_that_are_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "bytes.log"
    log.write_bytes(EXAMPLE.read_bytes().replace(b"postgres", b"\xff\xfe\x00gres"))

    assert run(capsys, log)[0] == 0


def test_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever bytes are lost, swapped or doubled: an answer or one message, never a defect."""
    import random

    draw = random.Random(1)
    data = EXAMPLE.read_bytes()[:16_000]
    log = tmp_path / "noise.log"
    for _ in range(20):
        damaged = bytearray(data)
        for _ in range(draw.choice((1, 20, 400))):
            at = draw.randrange(len(damaged))
            match draw.randrange(4):
                case 0:
                    damaged[at] = draw.randrange(256)
                case 1:
                    del damaged[at : at + draw.randrange(1, 200)]
                case 2:
                    damaged[at:at] = damaged[at : at + draw.randrange(1, 200)]
                case _:
                    damaged[at:at] = b"9" * draw.randrange(1, 30)
        log.write_bytes(damaged)
        code, _, errors = run(capsys, log)
        assert code == 0 or (code == 2 and "no OOM report is in it" in errors)
