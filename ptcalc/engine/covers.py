"""From touched runs to the tables that they reach at one level.

A `Covers` row says: in this scope (a process, or a set of shared tables) the tables lo <= index < hi hold touched
slots; each stays empty with probability exp(log_empty), which is zero where the touch is certain.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.occupancy import log_empty

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

EXACT, STRIDE, RANDOM = 0, 1, 2

T = TypeVar("T", "Touched", "Covers")


@dataclass(frozen=True, slots=True, eq=False)
class Touched:
    """Runs in address coordinates, shape (T,), bytes.

    ``step``: distance of a stride, or size of a slot of a draw; ``origin``: start of a slot; ``drawn`` of ``slots``
    are touched; ``each``: every process of the group draws anew; ``domain``: number of the draw; ``base``: address
    of position 0 on the axis of the shared tables.
    """

    kind: Ints
    lo: Ints
    hi: Ints
    step: Ints
    origin: Ints
    slots: Ints
    drawn: Ints
    each: Flags
    domain: Ints
    group: Ints
    base: Ints

    def take(self, which: NDArray[np.bool_] | Ints) -> Touched:
        """Return the chosen runs."""
        return _take(self, which)


# Roles of covers.
TOUCHES, BLOCKS, FIRM = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class Covers:
    """Tables reached, shape (C,); ``run`` is the row of `Touched` that reaches them.

    Strided rows (``stride`` > 0) reach only the tables that hold ``anchor`` + j * stride (bytes).
    ``held``: slots of the draw in each table (0 where certain).  ``role``: what is touched here needs a table
    (TOUCHES), or takes it away from those (BLOCKS: a huge page in place of base pages), or needs it even so
    (FIRM).
    """

    run: Ints
    scope: Ints
    lo: Ints
    hi: Ints
    log_empty: Floats
    held: Ints
    anchor: Ints
    stride: Ints
    role: NDArray[np.int8]

    def take(self, which: NDArray[np.bool_] | Ints) -> Covers:
        """Return the chosen rows."""
        return _take(self, which)

    @classmethod
    def concatenate(cls, parts: list[Covers]) -> Covers:
        """Put the rows of several together."""
        parts = [part for part in parts if len(part.run)] or parts[:1]
        if len(parts) == 1:
            return parts[0]
        return cls(*(_joined([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def moved(self, scope: Ints, shift: Ints, span: int) -> Covers:
        """Return the rows in another scope whose table 0 is table `shift` of this one."""
        anchor = np.where(self.stride > 0, self.anchor - shift * span, 0) if self.stride.any() else self.anchor
        return Covers(
            self.run, scope, self.lo - shift, self.hi - shift, self.log_empty, self.held, anchor, self.stride, self.role
        )

    def clipped(self, lo: Ints, hi: Ints) -> Covers:
        """Return the rows as far as they lie within lo <= index < hi (per row)."""
        low, high = np.maximum(self.lo, lo), np.minimum(self.hi, hi)
        keep = low < high
        part = type(self)(
            self.run, self.scope, low, high, self.log_empty, self.held, self.anchor, self.stride, self.role
        )
        return part if keep.all() else part.take(keep)


def _take(columns: T, which: NDArray[np.bool_] | Ints) -> T:
    """Return the chosen rows of all columns."""
    at = np.flatnonzero(which) if which.dtype == bool else which
    return type(columns)(*(_chosen(getattr(columns, f.name), at) for f in fields(columns)))


def constant(value: float, many: int, dtype: type = np.int64) -> NDArray[Any]:
    """Return a column with one value in all its rows, which takes no memory and must not be written to."""
    return np.broadcast_to(np.array(value, dtype), (many,))


def compact(column: NDArray[Any]) -> NDArray[Any]:
    """Return a column, as `constant` does where all its rows have one value."""
    same = len(column) > 1 and bool((column == column[0]).all())
    return np.broadcast_to(column[:1], column.shape) if same else column


def _is_constant(column: NDArray[Any]) -> bool:
    return column.strides == (0,) and len(column) > 0


def _chosen(column: NDArray[Any], at: NDArray[Any]) -> NDArray[Any]:
    return column[: len(at)] if _is_constant(column) and len(at) <= len(column) else column[at]


def _joined(columns: list[NDArray[Any]]) -> NDArray[Any]:
    first = columns[0]
    if all(map(_is_constant, columns)) and all(column[0] == first[0] for column in columns):
        return np.broadcast_to(first[:1], (sum(map(len, columns)),))
    return np.concatenate(columns)


def covers(touched: Touched, span: int) -> Covers:
    """Return the tables of `span` bytes that each run reaches, in scope 0 and address coordinates."""
    draws = touched.kind == RANDOM
    if not draws.any():
        return _certain(touched, np.arange(len(draws)), span)
    certain, random = np.flatnonzero(~draws), np.flatnonzero(draws)
    parts = [_certain(touched.take(certain), certain, span), _random(touched.take(random), random, span)]
    return Covers.concatenate(parts)


def _rows(run: Ints, lo: Ints, hi: Ints, log: Floats, held: Ints, anchor: Ints, stride: Ints) -> Covers:
    many = len(run)
    return Covers(run, constant(0, many), lo, hi, log, held, anchor, stride, constant(TOUCHES, many, np.int8))


def _certain(touched: Touched, run: Ints, span: int) -> Covers:
    strided = touched.kind == STRIDE
    last = touched.hi - 1
    if strided.any():
        # The last page touched is that of the last step, not the end of the run.
        step = np.where(strided, touched.step, 1)
        last = touched.lo + (last - touched.lo) // step * step
    sparse = strided & (touched.step > span)
    zero = constant(0, len(run))
    anchor, stride = (np.where(sparse, each, 0) if sparse.any() else zero for each in (touched.lo, touched.step))
    certain = constant(-np.inf, len(run), np.float64)
    return _rows(run, touched.lo // span, last // span + 1, certain, zero, anchor, stride)


def _random(touched: Touched, run: Ints, span: int) -> Covers:
    """Cut each draw into its first, its inner and its last table, which may hold different numbers of slots."""
    first, last = touched.lo // span, (touched.hi - 1) // span
    inner = np.maximum(last - first - 1, 0)

    def held(lo: Ints, hi: Ints) -> Ints:
        lo, hi = np.maximum(lo, touched.lo), np.minimum(hi, touched.hi)
        return (hi - 1 - touched.origin) // touched.step - (lo - touched.origin) // touched.step + 1

    inner_held = held((first + 1) * span, (first + 2) * span)
    uneven = (span % touched.step != 0) & (inner > 0)
    # Where slots do not divide a table, inner tables hold one of two numbers of slots: `least` or one more.
    least = np.where(uneven, (span - 1) // touched.step + 1, inner_held)
    more = np.zeros(len(run), np.int64)
    for at in np.flatnonzero(uneven):
        total = _slots_in_tables(
            int(first[at] + 1) * span - int(touched.origin[at]), span, int(touched.step[at]), int(inner[at])
        )
        more[at] = total - int(least[at]) * int(inner[at])
    parts = [
        (first, first + 1, held(first * span, (first + 1) * span), first >= 0),
        (first + 1, last - more, least, inner - more > 0),
        (last - more, last, least + 1, more > 0),
        (last, last + 1, held(last * span, (last + 1) * span), last > first),
    ]
    zero = np.zeros(len(run), np.int64)
    out = [
        _rows(run, lo, hi, log_empty(touched.slots, touched.drawn, count), count, zero, zero).take(keep)
        for lo, hi, count, keep in parts
        if keep.any()
    ]
    return Covers.concatenate(out)


def _slots_in_tables(start: int, span: int, step: int, tables: int) -> int:
    """Sum, over tables of `span` bytes from `start` on, of the slots of `step` bytes that each one meets."""
    ends = _floor_sum(tables, step, span, start + span - 1)
    return ends - _floor_sum(tables, step, span, start) + tables


def _floor_sum(n: int, modulus: int, factor: int, offset: int) -> int:
    """Sum of (factor * i + offset) // modulus for i < n, in logarithmic time (Euclid's algorithm)."""
    total = 0
    while True:
        total += n * (n - 1) // 2 * (factor // modulus) + n * (offset // modulus)
        factor, offset = factor % modulus, offset % modulus
        reach = factor * n + offset
        if reach < modulus:
            return total
        n, offset = divmod(reach, modulus)
        modulus, factor = factor, modulus
