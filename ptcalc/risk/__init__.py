"""Does the machine still fit, how many processes does it bear, and what to know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.numbers import Number
from ptcalc.result import Memory, Risk, RiskLevel
from ptcalc.risk import limits
from ptcalc.risk.best import best_deployable
from ptcalc.risk.config import Config, config_of, load_config, loads_config, read_document, written
from ptcalc.risk.findings import findings
from ptcalc.risk.ledger import Boundary, Ledger

if TYPE_CHECKING:
    from ptcalc.policies import Outcome

__all__ = [
    "LIMITED_BY",
    "Config",
    "Ledger",
    "assess",
    "best_deployable",
    "config_of",
    "findings",
    "largest_of_many",
    "load_config",
    "loads_config",
    "memory",
    "read_document",
    "written",
]

Ints = NDArray[np.int64]
LIMITED_BY = ("memory", "cgroup", "pid_max", "fixed")
_BINDS: dict[Boundary, str] = {"host": "memory", "cgroup": "cgroup"}


def assess(outcome: Outcome, config: Config) -> tuple[Memory, Risk, tuple[tuple[str, int], ...]]:
    """Return memory (the tighter boundary), risk, and what one more process of the largest group costs."""
    ledger = Ledger(outcome, config)
    counts = outcome.counts
    found = ledger.memory(counts)
    level = ledger.level(ledger.demand(counts))
    # A segment that gets no huge pages does not start, however much memory is free.
    if any(short.mode == "fail" for short in outcome.short_pools):
        level = "oom"
    most, limited_by = _largest(ledger, accepted="critical")
    safe, safe_limited_by = _largest(ledger, accepted="ok")
    return found, Risk(level, safe, most, limited_by, safe_limited_by), _one_more(ledger, found)


def largest_of_many(ledger: Ledger, accepted: RiskLevel) -> tuple[Ints, Ints, list[Number]]:
    """Return the largest total counts at the accepted level, and what binds by its place in LIMITED_BY, (L, C).

    Beside them stand the next counts, in the order of the groups, that are not at that level.
    """
    grows = [group.scale == "proportional" for group in ledger.outcome.workload.processes.values()]

    def room(counts: list[Number]) -> tuple[Number, Number]:
        return ledger.room(ledger.demand(counts), accepted)

    total, binds, beyond = limits.largest_of_many(ledger.outcome.counts, grows, room, ledger.config.pid_max)
    names = [_BINDS[name] for name in ledger.capacity]
    places = np.array([LIMITED_BY.index(name) for name in (*names, "fixed", "pid_max")])
    return total, places[binds], beyond


def memory(outcome: Outcome, counts: Sequence[int], config: Config) -> Memory:
    """Return the ledger of the tighter boundary for any process counts, in the order of the groups."""
    return Ledger(outcome, config).memory(counts)


def _largest(ledger: Ledger, accepted: RiskLevel) -> tuple[int, str]:
    """Return the largest total count at the accepted level or a better one, and what binds beyond it."""

    def room(counts: limits.Counts) -> tuple[int, str]:
        left, place = ledger.room(ledger.demand(counts), accepted)
        return left, _BINDS[tuple(ledger.capacity)[place]]

    grows = [group.scale == "proportional" for group in ledger.outcome.workload.processes.values()]
    return limits.largest(ledger.outcome.counts, grows, room, ledger.config.pid_max)


def _one_more(ledger: Ledger, now: Memory) -> tuple[tuple[str, int], ...]:
    """Return what one more process of the largest proportional group adds, by item; () if none grows."""
    counts = list(ledger.outcome.counts)
    growing = [
        number
        for number, group in enumerate(ledger.outcome.workload.processes.values())
        if group.scale == "proportional"
    ]
    if not growing:
        return ()
    counts[max(growing, key=lambda number: counts[number])] += 1
    lines = [line for line in ledger.lines if now.boundary == "host" or line.in_cgroup]
    costs = ((item.name, line.amount(counts)[0] - item.bytes) for line, item in zip(lines, now.items, strict=True))
    return tuple((name, cost) for name, cost in costs if cost)
