"""The rules of a check: the codes of the findings, and those of its own."""

from __future__ import annotations

from ptcalc.checking.result import Level, Rule
from ptcalc.result import Severity
from ptcalc.risk.findings import CODES

LEVELS: dict[Severity, Level] = {"info": "note", "warning": "warning", "error": "error"}

RISK = Rule(
    "risk", "the risk is at or above the threshold", "see ptcalc recommend for what to change, or add memory", "error"
)
INVALID = Rule("invalid-workload", "the file cannot be judged", "write what would be accepted", "error")
EXPIRED = Rule(
    "acceptance-expired", "an acceptance is past its day", "mend what it accepts, or agree on a new day", "error"
)
UNUSED = Rule("acceptance-unused", "an acceptance silences nothing", "remove it", "note")
MEDIANS = Rule(
    "medians-judged", "medians stand for the distributions of the file in all figures but the risk",
    "see ptcalc estimate, which samples them, for percentiles and the odds of each risk", "note",
)  # fmt: skip

_BUDGETS = {
    "risk": Rule("budget-risk", "the risk is worse than its budget", RISK.help, "error"),
    "headroom": Rule(
        "budget-headroom", "less memory stays free than the budget asks for",
        "shrink what the ledger of ptcalc estimate shows first, or add memory", "error",
    ),
    "page_tables": Rule(
        "budget-page-tables", "page tables take more memory than their budget",
        "put the segment on huge pages, or let fewer processes map it", "error",
    ),
    "page_tables_per_process": Rule(
        "budget-page-tables-per-process", "one process has more page tables than the budget allows",
        "put the segment on huge pages, or map and touch less of it", "error",
    ),
    "max_processes": Rule(
        "budget-max-processes", "fewer processes fit than the budget asks for",
        "make one more process cheaper: huge pages, less private memory; or add memory", "error",
    ),
    "growth": Rule(
        "budget-growth", "it has grown by more than its budget since the base line",
        "see ptcalc diff for what moved it; save a new base line if it is meant", "error",
    ),
}  # fmt: skip

FINDINGS = {code.code: Rule(code.code, code.title, code.remedy, LEVELS[code.severity]) for code in CODES.values()}
RULES = {rule.id: rule for rule in (RISK, *_BUDGETS.values(), *FINDINGS.values(), MEDIANS, EXPIRED, UNUSED, INVALID)}

# What somebody may accept: not that a file is broken, or what is said of acceptances.
ACCEPTABLE = tuple(name for name, rule in RULES.items() if rule not in (EXPIRED, UNUSED, INVALID))


def of_budget(name: str) -> Rule:
    """Return the rule that a budget of this kind breaks."""
    return _BUDGETS[name]
