"""The engine: a million mapping rows, and workloads whose sizes must not matter."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

import ptcalc
from benchmarks.ratio import Ratio, measure
from ptcalc import arch
from ptcalc.engine.covers import EXACT
from ptcalc.layout.plan import Plan
from ptcalc.layout.rows import BACKINGS, PROTECTIONS, THP, Layout, Rows, Runs
from ptcalc.policies import policies_of
from ptcalc.policies.base import Context
from ptcalc.policies.outcome import evaluate_policy

ROWS, GROUPS, FILES = 1_000_000, 1000, 100
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SLOT = 8 * GIB  # of address space for each mapping, so that what-ifs with 1 GiB pages find room as well

Ints = NDArray[np.int64]


def _workload() -> ptcalc.Workload:
    """The segments and groups of the million rows; each segment is mapped shared, as the what-ifs want it."""
    segments = "".join(f"  s{n}: {{size: 64 GiB, backing: shmem}}\n" for n in range(FILES))
    groups = "".join(f"  g{n}: {{count: 100, mappings: [{{segment: s{n % FILES}}}]}}\n" for n in range(GROUPS))
    head = "version: 1\nname: a million rows\nhost: {memory: 64 TiB}\n"
    return ptcalc.loads(f"{head}segments:\n{segments}processes:\n{groups}")


@dataclass(frozen=True)
class MillionRows:
    """Mappings at random addresses, of random lengths, in random order; half congruent with their file."""

    start: Ints
    length: Ints
    offset: Ints
    group: Ints
    file: Ints
    protection: Ints

    @classmethod
    def draw(cls) -> MillionRows:
        """Draw them, the same ones in every run."""
        rng = np.random.default_rng(2022)
        each = ROWS // GROUPS
        slot = rng.permuted(np.tile(np.arange(1, each + 1), (GROUPS, 1)), axis=1).ravel()
        page = 4 * KIB
        start = slot * SLOT + rng.integers(0, GIB // page, ROWS) * page
        length = rng.integers(1, GIB // page, ROWS) * page
        offset = rng.integers(0, 32 * GIB // page, ROWS) * page
        congruent = rng.random(ROWS) < 0.5
        offset = np.where(congruent, offset // GIB * GIB + start % GIB, offset)
        order = rng.permutation(ROWS)
        group = np.repeat(np.arange(GROUPS), each)[order]
        file = rng.integers(0, FILES, ROWS)
        protection = rng.choice([PROTECTIONS.index("r"), PROTECTIONS.index("rw")], ROWS)
        return cls(start[order], length[order], offset[order], group, file, protection)

    def layout(self, workload: ptcalc.Workload, plan: Plan) -> Layout:
        """Return the rows as a layout under `plan`, all touched."""
        segment = next(iter(plan.segments.values()))  # all segments are alike
        page = segment.page
        start = self.start // page * page
        end = -(-(self.start + self.length) // page) * page
        offset = self.offset // page * page
        number = np.arange(ROWS)
        zero, yes, no = np.zeros(ROWS, np.int64), np.ones(ROWS, bool), np.zeros(ROWS, bool)
        rows = Rows(
            mapping=number, group=self.group, file=self.file, start=start, end=end, file_offset=offset,
            delta=start - offset, seg_lo=offset, seg_hi=offset + end - start, segment=self.file,
            backing=np.full(ROWS, BACKINGS.index(segment.backing)), page=np.full(ROWS, page),
            thp=np.full(ROWS, THP.index(segment.thp)), shared=yes, protection=self.protection,
            madvise=zero, uffd=zero, softdirty=no, allow=yes, alignment=zero, locked=zero,
            write=self.protection == PROTECTIONS.index("rw"),
        )  # fmt: skip
        runs = Runs(
            row=number, kind=np.full(ROWS, EXACT), lo=self.start, hi=self.start + self.length, step=zero,
            origin=zero, slots=zero, drawn=zero, same=no, domain=number,
        )  # fmt: skip
        none = np.zeros(0, np.int64)
        return Layout(
            guest_runs=Runs(none, none, none, none, none, none, none, none, none.astype(bool), none),
            geometry=workload.geometry,
            plan=plan,
            places=(),
            rows=rows,
            runs=runs,
            file_size=np.full(FILES, 64 * GIB),
            file_position=zero[:FILES],
            groups=GROUPS,
            owners=np.full(len(plan.segments), -1),
        )


@dataclass
class Laid(Context):
    """A context whose layouts are there already: what is measured starts where the columns are made."""

    rows: MillionRows = field(kw_only=True)
    made: dict[tuple[str, int, str], Layout] = field(kw_only=True)

    def lay_out(self, plan: Plan) -> Layout:
        """Return the million rows under a plan."""
        segment = next(iter(plan.segments.values()))
        key = (segment.backing, segment.page, segment.thp)
        if key not in self.made:
            self.made[key] = self.rows.layout(self.workload, plan)
        return self.made[key]

    def __post_init__(self) -> None:
        """Make the layout as written."""
        self.layout = self.lay_out(self.plan)


def million_rows() -> Ratio:
    """All policies on a million rows against one sort of them by process and address."""
    workload, rows = _workload(), MillionRows.draw()
    geometry = arch.get("x86_64")
    made: dict[tuple[str, int, str], Layout] = {}

    def evaluate() -> list[int]:
        context = Laid(workload, geometry, rows=rows, made=made)
        outcomes = (evaluate_policy(policy, context) for policy in policies_of(geometry))
        return [outcome.page_tables(outcome.counts).bytes for outcome in outcomes]

    def sort() -> Ints:
        return np.lexsort((rows.start, rows.group))

    return measure("1,000,000 rows, all policies / lexsort", evaluate, sort, limit=25, rounds=3)


def _evaluation(size: str, count: int) -> ptcalc.Workload:
    return ptcalc.loads(
        f"""
        version: 1
        name: {size} x {count}
        host: {{memory: 4096 TiB}}
        segments: {{s: {{size: {size}, backing: shmem}}}}
        processes: {{p: {{count: {count}, mappings: [{{segment: s}}]}}}}
        """
    )


def large_and_small() -> Ratio:
    """1 TiB mapped by 100,000 processes against 4 KiB mapped by one, from the workload to the risk."""
    large, small = _evaluation("1 TiB", 100_000), _evaluation("4 KiB", 1)

    def many(workload: ptcalc.Workload) -> None:
        for _ in range(10):
            ptcalc.estimate(workload)

    return measure("1 TiB x 100,000 / 4 KiB x 1", lambda: many(large), lambda: many(small), limit=1.2, rounds=15)
