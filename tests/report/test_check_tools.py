"""The formats of a check in the hands of programs that are fetched for it: they need npm and a network."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ptcalc.report import sarif, tap
from tests.report.checks import CASES

pytestmark = [pytest.mark.tools, pytest.mark.skipif(shutil.which("npx") is None, reason="npx is not installed")]


def fetched(package: str, program: str, *arguments: object, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program of an npm package; skip where the package cannot be had."""
    if why := unavailable(package):
        pytest.skip(f"{package} cannot be fetched: {why}")
    return npx(package, program, *map(str, arguments), text=text)


@cache
def unavailable(package: str) -> str:
    """Why npm cannot fetch a package; nothing if it can."""
    done = npx(package, "true")
    return done.stderr if done.returncode else ""


def npx(package: str, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command where the programs of an npm package are."""
    return subprocess.run(
        ["npx", "--yes", "--package", package, "--", *command], input=text, capture_output=True, text=True
    )


@pytest.mark.parametrize("name", CASES)
def test_sarif_is_accepted(name: str, tmp_path: Path) -> None:
    """The validator of the SARIF SDK finds no error: neither against the schema nor against the rules beside it."""
    log, report = tmp_path / "check.sarif", tmp_path / "report.sarif"
    log.write_text(sarif.render(CASES[name]()), encoding="ascii")

    done = fetched(
        "@microsoft/sarif-multitool", "sarif-multitool", "validate", log, "--output", report, "--level", "Error"
    )

    found: dict[str, Any] = json.loads(report.read_text("utf-8-sig"))
    assert found["runs"][0].get("results", []) == [], done.stdout


@pytest.mark.parametrize("name", CASES)
def test_tap_is_accepted(name: str) -> None:
    """The parser of node-tap, which knows version 14, reads each point and finds nothing that is no TAP."""
    result = CASES[name]()

    done = fetched("tap-parser", "tap-parser", "--json", text=tap.render(result))

    events = json.loads(done.stdout)
    points = [event[1] for event in events if event[0] == "assert"]
    assert [point["ok"] for point in points] == [file.passed for file in result.files]
    assert not any(event[0] == "extra" for event in events)
    assert done.returncode == (0 if result.passed else 1)
