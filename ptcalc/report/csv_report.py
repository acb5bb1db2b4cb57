"""``ptcalc estimate`` as CSV: a row for each policy, for spreadsheets.

Columns are only ever added, behind the others.  Sizes are bytes, as in the JSON report; what there is not (the
deviation of what is exact) is empty.
"""

from __future__ import annotations

from ptcalc.report.csv_text import row
from ptcalc.result import Estimate, PolicyResult

Cell = str | int


def render(estimate: Estimate) -> str:
    """Return a line of titles, and one for each policy in the order of the report."""
    rows = [_cells(estimate, result) for result in estimate.policies]
    return row(rows[0]) + "".join(row(cells.values()) for cells in rows)


def _cells(estimate: Estimate, result: PolicyResult) -> dict[str, Cell]:
    tables, memory, risk = result.page_tables, result.memory, result.risk
    largest = max(result.processes, key=lambda process: process.vmpte_bytes, default=None)
    counts = {level.level: level.tables for level in tables.levels}
    return {
        "workload": estimate.name,
        "file": estimate.file,
        "arch": estimate.arch,
        "kernel": estimate.kernel,
        "processes": estimate.processes,
        "installed_bytes": estimate.installed_bytes,
        "segments_bytes": sum(size for _, size in estimate.segment_bytes),
        "policy": result.policy,
        "state": result.availability.state,
        "as_of": result.availability.as_of,
        "needs": "" if isinstance(result.applies, str) else "; ".join(result.applies),
        "risk": risk.level,
        "safe_processes": risk.safe_processes,
        "safe_limited_by": risk.safe_limited_by,
        "max_processes": risk.max_processes,
        "limited_by": risk.limited_by,
        "page_tables_bytes": tables.bytes,
        "page_tables_used_bytes": tables.used_bytes,
        "exact": "true" if tables.exact else "false",
        "page_tables_sd_bytes": "" if tables.sd_bytes is None else tables.sd_bytes,
        "pte_tables": counts.get("pte", 0),
        "pmd_tables": counts.get("pmd", 0),
        "pud_tables": counts.get("pud", 0),
        "largest_vmpte_group": "" if largest is None else largest.name,
        "largest_vmpte_bytes": "" if largest is None else largest.vmpte_bytes,
        "boundary": memory.boundary,
        "capacity_bytes": memory.capacity_bytes,
        "demand_bytes": memory.demand_bytes,
        "headroom_bytes": memory.headroom_bytes,
        "swap_used_bytes": memory.swap_used_bytes,
        "one_more_process_bytes": sum(size for _, size in result.one_more),
    }
