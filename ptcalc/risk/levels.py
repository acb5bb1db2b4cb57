"""The level of one boundary: how much of its capacity a demand leaves free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptcalc.result import RISK_ORDER, RiskLevel

if TYPE_CHECKING:
    from ptcalc.risk.config import Config


def level(capacity: int, demand: int, swap: int, config: Config) -> RiskLevel:
    """Return the level of a demand against a capacity (bytes).

    ``swap`` is what of the demand can go to swap: the smaller of the swap space and the swappable memory.
    Demand that fits only with it is `critical` (contract section 4, Memory).  Shares are compared exactly.
    """
    free = capacity - demand
    if free < 0:
        return "critical" if free + swap >= 0 else "oom"
    if free >= config.ok_free * capacity:
        return "ok"
    return "warning" if free >= config.warning_free * capacity else "critical"


def worse(one: RiskLevel, other: RiskLevel) -> RiskLevel:
    """Return the worse of two levels."""
    return max(one, other, key=RISK_ORDER.index)
