"""The last step of a scale at which a workload still meets a risk level.

Values are whole steps of a `Scale`, the stated one among them.  From there, doublings find two steps between which
the answer lies, and many trials at once narrow them down.  Demand need not grow with every step: where a chunk becomes
full, a huge page, or a shared table, can take the place of many tables.  So the trials are first whole spans of page
tables, from the longest down, and what lies beyond the last one that passes is scanned until a whole span has nothing
that does.  That finds the last value that passes if one span more never needs less.  The next value has always been
evaluated, and fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.numbers import Number, chosen
from ptcalc.errors import InputError
from ptcalc.policies import Outcome, Policy
from ptcalc.result import RISK_ORDER, Availability, RiskLevel
from ptcalc.risk import Ledger, largest_of_many
from ptcalc.scenarios.assigning import assigned, rows_each
from ptcalc.scenarios.block import Block, Ints, Numbers
from ptcalc.scenarios.scales import BINDS, NOTHING, PID_MAX, POOL, REFUSED, Scale, Value
from ptcalc.scenarios.study import Study
from ptcalc.scenarios.validity import refused
from ptcalc.workload.places import place_of
from ptcalc.workload.sizes import MAX_COUNT
from ptcalc.workload.source import Path

Target = Literal["ok", "warning", "critical"]

TRIALS = 63  # at once
ROWS = 1 << 18  # of layouts at once: segments in very many pieces are tried, and scanned, in fewer steps
_VERDICT = {"fails": np.bool_, "risk": np.int8, "binds": np.int8}
_GROWTH = {"value": np.int64, "beyond": np.int64, "alone": np.bool_, "risk": np.int8, "binds": np.int8}


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer under one policy: processes, bytes, or a share of the mappings (Fraction).

    ``value`` is None where nothing meets the target.  ``fails_at`` is the next value, which does not, None where there
    is none; ``level`` is what it is at, None where it is no workload, or one with too many processes.
    ``limited_by`` is what keeps it from the target, one of BINDS, and ``why`` says more of that in words, or nothing.
    """

    policy: str
    availability: Availability
    value: Value | None
    limited_by: str
    fails_at: Value | None
    level: RiskLevel | None
    why: str = ""


class Search:
    """Solves for many combinations of fixed numbers at once, under the one policy of a study."""

    def __init__(
        self,
        study: Study,
        policy: Policy,
        target: Target,
        fixed: Mapping[Path, Numbers],
        many: int,
    ) -> None:
        self.study, self.policy, self.target = study, policy, target
        self.fixed, self.many = fixed, many

    def grown(self) -> list[Answer]:
        """Return how many processes fit where all groups grow in proportion."""
        found = self._ask(self._block({}, np.arange(self.many)), self._growth, _GROWTH)
        return [self._of_growth(*(found[name][at].item() for name in _GROWTH)) for at in range(self.many)]

    def _of_growth(self, value: int, beyond: int, alone: bool, risk: int, binds: int) -> Answer:
        name, availability, limited_by = self.policy.name, self.policy.availability, BINDS[binds]
        if limited_by == "fixed":
            return Answer(name, availability, value, limited_by, None, None)
        if limited_by == "pid_max":
            return Answer(name, availability, value, limited_by, beyond, None, self._pids)
        why = "too little even without the processes that grow" if alone else ""
        return Answer(name, availability, value, limited_by, beyond, RISK_ORDER[risk], why)

    def solved(self, scale: Scale) -> list[Answer]:
        """Return the last step of a scale that passes, as a value, and why the next one does not."""
        which = np.arange(self.many)
        stated = np.full(self.many, scale.turned(scale.stated))
        block = self._block(scale.numbers(stated), which)
        self._ask(block, self._verdict, _VERDICT)  # what is wrong with a combination by itself is an error
        self.base = self.study.scenario(block, 0)
        best = self._last(scale, stated)
        return [self._answer(scale, at, int(best[at])) for at in range(self.many)]

    def _answer(self, scale: Scale, at: int, best: int) -> Answer:
        which, after = np.array([at]), best + 1
        value: Value | None = None
        if best >= scale.first and self._verdicts(scale, which, np.array([best]))["binds"][0] != REFUSED:
            value = scale.value(best)
        name, availability = self.policy.name, self.policy.availability
        if after > scale.last:
            return Answer(name, availability, value, BINDS[NOTHING], None, None)
        found = self._verdicts(scale, which, np.array([after]))
        limited_by, level, why = BINDS[found["binds"][0]], RISK_ORDER[found["risk"][0]], ""
        if limited_by == "refused":
            try:
                self._ask(self._block(scale.numbers(np.array([after])), which), self._verdict, _VERDICT)
            except InputError as error:
                why = error.message if error.accepted is None else f"{error.message}; accepted: {error.accepted}"
            return Answer(name, availability, value, limited_by, scale.value(after), None, why)
        if limited_by == "pid_max":
            return Answer(name, availability, value, limited_by, scale.value(after), None, self._pids)
        return Answer(name, availability, value, limited_by, scale.value(after), level)

    @property
    def _pids(self) -> str:
        return f"more than pid_max, {min(self.study.config.pid_max, MAX_COUNT):,} processes"

    def _last(self, scale: Scale, stated: Ints) -> Ints:
        """Return the last steps that pass, or one less than the first."""
        best, high = self._bracket(scale, stated)
        largest = scale.numbers(np.minimum(high, scale.last))
        rows = rows_each(assigned(self.base, self._block(largest, np.arange(self.many))))
        self.trials, most = max(1, min(TRIALS, ROWS // rows)), max(16, ROWS // rows)
        best = self._narrowed(scale, best, high, scale.strides[0])
        for wide, stride in pairwise(scale.strides):
            best = self._narrowed(scale, best, best + wide, stride)
            best = self._scanned(scale, best, min(wide // stride, most), stride)
        return best

    def _narrowed(self, scale: Scale, low: Ints, high: Ints, stride: int) -> Ints:
        """Return multiples of a stride that pass and whose next does not, between some taken to do so; or low."""
        least, most = low // stride, -(-high // stride)
        while (which := np.flatnonzero(most - least > 1)).size:
            gap = (most - least)[which, None]
            # With fewer between them than trials, the last ones are tried twice.
            trials = least[which, None] + np.minimum(
                np.arange(1, self.trials + 1) * -(-gap // (self.trials + 1)), gap - 1
            )
            passes = self._passes(scale, which, trials * stride)
            steps = np.concatenate([least[which, None], trials, most[which, None]], axis=1)
            stop = 1 + np.where(passes.all(1), self.trials, passes.argmin(1))
            row = np.arange(len(which))
            least[which], most[which] = steps[row, stop - 1], steps[row, stop]
        return np.maximum(low, least * stride)

    def _bracket(self, scale: Scale, stated: Ints) -> tuple[Ints, Ints]:
        """Return steps that pass and that fail, doubling the distance from what the file says."""
        low, high = np.full_like(stated, scale.first - 1), np.full_like(stated, scale.last + 1)
        good = self._passes(scale, np.arange(self.many), stated[:, None])[:, 0]
        low, high = np.where(good, stated, low), np.where(good, high, stated)
        way = max(scale.stated, scale.strides[0])
        which = np.arange(self.many)
        while which.size:
            trial = stated[which] + np.where(good[which], way, -way)
            passes = self._passes(scale, which, trial[:, None])[:, 0]
            inside = (scale.first <= trial) & (trial <= scale.last)
            low[which] = np.where(inside & passes, trial, low[which])
            high[which] = np.where(inside & ~passes, trial, high[which])
            which, way = which[inside & (passes == good[which])], 2 * way
        return low, high

    def _scanned(self, scale: Scale, best: Ints, many: int, stride: int) -> Ints:
        """Return the last of the following multiples of a stride that pass, until so many in a row do not."""
        which = np.arange(self.many)
        while which.size:
            steps = (best[which, None] // stride + np.arange(1, many + 1)) * stride
            passes = self._passes(scale, which, steps)
            found = many - 1 - passes[:, ::-1].argmax(1)
            some = passes.any(1)
            best[which] = np.where(some, steps[np.arange(len(which)), found], best[which])
            which = which[some]
        return best

    def _passes(self, scale: Scale, which: Ints, steps: Ints) -> NDArray[np.bool_]:
        """Return which steps pass, (combinations, trials); those before the first do, those after the last do not."""
        passes = steps <= scale.last
        inside = passes & (steps >= scale.first)
        combinations = np.broadcast_to(which[:, None], steps.shape)[inside]
        passes[inside] = ~self._verdicts(scale, combinations, steps[inside])["fails"]
        return passes

    def _verdicts(self, scale: Scale, which: Ints, steps: Ints) -> dict[str, NDArray[Any]]:
        """Return the verdicts on steps of combinations; what the loader refuses only fails beyond the stated step."""
        found: dict[str, NDArray[Any]] = {name: np.zeros(len(steps), kind) for name, kind in _VERDICT.items()}
        found["binds"][:] = scale.refusal
        found["fails"][:] = steps > scale.turned(scale.stated)
        if not len(steps):
            return found
        block = self._block(scale.numbers(steps), which)
        wrong = refused(assigned(self.base, block), (block.height, block.width)).ravel()
        # No room in the address space is only found when it is laid out, and then there is none for more either.
        full = np.full(self.many, scale.last + 1)
        parts = [np.flatnonzero(~wrong)]
        while parts:
            part = parts.pop()
            part = part[steps[part] < full[which[part]]]
            try:
                answer = self._ask(_taken(block, part), self._verdict, _VERDICT) if part.size else {}
            except InputError:
                if len(part) > 1:
                    parts += [part[len(part) // 2 :], part[: len(part) // 2]]
                else:
                    full[which[part]] = steps[part]
                continue
            for name, values in answer.items():
                found[name][part] = values
        return found

    def _block(self, numbers: Mapping[Path, Numbers], which: Ints) -> Block:
        every = {**{path: each.take(which) for path, each in self.fixed.items()}, **numbers}
        moves = any(place.moves for path in every if (place := place_of(path)) is not None)
        return Block(every) if moves else Block(columns=every)

    def _ask(self, block: Block, question: Callable[[Outcome], dict[str, Number]], types: Any) -> dict[str, Any]:
        return self.study.ask(block, question, types)[self.policy.name]

    def _verdict(self, outcome: Outcome) -> dict[str, Number]:
        ledger = Ledger(outcome, self.study.config)
        demand = ledger.demand(outcome.counts)
        risk, place = ledger.levels(demand), ledger.room(demand, self.target)[1]
        binds = np.array([{"host": 0, "cgroup": 1}[boundary] for boundary in ledger.capacity])[place]
        if any(short.mode == "fail" for short in outcome.short_pools):
            risk, binds = len(RISK_ORDER) - 1, np.array(POOL)
        over = sum(outcome.counts) > self.study.config.pid_max
        fails = (np.asarray(risk) > RISK_ORDER.index(self.target)) | over
        return {"fails": fails, "risk": risk, "binds": chosen(over, PID_MAX, binds)}

    def _growth(self, outcome: Outcome) -> dict[str, Number]:
        ledger = Ledger(outcome, self.study.config)
        value, binds, beyond = largest_of_many(ledger, self.target)
        risk = ledger.levels(ledger.demand(beyond))
        groups = outcome.workload.processes.values()
        alone = sum(count for count, group in zip(beyond, groups, strict=True) if group.scale == "proportional") == 0
        return {"value": value, "beyond": sum(beyond), "alone": alone, "risk": risk, "binds": binds}


def _taken(block: Block, which: Ints) -> Block:
    """Return some of the scenarios of a block that has rows or columns only."""
    one = np.zeros(1, np.int64)
    return block.take(which, one) if block.rows else block.take(one, which)
