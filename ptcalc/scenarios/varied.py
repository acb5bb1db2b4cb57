"""What is varied: the places that dotted paths name, the values that stand there, and the policies asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike

from ptcalc import arch
from ptcalc.arch import Geometry
from ptcalc.errors import MAX_SHOWN, InputError, nearest, quote
from ptcalc.policies import policies_of
from ptcalc.scenarios.axes import parse_values
from ptcalc.scenarios.space import Axis
from ptcalc.workload.loading import read
from ptcalc.workload.model import Workload
from ptcalc.workload.source import Override, Path, Positions

# The policy hugetlb-<size> for the default huge page of each architecture.
DEFAULT_HUGETLB = "hugetlb-default"
# Words for many architectures, as values of host.arch.
ARCH: Path = ("host", "arch")
EVERY, SHIPPED = "all", "shipped"

Vary = Mapping[str, Iterable[object] | str]


@dataclass(frozen=True, slots=True)
class Varied:
    """Axes and their paths; ``wild`` are the architectures that only a word for many stands for."""

    axes: tuple[Axis, ...]
    paths: tuple[Path, ...]
    wild: frozenset[str]

    def overrides(self, values: Iterable[tuple[int, str]]) -> list[Override]:
        """Return values, each with the number of its axis, as what replaces those of the file."""
        return [Override(self.paths[at], value, origin(self.axes[at].path, value)) for at, value in values]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Values (by the path of their axis) that an architecture nobody named cannot have, or a policy it cannot have."""

    values: tuple[tuple[str, str], ...]
    policy: str
    why: str


def varied(document: Positions, vary: Vary, own: Mapping[str, Geometry], *, zipped: bool = False) -> Varied:
    """Return what dotted paths and their values mean: a list of values, or a text as `parse_values` takes it.

    A value counts once on an axis, unless values stand beside each other (``zipped``).  ``own`` are architectures
    beside the known ones.  Raises InputError, with the path as its place.
    """
    paths = _paths(document, vary)
    known = {**arch.known(), **own}
    # Distributions ship what a short name leads to, and architectures that come in one form.
    shipped = [name for name, geometry in arch.known().items() if geometry.aliases or "-" not in name]
    words = {EVERY: list(known), SHIPPED: shipped}
    axes: list[Axis] = []
    wild: set[str] = set()
    for path, (dotted, given) in zip(paths, vary.items(), strict=True):
        try:
            values = list(parse_values(given, path)) if isinstance(given, str) else [str(value) for value in given]
        except InputError as error:
            raise error.located(f"--vary {dotted}") from None
        if path == ARCH:
            spelled = [words.get(value, [value]) for value in values]
            wild = {name for value in values for name in words.get(value, ())} - set(values)
            values = [name for names in spelled for name in names]
        if not values:
            raise InputError("no value", accepted="one value or more", file=f"--vary {dotted}")
        axes.append(Axis(dotted, tuple(values if zipped else dict.fromkeys(values))))
    return Varied(tuple(axes), tuple(paths), frozenset(wild))


def check_apart(document: Positions, path: Path, other: Path, what: str, dotted: str) -> None:
    """Raise InputError, at the option for ``dotted``, if it leads to or into another path, which is ``what``."""
    shorter = min(len(path), len(other))
    if path[:shorter] == other[:shorter]:
        message = f"{document.dotted(other)} is {what}"
        raise InputError(message, accepted="paths that do not lead into each other", file=f"--vary {dotted}")


def document_of(workload: str | PathLike[str] | Workload | Positions) -> tuple[Positions, dict[str, Geometry]]:
    """Return the document of a workload, or of the file at a path, and the architectures that came with it."""
    if isinstance(workload, Positions):
        return workload, {}
    if isinstance(workload, Workload):
        return workload.positions, dict(workload.geometries)
    return read(workload), {}


def asked(geometry: Geometry, policies: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Return the policies of an architecture that are asked for (default: all), and those that it does not have."""
    known = [policy.name for policy in policies_of(geometry)]
    if policies is None:
        return known, []
    default = f"hugetlb-{geometry.huge_page_name(geometry.default_huge_page)}"
    names = [default if name == DEFAULT_HUGETLB else name for name in policies]
    return [name for name in known if name in names], list(dict.fromkeys(name for name in names if name not in known))


def no_policy(name: str, geometry: Geometry) -> InputError:
    """Return the error for a policy that an architecture does not have."""
    known = [policy.name for policy in policies_of(geometry)]
    return InputError(
        f"{quote(name)} is no policy of {geometry.name}",
        accepted=", ".join((*known, DEFAULT_HUGETLB)),
        suggestion=nearest(name, known),
    )


def of_combination(error: InputError, document: Positions, overrides: Sequence[Override]) -> InputError:
    """Return the error of a combination; if it points into the file, with the values that this does not go with."""
    if error.file == document.file and overrides:
        error.message += f" (with {', '.join(override.origin for override in overrides)})"
        error.args = (error.message,)
    return error


def origin(path: str, value: str) -> str:
    """Return what a value comes from, as errors name it."""
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
            check_apart(document, path, other, "varied already", dotted)
        found.append(path)
    return found
