"""What if other values stood in the file: a workload evaluated for every combination of some.

Values replace those of the parsed document before anything is checked, so that a combination is exactly what `load`
and `estimate` make of a file in which they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from os import PathLike

from ptcalc import arch, estimation, risk
from ptcalc.arch import Geometry
from ptcalc.errors import MAX_SHOWN, InputError, nearest, quote
from ptcalc.policies import policies_of
from ptcalc.result import PolicyResult
from ptcalc.workload.loading import build, read
from ptcalc.workload.model import Workload
from ptcalc.workload.source import Override, Path, Positions

MAX_COMBINATIONS = 10_000
# The policy hugetlb-<size> for the default huge page of each architecture.
DEFAULT_HUGETLB = "hugetlb-default"
# Words for many architectures, as values of host.arch.
ARCH: Path = ("host", "arch")
EVERY, SHIPPED = "all", "shipped"


@dataclass(frozen=True, slots=True)
class Axis:
    """A place of the workload file, as a dotted path, and the values that stand there one after the other."""

    path: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One combination (``values``, in the order of the axes) under one policy.

    ``result`` is what `ptcalc.estimate` gives for it, without mappings and the lines of its ledger.  It is None where
    an architecture that was not asked for by its name cannot have the workload (``policy`` is empty) or the policy;
    ``why`` says what is in the way.
    """

    values: tuple[str, ...]
    arch: str
    kernel: str
    policy: str
    result: PolicyResult | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Sweep:
    """All combinations, the last axis varying fastest, with the policies of each in their own order."""

    name: str
    file: str
    axes: tuple[Axis, ...]
    rows: tuple[Row, ...]


def sweep(
    workload: str | PathLike[str] | Workload,
    vary: Mapping[str, Iterable[object]],
    *,
    policies: Sequence[str] | None = None,
    config: risk.Config | None = None,
    choices: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Sweep:
    """Evaluate a workload, or the file at a path, for each combination of values.

    ``vary`` maps dotted paths of the file to values, written as in the file (``{"host.arch": ["x86_64", "arm64-64k"],
    "processes.server.count": [100, 200]}``).  For host.arch, ``all`` stands for every architecture and ``shipped`` for
    those that distributions ship; what one of these cannot do is said in its row.  ``policies`` (default: all) are
    those of `ptcalc.estimate`; ``hugetlb-default`` is that of the default huge page of each architecture.

    Raises InputError for a path that leads nowhere, for whatever `ptcalc.load` and `ptcalc.estimate` refuse, and for
    more than MAX_COMBINATIONS.
    """
    settings = config or risk.Config()
    document = workload.positions if isinstance(workload, Workload) else read(workload)
    own = {**(workload.geometries if isinstance(workload, Workload) else {}), **settings.geometries}
    paths = _paths(document, vary)
    axes, wild = _axes(paths, vary, own)
    total = prod(len(axis.values) for axis in axes)
    if total > MAX_COMBINATIONS:
        raise InputError(f"{total:,} combinations of values", accepted=f"at most {MAX_COMBINATIONS:,}")

    question = _Question(document, own, policies, settings, choices or {}, strict)
    rows: list[Row] = []
    # What architectures refuse that were not asked for by name.  If all of them do, they are not what is wrong.
    refused: dict[tuple[str, ...], InputError] = {}
    possible: set[tuple[str, ...]] = set()
    for values in product(*(axis.values for axis in axes)):
        name = next((value for path, value in zip(paths, values, strict=True) if path == ARCH), "")
        others = tuple(value for path, value in zip(paths, values, strict=True) if path != ARCH)
        overrides = [
            Override(path, value, _origin(axis.path, value))
            for path, axis, value in zip(paths, axes, values, strict=True)
        ]
        try:
            found, answers = question.answers(overrides)
        except InputError as error:
            if name not in wild:
                raise _of_combination(error, document, overrides) from None
            refused.setdefault(others, error)
            rows.append(Row(values, name, "", "", None, error.message))
            continue
        possible.add(others)
        for policy, answer in answers:
            if isinstance(answer, PolicyResult):
                possible.add(("policy", policy))
                rows.append(Row(values, found.geometry.name, found.kernel.text, policy, answer))
            elif name in wild:
                refused.setdefault(("policy", policy), answer)
                rows.append(Row(values, found.geometry.name, found.kernel.text, policy, None, answer.message))
            else:
                raise answer
    for key, refusal in refused.items():
        if key not in possible:
            raise refusal
    return Sweep(found.name, document.file, axes, tuple(rows))


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of every combination."""

    document: Positions
    geometries: Mapping[str, Geometry]
    policies: Sequence[str] | None
    config: risk.Config
    choices: Mapping[str, str]
    strict: bool

    def answers(self, overrides: Sequence[Override]) -> tuple[Workload, list[tuple[str, PolicyResult | InputError]]]:
        """Return the workload with other values, and the result of each policy, or why there is none."""
        workload = build(self.document.overridden(overrides), strict=self.strict, geometries=self.geometries)
        geometry = workload.geometry
        known = [policy.name for policy in policies_of(geometry)]
        default = f"hugetlb-{geometry.huge_page_name(geometry.default_huge_page)}"
        asked = known if self.policies is None else [default if n == DEFAULT_HUGETLB else n for n in self.policies]
        there = [name for name in known if name in asked]
        outcomes = estimation.evaluate(workload, there, self.choices)
        answers: list[tuple[str, PolicyResult | InputError]] = [
            (outcome.name, estimation.result_of(outcome, self.config, detailed=False)) for outcome in outcomes
        ]
        missing = dict.fromkeys(name for name in asked if name not in known)
        return workload, answers + [(name, _no_policy(name, known, geometry)) for name in missing]


def _of_combination(error: InputError, document: Positions, overrides: Sequence[Override]) -> InputError:
    """Return the error of a combination; if it points into the file, with the values that this does not go with."""
    if error.file == document.file:
        error.message += f" (with {', '.join(override.origin for override in overrides)})"
        error.args = (error.message,)
    return error


def _no_policy(name: str, known: Sequence[str], geometry: Geometry) -> InputError:
    return InputError(
        f"{quote(name)} is no policy of {geometry.name}",
        accepted=", ".join((*known, DEFAULT_HUGETLB)),
        suggestion=nearest(name, known),
    )


def _origin(path: str, value: str) -> str:
    return f"--vary {path}={value}" if len(value) <= MAX_SHOWN else f"--vary {path}={value[:MAX_SHOWN]}…"


def _paths(document: Positions, vary: Iterable[str]) -> list[Path]:
    """Return the paths that dotted texts name; none of them leads to or into another."""
    found: list[Path] = []
    for dotted in vary:
        try:
            path = document.resolve(dotted)
        except InputError as error:
            raise error.located(f"--vary {dotted}") from None
        for other in found:
            shorter = min(len(path), len(other))
            if path[:shorter] == other[:shorter]:
                what = f"{document.dotted(other)} is varied already"
                raise InputError(what, accepted="paths that do not lead into each other", file=f"--vary {dotted}")
        found.append(path)
    return found


def _axes(
    paths: Sequence[Path], vary: Mapping[str, Iterable[object]], own: Mapping[str, Geometry]
) -> tuple[tuple[Axis, ...], set[str]]:
    """Return the axes, and the architectures that only a word for many stands for."""
    known = {**arch.known(), **own}
    # Distributions ship what a short name leads to, and architectures that come in one form.
    shipped = [name for name, geometry in arch.known().items() if geometry.aliases or "-" not in name]
    words = {EVERY: list(known), SHIPPED: shipped}
    axes: list[Axis] = []
    wild: set[str] = set()
    for path, (dotted, given) in zip(paths, vary.items(), strict=True):
        values = [str(value) for value in given]
        if path == ARCH:
            spelled = [words.get(value, [value]) for value in values]
            wild = {name for value in values for name in words.get(value, ())} - set(values)
            values = [name for names in spelled for name in names]
        if not values:
            raise InputError("no value", accepted="one value or more", file=f"--vary {dotted}")
        axes.append(Axis(dotted, tuple(dict.fromkeys(values))))
    return tuple(axes), wild
