"""The risk of files with distributions: that of samples, in place of that of the medians."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from ptcalc.result import Estimate
from ptcalc.risk import Config
from ptcalc.scenarios.uncertainty import FAIL_PROBABILITY, Sampled, sample
from ptcalc.workload.model import Workload


def drawn(
    workload: Workload, estimate: Estimate, config: Config | None, allowed: Fraction = FAIL_PROBABILITY
) -> tuple[Estimate, Sampled | None]:
    """Return an estimate whose risk levels are those of samples, and the samples; without distributions as it is.

    The level of a policy is the worst that more than ``allowed`` of its samples (from 0 to 1) are at, or beyond; all
    other figures stay those of the medians.  Raises InputError for a sample that is no workload.
    """
    if not workload.positions.uncertain:
        return estimate, None
    sampled = sample(workload, policies=[result.policy for result in estimate.policies], config=config)
    results = (
        replace(result, risk=replace(result.risk, level=sampled.policy(result.policy).worst(allowed)))
        for result in estimate.policies
    )
    return replace(estimate, policies=tuple(results)), sampled
