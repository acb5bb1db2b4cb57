"""The Test Anything Protocol, version 14: a test point for each file, its problems as YAML diagnostics.

https://testanything.org/tap-version-14-specification.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from ptcalc.checking.result import CheckResult, FileCheck, Problem
from ptcalc.errors import printable
from ptcalc.report.problems import notes, place, said, verdict


def render(result: CheckResult) -> str:
    """Return the stream."""
    lines = ["TAP version 14", f"1..{len(result.files)}"]
    for number, file in enumerate(result.files, 1):
        lines.append(f"{'ok' if file.passed else 'not ok'} {number} - {_escaped(file.file)}")
        lines += _diagnostics(file)
    return "\n".join([*lines, f"# {verdict(result)}"]) + "\n"


def _diagnostics(file: FileCheck) -> Iterator[str]:
    if file.problems:
        yield "  ---"
        yield f"  workload: {_quoted(file.name)}"
        yield "  problems:"
        for problem in file.problems:
            yield from _problem(problem)
        yield "  ..."


def _problem(problem: Problem) -> Iterator[str]:
    yield f"    - message: {_quoted(said(problem))}"
    yield f"      level: {problem.level}"
    yield f"      fails: {json.dumps(problem.fails)}"
    yield f"      rule: {_quoted(problem.rule)}"
    yield f"      at: {_quoted(place(problem))}"
    yield from (f"      {what}: {_quoted(text)}" for what, text in notes(problem).items())


def _escaped(text: str) -> str:
    """Return a description in which nothing is a directive."""
    return printable(text).replace("\\", "\\\\").replace("#", "\\#")


def _quoted(text: str) -> str:
    """Return a string of YAML; without control characters, JSON's are."""
    return json.dumps(printable(text), ensure_ascii=False)
