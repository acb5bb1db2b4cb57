"""An estimate as one HTML file: the answer first, then charts with sliders, then everything that it rests on."""

from __future__ import annotations

from ptcalc.charting import Charts, charts_of
from ptcalc.report import format as fmt
from ptcalc.report.page import Column
from ptcalc.report.verdict import Verdict, advice, headline, how_sure, judge, lead
from ptcalc.report.web import arithmetic, page, sliders
from ptcalc.report.web.page import Html, element, text
from ptcalc.result import Estimate, Finding, PolicyResult

# Lines of the file that are shown around the one that a finding points at.
_AROUND = 2


def render(estimate: Estimate) -> str:
    """Return the report on `estimate` as an HTML file; the same estimate gives the same bytes."""
    return render_with(estimate, charts_of(estimate))


def render_with(estimate: Estimate, charts: Charts) -> str:
    """Return the report on `estimate` with its `charts`."""
    verdict = judge(estimate)
    names = {chart.name for chart in charts.charts}
    body = [
        _header(estimate, verdict),
        *sliders.section(estimate, charts),
        page.heading("Policies side by side"),
        _policies(estimate),
        *(page.figure(charts.chart(name)) for name in ("policies", "tables")),
        _changes(estimate),
    ]
    if "demand" in names:
        body += [page.heading("How many processes"), page.figure(charts.chart("demand"))]
    body += [_one_more(verdict.subject)]
    if "risk" in names:
        body += [page.heading("How large"), page.figure(charts.chart("risk"))]
    body += [
        _levels(estimate),
        _measured(estimate),
        _findings(estimate),
        _assumptions(estimate),
        arithmetic.section(estimate),
        _source(estimate),
        _footer(estimate),
    ]
    live = sliders.data(estimate, charts)
    scripts = [page.asset("twin.js"), page.asset("live.js")] if live is not None else []
    return page.document(
        estimate.name, [part for part in body if part], charts=charts.charts,
        data={"live": live} if live is not None else {}, scripts=scripts,
    )  # fmt: skip


def _header(estimate: Estimate, verdict: Verdict) -> Html:
    subject = verdict.subject
    machine = [estimate.file, estimate.arch, f"kernel {estimate.kernel}" if estimate.kernel else ""]
    if estimate.installed_bytes:
        machine.append(f"{fmt.size(estimate.installed_bytes)} installed")
    tone = f" {subject.risk.level}" if subject.availability.deployable else ""
    lines = []
    for each in advice(verdict):
        policy = [page.strong(each.policy)] if each.policy else []
        words = element("span", *policy, text(each.text if each.policy else _begun(estimate, each.text)))
        lines.append(
            element("li", element("span", text(each.label), class_=f"label{' ok' if each.good else ''}"), words)
        )
    sure = element(
        "li",
        element("span", text("SURE?"), class_="label"),
        element("span", text(_capital(how_sure(estimate, subject)))),
    )
    return element(
        "header",
        page.heading(estimate.name, 1),
        page.paragraph(text(", ".join(part for part in machine if part)), class_="dim"),
        page.paragraph(text(headline(estimate, subject)), class_=f"answer{tone}"),
        page.paragraph(text(lead(estimate, subject)), class_="lead"),
        element("ul", *lines, sure, class_="advice"),
    )


def _policies(estimate: Estimate) -> Html:
    columns = ("tables", "demand", "free", "risk", "safe", "OOM after", "who has it")
    head = element("tr", *(element("th", text(each), scope="col", class_=_side(each)) for each in ("policy", *columns)))
    rows = []
    for number, result in enumerate(estimate.policies):
        cells = [
            element(
                "td", element("span", text(shown), data_is=name, data_value=value, class_=tone),
                class_=_side(column), data_label=column,
            )
            for column, (name, shown, value, tone) in zip(columns, sliders.cells(result), strict=False)
        ]  # fmt: skip
        who = result.availability.state + (
            f" since {result.availability.since}" if result.availability.deployable else ""
        )
        rows.append(
            element(
                "tr", element("th", text(result.policy), scope="row"), *cells,
                element("td", text(who), data_label="who has it"),
                id=f"policy-{number}", class_=None if result.availability.deployable else "whatif",
            )
        )  # fmt: skip
    whole = element("table", element("thead", head), element("tbody", *rows), class_="cards")
    hypothetical = [result for result in estimate.policies if not result.availability.deployable]
    note = []
    if hypothetical:
        as_of = max(result.availability.as_of for result in hypothetical)
        names = ", ".join(result.policy for result in hypothetical)
        note = [page.paragraph(text(f"No mainline kernel has {names} (as of {as_of}): what would be."), class_="note")]
    return page.joined([element("div", whole, class_="wide", tabindex=0, role="region", aria_label="policies"), *note])


def _side(column: str) -> str | None:
    return None if column in ("policy", "risk", "who has it") else "right"


def _changes(estimate: Estimate) -> Html:
    """Say what would have to change in the workload for each policy."""
    items = [
        element("li", page.strong(result.policy), text(f": {'; '.join(result.applies)}."))
        for result in estimate.policies
        if not isinstance(result.applies, str)
    ]
    return page.details("What would have to change for each policy", element("ul", *items)) if items else Html("")


def _one_more(result: PolicyResult) -> Html:
    """Return what demand consists of, and what one more process costs."""
    memory, sure = result.memory, result.page_tables.exact
    items = sorted((item for item in memory.items if item.bytes), key=lambda item: -item.bytes)
    rows = [[text(item.name), page.amount(item.bytes, "bytes"), text(item.terms)] for item in items]
    rows.append([page.strong("total"), page.amount(memory.demand_bytes, "bytes"), Html("")])
    demand = page.table(
        (Column("item", right=False), Column("bytes"), Column("how it comes about", right=False)), rows,
        caption=f"Demand of {result.policy}{'' if sure else ', an expectation'}", class_="cards",
    )  # fmt: skip
    if not result.one_more:
        return page.joined([page.heading("What it consists of"), demand])
    costs = [[text(name), page.amount(size, "bytes")] for name, size in result.one_more]
    costs.append([page.strong("total"), page.amount(sum(size for _, size in result.one_more), "bytes")])
    more = page.table((Column("item", right=False), Column("bytes")), costs, caption="One more process costs")
    return page.joined([page.heading("What it consists of"), demand, more])


def _levels(estimate: Estimate) -> Html:
    names = list(dict.fromkeys(level.level for result in estimate.policies for level in result.page_tables.levels))
    if not names:
        return Html("")
    rows = []
    for result in estimate.policies:
        found = {level.level: level for level in result.page_tables.levels}
        mark = "" if result.page_tables.exact else "~"
        cells = [
            element("span", text(f"{mark}{found[name].tables:,}"), data_value=found[name].tables)
            if name in found
            else text("-")
            for name in names
        ]
        used = element(
            "span", text(fmt.size(result.page_tables.used_bytes, exact=result.page_tables.exact)),
            data_value=result.page_tables.used_bytes,
        )  # fmt: skip
        rows.append([text(result.policy), *cells, used])
    columns = [Column("policy", right=False), *(Column(f"{name} tables") for name in names), Column("memory")]
    intro = page.paragraph(text("Tables of all processes together, a shared table once."), class_="dim")
    whole = page.table(columns, rows, caption="Page tables by level", class_="cards")
    return page.joined([page.heading("Page tables by level"), intro, whole])


def _measured(estimate: Estimate) -> Html:
    if not estimate.measured:
        return Html("")
    rows = [
        [
            text(each.name or "all processes"), text(each.counter), page.amount(each.expected_bytes, "bytes"),
            page.amount(each.measured_bytes, "bytes"), text(fmt.deviation(each.expected_bytes, each.measured_bytes)),
        ]
        for each in estimate.measured
    ]  # fmt: skip
    columns = (
        Column("of", right=False), Column("counter", right=False), Column("expected"), Column("measured"),
        Column("difference"),
    )  # fmt: skip
    intro = "Counters of the machine where this was captured, beside what is expected of them under today."
    whole = page.table(columns, rows, caption="Measured and expected", class_="cards")
    return page.joined([page.heading("Measured"), page.paragraph(text(intro), class_="dim"), whole])


def _findings(estimate: Estimate) -> Html:
    if not estimate.findings:
        return Html("")
    lines = estimate.source.splitlines()
    items = [
        element("li", *_finding(estimate, finding, lines), class_=finding.severity) for finding in estimate.findings
    ]
    return page.joined([page.heading("Findings"), element("ul", *items, class_="findings")])


def _finding(estimate: Estimate, finding: Finding, lines: list[str]) -> list[Html]:
    place = f"{estimate.file}, line {finding.line}" if finding.line else estimate.file
    about = f" · {finding.policy}" if finding.policy else ""
    tone = {"error": "oom", "warning": "warning"}.get(finding.severity, "dim")
    label = element("span", text(finding.severity), class_=f"label {tone}")
    parts = [
        element("p", label, element("span", text(f" · {finding.code}{about}"), class_="dim")),
        page.paragraph(text(_sentence(estimate, finding.message))),
    ]
    if finding.remedy:
        parts.append(page.paragraph(page.strong("Remedy: "), text(_sentence(estimate, finding.remedy))))
    if finding.line and finding.line <= len(lines):
        parts.append(page.paragraph(text(place), class_="note"))
        parts.append(_excerpt(lines, finding.line))
    return parts


def _excerpt(lines: list[str], at: int) -> Html:
    """Return some lines of the workload file around one of them, which is marked."""
    first, last = max(1, at - _AROUND), min(len(lines), at + _AROUND)
    width = len(str(last))
    shown = []
    for number in range(first, last + 1):
        head = element("span", text(f"{'>' if number == at else ' '} {number:>{width}}  "), class_="number")
        line = text(lines[number - 1].expandtabs(8))
        shown.append(page.joined([head, element("span", line, class_="here") if number == at else line]))
    return element("pre", page.joined(shown, "\n"), aria_label=f"lines {first} to {last}")


def _assumptions(estimate: Estimate) -> Html:
    if not estimate.assumptions:
        return Html("")
    rows = [[element("code", text(each.key)), text(each.value), text(each.why)] for each in estimate.assumptions]
    columns = (Column("key", right=False), Column("value", right=False), Column("why", right=False))
    intro = page.paragraph(text("Taken because the file does not say; each can be set there."), class_="dim")
    whole = page.table(columns, rows, caption="Assumptions", class_="cards")
    return page.joined([page.heading("Assumptions"), intro, whole])


def _source(estimate: Estimate) -> Html:
    if not estimate.source:
        return Html("")
    lines = estimate.source.splitlines()
    width = len(str(len(lines)))
    shown = [
        page.joined([element("span", text(f"{number:>{width}}  "), class_="number"), text(line.expandtabs(8))])
        for number, line in enumerate(lines, start=1)
    ]
    return page.details("The workload file", element("pre", page.joined(shown, "\n")))


def _footer(estimate: Estimate) -> Html:
    version = f" {estimate.question.version}" if estimate.question.version else ""
    said = f"Written by ptcalc{version}. Charts: Apache ECharts, licensed under the Apache License 2.0. RISK: "
    levels = "ok leaves enough free, warning little, critical next to nothing or only with swap."
    return element("footer", page.paragraph(text(said + levels)))


def _sentence(estimate: Estimate, message: str) -> str:
    """Return a message as a sentence."""
    return _begun(estimate, message) + ("" if message.endswith((".", "!", "?")) else ".")


def _begun(estimate: Estimate, message: str) -> str:
    """Return a message as it begins a sentence; the name of a policy or a segment at its start stays as it is."""
    names = (*(result.policy for result in estimate.policies), *(name for name, _ in estimate.segment_bytes))
    return message if message.startswith(names) else _capital(message)


def _capital(message: str) -> str:
    return message[:1].upper() + message[1:]
