"""``ptcalc estimate`` in Markdown, for merge requests and wikis: the answer, the policies, findings and assumptions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ptcalc.report import format as fmt
from ptcalc.report.markup import escaped, paragraphs, table
from ptcalc.report.page import Column
from ptcalc.report.verdict import RISK_TEXT, Advice, advice, bounds, headline, how_sure, judge, lead, limit
from ptcalc.result import Estimate, Finding, LedgerItem, PolicyResult

_POLICIES = [
    Column("policy", right=False),
    Column("state", right=False),
    *map(Column, ("page tables", "VmPTE", "demand", "free")),
    Column("risk", right=False),
    *map(Column, ("safe", "OOM after")),
]
_DEMAND = [Column("demand", right=False), Column("size"), Column("terms", right=False)]


def render(estimate: Estimate) -> str:
    """Return the report; what a comment has no room for is counted, not shown."""
    verdict = judge(estimate)
    subject = verdict.subject
    machine = (estimate.file, estimate.arch, estimate.kernel and f"kernel {estimate.kernel}")
    return paragraphs(
        [
            [f"## {escaped(estimate.name)}"],
            [escaped(", ".join(filter(None, machine)))],
            [f"**{escaped(headline(estimate, subject))}**"],
            [escaped(lead(estimate, subject))],
            [_advice(piece) for piece in advice(verdict)],
            *_policies(estimate),
            [f"How sure: {escaped(how_sure(estimate, subject))}"],
            [f"### Demand under {escaped(subject.policy)}"],
            table(_DEMAND, map(_item, sorted(subject.memory.items, key=lambda item: -item.bytes))),
            ["### Findings"] if estimate.findings else [],
            [_finding(estimate, finding) for finding in estimate.findings],
            ["### Assumed, because the file does not say"] if estimate.assumptions else [],
            [f"- {escaped(each.key)}: {escaped(each.value)} ({escaped(each.why)})" for each in estimate.assumptions],
        ]
    )


def _advice(piece: Advice) -> str:
    return f"- **{piece.label}** {escaped(piece.policy + piece.text)}"


def _policies(estimate: Estimate) -> Iterator[Sequence[str]]:
    yield table(_POLICIES, map(_row, estimate.policies))
    others = [result for result in estimate.policies if not result.availability.deployable]
    if others:
        as_of = max(result.availability.as_of for result in others)
        yield [
            f"No mainline kernel has what is not in state mainline (as of {escaped(as_of)}): figures of what would be."
        ]
    yield list(_notes(estimate.policies))


def _notes(results: Iterable[PolicyResult]) -> Iterator[str]:
    for result in results:
        verb = "needs" if result.availability.deployable else "would need"
        if not isinstance(result.applies, str):
            yield f"- {escaped(result.policy)} {verb}: {escaped('; '.join(result.applies))}"
        for text in bounds(result):
            yield f"- {escaped(result.policy)}: {escaped(text)}"


def _row(result: PolicyResult) -> list[str]:
    tables, memory, risk = result.page_tables, result.memory, result.risk
    largest = max(result.processes, key=lambda process: process.vmpte_bytes, default=None)
    level = RISK_TEXT[risk.level]
    return [
        escaped(result.policy),
        result.availability.state,
        fmt.size(tables.used_bytes, exact=tables.exact),
        "" if largest is None else fmt.size(largest.vmpte_bytes, exact=largest.exact),
        fmt.size(memory.demand_bytes, exact=tables.exact),
        fmt.size(memory.headroom_bytes, exact=tables.exact),
        level if result.availability.deployable else f"would be {level}",
        escaped(limit(risk.safe_processes, risk.safe_limited_by)),
        escaped(limit(risk.max_processes, risk.limited_by)),
    ]


def _item(item: LedgerItem) -> list[str]:
    return [escaped(item.name), fmt.size(item.bytes), escaped(item.terms)]


def _finding(estimate: Estimate, finding: Finding) -> str:
    about = f"{finding.policy}: " if finding.policy else ""
    place = f"{estimate.file}:{finding.line}:{finding.column}"
    text = f"- **{finding.severity}** {escaped(place)}: {escaped(about + finding.message)} ({escaped(finding.code)})"
    return f"{text}\n  - remedy: {escaped(finding.remedy)}" if finding.remedy else text
