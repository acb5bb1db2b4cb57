"""Numbers that may stand for many scenarios at once.

A `Number` is an int, or an array that broadcasts to shape (L, C): L layouts of the mappings, each with C assignments
of all numbers that move no mapping.  What places mappings has shape (L, 1).  Rules are written once for both; where
one of them branches, the scenarios must agree (`agreed`), and are evaluated apart where they do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Number = Any  # int | NDArray of int64, or of int objects where int64 does not hold them
SAFE = float(1 << 62)


class Disagreement(Exception):
    """Scenarios that take different branches; ``classes`` (shape (L,) or (L, C)) are equal where they take one."""

    def __init__(self, classes: NDArray[Any]) -> None:
        super().__init__("the scenarios do not agree")
        self.classes = classes


def agreed(value: Any) -> Any:
    """Return what all scenarios have, as a Python scalar.  Raises Disagreement where they differ."""
    if not isinstance(value, np.ndarray):
        return value
    first = value.reshape(-1)[0]
    if (value == first).all():
        return first.item() if isinstance(first, np.generic) else first
    raise Disagreement(value)


def smaller(left: Number, right: Number) -> Number:
    """Return the smaller of two numbers, scenario by scenario."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return np.minimum(left, right)
    return min(left, right)


def larger(left: Number, right: Number) -> Number:
    """Return the larger of two numbers, scenario by scenario."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return np.maximum(left, right)
    return max(left, right)


def chosen(condition: Any, then: Number, otherwise: Number) -> Number:
    """Return one of two numbers, scenario by scenario."""
    if any(isinstance(each, np.ndarray) for each in (condition, then, otherwise)):
        return np.where(condition, then, otherwise)
    return then if condition else otherwise


def flat(value: Number, layouts: int) -> Ints:
    """Return a number that places mappings as one value for each layout, shape (L,)."""
    return np.broadcast_to(np.asarray(value, np.int64).reshape(-1), (layouts,))


def is_single(counts: Sequence[Number], layouts: int) -> bool:
    """Whether counts of that many layouts are those of one scenario, whose figures are plain integers."""
    return layouts == 1 and not any(isinstance(count, np.ndarray) for count in counts)


def columns(counts: Sequence[Number], layouts: int) -> Ints:
    """Return the process counts of G groups in L layouts as a matrix, shape (L * G, C)."""
    if is_single(counts, layouts):
        return np.array(counts, np.int64)[:, None]
    shape = np.broadcast_shapes((layouts, 1), *(np.shape(count) for count in counts))
    return np.stack([np.broadcast_to(count, shape) for count in counts], axis=1).reshape(-1, shape[1])


def product(left: NDArray[Any], right: NDArray[Any], terms: int = 1) -> NDArray[Any]:
    """Return left * right of whole numbers, as int objects where int64 might not hold the sum of so many terms."""
    if object not in (left.dtype, right.dtype) and left.size and right.size:
        high = float(np.abs(left).max()) * float(np.abs(right).max())
        if high * terms * 64 < SAFE:
            return np.asarray(left * right)
    return np.asarray(left.astype(object) * right.astype(object))


def times(left: Number, right: Number) -> Number:
    """Return left * right, scenario by scenario."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return product(np.asarray(left), np.asarray(right))
    return left * right


def rounded(value: NDArray[np.float64]) -> NDArray[Any]:
    """Return expectations as whole numbers (to the even one half way), as `product` does where they are large."""
    if value.size == 1:
        return np.array(round(value.item()), object).reshape(value.shape)
    if not value.size or float(np.abs(value).max()) * 64 < SAFE:
        return np.rint(value).astype(np.int64)
    return np.array([round(each) for each in value.reshape(-1).tolist()], object).reshape(value.shape)


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """Return what `numpy.unique` does, which would load numpy.ma first, a tenth of what a short run takes."""
    return np.unique(values, return_counts=True)[0]


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """Amounts that are shares of a mapping, ``values`` / ``over``, or bytes where ``over`` is 0; shape (L, 1)."""

    values: Ints
    over: Ints

    def of(self, length: Number) -> Ints:
        """Return the bytes, rounded up, of mappings of so many bytes."""
        length, over, values = np.asarray(length), np.maximum(self.over, 1), self.values
        if over.dtype == object or int(over.max()) >= 1 << 31:
            length, over, values = length.astype(object), over.astype(object), values.astype(object)
        # length * values may leave int64 where the two terms do not.
        whole, rest = length // over, length % over
        found = np.where(self.over == 0, values, whole * values - (-rest * values // over))
        return found.astype(np.int64)
