"""Measure one thing against another, in turns."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent

Run = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Ratio:
    """What `subject` costs in units of `reference`, and how much of that is too much."""

    name: str
    subject_seconds: float
    reference_seconds: float
    limit: float

    @property
    def value(self) -> float:
        """Subject / reference."""
        return self.subject_seconds / self.reference_seconds

    @property
    def holds(self) -> bool:
        """True within the limit."""
        return self.value <= self.limit

    def __str__(self) -> str:
        verdict = "ok  " if self.holds else "SLOW"
        times = f"{self.subject_seconds * 1e3:.1f} ms / {self.reference_seconds * 1e3:.1f} ms"
        return f"{verdict} {self.value:6.3f}  limit {self.limit:5.2f}  {self.name} ({times})"


def measure(name: str, subject: Run, reference: Run, *, limit: float, rounds: int) -> Ratio:
    """Run both in turns, `rounds` times after one round that warms caches, and compare the medians."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for run, times in zip((subject, reference), taken, strict=True):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
    subject_seconds, reference_seconds = (statistics.median(times[1:]) for times in taken)
    return Ratio(name, subject_seconds, reference_seconds, limit)


def process(code: str, *arguments: str) -> Run:
    """Return a run of `code` in a process of its own; one that fails raises CalledProcessError."""
    command = [sys.executable, "-P", "-c", code, *arguments]
    where = {**os.environ, "PYTHONPATH": str(ROOT)}
    return lambda: subprocess.run(
        command, cwd=ROOT, env=where, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
    )
