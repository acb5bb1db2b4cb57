"""What a scenario is told of under each policy: the columns of sweeps, and the figures that are solved for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ptcalc.result import RISK_ORDER
from ptcalc.risk import LIMITED_BY

BOUNDARIES = ("host", "cgroup")
RISKS = RISK_ORDER
_TYPES = {"bytes": np.int64, "count": np.int64, "flag": np.bool_, "word": np.int8}


def of_group(figure: str, group: str) -> str:
    """Return the name of the figure of one group."""
    return f"{figure} of {group}"


@dataclass(frozen=True, slots=True)
class FigureKind:
    """One figure: ``kind`` is its type; of words the array holds the place in ``words`` (int8)."""

    name: str
    kind: Literal["bytes", "count", "flag", "word"]
    meaning: str
    words: tuple[str, ...] = ()

    @property
    def dtype(self) -> type[np.generic]:
        """Of its column."""
        return _TYPES[self.kind]


FIGURES = {
    figure.name: figure
    for figure in (
        FigureKind("page_tables_bytes", "bytes", "what the mappings add to PageTables"),
        FigureKind("used_bytes", "bytes", "memory that the page tables take"),
        FigureKind("exact", "flag", "no random touch makes the page tables an expectation"),
        FigureKind("boundary", "word", "the tighter of host and cgroup", BOUNDARIES),
        FigureKind("capacity_bytes", "bytes", "what that can give"),
        FigureKind("demand_bytes", "bytes", "what the workload needs of it"),
        FigureKind("headroom_bytes", "bytes", "capacity less demand"),
        FigureKind("risk", "word", "the risk level", RISKS),
        FigureKind("safe_processes", "count", "largest number of processes at level ok"),
        FigureKind("max_processes", "count", "largest number of processes that is not oom"),
        FigureKind("limited_by", "word", "what binds beyond max_processes", LIMITED_BY),
        FigureKind("vmpte_bytes", "bytes", "VmPTE of one process, a column for each group"),
    )
}
BY_GROUP = ("vmpte_bytes",)
# These need a search for every scenario, and cost several times what all others do.
LIMITS = ("safe_processes", "max_processes", "limited_by")
DEFAULT = tuple(name for name in FIGURES if name not in LIMITS)
