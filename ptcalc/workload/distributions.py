"""Numbers of a workload file that are not known: distributions in their place, read and replaced by their medians.

``{uniform: [10%, 60%]}``, ``{triangular: [1000, 1500, 2500]}``, ``{normal: [12 MiB, 3 MiB], min: 4 MiB}``,
``{lognormal: [12 MiB, 0.5]}`` (median, and the standard deviation of the logarithm) and
``{empirical: [800, 1200, 1500]}``.  Parameters are written as the number itself would be.  All sampling goes through
`Distribution.quantiles`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ptcalc.errors import InputError, nearest, quote
from ptcalc.workload.places import Place, place_of
from ptcalc.workload.schema import TOUCH_KEYS
from ptcalc.workload.sizes import SIZE_LIMIT, kind_of, show_size
from ptcalc.workload.source import Node, Path, Positions

SHARE = 10**8  # shares are multiples of 1 / SHARE: a per cent has six decimals
LEAST = 2.0**-53  # draws lie between this and 1 - LEAST
MOST_SIGMA = 10.0
LEAST_MASS = 1e-6  # how much of a distribution its bounds must leave

FORMS = {
    "uniform": "{uniform: [lowest, highest]}",
    "triangular": "{triangular: [lowest, most likely, highest]}",
    "normal": "{normal: [mean, standard deviation], min: …, max: …}",
    "lognormal": "{lognormal: [median, sigma], min: …, max: …}",
    "empirical": "{empirical: [value, value, …]}",
}
_BOUNDED = ("normal", "lognormal")
_MANY = {"uniform": 2, "triangular": 3, "normal": 2, "lognormal": 2}
_NAMES = (("segments",), ("processes",), ("host", "hugepages"))  # whose keys are the user's
_STANDARD = NormalDist()

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Distribution:
    """One distribution; ``numbers`` and the bounds are bytes or counts, of shares (``share``) multiples of 1 / SHARE.

    ``text`` is how the file says it, ``unit`` that of its `Place`.
    """

    kind: str
    numbers: tuple[float, ...]
    text: str
    unit: str
    share: bool = False
    least: int | None = None
    most: int | None = None

    def quantiles(self, ranks: Floats) -> Ints:
        """Return the whole numbers below which these parts (between 0 and 1) of the distribution lie, rounded."""
        found = np.rint(self._quantiles(ranks))
        if self.kind in _BOUNDED:
            least, most = self.least, self.most
        else:
            least, most = int(min(self.numbers)), int(max(self.numbers))
        # Where floats are wider apart than whole numbers, rounding must not leave the bounds.
        low, high = (np.iinfo(np.int64).min if least is None else least), (SIZE_LIMIT if most is None else most)
        return np.clip(np.clip(found, -SIZE_LIMIT, SIZE_LIMIT).astype(np.int64), low, high)

    @property
    def median(self) -> int:
        """The number that half of all draws stay below."""
        return int(self.quantiles(np.array([0.5]))[0])

    def written(self, number: int) -> str:
        """Return a number as a file would say it."""
        if not self.share:
            return str(number) if self.unit == "count" else show_size(number)
        whole, rest = divmod(number, SHARE // 100)
        return f"{whole}.{rest:06d}".rstrip("0").rstrip(".") + "%"

    def _quantiles(self, ranks: Floats) -> Floats:
        first, *rest = self.numbers
        match self.kind:
            case "uniform":
                return np.asarray(first + ranks * (rest[0] - first))
            case "triangular":
                mode, last = rest
                rising = np.sqrt(ranks * (last - first) * (mode - first))
                falling = np.sqrt((1 - ranks) * (last - first) * (last - mode))
                return np.asarray(np.where(ranks * (last - first) < mode - first, first + rising, last - falling))
            case "empirical":
                return np.asarray(np.array(self.numbers)[np.ceil(ranks * len(self.numbers)).astype(int) - 1])
        low, high = self.mass()
        # One by one, but exact to the last digits, and without another library.
        inner = np.clip(low + ranks * (high - low), LEAST, 1 - LEAST)
        normal: Floats = np.array([_STANDARD.inv_cdf(rank) for rank in inner.tolist()])
        with np.errstate(over="ignore"):
            return np.asarray(first + rest[0] * normal if self.kind == "normal" else first * np.exp(rest[0] * normal))

    def mass(self) -> tuple[float, float]:
        """Return which parts of a normal or lognormal distribution lie below its least and its most."""
        first, sigma = self.numbers

        def below(bound: int) -> float:
            if self.kind == "normal":
                return _STANDARD.cdf((bound - first) / sigma)
            return _STANDARD.cdf(float(np.log(bound / first)) / sigma) if bound > 0 else 0.0

        return 0.0 if self.least is None else below(self.least), 1.0 if self.most is None else below(self.most)


def with_medians(document: Positions) -> Positions:
    """Return a document with the median in the place of each distribution, which stand in its ``uncertain``.

    Raises InputError, with its place, for what is meant as a distribution and is none.
    """
    root = document.root
    if root is None or not isinstance(root.value, dict):
        return document
    found: dict[Path, Distribution] = {}
    value = {
        key: (at, node if key.startswith("x-") else _replaced(document, node, (key,), found))
        for key, (at, node) in root.value.items()
    }
    return Positions(document.file, document.text, _like(root, value), found, document.overrides) if found else document


def _like(node: Node, value: str | list[Node] | dict[str, tuple[Node, Node]]) -> Node:
    return Node(value, node.line, node.column, node.plain, node.origin)


def _replaced(document: Positions, node: Node, path: Path, found: dict[Path, Distribution]) -> Node:
    """Return the node, or a copy with the medians of the distributions below it."""
    if isinstance(node.value, list):
        items = [_replaced(document, item, (*path, number), found) for number, item in enumerate(node.value)]
        return node if all(new is old for new, old in zip(items, node.value, strict=True)) else _like(node, items)
    if not isinstance(node.value, dict):
        return node
    place = place_of(path)
    if _is_meant(node.value, path, place):
        try:
            found[path] = _read(document, node, place)
        except InputError as error:
            placed = error if error.line else document.at(node, error)
            placed.message = f"{document.dotted(path)}: {placed.message}"
            placed.args = (placed.message,)
            raise placed from None
        median = _like(node, found[path].written(found[path].median))
        median.plain = True
        return median
    pairs = {key: (at, _replaced(document, each, (*path, key), found)) for key, (at, each) in node.value.items()}
    return node if all(pairs[key][1] is each for key, (_, each) in node.value.items()) else _like(node, pairs)


def _is_meant(value: dict[str, tuple[Node, Node]], path: Path, place: Place | None) -> bool:
    """Whether a mapping is meant as a distribution: it has the name of one, or a list where a number should stand."""
    if path in _NAMES:
        return False
    if place is None:
        return any(key in FORMS and isinstance(node.value, list) for key, (_, node) in value.items())
    if any(key in FORMS for key in value):
        return True
    return any(isinstance(node.value, list) and key not in TOUCH_KEYS for key, (_, node) in value.items())


def _read(document: Positions, node: Node, place: Place | None) -> Distribution:
    assert isinstance(node.value, dict)
    if place is None:
        raise InputError("a distribution stands where no number does", accepted="a distribution in place of a number")
    kind = next((key for key in node.value if key in FORMS), None)
    if kind is None:
        name = next(iter(node.value))
        raise InputError(
            f"{quote(name)} is no distribution", accepted=", ".join(FORMS), suggestion=nearest(name, FORMS)
        )
    for key, (at, _) in node.value.items():
        if key != kind and not (kind in _BOUNDED and key in ("min", "max")):
            raise document.at(at, InputError(f"{quote(key)} does not go with {kind}", accepted=FORMS[kind]))
    nodes = _listed(document, kind, node.value[kind][1])
    bounds = {key: at for key, (_, at) in node.value.items() if key != kind}
    own, limits, share = _numbers(document, kind, nodes, bounds, place)
    _in_order(document, kind, nodes, own)
    if len(limits) == 2 and limits["min"] > limits["max"]:
        what = f"min {_text(bounds['min'])} is more than max {_text(bounds['max'])}"
        raise document.at(bounds["min"], InputError(what, accepted="the smaller one as min"))
    shown = f"{kind} [{', '.join(map(_text, nodes))}]" + "".join(f", {key} {_text(at)}" for key, at in bounds.items())
    numbers = sorted(own) if kind == "empirical" else own
    found = Distribution(kind, tuple(numbers), shown, place.unit, share, limits.get("min"), limits.get("max"))
    if kind in _BOUNDED:
        _within(found)
    return found


def _listed(document: Positions, kind: str, content: Node) -> list[Node]:
    """Return the parameters of a distribution: a list, and as many as it has."""
    if not isinstance(content.value, list):
        shown = quote(content.value) if isinstance(content.value, str) else kind_of(content.value)
        raise document.at(content, InputError(f"{shown} instead of a list", accepted=FORMS[kind]))
    many = len(content.value)
    if not many:
        raise document.at(content, InputError("an empty list stands here", accepted=FORMS[kind]))
    if many != _MANY.get(kind, many):
        what = f"{kind} with {many} number{'s' if many > 1 else ''} instead of {_MANY[kind]}"
        raise document.at(content, InputError(what, accepted=FORMS[kind]))
    return content.value


def _numbers(
    document: Positions, kind: str, nodes: list[Node], bounds: dict[str, Node], place: Place
) -> tuple[list[float], dict[str, int], bool]:
    """Return the parameters and the bounds as `Distribution` has them, and whether they are shares."""
    own = nodes[:1] if kind == "lognormal" else nodes
    written = [*own, *bounds.values()]
    numbers = [_number(document, each, place) for each in written]
    share = isinstance(numbers[0], Fraction)
    for each, number in zip(written, numbers, strict=True):
        if isinstance(number, Fraction) != share:
            what = f"{_text(each)} beside {_text(written[0])}"
            raise document.at(each, InputError(what, accepted="shares alone, or sizes alone"))
    whole = [round(number * SHARE) if share else int(number) for number in numbers]
    limits = dict(zip(bounds, whole[len(own) :], strict=True))
    return [*whole[: len(own)], *([_sigma(document, nodes[1])] if kind == "lognormal" else [])], limits, share


def _text(node: Node) -> str:
    return str(node.value).strip()


def _number(document: Positions, node: Node, place: Place) -> int | Fraction:
    try:
        return place.read("" if node.null else node.value)
    except InputError as error:
        raise document.at(node, error) from None


def _sigma(document: Positions, node: Node) -> float:
    text = _text(node) if isinstance(node.value, str) else ""
    number = float(text) if re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,40})?", text, re.ASCII) else 0.0
    if not 0 < number <= MOST_SIGMA:
        shown = quote(text) if isinstance(node.value, str) else kind_of(node.value)
        raise document.at(node, InputError(f"sigma {shown}", accepted=f"a number above 0, up to {MOST_SIGMA:g}"))
    return number


def _in_order(document: Positions, kind: str, nodes: list[Node], numbers: list[float]) -> None:
    if kind in ("uniform", "triangular"):
        for number in range(1, len(numbers)):
            if numbers[number] < numbers[number - 1]:
                what = f"{_text(nodes[number])} after {_text(nodes[number - 1])}"
                raise document.at(nodes[number], InputError(f"{what}: bounds are crossed", accepted=FORMS[kind]))
    elif kind == "normal" and numbers[1] <= 0:
        raise document.at(nodes[1], InputError(f"standard deviation {_text(nodes[1])}", accepted="one above 0"))
    elif kind == "lognormal" and numbers[0] <= 0:
        raise document.at(nodes[0], InputError(f"median {_text(nodes[0])}", accepted="one above 0"))


def _within(found: Distribution) -> None:
    """Refuse what could be drawn and cannot stand in a file, however rarely."""
    low, high = found.mass()
    if high - low < LEAST_MASS:
        raise InputError(f"nearly nothing of {found.text} lies between its bounds", accepted="bounds around its middle")
    least, most = found.quantiles(np.array([LEAST, 1 - LEAST]))
    if least < 0:
        raise InputError(f"{found.text} reaches below 0", accepted="min: beside it, 0 or more")
    top = SHARE if found.share else SIZE_LIMIT - 1
    if most > top:
        what = "100%" if found.share else "what a size may be"
        raise InputError(f"{found.text} reaches above {what}", accepted="max: beside it")
