"""``ptcalc recommend`` as text, as JSON, and as fragments of configuration files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ptcalc import __version__
from ptcalc.errors import printable
from ptcalc.recommend import FORMS, Advice, Form, Idea, Limit, Recommendations, Setting
from ptcalc.report import format as fmt
from ptcalc.report.json_report import policy_to_dict
from ptcalc.report.page import Cell, Column, Page, Screen
from ptcalc.report.terminal import RISK_STYLE
from ptcalc.report.verdict import RISK_TEXT, limit
from ptcalc.result import PolicyResult

Json = dict[str, Any]

SCHEMA = "ptcalc.recommend/1"
# What a recommendation has of a policy's answer in the report of estimate.
ANSWER = ("page_tables", "processes", "risk")
MEMORY = ("boundary", "capacity_bytes", "demand_bytes", "headroom_bytes", "swap_used_bytes")
# Where a fragment goes.
PLACES: dict[Form, str] = {
    "sysctl": "/etc/sysctl.d/90-ptcalc.conf",
    "systemd": "/etc/systemd/system/<unit>.service.d/ptcalc.conf",
    "tmpfiles": "/etc/tmpfiles.d/ptcalc.conf",
    "cmdline": "the kernel command line (GRUB_CMDLINE_LINUX, grubby --args)",
    "fstab": "/etc/fstab, in place of the line for the same mount",
    "init.ora": "Oracle's parameter file",
    "postgresql.conf": "PostgreSQL's postgresql.conf",
}
SAFE, TABLES = "safe", "page tables"


def render_text(found: Recommendations, screen: Screen) -> str:
    """Return the report for people: the table, each recommendation, limits, what does not help, and ideas apart."""
    page = Page(screen)
    page.say((found.name, "bold"))
    page.say((f"{found.file}, {found.arch}, kernel {found.kernel}", "dim"))
    page.blank()
    now = found.as_written
    level = now.result.risk.level
    page.say((f"As written: {RISK_TEXT[level]}, {_free(now.result)}.", f"bold {RISK_STYLE[level]}"))
    if found.advice:
        _start(page, found)
        page.heading("RECOMMENDED, the best saving first; nothing is applied")
        _table(page, found)
        for advice in found.advice:
            _details(page, advice)
    else:
        page.say("Nothing that a released kernel can do saves memory here.")
        if now.settings:
            page.heading("AS WRITTEN it needs")
            _settings(page, now.settings)
    _limits(page, found.limits)
    if found.rejected:
        page.heading("DOES NOT HELP")
        for code, why in found.rejected:
            page.say(why, label=f"{code}: ")
    if found.ideas:
        page.heading("IDEAS ONLY: no released kernel has them")
        _ideas(page, found.ideas)
    return page.text()


def to_dict(found: Recommendations) -> Json:
    """Return what ``ptcalc recommend --format json`` prints; amounts are bytes, exact."""
    return {
        "schema": SCHEMA,
        "workload": {
            "name": found.name, "file": found.file, "arch": found.arch, "kernel": found.kernel,
            "processes": found.processes,
        },
        "as_written": _advice(found.as_written),
        "start": found.start,
        "recommendations": [_advice(advice) for advice in found.advice],
        "limits": [
            {
                "name": each.name, "unit": each.unit, "need": each.need, "value": each.value, "enough": each.enough,
                "source": each.source, "concerns": each.concerns,
            }
            for each in found.limits
        ],
        "rejected": [{"code": code, "why": why} for code, why in found.rejected],
        "ideas": [
            {
                "policy": idea.policy, "title": idea.title, "state": idea.availability.state,
                "since": idea.availability.since, "source": idea.availability.source,
                "saves_bytes": idea.saves_bytes, "page_tables_bytes": idea.page_tables_bytes,
                "changes": list(idea.changes),
            }
            for idea in found.ideas
        ],
    }  # fmt: skip


def render_fragment(found: Recommendations, advice: Advice, form: Form) -> str:
    """Return the lines of one recommendation for one file, with comments, ready to paste.

    What only the reader knows stands in a comment.
    """
    lines = [setting for setting in advice.settings if setting.form == form]
    others = [each for each in FORMS if each != form and any(setting.form == each for setting in advice.settings)]
    out = [
        f"# ptcalc {__version__} for {found.name} ({found.file}): {advice.code}, {advice.title}",
        f"# {PLACES[form]}",
    ]
    if others:
        out.append(f"# More of it belongs elsewhere: --format {', '.join(others)}.")
    out += [f"# It needs {need}." for need in advice.needs]
    if not lines:
        out.append("# There is nothing to set here.")
    elif form == "cmdline":
        out += ["", *(f"# {_word(line)}: {line.why}" for line in lines), " ".join(map(_word, lines))]
    else:
        out += ["", "[Service]"] if form == "systemd" else [""]
        for line in lines:
            out += [f"# {line.why}", _line(line)]
    return "\n".join(map(printable, out)) + "\n"


def _line(setting: Setting) -> str:
    value = setting.value
    if value is None:
        return f"# {setting.name} = ..."
    match setting.form:
        case "systemd":
            return f"{setting.name}={value}"
        case "tmpfiles":
            return f"w {setting.name} - - - - {value}"
        case "fstab":
            return f"tmpfs {setting.name} tmpfs {value} 0 0"
        case "init.ora":
            return f"*.{setting.name}={value}"
        case _:
            return f"{setting.name} = {value}"


def _word(setting: Setting) -> str:
    return f"{setting.name}={setting.value}"


def _shown(setting: Setting) -> str:
    return _word(setting) if setting.form == "cmdline" else _line(setting)


def _free(result: PolicyResult) -> str:
    memory = result.memory
    where = "the cgroup" if memory.boundary == "cgroup" else "memory"
    if memory.headroom_bytes < 0:
        return f"{fmt.size(-memory.headroom_bytes)} more than {where} has"
    return f"{fmt.size(memory.headroom_bytes)} of {where} free"


def _start(page: Page, found: Recommendations) -> None:
    start = found.find(found.start)
    page.say((start.code, "bold"), f": {start.title}", label="START  ")
    level = start.result.risk.level
    further = [each.code for each in found.advice if each.code.startswith(f"{start.code}+") and level != "ok"]
    if further:
        page.say(f"that alone leaves the risk at {RISK_TEXT[level]}: {', '.join(further)}", label="THEN   ")


def _table(page: Page, found: Recommendations) -> None:
    columns = [
        Column("", right=False), Column("saves"), Column(TABLES), Column("left"), Column("risk", right=False),
        Column(SAFE),
    ]  # fmt: skip
    rows: list[list[Cell]] = []
    for each in found.advice:
        result = each.result
        exact = result.page_tables.exact
        saved_exactly = exact and found.as_written.result.page_tables.exact
        level = result.risk.level
        rows.append(
            [
                (each.code, "bold"),
                fmt.size(each.saves_bytes, exact=saved_exactly) if each.saves_bytes > 0 else "-",
                fmt.size(result.page_tables.used_bytes, exact=exact),
                fmt.size(result.memory.headroom_bytes),
                (RISK_TEXT[level], RISK_STYLE[level]),
                limit(result.risk.safe_processes, result.risk.safe_limited_by),
            ]
        )
    page.table(columns, rows, leave_out=[(SAFE,), (SAFE, TABLES)])
    page.say(("left: of the tighter of host and cgroup; safe: how many processes leave enough free", "dim"))


def _details(page: Page, advice: Advice) -> None:
    page.blank()
    page.say((advice.code, "bold"), f": {advice.title}")
    if advice.adds_bytes is not None and advice.adds_bytes > 0:
        first = advice.code.rpartition("+")[0]
        page.say(f"{fmt.size(advice.adds_bytes)} beyond {first}", label="gain   ", indent=2)
    _settings(page, advice.settings)
    for need in advice.needs:
        page.say(need, label="needs  ", indent=2)
    check = advice.check
    left = f"{fmt.size(check.free_bytes)} free" if check.free_bytes >= 0 else f"{fmt.size(-check.free_bytes)} too much"
    page.say(
        f"{fmt.size(check.pool_bytes)} in huge pages and {fmt.size(check.rest_bytes)} for the rest"
        f" of {fmt.size(check.capacity_bytes)} usable: {left}"
        + ("" if check.cgroup_free_bytes is None else f"; in the cgroup {fmt.size(check.cgroup_free_bytes)}"),
        label="fits   " if check.fits else "lacks  ",
        indent=2,
    )


def _settings(page: Page, settings: Sequence[Setting]) -> None:
    for setting in settings:
        page.say(_shown(setting), (f"  {setting.form}: {setting.why}", "dim"), label="set    ", indent=2)


def _limits(page: Page, limits: Sequence[Limit]) -> None:
    if not limits:
        return
    page.heading("LIMITS that could refuse the segments as written")
    rows: list[list[Cell]] = [
        [
            each.name,
            _amount(each, each.need),
            _amount(each, each.value),
            ("enough", "green") if each.enough else ("TOO LOW", "red"),
            f"{each.concerns} ({each.source})",
        ]
        for each in limits
    ]
    columns = [
        Column("", right=False), Column("needed"), Column("there is"), Column("", right=False),
        Column("for", right=False),
    ]  # fmt: skip
    page.table(columns, rows, leave_out=[("for",)])


def _amount(limit: Limit, value: int) -> str:
    if value >= 1 << 62:
        return "no limit"
    return f"{value:,} {limit.unit}" if limit.unit != "bytes" else fmt.size(value)


def _ideas(page: Page, ideas: Sequence[Idea]) -> None:
    columns = [
        Column("", right=False), Column("would save"), Column(TABLES), Column("state", right=False),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [
            idea.policy,
            fmt.size(idea.saves_bytes),
            fmt.size(idea.page_tables_bytes),
            f"{idea.availability.state}, {idea.availability.since}",
        ]
        for idea in ideas
    ]
    page.table(columns, rows)


def _advice(advice: Advice) -> Json:
    answer = policy_to_dict(advice.result)
    check = advice.check
    return {
        "code": advice.code,
        "kind": advice.kind,
        "title": advice.title,
        "saves_bytes": advice.saves_bytes,
        "saves_tables_bytes": advice.saves_tables_bytes,
        "adds_bytes": advice.adds_bytes,
        "availability": answer["availability"],
        **{key: answer[key] for key in ANSWER},
        "memory": {key: answer["memory"][key] for key in MEMORY},
        "check": {
            "capacity_bytes": check.capacity_bytes,
            "pool_bytes": check.pool_bytes,
            "rest_bytes": check.rest_bytes,
            "free_bytes": check.free_bytes,
            "cgroup_free_bytes": check.cgroup_free_bytes,
            "fits": check.fits,
        },
        "settings": [
            {"file": each.form, "name": each.name, "value": each.value, "why": each.why} for each in advice.settings
        ],
        "needs": list(advice.needs),
    }
