"""Annotations of GitHub Actions: workflow commands, which the runner reads from a step's output.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands; what has to be escaped is said by
the runner's own toolkit: ``%``, CR and LF everywhere, ``:`` and ``,`` in properties as well.
"""

from __future__ import annotations

from collections import Counter

from ptcalc.checking.result import CheckResult, Problem
from ptcalc.errors import printable
from ptcalc.report import check_markdown
from ptcalc.report.format import plural
from ptcalc.report.problems import failing_first, lines, relative, verdict

MOST = 10  # annotations of a step; GitHub drops those of one kind that come after ten
COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def render(result: CheckResult) -> str:
    """Return the annotations, what fails first, those past `MOST` as one; then the verdict."""
    problems = failing_first(result.problems)
    many = len(problems) if len(problems) <= MOST else MOST - 1
    shown, rest = problems[:many], problems[many:]
    return "\n".join([*map(_annotation, shown), *_rolled_up(rest), f"ptcalc: {verdict(result)}"]) + "\n"


def summary(result: CheckResult) -> str:
    """Return what belongs into the file that ``GITHUB_STEP_SUMMARY`` names: Markdown."""
    return check_markdown.render(result)


def _annotation(problem: Problem) -> str:
    properties = {
        "file": relative(problem.file),
        "line": str(problem.line),
        "col": str(problem.column),
        "title": f"ptcalc {problem.rule}",
    }
    return _command(problem, properties, "\n".join(lines(problem)))


def _rolled_up(problems: list[Problem]) -> list[str]:
    if not problems:
        return []
    rules = Counter(problem.rule for problem in problems)
    named = ", ".join(f"{many} x {rule}" for rule, many in rules.most_common())
    return [_command(problems[0], {"title": "ptcalc"}, printable(f"{plural(len(problems), 'more problem')}: {named}"))]


def _command(worst: Problem, properties: dict[str, str], message: str) -> str:
    named = ",".join(f"{name}={_property(printable(value))}" for name, value in properties.items())
    return f"::{COMMANDS[worst.level]} {named}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
