"""What holds for all tests: no test is timed by the clock, and random ones draw the same in every run."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ptcalc",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ptcalc")


@pytest.fixture
def early_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `verify` believe a counter after half as many readings: one that comes too early only makes it run again."""
    from ptcalc.verify import experiment

    monkeypatch.setattr(experiment, "STILL", experiment.STILL // 2)
