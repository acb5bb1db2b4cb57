"""What would have prevented it: settings that a released kernel has, each with what the same workload comes to then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptcalc.arch import kernels
from ptcalc.estimation import evaluate
from ptcalc.result import RISK_ORDER, Estimate, PolicyResult, RiskLevel
from ptcalc.risk.best import best_deployable

if TYPE_CHECKING:
    from ptcalc.capture.oomlog import OomReport
    from ptcalc.risk.config import Config
    from ptcalc.workload import Workload

# What programs call the switch that puts their shared memory on huge pages, by how their processes are named.
_PROGRAMS = (
    (("postgres", "postmaster"), "PostgreSQL: huge_pages = on"),
    (("oracle", "ora_"), "Oracle: USE_LARGE_PAGES = ONLY, and memlock at least the size of the SGA"),
    (("qemu",), "QEMU: memory-backend-memfd with hugetlb=on"),
)


@dataclass(frozen=True, slots=True)
class Setting:
    """A change and what comes of it: ``lines`` can be pasted, ``needs`` is what they do not do by themselves.

    ``level`` is the risk afterwards, ``max_processes`` the largest count that fits then (None: more memory moves it),
    ``saves_bytes`` what that takes off the page tables.
    """

    what: str
    lines: tuple[str, ...]
    needs: tuple[str, ...]
    level: RiskLevel
    max_processes: int | None
    saves_bytes: int


def settings(report: OomReport, workload: Workload, estimate: Estimate, config: Config) -> tuple[Setting, ...]:
    """Return what would have prevented the kill, the best policy first, then fewer processes and more memory.

    Policies that only move memory from one account to another, or that no released kernel has, are not among them.
    """
    today = estimate.policy("today")
    return (
        *_policies(report, workload, estimate, today),
        *_counts(today, estimate),
        *_memory(report, today, config),
    )


def _policies(report: OomReport, workload: Workload, estimate: Estimate, today: PolicyResult) -> Iterator[Setting]:
    better = [
        result
        for result in estimate.policies
        if result.availability.deployable
        and result.policy not in ("today", "private")
        and RISK_ORDER.index(result.risk.level) < RISK_ORDER.index("critical")
        and result.page_tables.used_bytes < today.page_tables.used_bytes
    ]
    best = best_deployable(better)
    for result in sorted(better, key=lambda each: (_too_old(workload, each), each is not best)):
        lines, needs = _lines(result, workload)
        if _too_old(workload, result):
            needs = (*needs, f"Linux {result.availability.since} or later; this was {workload.kernel.text}")
        if report.cgroup is not None and lines:
            needs = (*needs, "room for them on the machine, of which the report says nothing")
        what, *changes = result.policy, *([] if isinstance(result.applies, str) else result.applies)
        yield Setting(
            what=": ".join([what, "; ".join(changes)]) if changes else what,
            lines=lines,
            needs=(*_programs(report), *needs) if lines else needs,
            level=result.risk.level,
            max_processes=result.risk.max_processes,
            saves_bytes=today.page_tables.used_bytes - result.page_tables.used_bytes,
        )


def _too_old(workload: Workload, result: PolicyResult) -> bool:
    """Return whether the kernel of the report does not have a policy yet."""
    return workload.kernel.version < kernels.parse(result.availability.since).version


def _lines(result: PolicyResult, workload: Workload) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what reserves the huge pages of a policy, and what that takes."""
    (outcome,) = evaluate(workload, [result.policy])
    geometry = workload.geometry
    stated = workload.host.hugepages or {}
    lines, needs = [], []
    for size, need in sorted(outcome.pool_need(outcome.counts).items()):
        pages = max(-(-need // size), stated.get(size, 0))
        if not need:
            continue
        if size == geometry.default_huge_page:
            lines.append(f"vm.nr_hugepages = {pages}")
        else:
            name = geometry.huge_page_name(size)
            lines.append(f"hugepagesz={name} hugepages={pages}")
            needs.append("the kernel command line, and a boot")
    return tuple(lines), tuple(needs)


def _programs(report: OomReport) -> Iterator[str]:
    called = {task.name for task in report.tasks}
    for prefixes, switch in _PROGRAMS:
        if any(name.startswith(prefixes) for name in called):
            yield switch


def _counts(today: PolicyResult, estimate: Estimate) -> Iterator[Setting]:
    """Yield the number of processes with which the same machine is safe, if there is one."""
    safe = today.risk.safe_processes
    if today.risk.limited_by == "fixed" or not 0 < safe < estimate.processes:
        return
    yield Setting(
        what=f"at most {safe:,} processes in place of {estimate.processes:,}",
        lines=(),
        needs=("a connection pool, or a lower limit on connections",),
        level="ok",
        max_processes=today.risk.max_processes,
        saves_bytes=today.page_tables.used_bytes * (estimate.processes - safe) // estimate.processes,
    )


def _memory(report: OomReport, today: PolicyResult, config: Config) -> Iterator[Setting]:
    """Yield how much more memory would have left the share of it free that `ok` asks for."""
    memory = today.memory
    more = -int(-memory.demand_bytes // (1 - config.ok_free)) - memory.capacity_bytes
    if more > 0:
        whose = "more memory" if report.cgroup is None else "a higher limit"
        yield Setting(f"{whose}: {-(-more >> 20):,} MiB more", (), (), "ok", None, 0)
