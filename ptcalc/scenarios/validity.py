"""Which scenarios the loader would refuse, for all of them at once.

The rules are those of `ptcalc.workload.schema` and `ptcalc.workload.checks`, as far as numbers decide; the loader has
the last word and gives the message.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.numbers import Number, Shares, smaller
from ptcalc.workload.checks import MAX_PIECES, page_of
from ptcalc.workload.model import Mapping, Segment, Touch, Workload
from ptcalc.workload.sizes import MAX_COUNT, SIZE_LIMIT

Flags = NDArray[np.bool_]


def refused(workload: Workload, shape: tuple[int, int]) -> Flags:
    """Return which scenarios of a workload with columns of numbers are none, shape (L, C)."""
    out = np.zeros(shape, bool)
    with np.errstate(divide="ignore", over="ignore"):
        for wrong in _wrong(workload):
            out |= wrong
    return out


def _wrong(workload: Workload) -> Iterator[Any]:
    host = workload.host
    yield from (_outside(each) for each in (host.memory, host.mem_total, host.cgroup_limit) if each is not None)
    yield from (_outside(each, 0) for each in (host.swap, host.used) if each is not None)
    if host.mem_total is not None:
        yield _any(host.mem_total > host.memory)
    for size, count in (host.hugepages or {}).items():
        yield _outside(count, 0, SIZE_LIMIT // size)
    yield from _segments(workload)
    total: Number = 0
    for group in workload.processes.values():
        yield _outside(group.count, 1, MAX_COUNT + 1)
        yield _outside(group.threads, 1, MAX_COUNT + 1)
        yield _outside(group.private, 0)
        if group.base_tables is not None:
            yield _outside(group.base_tables, 0)
        if group.private_cap is not None:
            yield _outside(group.private_cap)
            yield _any(group.private_cap < group.private)
        total = total + group.count
        yield from _mappings(workload, group.mappings)
    yield _any(total > MAX_COUNT)


def _segments(workload: Workload) -> Iterator[Any]:
    pieces: Number = 0
    for segment in workload.segments.values():
        yield _outside(segment.size)
        if segment.pieces is not None:
            yield _outside(segment.pieces)
            pieces = pieces + -(-segment.size // np.maximum(segment.pieces, 1))
        if segment.resident is not None and not isinstance(segment.resident, str):
            yield _outside(segment.resident, 0)
            yield _any(segment.resident > segment.size)
    yield _any(pieces > MAX_PIECES)


def _mappings(workload: Workload, mappings: tuple[Mapping, ...]) -> Iterator[Any]:
    geometry = workload.geometry
    placed: list[tuple[Number, Number]] = []
    for mapping in mappings:
        segment = workload.segments[mapping.segment]
        page = page_of(segment, geometry)
        piece = np.maximum(1, segment.size if segment.pieces is None else smaller(segment.pieces, segment.size))
        yield _outside(mapping.offset, 0)
        yield _any(mapping.offset >= segment.size)
        yield _any(mapping.offset % (segment.size if segment.pieces is None else np.maximum(segment.pieces, 1)) % page)
        length, mapped = _extent(mapping, segment, piece, page)
        yield _outside(length)
        end = (segment.size - 1) // piece * piece + _up((segment.size - 1) % piece + 1, page)
        yield _any(mapping.offset + length > end)
        yield _any(mapped > geometry.task_size)
        if mapping.alignment is not None:
            yield _outside(mapping.alignment)
            yield _any(mapping.alignment & (mapping.alignment - 1)) | _any(mapping.alignment < page)
            if mapping.address is not None:
                yield True
        if mapping.address is not None:
            yield _outside(mapping.address, 0)
            yield _any(mapping.address % page)
            yield _any(mapping.address + mapped > geometry.task_size)
            placed.append((mapping.address, mapping.address + mapped))
        for touch in mapping.touch:
            yield from _touch(touch, length, geometry.base_page)
    for at, (start, stop) in enumerate(placed):
        for other, end in placed[:at]:
            yield _any((start < end) & (other < stop))


def _extent(mapping: Mapping, segment: Segment, piece: Number, page: int) -> tuple[Number, Number]:
    length = segment.size - mapping.offset if mapping.length is None else mapping.length
    first, into = mapping.offset // piece, mapping.offset % piece
    tail = smaller(mapping.offset + length, segment.size) - 1
    last, rest = tail // piece, tail % piece
    return length, (last - first) * _up(piece, page) + _up(rest + 1, page) - into // page * page


def _touch(touch: Touch, length: Number, page: int) -> Iterator[Any]:
    end = _up(length, page)
    if touch.form == "amount":
        amount: Number = touch.amount
        if isinstance(amount, Shares):
            yield _any(np.where(amount.over == 0, (amount.values < 0) | (amount.values > end), False))
            yield _any((amount.over > 0) & ((amount.values < 0) | (amount.values > amount.over)))
        elif amount is not None and not isinstance(amount, Fraction):
            yield _outside(amount, 0)
            yield _any(amount > end)
        if touch.pages is not None:
            yield _outside(touch.pages, 0)
            yield _any(touch.pages > end // page)
        if touch.cluster is not None:
            yield _outside(touch.cluster)
            yield _any((touch.cluster % page != 0) & (page % np.maximum(touch.cluster, 1) != 0))
    elif touch.form == "every":
        yield _outside(touch.step)
        yield _outside(touch.start, 0)
        yield _any(touch.start >= end)
        if touch.length is not None:
            yield _outside(touch.length)
            yield _any(touch.start + touch.length > end)
    for part in touch.ranges:
        yield _outside(part.start, 0)
        yield _outside(part.length)
        yield _any(part.start + part.length > end)


def _outside(value: Number, least: int = 1, most: int = SIZE_LIMIT) -> Any:
    return _any(value < least) | _any(value >= most)


def _any(condition: Any) -> Any:
    return np.asarray(condition).astype(bool)


def _up(value: Number, step: Number) -> Number:
    return -(-value // step) * step
