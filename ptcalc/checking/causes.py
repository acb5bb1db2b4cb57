"""Which value of the file is behind a figure: what a problem that is about the whole machine points at."""

from __future__ import annotations

from ptcalc.result import Estimate, PolicyResult
from ptcalc.workload.model import Workload

Path = tuple[str | int, ...]


def of_demand(workload: Workload, estimate: Estimate, result: PolicyResult) -> Path:
    """Return the path of what the demand of a policy is mostly made of.

    A segment that gets no huge pages, and so does not start, comes first: then no demand is to blame.
    """
    for finding in estimate.findings:
        if finding.code == "pool-short-fail" and finding.policy == result.policy:
            return finding.path
    item = max(result.memory.items, key=lambda each: each.bytes)
    segments = workload.segments
    match item.kind:
        case "page_tables":
            return of_tables(result)
        case "segment":
            # The item is called after the segment and its backing: sga (shmem).
            return ("segments", item.name.rpartition(" (")[0], "size")
        case "pool" if workload.stated(("host", "hugepages")):
            return ("host", "hugepages")
        case "pool" | "index":
            return ("segments", max(segments, key=lambda name: segments[name].size), "size")
        case "private":
            groups = workload.processes
            largest = max(groups, key=lambda name: groups[name].count * groups[name].private)
            return ("processes", largest, "private")
        case "used":
            return ("host", "used")
        case _:  # what each process has anyway
            return ("processes", max(result.processes, key=lambda group: group.count).name, "count")


def of_tables(result: PolicyResult) -> Path:
    """Return the path of the number of processes that have most of the page tables."""
    # Where tables are shared, one more process adds few; then those that use most of them are behind it.
    largest = max(result.processes, key=lambda group: group.count * (group.marginal_bytes or group.vmpte_bytes))
    return ("processes", largest.name, "count")


def of_one_process(result: PolicyResult) -> Path:
    """Return the path of the processes that have most page tables each."""
    return ("processes", max(result.processes, key=lambda group: group.vmpte_bytes).name, "mappings")
