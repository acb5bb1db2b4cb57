"""GitLab's Code Quality report: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format."""

from __future__ import annotations

import json
from typing import Any

from ptcalc.checking.result import CheckResult, Problem
from ptcalc.errors import printable
from ptcalc.report.problems import lines, relative

SEVERITIES = {"error": "major", "warning": "minor", "note": "info"}


def render(result: CheckResult) -> str:
    """Return the report: what nobody has accepted, for GitLab knows no suppressed entries."""
    entries = [_entry(problem) for problem in result.problems if problem.accepted is None]
    return json.dumps(entries, indent=2) + "\n"


def _entry(problem: Problem) -> dict[str, Any]:
    return {
        "description": "; ".join(lines(problem)),
        "check_name": problem.rule,
        "fingerprint": problem.fingerprint,
        "severity": "critical" if problem.fails else SEVERITIES[problem.level],
        "location": {"path": printable(relative(problem.file)), "lines": {"begin": problem.line}},
    }
