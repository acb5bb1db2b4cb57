"""What if other values stood in the file: a workload evaluated for every combination of some.

Values replace those of the parsed document before anything is checked, so that a combination is exactly what `load`
and `estimate` make of a file in which they stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from os import PathLike

from ptcalc import estimation, risk
from ptcalc.arch import Geometry
from ptcalc.errors import InputError
from ptcalc.result import PolicyResult
from ptcalc.scenarios.figures import FIGURES
from ptcalc.scenarios.scan import Scan, scan
from ptcalc.scenarios.space import Axis
from ptcalc.scenarios.varied import ARCH, Vary, asked, document_of, no_policy, of_combination, varied
from ptcalc.workload.loading import build
from ptcalc.workload.model import Workload
from ptcalc.workload.source import Override, Positions

__all__ = ["Axis", "Row", "Scan", "Sweep", "scan_workload", "sweep"]

MAX_COMBINATIONS = 10_000


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
    workload: str | PathLike[str] | Workload | Positions,
    vary: Vary,
    *,
    policies: Sequence[str] | None = None,
    config: risk.Config | None = None,
    choices: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Sweep:
    """Evaluate a workload, or the file at a path, for each combination of values.

    ``vary`` maps dotted paths of the file to values, written as in the file, or to a text as ``--vary`` has it
    (``{"host.arch": ["x86_64", "arm64-64k"], "processes.server.count": "100..3000:100"}``).  For host.arch, ``all``
    stands for every architecture and ``shipped`` for those that distributions ship; what one of these cannot do is
    said in its row.  ``policies`` (default: all) are those of `ptcalc.estimate`; ``hugetlb-default`` is that of the
    default huge page of each architecture.

    Raises InputError for a path that leads nowhere, for whatever `ptcalc.load` and `ptcalc.estimate` refuse, and for
    more than MAX_COMBINATIONS.
    """
    settings = config or risk.Config()
    document, own = document_of(workload)
    own |= settings.geometries
    what = varied(document, vary, own)
    axes, paths, wild = what.axes, what.paths, what.wild
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
        overrides = what.overrides(enumerate(values))
        try:
            found, answers = question.answers(overrides)
        except InputError as error:
            if name not in wild:
                raise of_combination(error, document, overrides) from None
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


def scan_workload(
    workload: str | PathLike[str] | Workload | Positions,
    vary: Vary,
    *,
    zipped: bool = False,
    policies: Sequence[str] | None = None,
    figures: Sequence[str] = tuple(FIGURES),
    config: risk.Config | None = None,
    choices: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Scan:
    """Prepare the rows of any number of combinations, as columns that come in blocks (`Scan.blocks`).

    What stands in them is `figures` of `ptcalc.scenarios.figures.FIGURES`; all else is as in `sweep`.  ``zipped``:
    the first values of all axes, the second ones, and so on.
    """
    document, own = document_of(workload)
    return scan(
        document, vary, zipped=zipped, policies=policies, figures=figures, config=config, choices=choices,
        geometries=own, strict=strict,
    )  # fmt: skip


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
        there, missing = asked(workload.geometry, self.policies)
        outcomes = estimation.evaluate(workload, there, self.choices)
        answers: list[tuple[str, PolicyResult | InputError]] = [
            (outcome.name, estimation.result_of(outcome, self.config, detailed=False)) for outcome in outcomes
        ]
        return workload, answers + [(name, no_policy(name, workload.geometry)) for name in missing]
