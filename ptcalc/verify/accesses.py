"""Which addresses a process accesses so that it gets the tables that a workload says: one in each table is enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ptcalc.layout.rows import Runs
from ptcalc.layout.touch import EXACT, STRIDE

Ints = NDArray[np.int64]


# numpy draws from fewer than so many slots cell by cell.
_MANY = 10**9


class Cells:
    """What draws of the same runs have in common: between two of its edges, slots reach the same tables.

    ``spans`` are the tables that count, bytes by run.
    """

    def __init__(self, runs: Runs, spans: Ints) -> None:
        self.runs = runs
        self._spans = spans
        self._edges: dict[int, Ints] = {}

    def edges(self, domain: int) -> Ints:
        """Return the first slot of each cell of a draw, and the number of slots."""
        if domain not in self._edges:
            runs = self.runs
            members = np.flatnonzero(runs.domain == domain)
            slots = int(runs.slots[members[0]])
            cuts = [np.array([0, slots])]
            for run in members:
                lo, hi, step = int(runs.lo[run]), int(runs.hi[run]), int(runs.step[run])
                span = int(self._spans[run])
                borders = np.arange(lo // span + 1, (hi - 1) // span + 1) * span
                places = np.concatenate([[lo], borders, [hi]]) - int(runs.origin[run])
                cuts += [places // step, -(-places // step)]
            self._edges[domain] = np.unique(np.clip(np.concatenate(cuts), 0, slots))
        return self._edges[domain]


class Draws:
    """The draws of one process, made when they are first asked for: a mapping in pieces is one draw.

    ``seed`` says, with the number of a draw, which one it is: processes with equal seeds draw the same.
    """

    def __init__(self, cells: Cells, *seed: int) -> None:
        self._cells = cells
        self._seed = seed
        self._found: dict[int, Ints] = {}

    def slots(self, run: int, lo: int, hi: int) -> Ints:
        """Return slots from lo to hi (not included), in order, that reach the same tables as all that were drawn."""
        domain = int(self._cells.runs.domain[run])
        if domain not in self._found:
            self._found[domain] = self._draw(domain)
        all_ = self._found[domain]
        first, end = np.searchsorted(all_, [lo, hi])
        return all_[first:end]

    def _draw(self, domain: int) -> Ints:
        """Draw which cells are hit; the first slot of each one stands for it."""
        runs, edges = self._cells.runs, self._cells.edges(domain)
        member = int(np.flatnonzero(runs.domain == domain)[0])
        slots, drawn = int(runs.slots[member]), int(runs.drawn[member])
        source = np.random.default_rng((*self._seed, domain))
        if len(edges) < drawn and slots < _MANY:
            hits = source.multivariate_hypergeometric(np.diff(edges), drawn, method="marginals")
            cells = np.flatnonzero(hits)
        else:
            every = source.choice(slots, drawn, replace=False, shuffle=False)
            cells = np.unique(np.searchsorted(edges, every, side="right") - 1)
        return np.asarray(edges[cells])


def addresses(runs: Runs, run: int, span: int, draws: Draws) -> Ints:
    """Return an address in each table of ``span`` bytes that a run touches, in order.

    Exact touches are accessed where they touch a table first, draws at the start of the table as far as the run
    reaches: which page of a table a draw hits makes no difference to it, and equal pages take less memory.
    """
    lo, hi, step = int(runs.lo[run]), int(runs.hi[run]), int(runs.step[run])
    if lo >= hi:
        return np.zeros(0, np.int64)
    kind = runs.kind[run]
    if kind == EXACT:
        return _in_each(lo, hi, span)
    if kind == STRIDE:
        if step >= span:
            return np.arange(lo, hi, step)
        tables = np.arange(lo // span, (hi - 1) // span + 1)
        first = lo + -(-np.maximum(tables * span - lo, 0) // step) * step
        return first[first < np.minimum((tables + 1) * span, hi)]
    origin = int(runs.origin[run])
    start = origin + draws.slots(run, (lo - origin) // step, -(-(hi - origin) // step)) * step
    first, last = np.maximum(start, lo) // span, (np.minimum(start + step, hi) - 1) // span
    width = last - first + 1
    many = np.repeat(first, width) + np.arange(int(width.sum())) - np.repeat(np.cumsum(width) - width, width)
    found: Ints = np.maximum(np.unique(many) * span, lo)
    return found


def _in_each(lo: int, hi: int, span: int) -> Ints:
    return np.maximum(np.arange(lo // span, (hi - 1) // span + 1) * span, lo)


def as_runs(where: Ints) -> list[int]:
    """Return ascending addresses as start, stop and step of ranges, all in a row."""
    if not len(where):
        return []
    gaps = np.diff(where)
    step = int(np.median(gaps)) if len(gaps) else 1
    breaks = np.flatnonzero(gaps != step) + 1
    first = where[np.concatenate([[0], breaks])]
    last = where[np.concatenate([breaks - 1, [len(where) - 1]])]
    return np.stack([first, last + 1, np.full(len(first), max(step, 1))], axis=1).ravel().tolist()
