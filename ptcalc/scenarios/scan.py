"""All scenarios of a sweep as columns, in blocks: what is written to files, filtered and drawn."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ptcalc.arch import Geometry
from ptcalc.errors import InputError
from ptcalc.risk import Config
from ptcalc.scenarios.block import Block
from ptcalc.scenarios.figures import DEFAULT
from ptcalc.scenarios.running import Shared, in_order
from ptcalc.scenarios.selecting import Column, Rows
from ptcalc.scenarios.space import Part, Space
from ptcalc.scenarios.study import Study
from ptcalc.scenarios.varied import ARCH, Refusal, Varied, Vary, asked, no_policy, of_combination, varied
from ptcalc.workload.loading import build
from ptcalc.workload.places import place_of
from ptcalc.workload.source import Positions

MAX_VARIANTS = 10_000
# Scenarios that are evaluated, sent and written at once.
PART = 1 << 15
# A word for many architectures means those that can have the workload, combination by combination: up to so many.
MAX_TRIED = 10_000


@dataclass(frozen=True, slots=True)
class _Variant:
    """The file with the words of a variant; ``policies`` are the places of its policies among all of the scan."""

    study: Shared[Study]
    policies: tuple[int, ...]
    lenient: bool


@dataclass(frozen=True, slots=True)
class Task:
    """A part of the scenarios, by its number, with all that it takes to evaluate it elsewhere."""

    number: int
    space: Shared[Space]
    part: Part
    variant: _Variant

    def run(self) -> tuple[dict[str, NDArray[Any]], list[tuple[int, InputError]]]:
        """Return the figures of all rows of the part, and the scenarios (places in it) that are refused, and why."""
        space, study = self.space.thing, self.variant.study.thing
        block = space.block(self.part)
        if self.variant.lenient:
            found, refused = _lenient(study, block)
        else:
            found, refused = study.evaluate(block), []
        columns = {}
        for name in study.figures:
            by_policy = [space.arranged(self.part, figures[name]) for figures in found.values()]
            columns[name] = np.stack(by_policy, axis=1).reshape(-1)
        order = space.arranged(self.part, np.arange(len(self.part)))
        where = np.argsort(order)
        return columns, [(int(where[at]), why) for at, why in refused]


Refused = Sequence[tuple[int, InputError]]
Evaluated = TypeVar("Evaluated")


def _figures(task: Task) -> tuple[dict[str, NDArray[Any]], Refused]:
    return task.run()


@dataclass(frozen=True, slots=True)
class Frame:
    """What rows have beside their figures: the values on each axis, ``policy`` and ``state``."""

    kinds: tuple[tuple[str, NDArray[Any]], ...]  # of each axis
    states: NDArray[np.int8]  # of each policy

    def rows(self, task: Task, columns: Mapping[str, NDArray[Any]], refused: Refused) -> Rows:
        """Return the rows of a task with what they have beside its figures, those of refused scenarios left out."""
        space, policies = task.space.thing, task.variant.policies
        each = len(policies)
        rows: dict[str, NDArray[Any]] = {}
        for axis, (_, values), places in zip(space.axes, self.kinds, space.places(task.part), strict=True):
            rows[axis.path] = np.repeat(values[places], each)
        rows["policy"] = np.tile(np.array(policies, np.int8), len(task.part))
        rows["state"] = self.states[rows["policy"]]
        rows.update(columns)
        if refused:
            keep = np.ones(len(task.part), bool)
            keep[[at for at, _ in refused]] = False
            keep = np.repeat(keep, each)
            rows = {name: column[keep] for name, column in rows.items()}
        return rows


class Scan:
    """Every scenario of some axes under every policy, a row for each; see `scan`."""

    def __init__(
        self,
        what: Varied,
        space: Space,
        policies: Sequence[str],
        variants: Mapping[int, _Variant],
        refusals: Sequence[Refusal],
    ) -> None:
        self.axes = what.axes
        self.space = space
        self.policies = tuple(policies)
        self.refusals = list(refusals)
        self._what = what
        self._variants = variants
        studies = [variant.study.thing for variant in variants.values()]
        known = {name: availability for study in studies for name, availability in study.availability.items()}
        self.availability = {policy: known[policy] for policy in self.policies}
        states = [availability.state for availability in self.availability.values()]
        self._states = tuple(dict.fromkeys(states))
        first = studies[0]
        self.done = 0  # scenarios whose rows have been handed out
        self.name, self.file = first.name, first.document.file
        self._figures = first.figures
        kinds = tuple(_axis_kind(space, at) for at in range(len(self.axes)))
        self.frame = Frame(kinds, np.array([self._states.index(state) for state in states], np.int8))

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of rows: the axes, ``policy`` and its ``state`` (who has it), and the figures."""
        axes = [
            Column(axis.path, kind, tuple(dict.fromkeys(axis.values)) if kind == "word" else ())  # type: ignore[arg-type]
            for axis, (kind, _) in zip(self.axes, self.frame.kinds, strict=True)
        ]
        figures = [Column(name, figure.kind, figure.words) for name, figure in self._figures.items()]
        return (*axes, Column("policy", "word", self.policies), Column("state", "word", self._states), *figures)

    def __len__(self) -> int:
        """Return the number of scenarios."""
        return len(self.space)

    def values(self, axis: int) -> NDArray[Any]:
        """Return all values of an axis as rows have them: numbers, or the places of its words."""
        return self.frame.kinds[axis][1]

    def tasks(self, size: int = PART) -> Iterator[Task]:
        """Return the work in parts of at most so many scenarios, in the order of their rows."""
        shared = Shared(self.space)
        there = (part for part in self.space.parts(size) if part.variant in self._variants)
        for number, part in enumerate(there):
            yield Task(number, shared, part, self._variants[part.variant])

    def blocks(
        self,
        executor: Executor | None = None,
        workers: int = 1,
        size: int = PART,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Rows]:
        """Return all rows in blocks, scenario after scenario, each with its policies in their order.

        They do not depend on the executor and the size of the parts.  ``progress`` is told how many scenarios of the
        space are done.  Raises InputError for a scenario that `load` or `estimate` refuse.
        """
        for task, columns, refused in self.worked(_figures, executor, workers, size, progress):
            yield self.frame.rows(task, columns, refused)

    def worked(
        self,
        work: Callable[[Task], tuple[Evaluated, Refused]],
        executor: Executor | None = None,
        workers: int = 1,
        size: int = PART,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[tuple[Task, Evaluated, Refused]]:
        """Return what becomes of each part where it is evaluated, and which of its scenarios are refused.

        Raises what `blocks` raises.
        """
        tasks: deque[Task] = deque()

        def remembered() -> Iterator[Task]:
            for task in self.tasks(size):
                tasks.append(task)
                yield task

        counted: Counter[tuple[object, ...]] = Counter()
        for evaluated, refused in in_order(work, remembered(), executor, workers):
            task = tasks.popleft()
            for at, why in refused:
                self._refuse(task, at, why, counted)
            self.done = task.part.first + len(task.part)
            yield task, evaluated, refused
            if progress is not None:
                progress(self.done)

    def _refuse(self, task: Task, at: int, why: InputError, counted: Counter[tuple[object, ...]]) -> None:
        places = [int(index[at]) for index in self.space.places(task.part)]
        values = tuple((axis.path, axis.values[place]) for axis, place in zip(self.axes, places, strict=True))
        self.refusals.append(Refusal(values, "", why.message))
        # What no architecture can have is not for want of a better one.
        others = tuple(place for place, path in zip(places, self._what.paths, strict=True) if path != ARCH)
        counted[others] += 1
        many = next(len(axis.values) for axis, path in zip(self.axes, self._what.paths, strict=True) if path == ARCH)
        if counted[others] == many:
            raise why


def scan(
    document: Positions,
    vary: Vary,
    *,
    zipped: bool = False,
    policies: Sequence[str] | None = None,
    figures: Sequence[str] = DEFAULT,
    config: Config | None = None,
    choices: Mapping[str, str] | None = None,
    geometries: Mapping[str, Geometry] | None = None,
    strict: bool = False,
) -> Scan:
    """Prepare the rows for all combinations of values (``zipped``: for those that stand beside each other).

    ``vary``, ``policies`` and ``choices`` are those of `ptcalc.sweep`, ``figures`` names of `figures.FIGURES`.
    Raises InputError for what cannot be, as far as that is known before scenarios are evaluated.
    """
    settings = config or Config()
    own = {**(geometries or {}), **settings.geometries}
    what = varied(document, vary, own, zipped=zipped)
    space = Space(what.axes, what.paths, zipped=zipped)
    if len(space.variants) > MAX_VARIANTS:
        text = f"{len(space.variants):,} combinations of values that are no numbers"
        raise InputError(text, accepted=f"at most {MAX_VARIANTS:,}")
    variants: dict[int, tuple[Study, bool]] = {}
    refusals: list[Refusal] = []
    errors: list[InputError] = []
    for number, words in enumerate(space.variants):
        named = list(zip(space.words, words, strict=True))
        name = next((word for at, word in named if what.paths[at] == ARCH), "")
        lenient = name in what.wild and len(space) <= MAX_TRIED
        shown = [(what.axes[at].path, word) for at, word in named]
        try:
            base = _first(document, what, space, number, own, strict=strict, lenient=lenient)
        except InputError as error:
            if not lenient:
                raise
            errors.append(error)
            refusals.append(Refusal(tuple(shown), "", error.message))
            continue
        geometry = build(base, strict=strict, geometries=own).geometry
        there, missing = asked(geometry, policies)
        for policy in missing:
            absent = no_policy(policy, geometry)
            if not lenient:
                raise absent
            errors.append(absent)
            refusals.append(Refusal(tuple(shown), policy, absent.message))
        if there:
            study = Study(
                base, policies=there, figures=figures, config=settings, choices=choices, geometries=own,
                strict=strict, option="--vary ",
            )  # fmt: skip
            variants[number] = study, lenient
    if not variants:
        raise errors[0]
    names = tuple(dict.fromkeys(policy for study, _ in variants.values() for policy in study.policies))
    for found, refusal in zip(errors, refusals, strict=True):
        # A policy that no architecture has is not for want of a better one.
        if refusal.policy and refusal.policy not in names:
            raise found
    made = {
        number: _Variant(Shared(study), tuple(map(names.index, study.policies)), lenient)
        for number, (study, lenient) in variants.items()
    }
    return Scan(what, space, names, made, refusals)


def _first(
    document: Positions,
    what: Varied,
    space: Space,
    variant: int,
    own: Mapping[str, Geometry],
    *,
    strict: bool,
    lenient: bool,
) -> Positions:
    """Return the file with the values of the first scenario of a variant (that can be, if it is `lenient`)."""
    first: InputError | None = None
    for part in space.parts_of(variant, 1):
        places = [int(index[0]) for index in space.places(part)]
        overrides = what.overrides((at, axis.values[places[at]]) for at, axis in enumerate(what.axes))
        base = document.overridden(overrides)
        try:
            build(base, strict=strict, geometries=own)
        except InputError as wrong:
            first = first or of_combination(wrong, document, overrides)
            if not lenient:
                raise first from None
        else:
            return base
    assert first is not None
    raise first


def _axis_kind(space: Space, at: int) -> tuple[str, NDArray[Any]]:
    """Return what an axis holds, and its values as rows have them."""
    numbers = space.numbers[at]
    place = place_of(space.paths[at])
    each = [] if numbers is None else [numbers.number(number) for number in range(len(numbers.values))]
    shares = sum(isinstance(number, Fraction) for number in each)
    if numbers is None or place is None or 0 < shares < len(each):
        place_of_word = {word: number for number, word in enumerate(dict.fromkeys(space.axes[at].values))}
        return "word", np.array([place_of_word[word] for word in space.axes[at].values])
    if shares:
        return "share", np.array([float(number) for number in each])
    return "count" if place.unit == "count" else "bytes", np.array(each, np.int64)


def _lenient(study: Study, block: Block) -> tuple[dict[str, dict[str, NDArray[Any]]], list[tuple[int, InputError]]]:
    """Evaluate what can be; return zeros for the scenarios that are refused, and which and why."""
    try:
        return study.evaluate(block), []
    except InputError as error:
        if len(block) == 1:
            nothing = {name: np.zeros(1, figure.dtype) for name, figure in study.figures.items()}
            return dict.fromkeys(study.policies, nothing), [(0, error)]
    height, width = block.height, block.width
    rows, columns = np.arange(height), np.arange(width)
    if height > 1:
        halves = [(rows[: height // 2], columns), (rows[height // 2 :], columns)]
    else:
        halves = [(rows, columns[: width // 2]), (rows, columns[width // 2 :])]
    found: dict[str, dict[str, NDArray[Any]]] = {
        policy: {name: np.zeros((height, width), figure.dtype) for name, figure in study.figures.items()}
        for policy in study.policies
    }
    refused: list[tuple[int, InputError]] = []
    for some, across in halves:
        part, wrong = _lenient(study, block.take(some, across))
        for policy, figures in part.items():
            for name, values in figures.items():
                found[policy][name][np.ix_(some, across)] = values.reshape(len(some), len(across))
        refused += [(int(some[at // len(across)]) * width + int(across[at % len(across)]), why) for at, why in wrong]
    return {policy: {name: each.reshape(-1) for name, each in of.items()} for policy, of in found.items()}, refused
