"""How far can one value go: the largest, or least, at which a workload still meets a risk level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from os import PathLike
from typing import get_args

from ptcalc.arch import Geometry
from ptcalc.errors import InputError
from ptcalc.policies import policies_of
from ptcalc.risk import Config
from ptcalc.scenarios.block import Numbers
from ptcalc.scenarios.scales import Value, Wanted, scale_of
from ptcalc.scenarios.searching import Answer, Search, Target
from ptcalc.scenarios.study import Study
from ptcalc.scenarios.varied import ARCH, Refusal, Vary, asked, check_apart, document_of, no_policy, varied
from ptcalc.workload.loading import build
from ptcalc.workload.model import Workload
from ptcalc.workload.places import place_of
from ptcalc.workload.source import Override, Path, Positions

TARGETS: tuple[Target, ...] = get_args(Target)
MAX_COMBINATIONS = 10_000


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
        scale = scale_of(base, self.wanted, self.group, self.segment)
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
            search = Search(study, known[name], self.target, fixed, len(combinations))
            found.append(search.grown() if scale is None else search.solved(scale))
        dotted = tuple(self.document.dotted(path) for path in places)
        return base.name, dotted, list(zip(*found, strict=True)), absent


def _number(path: Path, text: str) -> Value | None:
    place = place_of(path)
    return None if place is None else place.number(text)
