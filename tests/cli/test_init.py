"""``ptcalc init``: every file that it writes works, says what is guessed, and takes the place of none unasked."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import jsonschema
import pytest
import yaml

import ptcalc
from ptcalc.cli import completing
from ptcalc.cli.main import main
from ptcalc.templates import TEMPLATES

ROOT = Path(__file__).parent.parent.parent
FILES = {"oracle": ["--pfile", f"{ROOT}/examples/init.ora"], "postgres": ["--conf", f"{ROOT}/examples/postgresql.conf"]}
CASES = [[name] for name in TEMPLATES] + [[name, *words] for name, words in FILES.items()]


def written(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["init", *words]) == 0
    shown = capsys.readouterr()
    assert not shown.err
    return shown.out


@pytest.mark.parametrize("words", CASES, ids=" ".join)
@pytest.mark.parametrize("memory", [[], ["--memory", "64MiB"], ["--memory", "24TiB"]], ids=" ".join)
def test_every_file_is_estimated(words: list[str], memory: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without and with a configuration, on small and large hosts."""
    text = written(capsys, *words, *memory)

    assert ptcalc.estimate(ptcalc.loads(text), policies=["today"] if memory else None).policies
    assert text.startswith("# yaml-language-server: $schema=ptcalc.schema.json\n")
    assert "pattern: clustered, cluster: " in text
    assert ("guess: that of the machine" in text) == (not memory)


@pytest.mark.parametrize("words", CASES, ids=" ".join)
def test_every_file_keeps_to_the_schema_that_it_names(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What an editor checks a file by accepts it as it is written."""
    document = yaml.safe_load(written(capsys, *words, "--memory", "256GiB"))
    assert main(["schema", "workload"]) == 0

    jsonschema.validate(document, json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("words", CASES, ids=" ".join)
def test_what_options_say_is_no_guess(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A value that was given has its option beside it; the others are marked."""
    options = ["--memory", "512 GiB", "--touch", "33%", "--private", "17 MiB"]
    options += ["--processes", "77"] if words[0] != "kvm" else []
    text = written(capsys, *words, *options)
    workload = ptcalc.loads(text)

    assert re.search(r"^  memory: 512 GiB +# --memory$", text, re.MULTILINE)
    assert re.search(r"private: 17 MiB +# --private$", text, re.MULTILINE)
    assert "{amount: 33%, " in text
    assert max(group.private for group in workload.processes.values()) >= 17 << 20
    if words[0] != "kvm":
        assert 77 in [group.count for group in workload.processes.values()]


def test_the_command_in_the_file_writes_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    """What the first lines name as the writer is the command line, fit for a shell."""
    text = written(capsys, "oracle", "--memory", "1 TiB", "--oracle-version", "12.1")
    found = re.search(r"Written by `(.*?)`", text.replace("\n# ", " "))

    assert found is not None
    assert written(capsys, *shlex.split(found[1])[2:]) == text


def test_files_are_not_replaced_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "workload.yaml"
    words = ["init", "--memory", "8GiB", "-o", str(path)]

    assert main(words) == 0
    assert not capsys.readouterr().out
    assert ptcalc.load(path).name
    path.write_text("mine")
    assert main(words) == 2
    assert path.read_text() == "mine"
    assert main([*words, "--force"]) == 0
    assert path.read_text() != "mine"
    assert [each.name for each in tmp_path.iterdir()] == ["workload.yaml"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["orcale"], "did you mean 'oracle'"),
        (["postgres", "--pfile", "x"], "--pfile goes with oracle"),
        (["oracle", "--pg-version", "15"], "--pg-version goes with postgres"),
        (["minimal", "--huge-pages", "5"], "--huge-pages goes with oracle, postgres, kvm"),
        (["oracle", "--sid", "x"], "--sid"),
        (["--force"], "--force"),
        (["--memory", "5 parsecs"], "--memory"),
        (["--memory", "1"], "at least 64 MiB"),
        (["--touch", "300%"], "--touch"),
        (["--processes", "0"], "--processes"),
        (["oracle", "--oracle-version", "8i"], "--oracle-version"),
        (["postgres", "--pg-version", "9.6"], "--pg-version"),
        (["-o", "/nonexistent/x.yaml", "--memory", "8GiB"], "cannot be written"),
    ],
)
def test_bad_usage(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", *words]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert not shown.out


def test_errors_name_the_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "init.ora"
    path.write_text("*.processes=100\n*.sga_target=12Q\n")

    assert main(["init", "oracle", "--pfile", str(path), "--memory", "8GiB"]) == 2
    assert capsys.readouterr().err.startswith(f"{path}:2:14: '12Q' is no size of sga_target\n")
    assert main(["init", "oracle", "--pfile", str(tmp_path / "none"), "--memory", "8GiB"]) == 2


def test_templates_complete_without_importing_them() -> None:
    """The names that TAB offers, which stand apart so that nothing is imported for them, are the templates."""
    assert tuple(TEMPLATES) == completing.TEMPLATES
