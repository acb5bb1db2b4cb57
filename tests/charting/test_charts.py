"""The charts of an estimate: their figures are those of the estimate, of the ledger and of a sweep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import ptcalc
from ptcalc import risk
from ptcalc.charting import NO_SOURCE, NOTHING_MAPPED, OTHER, UNREADABLE, charts_of, figures, stops
from ptcalc.charts import Chart
from ptcalc.result import RISK_ORDER, Estimate

EXAMPLES = Path(__file__).parents[2] / "examples"
UNMAPPED = "version: 1\nhost: {memory: 1 GiB}\nprocesses: {p: {count: 3}}\n"
NAMES = ("oracle-sga-1500", "short-pool", "container-cgroup")


@pytest.fixture(scope="module", params=NAMES)
def told(request: pytest.FixtureRequest) -> tuple[Estimate, dict[str, Chart]]:
    estimate = ptcalc.estimate(ptcalc.load(EXAMPLES / f"{request.param}.yaml"))
    return estimate, {chart.name: chart for chart in charts_of(estimate, sliders=False).charts}


def test_bars_are_the_demand_of_each_policy(told: tuple[Estimate, dict[str, Chart]]) -> None:
    estimate, charts = told
    chart = charts["policies"]
    for at, result in enumerate(estimate.policies):
        assert sum(series.values[at] or 0 for series in chart.series) == result.memory.demand_bytes
        assert charts["tables"].series[0].values[at] == result.page_tables.used_bytes
    assert {mark.at for mark in chart.marks} == {result.memory.capacity_bytes for result in estimate.policies}


def test_demand_is_that_of_other_counts(told: tuple[Estimate, dict[str, Chart]]) -> None:
    """At every place the areas add up to the demand of so many processes; capacity and limits are marked."""
    estimate, charts = told
    chart = charts["demand"]
    at = {mark.label: mark.at for mark in chart.marks}
    assert at["as described"] == estimate.processes
    for result in estimate.policies:
        if result.risk.limited_by in ("memory", "cgroup"):
            assert any(result.policy in label and at[label] == result.risk.max_processes for label in at)
    totals = [sum(series.values[place] or 0 for series in chart.series) for place in range(len(chart.x.values))]
    assert totals == sorted(totals)
    most = int(chart.x.values[-1])
    assert most >= estimate.processes
    edge = estimate.policy("today").risk.max_processes
    capacity = estimate.policy("today").memory.capacity_bytes
    for place, total in zip(map(int, chart.x.values), totals, strict=True):
        assert (total <= capacity) == (place <= edge)


def test_cells_are_those_of_a_sweep() -> None:
    """The heat map says what a sweep over the same values says."""
    path = EXAMPLES / "oracle-sga-1500.yaml"
    chart = charts_of(ptcalc.estimate(ptcalc.load(path)), sliders=False).chart("risk")
    counts = [series.name.replace(",", "") for series in chart.series]
    swept = ptcalc.sweep(
        path,
        {"processes.dedicated-server.count": counts, "segments.sga.size": [str(size) for size in chart.x.values]},
        policies=["today"],
    )
    found = [RISK_ORDER.index(row.result.risk.level) for row in swept.rows if row.result]
    assert found == [value for series in chart.series for value in series.values]
    assert 300 << 30 in chart.x.values


def test_what_cannot_be_computed_is_said() -> None:
    """Without a text, with one that cannot be read, and with one of other figures, the figures are shown alone."""
    estimate = ptcalc.estimate(ptcalc.load(EXAMPLES / "oracle-sga-1500.yaml"))
    tampered = replace(estimate, source=estimate.source.replace("300 GiB", "200 GiB"))
    for other, why in (
        (replace(estimate, source=""), NO_SOURCE),
        (replace(estimate, source="version: 1\nhost: 3\n"), UNREADABLE),
        (tampered, OTHER),
        (
            ptcalc.estimate(ptcalc.loads("version: 1\nhost: {memory: 1 GiB}\nprocesses: {p: {count: 3}}\n")),
            NOTHING_MAPPED,
        ),
    ):
        found = charts_of(other)
        assert found.why.startswith(why) and found.live is None
        assert [chart.name for chart in found.charts] == ["policies", "tables"]


def test_stops() -> None:
    """Sliders stop at round amounts and at what is written; the heat map takes a few of them, that one among them."""
    assert stops.around(300, 2, 40)[:3] == [16, 32, 48]
    assert 300 in stops.around(300, 2, 40)
    sizes = stops.around(33 << 30, 2, 40)
    few = figures.picked(sizes, 33 << 30)
    assert len(few) == figures.CELLS and 33 << 30 in few and few == sorted(few)


def test_policies_that_are_not_live_say_why() -> None:
    """Whose huge pages depend on each other's touches is not for the twin."""
    text = """
version: 1
host: {memory: 64 GiB}
segments: {cache: {size: 8 GiB, backing: shmem, thp: advise}}
processes:
  asks: {count: 3, mappings: [{segment: cache, madvise: hugepage, touch: {ranges: [{start: 0, length: 1 GiB}]}}]}
  does-not: {count: 3, mappings: [{segment: cache, touch: all}]}
"""
    live = charts_of(ptcalc.estimate(ptcalc.loads(text))).live
    assert live is not None
    why = {policy["name"]: policy.get("why", "") for policy in live["policies"]}
    assert "ask for huge pages and others do not" in why["today"]
    assert why["hugetlb-2M"] == ""
    assert risk.Config().pid_max == live["limits"]["pid_max"]
