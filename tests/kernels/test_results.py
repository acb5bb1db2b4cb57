"""ptcalc against what kernels of many architectures were measured to count (README.md here tells how)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from . import recorded

ENOUGH = 40  # figures of VmPTE that a machine must have


machines = pytest.mark.parametrize("name", recorded.names())


@machines
def test_every_counter_as_measured(name: str) -> None:
    wrong = [figure for figure in recorded.figures(recorded.load(name)) if not figure.right]
    assert not wrong, "\n".join(map(str, wrong))


@machines
def test_there_are_enough_figures(name: str) -> None:
    measured = [layout["vmpte"].values() for layout in recorded.load(name)["layouts"] if "skipped" not in layout]
    grown = [after > before for groups in measured for readings in groups for before, after in readings]
    assert sum(grown) >= ENOUGH


@machines
def test_a_wrong_reading_is_found(name: str) -> None:
    record = recorded.load(name)
    layout: dict[str, Any] = copy.deepcopy(next(one for one in record["layouts"] if one["name"] == "untouched"))
    assert all(figure.right for figure in recorded.figures_of(layout, record["page_size"]))
    for readings in (next(iter(layout["vmpte"].values()))[0], layout["page_tables"]):
        readings[1] += 4
    counters = [figure.counter for figure in recorded.figures_of(layout, record["page_size"]) if not figure.right]
    assert len(counters) == 2


def test_every_machine_is_another() -> None:
    records = [recorded.load(name) for name in recorded.names()]
    assert len({(record["geometry"], record["kernel"]) for record in records}) == len(records)
