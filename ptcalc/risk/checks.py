"""Checks that read the file and the results of the policies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from ptcalc.arch import kernels
from ptcalc.risk.amounts import about, exact, percent
from ptcalc.risk.best import best_deployable
from ptcalc.risk.capacity import used_estimate
from ptcalc.risk.case import Case, Note, Path
from ptcalc.risk.ledger import Ledger

if TYPE_CHECKING:
    from ptcalc.policies import Outcome

Check = Callable[[Case], Iterator[Note]]

# The kernel in which memory.stat's `pagetables` missed user page tables: commit f0c92726e89f (6.18), fixed in
# stable kernels of 2026 that a base version does not tell apart.
_MEMCG_BUG = (6, 18)


def events_left_out(case: Case) -> Iterator[Note]:
    """Events, which nothing but a timeline follows."""
    many = len(case.workload.events)
    if many:
        what = f"{many:,} event{'s' if many > 1 else ''}, which nothing here follows: all figures are of the beginning"
        yield Note("events-left-out", what, ("events",))


def page_tables_large(case: Case) -> Iterator[Note]:
    """Page tables above a share of the memory that is not in huge pages."""
    if case.subject is None:
        return
    result, outcome = case.subject
    tables = result.page_tables.used_bytes
    small = case.workload.host.mem_total or case.workload.host.memory
    small = max(0, small - _pools(outcome))
    if tables == 0 or tables <= case.config.page_tables_share * small:
        return
    share = f"{percent(Fraction(tables, small))} of" if small else "beside"
    message = f"page tables need {about(tables)}, {share} the {about(small)} that are not in huge pages"
    best = best_deployable(case.results)
    remedy = None
    if best is not None and best.policy != result.policy and best.page_tables.used_bytes < tables:
        remedy = f"{best.policy} needs {about(best.page_tables.used_bytes)}"
        if best.applies != "as_written":
            remedy += ": " + "; ".join(best.applies[:3])
    largest = max(result.processes, key=lambda group: group.count * group.marginal_bytes)
    yield Note("page-tables-large", message, ("processes", largest.name), result.policy, remedy)


@dataclass(slots=True)
class _Loss:
    """Mappings of one segment that lose sharing for the same reason."""

    path: Path
    policy: str
    text: str
    remedy: str | None
    mappings: int = 0
    saves: int | None = None


_SHARING = {
    "misaligned": "hugetlb-misaligned",
    "ragged-edges": "hugetlb-ragged-edges",
    "alignment": "hugetlb-addresses-differ",
    "too-small": "hugetlb-too-small",
}


def hugetlb_sharing(case: Case) -> Iterator[Note]:
    """What keeps hugetlb mappings from sharing PMD tables, one note for a segment and reason.

    Where pieces are too small to share, moving the mapping saves nothing: `small_pieces` says so instead.  That
    a small segment would share nothing if it were of hugetlb is no news.
    """
    in_small_pieces = _small_pieces(case)
    losses: dict[tuple[str, str], _Loss] = {}
    mappers: dict[str, int] = {}
    for group in case.workload.processes.values():
        for segment in {mapping.segment for mapping in group.mappings}:
            mappers[segment] = mappers.get(segment, 0) + group.count
    seen: set[Path] = set()
    for result in case.results:
        if result.policy != "today" and not result.policy.startswith("hugetlb-"):
            continue
        for mapping in result.mappings:
            if mapping.path in seen or mappers[mapping.segment] < 2 or mapping.segment in in_small_pieces:
                continue
            for reason in mapping.reasons[:1]:
                code = _SHARING.get(reason.code)
                no_news = reason.code == "too-small" and result.policy != "today"
                if code is None or reason.saves_bytes == 0 or no_news:
                    continue
                seen.add(mapping.path)
                new = _Loss(mapping.path, result.policy, reason.text, reason.remedy)
                loss = losses.setdefault((code, mapping.segment), new)
                loss.mappings += 1
                if reason.saves_bytes is not None:
                    loss.saves = (loss.saves or 0) + int(reason.saves_bytes)
    for (code, segment), loss in losses.items():
        many = f" ({loss.mappings} mappings)" if loss.mappings > 1 else ""
        message = f"{segment}{many}: {loss.text}"
        remedy = loss.remedy
        if loss.saves is not None:
            message += f"; this costs {about(loss.saves)}"
            remedy = f"{remedy}: saves {about(loss.saves)}"
        yield Note(code, message, loss.path, loss.policy, remedy)


def small_pieces(case: Case) -> Iterator[Note]:
    """Pieces smaller than a PMD table's span, which never share."""
    small = _small_pieces(case)
    if not small:
        return
    page, span = case.geometry.pmd_size, case.geometry.level("pmd").span
    moved = f"hugetlb-{case.geometry.huge_page_name(page)}"
    for result, outcome in zip(case.results, case.outcomes, strict=True):
        if not small or result.policy not in ("today", moved):
            continue
        for memory in outcome.segments(outcome.counts):
            name = memory.name
            pages = page if result.policy == moved else case.workload.segments[name].page_size or page
            if name in small and memory.backing == "hugetlb" and pages == page:
                pieces = exact(small.pop(name))
                message = f"{name}: pieces of {pieces} are smaller than {exact(span)} and never share"
                yield Note("hugetlb-too-small", message, ("segments", name, "pieces"), result.policy)


def _small_pieces(case: Case) -> dict[str, int]:
    """Return the segments in pieces smaller than a PMD table's span, with the size of a piece."""
    if not case.geometry.pmd_sharing:
        return {}
    span = case.geometry.level("pmd").span
    segments = case.workload.segments.items()
    return {name: each.pieces for name, each in segments if each.pieces is not None and each.pieces < span}


def pools(case: Case) -> Iterator[Note]:
    """Huge-page pools that are too short, too large, or leave too little."""
    if case.subject is None:
        return
    result, outcome = case.subject
    for short in outcome.short_pools:
        page = short.page_size
        missing = -(-(short.need_bytes - short.pool_bytes) // page)
        message = (
            f"{short.segment} needs {-(-short.need_bytes // page):,} huge pages of {exact(page)},"
            f" {short.pool_bytes // page:,} are left in the pool"
        )
        remedy = f"reserve {missing:,} pages of {exact(page)} more"
        yield Note(f"pool-short-{short.mode}", message, ("segments", short.segment), result.policy, remedy)
    stated = case.workload.host.hugepages or {}
    need = outcome.pool_need(outcome.counts)
    for page, count in stated.items():
        unused = count - -(-need.get(page, 0) // page)
        if unused > 0:
            message = f"{unused:,} of {count:,} huge pages of {exact(page)} are not needed: {about(unused * page)}"
            yield Note("pool-unused", message, ("host", "hugepages"), result.policy)
    taken = _pools(outcome)
    ledger = Ledger(outcome, case.config)
    capacity = ledger.capacity["host"]
    rest, left = ledger.demand(outcome.counts).host - taken, capacity - taken
    # A pool that is in use and too short is no pool to shrink.
    short_in_use = any(short.mode != "small" for short in outcome.short_pools)
    if stated and taken and not short_in_use and left < rest <= capacity:
        left = max(0, left)
        message = f"the pools take {about(taken)} and leave {about(left)}; the rest needs {about(rest)}"
        yield Note("pool-leaves-too-little", message, ("host", "hugepages"), result.policy)


def swap(case: Case) -> Iterator[Note]:
    """Swap that cannot help, and workloads that fit only with it."""
    if case.subject is None:
        return
    result, _ = case.subject
    memory, space = result.memory, case.workload.host.swap
    if memory.swap_used_bytes and result.risk.level == "critical":
        message = f"{about(memory.swap_used_bytes)} of the demand fit only into swap ({about(space)})"
        yield Note("fits-only-with-swap", message, ("host", "swap"), result.policy)
    fixed = memory.demand_bytes - sum(item.swappable_bytes for item in memory.items)
    if space and result.risk.level == "oom" and fixed > memory.capacity_bytes:
        message = f"{about(fixed)} cannot be swapped; {about(memory.capacity_bytes)} is there, swap or not"
        yield Note("swap-no-help", message, ("host", "swap"), result.policy)


def cgroup(case: Case) -> Iterator[Note]:
    """The cgroup's limit binds first; what its statistics miss."""
    limit = case.workload.host.cgroup_limit
    if case.subject is None or limit is None:
        return
    result, outcome = case.subject
    path = ("host", "cgroup_limit")
    outside = outcome.page_tables_used(outcome.counts, charged=False)
    if outside:
        message = f"{about(outside)} of page tables count on the host only, not against the limit"
        yield Note("tables-in-no-cgroup", message, path, result.policy)
    if result.memory.boundary == "cgroup":
        free = result.memory.headroom_bytes
        left = f"leaves {about(free)}" if free >= 0 else f"lacks {about(-free)}"
        yield Note(
            "cgroup-tighter",
            f"the limit of {exact(limit)} {left}, the host has more room",
            path,
            result.policy,
        )
    kernel = case.workload.kernel
    if kernel.version == _MEMCG_BUG:
        message = "memory.stat of 6.18 may leave out user page tables (fixed in stable kernels of 2026)"
        yield Note("memcg-pagetables-low", message, ("host", "kernel"))


def not_stated(case: Case) -> Iterator[Note]:
    """Values that the file leaves out and that matter."""
    workload = case.workload
    silent = [name for name in workload.processes if not workload.stated(("processes", name, "private"))]
    if silent:
        names = ", ".join(silent[:3]) + (f" and {len(silent) - 3} groups more" if len(silent) > 3 else "")
        yield Note("private-not-stated", f"no private memory is stated for {names}", ("processes", silent[0]))
    if workload.host.used is None:
        estimated = used_estimate(workload.host.memory, case.config)
        message = f"{about(estimated)} are assumed for all that this file leaves out"
        yield Note("used-not-stated", message, ("host",))


def vendor_kernel(case: Case) -> Iterator[Note]:
    """A distribution's kernel, whose counters are taken to be those of its base version."""
    text = case.workload.host.kernel
    if text is None:
        return
    kernel = kernels.parse(text)
    if kernel.vendor:
        message = f"{text} is taken for mainline {kernel.major}.{kernel.minor}"
        yield Note("vendor-kernel", message, ("host", "kernel"))


def sharing_switch(case: Case) -> Iterator[Note]:
    """`page_table_sharing: never` under policies that have no such switch."""
    silent = [
        result.policy
        for result in case.results
        if result.policy in ("today", "thp") or result.policy.startswith("hugetlb-")
    ]
    if not silent:
        return
    paths: list[Path] = []
    for name, group in case.workload.processes.items():
        if group.page_table_sharing == "never":
            paths.append(("processes", name, "page_table_sharing"))
        paths += [
            ("processes", name, "mappings", number, "page_table_sharing")
            for number, mapping in enumerate(group.mappings)
            if mapping.page_table_sharing == "never"
        ]
    if paths:
        many = f" ({len(paths)} places)" if len(paths) > 1 else ""
        message = f"page_table_sharing: never has no effect on {', '.join(silent)}{many}"
        yield Note("sharing-switch-no-effect", message, paths[0])


def _pools(outcome: Outcome) -> int:
    """Return the bytes of all huge-page pools: as reserved, or what the segments need if more."""
    need = outcome.pool_need(outcome.counts)
    stated = outcome.workload.host.hugepages or {}
    return sum(max(stated.get(size, 0) * size, need.get(size, 0)) for size in {*stated, *need})


ALL: tuple[Check, ...] = (
    pools, page_tables_large, hugetlb_sharing, small_pieces, swap, cgroup, not_stated, vendor_kernel,
    sharing_switch, events_left_out,
)  # fmt: skip
