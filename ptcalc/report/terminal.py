"""The first screen of ``ptcalc estimate``: the answer, what helps, the ledger, the policies, how sure."""

from __future__ import annotations

from ptcalc.report import format as fmt
from ptcalc.report.page import Block, Cell, Column, Page, Screen
from ptcalc.report.verdict import RISK_TEXT, Verdict, advice, bounds, headline, how_sure, judge, lead, limit
from ptcalc.result import Estimate, PolicyResult, RiskLevel

RISK_STYLE: dict[RiskLevel, str] = {"ok": "green", "warning": "yellow", "critical": "red", "oom": "bold red"}
SEVERITY_STYLE = {"info": "", "warning": "yellow", "error": "red"}

BAR_CELLS = 10
# Titles of the columns that need a word of explanation.
VMPTE, GAUGE = "VmPTE", "of memory"


def render(estimate: Estimate, screen: Screen) -> str:
    """Return the report on `estimate` as text for `screen`."""
    page = Page(screen)
    verdict = judge(estimate)
    _title(page, estimate)
    _answer(page, estimate, verdict)
    _advice(page, verdict)
    _ledger(page, verdict.subject)
    _policies(page, estimate)
    _guests(page, estimate)
    _measured(page, estimate)
    _how_sure(page, estimate, verdict.subject)
    _findings(page, estimate)
    _assumptions(page, estimate)
    return page.text()


def _title(page: Page, estimate: Estimate) -> None:
    machine = " ".join(part for part in (estimate.arch, f"kernel {estimate.kernel}" if estimate.kernel else "") if part)
    page.say((estimate.name, "bold"))
    page.say((", ".join(part for part in (estimate.file, machine) if part), "dim"))
    page.blank()


def _answer(page: Page, estimate: Estimate, verdict: Verdict) -> None:
    result = verdict.subject
    style = f"bold {RISK_STYLE[result.risk.level]}" if result.availability.deployable else "bold"
    page.say((headline(estimate, result), style))
    page.say(lead(estimate, result))


def _advice(page: Page, verdict: Verdict) -> None:
    page.blank()
    for each in advice(verdict):
        style = "bold green" if each.good else "bold"
        parts: list[Cell] = [(each.policy, "bold")] if each.policy else []
        page.say(*parts, each.text, label=(f"{each.label:5}", style))


def _ledger(page: Page, result: PolicyResult) -> None:
    memory = result.memory
    page.blank()
    unit = fmt.unit_of(memory.capacity_bytes)
    sure = result.page_tables.exact
    items = sorted((item for item in memory.items if item.bytes), key=lambda item: -item.bytes)
    demand: list[tuple[Cell, ...]] = [
        (item.name, fmt.in_unit(item.bytes, unit, exact=sure or item.kind != "page_tables")) for item in items
    ]
    demand.append((("total", "bold"), (fmt.in_unit(memory.demand_bytes, unit, exact=sure), "bold")))
    blocks: list[Block] = [((Column(f"DEMAND ({result.policy})", right=False), Column(unit)), demand)]
    if result.one_more:
        total = sum(size for _, size in result.one_more)
        small = fmt.unit_of(total)
        chance = set() if sure else {item.name for item in memory.items if item.kind == "page_tables"}
        costs: list[tuple[Cell, ...]] = [
            (name, fmt.in_unit(size, small, exact=name not in chance)) for name, size in result.one_more
        ]
        sum_is_exact = not any(name in chance for name, _ in result.one_more)
        costs.append((("total", "bold"), (fmt.in_unit(total, small, exact=sum_is_exact), "bold")))
        blocks.append(((Column("ONE MORE PROCESS COSTS", right=False), Column(small)), costs))
    page.beside(blocks)
    if memory.capacity_terms:
        page.blank()
        word = "usable" if memory.boundary == "host" else "allowed"
        page.say(f"{word} {fmt.in_unit(memory.capacity_bytes, unit)} {unit} = {capacity_terms(result, unit)}")


def capacity_terms(result: PolicyResult, unit: str) -> str:
    """Return how the capacity came about: ``512 installed - 8.00 page array - 2.00 reserves``."""
    text = ""
    for term in result.memory.capacity_terms:
        sign = (" - " if term.bytes < 0 else " + ") if text else ("-" if term.bytes < 0 else "")
        text += f"{sign}{fmt.in_unit(abs(term.bytes), unit)} {term.name}"
    return text


def _policies(page: Page, estimate: Estimate) -> None:
    deployable = [result for result in estimate.policies if result.availability.deployable]
    others = [result for result in estimate.policies if not result.availability.deployable]
    shown: frozenset[str] = frozenset()
    if deployable:
        page.heading("CAN BE DEPLOYED")
        shown |= _policy_table(page, deployable)
        _changes(page, deployable, "needs")
        _bounds(page, deployable)
        _counters(page, deployable)
    if others:
        as_of = max(result.availability.as_of for result in others)
        page.heading(f"NO MAINLINE KERNEL YET (as of {as_of}): figures of what would be")
        shown |= _policy_table(page, others)
        _changes(page, others, "would need")
        _bounds(page, others)
    _legend(page, estimate, shown)


def _counters(page: Page, results: list[PolicyResult]) -> None:
    """Show what each counter would read, for the policies where one differs from the memory taken."""
    rows: list[list[Cell]] = []
    for result in results:
        tables = result.page_tables
        summed = sum(process.count * process.vmpte_bytes for process in result.processes)
        read = [fmt.size(each, exact=tables.exact) for each in (tables.used_bytes, tables.bytes, summed)]
        if tables.memcg_bytes is not None:
            read.append(fmt.size(tables.memcg_bytes, exact=tables.exact))
        if len(set(read)) > 1:
            rows.append([result.policy, *read, *["-"] * (4 - len(read))])
    if rows:
        page.heading("COUNTERS that read otherwise")
        columns = (
            Column("policy", right=False),
            Column("memory taken"),
            Column("PageTables"),
            Column("sum of VmPTE"),
            Column("memory.stat pagetables"),
        )
        page.table(columns, rows)


def _guests(page: Page, estimate: Estimate) -> None:
    """Show what guests need beside the page tables of processes."""
    columns = (
        Column("policy", right=False),
        Column("group", right=False),
        Column("for", right=False),
        Column("guests"),
        Column("of one"),
        Column("of all"),
    )
    rows: list[list[Cell]] = []
    for result in estimate.policies:
        for guest in result.second_level.guests if result.second_level else ():
            sizes = [fmt.size(each, exact=guest.exact) for each in (guest.bytes, guest.bytes * guest.count)]
            rows.append([result.policy, guest.name, guest.kind.upper(), f"{guest.count:,}", *sizes])
    if rows:
        page.heading("SECOND-LEVEL TABLES of guests (SecPageTables), not part of the tables above")
        page.table(columns, rows, leave_out=(("for",), ("for", "guests")))


def _measured(page: Page, estimate: Estimate) -> None:
    """Show the counters of the captured system beside what is expected of them under `today`."""
    if not estimate.measured:
        return
    page.heading("MEASURED where this was captured; expected: today, and the tables beside these mappings")
    columns = (
        Column("counter", right=False),
        Column("of", right=False),
        Column("expected"),
        Column("measured"),
        Column("difference"),
    )
    rows: list[list[Cell]] = []
    for each in estimate.measured:
        expected = fmt.size(each.expected_bytes, exact=each.exact)
        difference = fmt.deviation(each.expected_bytes, each.measured_bytes)
        rows.append([each.counter, each.name or "all", expected, fmt.size(each.measured_bytes), difference])
    page.table(columns, rows)


def _legend(page: Page, estimate: Estimate, shown: frozenset[str]) -> None:
    """Explain the marks of the columns that are `shown`."""
    page.blank()
    if GAUGE in shown:
        page.say(f"{GAUGE}: ▒ other demand, █ page tables, · free, ▶ more than there is.")
    if VMPTE not in shown:
        return
    if any(len(result.processes) > 1 for result in estimate.policies):
        page.say(f"{VMPTE}: of one process of the group where it is largest.")
    if any(not process.vmpte_defined for result in estimate.policies for process in result.processes):
        page.say(f"{VMPTE} with *: no kernel defines it for these shared tables; assumed: as if they were private.")


def _policy_table(page: Page, results: list[PolicyResult]) -> frozenset[str]:
    unit = fmt.unit_of(max(result.memory.capacity_bytes for result in results))
    what_if = not results[0].availability.deployable
    free = f"free {unit}"
    columns = [
        Column("policy", right=False),
        *([Column("state", right=False)] if what_if else []),
        Column("tables"),
        Column(VMPTE),
        Column(f"demand {unit}"),
        Column(free),
        Column("risk", right=False),
        Column("safe"),
        Column("OOM after"),
        Column(GAUGE, right=False),
    ]
    rows = [_row(result, unit) for result in results]
    # On a narrow screen that goes first which the rest implies: the bar's percentage says what is free, and
    # the other way round.
    narrower = ((VMPTE,), (VMPTE, free), (VMPTE, GAUGE), (VMPTE, free, GAUGE))
    return page.table(columns, rows, leave_out=narrower)


def _row(result: PolicyResult, unit: str) -> list[Cell]:
    deployable = result.availability.deployable
    level, tables, memory = result.risk.level, result.page_tables, result.memory
    largest = max(result.processes, key=lambda process: process.vmpte_bytes, default=None)
    vmpte = "-"
    if largest is not None:
        vmpte = fmt.size(largest.vmpte_bytes, exact=largest.exact) + ("" if largest.vmpte_defined else "*")
    risk: Cell = (RISK_TEXT[level], RISK_STYLE[level]) if deployable else f"would be {RISK_TEXT[level]}"
    return [
        (result.policy, "bold") if deployable else result.policy,
        *([] if deployable else [result.availability.state]),
        fmt.size(tables.used_bytes, exact=tables.exact),
        vmpte,
        fmt.in_unit(memory.demand_bytes, unit, exact=tables.exact),
        fmt.in_unit(memory.headroom_bytes, unit, exact=tables.exact),
        risk,
        limit(result.risk.safe_processes, result.risk.safe_limited_by),
        limit(result.risk.max_processes, result.risk.limited_by),
        (bar(result), RISK_STYLE[level] if deployable else "dim"),
    ]


def bar(result: PolicyResult) -> str:
    """Return memory as a bar: ``▒`` other demand, ``█`` page tables, ``·`` free, ``▶`` more than there is."""
    memory = result.memory
    tables = min(result.page_tables.used_bytes, memory.demand_bytes)
    capacity = max(memory.capacity_bytes, 1)
    # The last cell stands for the overflow alone, and a part of a cell counts as one: what there is, is seen.
    other = min(BAR_CELLS, -(-(memory.demand_bytes - tables) * BAR_CELLS // capacity))
    full = min(BAR_CELLS, max(-(-memory.demand_bytes * BAR_CELLS // capacity), other))
    if tables and full == other:
        other -= 1
    drawn = "▒" * other + "█" * (full - other) + "·" * (BAR_CELLS - full)
    beyond = "▶" if memory.demand_bytes > memory.capacity_bytes else " "
    return f"{drawn}{beyond} {fmt.percent(memory.demand_bytes, memory.capacity_bytes)}"


def _changes(page: Page, results: list[PolicyResult], verb: str) -> None:
    for result in results:
        if not isinstance(result.applies, str):
            page.say("; ".join(result.applies), label=f"{result.policy} {verb}: ")


def _bounds(page: Page, results: list[PolicyResult]) -> None:
    for result in results:
        for text in bounds(result):
            page.say(text, label=f"{result.policy}: ")


def _how_sure(page: Page, estimate: Estimate, subject: PolicyResult) -> None:
    page.blank()
    page.say(how_sure(estimate, subject), label=("HOW SURE  ", "bold"))


def _findings(page: Page, estimate: Estimate) -> None:
    if not estimate.findings:
        return
    page.heading("FINDINGS")
    for finding in estimate.findings:
        where = f"{estimate.file}:{finding.line}:{finding.column}: " if finding.line else f"{estimate.file}: "
        about = f"{finding.policy}: " if finding.policy else ""
        style = SEVERITY_STYLE[finding.severity]
        page.say(where, (finding.severity, style), f": {about}{finding.message} [{finding.code}]")
        if finding.remedy:
            page.say(finding.remedy, label="remedy: ", indent=4)


def _assumptions(page: Page, estimate: Estimate) -> None:
    if not estimate.assumptions:
        return
    page.heading("ASSUMED, because the file does not say")
    for assumption in estimate.assumptions:
        page.say(f"{assumption.value} ({assumption.why})", label=f"{assumption.key}: ")
