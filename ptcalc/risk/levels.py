"""The level of one boundary: how much of its capacity a demand leaves free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptcalc.result import RISK_ORDER, RiskLevel

if TYPE_CHECKING:
    from ptcalc.risk.config import Config


def room(capacity: int, demand: int, swap: int, accepted: RiskLevel, config: Config) -> int:
    """Return how far a demand is from the end of a level (bytes times a constant); negative: it is worse.

    ``swap`` is what of the demand can go to swap: the smaller of the swap space and the swappable memory.
    Demand that fits only with it is `critical` (contract section 4, Memory).  Shares are compared exactly.
    """
    free = capacity - demand
    if accepted in ("critical", "oom"):
        return free + swap
    share = config.ok_free if accepted == "ok" else config.warning_free
    return free * share.denominator - capacity * share.numerator


def level(capacity: int, demand: int, swap: int, config: Config) -> RiskLevel:
    """Return the level of a demand against a capacity (bytes); ``swap`` as in `room`."""
    for candidate in RISK_ORDER[:-1]:
        if room(capacity, demand, swap, candidate, config) >= 0:
            return candidate
    return "oom"
