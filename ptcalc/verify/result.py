"""What a verification found: figures of ptcalc beside counters of the running kernel, bytes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ptcalc.result import LedgerItem, LevelTables

# A draw that lies further from its expectation than so many standard deviations is no chance (2 in 10^9).
DEVIATIONS = 6


@dataclass(frozen=True, slots=True)
class Figure:
    """One counter: what ptcalc expects of it, and the lowest, mean and highest value that was read.

    ``name`` is a group of ``processes``, whose VmPTE it is, or empty for what all of them add to a counter of the
    machine or of a cgroup.  ``sd`` is None where the figure is deterministic; ``slack`` is what rounding an
    expectation to whole tables may take away from it.
    """

    counter: str
    name: str
    processes: int
    expected: int
    low: int
    mean: int
    high: int
    sd: int | None = None
    slack: int = 0

    @property
    def difference(self) -> int:
        """Measured less expected; of several processes the largest."""
        return max(self.low - self.expected, self.high - self.expected, key=abs)

    @property
    def agrees(self) -> bool:
        """Whether the kernel says the same: to the byte, or for random touches as near as chance allows."""
        return abs(self.difference) <= (0 if self.sd is None else DEVIATIONS * self.sd + self.slack)


@dataclass(frozen=True, slots=True)
class Verification:
    """A workload, scaled to this machine, beside its kernel.

    ``processes`` are (group, number as written, number that ran); ``share`` is the factor of all sizes;
    ``need_bytes`` of ``budget_bytes`` were set aside.  ``levels`` is what the expected total consists of, and
    ``unmeasured`` says why a counter could not be compared.
    """

    name: str
    file: str
    arch: str
    kernel: str
    processes: tuple[tuple[str, int, int], ...]
    share: Fraction
    need_bytes: int
    budget_bytes: int
    figures: tuple[Figure, ...]
    levels: tuple[LevelTables, ...]
    notes: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()

    @property
    def contradicted(self) -> tuple[Figure, ...]:
        """The figures that the kernel contradicts."""
        return tuple(figure for figure in self.figures if not figure.agrees)


@dataclass(frozen=True, slots=True)
class Boundary:
    """The number of processes that a memory cgroup bears: predicted, and counted when its OOM killer acted.

    ``processes`` are (group, number as written, number predicted); ``base_bytes`` is what a process of the experiment
    takes beside mappings and private memory, measured beforehand.  ``items`` is what the predicted processes take of
    ``limit_bytes``, by ptcalc; ``held_bytes`` what the cgroup held with the last one that fitted.
    """

    name: str
    file: str
    arch: str
    kernel: str
    processes: tuple[tuple[str, int, int], ...]
    share: Fraction
    limit_bytes: int
    base_bytes: int
    items: tuple[LedgerItem, ...]
    held_bytes: int
    predicted: int
    fitted: int
    killed: bool
    notes: tuple[str, ...] = ()

    @property
    def demand_bytes(self) -> int:
        """What the predicted processes take, by ptcalc."""
        return sum(item.bytes for item in self.items)

    @property
    def difference(self) -> int:
        """Processes that fitted, less those that were predicted."""
        return self.fitted - self.predicted

    @property
    def allowed(self) -> int:
        """The difference that is no contradiction: 2 %, or one process."""
        return max(1, self.predicted * 2 // 100)

    @property
    def agrees(self) -> bool:
        """Whether memory ran out where it was predicted."""
        return self.killed and abs(self.difference) <= self.allowed
