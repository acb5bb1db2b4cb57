"""Budgets from the figures of today: what may change by a margin before a check fails."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from ptcalc.checking.agreements import BudgetRule
from ptcalc.result import Estimate, PolicyResult
from ptcalc.risk.amounts import about
from ptcalc.workload.sizes import show_size


@dataclass(frozen=True, slots=True)
class Proposed:
    """A budget as a file says it; ``value`` is empty where there is none to agree on, and ``now`` says why."""

    rule: BudgetRule
    key: str
    value: str
    now: str


def proposed(estimate: Estimate, margin: Fraction) -> tuple[Proposed, ...]:
    """Return budgets for `today` of an estimate: its figures, with a margin as a fraction of 1 to the worse side.

    Sizes are rounded away from the figure, to two digits or more of their unit.
    """
    result = estimate.policy("today")
    used, each = result.page_tables.used_bytes, max(group.vmpte_bytes for group in result.processes)
    most = result.risk.max_processes
    return (
        *_room(result, margin),
        Proposed("page_tables", "at_most", above(used * (1 + margin)), f"now {about(used)}"),
        Proposed("page_tables_per_process", "at_most", above(each * (1 + margin)), f"now {about(each)}"),
        Proposed("max_processes", "at_least", str(floor(most * (1 - margin))), f"now {most:,}"),
    )


def _room(result: PolicyResult, margin: Fraction) -> tuple[Proposed, ...]:
    free, level = result.memory.headroom_bytes, result.risk.level
    least = below(free * (1 - margin)) if free > 0 else ""
    return (
        Proposed("risk", "at_most", "" if level == "oom" else level, f"now {level}"),
        Proposed("headroom", "at_least", least, f"now {about(free)}"),
    )


def _unit(size: Fraction) -> int:
    """Return the largest unit of which a size has ten or more."""
    return next((1 << shift for shift in (40, 30, 20, 10) if size >= 10 << shift), 1)


def above(size: Fraction) -> str:
    """Return a size of at least so many bytes, short to read."""
    return show_size(ceil(size / _unit(size)) * _unit(size))


def below(size: Fraction) -> str:
    """Return a size of at most so many bytes, short to read."""
    return show_size(floor(size / _unit(size)) * _unit(size))
