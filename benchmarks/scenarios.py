"""Many scenarios of the Oracle workload: the engine on all cores against C on one, and against plain Python.

The four axes are the size of the SGA, the address (how far from a huge page), what is touched, and the processes.
The C program (scenarios.c) is the same arithmetic, scenario after scenario, compiled for this processor.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

import ptcalc
from benchmarks import loop
from benchmarks.ratio import Ratio
from ptcalc import estimation, risk
from ptcalc.scenarios.block import Block, Numbers
from ptcalc.scenarios.running import in_order
from ptcalc.scenarios.study import Study
from ptcalc.workload.source import Path as Place

Ints = NDArray[np.int64]

PAGE, GIB = 4096, 1 << 30
WORKLOAD = """
version: 1
name: Oracle SGA
host: {memory: 512 GiB, used: 12 GiB}
segments: {sga: {size: 300 GiB, backing: shmem}}
processes:
  server:
    count: 1500
    private: 12 MiB
    base_tables: 512 KiB
    mappings: [{segment: sga, address: 0x60000000, touch: 10%}]
"""
SIZE: Place = ("segments", "sga", "size")
ADDRESS: Place = ("processes", "server", "mappings", 0, "address")
TOUCH: Place = ("processes", "server", "mappings", 0, "touch")
COUNT: Place = ("processes", "server", "count")
FIGURES = ("page_tables_bytes", "exact", "demand_bytes", "headroom_bytes", "risk")
IN_C = ("used_bytes", "exact", "demand_bytes", "headroom_bytes", "risk")
ROUNDS = 3
HEIGHT = 500  # layouts of a piece of work: 50,000 scenarios, and enough pieces that cores share them evenly


@dataclass(frozen=True, slots=True)
class Grid:
    """The values of the four axes."""

    size: Ints
    address: Ints
    share: Ints  # millionths
    count: Ints

    @classmethod
    def of(cls, size: int, address: int, share: int, count: int) -> Grid:
        """Return so many values on each axis."""
        return cls(
            np.linspace(1 << 18, 125 << 20, size).astype(np.int64) * PAGE,
            0x60000000 + np.linspace(0, 1 << 18, address, endpoint=False).astype(np.int64) * PAGE,
            np.geomspace(10, 10**6, share).astype(np.int64),
            np.linspace(1, 5000, count).astype(np.int64),
        )

    def rows(self) -> tuple[Ints, Ints, Ints]:
        """Return the columns of all combinations that move mappings."""
        size, address, share = np.meshgrid(self.size, self.address, self.share, indexing="ij")
        return size.ravel(), address.ravel(), share.ravel()

    def blocks(self, height: int) -> list[Block]:
        """Return the grid in blocks of so many combinations."""
        rows = self.rows()
        return [
            _block([column[start : start + height] for column in rows], self.count)
            for start in range(0, len(rows[0]), height)
        ]


def _block(rows: Sequence[Ints], count: Ints) -> Block:
    size, address, share = rows
    shares = Numbers(share, np.full(len(share), 10**6))
    return Block({SIZE: Numbers(size), ADDRESS: Numbers(address), TOUCH: shares}, {COUNT: Numbers(count)})


def study() -> Study:
    """Return the question."""
    return Study(ptcalc.loads(WORKLOAD).positions, figures=("used_bytes", *FIGURES))


_HERE: list[Study] = []


def _evaluate(block: Block) -> int:
    if not _HERE:
        _HERE.append(study())
    found = _HERE[0].evaluate(block)
    return int(found["today"]["risk"].size)


class InC:
    """The program in C, compiled for this machine."""

    def __init__(self, folder: str) -> None:
        library = Path(folder) / "scenarios.so"
        source = Path(__file__).with_name("scenarios.c")
        subprocess.run(["cc", "-O3", "-march=native", "-shared", "-fPIC", "-o", library, source, "-lm"], check=True)
        self._run = ctypes.CDLL(str(library)).scenarios
        self._run.restype = None
        self._constants = self.measured()

    def __call__(self, rows: Sequence[Ints], count: Ints) -> Ints:
        """Return the figures of scenarios, shape (S, policies, figures)."""
        size, address, share = rows
        pages = -(-size * share // (10**6 * PAGE))
        out = np.empty((len(size), 8, len(IN_C)), np.int64)
        columns = [np.ascontiguousarray(column) for column in (size, pages, address, count, self._constants, out)]
        self._run(ctypes.c_int64(len(size)), *(ctypes.c_void_p(column.ctypes.data) for column in columns))
        return out

    @staticmethod
    def measured() -> Ints:
        """Return the constants of the ledger: all that the four axes do not change."""
        workload = ptcalc.loads(WORKLOAD)
        [outcome] = estimation.evaluate(workload, ["today"])
        ledger = risk.Ledger(outcome, risk.Config())
        growing = [line for line in ledger.lines if line.kind in ("base", "kernel", "private")]
        per_process = sum(line.amount([1])[0] - line.amount([0])[0] for line in growing)
        used = sum(line.amount([0])[0] for line in ledger.lines if line.kind == "used")
        capacity = ledger.capacity["host"]
        return np.array([capacity, used, per_process, risk.Config().index_node, 4096], np.int64)


def compare(in_c: InC, grid: Grid) -> None:
    """Raise RuntimeError where C and the engine differ by more than 1e-12, or at all where touches are exact."""
    [block] = grid.blocks(1 << 40)
    found = study().evaluate(block)
    rows = [np.repeat(column, len(grid.count)) for column in grid.rows()]
    there = in_c(rows, np.tile(grid.count, len(grid.rows()[0])))
    for at, (policy, figures) in enumerate(found.items()):
        for column, name in enumerate(IN_C):
            ours, theirs = figures[name].astype(np.int64), there[:, at, column]
            allowed = np.where(figures["exact"], 0, 1e-12 * np.abs(theirs))
            if (np.abs(ours - theirs) > allowed).any():
                bad = int(np.argmax(np.abs(ours - theirs) > allowed))
                raise RuntimeError(f"{policy} {name} of scenario {bad}: {ours[bad]:,} and in C {theirs[bad]:,}")


def against_c(scenarios: int = 1_000_000) -> Ratio:
    """The engine on all cores against C on one, per scenario."""
    if shutil.which("cc") is None:
        print("scenarios: not measured, there is no C compiler (cc) here")
        return Ratio("scenarios / C", 0.0, 1.0, 1.5)
    grid = Grid.of(200, scenarios // 500_000, 25, 100)
    with tempfile.TemporaryDirectory() as folder:
        in_c = InC(folder)
        compare(in_c, Grid.of(11, 13, 9, 7))
        rows = grid.rows()
        some = slice(0, 20_000)
        args = [np.repeat(column[some], len(grid.count)) for column in rows]
        count = np.tile(grid.count, len(args[0]) // len(grid.count))
        ours, theirs = [], []
        with _pool(os.cpu_count() or 1) as pool:
            for _ in range(ROUNDS):
                done, seconds = _evaluated(pool, grid)
                ours.append(seconds / done)
                start = time.perf_counter()
                in_c(args, count)
                theirs.append((time.perf_counter() - start) / len(count))
    name = f"{done:,} scenarios, 8 policies / C, per 1,000,000"
    return Ratio(name, median(ours) * 1e6, median(theirs) * 1e6, 1.5)


def ten_million() -> Ratio:
    """The same with ten million scenarios."""
    return against_c(10_000_000)


def against_loop() -> Ratio:
    """The engine on all cores against a plain loop in Python, per scenario."""
    grid, few = Grid.of(200, 2, 25, 100), Grid.of(5, 3, 5, 4)
    constants = InC.measured()
    sizes, addresses, shares = few.rows()
    listed = [
        (size, -(-size * share // (10**6 * PAGE)), address, count)
        for size, address, share in zip(sizes.tolist(), addresses.tolist(), shares.tolist(), strict=True)
        for count in few.count.tolist()
    ]
    start = time.perf_counter()
    plain = [loop.scenario(*each, constants.tolist()) for each in listed]
    slow = (time.perf_counter() - start) / len(listed)
    [block] = few.blocks(1 << 40)
    for at, figures in enumerate(study().evaluate(block).values()):
        there = np.array([found[at] for found in plain])
        for column, name in enumerate(("used_bytes", "headroom_bytes")):
            if (np.abs(figures[name] - there[:, column]) > 1e-9 * np.abs(there[:, column]) + 8 * PAGE).any():
                raise RuntimeError(f"the loop in Python and the engine differ in {name}")
    with _pool(os.cpu_count() or 1) as pool:
        fast = median(seconds / done for done, seconds in (_evaluated(pool, grid) for _ in range(ROUNDS)))
    return Ratio("scenarios / a loop in Python, per 1,000,000", fast * 1e6, slow * 1e6, 1 / 50)


def two_cores() -> Ratio:
    """Two cores against one, median of nine runs in turns."""
    grid = Grid.of(200, 2, 25, 100)
    times: tuple[list[float], list[float]] = ([], [])
    if (os.cpu_count() or 1) < 2:
        print("cores: not measured, there is one core here")
        return Ratio("two cores / one", 0.0, 1.0, 1 / 1.6)
    with _pool(2) as two, _pool(1) as one:
        for _ in range(9):
            for pool, taken in zip((two, one), times, strict=True):
                taken.append(_evaluated(pool, grid)[1])
    return Ratio("two cores / one", median(times[0]), median(times[1]), 1 / 1.6)


def flat() -> Ratio:
    """Time per scenario for 100,000,000 against 1,000,000."""
    taken = []
    with _pool(os.cpu_count() or 1) as pool:
        for addresses in (2, 200):
            done, seconds = _evaluated(pool, Grid.of(200, addresses, 25, 100))
            taken.append((done, seconds / done))
    (few, first), (many, last) = taken
    return Ratio(f"{many:,} scenarios / {few:,}, per 1,000,000", last * 1e6, first * 1e6, 1.3)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give processes that have evaluated something, so that start-up is no part of what is measured."""
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(_evaluate, Grid.of(200, 2, 25, 100).blocks(HEIGHT)[: 2 * workers]))
        yield pool


def _evaluated(pool: ProcessPoolExecutor, grid: Grid) -> tuple[int, float]:
    """Return how many scenarios were evaluated, and in how many seconds."""
    start = time.perf_counter()
    done = sum(in_order(_evaluate, grid.blocks(HEIGHT), pool, os.cpu_count() or 1))
    return done, time.perf_counter() - start
