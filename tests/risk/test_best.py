"""The best policy that can be deployed: the lowest risk, then room, and never one that no mainline kernel has."""

from __future__ import annotations

from dataclasses import replace

import pytest

import ptcalc
from ptcalc.result import Availability, PolicyResult, RiskLevel
from ptcalc.risk import best_deployable
from tests.risk.documents import GIB, load, sga

PROPOSAL = Availability("proposal", "", "a mail", "2026-11")


@pytest.fixture(scope="module")
def today() -> PolicyResult:
    return ptcalc.estimate(load(sga()), policies=["today"]).policies[0]


def like(today: PolicyResult, name: str, level: RiskLevel, free: int) -> PolicyResult:
    return replace(
        today,
        policy=name,
        risk=replace(today.risk, level=level),
        memory=replace(today.memory, capacity_bytes=500 * GIB, headroom_bytes=free),
    )


def test_the_lowest_risk_wins(today: PolicyResult) -> None:
    results = [like(today, "a", "warning", 90 * GIB), like(today, "b", "ok", 60 * GIB)]

    assert best_deployable(results) is results[1]


def test_then_the_largest_headroom_and_among_equals_the_first(today: PolicyResult) -> None:
    results = [like(today, name, "ok", free * GIB) for name, free in (("a", 60), ("b", 172), ("c", 173))]

    assert best_deployable(results) is results[1]


def test_what_no_mainline_kernel_has_is_never_best(today: PolicyResult) -> None:
    future = replace(like(today, "a", "ok", 400 * GIB), availability=PROPOSAL)

    assert best_deployable([future]) is None
    assert best_deployable([future, today]) is today
    assert best_deployable([]) is None
