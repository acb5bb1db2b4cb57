"""What a report says first: the policy that is judged, the best that can be deployed, what does not help.

Derived from the `Estimate` alone, so that every format gives the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from ptcalc.result import Estimate, PolicyResult
from ptcalc.risk.best import best_deployable, subject_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """The subject of the headline, and what would help most; ``best`` is always deployable."""

    subject: PolicyResult
    best: PolicyResult | None
    useless: tuple[PolicyResult, ...]  # where help is needed: deployable, but out of memory
    swap_is_useless: bool


def judge(estimate: Estimate) -> Verdict:
    """Return the verdict on `estimate`, which holds one policy at least."""
    subject = subject_of(estimate)
    best = best_deployable(estimate.policies)
    useless = tuple(
        result
        for result in estimate.policies
        if subject.risk.level != "ok"
        and result.availability.deployable
        and result.risk.level == "oom"
        and result not in (subject, best)
        # A counterfactual that changes nothing is no advice.
        and result.policy != "private"
    )
    memory = subject.memory
    fixed = memory.demand_bytes - sum(item.swappable_bytes for item in memory.items)
    return Verdict(subject, best, useless, subject.risk.level == "oom" and fixed > memory.capacity_bytes)


def is_exact(result: PolicyResult) -> bool:
    """Return whether every figure of `result` follows from the file without a random draw."""
    return result.page_tables.exact and all(process.exact for process in result.processes)
