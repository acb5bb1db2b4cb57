"""From a workload to an estimate: the one place where the rooms are called one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ptcalc import arch, policies, risk
from ptcalc.arch import kernels
from ptcalc.result import Estimate, PolicyResult

if TYPE_CHECKING:
    from ptcalc.policies import Outcome
    from ptcalc.risk import Config
    from ptcalc.workload import Workload


def estimate(
    workload: Workload,
    *,
    policies: Sequence[str] | None = None,
    config: Config | None = None,
    choices: Mapping[str, str] | None = None,
) -> Estimate:
    """Estimate page tables, memory and risk of a workload under each policy.

    ``policies`` names some (default: all, in the order of contract section 2); ``config`` holds thresholds and
    constants (default: those of configs/default.yaml); ``choices`` answers open questions of a policy
    (``{"file-shared.phases": "zero"}``).  Raises InputError for a policy or choice that does not exist, and for a
    workload whose mappings find no place in the address space.
    """
    outcomes = evaluate(workload, policies, choices)
    settings = config or risk.Config()
    results = tuple(_result(outcome, settings) for outcome in outcomes)
    geometry = arch.get(workload.host.arch)
    return Estimate(
        name=workload.name,
        file=workload.file,
        processes=sum(group.count for group in workload.processes.values()),
        policies=results,
        findings=tuple(risk.findings(workload, results, outcomes, settings)),
        assumptions=workload.assumptions,
        arch=geometry.name,
        kernel=workload.host.kernel or kernels.NEWEST_TEXT,
        installed_bytes=workload.host.memory,
        segment_bytes=tuple((name, segment.size) for name, segment in workload.segments.items()),
    )


def evaluate(
    workload: Workload, names: Sequence[str] | None = None, choices: Mapping[str, str] | None = None
) -> list[Outcome]:
    """Evaluate the policies, without ledger and risk; errors point into the workload file."""
    return policies.evaluate(workload, names, choices)


def _result(outcome: Outcome, config: Config) -> PolicyResult:
    memory, level, one_more = risk.assess(outcome, config)
    return PolicyResult(
        policy=outcome.name,
        title=outcome.title,
        availability=outcome.availability,
        applies=outcome.applies,
        page_tables=outcome.page_tables(outcome.counts),
        processes=outcome.processes(),
        memory=memory,
        risk=level,
        mappings=outcome.mappings,
        one_more=one_more,
        choices=outcome.choices,
        bounds=outcome.bounds,
    )
