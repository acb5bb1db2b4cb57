"""The findings: one table of all codes, and the call that makes them.

Codes are stable: users filter by them.  The checks themselves are in `checks` (what the file and the results
say) and `touches` (what other touches of the same memory would need).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptcalc.result import Finding, Severity
from ptcalc.risk import checks, touches
from ptcalc.risk.case import Case, Note

if TYPE_CHECKING:
    from ptcalc.policies import Outcome
    from ptcalc.result import PolicyResult
    from ptcalc.risk.config import Config
    from ptcalc.workload.model import Workload


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding, for the documentation too; ``remedy`` holds unless a finding has one of its own."""

    code: str
    severity: Severity
    title: str
    remedy: str


CODES: dict[str, Code] = {
    code.code: code
    for code in (
        Code(
            "page-tables-large", "warning", "page tables take much of the memory that is not in huge pages",
            "put the segment on huge pages",
        ),
        Code(
            "touch-limit", "warning", "the host runs out of memory long before all is touched",
            "do not count on processes touching a part only: random blocks need nearly all tables",
        ),
        Code(
            "hugetlb-misaligned", "warning", "no PMD table of a hugetlb mapping can be shared where it lies",
            "move the mapping to a boundary of the PMD table's span",
        ),
        Code(
            "hugetlb-ragged-edges", "info", "a hugetlb mapping's ends reach into PMD tables of their own",
            "move the mapping to a boundary of the PMD table's span",
        ),
        Code(
            "hugetlb-addresses-differ", "warning", "processes map hugetlb memory where no PMD table is one",
            "map it at one address, or aligned to the PMD table's span",
        ),
        Code(
            "hugetlb-too-small", "info", "hugetlb mappings or pieces below a PMD table's span never share",
            "use one large segment instead of many small ones",
        ),
        Code(
            "pool-short-fail", "error", "a segment gets no huge pages and does not start",
            "reserve as many huge pages as the segments need",
        ),
        Code(
            "pool-short-small", "warning", "a segment falls back to base pages; the pool stays unused",
            "reserve as many huge pages as the segments need, or give the pool back",
        ),
        Code(
            "pool-short-mixed", "warning", "a segment is in huge pages only in part",
            "reserve as many huge pages as the segments need",
        ),
        Code(
            "pool-unused", "warning", "huge pages are reserved that nobody needs, and nothing else can use",
            "reserve fewer huge pages",
        ),
        Code(
            "pool-leaves-too-little", "error", "what the huge-page pools leave is too little for the rest",
            "reserve fewer huge pages, or add memory",
        ),
        Code(
            "part-pool-no-help", "info", "huge pages for a part of the segment do not help",
            "put the whole segment on huge pages",
        ),
        Code(
            "swap-no-help", "info", "swap does not help: page tables and huge pages cannot be swapped",
            "shrink what cannot be swapped",
        ),
        Code(
            "fits-only-with-swap", "warning", "the workload fits only with a part of it in swap",
            "add memory or shrink the workload; expect the latency of swapping until then",
        ),
        Code(
            "cgroup-tighter", "info", "the memory cgroup runs out before the host does",
            "raise the cgroup's limit; its page tables and kernel memory count against it",
        ),
        Code(
            "memcg-pagetables-low", "info", "memory.stat shows too few page tables on this kernel",
            "read memory.current, or memory.stat after the fix of early 2026; the limit itself counts them",
        ),
        Code(
            "tables-in-no-cgroup", "warning", "this kernel charges page tables to no memory cgroup",
            "leave room for them outside the limits: no cgroup's limit holds them back",
        ),
        Code(
            "touch-pattern-unknown", "warning", "the file says how much is touched, not in which pattern",
            "state the pattern: contiguous, scattered, or clustered with the size of a block",
        ),
        Code(
            "private-not-stated", "warning", "private memory of processes is not stated and counts as none",
            "state private: for each group (a database session takes MiB)",
        ),
        Code(
            "used-not-stated", "info", "what else runs on the host is not stated and estimated",
            "state host.used",
        ),
        Code(
            "vendor-kernel", "info", "a vendor's kernel is taken to count as the mainline version does",
            "compare with the counters of a running host; vendors backport",
        ),
        Code(
            "sharing-switch-no-effect", "info", "page_table_sharing: never has no effect on today's kernels",
            "no such switch exists for hugetlb; it counts for the policies that have one",
        ),
        Code(
            "events-left-out", "info", "the file has events, and figures are of the beginning",
            "ptcalc timeline follows them",
        ),
    )
}  # fmt: skip


def findings(
    workload: Workload, results: Sequence[PolicyResult], outcomes: Sequence[Outcome], config: Config
) -> tuple[Finding, ...]:
    """Return what a reader should know, errors first; results and outcomes are of the same policies."""
    case = Case(workload, results, outcomes, config)
    notes = [note for check in (*checks.ALL, *touches.ALL) for note in check(case)]
    found = [_finding(note, workload) for note in notes]
    return tuple(sorted(found, key=lambda finding: ("error", "warning", "info").index(finding.severity)))


def _finding(note: Note, workload: Workload) -> Finding:
    code = CODES[note.code]
    line, column = workload.positions.of(note.path)
    return Finding(
        code=note.code,
        severity=note.severity or code.severity,
        message=note.message,
        line=line,
        column=column,
        remedy=code.remedy if note.remedy is None else note.remedy,
        policy=note.policy,
        path=note.path,
    )
