"""How far can one value go: the largest, or least, at which a workload still meets a risk level.

Values are whole steps of a `Scale`, the stated one among them.  From there, doublings find two steps between which
the answer lies, and many trials at once narrow them down.  Demand need not grow with every step: where a chunk becomes
full, a huge page, or a shared table, can take the place of many tables.  So the trials are first whole spans of page
tables, from the longest down, and what lies beyond the last one that passes is scanned until a whole span has nothing
that does.  That finds the last value that passes if one span more never needs less.  The next value has always been
evaluated, and fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, product
from math import prod
from os import PathLike
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ptcalc.arch import Geometry
from ptcalc.engine.numbers import Number, chosen
from ptcalc.errors import InputError, nearest, quote
from ptcalc.policies import Outcome, Policy, policies_of
from ptcalc.result import RISK_ORDER, Availability, RiskLevel
from ptcalc.risk import LIMITED_BY, Config, Ledger, largest_of_many
from ptcalc.scenarios.assigning import assigned, rows_each
from ptcalc.scenarios.block import Block, Ints, Numbers
from ptcalc.scenarios.study import Study
from ptcalc.scenarios.validity import refused
from ptcalc.scenarios.varied import ARCH, Refusal, Vary, asked, check_apart, document_of, no_policy, varied
from ptcalc.workload.checks import page_of
from ptcalc.workload.loading import build
from ptcalc.workload.model import Workload
from ptcalc.workload.places import place_of
from ptcalc.workload.sizes import MAX_COUNT, SIZE_LIMIT
from ptcalc.workload.source import Override, Path, Positions

Wanted = Literal["processes", "size", "memory", "touch"]
Target = Literal["ok", "warning", "critical"]
Value = int | Fraction

WANTED: tuple[Wanted, ...] = get_args(Wanted)
TARGETS: tuple[Target, ...] = get_args(Target)
# What binds: as `limited_by` of the contract; a pool of huge pages, the loader; nothing at all.
BINDS = (*LIMITED_BY, "pool", "refused", "nothing")
PID_MAX, POOL, REFUSED, NOTHING = (BINDS.index(name) for name in ("pid_max", "pool", "refused", "nothing"))
MIB = 1 << 20
MOST_MEMORY = 4 << 50  # bytes: what five levels of x86_64 can address
TOUCH_STEPS = 100_000  # of 0.001 % each
TRIALS = 63  # at once
ROWS = 1 << 18  # of layouts at once: segments in very many pieces are tried, and scanned, in fewer steps
MAX_COMBINATIONS = 10_000
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


@dataclass(frozen=True, slots=True)
class SolvedRow:
    """The answers for one combination of the values of the axes."""

    values: tuple[str, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Solution:
    """What was asked and found.  ``places`` are the dotted paths that got the value; none for all groups together."""

    name: str
    file: str
    wanted: Wanted
    places: tuple[str, ...]
    target: Target
    axes: tuple[tuple[str, tuple[str, ...]], ...]
    rows: tuple[SolvedRow, ...]
    refusals: tuple[Refusal, ...] = ()  # what architectures that only a word for many names cannot have

    @property
    def least(self) -> bool:
        """Whether the least value is asked for, and not the largest."""
        return self.wanted == "memory"


@dataclass(frozen=True, slots=True)
class Scale:
    """The steps of a value at some places.  ``rising``: a larger value needs more; ``strides``: spans in steps.

    Inside this module, steps are turned round where the least value is wanted, so that more steps need more.
    """

    paths: tuple[Path, ...]
    unit: int | Fraction
    first: int
    last: int
    stated: int  # the loader takes this one
    strides: tuple[int, ...]  # the last is 1
    rising: bool = True
    usable: Fraction | None = None  # mem_total / memory, of the second path
    refusal: int = REFUSED  # why the loader refuses what lies beyond

    def value(self, step: int) -> Value:
        """Return what a step stands for."""
        value: Value = self.turned(step) * self.unit
        return value

    def turned(self, step: Any) -> Any:
        """Return a step the other way round, if larger values need less."""
        return step if self.rising else self.first + self.last - step

    def numbers(self, steps: Ints) -> dict[Path, Numbers]:
        """Return what stands at the places, for each of some steps."""
        numbers = [self.value(step) for step in steps.tolist()]
        found = dict.fromkeys(self.paths, Numbers.of(numbers))
        if self.usable is not None:
            found[self.paths[1]] = Numbers.of([int(number * self.usable) for number in numbers])
        return found


def solve(
    workload: str | PathLike[str] | Workload | Positions,
    wanted: Wanted,
    *,
    group: str | None = None,
    segment: str | None = None,
    target: Target = "ok",
    vary: Vary | None = None,
    policies: Sequence[str] | None = None,
    config: Config | None = None,
    choices: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Solution:
    """Return the largest value of a workload, or of the file at a path, that still meets a risk level.

    ``wanted``: ``processes`` (of ``group``; else all together, as `max_processes` counts them), ``size`` of a segment
    in its pages, ``touch`` of the mappings of a segment (and group) in steps of 0.001 %, or ``memory``: the least
    host.cgroup_limit, if the file states one, else host.memory with mem_total in proportion, in MiB.  ``vary`` maps
    dotted paths to values, or to their text (``100..300:50``): a row for each combination, the last varying fastest.

    Raises InputError for what `load` and `estimate` refuse, for names that there are not, for a group or segment that
    is missing or makes no sense, and for values varied at the place that is solved for.
    """
    settings = config or Config()
    document, geometries = document_of(workload)
    geometries |= settings.geometries
    what = varied(document, vary or {}, geometries)
    paths, texts = what.paths, [axis.values for axis in what.axes]
    total = prod(map(len, texts))
    if total > MAX_COMBINATIONS:
        raise InputError(f"{total:,} combinations of values", accepted=f"at most {MAX_COMBINATIONS:,}")
    # Combinations that differ in numbers only are solved at once.
    variants: dict[tuple[Override, ...], list[tuple[int, tuple[str, ...]]]] = {}
    for number, values in enumerate(product(*texts)):
        named = [(at, text) for at, text in enumerate(values) if _number(paths[at], text) is None]
        words = tuple(what.overrides(named))
        variants.setdefault(words, []).append((number, values))
    question = _Question(
        document, wanted, group, segment, target, policies, settings, choices or {}, geometries, strict
    )
    rows: dict[int, SolvedRow] = {}
    refusals: list[Refusal] = []
    errors: list[InputError] = []
    name, places = "", tuple[str, ...]()
    for words, members in variants.items():
        lenient = any(override.path == ARCH and override.value in what.wild for override in words)
        variant = document.overridden(words)
        for some in [[member] for member in members] if lenient else [members]:
            shown = tuple((axis.path, value) for axis, value in zip(what.axes, some[0][1], strict=True))
            try:
                name, places, answers, absent = question.answered(
                    variant, paths, [values for _, values in some], lenient
                )
            except InputError as error:
                if not lenient:
                    raise
                errors.append(error)
                refusals.append(Refusal(shown, "", error.message))
                continue
            refusals += [Refusal(shown, policy, why.message) for policy, why in absent.items()]
            rows |= {at: SolvedRow(values, each) for (at, values), each in zip(some, answers, strict=True)}
    if not rows:
        raise errors[0]
    axes = tuple((axis.path, axis.values) for axis in what.axes)
    found = tuple(rows[at] for at in sorted(rows))
    return Solution(name, document.file, wanted, places, target, axes, found, tuple(refusals))


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of each combination."""

    document: Positions
    wanted: Wanted
    group: str | None
    segment: str | None
    target: Target
    policies: Sequence[str] | None
    config: Config
    choices: Mapping[str, str]
    geometries: Mapping[str, Geometry]
    strict: bool

    def answered(
        self, variant: Positions, paths: Sequence[Path], combinations: Sequence[tuple[str, ...]], lenient: bool
    ) -> tuple[str, tuple[str, ...], list[tuple[Answer, ...]], dict[str, InputError]]:
        """Solve for combinations that differ in numbers only.

        Returns the name of the workload, the places that got the value, the answers of each combination, and what is
        wrong with policies that this architecture does not have (``lenient``; else that is raised).
        """
        base = build(variant, strict=self.strict, geometries=self.geometries)
        scale = _scale(base, self.wanted, self.group, self.segment)
        places = () if scale is None else scale.paths
        for path, other in product(paths, places):
            check_apart(self.document, path, other, "what is solved for", self.document.dotted(path))
        there, missing = asked(base.geometry, self.policies)
        absent = {name: no_policy(name, base.geometry) for name in missing}
        if absent and not (lenient and there):
            raise next(iter(absent.values()))
        fixed = {
            path: Numbers.of([each for values in combinations if (each := _number(path, values[at])) is not None])
            for at, path in enumerate(paths)
            if _number(path, combinations[0][at]) is not None
        }
        known = {policy.name: policy for policy in policies_of(base.geometry)}
        found: list[list[Answer]] = []
        for name in there:
            study = Study(
                variant,
                policies=[name],
                config=self.config,
                choices=self.choices,
                geometries=self.geometries,
                strict=self.strict,
            )
            search = _Search(study, known[name], self.target, fixed, len(combinations))
            found.append(search.grown() if scale is None else search.solved(scale))
        dotted = tuple(self.document.dotted(path) for path in places)
        return base.name, dotted, list(zip(*found, strict=True)), absent


class _Search:
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


def _scale(base: Workload, wanted: Wanted, group: str | None, segment: str | None) -> Scale | None:
    """Return the steps of what is wanted; None for the processes of all groups, which are not one number."""
    if wanted not in WANTED:
        raise InputError(f"{quote(wanted)} cannot be solved for", accepted=", ".join(WANTED))
    if group is not None:
        if wanted not in ("processes", "touch"):
            raise InputError(f"a group has no {wanted} of its own", accepted="a group with processes or touch")
        _one_of(group, base.processes, "group of processes")
    if segment is not None and wanted not in ("size", "touch"):
        raise InputError(f"a segment has no {wanted} of its own", accepted="a segment with size or touch")
    if wanted == "memory":
        return _memory(base)
    if wanted == "processes":
        if group is None:
            return None
        path: Path = ("processes", group, "count")
        return Scale((path,), 1, 1, MAX_COUNT, base.processes[group].count, (64, 1), refusal=PID_MAX)
    if segment is None:
        if len(base.segments) != 1:
            what = "there are several segments" if base.segments else "there is no segment"
            raise InputError(f"{what}: say which", accepted=f"--segment with one of {', '.join(base.segments)}")
        (segment,) = base.segments
    _one_of(segment, base.segments, "segment")
    if wanted == "size":
        return _size(base, segment)
    mappings = [
        (("processes", name, "mappings", at), each)
        for name, one in base.processes.items()
        for at, each in enumerate(one.mappings)
        if each.segment == segment and group in (None, name)
    ]
    if not mappings:
        whose = "no process" if group is None else quote(group)
        having = [name for name, one in base.processes.items() if any(m.segment == segment for m in one.mappings)]
        raise InputError(f"{whose} does not map {quote(segment)}", accepted=", ".join(having) or "a mapped segment")
    paths = tuple(_touch(base, path) for path, _ in mappings)
    return Scale(paths, Fraction(1, TOUCH_STEPS), 0, TOUCH_STEPS, TOUCH_STEPS, (128, 1))


def _size(base: Workload, segment: str) -> Scale:
    page = page_of(base.segments[segment], base.geometry)
    spans = {max(1, level.span // page) for level in base.geometry.levels[:2]}
    last = min(base.geometry.task_size, SIZE_LIMIT - 1) // page
    strides = tuple(sorted({*(span for span in spans if span <= last), 1}, reverse=True))
    path: Path = ("segments", segment, "size")
    return Scale((path,), page, 1, last, -(-base.segments[segment].size // page), strides)


def _memory(base: Workload) -> Scale:
    host = base.host
    limit, total = host.cgroup_limit, host.mem_total
    paths: tuple[Path, ...] = (("host", "memory" if limit is None else "cgroup_limit"),)
    usable = None
    if limit is None and total is not None:
        paths, usable = (*paths, ("host", "mem_total")), Fraction(total, host.memory)
    stated = min(-(-(host.memory if limit is None else limit) // MIB), MOST_MEMORY // MIB)
    return Scale(paths, MIB, 1, MOST_MEMORY // MIB, stated, (256, 1), False, usable)


def _touch(base: Workload, mapping: Path) -> Path:
    """Return where the amount that a mapping's touch says stands, or would stand."""
    path = (*mapping, "touch")
    group, at = str(mapping[1]), int(mapping[3])
    forms = base.processes[group].mappings[at].touch
    form = forms[0]
    if len(forms) > 1 or form.form not in ("all", "none", "amount") or form.pages is not None:
        raise base.error(
            path,
            "this says which pages are touched, not how much of the mapping",
            accepted="all, a share such as 24%, or {amount: 24%, pattern: contiguous}",
        )
    document = base.positions
    if not document.stated(path):
        return path
    for step in (0, "amount"):
        node = document.find(path)[0]
        if node is not None and isinstance(node.value, list if step == 0 else dict):
            path = (*path, step)
    return path


def _number(path: Path, text: str) -> Value | None:
    place = place_of(path)
    return None if place is None else place.number(text)


def _one_of(name: str, known: Iterable[str], what: str) -> None:
    if name not in (names := list(known)):
        guess = nearest(name, names)
        raise InputError(f"{quote(name)} is no {what}", accepted=", ".join(names) or "there is none", suggestion=guess)
