"""Numbers put into a workload as columns: what places mappings along the first axis, all others along either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ptcalc.engine.numbers import Shares
from ptcalc.scenarios.block import Block, Numbers
from ptcalc.workload.model import Range, Touch, Workload
from ptcalc.workload.sizes import parse_size
from ptcalc.workload.source import Path

_FIELD_OF = {"every": "step"}


def assigned(workload: Workload, block: Block) -> Workload:
    """Return the workload with the numbers of a block; rows have shape (L, 1), columns (1, C), one is an int."""
    for numbers_of, shape in ((block.rows, (-1, 1)), (block.columns, (1, -1))):
        for path, numbers in numbers_of.items():
            one = len(numbers.values) == 1
            workload = _assigned(workload, path, numbers.number(0) if one else _column(numbers, shape))
    return workload


def _column(numbers: Numbers, shape: tuple[int, int]) -> Any:
    values = numbers.values.reshape(shape)
    return values if numbers.over is None else Shares(values, numbers.over.reshape(shape))


def _assigned(workload: Workload, path: Path, value: Any) -> Workload:
    head, *rest = path
    if head == "host":
        if rest[0] == "hugepages":
            return replace(workload, host=replace(workload.host, hugepages=_pool(workload, rest[1], value)))
        return replace(workload, host=replace(workload.host, **{str(rest[0]): value}))
    name, *rest = rest
    if head == "segments":
        segment = replace(workload.segments[str(name)], **{str(rest[0]): value})
        return replace(workload, segments={**workload.segments, str(name): segment})
    group = workload.processes[str(name)]
    if rest[0] == "mappings":
        number = int(rest[1])
        mappings = list(group.mappings)
        key, *rest = rest[2:]
        if key == "touch":
            touches = mappings[number].touch
            mappings[number] = replace(mappings[number], written_touch=_touches(touches, rest, value))
        else:
            mappings[number] = replace(mappings[number], **{str(key): value})
        group = replace(group, mappings=tuple(mappings))
    else:
        group = replace(group, **{str(rest[0]): value})
    return replace(workload, processes={**workload.processes, str(name): group})


def _pool(workload: Workload, size: str | int, value: Any) -> dict[int, Any]:
    pools: Mapping[int, int] = workload.host.hugepages or {}
    return {**pools, parse_size(size): value}


def _touches(touches: tuple[Touch, ...], rest: list[str | int], value: Any) -> tuple[Touch, ...]:
    """Return the forms of a touch with a number at what is left of a path: [], [0], [key], [0, key], [..., ranges]."""
    number = 0
    if rest and isinstance(rest[0], int):
        number, *rest = rest  # type: ignore[assignment]
    if not rest:
        new = Touch("amount", amount=value)
        return (new,) if len(touches) == 1 else (*touches[:number], new, *touches[number + 1 :])
    key, *rest = rest
    if key == "ranges":
        ranges = list(touches[number].ranges)
        ranges[int(rest[0])] = Range(**{**ranges[int(rest[0])]._asdict(), str(rest[1]): value})
        new = replace(touches[number], ranges=tuple(ranges))
    else:
        new = replace(touches[number], **{_FIELD_OF.get(str(key), str(key)): value})
    return (*touches[:number], new, *touches[number + 1 :])


def rows_each(workload: Workload) -> int:
    """Return about how many rows a layout of the workload has at most."""
    pieces = {}
    for name, segment in workload.segments.items():
        many = 1 if segment.pieces is None else int(np.max(-(-segment.size // segment.pieces)))
        pieces[name] = many
    return sum(pieces[mapping.segment] for group in workload.processes.values() for mapping in group.mappings) or 1
