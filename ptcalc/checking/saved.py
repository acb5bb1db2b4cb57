"""The result of a check that was saved as JSON (``ptcalc.check/1``), read back for its other formats."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

from pydantic_core import SchemaValidator

from ptcalc import saved
from ptcalc.checking.result import Acceptance, CheckResult, FileCheck, Problem, Rule
from ptcalc.errors import InputError
from ptcalc.result import RISK_ORDER, Availability, Estimate, Memory, PageTables, PolicyResult, Risk
from ptcalc.saved.shapes import (
    ANY,
    COUNT,
    FLAG,
    PATH,
    TEXT,
    Field,
    Schema,
    after,
    list_of,
    object_of,
    or_null,
    row_of,
    whole,
    words,
)

SCHEMA = "ptcalc.check/1"
SAVED = f"a result that ptcalc check --format json has saved (schema {SCHEMA})"


def check_of(found: dict[str, Any], name: str) -> CheckResult:
    """Return the result of a check that a JSON object holds; of its estimates only the figures are known.

    Raises InputError for one that holds none.
    """
    result: CheckResult = saved.built(found, _validator(), name, SAVED)
    for file in result.files:
        known = {each.policy for each in file.estimate.policies} if file.estimate else set(result.policies)
        if not known.issuperset(result.policies):
            raise InputError("a file lacks the figures of a judged policy", file=name, accepted=SAVED)
    return result


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError("this is no day", accepted="a day such as 2027-03-31") from None


def _acceptance(read: tuple[str, str, date]) -> Acceptance:
    return Acceptance("", *read)


def _problem(problem: Problem) -> Problem:
    """Return a problem whose acceptance, if it has one, is of its own rule, which is not said twice."""
    accepted = problem.accepted
    return problem if accepted is None else replace(problem, accepted=replace(accepted, rule=problem.rule))


def _file(read: tuple[Any, ...]) -> FileCheck:
    file, name, risk, figures, problems = read
    estimate = Estimate(name, file, 0, tuple(map(_policy, figures)), (), ()) if figures else None
    return FileCheck(file, name, estimate, risk, problems)


def _policy(figures: tuple[Any, ...]) -> PolicyResult:
    policy, state, risk, most, safe, bytes_, used, exact, demand, capacity, headroom = figures
    return PolicyResult(
        policy=policy,
        title="",
        availability=Availability(state, "", "", ""),
        applies="as_written",
        page_tables=PageTables(bytes_, used, exact, None, ()),
        processes=(),
        memory=Memory("host", capacity, demand, headroom, ()),
        risk=Risk(risk, safe, most, ""),
        mappings=(),
    )


_LEVEL, _RISK = words("note", "warning", "error"), words(*RISK_ORDER)
_PLACE = whole(1)
_PROBLEM = object_of(
    Problem,
    {
        "rule": Field(TEXT),
        "level": Field(_LEVEL),
        "message": Field(TEXT),
        "file": Field(TEXT, ("location", "file")),
        "line": Field(_PLACE, ("location", "line")),
        "column": Field(_PLACE, ("location", "column")),
        "path": Field(PATH),
        "fails": Field(FLAG),
        "fingerprint": Field(TEXT),
        "policy": Field(TEXT),
        "remedy": Field(TEXT),
        "link": Field(TEXT),
        "accepted": Field(or_null(after(_acceptance, row_of(reason=TEXT, owner=TEXT, until=after(_day, TEXT))))),
    },
)
_FIGURES = row_of(
    policy=TEXT,
    state=words("mainline", "vendor", "patches", "proposal"),
    risk=_RISK,
    max_processes=COUNT,
    safe_processes=COUNT,
    page_tables_bytes=COUNT,
    page_tables_used_bytes=COUNT,
    exact=FLAG,
    demand_bytes=COUNT,
    capacity_bytes=COUNT,
    headroom_bytes=ANY,
)
_FILE = after(
    _file,
    row_of(
        file=TEXT,
        name=TEXT,
        risk=or_null(_RISK),
        policies=list_of(_FIGURES),
        problems=list_of(after(_problem, _PROBLEM)),
    ),
)
_CHECK: Schema = object_of(
    CheckResult,
    {
        "files": Field(list_of(_FILE)),
        "policies": Field(list_of(TEXT)),
        "fail_on": Field(_RISK),
        "rules": Field(
            list_of(
                object_of(Rule, {"id": Field(TEXT), "title": Field(TEXT), "help": Field(TEXT), "level": Field(_LEVEL)})
            )
        ),
        "version": Field(TEXT),
    },
)


@cache
def _validator() -> SchemaValidator:
    return SchemaValidator(_CHECK)
