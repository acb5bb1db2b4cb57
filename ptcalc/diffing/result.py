"""What `ptcalc diff` found: the frozen result that its formats render."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ptcalc.result import Availability, RiskLevel

SCHEMA = "ptcalc.diff/1"
# A difference of expectations is within noise up to so many standard deviations of it.
SIGMAS = 2
Name = Literal["page_tables", "page_tables_counter", "vmpte", "demand", "capacity", "headroom", "safe", "max"]
FIGURES: tuple[Name, ...] = ("page_tables", "demand", "headroom")  # those that edits are credited with
Method = Literal["shapley", "alone", "none"]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: a workload file, or a result that was saved."""

    file: str
    name: str
    arch: str
    kernel: str
    processes: int
    saved: bool
    events_left_out: bool = False  # it has some, which its figures know nothing of


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of both sides: bytes, or processes (``safe``, ``max``); ``sd``: of the difference, None where exact."""

    name: Name
    base: int
    new: int
    sd: int | None = None

    @property
    def change(self) -> int:
        """What the new side has more."""
        return self.new - self.base

    @property
    def relative(self) -> float | None:
        """The change as a part of the base; None where that is nothing."""
        return self.change / abs(self.base) if self.base else None

    @property
    def in_noise(self) -> bool:
        """Whether two runs of one workload, touched at random, may differ as much."""
        return self.sd is not None and 0 < abs(self.change) <= SIGMAS * self.sd


@dataclass(frozen=True, slots=True)
class Edit:
    """A value that the files say differently, or some that only make sense together.

    ``paths`` are dotted, ``before`` and ``after`` texts (empty: not written).  ``file``, ``line`` and ``column`` say
    where the value stands: in the new file, or in the base for what is no longer there; line 0: in no file.
    """

    paths: tuple[str, ...]
    before: str
    after: str
    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What an edit has moved, bytes in the order of FIGURES.

    ``alone``: the base with this edit and no other, None where it makes no sense alone; ``share``: its part of the
    whole change (Shapley value), in which what edits do only together is divided between them, None where there are too
    many edits to tell.
    """

    edit: int  # its place in `Diff.edits`
    alone: tuple[int, ...] | None
    share: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """A policy that both sides have: its figures, and what moved them, the largest part first.

    ``together`` is what no edit does alone (bytes, in the order of FIGURES); ``elsewhere`` what comes from no edit: a
    saved result was computed by another ptcalc.
    """

    policy: str
    availability: Availability
    risk: tuple[RiskLevel, RiskLevel]
    limited_by: tuple[str, str]
    figures: tuple[Figure, ...]
    moved: tuple[Moved, ...]
    together: tuple[int, ...]
    elsewhere: tuple[int, ...]

    def figure(self, name: Name) -> Figure:
        """Return the figure of that name; KeyError for another one."""
        for each in self.figures:
            if each.name == name:
                return each
        raise KeyError(name)

    @property
    def size(self) -> tuple[int, int]:
        """How much it moved: page tables, then demand."""
        return abs(self.figure("page_tables").change), abs(self.figure("demand").change)


@dataclass(frozen=True, slots=True)
class Growth:
    """What `--fail-on-growth` found under one policy; ``allowed`` is a share of the base."""

    policy: str
    of: Name
    base: int
    new: int
    allowed: float
    failed: bool


@dataclass(frozen=True, slots=True)
class Diff:
    """Two answers side by side; ``policies`` come with the biggest mover first.

    ``method``: how edits are credited (`Moved`); ``unattributed`` says why they are not.
    """

    base: Side
    new: Side
    policies: tuple[PolicyChange, ...]
    only_base: tuple[str, ...]
    only_new: tuple[str, ...]
    edits: tuple[Edit, ...]
    method: Method
    unattributed: str
    growth: tuple[Growth, ...]

    @property
    def same(self) -> bool:
        """Whether no figure differs."""
        return not (self.only_base or self.only_new) and all(
            not any(figure.change for figure in policy.figures) and policy.risk[0] == policy.risk[1]
            for policy in self.policies
        )

    @property
    def failed(self) -> bool:
        """Whether something has grown more than allowed."""
        return any(growth.failed for growth in self.growth)


def deviation(*sds: int | None) -> int | None:
    """Return the standard deviation of a difference of independent draws; None if neither is drawn."""
    drawn = [sd for sd in sds if sd is not None]
    return round(math.hypot(*drawn)) if drawn else None
