"""The scenarios of a sweep: the grid of some axes, or their values side by side, in parts that are evaluated anywhere.

Axes whose values are no numbers (architectures, protections, ``touch: all``) make variants of the file, which are
evaluated one after the other.  Within a variant the last axis varies fastest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, product
from math import prod

import numpy as np
from numpy.typing import NDArray

from ptcalc.errors import InputError
from ptcalc.scenarios.block import Block, Numbers
from ptcalc.workload.places import place_of
from ptcalc.workload.source import Path

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Axis:
    """A place of the workload file, as a dotted path, and the values that stand there one after the other."""

    path: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Some scenarios of one variant: for each dimension of numbers from ``start`` to ``stop``.

    ``first`` is the number of its first scenario in the whole space.
    """

    first: int
    variant: int
    start: tuple[int, ...]
    stop: tuple[int, ...]

    def __len__(self) -> int:
        return prod(stop - start for start, stop in zip(self.start, self.stop, strict=True))


class Space:
    """Every combination of the values of some axes, or (``zipped``) the first values of all, the second ones, ...

    ``paths`` are those of the axes in the document.  Raises InputError where axes to be zipped differ in length.
    """

    def __init__(self, axes: Sequence[Axis], paths: Sequence[Path], *, zipped: bool = False) -> None:
        self.axes = tuple(axes)
        self.paths = tuple(paths)
        self.zipped = zipped
        self.numbers = [_numbers(axis, path) for axis, path in zip(axes, paths, strict=True)]
        self.words = [at for at, numbers in enumerate(self.numbers) if numbers is None]
        self._counted = [at for at, numbers in enumerate(self.numbers) if numbers is not None]
        lengths = [len(axis.values) for axis in axes]
        if zipped:
            for axis in axes[1:]:
                if len(axis.values) != lengths[0]:
                    text = f"{len(axis.values):,} values beside {lengths[0]:,} of {axes[0].path}"
                    raise InputError(text, accepted="as many values on all axes", file=f"--vary {axis.path}")
            all_ = range(lengths[0] if axes else 1)
            words_of = [tuple(axes[at].values[place] for at in self.words) for place in all_]
            # Together as long as their words are the same, if there are numbers that differ.
            alone = not self._counted
            runs = groupby(all_, key=lambda place: (words_of[place], place if alone else 0))
            self._runs = [(words, list(places)) for (words, _), places in runs]
            self.variants = [words for words, _ in self._runs]
        else:
            self.variants = list(product(*(axes[at].values for at in self.words)))
        self._dimensions = [lengths[at] for at in self._counted]

    def __len__(self) -> int:
        if self.zipped:
            return sum(len(places) for _, places in self._runs)
        return len(self.variants) * prod(self._dimensions)

    def parts(self, size: int) -> Iterator[Part]:
        """Return all scenarios in their order, in parts of at most so many."""
        first = 0
        for variant in range(len(self.variants)):
            for part in self.parts_of(variant, size, first):
                yield part
                first += len(part)

    def parts_of(self, variant: int, size: int, first: int = 0) -> Iterator[Part]:
        """Return the scenarios of one variant, counted from ``first``."""
        for start, stop in self._zipped(variant, size) if self.zipped else self._boxes(size):
            part = Part(first, variant, start, stop)
            yield part
            first += len(part)

    def _zipped(self, variant: int, size: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        places = self._runs[variant][1]
        for low in range(places[0], places[-1] + 1, size):
            yield (low,), (min(low + size, places[-1] + 1),)

    def _boxes(self, size: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Return boxes that lie behind each other in the order of the scenarios: whole in the last dimensions."""
        lengths = self._dimensions
        whole, cut = 1, len(lengths)
        while cut and whole * lengths[cut - 1] <= size:
            cut -= 1
            whole *= lengths[cut]
        tail_start, tail_stop = (0,) * (len(lengths) - cut), tuple(lengths[cut:])
        if not cut:
            yield tail_start, tail_stop
            return
        step = max(1, size // whole)
        for head in np.ndindex(*lengths[: cut - 1]):
            for low in range(0, lengths[cut - 1], step):
                high = min(low + step, lengths[cut - 1])
                yield (*head, low, *tail_start), (*(place + 1 for place in head), high, *tail_stop)

    def block(self, part: Part) -> Block:
        """Return the numbers of a part; its scenarios are in the order of `Block` (see `arranged`)."""
        moving, still = self._split()
        if self.zipped:
            chosen = slice(part.start[0], part.stop[0])
            all_ = {self.paths[at]: self._of(at).take(chosen) for at in self._counted}
            return Block(all_, {}) if moving else Block({}, all_)
        return Block(self._product(part, moving), self._product(part, still))

    def arranged(self, part: Part, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return the values of a part's scenarios, which are in the order of its block, in the order of the space."""
        if self.zipped or len(values) == 0:
            return values
        lengths = [stop - start for start, stop in zip(part.start, part.stop, strict=True)]
        moving, still = self._split()
        order = [*moving, *still]
        placed = values.reshape([lengths[place] for place in order])
        return placed.transpose(np.argsort(order)).reshape(-1)

    def places(self, part: Part) -> list[Ints]:
        """Return for each axis which of its values stands there, in the order of the space."""
        many = len(part)
        if self.zipped:
            return [np.arange(part.start[0], part.stop[0])] * len(self.axes)
        words = self.variants[part.variant]
        found = [np.full(many, self.axes[at].values.index(word)) for at, word in zip(self.words, words, strict=True)]
        ranges = [np.arange(start, stop) for start, stop in zip(part.start, part.stop, strict=True)]
        inner = np.meshgrid(*ranges, indexing="ij") if ranges else []
        by_axis = dict(zip(self.words, found, strict=True)) | {
            at: index.reshape(-1) for at, index in zip(self._counted, inner, strict=True)
        }
        return [by_axis[at] for at in range(len(self.axes))]

    def _split(self) -> tuple[list[int], list[int]]:
        """Return the dimensions that move mappings, and the others."""
        moves = [place is not None and place.moves for place in (place_of(self.paths[at]) for at in self._counted)]
        numbered = range(len(self._counted))
        return [at for at in numbered if moves[at]], [at for at in numbered if not moves[at]]

    def _product(self, part: Part, dimensions: list[int]) -> dict[Path, Numbers]:
        ranges = [np.arange(part.start[place], part.stop[place]) for place in dimensions]
        indices = np.meshgrid(*ranges, indexing="ij") if ranges else []
        found = {}
        for place, index in zip(dimensions, indices, strict=True):
            at = self._counted[place]
            found[self.paths[at]] = self._of(at).take(index.reshape(-1))
        return found

    def _of(self, at: int) -> Numbers:
        numbers = self.numbers[at]
        assert numbers is not None
        return numbers


def _numbers(axis: Axis, path: Path) -> Numbers | None:
    """Return the values of an axis as numbers; None where one of them is no number."""
    place = place_of(path)
    if place is None:
        return None
    found: list[int | Fraction] = []
    for text in axis.values:
        number = place.number(text)
        if number is None:
            return None
        found.append(number)
    return Numbers.of(found)
