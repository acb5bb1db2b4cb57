"""What a check looks at, and what it says: the findings are made of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ptcalc.arch import Geometry
    from ptcalc.policies import Outcome
    from ptcalc.result import PolicyResult, Severity
    from ptcalc.risk.config import Config
    from ptcalc.workload.model import Workload

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """What a check found: the code's own remedy and severity hold unless the note has others."""

    code: str
    message: str
    path: Path
    policy: str = ""
    remedy: str | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One estimate: the workload, and result and outcome of each policy in the same order."""

    workload: Workload
    results: Sequence[PolicyResult]
    outcomes: Sequence[Outcome]
    config: Config

    @property
    def geometry(self) -> Geometry:
        """Page tables of the host."""
        return self.workload.geometry

    @property
    def subject(self) -> tuple[PolicyResult, Outcome] | None:
        """Return result and outcome of `today`, else of the first policy that a mainline kernel has."""
        pairs = [pair for pair in zip(self.results, self.outcomes, strict=True) if pair[0].availability.deployable]
        for pair in pairs:
            if pair[0].policy == "today":
                return pair
        return pairs[0] if pairs else None
