"""Random touches over time: what the engine expects, against the mean of the slow model over many draws."""

from __future__ import annotations

import random
import statistics
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import yaml

import ptcalc
from ptcalc.timeline.result import Step
from tests.reference.census import census
from tests.reference.events import Machine
from tests.reference.touch import Pick

MIB = 1 << 20
TABLE = 4096
ERRORS = 5  # standard errors of the mean that the engine may be off
KINDS = ("private", "shared", "cached")


def chooser(seed: int) -> Callable[..., Pick]:
    """Draw by what tells a draw from others; more of the same draw has the less of it."""

    def choose(*key: object) -> Pick:
        return lambda candidates, wanted: random.Random(f"{seed} {key}").sample(candidates, len(candidates))[:wanted]

    return choose


def workload(touch: dict[str, Any], events: list[dict[str, Any]], **mapping: Any) -> Any:
    """Two groups that map 24 MiB at one address, at a border of tables; one of them draws."""
    mapped = {"segment": "s", "address": (1 << 39) + (1 << 30) - 8 * MIB} | mapping
    return ptcalc.loads(
        yaml.safe_dump(
            {
                "version": 1,
                "name": "draws",
                "host": {"memory": "64 GiB", "kernel": "6.18"},
                "segments": {"s": {"size": 24 * MIB, "backing": "shmem"}},
                "processes": {
                    "x": {"count": 3, "mappings": [mapped | {"touch": touch}]},
                    "y": {"count": 2, "mappings": [mapped | {"touch": {"ranges": [{"start": 0, "length": MIB}]}}]},
                },
                "events": events,
            }
        )
    )


def figures(step: Step) -> dict[str, float]:
    """Return tables by level and kind, and VmPTE and RSS of all processes of a group, in tables and pages."""
    found = {f"{level.level} {kind}": float(getattr(level, kind)) for level in step.levels for kind in KINDS}
    for one in step.classes:
        for name in ("vmpte", "rss"):
            size = getattr(one, f"{name}_bytes") * one.count / TABLE
            found[f"{name} {one.group}"] = found.get(f"{name} {one.group}", 0.0) + size
    return found


def drawn(machine: Machine) -> dict[str, float]:
    """Return the same of the model."""
    now = census(machine)
    found = {
        f"{level} {kind}": float(n)
        for level, counts in now.levels.items()
        for kind, n in zip(KINDS, counts, strict=True)
    }
    for name in ("vmpte", "rss"):
        for (group, _, size), many in getattr(now, name).items():
            found[f"{name} {group}"] = found.get(f"{name} {group}", 0.0) + size * many / TABLE
    return found


def outcomes(what: Any, policy: str, draws: int) -> list[dict[str, list[float]]]:
    """Return for each step what every draw comes to."""
    steps: list[dict[str, list[float]]] = [defaultdict(list) for _ in range(len(what.events) + 1)]
    for seed in range(draws):
        machine = Machine(what, policy, chooser=chooser(seed))
        for number, found in enumerate(steps):
            if number:
                machine.run(what.events[number - 1])
            for name, value in drawn(machine).items():
                found[name] += [0.0] * (seed - len(found[name])) + [value]
    return [{name: values + [0.0] * (draws - len(values)) for name, values in found.items()} for found in steps]


SCATTERED = {"pages": 5, "pattern": "scattered"}
CLUSTERED = {"amount": "1 MiB", "pattern": "clustered", "cluster": "128 KiB"}
SAME = {"pages": 6, "pattern": "scattered", "overlap": "same"}
PART = {"group": "x", "count": 1, "mapping": 0, "start": 8 * MIB, "length": 8 * MIB}  # whole tables
EVENTS: dict[str, list[dict[str, Any]]] = {
    "come and go": [
        {"fork": {"group": "x", "count": 2}},
        {"touch": {"group": "x", "touch": SCATTERED}},
        {"exit": {"group": "x", "count": 2}},
        {"pressure": {}},
        {"start": {"group": "x", "count": 1}},
        {"exit": {"group": "x"}},
        {"pressure": {}},
    ],
    "change": [
        {"mprotect": PART | {"protection": "r", "as": "reader"}},
        {"touch": {"group": "x", "touch": SCATTERED}},
        {"mprotect": PART | {"protection": "rw", "label": "reader"}},
        {"pressure": {}},
        {"exit": {"group": "x", "label": "reader"}},
        {"pressure": {}},
    ],
    "leave": [
        {"madvise": PART | {"advice": "dontneed"}},
        {"touch": {"group": "y", "touch": CLUSTERED}},
        {"munmap": {"group": "y", "mapping": 0, "start": 16 * MIB, "length": 8 * MIB}},
        {"pressure": {}},
    ],
    "grow": [
        {"grow": {"group": "x", "rate": 3600 * 2 * TABLE, "until": 24 * TABLE, "pattern": "scattered"}},
        {"mark": {}, "at": "3 s"},
        {"fork": {"group": "x", "count": 1}, "at": "6 s"},
        {"exit": {"group": "x", "count": 1}, "at": "9 s"},
        {"mark": {}, "at": "20 s"},
    ],
}


@pytest.mark.parametrize("draws", [16, pytest.param(100, marks=pytest.mark.many)])
@pytest.mark.parametrize("touch", [SCATTERED, CLUSTERED, SAME], ids=["scattered", "clustered", "same"])
@pytest.mark.parametrize("name", list(EVENTS))
@pytest.mark.parametrize("policy", ["today", "file-shared"])
def test_expectations_are_the_mean_over_many_draws(policy: str, name: str, touch: dict[str, Any], draws: int) -> None:
    what = workload(touch, EVENTS[name])
    steps = ptcalc.follow_timeline(what, policies=[policy]).policies[0].steps
    for step, wanted in zip(steps, outcomes(what, policy, draws), strict=True):
        got = figures(step)
        for figure in sorted(wanted.keys() | got.keys()):
            values = wanted.get(figure, [0.0] * draws)
            mean, error = statistics.fmean(values), statistics.stdev(values) / draws**0.5
            classes = sum(one.count for one in step.classes)  # each is rounded by itself
            allowed = ERRORS * error + (0.5 * classes + 0.5 if figure.startswith(("vmpte", "rss")) else 1)
            assert abs(got.get(figure, 0.0) - mean) <= allowed, (step.event, figure, got.get(figure), mean, error)
