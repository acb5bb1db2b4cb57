"""``ptcalc check`` in Markdown: the comment on a merge request, the summary of a step."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ptcalc.checking.result import CheckResult, FileCheck, Problem
from ptcalc.report.format import size
from ptcalc.report.markup import ROOM, escaped, fitting, left_out, table
from ptcalc.report.page import Column
from ptcalc.report.problems import failing_first, notes, place, said, verdict
from ptcalc.report.verdict import RISK_TEXT
from ptcalc.result import PolicyResult

_LEFT = ("file", "policy", "risk", "check")
_COLUMNS = [Column(title, title not in _LEFT) for title in (*_LEFT, "page tables", "free", "OOM after")]
# A link that cannot end before its end.
_LINK = re.compile(r"https?://[\w.~:/?#@!$&'*+,;=%-]+", re.ASCII)


def render(result: CheckResult) -> str:
    """Return the verdict, the figures of each file, and the problems, what fails first.

    Rows and problems that a comment has no room for are counted, not shown.
    """
    files = sorted(result.files, key=lambda file: file.passed)
    rows = [cells for file in files for cells in _rows(file, result.policies)]
    shown = fitting(table(_COLUMNS, rows), ROOM // 2)
    parts = [f"## ptcalc check {verdict(result)}", "\n".join(shown), *left_out(2 + len(rows) - len(shown), "row")]

    accepted = [problem for problem in result.problems if problem.accepted is not None]
    items = [_item(problem) for problem in (*failing_first(result.problems), *accepted)]
    shown = fitting(items, ROOM - sum(map(len, parts)))
    parts += ["\n".join(shown), *left_out(len(items) - len(shown), "problem")]
    return "\n\n".join(filter(None, parts)) + "\n"


def _rows(file: FileCheck, policies: Sequence[str]) -> list[list[str]]:
    name, outcome = escaped(file.file), "passed" if file.passed else "**FAILED**"
    if file.estimate is None:
        return [[name, "", "", outcome, "", "", ""]]
    return [_row(name, file.estimate.policy(policy), outcome) for policy in policies]


def _row(name: str, result: PolicyResult, outcome: str) -> list[str]:
    tables = result.page_tables
    return [
        name,
        escaped(result.policy),
        RISK_TEXT[result.risk.level],
        outcome,
        size(tables.used_bytes, exact=tables.exact),
        size(result.memory.headroom_bytes),
        f"{result.risk.max_processes:,}",
    ]


def _item(problem: Problem) -> str:
    level = "accepted" if problem.accepted else f"**{problem.level}**" if problem.fails else problem.level
    head = f"- {level} {escaped(place(problem))}: {escaped(said(problem))} ({escaped(problem.rule)})"
    return "\n".join([head, *(f"  - {what}: {_linked(what, text)}" for what, text in notes(problem).items())])


def _linked(what: str, text: str) -> str:
    return f"<{text}>" if what == "see" and _LINK.fullmatch(text) else escaped(text)
