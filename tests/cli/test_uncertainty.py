"""`ptcalc estimate` of files with distributions, and what other commands make of them."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

import ptcalc
from ptcalc.cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def uncertain(workload: Path) -> Path:
    """The small workload with two distributions."""
    path = workload.parent / "uncertain.yaml"
    text = workload.read_text().replace("count: 10", "count: {triangular: [5, 10, 20]}")
    path.write_text(text.replace("used: 1 GiB", "used: {normal: [6 GiB, 512 MiB], min: 1 GiB}"))
    return path


def test_report(uncertain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The odds come first, and no line says that a median was taken."""
    assert main(["estimate", str(uncertain)]) == 0

    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "two small groups"
    assert lines[1].endswith("10,000 samples, seed 1")
    assert lines[3].startswith("Out of memory in ")
    assert lines[4].startswith("host.used drives it most (rank correlation with what is left: -")
    assert "the median of" not in out
    assert err == ""


def test_json(uncertain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same seed gives the same numbers, another one others, and the keys are those documented."""

    def report(*arguments: str) -> tuple[str, dict[str, object]]:
        assert main(["estimate", str(uncertain), "--format", "json", "--samples", "500", *arguments]) == 0
        out = capsys.readouterr().out
        return out, json.loads(out)

    first, found = report()
    assert report("--seed", "1")[0] == first
    assert report("--seed", "2")[0] != first
    assert list(found) == ["schema", "workload", "samples", "seed", "confidence", "inputs", "policies", "assumptions"]
    assert (found["schema"], found["samples"], found["seed"]) == ("ptcalc.uncertain/1", 500, 1)
    policies = found["policies"]
    assert isinstance(policies, list)
    assert list(policies[0]) == ["policy", "availability", "risk", "page_tables", "headroom_bytes", "drivers"]
    assert sum(odds["samples"] for odds in policies[0]["risk"].values()) == 500
    documented = (ROOT / "docs/uncertainty.md").read_text(encoding="utf-8")
    assert all(f"`{key}" in documented for key in (*found, *policies[0]))


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("small", ["--samples", "100"], "no number of this file is a distribution"),
        ("small", ["--seed", "7"], "no number of this file is a distribution"),
        ("uncertain", ["--samples", "0"], "1<=x<=1000000"),
        ("uncertain", ["--samples", "2000000"], "1<=x<=1000000"),
        ("uncertain", ["--seed", "-1"], "0<=x"),
        ("uncertain", ["--fail-on", "oom", "--policy", "mshare"], "mshare cannot be deployed"),
        ("uncertain", ["--fail-on", "oom", "--fail-probability", "0.05"], "such as 5% or 0.1%"),
        ("uncertain", ["--fail-on", "oom", "--fail-probability", "120%"], "more than 100%"),
        ("uncertain", ["--fail-probability", "5%"], "--fail-on says from which risk level on"),
        ("small", ["--fail-on", "oom", "--fail-probability", "5%"], "no number of this file is a distribution"),
        ("uncertain", ["--policy", "tody"], "did you mean 'today'?"),
    ],
)
def test_wrong_usage(
    uncertain: Path, name: str, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage is 2, and leaves standard output empty."""
    assert main(["estimate", str(uncertain.with_name(f"{name}.yaml")), *arguments]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["oom"], 1),  # 6.63 % of the samples
        (["oom", "--fail-probability", "10%"], 0),
        (["oom", "--fail-probability", "0%", "--policy", "hugetlb-2M"], 1),
        (["warning", "--fail-probability", "50%", "--policy", "today", "--policy", "hugetlb-2M"], 1),
        (["warning", "--fail-probability", "55%"], 0),
        (["critical", "--fail-probability", "100%"], 0),
    ],
)
def test_fail_on_counts_samples(
    uncertain: Path, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """More of them at the level or beyond than are allowed fail, after the report; never one that is not judged."""
    assert main(["estimate", str(uncertain), "--format", "json", "--fail-on", *arguments]) == code

    out, err = capsys.readouterr()
    assert err.count("\n") == code
    if arguments == ["oom"]:
        (odds,) = (each["risk"]["oom"] for each in json.loads(out)["policies"] if each["policy"] == "today")
        assert f"allowed (5.00 %): today in {odds['samples'] / 100:.2f} % of the samples (" in err


def test_exactly_what_is_allowed_passes(uncertain: Path) -> None:
    odds = ptcalc.sample(uncertain, samples=200, policies=["today"]).policy("today")
    share = Fraction(odds.at_least("oom").samples, 200)

    assert 0 < share < 1
    assert not odds.exceeds(share, "oom")
    assert odds.exceeds(share - Fraction(1, 10**9), "oom")
    assert odds.worst(share) == "critical"
    assert odds.worst(Fraction(0)) == "oom"
    assert odds.worst(Fraction(1)) == "ok"


def test_strict_and_arch_hold_for_samples(uncertain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A guess is refused, and another machine is sampled."""
    assert main(["estimate", str(uncertain), "--strict"]) == 2
    assert "--strict allows no guess" in capsys.readouterr().err
    assert main(["estimate", str(uncertain), "--arch", "arm64-64k", "--samples", "10"]) == 0
    assert "arm64-64k" in capsys.readouterr().out.splitlines()[1]


@pytest.mark.parametrize("name", ["explain", "recommend"])
def test_other_commands_say_that_they_take_the_medians(
    uncertain: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, str(uncertain)]) == 0

    out, err = capsys.readouterr()
    assert out
    assert err.endswith("uncertain.yaml: 2 distributions: their medians are taken; ptcalc estimate samples\n")


def test_sweep_takes_the_medians(uncertain: Path, workload: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that is varied is certain, all others are the medians."""
    vary = ["--vary", "processes.server.count=5,10", "--format", "csv"]
    assert main(["sweep", str(uncertain), *vary]) == 0
    found = capsys.readouterr().out
    workload.write_text(workload.read_text().replace("used: 1 GiB", "used: 6 GiB"))
    assert main(["sweep", str(workload), *vary]) == 0
    assert capsys.readouterr().out == found


def test_medians_are_assumptions(uncertain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(uncertain), "--format", "json"]) == 0

    said = {each["key"]: each for each in json.loads(capsys.readouterr().out)["assumptions"]}
    assert said["host.used"]["value"] == "6 GiB"
    assert said["processes.server.count"]["why"].startswith("the median of triangular [5, 10, 20]")
