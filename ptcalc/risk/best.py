"""Which policy is judged, and which one that can be deployed is best."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from ptcalc.result import RISK_ORDER, Estimate, PolicyResult

# Headrooms that differ by less than this share of capacity are the same to an operator: then the earlier
# policy wins (2 MiB pages before 1 GiB pages, which are best reserved at boot).
SAME_HEADROOM = Fraction(1, 100)


def best_deployable(results: Iterable[PolicyResult]) -> PolicyResult | None:
    """Return the mainline policy with the lowest risk, then the largest headroom; None if there is none."""
    candidates = [result for result in results if result.availability.deployable]
    if not candidates:
        return None
    lowest = min(RISK_ORDER.index(result.risk.level) for result in candidates)
    candidates = [result for result in candidates if RISK_ORDER.index(result.risk.level) == lowest]
    most = max(result.memory.headroom_bytes for result in candidates)
    return next(
        result
        for result in candidates
        if result.memory.headroom_bytes >= most - SAME_HEADROOM * result.memory.capacity_bytes
    )


def subject_of(estimate: Estimate) -> PolicyResult:
    """Return `today`, else the first policy that a mainline kernel has, else the first."""
    by_name = {result.policy: result for result in estimate.policies}
    if "today" in by_name:
        return by_name["today"]
    return next((result for result in estimate.policies if result.availability.deployable), estimate.policies[0])
