"""The command: formats, what to pick, and bad usage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ptcalc.cli.main import main
from ptcalc.cli.recommend import FORMS as CHOICES
from ptcalc.recommend import FORMS

from .documents import servers


@pytest.fixture
def workload(tmp_path: Path) -> str:
    """A file of servers without huge pages."""
    path = tmp_path / "servers.yaml"
    path.write_text(servers())
    return str(path)


def test_formats_are_those_of_the_settings() -> None:
    """--format names every file that settings can go to."""
    assert ("text", "json", *FORMS) == CHOICES


@pytest.mark.parametrize("form", CHOICES)
def test_every_format(workload: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each one says something, on standard output alone."""
    assert main(["recommend", workload, "--format", form]) == 0

    out, err = capsys.readouterr()
    assert out
    assert err == ""


def test_files_are_of_where_to_start(workload: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --pick the lines are those of the recommendation to start with."""
    main(["recommend", workload, "--format", "sysctl"])
    default = capsys.readouterr().out
    main(["recommend", workload, "--format", "sysctl", "--pick", "hugetlb-2M"])

    assert capsys.readouterr().out == default
    assert "\nvm.nr_hugepages = 8192\n" in default


def test_pick_shows_one(workload: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--pick in a report leaves that one."""
    assert main(["recommend", workload, "--format", "json", "--pick", "thp"]) == 0

    report = json.loads(capsys.readouterr().out)
    assert [each["code"] for each in report["recommendations"]] == ["thp"]


def test_as_written(workload: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What the workload needs as it is can be picked as well."""
    limited = ["--limit", "kernel.shmmax=1 GiB", "--format", "sysctl", "--pick", "as-written"]

    assert main(["recommend", workload, *limited]) == 0
    assert "\nkernel.shmmax = 17179869184\n" in capsys.readouterr().out


def test_other_architecture(workload: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--arch asks for another machine."""
    assert main(["recommend", workload, "--arch", "s390x", "--format", "sysctl"]) == 0
    assert "\nvm.nr_hugepages = 16384\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pick", "hugetlb-2m"], "did you mean 'hugetlb-2M'?"),
        (["--pick", "mshare"], "is no recommendation"),
        (["--limit", "shmmax=1"], "is no limit"),
        (["--limit", "memlock"], "is not of the form NAME=VALUE"),
        (["--limit", "memlock=1", "--limit", "memlock=2"], "is given twice"),
        (["--limit", "memlock=much"], "is not understood"),
        (["--shm-group", "-1"], "--shm-group"),
        (["--format", "yaml"], "--format"),
        (["--arch", "vax"], "unknown architecture"),
    ],
)
def test_bad_usage(workload: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One message, exit code 2, nothing on standard output."""
    assert main(["recommend", workload, *arguments]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


def test_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no workload is refused with its place."""
    path = tmp_path / "bad.yaml"
    path.write_text(servers().replace("count: 100", "count: many"))

    assert main(["recommend", str(path)]) == 2
    assert "bad.yaml:8:12:" in capsys.readouterr().err


def test_no_place_in_the_address_space(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be laid out as written is bad input here too."""
    path = tmp_path / "full.yaml"
    mappings = ", ".join(["{segment: sga}"] * 200)
    path.write_text(servers(size="1 TiB", memory="4 TiB").replace("{segment: sga, alignment: 1 GiB}", mappings))

    assert main(["recommend", str(path)]) == 2
    assert "no part of the address space is left" in capsys.readouterr().err
