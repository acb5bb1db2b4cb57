"""The first screen of ``ptcalc estimate``: the answer, what helps, the ledger, the policies, how sure."""

from __future__ import annotations

from ptcalc.report import format as fmt
from ptcalc.report.page import Block, Cell, Column, Page, Screen
from ptcalc.report.verdict import Verdict, is_exact, judge
from ptcalc.result import Estimate, PolicyResult, RiskLevel

RISK_STYLE: dict[RiskLevel, str] = {"ok": "green", "warning": "yellow", "critical": "red", "oom": "bold red"}
RISK_TEXT: dict[RiskLevel, str] = {"ok": "ok", "warning": "warning", "critical": "critical", "oom": "OOM"}
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
    if result.availability.deployable:
        with_policy = "" if result.policy == "today" else f"With {result.policy}: "
        answer = f"{with_policy}{_headline(result, estimate.processes)}"
        page.say((answer, f"bold {RISK_STYLE[result.risk.level]}"))
    else:
        page.say((_would_be(result, estimate.processes), "bold"))
    page.say(f"{_tables_sentence(estimate, result)} {_demand_sentence(result)}")


def _headline(result: PolicyResult, processes: int) -> str:
    risk = result.risk
    about = "" if is_exact(result) else "about "
    place = "This host" if result.memory.boundary == "host" else "This memory cgroup"
    crowd = fmt.plural(processes, "process", "processes")
    safe = f"safe: {about}{limit(risk.safe_processes, risk.safe_limited_by)}"
    room = f"({safe}; out of memory after {about}{limit(risk.max_processes, risk.limited_by)})"
    if risk.limited_by == "fixed":
        room = "(no group of processes grows)"
    match risk.level:
        case "ok":
            return f"YES. {place} carries {crowd} {room}."
        case "warning":
            return f"YES, but little is left (WARNING). {place} carries {crowd} {room}."
        case "critical":
            return f"BARELY (CRITICAL). {place} just carries {crowd} {room}."
        case "oom":
            if 0 < risk.max_processes < processes:
                first = fmt.ordinal(risk.max_processes + 1)
                return f"NO. {place} runs out of memory at {about}the {first} of {crowd} ({safe})."
            if risk.max_processes:
                return f"NO. {place} has the memory, but cannot run this workload as written: see the findings."
            return f"NO. {place} cannot carry this workload, with however few processes."


def _would_be(result: PolicyResult, processes: int) -> str:
    about = "" if is_exact(result) else "about "
    crowd = fmt.plural(processes, "process", "processes")
    return (
        f"No mainline kernel has {result.policy}. With it, the risk of {crowd}"
        f" would be {RISK_TEXT[result.risk.level]}"
        f" (safe: {about}{limit(result.risk.safe_processes, result.risk.safe_limited_by)};"
        f" out of memory after {about}{limit(result.risk.max_processes, result.risk.limited_by)})."
    )


def limit(processes: int, limited_by: str) -> str:
    """Return a largest process count; one that memory does not bind is marked as such.

    >>> limit(4_194_304, "pid_max"), limit(20, "fixed"), limit(315, "memory")
    ('>4,194,304', '-', '315')
    """
    if limited_by == "fixed":
        return "-"
    return f"{'>' if limited_by == 'pid_max' else ''}{processes:,}"


def _tables_sentence(estimate: Estimate, result: PolicyResult) -> str:
    tables, mapped = result.page_tables, sum(size for _, size in estimate.segment_bytes)
    ratio = ""
    if mapped and tables.used_bytes >= mapped:
        ratio = f", {fmt.times(tables.used_bytes, mapped)}x the {fmt.size(mapped)} that they map"
    elif mapped:
        ratio = f" for {fmt.size(mapped)} of mapped segments"
    return f"Page tables take {fmt.size(tables.used_bytes, exact=tables.exact)}{ratio}."


def _demand_sentence(result: PolicyResult) -> str:
    memory = result.memory
    unit = fmt.unit_of(memory.capacity_bytes)
    usable = "usable" if memory.boundary == "host" else "allowed"
    free = fmt.size(abs(memory.headroom_bytes))
    if memory.headroom_bytes >= 0:
        rest = f"{free} left"
    elif result.risk.level == "oom":
        rest = f"{free} too much"
    else:
        rest = f"{free} must go to swap"
    return (
        f"Demand {fmt.in_unit(memory.demand_bytes, unit, exact=result.page_tables.exact)} of"
        f" {fmt.in_unit(memory.capacity_bytes, unit)} {unit} {usable}:"
        f" {rest}."
    )


def _advice(page: Page, verdict: Verdict) -> None:
    subject, best = verdict.subject, verdict.best
    page.blank()
    if best is None:
        page.say("nothing in this report can be deployed: no mainline kernel has it.", label=("DO   ", "bold"))
        return
    outcome = (
        f"{fmt.size(best.memory.headroom_bytes)} left" if best.memory.headroom_bytes >= 0 else "still too little memory"
    )
    reach = (
        f"{outcome} ({RISK_TEXT[best.risk.level]}), OOM after {limit(best.risk.max_processes, best.risk.limited_by)}"
    )
    if subject.risk.level == "ok":
        more = best.memory.headroom_bytes - subject.memory.headroom_bytes
        better = f" {best.policy} would leave {fmt.size(more)} more." if best is not subject else ""
        page.say(f"nothing: {subject.policy} is safe.{better}", label=("DO   ", "bold green"))
    elif best is subject:
        page.say("no policy that can be deployed is better; see the findings.", label=("DO   ", "bold"))
    else:
        steps = [*([] if isinstance(best.applies, str) else best.applies), *_pools(subject, best)]
        how = f": {'; '.join(steps)}" if steps else ""
        label = ("DO   ", "bold green" if best.risk.level == "ok" else "bold")
        page.say((best.policy, "bold"), f"{how}. {_capital(reach)}.", label=label)
    label = ("NOT  ", "bold")
    if verdict.swap_is_useless:
        fixed = subject.memory.demand_bytes - sum(item.swappable_bytes for item in subject.memory.items)
        text = f"swap: {fmt.size(fixed)} of the demand, page tables among it, cannot be swapped."
        page.say(text, label=label)
    for result in verdict.useless:
        most = limit(result.risk.max_processes, result.risk.limited_by)
        after = f"after {most}" if result.risk.max_processes else "with however few processes"
        page.say(f"{result.policy}: out of memory {after}.", label=label)


def _pools(subject: PolicyResult, best: PolicyResult) -> list[str]:
    """Return the huge pages that `best` reserves and the subject does not."""
    has = {item.name: item.bytes for item in subject.memory.items if item.kind == "pool"}
    return [
        f"reserve {item.name}: {item.terms}"
        for item in best.memory.items
        if item.kind == "pool" and item.bytes > has.get(item.name, 0)
    ]


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
    """Show the other answers to an open choice, where they make a difference, beside the one in force."""
    for result in results:
        tables, in_force = result.page_tables, {name: value for name, value, _ in result.choices}
        for bound in result.bounds:
            if bound.page_tables_bytes == tables.bytes:
                continue
            here = fmt.size(tables.bytes, exact=tables.exact)
            there = fmt.size(bound.page_tables_bytes, exact=tables.exact)
            page.say(
                f"{here} with {bound.name} = {in_force.get(bound.name, 'default')},"
                f" {there} with {bound.name} = {bound.value} ({bound.why})",
                label=f"{result.policy}: ",
            )


def _how_sure(page: Page, estimate: Estimate, subject: PolicyResult) -> None:
    page.blank()
    assumed = f"; {fmt.plural(len(estimate.assumptions), 'assumption')} below" if estimate.assumptions else ""
    tables = subject.page_tables
    if is_exact(subject):
        text = f"page tables are exact for what the file says{assumed}."
    else:
        spread = f" ± {fmt.size(tables.sd_bytes)}" if tables.sd_bytes else " ± less than a byte"
        expected = fmt.size(tables.used_bytes, exact=False)
        text = f"an expectation over random touches: page tables {expected}{spread} (one standard deviation){assumed}."
    page.say(text, label=("HOW SURE  ", "bold"))


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


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
