"""What kernels were measured to count, beside what ptcalc says: the figures of one recorded machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ptcalc
from ptcalc import arch
from ptcalc.arch import kernels
from ptcalc.arch.kernels import TableCost
from ptcalc.result import PolicyResult

RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True)
class Figure:
    """One counter of one layout: how much it grew, and the growths that agree with the prediction, in `unit`."""

    layout: str
    counter: str
    unit: str
    expected: frozenset[int]
    measured: int

    @property
    def right(self) -> bool:
        return self.measured in self.expected


def load(name: str) -> dict[str, Any]:
    """The record of a machine."""
    record: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return record


def names() -> list[str]:
    """The machines that are recorded."""
    return sorted(path.stem for path in RESULTS.glob("*.json"))


def figures(record: dict[str, Any]) -> Iterator[Figure]:
    """Yield all figures of a machine, those of a layout that the kernel could not do left out."""
    for layout in record["layouts"]:
        if "skipped" not in layout:
            yield from figures_of(layout, record["page_size"])


def figures_of(layout: dict[str, Any], page: int) -> Iterator[Figure]:
    """Yield the figures of one layout; `page` is the base page in bytes."""
    workload = ptcalc.loads(layout["workload"])
    result = ptcalc.estimate(workload, policies=["today"]).policy("today")
    costs = kernels.costs(arch.get(workload.host.arch), kernels.parse(str(workload.host.kernel)).version)
    name = layout["name"]
    for process in result.processes:
        for before, after in layout["vmpte"][process.name]:
            # of two readings in kB each was rounded down: where tables are no whole kB their difference may be one more
            shown = frozenset({process.vmpte_bytes >> 10, -(-process.vmpte_bytes >> 10)})
            yield Figure(name, f"VmPTE {process.name}", "kB", shown, after - before)
    before, after = layout["page_tables"]
    shown = around(result, result.page_tables.bytes, [(cost, cost.page_tables) for cost in costs])
    yield Figure(name, "PageTables", "bytes", shown, (after - before) * page)
    if "memcg_pagetables" in layout:
        before, after = layout["memcg_pagetables"]
        assert result.page_tables.memcg_bytes is not None
        shown = around(result, result.page_tables.memcg_bytes, [(cost, cost.memcg or 0) for cost in costs])
        yield Figure(name, "memory.stat", "bytes", shown, after - before)


def around(result: PolicyResult, expected: int, costs: Sequence[tuple[TableCost, int]]) -> frozenset[int]:
    """The bytes that a counter may show: `expected` alone, but where a page is cut up into tables of one process.

    `costs` has each level with what the counter shows for an allocation.  Of a page that is cut up, the program under
    test has used a part before, which is not known: at least one table, and less than twice what ptcalc takes small
    processes to have.  Where that decides over a page more or less, the counter may show either.
    """
    pages = [
        (shown, process.count)
        for process in result.processes
        for level in process.levels
        for cost, shown in costs
        if cost.level == level.level and shown and cost.per_allocation > 1
        if pages_for(level.tables + 1, cost) != pages_for(level.tables + 2 * cost.in_use, cost)
    ]
    slack = sum(count for _, count in pages)
    return (
        frozenset(expected + more * pages[0][0] for more in range(-slack, slack + 1))
        if pages
        else frozenset({expected})
    )


def pages_for(tables: int, cost: TableCost) -> int:
    return -(-tables // cost.per_allocation)
