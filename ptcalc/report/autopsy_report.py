"""``ptcalc autopsy`` for people and as JSON: was it page tables, who held them, what would have prevented it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ptcalc.autopsy import Autopsy, Setting, Victim
from ptcalc.capture.oomlog import OomReport
from ptcalc.report import format as fmt
from ptcalc.report.json_report import policy_to_dict
from ptcalc.report.page import Cell, Column, Page, Screen
from ptcalc.report.terminal import RISK_STYLE, bar
from ptcalc.report.verdict import RISK_TEXT, limit
from ptcalc.result import PolicyResult

SCHEMA = "ptcalc.autopsy/1"
MOST_GROUPS = 8
MOST_VICTIMS = 8
MOST_OTHERS = 20

_STYLE = {"yes": "bold red", "partly": "bold yellow", "no": "bold", "unknown": "bold"}

Json = dict[str, Any]


def render(path: str, reports: Sequence[OomReport], chosen: int, found: Autopsy, screen: Screen) -> str:
    """Return the autopsy of report `chosen` (its index) of a log as text for `screen`, and a line for each one."""
    page = Page(screen)
    _title(page, path, reports, chosen)
    _answer(page, found)
    _victims(page, found)
    _accounts(page, found)
    _groups(page, found)
    _policies(page, found)
    _settings(page, found)
    if found.remarks:
        page.heading("ALSO")
        for remark in found.remarks:
            page.say(f"{remark[:1].upper()}{remark[1:]}.")
    _others(page, reports, chosen)
    return page.text()


def to_dict(path: str, reports: Sequence[OomReport], chosen: int, found: Autopsy) -> Json:
    """Return the autopsy of report `chosen` of a log as ``ptcalc autopsy --format json`` prints it (bytes)."""
    estimate = found.estimate
    return {
        "schema": SCHEMA,
        "file": path,
        "reports": [_summary(number, report) for number, report in enumerate(reports, 1)],
        "report": chosen + 1,
        "verdict": found.verdict,
        "memory_bytes": found.memory_bytes,
        "page_tables": {
            "bytes": found.page_tables_bytes,
            "source": found.page_tables_from,
            "of_processes_bytes": found.report.tables_of_tasks,
        },
        "items": [{"name": item.name, "bytes": item.bytes, "kind": item.kind} for item in found.items],
        "groups": [
            {
                "name": group.name,
                "count": group.count,
                "page_tables_bytes": group.page_tables,
                "rss_bytes": group.rss,
                "pids": [task.pid for task in group.tasks],
            }
            for group in found.groups
        ],
        "killed": [_victim(victim) for victim in found.victims],
        "policies": [] if estimate is None else [policy_to_dict(result) for result in estimate.policies],
        "no_policies": found.no_estimate,
        "settings": [_setting(setting) for setting in found.settings],
        "remarks": list(found.remarks),
    }


def _title(page: Page, path: str, reports: Sequence[OomReport], chosen: int) -> None:
    report = reports[chosen]
    which = f"report {chosen + 1} of {len(reports)}, " if len(reports) > 1 else ""
    when = f", {report.when}" if report.when else ""
    page.say((f"{path}: {which}line {report.line}{when}", "bold"))
    machine = [f"kernel {report.kernel}"] if report.kernel else []
    machine += [report.machine] if report.machine else []
    page.say((", ".join([_where(report), *machine]), "dim"))
    page.blank()


def _where(report: OomReport) -> str:
    if report.cgroup is None:
        return "the machine ran out of memory"
    return f"memory cgroup {report.cgroup or '(its name is not in the log)'} reached its limit"


def _answer(page: Page, found: Autopsy) -> None:
    tables, memory = found.page_tables_bytes, found.memory_bytes
    if tables is None or memory is None:
        page.say(
            (
                "NOT KNOWN: the report does not say how much memory there was, or how much was in tables.",
                _STYLE["unknown"],
            )
        )
        return
    held = f"They held {fmt.size(tables)} of {fmt.size(memory)} ({_share(tables, memory)})"
    match found.verdict:
        case "yes":
            page.say(("YES, it was page tables.", _STYLE["yes"]), f" {held}; without them that would have been free.")
        case "partly":
            page.say(("PARTLY: page tables had their share.", _STYLE["partly"]), f" {held}.")
        case _:
            page.say(("NO, it was not page tables.", _STYLE["no"]), f" {held}.{_most(found, memory)}")
    if found.verdict != "no" and found.groups and found.groups[0].page_tables:
        first = found.groups[0]
        who = fmt.plural(first.count, "process", "processes")
        each = fmt.size(first.page_tables // first.count)
        share = _share(first.page_tables, found.report.tables_of_tasks)
        page.say(f"{who} of {first.name} had {share} of the processes' page tables, {each} each.")


def _most(found: Autopsy, memory: int) -> str:
    used = [item for item in found.items if item.kind not in ("free", "rest")]
    if not used:
        return ""
    return f" Most was {used[0].name}: {fmt.size(used[0].bytes)} ({_share(used[0].bytes, memory)})."


def _victims(page: Page, found: Autopsy) -> None:
    if not found.victims:
        return
    page.heading("KILLED")
    columns = (
        Column("process", right=False),
        Column("pid"),
        Column("private"),
        Column("page tables"),
        Column("freed"),
        Column("of memory"),
        Column("shared, stays"),
    )
    rows: list[list[Cell]] = []
    for victim in found.victims[:MOST_VICTIMS]:
        kill = victim.kill
        rows.append(
            [
                kill.name,
                str(kill.pid),
                fmt.size(kill.anon),
                "-" if victim.tables is None else fmt.size(victim.tables),
                fmt.size(victim.freed),
                _share(victim.freed, found.memory_bytes),
                fmt.size(victim.stays),
            ]
        )
    page.table(columns, rows)
    if len(found.victims) > MOST_VICTIMS:
        page.say(f"and {len(found.victims) - MOST_VICTIMS:,} more")
    needed = found.victims[0].kills_needed
    if needed is not None and needed > 1:
        page.say(f"It takes {needed:,} such kills until as much is free as a machine should have (level ok).")


def _accounts(page: Page, found: Autopsy) -> None:
    memory = found.memory_bytes
    if not found.items or memory is None:
        return
    page.blank()
    unit = fmt.unit_of(memory)
    rows: list[list[Cell]] = [
        [item.name, fmt.in_unit(item.bytes, unit), _share(item.bytes, memory)] for item in found.items
    ]
    rows.append([("total", "bold"), (fmt.in_unit(memory, unit), "bold"), ""])
    page.table((Column("WHERE THE MEMORY WAS", right=False), Column(unit), Column("share")), rows)
    if found.page_tables_from:
        page.say((f"page tables: {found.page_tables_from}", "dim"))


def _groups(page: Page, found: Autopsy) -> None:
    total = found.report.tables_of_tasks
    if not found.groups or not total:
        return
    page.blank()
    columns = (
        Column("WHO HELD THE PAGE TABLES", right=False),
        Column("processes"),
        Column("tables"),
        Column("share"),
        Column("tables each"),
        Column("RSS each"),
    )
    rows: list[list[Cell]] = [
        [
            group.name,
            f"{group.count:,}",
            fmt.size(group.page_tables),
            _share(group.page_tables, total),
            fmt.size(group.page_tables // group.count),
            fmt.size(group.rss // group.count),
        ]
        for group in found.groups[:MOST_GROUPS]
    ]
    rest = found.groups[MOST_GROUPS:]
    if rest:
        tables, count = sum(group.page_tables for group in rest), sum(group.count for group in rest)
        rows.append([f"{len(rest):,} groups more", f"{count:,}", fmt.size(tables), _share(tables, total), "", ""])
    page.table(columns, rows)


def _policies(page: Page, found: Autopsy) -> None:
    estimate = found.estimate
    if estimate is None:
        page.heading("OTHER POLICIES")
        page.say(f"Not known: {found.no_estimate}.")
        return
    today = estimate.policy("today")
    if all(result.page_tables.used_bytes == today.page_tables.used_bytes for result in estimate.policies):
        page.heading("OTHER POLICIES")
        page.say("None changes anything: as far as the report says, the processes shared no memory worth mentioning.")
        return
    deployable = [result for result in estimate.policies if result.availability.deployable]
    ideas = [result for result in estimate.policies if not result.availability.deployable]
    page.heading("THE SAME PROCESSES UNDER OTHER POLICIES")
    _policy_table(page, deployable)
    if ideas:
        page.heading(f"NO MAINLINE KERNEL YET (as of {max(result.availability.as_of for result in ideas)})")
        _policy_table(page, ideas)
    page.blank()
    page.say(
        "How sure: one segment that all map is inferred from the report. The model says that"
        f" {limit(today.risk.max_processes, today.risk.limited_by)} processes fit today;"
        f" there were {estimate.processes:,}. `ptcalc capture --oom-log` writes the workload, to be corrected.",
    )


def _policy_table(page: Page, results: Sequence[PolicyResult]) -> None:
    unit = fmt.unit_of(max(result.memory.capacity_bytes for result in results))
    columns = (
        Column("policy", right=False),
        Column("tables"),
        Column(f"demand {unit}"),
        Column(f"free {unit}"),
        Column("risk", right=False),
        Column("OOM after"),
        Column("of memory", right=False),
    )
    rows: list[list[Cell]] = []
    for result in results:
        known, level = result.availability.deployable, result.risk.level
        rows.append(
            [
                (result.policy, "bold") if known else result.policy,
                fmt.size(result.page_tables.used_bytes, exact=result.page_tables.exact),
                fmt.in_unit(result.memory.demand_bytes, unit),
                fmt.in_unit(result.memory.headroom_bytes, unit),
                (RISK_TEXT[level], RISK_STYLE[level]) if known else f"would be {RISK_TEXT[level]}",
                limit(result.risk.max_processes, result.risk.limited_by),
                (bar(result), RISK_STYLE[level] if known else "dim"),
            ]
        )
    page.table(columns, rows, leave_out=(("of memory",), ("of memory", f"demand {unit}")))


def _settings(page: Page, found: Autopsy) -> None:
    page.heading("WHAT WOULD HAVE PREVENTED IT")
    if found.verdict == "no":
        page.say("No setting of page tables: all of them together would not have been enough.")
        return
    if not found.settings:
        page.say("Nothing that can be told from this report.")
        return
    for number, setting in enumerate(found.settings, 1):
        outcome = f"then {RISK_TEXT[setting.level]}"
        if setting.max_processes is not None:
            outcome += f", OOM after {setting.max_processes:,} processes"
        if setting.saves_bytes:
            outcome += f", {fmt.size(setting.saves_bytes)} of page tables less"
        page.say((setting.what, "bold"), f" ({outcome})", label=f"{number}. ")
        for line in setting.lines:
            page.say(line, indent=6)
        for need in setting.needs:
            page.say(need, label="needs ", indent=3)
    useless = [
        result.policy
        for result in (found.estimate.policies if found.estimate is not None else ())
        if result.availability.deployable and result.policy not in ("today", "private") and result.risk.level == "oom"
    ]
    if useless:
        page.say(f"{', '.join(useless)}: the same processes run out of memory then, too.", label=("NOT ", "bold"))


def _others(page: Page, reports: Sequence[OomReport], chosen: int) -> None:
    if len(reports) < 2:
        return
    page.heading("ALL REPORTS OF THIS LOG (--report shows another one)")
    columns = (
        Column("report"),
        Column("line"),
        Column("when", right=False),
        Column("where", right=False),
        Column("page tables"),
        Column("of memory"),
        Column("killed", right=False),
    )
    rows: list[list[Cell]] = []
    for index, report in enumerate(reports[:MOST_OTHERS]):
        tables = report.page_tables
        rows.append(
            [
                (f"{index + 1}", "bold" if index == chosen else ""),
                f"{report.line:,}",
                report.when,
                "machine" if report.cgroup is None else f"cgroup {report.cgroup}",
                "-" if tables is None else fmt.size(tables[0]),
                "-" if tables is None else _share(tables[0], report.memory),
                ", ".join(f"{kill.name} ({kill.pid})" for kill in report.kills[:2])
                + (", …" if len(report.kills) > 2 else ""),
            ]
        )
    page.table(columns, rows)
    if len(reports) > MOST_OTHERS:
        page.say(f"and {len(reports) - MOST_OTHERS:,} more")


def _share(part: int, whole: int | None) -> str:
    if not whole:
        return "-"
    percent = 100 * part / whole
    if 0 < percent < 0.01:
        return "<0.01 %"
    return f"{percent:.0f} %" if percent >= 9.5 else f"{percent:.2g} %"


def _summary(number: int, report: OomReport) -> Json:
    tables = report.page_tables
    return {
        "report": number,
        "line": report.line,
        "when": report.when,
        "invoker": report.invoker,
        "order": report.order,
        "constraint": report.constraint,
        "cgroup": report.cgroup,
        "kernel": report.kernel,
        "machine": report.machine,
        "base_page_bytes": report.page,
        "memory_bytes": report.memory,
        "page_tables_bytes": None if tables is None else tables[0],
        "processes": len(report.tasks),
        "killed": [{"pid": kill.pid, "name": kill.name} for kill in report.kills],
        "notes": list(report.notes),
    }


def _victim(victim: Victim) -> Json:
    kill = victim.kill
    return {
        "pid": kill.pid,
        "name": kill.name,
        "total_vm_bytes": kill.total_vm,
        "anon_bytes": kill.anon,
        "file_bytes": kill.file,
        "shmem_bytes": kill.shmem,
        "page_tables_bytes": victim.tables,
        "freed_bytes": victim.freed,
        "stays_bytes": victim.stays,
        "kills_needed": victim.kills_needed,
    }


def _setting(setting: Setting) -> Json:
    return {
        "what": setting.what,
        "lines": list(setting.lines),
        "needs": list(setting.needs),
        "risk": setting.level,
        "max_processes": setting.max_processes,
        "saves_bytes": setting.saves_bytes,
    }
