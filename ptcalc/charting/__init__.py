"""The charts of an estimate, and the numbers that its sliders compute with: frozen data, made from its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ptcalc import estimation, risk
from ptcalc.charting import figures, live, stops
from ptcalc.charting.stops import Stop
from ptcalc.charts import Chart
from ptcalc.errors import InputError
from ptcalc.policies import Outcome
from ptcalc.result import Estimate, PolicyResult
from ptcalc.risk.best import subject_of

NO_SOURCE = "The result does not hold the text of its workload, so that nothing can be computed from it."
UNREADABLE = "The text of the workload in this result cannot be read, so that nothing can be computed from it: "
OTHER = "This ptcalc computes other figures from the text of the workload than this result has: those are shown alone."
NOT_EXACT = "There are no sliders, which compute exact figures only: "
NOTHING_MAPPED = "No process maps anything: there is nothing to vary."


@dataclass(frozen=True, slots=True)
class Charts:
    """The charts of one estimate; ``live`` is what its sliders compute with (JSON), None where ``why`` says so."""

    charts: tuple[Chart, ...]
    live: Mapping[str, Any] | None = field(default=None)
    why: str = ""

    def chart(self, name: str) -> Chart:
        """Return the chart of that name; KeyError if there is none."""
        for chart in self.charts:
            if chart.name == name:
                return chart
        raise KeyError(name)


def charts_of(estimate: Estimate, *, sliders: bool = True) -> Charts:
    """Return the charts of an estimate, and with ``sliders`` the numbers of its sliders.

    What the estimate does not hold (demand for other process counts, other sizes) is evaluated anew from its source;
    without one, or where that gives other figures, there are the charts of its figures alone, and ``why`` says so.
    """
    of_figures = (figures.policies_chart(estimate), figures.tables_chart(estimate))
    if not estimate.source:
        return Charts(of_figures, why=NO_SOURCE)
    try:
        asked = estimation.asked_again(estimate)
    except InputError as error:
        return Charts(of_figures, why=f"{UNREADABLE}{error.message}.")
    config = asked.config or risk.Config()
    subject = subject_of(estimate)
    segment = stops.largest_segment(asked.workload)
    if segment is None:
        return Charts(of_figures, why=NOTHING_MAPPED)
    found = list(stops.sizes(asked, segment))
    written = asked.workload.segments[segment].size
    here = next(stop for stop in found if stop.size == written)
    if _figures(here) != [(result.policy, result.page_tables.used_bytes) for result in estimate.policies]:
        return Charts(of_figures, why=OTHER)
    demand = _demand(estimate, subject, here, config)
    heat = _risk(segment, subject, found, written, config)
    charts = (*of_figures, *((demand,) if demand else ()), *((heat,) if heat else ()))
    if not sliders:
        return Charts(charts)
    model = live.model(segment, found, here, config)
    reasons = [policy.get("why", "") for policy in model["policies"]]
    return Charts(charts, why=f"{NOT_EXACT}{reasons[0]}.") if all(reasons) else Charts(charts, model)


def _figures(stop: Stop) -> list[tuple[str, int]]:
    return [(outcome.name, outcome.page_tables_used(outcome.counts)) for outcome in stop.outcomes]


def _of(stop: Stop, policy: str) -> Outcome:
    return next(outcome for outcome in stop.outcomes if outcome.name == policy)


def _grows(stop: Stop) -> list[bool]:
    return [group.scale == "proportional" for group in stop.workload.processes.values()]


def _demand(estimate: Estimate, subject: PolicyResult, here: Stop, config: risk.Config) -> Chart | None:
    ledger = risk.Ledger(_of(here, subject.policy), config)
    return figures.demand_chart(estimate, subject, ledger.outcome.counts, _grows(here), ledger.memory)


def _risk(
    segment: str, subject: PolicyResult, found: Sequence[Stop], written: int, config: risk.Config
) -> Chart | None:
    grows = _grows(found[0])
    counts = _of(found[0], subject.policy).counts
    top = figures.top_count(counts, grows)
    sizes = figures.picked([stop.size for stop in found], written)
    if not top or len(sizes) < 2:
        return None
    most = figures.steps_most(top, sum(counts), subject.risk.max_processes)
    rows = [
        figures.grown(counts, grows, step)
        for step in dict.fromkeys(most * number // figures.CELLS for number in range(1, figures.CELLS + 1))
    ]
    levels: list[list[str]] = [[] for _ in rows]
    for stop in found:
        if stop.size in sizes:
            outcome = _of(stop, subject.policy)
            ledger = risk.Ledger(outcome, config)
            short = any(each.mode == "fail" for each in outcome.short_pools)
            for row, processes in zip(levels, rows, strict=True):
                row.append("oom" if short else ledger.level(ledger.demand(processes)))
    return figures.risk_chart(segment, subject.policy, sizes, [sum(row) for row in rows], levels)


__all__ = ["Charts", "charts_of"]
