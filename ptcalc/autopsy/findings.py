"""What else a report tells to whoever knows how to read it."""

from __future__ import annotations

from collections.abc import Iterator

from ptcalc.capture.oomlog import OomReport

# Amounts below this share of memory are not worth a sentence.
WORTH = 0.01
# As long as so much was free, memory as a whole was not what was missing.
STILL_FREE = 0.05
# Allocations up to this order are retried until memory is found (include/linux/mmzone.h:PAGE_ALLOC_COSTLY_ORDER).
COSTLY_ORDER = 3


def remarks(report: OomReport) -> tuple[str, ...]:
    """Return sentences on what stands out, and on what is missing in the report."""
    return tuple(_remarks(report))


def _remarks(report: OomReport) -> Iterator[str]:
    memory = report.memory or 0
    for pool in report.pools:
        if pool.free and pool.free * pool.page_size >= WORTH * memory:
            yield (
                f"{pool.free:,} of {pool.total:,} huge pages of {pool.page_size >> 20:,} MiB were reserved and free:"
                " nothing else can use them, and whoever they were meant for used small pages"
            )
    if report.order < 0:
        yield "the kill was asked for by hand (SysRq f): memory had not run out by itself"
    elif report.order:
        kind = "which the kernel gives up early" if report.order > COSTLY_ORDER else "in one piece"
        yield f"{1 << report.order:,} pages were asked for together (order {report.order}), {kind}"
    if report.constraint in ("cpuset", "memory_policy"):
        by = "a cpuset" if report.constraint == "cpuset" else "a memory policy"
        yield f"only the memory nodes that {by} allows ran out: the figures are those of the whole machine"
    free = report.meminfo.get("free", 0)
    if report.cgroup is None and memory and free >= STILL_FREE * memory:
        yield f"{free >> 20:,} MiB were free: a zone or a node ran out, or memory in one piece, not memory as a whole"
    if report.swap_free and report.swap_free >= WORTH * memory:
        yield f"{report.swap_free >> 20:,} MiB of swap were free: page tables and locked memory cannot go there"
    summed, counted = report.tables_of_tasks or 0, report.stats.get("pagetables")
    if report.cgroup is not None and counted is not None and 2 * counted < summed:
        yield "the cgroup's own counter of page tables is too low: Linux 6.18 does not keep it"
    if report.cgroup is None and summed > 2 * report.meminfo.get("pagetables", summed):
        yield "the processes' page tables together are more than there were: each sharer of a hugetlb one counts it"
    if report.machine is None and report.tasks:
        yield "the architecture is not in the report: x86_64 is assumed"
    yield from report.notes
