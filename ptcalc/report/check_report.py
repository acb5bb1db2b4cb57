"""``ptcalc check`` as text and as JSON (``ptcalc.check/1``)."""

from __future__ import annotations

from typing import Any

from ptcalc.checking.result import Acceptance, CheckResult, FileCheck, Level, Problem
from ptcalc.report import json_report
from ptcalc.report.format import size
from ptcalc.report.page import Cell, Column, Page, Screen
from ptcalc.report.problems import verdict
from ptcalc.report.terminal import RISK_STYLE
from ptcalc.report.verdict import RISK_TEXT
from ptcalc.result import PolicyResult

Json = dict[str, Any]

SCHEMA = "ptcalc.check/1"
_STYLE: dict[Level, str] = {"note": "dim", "warning": "yellow", "error": "bold red"}


def render_text(result: CheckResult, screen: Screen = Screen()) -> str:  # noqa: B008  # it is frozen
    """Return the report for people: the files and their figures, then what there is to say of each, worst first."""
    page = Page(screen)
    page.say((verdict(result), "bold green" if result.passed else "bold red"))
    page.say((f"judged: {', '.join(result.policies)}; fails from risk {result.fail_on} on", "dim"))
    rows = [row for file in result.files for row in _rows(file, result.policies)]
    if rows:
        page.blank()
        titles = [Column("file", right=False), Column("policy", right=False), Column("risk", right=False)]
        page.table([*titles, *map(Column, ("tables", "free", "OOM after"))], rows)
    for file in result.files:
        if file.problems:
            page.heading(file.name if file.name == file.file else f"{file.name} ({file.file})")
        for problem in file.problems:
            _problem(page, problem)
    return page.text()


def render_json(result: CheckResult) -> str:
    """Return the report for programs; bytes are integers."""
    return json_report.render(to_dict(result))


def to_dict(result: CheckResult) -> Json:
    """Return what ``ptcalc check --format json`` prints."""
    return {
        "schema": SCHEMA,
        "version": result.version,
        "passed": result.passed,
        "fail_on": result.fail_on,
        "policies": list(result.policies),
        "files": [
            {
                "file": file.file,
                "name": file.name,
                "passed": file.passed,
                "risk": file.risk,
                "policies": [_figures(each) for each in _judged(file, result.policies)],
                "problems": [_problem_to_dict(problem) for problem in file.problems],
            }
            for file in result.files
        ],
        "rules": [
            {"id": rule.id, "title": rule.title, "help": rule.help, "level": rule.level} for rule in result.rules
        ],
    }


def _judged(file: FileCheck, policies: tuple[str, ...]) -> list[PolicyResult]:
    return [] if file.estimate is None else [file.estimate.policy(name) for name in policies]


def _rows(file: FileCheck, policies: tuple[str, ...]) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for result in _judged(file, policies):
        level, tables = result.risk.level, result.page_tables
        rows.append(
            [
                file.file,
                result.policy,
                (RISK_TEXT[level], RISK_STYLE[level]),
                size(tables.used_bytes, exact=tables.exact),
                size(result.memory.headroom_bytes),
                f"{result.risk.max_processes:,}",
            ]
        )
    return rows


def _problem(page: Page, problem: Problem) -> None:
    about = f"{problem.policy}: " if problem.policy else ""
    where = f"{problem.file}:{problem.line}:{problem.column}: "
    if problem.accepted is not None:
        page.say(where, ("accepted", "dim"), f": {about}{problem.message} [{problem.rule}]")
        page.say(_word(problem.accepted), label="accepted by ", indent=4)
        return
    page.say(where, (problem.level, _STYLE[problem.level]), f": {about}{problem.message} [{problem.rule}]")
    if problem.remedy:
        page.say(problem.remedy, label="remedy: ", indent=4)
    if problem.link:
        page.say(problem.link, label="see: ", indent=4)


def _word(accepted: Acceptance) -> str:
    return f"{accepted.owner} until {accepted.until}: {accepted.reason}"


def _figures(result: PolicyResult) -> Json:
    tables, memory = result.page_tables, result.memory
    return {
        "policy": result.policy,
        "state": result.availability.state,
        "risk": result.risk.level,
        "max_processes": result.risk.max_processes,
        "safe_processes": result.risk.safe_processes,
        "page_tables_bytes": tables.bytes,
        "page_tables_used_bytes": tables.used_bytes,
        "exact": tables.exact,
        "demand_bytes": memory.demand_bytes,
        "capacity_bytes": memory.capacity_bytes,
        "headroom_bytes": memory.headroom_bytes,
    }


def _problem_to_dict(problem: Problem) -> Json:
    accepted = problem.accepted
    return {
        "rule": problem.rule,
        "level": problem.level,
        "fails": problem.fails,
        "message": problem.message,
        "location": {"file": problem.file, "line": problem.line, "column": problem.column},
        "path": list(problem.path),
        "policy": problem.policy,
        "remedy": problem.remedy,
        "link": problem.link,
        "fingerprint": problem.fingerprint,
        "accepted": None
        if accepted is None
        else {"owner": accepted.owner, "reason": accepted.reason, "until": accepted.until.isoformat()},
    }
