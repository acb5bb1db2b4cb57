"""Runs of touched memory as values: what a process accesses, in addresses, cut and moved as events demand.

The same three kinds as `ptcalc.layout.touch.TouchRun`: all pages of an interval, a stride, a random draw of slots.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.covers import EXACT, RANDOM, STRIDE, Touched, covers

MOST_STEPS = 4096  # of a stride that are looked at one by one
NOBODY, OWN = 0, 1  # owners of pages; beyond these are the numbers of forks


class Run(NamedTuple):
    """A run (bytes); ``each``: every process draws anew; ``domain``: number of the draw, kept by all its parts.

    ``owner``, of pages in use: NOBODY if they are the segment's, OWN if they are copies of the process alone, else the
    fork since which its copies are common to parent and children.
    """

    kind: int
    lo: int
    hi: int
    step: int
    origin: int
    slots: int
    drawn: int
    each: bool
    domain: int
    owner: int = NOBODY

    def cut(self, lo: int, hi: int) -> Run | None:
        """Return the part from lo to hi; None if there is none."""
        low, high = max(lo, self.lo), min(hi, self.hi)
        if self.kind == STRIDE and low > self.lo:
            low = self.lo - (self.lo - low) // self.step * self.step
        if low >= high:
            return None
        return self if (low, high) == (self.lo, self.hi) else self._replace(lo=low, hi=high)

    def is_drawn(self, size: int) -> bool:
        """Tell whether what it reaches in units of `size` bytes is not looked at one by one."""
        many = self.step > size and self.hi - self.lo > MOST_STEPS * self.step
        return self.kind == RANDOM or (self.kind == STRIDE and many)

    def moved(self, by: int) -> Run:
        """Return the run at other addresses."""
        return self._replace(lo=self.lo + by, hi=self.hi + by, origin=self.origin + by) if by else self


class Cover(NamedTuple):
    """Alike tables of one run: see `ptcalc.engine.covers.Covers`."""

    lo: int
    hi: int
    log_empty: float
    held: int
    anchor: int
    stride: int


@lru_cache(maxsize=1 << 16)
def covers_of(run: Run, span: int) -> tuple[Cover, ...]:
    """Return the tables of `span` bytes that a run reaches, by address."""
    if run.kind == EXACT:
        return (Cover(run.lo // span, (run.hi - 1) // span + 1, float("-inf"), 0, 0, 0),)
    found = covers(touched_of([run], [0]), span)
    columns = (found.lo, found.hi, found.log_empty, found.held, found.anchor, found.stride)
    return tuple(Cover(*each) for each in zip(*(column.tolist() for column in columns), strict=True))


def cells_of(run: Run, span: int) -> Iterator[tuple[int, int]]:
    """Yield the cells lo <= index < hi of `span` bytes that a run reaches; of a long stride, all that it passes."""
    for cover in covers_of(run, span):
        steps = (cover.hi * span - 1 - cover.anchor) // cover.stride + 1 if cover.stride else 0
        if not 0 < steps <= MOST_STEPS:
            yield cover.lo, cover.hi
            continue
        for step in range(steps):
            cell = (cover.anchor + step * cover.stride) // span
            yield cell, cell + 1


def columns_of(runs: Sequence[Run]) -> list[NDArray[np.int64]]:
    """Return the columns of runs, in the order of their fields."""
    return list(np.array(runs, np.int64).reshape(len(runs), len(Run._fields)).T)


def touched_of(runs: Iterable[Run], groups: Iterable[int]) -> Touched:
    """Return runs as the engine's columns; ``groups`` numbers who draws."""
    kind, lo, hi, step, origin, slots, drawn, each, domain, _ = columns_of(list(runs))
    random = kind == RANDOM
    return Touched(
        kind=kind,
        lo=lo,
        hi=hi,
        step=step,
        origin=origin,
        slots=np.where(random, slots, 0),
        drawn=np.where(random, drawn, 0),
        each=each.astype(bool),
        domain=domain,
        group=np.array(list(groups), np.int64),
        base=np.zeros(len(kind), np.int64),
    )


def runs_of(touched: Touched) -> list[Run]:
    """Return the engine's columns as runs."""
    columns = (
        touched.kind, touched.lo, touched.hi, touched.step, touched.origin, touched.slots, touched.drawn,
        touched.each, touched.domain,
    )  # fmt: skip
    return [Run(*each) for each in zip(*(column.tolist() for column in columns), strict=True)]
