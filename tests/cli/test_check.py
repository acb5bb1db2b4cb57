"""``ptcalc check`` and ``ptcalc budget``: exit codes, streams, exports; what is judged has tests of its own."""

from __future__ import annotations

import io
import json
import re
import sys
import unicodedata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest

from ptcalc.cli.main import main
from ptcalc.report.formats import CHECK as FORMATS

HOSTILE = "\x1b[31m\u202e]]><script>::error::%0A\"'" + "x" * 60


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A file that is no workload."""
    path = tmp_path / "broken.yaml"
    path.write_text("version: 1\nhost: {memory: 5 GX}\nprocesses: {}\n")
    return path


def check(*arguments: object) -> int:
    return main(["check", *map(str, arguments)])


def test_passed(workload: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(workload) == 0

    out, err = capsys.readouterr()
    assert out.startswith("PASSED: 1 file\n")
    assert err == ""


def test_failed(workload: Path, crowded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole report first, then one line that says what failed."""
    assert check(workload, crowded, "--format", "json") == 1

    out, err = capsys.readouterr()
    assert [file["passed"] for file in json.loads(out)["files"]] == [True, False]
    assert err == f"ptcalc: 1 of 2 files failed the check: {crowded}\n"


def test_a_broken_file_is_worse(
    workload: Path, crowded: Path, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All are judged and shown; then the message names the place, the value, and what would be accepted."""
    assert check(broken, crowded, workload, "--format", "json") == 2

    out, err = capsys.readouterr()
    assert [file["risk"] for file in json.loads(out)["files"]] == [None, "oom", "ok"]
    assert f"{broken}:2:16: " in err
    assert "'GX' is no unit" in err
    assert "accepted: B, KiB" in err


@pytest.mark.parametrize(("which", "code"), [("workload", 0), ("crowded", 0), ("broken", 2)])
def test_exit_zero(which: str, code: int, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    """A failed check is forgiven, wrong input is not."""
    assert check(request.getfixturevalue(which), "--exit-zero") == code
    assert capsys.readouterr().out


@pytest.mark.parametrize(("threshold", "code"), [("warning", 1), ("critical", 0), ("oom", 0)])
def test_fail_on(workload: Path, threshold: str, code: int) -> None:
    workload.write_text(workload.read_text().replace("8 GiB", "2300 MiB"))

    assert check(workload, "--fail-on", threshold) == code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "FILE"),
        (["{}", "--policy", "tody"], "did you mean 'today'?"),
        (["{}", "--policy", "mshare"], "--hypothetical"),
        (["{}", "--fail-on", "ok"], "'warning', 'critical', 'oom'"),
        (["{}", "--export", "json"], "FORMAT=PATH"),
        (["{}", "--export", "jsn=x"], "did you mean 'json'?"),
        (["{}", "--export", "json=x", "--export", "text=x"], "named twice"),
        (["{}", "--force"], "no --export"),
        (["{}", "--config", "{}.missing"], "small.yaml.missing"),
        (["{}/.."], "no workload"),
        (["{}", "--config", "{}"], "unknown key"),
    ],
)
def test_wrong_usage(workload: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is 2, before anything is judged or written."""
    folder = workload.parent / "empty"
    folder.mkdir()
    assert check(*[each.replace("{}/..", str(folder)).replace("{}", str(workload)) for each in arguments]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert not Path("x").exists()


def test_hypothetical(workload: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(workload, "--policy", "mshare", "--hypothetical", "--format", "json") == 0

    (file,) = json.loads(capsys.readouterr().out)["files"]
    assert [(each["policy"], each["state"]) for each in file["policies"]] == [("mshare", "patches")]


def test_a_file_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a file that cannot be judged, as any other."""
    assert check(tmp_path / "gone.yaml") == 2

    out, err = capsys.readouterr()
    assert "invalid-workload" in out
    assert "gone.yaml:1:1: cannot be read: No such file" in err


def test_standard_input(workload: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for text, code in ((workload.read_bytes(), 0), (b"{", 2)):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text)))
        assert check("-", "--format", "json") == code

        (file,) = json.loads(capsys.readouterr().out)["files"]
        assert file["file"] == "<stdin>"


def test_exports(workload: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They hold what standard output would, and are there however the check ends."""
    text, report = tmp_path / "a.txt", tmp_path / "a.json"
    arguments = [workload, "--policy", "private", "--export", f"text={text}", "--export", f"json={report}"]

    assert check(*arguments) == 0
    assert capsys.readouterr().out == text.read_text()
    assert check(workload, "--policy", "private", "--format", "json") == 0
    assert capsys.readouterr().out == report.read_text()


@pytest.mark.parametrize("form", FORMATS)
def test_every_format(crowded: Path, broken: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of files that fail and files that are none; what is printed is what is exported."""
    path = crowded.with_name("report")

    assert check(crowded, broken, "--format", form, "--export", f"{form}={path}") == 2
    assert capsys.readouterr().out == path.read_text(encoding="utf-8")
    assert "risk" in path.read_text(encoding="utf-8")


def test_exports_of_a_failed_check(crowded: Path, broken: Path, tmp_path: Path) -> None:
    assert check(crowded, "--export", f"json={tmp_path / '1.json'}") == 1
    assert check(broken, "--export", f"json={tmp_path / '2.json'}") == 2

    assert [json.loads((tmp_path / name).read_text())["passed"] for name in ("1.json", "2.json")] == [False, False]


def test_exports_replace_nothing_unasked(workload: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that cannot be written is 2, and leaves those before it; --force replaces."""
    first, there, last = tmp_path / "1.json", tmp_path / "2.json", tmp_path / "3.json"
    there.write_text("precious")
    wanted = [word for path in (first, there, last) for word in ("--export", f"json={path}")]

    assert check(workload, *wanted) == 2
    assert "2.json exists" in capsys.readouterr().err
    assert json.loads(first.read_text())["passed"]
    assert there.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.json", "2.json", "small.yaml"]

    assert check(workload, *wanted, "--force") == 0
    assert there.read_text() == last.read_text() == first.read_text()


@pytest.mark.parametrize("path", ["{}", "{}/no/such/folder/x.json", "{}/small.yaml/x"])
def test_exports_that_cannot_be_written(workload: Path, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(workload, "--export", f"json={path.replace('{}', str(workload.parent))}") == 2

    out, err = capsys.readouterr()
    assert out.startswith("PASSED")
    assert "accepted: " in err


def test_names_from_files_do_nothing(tmp_path: Path, workload: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither those of workloads and files nor what a budget or an acceptance says."""
    path = tmp_path / f"\x1b[31m\u202e{'y' * 40}.yaml"
    said = json.dumps(HOSTILE)
    path.write_text(
        workload.read_text().replace("two small groups", said).replace("server:", f"{said}:")
        + f"budgets: [{{rule: page_tables, at_most: 1, message: {said}}}, {{rule: headroom, at_least: 99%}}]\n"
        + f"accept: [{{rule: budget-headroom, reason: {said}, owner: {said}, until: 2999-01-01}}]\n"
    )
    assert check(path) == 1

    out, err = capsys.readouterr()
    assert {each for each in out + err if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")} == {"\n"}
    assert check(path, "--format", "json") == 1
    text = capsys.readouterr().out
    assert text.isascii()
    (file,) = json.loads(text)["files"]
    assert file["name"] == HOSTILE
    assert HOSTILE in [each["accepted"]["owner"] for each in file["problems"] if each["accepted"]]


def test_the_json_report(crowded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its keys, which scripts rely on."""
    check(crowded, "--format", "json")
    report = json.loads(capsys.readouterr().out)

    assert list(report) == ["schema", "version", "passed", "fail_on", "policies", "files", "rules"]
    assert (report["schema"], report["fail_on"], report["policies"]) == ("ptcalc.check/1", "oom", ["today"])
    (file,) = report["files"]
    assert list(file) == ["file", "name", "passed", "risk", "policies", "problems"]
    risk = file["problems"][0]
    assert list(risk) == [
        "rule", "level", "fails", "message", "location", "path", "policy", "remedy", "link", "fingerprint", "accepted",
    ]  # fmt: skip
    assert risk["location"] == {"file": str(crowded), "line": 5, "column": 15}
    assert risk["path"] == ["segments", "sga", "size"]
    figures = file["policies"][0]
    assert figures["headroom_bytes"] == figures["capacity_bytes"] - figures["demand_bytes"]
    assert {rule["id"] for rule in report["rules"]} == {each["rule"] for each in file["problems"]}


def test_formats_are_those_of_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--help"]) == 0
    shown = re.sub(r"\s+", "", capsys.readouterr().out)

    assert f"[{'|'.join(FORMATS)}]" in shown


def test_budget_init(workload: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it prints can be pasted, and the check then passes; a file is written whole and never replaced unasked."""
    assert main(["budget", "init", str(workload), "--margin", "10%"]) == 0
    budgets, err = capsys.readouterr()
    assert err == ""
    config = tmp_path / "ci.yaml"

    assert main(["budget", "init", str(workload), "--margin", "10%", "--output", str(config)]) == 0
    assert capsys.readouterr().out == ""
    assert config.read_text() == budgets
    assert check(workload, "--config", config) == 0
    assert "budget-" not in capsys.readouterr().out

    assert main(["budget", "init", str(workload), "--output", str(config)]) == 2
    assert config.read_text() == budgets
    assert main(["budget", "init", str(workload), "--output", str(config), "--force"]) == 0
    assert config.read_text() != budgets


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--margin", "25"], "accepted: a share such as 25%"),
        (["--margin", "125%"], "more than 100%"),
        (["--force"], "no --output"),
    ],
)
def test_budget_init_used_wrongly(
    workload: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["budget", "init", str(workload), *arguments]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


def test_the_summary_of_a_step(
    workload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --format github it is appended where GitHub Actions wants it; in other formats, and elsewhere, it is not."""
    renderer = SimpleNamespace(render=lambda result: "annotations\n", summary=lambda result: "# summary\n")
    monkeypatch.setitem(sys.modules, "ptcalc.report.github", cast("ModuleType", renderer))
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")

    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert check(workload, "--format", "github") == 0
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert check(workload) == 0
    assert summary.read_text() == "before\n"

    capsys.readouterr()
    assert check(workload, "--format", "github") == 0
    assert capsys.readouterr().out == "annotations\n"
    assert summary.read_text() == "before\n# summary\n"

    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    assert check(workload, "--format", "github") == 2
    assert "cannot be written" in capsys.readouterr().err
