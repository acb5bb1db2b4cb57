"""The level of one boundary: how much of its capacity a demand leaves free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptcalc.engine.numbers import Number, times
from ptcalc.result import RISK_ORDER, RiskLevel

if TYPE_CHECKING:
    from ptcalc.risk.config import Config


def room(capacity: Number, demand: Number, swap: Number, accepted: RiskLevel, config: Config) -> Number:
    """Return how far a demand is from the end of a level (bytes times a constant); negative: it is worse.

    ``swap`` is what of the demand can go to swap: the smaller of the swap space and the swappable memory.
    Demand that fits only with it is `critical` (contract section 4, Memory).  Shares are compared exactly.
    """
    free = capacity - demand
    if accepted in ("critical", "oom"):
        return free + swap
    share = config.ok_free if accepted == "ok" else config.warning_free
    return times(free, share.denominator) - times(capacity, share.numerator)


def level(capacity: Number, demand: Number, swap: Number, config: Config) -> Number:
    """Return the level of a demand against a capacity (bytes) by its place in RISK_ORDER; ``swap`` as in `room`."""
    # Who has no room at a level has none at a better one.
    return sum((room(capacity, demand, swap, each, config) < 0) * 1 for each in RISK_ORDER[:-1])
