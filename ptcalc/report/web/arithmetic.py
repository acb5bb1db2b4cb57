"""What `ptcalc explain` shows, as HTML on demand: for each policy its tables, ledger, capacity and limits."""

from __future__ import annotations

from ptcalc.report import format as fmt
from ptcalc.report.explain_report import LIMITS
from ptcalc.report.page import Column
from ptcalc.report.verdict import RISK_TEXT
from ptcalc.report.web import page
from ptcalc.report.web.page import Html, element, text
from ptcalc.result import Estimate, LedgerItem, MappingShare, PolicyResult, ProcessTables

# With more mappings than that a page would be slow to open; `ptcalc explain` shows them all.
MOST_MAPPINGS = 60


def section(estimate: Estimate) -> Html:
    """Return the arithmetic of all policies, each closed until it is asked for."""
    intro = "The numbers filled in, policy by policy, every figure with all its digits."
    parts = [_policy(result) for result in estimate.policies]
    return page.joined([page.heading("The arithmetic"), page.paragraph(text(intro), class_="dim"), *parts])


def _policy(result: PolicyResult) -> Html:
    availability = result.availability
    since = f"{' since' if availability.deployable else ':'} {availability.since}" if availability.since else ""
    body = [
        _line("Who has it", f"{availability.state}{since} (as of {availability.as_of}; {availability.source})"),
        _line("Applies", "as written" if isinstance(result.applies, str) else "; ".join(result.applies)),
    ]
    body += [_line(f"Choice {name} = {value}", meaning) for name, value, meaning in result.choices]
    body += [
        _line(f"With {bound.name} = {bound.value}", f"page tables {_bytes(bound.page_tables_bytes)}; {bound.why}")
        for bound in result.bounds
    ]
    left = MOST_MAPPINGS
    for process in result.processes:
        mine = [mapping for mapping in result.mappings if mapping.group == process.name]
        body.append(_group(process, mine[:left]))
        if len(mine) > left:
            body.append(page.paragraph(text(f"{len(mine) - left:,} mappings more: see ptcalc explain."), class_="note"))
        left -= min(left, len(mine))
    body += [_page_tables(result), *_memory(result), _limits(result)]
    return page.details(f"{result.policy}: {result.title}", *body, class_="block")


def _group(process: ProcessTables, mappings: list[MappingShare]) -> Html:
    mark = "" if process.exact else "~"
    together = " + ".join(f"{mark}{level.tables:,} {level.level}" for level in process.levels if level.tables)
    spread = "" if process.vmpte_sd_bytes is None else f" ± {fmt.exact_bytes(process.vmpte_sd_bytes)}"
    assumed = "" if process.vmpte_defined else "; assumed: no kernel defines it for these shared tables"
    lines = [element("h4", text(f"{process.name}, {fmt.plural(process.count, 'process', 'processes')}"))]
    lines += [_mapping(mapping) for mapping in mappings]
    if together:
        lines.append(_line("Tables of one process, unshared", f"{together} (neighbouring mappings share edge tables)"))
    lines.append(_line("VmPTE of one process", f"{_bytes(process.vmpte_bytes, exact=process.exact)}{spread}{assumed}"))
    lines.append(_line("One more process adds", _bytes(process.marginal_bytes, exact=process.exact)))
    return page.joined(lines)


def _mapping(mapping: MappingShare) -> Html:
    end = mapping.address + mapping.length
    stated = "as written" if mapping.address_stated else "placed by ptcalc"
    where = f"{mapping.address:#x}..{end:#x}, {fmt.size(mapping.length)}, address {stated}"
    parts = [_line(f"Mapping {mapping.index + 1} of {mapping.segment}", where)]
    columns = (
        Column("level", right=False), Column("span"), Column("first"), Column("last"), Column("tables"),
        Column("x bytes"), Column("shared"), Column("how", right=False),
    )  # fmt: skip
    rows = [
        [
            text(level.level), text(fmt.size(level.span)), text(f"{level.first:,}"), text(f"{level.last:,}"),
            text(fmt.tables(level.tables)), text(f"{level.table_bytes:,}"), text(fmt.tables(level.shared)),
            text(level.method),
        ]
        for level in mapping.levels
    ]  # fmt: skip
    if rows:
        parts.append(page.table(columns, rows))
    for reason in mapping.reasons:
        parts.append(_line("Not shared", f"{reason.text} [{reason.code}]"))
        if reason.remedy:
            parts.append(_line("Remedy", reason.remedy))
        if reason.saves_bytes is not None:
            parts.append(_line("Would save", _bytes(reason.saves_bytes)))
    return page.joined(parts)


def _page_tables(result: PolicyResult) -> Html:
    tables = result.page_tables
    mark = "" if tables.exact else "~"
    summed = sum(process.count * process.vmpte_bytes for process in result.processes)
    shown = [(level.level, f"{level.tables:,}", level.bytes) for level in tables.levels]
    shown += [("memory taken", "", tables.used_bytes), ("PageTables in /proc/meminfo", "", tables.bytes)]
    shown += [("VmPTE of all processes", "", summed)]
    if tables.memcg_bytes is not None:
        shown.append(("pagetables in memory.stat", "", tables.memcg_bytes))
    rows = [[text(name), text(f"{mark}{many}" if many else ""), text(f"{mark}{size:,}")] for name, many, size in shown]
    parts = [
        element("h4", text("Page tables of all processes together, a shared table once")),
        page.table((Column("level", right=False), Column("tables"), Column("bytes")), rows),
    ]
    if tables.sd_bytes is not None:
        parts.append(_line("One standard deviation", _bytes(tables.sd_bytes)))
    return page.joined(parts)


def _memory(result: PolicyResult) -> list[Html]:
    memory = result.memory
    rows = [*map(_item, memory.items), [page.strong("total"), text(f"{memory.demand_bytes:,}"), Html(""), Html("")]]
    terms = [
        *map(_item, memory.capacity_terms),
        [page.strong("usable"), text(f"{memory.capacity_bytes:,}"), Html(""), Html("")],
    ]
    columns = (
        Column("item", right=False),
        Column("bytes"),
        Column("terms", right=False),
        Column("source", right=False),
    )
    parts = [
        element("h4", text(f"Demand ({memory.boundary}, the tighter boundary)")),
        page.table(columns, rows, class_="cards"),
        element("h4", text("Capacity")),
        page.table(columns, terms, class_="cards"),
        _line("Headroom", f"{memory.capacity_bytes:,} - {memory.demand_bytes:,} = {memory.headroom_bytes:,} bytes"),
    ]
    if memory.swap_used_bytes:
        parts.append(_line("In swap", _bytes(memory.swap_used_bytes)))
    return parts


def _item(item: LedgerItem) -> list[Html]:
    return [text(item.name), text(f"{item.bytes:,}"), text(item.terms), text(item.source)]


def _limits(result: PolicyResult) -> Html:
    risk = result.risk
    would = "" if result.availability.deployable else "would be "
    lines = [element("h4", text("Limits")), _line("Risk", f"{would}{RISK_TEXT[risk.level]}")]
    for label, most, bound in (
        ("Safe up to", risk.safe_processes, risk.safe_limited_by),
        ("OOM after", risk.max_processes, risk.limited_by),
    ):
        by = LIMITS.get(bound, f"limited by {bound}" if bound else "")
        lines.append(_line(label, f"{fmt.plural(most, 'process', 'processes')}{f' ({by})' if by else ''}"))
    return page.joined(lines)


def _line(label: str, content: str) -> Html:
    return page.paragraph(element("span", text(f"{label}: "), class_="dim"), text(content))


def _bytes(value: int, *, exact: bool = True) -> str:
    mark = "" if exact else "~"
    return f"{mark}{fmt.exact_bytes(value)}" + (f" ({fmt.size(value)})" if abs(value) >= 1024 else "")
