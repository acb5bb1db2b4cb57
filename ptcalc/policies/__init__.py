"""The policies: who owns the page tables?  Each file holds one answer, or two that differ in a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ptcalc import arch
from ptcalc.arch import Geometry
from ptcalc.policies.base import Context, Policy
from ptcalc.policies.file_shared import FILE_SHARED
from ptcalc.policies.hugetlb import hugetlb_policies
from ptcalc.policies.map_shared_pt import MAP_SHARED_PT
from ptcalc.policies.mshare import MSHARE
from ptcalc.policies.outcome import Outcome, SegmentMemory, ShortPool, evaluate_policy
from ptcalc.policies.thp import THP
from ptcalc.policies.today import PRIVATE_TABLES, TODAY
from ptcalc.workload.model import Workload

__all__ = ["Outcome", "Policy", "SegmentMemory", "ShortPool", "evaluate", "policies_of", "policy_names"]


def policies_of(geometry: Geometry) -> tuple[Policy, ...]:
    """Return the policies of an architecture in the order of contract section 2."""
    return (TODAY, PRIVATE_TABLES, *hugetlb_policies(geometry), THP, FILE_SHARED, MAP_SHARED_PT, MSHARE)


def policy_names(arch_name: str = "x86_64") -> tuple[str, ...]:
    """Return the names of the policies of an architecture, in order."""
    return tuple(policy.name for policy in policies_of(arch.get(arch_name)))


def evaluate(
    workload: Workload, names: Sequence[str] | None = None, parameters: Mapping[str, str] | None = None
) -> list[Outcome]:
    """Evaluate the policies of those names (default: all), in their own order.

    ``parameters`` sets open choices: ``{"file-shared.phases": "zero"}``.  Raises KeyError for an unknown policy.
    """
    geometry = workload.geometry
    known = policies_of(geometry)
    unknown = set(names or ()) - {policy.name for policy in known}
    if unknown:
        raise KeyError(min(unknown))
    context = Context(workload, geometry, dict(parameters or {}))
    return [evaluate_policy(policy, context) for policy in known if names is None or policy.name in names]
