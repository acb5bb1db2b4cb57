"""Measure one thing against another, in turns."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent

Run = Callable[[], object]


class Unit(NamedTuple):
    """What a side of a ratio is shown in, and how many of it a second, or a byte, is."""

    name: str
    each: float


MILLISECONDS, MIB = Unit("ms", 1e3), Unit("MiB", 1 / (1 << 20))


@dataclass(frozen=True, slots=True)
class Ratio:
    """What `subject` costs in units of `reference`, and how much of that is too much."""

    name: str
    subject: float  # seconds, or bytes
    reference: float
    limit: float
    unit: Unit = MILLISECONDS

    @property
    def value(self) -> float:
        """Subject / reference."""
        return self.subject / self.reference

    @property
    def holds(self) -> bool:
        """True within the limit."""
        return self.value <= self.limit

    def __str__(self) -> str:
        verdict = "ok  " if self.holds else "SLOW"
        sides = " / ".join(f"{side * self.unit.each:.1f} {self.unit.name}" for side in (self.subject, self.reference))
        return f"{verdict} {self.value:6.3f}  limit {self.limit:5.2f}  {self.name} ({sides})"


def measure(name: str, subject: Run, reference: Run, *, limit: float, rounds: int) -> Ratio:
    """Run both in turns, `rounds` times after one round that warms caches, and compare the medians."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for run, times in zip((subject, reference), taken, strict=True):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
    ours, theirs = (statistics.median(times[1:]) for times in taken)
    return Ratio(name, ours, theirs, limit)


def process(code: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Run:
    """Return a run of `code` in a process of its own; one that fails raises CalledProcessError."""
    command = [sys.executable, "-P", "-c", code, *arguments]
    # The first round leaves byte code behind, as installing a package does: no later one compiles anything.
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    where = {**outside, "PYTHONPATH": str(ROOT), **(environment or {})}
    return lambda: subprocess.run(
        command, cwd=ROOT, env=where, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
    )
