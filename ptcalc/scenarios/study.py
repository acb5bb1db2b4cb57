"""One workload file, asked about many scenarios at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ptcalc import estimation
from ptcalc.arch import Geometry
from ptcalc.engine.numbers import Disagreement, Number, chosen
from ptcalc.errors import InputError
from ptcalc.layout.rows import NoSlotLeft, TooManyRows
from ptcalc.policies import Outcome, policies_of
from ptcalc.policies.base import Context
from ptcalc.policies.outcome import evaluate_policy
from ptcalc.result import RISK_ORDER
from ptcalc.risk import Config, Ledger, largest_of_many
from ptcalc.scenarios.assigning import assigned, rows_each
from ptcalc.scenarios.block import Block
from ptcalc.scenarios.figures import BY_GROUP, DEFAULT, FIGURES, LIMITS, FigureKind, of_group
from ptcalc.scenarios.validity import refused
from ptcalc.workload.loading import build
from ptcalc.workload.model import Workload
from ptcalc.workload.places import place_of
from ptcalc.workload.sizes import show_size
from ptcalc.workload.source import Override, Path, Positions

Ints = NDArray[np.int64]
Figures = dict[str, NDArray[Any]]
Question = Callable[[Outcome], Mapping[str, Number]]

# What is evaluated at once: few enough to stay in the processor's cache, about, and so many that the calls of NumPy,
# which cost as much for few numbers as for thousands, do not count.
_ROWS, _SCENARIOS = 1 << 13, 1 << 16


class Study:
    """What is asked of every scenario of a document: which policies, which figures.

    ``policies`` are names in the order of the contract.  Raises InputError where the document itself is no workload.
    ``option`` stands before values where errors name them.  It holds plain data only and can be sent to other
    processes.
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
        option: str = "",
    ) -> None:
        self.document = document
        self.option = option
        self.geometries = dict(geometries or {})
        self.strict = strict
        self.config = config or Config()
        self.choices = dict(choices or {})
        base = build(document, strict=strict, geometries=self.geometries)
        estimation.check_names(base, policies, self.choices)
        known = [policy.name for policy in policies_of(base.geometry)]
        self.availability = {policy.name: policy.availability for policy in policies_of(base.geometry)}
        self.policies = tuple(known if policies is None else (name for name in known if name in policies))
        self.name = base.name
        self.groups = tuple(base.processes)
        self.figures = figures_of(figures, self.groups)
        self.geometry, self.kernel = base.geometry.name, base.kernel.text

    def evaluate(self, block: Block) -> dict[str, Figures]:
        """Return by policy the figures of all scenarios of a block, shape (L * C,), in the order of `Block`.

        Figures of bytes and counts are int64, flags bool, words int8 (their place in `FigureKind.words`).
        Raises InputError, as `load` and `estimate` do, for the first scenario that is refused.
        """
        return self.ask(block, self._figures, {name: figure.dtype for name, figure in self.figures.items()})

    def ask(self, block: Block, question: Question, types: Mapping[str, Any]) -> dict[str, Figures]:
        """Return by policy what a question about outcomes has for an answer, in arrays of those types, as `evaluate`.

        Raises what that raises.
        """
        shape = block.height, block.width
        found: dict[str, Figures] = {
            policy: {name: np.zeros(shape, kind) for name, kind in types.items()} for policy in self.policies
        }
        base = self.scenario(block, 0)  # in all but its numbers it is like the others
        # Columns stay together: a layout is made once for all of them.
        wide = min(shape[1], _SCENARIOS)
        many = max(1, min(_ROWS // rows_each(assigned(base, block)), _SCENARIOS // wide))
        parts = [
            (np.arange(top, min(top + many, shape[0])), np.arange(left, min(left + wide, shape[1])))
            for top in range(0, shape[0], many)
            for left in range(0, shape[1], wide)
        ]
        while parts:
            rows, columns = parts.pop()
            part = block.take(rows, columns)
            try:
                for policy, figures in self._part(base, part, question).items():
                    for name, values in figures.items():
                        found[policy][name][np.ix_(rows, columns)] = values
            except Disagreement as disagreement:
                parts += _split(rows, columns, disagreement.classes)
            except (NoSlotLeft, TooManyRows):
                if len(rows) == 1:
                    self._refuse(part, 0)
                parts += [(rows[: len(rows) // 2], columns), (rows[len(rows) // 2 :], columns)]
        return {policy: {name: values.ravel() for name, values in figures.items()} for policy, figures in found.items()}

    def _part(self, base: Workload, block: Block, question: Question) -> dict[str, Mapping[str, Number]]:
        """Return the answers of scenarios that have everything but numbers in common, (L, C) or less."""
        workload = assigned(base, block)
        wrong = refused(workload, (block.height, block.width))
        if wrong.any():
            self._refuse(block, int(np.flatnonzero(wrong.ravel())[0]))
        context = Context(workload, workload.geometry, self.choices, block.height)
        known = policies_of(workload.geometry)
        return {
            policy.name: question(evaluate_policy(policy, context)) for policy in known if policy.name in self.policies
        }

    def _figures(self, outcome: Outcome) -> dict[str, Number]:
        counts = outcome.counts
        ledger = Ledger(outcome, self.config)
        demand = ledger.demand(counts)
        headroom, boundary = ledger.tightest(demand)
        capacities = list(ledger.capacity.values())
        capacity = capacities[0] if len(capacities) == 1 else chosen(boundary == 0, *capacities)
        risk = ledger.levels(demand)
        if any(short.mode == "fail" for short in outcome.short_pools):
            risk = len(RISK_ORDER) - 1
        found: dict[str, Number] = {
            "boundary": boundary,
            "capacity_bytes": capacity,
            "demand_bytes": capacity - headroom,
            "headroom_bytes": headroom,
            "risk": risk,
        }
        if "page_tables_bytes" in self.figures:
            found["page_tables_bytes"] = outcome.page_tables_shown(counts)
        if "used_bytes" in self.figures:
            found["used_bytes"] = outcome.page_tables_used(counts)
        if "exact" in self.figures:
            found["exact"] = outcome.is_exact(counts)
        if any(name in self.figures for name in LIMITS):
            most, binds, _ = largest_of_many(ledger, "critical")
            found |= {"max_processes": most, "limited_by": binds}
            if "safe_processes" in self.figures:
                found["safe_processes"] = largest_of_many(ledger, "ok")[0]
        for group, shown in zip(self.groups, outcome.vmpte_shown(counts) if self._of_groups else (), strict=False):
            found[of_group("vmpte_bytes", group)] = shown
        return {name: found[name] for name in self.figures}

    @property
    def _of_groups(self) -> bool:
        return any(name not in FIGURES for name in self.figures)

    def scenario(self, block: Block, scenario: int) -> Workload:
        """Return one scenario as the loader makes it.  Raises InputError, which names its numbers."""
        numbers = [(path, one.text(0)) for path, one in block.at(scenario).items()]
        overrides = [
            Override(path, text, f"{self.option}{self.document.dotted(path)}={_as_written(path, text)}")
            for path, text in numbers
        ]
        try:
            return build(self.document.overridden(overrides), strict=self.strict, geometries=self.geometries)
        except InputError as error:
            raise _with(error, self.document, overrides) from None

    def _refuse(self, block: Block, scenario: int) -> NoReturn:
        """Raise the InputError that the loader or the estimate has for a scenario."""
        estimation.evaluate(self.scenario(block, scenario), self.policies, self.choices)
        raise AssertionError("a scenario is refused that the loader and the estimate take")


def figures_of(names: Sequence[str], groups: Sequence[str]) -> dict[str, FigureKind]:
    """Return the figures of those names in the order of FIGURES; one that is told by group is there for each."""
    found: dict[str, FigureKind] = {}
    for name, figure in FIGURES.items():
        if name in names:
            found |= {of_group(name, group): figure for group in groups} if name in BY_GROUP else {name: figure}
    return found


def _as_written(path: Path, text: str) -> str:
    """Return a number as people write it: sizes with their unit."""
    place = place_of(path)
    return show_size(int(text)) if place is not None and place.unit != "count" and text.isdecimal() else text


def _with(error: InputError, document: Positions, overrides: Sequence[Override]) -> InputError:
    """Return the error of a scenario; if it points into the file, with the values that this does not go with."""
    if error.file == document.file and overrides:
        error.message += f" (with {', '.join(override.origin for override in overrides)})"
        error.args = (error.message,)
    return error


def _split(rows: Ints, columns: Ints, classes: NDArray[Any]) -> list[tuple[Ints, Ints]]:
    """Return the rows, or the columns, that scenarios of different classes lie in, apart."""
    if classes.ndim == 1:
        classes = classes[:, None]
    if (classes != classes[:1]).any():
        kinds = np.unique(np.broadcast_to(classes, (len(rows), classes.shape[1])), axis=0, return_inverse=True)[1]
        return [(rows[kinds.reshape(-1) == kind], columns) for kind in range(int(kinds.max()) + 1)]
    kinds = np.unique(np.broadcast_to(classes[:1], (1, len(columns)))[0], return_inverse=True)[1]
    return [(rows, columns[kinds == kind]) for kind in range(int(kinds.max()) + 1)]
