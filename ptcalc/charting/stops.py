"""Where the sliders of size and memory stop: round amounts around the one in the file, which is one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ptcalc import estimation
from ptcalc.errors import InputError
from ptcalc.estimation import Asked
from ptcalc.policies import Outcome
from ptcalc.workload import Workload
from ptcalc.workload.loading import build
from ptcalc.workload.source import Override

SIZE_STOPS, MEMORY_STOPS = 40, 48
# Rows of all policies and sizes together: each is evaluated, written into the page, and evaluated there.
MOST_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Stop:
    """The workload with one size of its largest segment, and what each policy makes of it."""

    size: int
    workload: Workload
    outcomes: tuple[Outcome, ...]


def largest_segment(workload: Workload) -> str | None:
    """Return the largest segment that anybody maps, the first of equal ones."""
    mapped = {mapping.segment for group in workload.processes.values() for mapping in group.mappings}
    names = [name for name in workload.segments if name in mapped]
    return max(names, key=lambda name: workload.segments[name].size, default=None)


def sizes(asked: Asked, segment: str) -> Iterator[Stop]:
    """Yield the workload with every size at which the slider stops; sizes that it cannot have are left out."""
    here = estimation.evaluate(asked.workload, asked.policies or None, asked.choices)
    written = asked.workload.segments[segment].size
    rows = sum(len(outcome.layout.rows.group) for outcome in here)
    many = min(SIZE_STOPS, MOST_ROWS // max(rows, 1))
    for size in around(written, 2, many):
        if size == written:
            yield Stop(size, asked.workload, tuple(here))
            continue
        override = Override(("segments", segment, "size"), str(size), "the slider")
        try:
            workload = build(
                asked.workload.positions.overridden([override]), geometries=dict(asked.workload.geometries)
            )
            yield Stop(size, workload, tuple(estimation.evaluate(workload, asked.policies or None, asked.choices)))
        except InputError:  # a mapping or a touch that needs more, say
            continue


def around(written: int, times: int, many: int = MEMORY_STOPS) -> list[int]:
    """Return multiples of a power of two up to some times what is written, about so many, and that among them."""
    if many < 2:
        return [written]
    step = 1
    while written * times // step > many:
        step *= 2
    return sorted({written, *range(step, written * times + 1, step)})
