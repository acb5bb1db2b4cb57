"""One workload file, asked about many scenarios at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptcalc import estimation
from ptcalc.arch import Geometry
from ptcalc.policies import policies_of
from ptcalc.result import RISK_ORDER, PolicyResult
from ptcalc.risk import Config
from ptcalc.scenarios.block import Block
from ptcalc.scenarios.figures import BOUNDARIES, DEFAULT, FIGURES, LIMITED_BY
from ptcalc.workload.loading import build
from ptcalc.workload.model import Workload
from ptcalc.workload.source import Override, Positions

Figures = dict[str, NDArray[Any]]


class Study:
    """What is asked of every scenario of a document: which policies, which figures.

    ``policies`` are names in the order of the contract.  Raises InputError where the document itself is no workload.
    It holds plain data only and can be sent to other processes.
    """

    def __init__(
        self,
        document: Positions,
        *,
        policies: Sequence[str] | None = None,
        figures: Sequence[str] = DEFAULT,
        config: Config | None = None,
        choices: Mapping[str, str] | None = None,
        geometries: Mapping[str, Geometry] | None = None,
        strict: bool = False,
    ) -> None:
        self.document = document
        self.geometries = dict(geometries or {})
        self.strict = strict
        self.config = config or Config()
        self.choices = dict(choices or {})
        self.base: Workload = build(document, strict=strict, geometries=self.geometries)
        known = [policy.name for policy in policies_of(self.base.geometry)]
        self.policies = tuple(known if policies is None else (name for name in known if name in policies))
        self.figures = tuple(name for name in FIGURES if name in figures)

    def evaluate(self, block: Block) -> dict[str, Figures]:
        """Return by policy the figures of all scenarios of a block, shape (L * C,), in the order of `Block`.

        Figures of bytes and counts are int64, flags bool, words int8 (their place in `FigureKind.words`).
        Raises InputError, as `load` and `estimate` do, for the first scenario that is refused.
        """
        found: dict[str, list[list[int]]] = {name: [] for name in self.policies}
        for scenario in range(len(block)):
            overrides = [Override(path, one.text(0), "a scenario") for path, one in block.at(scenario).items()]
            workload = build(self.document.overridden(overrides), strict=self.strict, geometries=self.geometries)
            for outcome in estimation.evaluate(workload, self.policies, self.choices):
                result = estimation.result_of(outcome, self.config, detailed=False)
                found[result.policy].append([_figure(result, name) for name in self.figures])
        return {policy: self._columns(rows) for policy, rows in found.items()}

    def _columns(self, rows: list[list[int]]) -> Figures:
        types = {"bytes": np.int64, "count": np.int64, "flag": np.bool_, "word": np.int8}
        return {
            name: np.array([row[at] for row in rows], types[FIGURES[name].kind]) for at, name in enumerate(self.figures)
        }


def _figure(result: PolicyResult, name: str) -> int:
    memory, risk, tables = result.memory, result.risk, result.page_tables
    match name:
        case "page_tables_bytes":
            return tables.bytes
        case "used_bytes":
            return tables.used_bytes
        case "exact":
            return tables.exact
        case "boundary":
            return BOUNDARIES.index(memory.boundary)
        case "risk":
            return RISK_ORDER.index(risk.level)
        case "safe_processes" | "max_processes":
            found: int = getattr(risk, name)
            return found
        case "limited_by":
            return LIMITED_BY.index(risk.limited_by)
        case _:
            size: int = getattr(memory, name)
            return size
