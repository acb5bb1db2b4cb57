"""The prediction against the running kernel: VmPTE of each process, and the tables of all together."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

import ptcalc
from ptcalc.result import PolicyResult

from . import catalogue
from .layouts import PAGE, Layout

pytestmark = pytest.mark.kernel

Run = Callable[..., dict[str, Any]]
# Other work on the machine, and slab pages, disturb single readings: read until one value leads by CLEAR.
CLEAR = 3
SECONDS = 4


def layouts(chosen: list[Layout]) -> pytest.MarkDecorator:
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
def test_page_tables_of_the_machine(layout: Layout, run: Run, page_tables: dict[str, str]) -> None:
    compare(layout, lambda: run(layout, **page_tables))


@layouts([layout for layout in catalogue.COUNTED if layout.name in catalogue.IN_A_CGROUP])
def test_kernel_memory_of_a_cgroup(layout: Layout, run: Run, cgroup: dict[str, str]) -> None:
    compare(layout, lambda: run(layout, **cgroup))


def compare(layout: Layout, read: Callable[[], dict[str, Any]]) -> None:
    """Compare with the prediction, to the byte, the reading that comes clearly most often."""
    tables = predicted(layout).page_tables
    readings: Counter[int] = Counter()
    patience = time.monotonic() + SECONDS
    while lead(readings) < CLEAR:
        if time.monotonic() > patience:
            pytest.skip(f"other work on this machine leaves no clear reading: {readings.most_common(5)}")
        _, mapped, quiet, _, touched, quiet_again = read()["charged"]
        if mapped == quiet and touched == quiet_again:
            readings[touched - mapped] += 1
    assert readings.most_common(1)[0][0] == tables.bytes, (readings, tables.levels, layout.text())


def lead(readings: Counter[Any]) -> int:
    """By how many the most frequent reading leads."""
    first, second = [*(count for _, count in readings.most_common(2)), 0, 0][:2]
    return first - second
