"""``ptcalc solve`` as text, CSV and JSON: a row for each combination of values and policy."""

from __future__ import annotations

import csv
import io
from typing import Any

from ptcalc.errors import printable
from ptcalc.report import format as fmt
from ptcalc.report.page import Cell, Column, Page, Screen
from ptcalc.report.terminal import RISK_STYLE
from ptcalc.report.verdict import RISK_TEXT
from ptcalc.scenarios.scales import Value
from ptcalc.scenarios.searching import Answer
from ptcalc.scenarios.solving import Solution

Json = dict[str, Any]

SCHEMA = "ptcalc.solve/1"
UNITS = {"processes": "processes", "size": "bytes", "memory": "bytes", "touch": "percent"}
# limited_by, as people are told.
BINDS = {
    "memory": "memory",
    "cgroup": "cgroup limit",
    "pid_max": "pid_max",
    "fixed": "nothing grows",
    "pool": "pool of huge pages",
    "refused": "no workload beyond",
    "nothing": "nothing",
}
COLUMNS = ("policy", "state", "value", "limited_by", "fails_at", "level", "why")


def render_text(solution: Solution, screen: Screen) -> str:
    """Return a table for `screen`, and notes on what stands in no column."""
    page = Page(screen)
    page.say((solution.name, "bold"))
    page.say((f"{solution.file}: {_subject(solution)}", "dim"))
    page.blank()
    columns = [
        *(Column(path, right=False) for path, _ in solution.axes),
        Column("policy", right=False),
        Column("at least" if solution.least else "at most"),
        Column("limited by", right=False),
        Column("one step less" if solution.least else "one step more"),
        Column("is", right=False),
    ]
    rows = [[*row.values, *_cells(answer, solution)] for row in solution.rows for answer in row.answers]
    page.table(columns, rows)
    notes = _notes(solution)
    if notes:
        page.blank()
    for note in notes:
        page.say(note)
    return page.text()


def render_csv(solution: Solution) -> str:
    """Return a line of titles and one for each row; values are whole numbers, touch per cent with three decimals."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*(printable(path) for path, _ in solution.axes), *COLUMNS])
    for row in solution.rows:
        for answer in row.answers:
            report = _answer_to_dict(answer, solution)
            texts = ["" if report[name] is None else printable(str(report[name])) for name in COLUMNS]
            writer.writerow([*map(printable, row.values), *texts])
    return out.getvalue()


def to_dict(solution: Solution) -> Json:
    """Return what ``ptcalc solve --format json`` prints: processes, bytes, or per cent in steps of 0.001."""
    return {
        "schema": SCHEMA,
        "workload": {"name": solution.name, "file": solution.file},
        "for": solution.wanted,
        "places": list(solution.places),
        "unit": UNITS[solution.wanted],
        "target": solution.target,
        "axes": [{"path": path, "values": list(values)} for path, values in solution.axes],
        "rows": [
            {"values": dict(zip((path for path, _ in solution.axes), row.values, strict=True))}
            | _answer_to_dict(answer, solution)
            for row in solution.rows
            for answer in row.answers
        ],
    }


def _answer_to_dict(answer: Answer, solution: Solution) -> Json:
    return {
        "policy": answer.policy,
        "state": answer.availability.state,
        "value": _exact(answer.value, solution),
        "limited_by": answer.limited_by,
        "fails_at": _exact(answer.fails_at, solution),
        "level": answer.level,
        "why": answer.why,
    }


def _exact(value: Value | None, solution: Solution) -> int | float | None:
    if value is None or solution.wanted != "touch":
        return None if value is None else int(value)
    return round(float(value * 100), 3)


def _shown(value: Value | None, solution: Solution) -> str:
    """Return a value with all its digits, and a size that has many of them rounded as well."""
    if value is None:
        return "-"
    if solution.wanted == "processes":
        return f"{value:,}"
    if solution.wanted == "touch":
        return f"{float(value * 100):.3f} %"
    exact = fmt.whole(int(value))
    return exact if len(exact) < len("1,000 GiB") + 1 else f"{exact} ({fmt.size(int(value))})"


def _subject(solution: Solution) -> str:
    unit = {"processes": "number of processes", "size": "size", "touch": "touch", "memory": "memory"}[solution.wanted]
    places = f" ({', '.join(solution.places)})" if solution.places else ""
    target = "not out of memory" if solution.target == "critical" else f"at level {solution.target}"
    if solution.target == "warning":
        target += " or better"
    return f"the {'least' if solution.least else 'largest'} {unit}{places} {target}"


def _cells(answer: Answer, solution: Solution) -> list[Cell]:
    value = "none" if answer.value is None else _shown(answer.value, solution)
    level: Cell = "" if answer.level is None else (RISK_TEXT[answer.level], RISK_STYLE[answer.level])
    return [
        answer.policy,
        value if answer.availability.deployable else f"would be {value}",
        BINDS[answer.limited_by],
        _shown(answer.fails_at, solution),
        level,
    ]


def _notes(solution: Solution) -> list[str]:
    answers = [answer for row in solution.rows for answer in row.answers]
    notes = []
    if any(answer.value is None for answer in answers):
        end = "the largest" if solution.least else "the smallest"
        notes.append(f"none: {end} that can be asked for, in the next column, misses the target as well.")
    for binds, why in dict.fromkeys((answer.limited_by, answer.why) for answer in answers if answer.why):
        notes.append(f"{BINDS[binds]}: {why}.")
    if solution.wanted == "processes" and any(answer.limited_by == "fixed" for answer in answers):
        notes.append("nothing grows: all groups have scale: fixed; these are the processes of the file.")
    if any(answer.limited_by == "nothing" for answer in answers):
        notes.append(f"nothing: {'1 MiB' if solution.least else 'all of it'} meets the target.")
    others = {each.policy: each.availability for each in answers if not each.availability.deployable}
    if others:
        as_of = max(availability.as_of for availability in others.values())
        names = ", ".join(f"{name} ({availability.state})" for name, availability in others.items())
        notes.append(f"In no mainline kernel as of {as_of}: {names}.")
    return notes
