"""The prediction against the running kernel: VmPTE of each process, and the tables of all together."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Callable
from typing import Any

import pytest

import ptcalc
from ptcalc.result import PolicyResult

from . import catalogue
from .layouts import PAGE, Layout

pytestmark = pytest.mark.kernel

Run = Callable[..., dict[str, Any]]
READINGS = 9  # at most: other work on the machine, and slab pages, disturb single readings


def layouts(chosen: list[Layout]) -> Any:
    """Run a test for each of these layouts."""
    return pytest.mark.parametrize("layout", chosen, ids=[layout.name for layout in chosen])


def predicted(layout: Layout) -> PolicyResult:
    """What ptcalc says about the layout on a mainline kernel as it is."""
    return ptcalc.estimate(ptcalc.loads(layout.text()), policies=["today"]).policy("today")


def measured(answer: dict[str, Any]) -> list[int]:
    """What the mappings added to VmPTE of each process."""
    return [readings[-1] - readings[0] for readings in answer["vmpte"]]


def test_there_are_enough_layouts() -> None:
    names = [layout.name for layout in catalogue.EXACT + catalogue.RANDOM]
    assert len(names) >= 60
    assert len(set(names)) == len(names)


@layouts(catalogue.EXACT)
def test_vmpte_to_the_byte(layout: Layout, run: Run) -> None:
    result = predicted(layout)
    expected = {process.name: process for process in result.processes}
    assert all(process.exact for process in result.processes)
    got = list(zip(layout.processes(), measured(run(layout)), strict=True))
    assert got == [(name, expected[name].vmpte_bytes) for name, _ in got], layout.text()


@layouts(catalogue.RANDOM)
def test_vmpte_of_random_touches(layout: Layout, run: Run) -> None:
    (process,) = predicted(layout).processes
    assert not process.exact
    deviation = process.vmpte_sd_bytes
    assert deviation is not None and 0 < deviation < process.vmpte_bytes / 4  # or it would allow anything
    got = measured(run(layout))
    rounding = 3 * PAGE / 2  # the expectation is rounded to whole tables at each of three levels
    assert all(abs(value - process.vmpte_bytes) <= 4 * deviation + rounding for value in got), (
        got,
        process,
        layout.text(),
    )
    if "same" not in layout.name:  # then the draws are independent and their mean is closer
        mean = statistics.fmean(got)
        assert abs(mean - process.vmpte_bytes) <= 4 * deviation / math.sqrt(len(got)) + rounding, (
            mean,
            process,
        )


def test_processes_with_the_same_draw_show_the_same(run: Run) -> None:
    (layout,) = [one for one in catalogue.RANDOM if one.name == "scattered-same-0K-off"]
    assert len(set(measured(run(layout)))) == 1


@layouts(catalogue.COUNTED)
def test_tables_of_all_processes_in_the_cgroup(layout: Layout, run: Run, cgroup: str) -> None:
    compare(layout, lambda: run(layout, counter="cgroup", cgroup=cgroup))


@layouts([layout for layout in catalogue.COUNTED if layout.name in catalogue.ON_THE_MACHINE])
def test_tables_of_all_processes_in_meminfo(layout: Layout, run: Run) -> None:
    if not os.access("/proc/sys/vm/stat_refresh", os.W_OK):
        pytest.skip("only root can fold the counters behind PageTables (/proc/sys/vm/stat_refresh)")
    compare(layout, lambda: run(layout, counter="meminfo"))


def compare(layout: Layout, read: Callable[[], dict[str, Any]]) -> None:
    """Compare the most frequent of several readings with the prediction, to the byte."""
    tables = predicted(layout).page_tables
    readings: list[int] = []
    while len(readings) < READINGS:
        charged = read()["charged"]
        readings.append(charged[-1] - charged[1])  # charged[1]: all is mapped, nothing touched
        if len(readings) >= 3 and len(set(readings)) == 1:
            break
    assert statistics.mode(readings) == tables.bytes, (readings, tables.levels, layout.text())
