"""``ptcalc explain`` as text: the arithmetic with the numbers filled in, every figure with all its digits.

Policy by policy: how many tables of each level, mapping by mapping; the first rule that keeps the rest from
being shared and what would change that; then the ledger line by line, capacity, limits and open choices.
"""

from __future__ import annotations

from ptcalc.report import format as fmt
from ptcalc.report.page import Cell, Column, Page, Screen
from ptcalc.report.terminal import RISK_STYLE, capacity_terms
from ptcalc.report.verdict import RISK_TEXT
from ptcalc.result import Estimate, LedgerItem, LevelArithmetic, MappingShare, PolicyResult, ProcessTables

LIMITS = {
    "memory": "limited by the host's memory",
    "cgroup": "limited by the cgroup's memory limit",
    "pid_max": "more do not exist: pid_max; memory would do for more",
    "fixed": "no group grows, and these fit",
}


def render(estimate: Estimate, screen: Screen) -> str:
    """Return the arithmetic of `estimate` as text for `screen`."""
    page = Page(screen)
    page.say((estimate.name, "bold"))
    page.say((estimate.file, "dim"))
    for result in estimate.policies:
        _policy(page, result)
    return page.text()


def _policy(page: Page, result: PolicyResult) -> None:
    availability = result.availability
    page.blank()
    page.say((result.policy, "bold"), f": {result.title}")
    since = f"{' since' if availability.deployable else ':'} {availability.since}" if availability.since else ""
    page.say(
        f"{availability.state}{since} (as of {availability.as_of}; {availability.source})",
        label="who has it: ",
        indent=2,
    )
    if not availability.deployable:
        page.say("no mainline kernel has this: all that follows is what would be.", indent=2)
    applies = "as written" if isinstance(result.applies, str) else "; ".join(result.applies)
    page.say(applies, label="what must change: " if applies != "as written" else "applies: ", indent=2)
    for process in result.processes:
        _group(page, result, process)
    _page_tables(page, result)
    _second_level(page, result)
    _memory(page, result)
    _limits(page, result)
    for name, value, meaning in result.choices:
        page.say(meaning, label=f"choice {name} = {value}: ", indent=2)
    for bound in result.bounds:
        page.say(
            f"page tables {_bytes(bound.page_tables_bytes)}; {bound.why}",
            label=f"bound {bound.name} = {bound.value}: ",
            indent=2,
        )


def _group(page: Page, result: PolicyResult, process: ProcessTables) -> None:
    page.blank()
    page.say(
        ("GROUP ", "dim"),
        (process.name, "bold"),
        f", {fmt.plural(process.count, 'process', 'processes')}",
        indent=2,
    )
    for mapping in result.mappings:
        if mapping.group == process.name:
            _mapping(page, mapping)
    mark = "" if process.exact else "~"
    together = " + ".join(f"{mark}{level.tables:,} {level.level}" for level in process.levels if level.tables)
    if together:
        page.say(
            f"{together} (neighbouring mappings share edge tables)",
            label="tables of one process, unshared: ",
            indent=4,
        )
    spread = "" if process.vmpte_sd_bytes is None else f" ± {fmt.exact_bytes(process.vmpte_sd_bytes)}"
    assumed = "" if process.vmpte_defined else "; assumed: no kernel defines it for these shared tables"
    page.say(
        f"{_bytes(process.vmpte_bytes, exact=process.exact)}{spread}{assumed}",
        label="VmPTE of one process: ",
        indent=4,
    )
    page.say(_bytes(process.marginal_bytes, exact=process.exact), label="one more process adds: ", indent=4)


def _mapping(page: Page, mapping: MappingShare) -> None:
    end = mapping.address + mapping.length
    stated = "as written" if mapping.address_stated else "placed by ptcalc"
    page.say(
        f"{mapping.address:#x}..{end:#x}, {fmt.size(mapping.length)}, address {stated}",
        label=f"mapping {mapping.index + 1} of {mapping.segment}: ",
        indent=4,
    )
    columns = (
        Column("level", right=False),
        Column("span"),
        Column("first"),
        Column("last"),
        Column("tables"),
        Column("x bytes"),
        Column("shared"),
        Column("how", right=False),
    )
    if mapping.levels:
        page.table(columns, [_level(level) for level in mapping.levels], indent=6)
    for reason in mapping.reasons:
        page.say(f"{reason.text} [{reason.code}]", label="not shared: ", indent=6)
        if reason.remedy:
            page.say(reason.remedy, label="remedy: ", indent=8)
        if reason.saves_bytes is not None:
            page.say(_bytes(reason.saves_bytes), label="would save: ", indent=8)


def _level(level: LevelArithmetic) -> list[Cell]:
    return [
        level.level,
        fmt.size(level.span),
        f"{level.first:,}",
        f"{level.last:,}",
        fmt.tables(level.tables),
        f"{level.table_bytes:,}",
        fmt.tables(level.shared),
        level.method,
    ]


def _page_tables(page: Page, result: PolicyResult) -> None:
    tables = result.page_tables
    mark = "" if tables.exact else "~"
    page.blank()
    page.say(("PAGE TABLES", "dim"), " of all processes together, a shared table once", indent=2)
    rows: list[list[Cell]] = [
        [level.level, f"{mark}{level.tables:,}", f"{mark}{level.bytes:,}"] for level in tables.levels
    ]
    rows.append([("memory taken", "bold"), "", f"{mark}{tables.used_bytes:,}"])
    rows.append(["PageTables in /proc/meminfo", "", f"{mark}{tables.bytes:,}"])
    summed = sum(process.count * process.vmpte_bytes for process in result.processes)
    rows.append(["VmPTE of all processes", "", f"{mark}{summed:,}"])
    if tables.memcg_bytes is not None:
        rows.append(["pagetables in memory.stat", "", f"{mark}{tables.memcg_bytes:,}"])
    page.table((Column("level", right=False), Column("tables"), Column("bytes")), rows, indent=4)
    if tables.sd_bytes is not None:
        page.say(f"one standard deviation: {_bytes(tables.sd_bytes)}", indent=4)


def _second_level(page: Page, result: PolicyResult) -> None:
    tables = result.second_level
    if tables is None:
        return
    page.blank()
    page.say(("SECOND-LEVEL TABLES", "dim"), " of guests, not part of the page tables above", indent=2)
    rows: list[list[Cell]] = []
    for guest in tables.guests:
        mark = "" if guest.exact else "~"
        terms = " + ".join(f"{mark}{level.tables:,} {level.level}" for level in guest.levels)
        terms += f"{' + ' if terms else ''}root {fmt.size(guest.root_bytes)}"
        each = f"{guest.count:,} x {mark}{guest.bytes:,}"
        rows.append([f"{guest.name} ({guest.kind.upper()})", terms, each, f"{mark}{guest.count * guest.bytes:,}"])
    mark = "" if tables.exact else "~"
    rows.append([("memory taken", "bold"), "", "", f"{mark}{tables.used_bytes:,}"])
    rows.append(["SecPageTables in /proc/meminfo", "", "", f"{mark}{tables.bytes:,}"])
    titles = (
        Column("group", right=False),
        Column("tables of one guest", right=False),
        Column("guests"),
        Column("bytes"),
    )
    page.table(titles, rows, indent=4)
    for source in tables.sources:
        page.say(source, label="rule: ", indent=4)


def _memory(page: Page, result: PolicyResult) -> None:
    memory = result.memory
    page.blank()
    page.say(("DEMAND", "dim"), f" ({memory.boundary}, the tighter boundary)", indent=2)
    rows = [_item(item) for item in memory.items]
    rows.append([("total", "bold"), f"{memory.demand_bytes:,}", "", ""])
    page.table((Column("item", right=False), Column("bytes"), _TERMS, _SOURCE), rows, indent=4)
    page.blank()
    page.say(("CAPACITY", "dim"), indent=2)
    rows = [_item(item) for item in memory.capacity_terms]
    rows.append(
        [
            ("usable", "bold"),
            f"{memory.capacity_bytes:,}",
            capacity_terms(result, fmt.unit_of(memory.capacity_bytes)),
            "",
        ]
    )
    page.table((Column("term", right=False), Column("bytes"), _TERMS, _SOURCE), rows, indent=4)
    page.say(
        f"{memory.capacity_bytes:,} - {memory.demand_bytes:,} = {memory.headroom_bytes:,} bytes",
        label="headroom: ",
        indent=4,
    )
    if memory.swap_used_bytes:
        page.say(_bytes(memory.swap_used_bytes), label="in swap: ", indent=4)


_TERMS = Column("terms", right=False)
_SOURCE = Column("source", right=False)


def _item(item: LedgerItem) -> list[Cell]:
    return [item.name, f"{item.bytes:,}", item.terms, item.source]


def _limits(page: Page, result: PolicyResult) -> None:
    risk = result.risk
    page.blank()
    deployable = result.availability.deployable
    level: Cell = (RISK_TEXT[risk.level], RISK_STYLE[risk.level]) if deployable else f"would be {RISK_TEXT[risk.level]}"
    page.say(level, label="risk: ", indent=2)
    for label, most, bound in (
        ("safe up to: ", risk.safe_processes, risk.safe_limited_by),
        ("OOM after: ", risk.max_processes, risk.limited_by),
    ):
        by = LIMITS.get(bound, f"limited by {bound}" if bound else "")
        page.say(f"{fmt.plural(most, 'process', 'processes')}{f' ({by})' if by else ''}", label=label, indent=2)


def _bytes(value: int, *, exact: bool = True) -> str:
    mark = "" if exact else "~"
    return (
        f"{mark}{fmt.exact_bytes(value)} ({fmt.size(value)})"
        if abs(value) >= 1024
        else f"{mark}{fmt.exact_bytes(value)}"
    )
