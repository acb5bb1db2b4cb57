"""How a problem of a check is said, in whatever format: harmless text, before the format's own escaping."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from ptcalc.checking.result import CheckResult, Problem
from ptcalc.errors import printable
from ptcalc.report.format import plural


def verdict(result: CheckResult) -> str:
    """Return whether the check passed, and how many files did not."""
    files = plural(len(result.files), "file")
    failed = sum(not file.passed for file in result.files)
    return f"FAILED: {failed:,} of {files}" if failed else f"PASSED: {files}"


def said(problem: Problem) -> str:
    """Return what is wrong, in one line."""
    return printable(f"{problem.policy}: {problem.message}" if problem.policy else problem.message)


def notes(problem: Problem) -> dict[str, str]:
    """Return what is to be known besides: what to do, the user's own link, who accepted it."""
    accepted = problem.accepted
    found = {
        "remedy": problem.remedy,
        "see": problem.link,
        "accepted": f"by {accepted.owner} until {accepted.until}: {accepted.reason}" if accepted else "",
    }
    return {what: printable(text) for what, text in found.items() if text}


def lines(problem: Problem) -> list[str]:
    """Return what is wrong, and a line for each of its notes."""
    return [said(problem), *(f"{what}: {text}" for what, text in notes(problem).items())]


def place(problem: Problem) -> str:
    """Return ``file:line:column``."""
    return f"{printable(problem.file)}:{problem.line}:{problem.column}"


def relative(file: str) -> str:
    """Return the name of a file as a checkout has it: without ``./`` in front and the like."""
    return posixpath.normpath(file)


def failing_first(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems that nobody accepted: what fails the check first, then by level."""
    levels = ("error", "warning", "note")
    still_open = (problem for problem in problems if problem.accepted is None)
    return sorted(still_open, key=lambda problem: (not problem.fails, levels.index(problem.level)))
