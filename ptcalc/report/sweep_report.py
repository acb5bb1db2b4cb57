"""``ptcalc sweep`` as text, Markdown and JSON: all that estimate tells of each combination of values and policy."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from ptcalc.report import format as fmt
from ptcalc.report import markup
from ptcalc.report.json_report import policy_to_dict
from ptcalc.report.markup import escaped
from ptcalc.report.page import Cell, Column, Page, Screen
from ptcalc.report.terminal import RISK_STYLE
from ptcalc.report.verdict import RISK_TEXT, limit
from ptcalc.result import Availability, PolicyResult
from ptcalc.sweeping import Row, Sweep

Json = dict[str, Any]

SCHEMA = "ptcalc.sweep/1"
# What a row has of a policy's answer in the report of estimate.
ANSWER = ("policy", "availability", "applies", "page_tables", "processes", "risk")
MEMORY = ("boundary", "capacity_bytes", "demand_bytes", "headroom_bytes")
TABLES, COUNTED, VMPTE, DEMAND, SAFE = "tables", "PageTables", "VmPTE", "demand", "safe"


class Table(NamedTuple):
    """What people read: columns, rows, and the rows that nothing can be said for, with the reason."""

    columns: list[Column]
    rows: list[list[Cell]]
    impossible: list[tuple[str, str]]


def render_text(sweep: Sweep, screen: Screen) -> str:
    """Return the table for `screen`; where that is narrow, without the columns that other ones imply."""
    table = _table(sweep)
    page = Page(screen)
    page.say((sweep.name, "bold"))
    page.say((f"{sweep.file}: {_subject(sweep)}", "dim"))
    page.blank()
    vmpte = tuple(column.title for column in table.columns if column.title.startswith(VMPTE))
    leave_out = [(SAFE,), (SAFE, COUNTED), (SAFE, COUNTED, DEMAND), (SAFE, COUNTED, DEMAND, *vmpte)]
    shown = page.table(table.columns, table.rows, leave_out=leave_out)
    if table.impossible:
        page.heading("NOT POSSIBLE")
        for what, why in table.impossible:
            page.say(why, label=f"{what}: ")
    page.blank()
    for note in _notes(sweep, shown):
        page.say(note)
    return page.text()


def render_markdown(sweep: Sweep) -> str:
    """Return the table as GitHub's Markdown has it, with what is not possible and the notes below it."""
    table = _table(sweep)
    rows = [[escaped(cell if isinstance(cell, str) else cell[0]) for cell in row] for row in table.rows]
    lines = markup.table(table.columns, rows)
    if table.impossible:
        lines += ["", "Not possible:", "", *(f"- {escaped(what)}: {escaped(why)}" for what, why in table.impossible)]
    for note in _notes(sweep, [column.title for column in table.columns]):
        lines += ["", escaped(note)]
    return "\n".join(lines) + "\n"


def to_dict(sweep: Sweep) -> Json:
    """Return what ``ptcalc sweep --format json`` prints: a row's figures are those of estimate, bytes, exact."""
    return {
        "schema": SCHEMA,
        "workload": {"name": sweep.name, "file": sweep.file},
        "axes": [{"path": axis.path, "values": list(axis.values)} for axis in sweep.axes],
        "rows": [_row_to_dict(row, sweep) for row in sweep.rows],
    }


def _row_to_dict(row: Row, sweep: Sweep) -> Json:
    values = {axis.path: value for axis, value in zip(sweep.axes, row.values, strict=True)}
    report: Json = {"values": values, "arch": row.arch, "kernel": row.kernel or None, "policy": row.policy or None}
    if row.result is None:
        return report | {"why": row.why}
    answer = policy_to_dict(row.result)
    memory = {key: answer["memory"][key] for key in MEMORY}
    return report | {key: answer[key] for key in ANSWER} | {"memory": memory}


def _results(sweep: Sweep) -> list[PolicyResult]:
    return [row.result for row in sweep.rows if row.result is not None]


def _groups(sweep: Sweep) -> list[str]:
    """Return the names of the groups of processes, which no value changes."""
    return [group.name for group in _results(sweep)[0].processes]


def _subject(sweep: Sweep) -> str:
    combinations = fmt.plural(len({row.values for row in sweep.rows}), "combination")
    return f"{combinations} of {', '.join(axis.path for axis in sweep.axes)}"


def _titles(sweep: Sweep) -> list[str]:
    """Return a short title for each axis: the last step of its path, or all of it where that says too little."""
    last = [re.split(r"[.\]]", axis.path)[-1] for axis in sweep.axes]
    return [
        name if name and not name.isdecimal() and last.count(name) == 1 else axis.path
        for name, axis in zip(last, sweep.axes, strict=True)
    ]


def _table(sweep: Sweep) -> Table:
    groups = _groups(sweep)
    counted = any(map(_counted_otherwise, _results(sweep)))
    columns = [
        *(Column(title, right=False) for title in _titles(sweep)),
        Column("policy", right=False),
        Column(TABLES),
        *([Column(COUNTED)] if counted else []),
        *(Column(VMPTE if len(groups) == 1 else f"{VMPTE} {group}") for group in groups),
        Column(DEMAND),
        Column("free"),
        Column("risk", right=False),
        Column(SAFE),
        Column("OOM after"),
    ]
    rows: list[list[Cell]] = []
    impossible = []
    for row in sweep.rows:
        if row.result is not None:
            rows.append([*row.values, *_cells(row.result, counted=counted)])
        else:
            what = ", ".join(f"{axis.path}={value}" for axis, value in zip(sweep.axes, row.values, strict=True))
            impossible.append((f"{what}, {row.policy}" if row.policy else what, row.why))
    return Table(columns, rows, impossible)


def _cells(result: PolicyResult, *, counted: bool) -> list[Cell]:
    tables, memory, risk = result.page_tables, result.memory, result.risk
    word = RISK_TEXT[risk.level]
    level: Cell = (word, RISK_STYLE[risk.level]) if result.availability.deployable else f"would be {word}"
    return [
        result.policy,
        fmt.size(tables.used_bytes, exact=tables.exact),
        *([fmt.size(tables.bytes, exact=tables.exact)] if counted else []),
        *(
            fmt.size(group.vmpte_bytes, exact=group.exact) + ("" if group.vmpte_defined else "*")
            for group in result.processes
        ),
        fmt.size(memory.demand_bytes, exact=tables.exact),
        fmt.size(memory.headroom_bytes, exact=tables.exact),
        level,
        limit(risk.safe_processes, risk.safe_limited_by),
        limit(risk.max_processes, risk.limited_by),
    ]


def _counted_otherwise(result: PolicyResult) -> bool:
    """Whether PageTables reads otherwise than the memory taken, as far as people are shown."""
    return fmt.size(result.page_tables.bytes) != fmt.size(result.page_tables.used_bytes)


def _notes(sweep: Sweep, shown: Collection[str]) -> list[str]:
    """Say what the columns and marks ``shown`` mean, and which policies nobody can have yet."""
    results, notes = _results(sweep), []
    if COUNTED in shown:
        notes.append(f"{TABLES}: the memory taken; {COUNTED}: what /proc/meminfo shows of it.")
    marked = any(not group.vmpte_defined for result in results for group in result.processes)
    if marked and any(title.startswith(VMPTE) for title in shown):
        notes.append(f"{VMPTE} with *: no kernel defines it for these shared tables; assumed: as if they were private.")
    note = not_mainline({result.policy: result.availability for result in results})
    return [*notes, note] if note else notes


def not_mainline(policies: Mapping[str, Availability]) -> str:
    """Return which policies nobody can have yet; nothing if all are there."""
    others = {name: availability for name, availability in policies.items() if not availability.deployable}
    if not others:
        return ""
    as_of = max(availability.as_of for availability in others.values())
    names = ", ".join(f"{name} ({availability.state})" for name, availability in others.items())
    return f"In no mainline kernel as of {as_of}: {names}."
