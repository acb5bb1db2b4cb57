"""ptcalc against what kernels of many architectures were measured to count (README.md here tells how)."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import pytest

from . import recorded

ENOUGH = 40  # figures of VmPTE that a machine must have


@cache
def figures(name: str) -> list[recorded.Figure]:
    return list(recorded.figures(recorded.load(name)))


machines = pytest.mark.parametrize("name", recorded.names())

# Where ptcalc has another rule than the kernel: of a machine the layouts whose names begin so, and the kernel's rule.
DEVIATIONS = {
    "arm64-64k-va48-7.0": (
        "tmpfs-",
        "no folio of a file has more than 2^11 pages (include/linux/pagemap.h: MAX_XAS_ORDER), and a PMD leaf has 2^13",
    ),
}


def deviates(name: str, figure: recorded.Figure) -> bool:
    return name in DEVIATIONS and figure.layout.startswith(DEVIATIONS[name][0])


@machines
def test_every_counter_as_measured(name: str) -> None:
    wrong = [figure for figure in figures(name) if not (figure.right or deviates(name, figure))]
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("name", DEVIATIONS)
def test_deviations_are_still_there(name: str) -> None:
    assert any(not figure.right for figure in figures(name) if deviates(name, figure)), DEVIATIONS[name]


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
