"""What kernels were measured to count, beside what ptcalc says: the figures of one recorded machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ptcalc

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
    result = ptcalc.estimate(ptcalc.loads(layout["workload"]), policies=["today"]).policy("today")
    name = layout["name"]
    for process in result.processes:
        for before, after in layout["vmpte"][process.name]:
            # of two readings in kB each was rounded down: where tables are no whole kB their difference may be one more
            shown = frozenset({process.vmpte_bytes >> 10, -(-process.vmpte_bytes >> 10)})
            yield Figure(name, f"VmPTE {process.name}", "kB", shown, after - before)
    before, after = layout["page_tables"]
    yield Figure(name, "PageTables", "bytes", frozenset({result.page_tables.bytes}), (after - before) * page)
    if "memcg_pagetables" in layout:
        before, after = layout["memcg_pagetables"]
        assert result.page_tables.memcg_bytes is not None
        yield Figure(name, "memory.stat", "bytes", frozenset({result.page_tables.memcg_bytes}), after - before)
