"""Scenarios in blocks: many assignments of numbers to places of one workload file, as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ptcalc.workload.source import Path

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Numbers:
    """What stands at one place in V scenarios, shape (V,): bytes or counts, or ``values`` / ``over`` of a mapping."""

    values: Ints
    over: Ints | None = None  # denominators of shares; 0 where the value is no share but bytes

    @classmethod
    def of(cls, numbers: list[int | Fraction]) -> Numbers:
        """Return a column of numbers as `Place.number` gives them."""
        if not any(isinstance(each, Fraction) for each in numbers):
            return cls(np.array(numbers, np.int64))
        values = np.array([each.numerator if isinstance(each, Fraction) else each for each in numbers], np.int64)
        over = np.array([each.denominator if isinstance(each, Fraction) else 0 for each in numbers], np.int64)
        return cls(values, over)

    def take(self, which: Ints | slice) -> Numbers:
        """Return the chosen ones."""
        return Numbers(self.values[which], None if self.over is None else self.over[which])

    def number(self, at: int) -> int | Fraction:
        """Return one of them."""
        if self.over is None or not self.over[at]:
            return int(self.values[at])
        return Fraction(int(self.values[at]), int(self.over[at]))

    def text(self, at: int) -> str:
        """Return one of them as a file would say it."""
        number = self.number(at)
        if isinstance(number, int):
            return str(number)
        percent = number * 100
        digits = 0
        while percent.denominator != 1 and digits < 30:
            percent *= 10
            digits += 1
        text = str(round(percent)).rjust(digits + 1, "0")
        return f"{text[:-digits]}.{text[-digits:]}%" if digits else f"{text}%"


@dataclass(frozen=True, slots=True)
class Block:
    """A product of scenarios: each of L assignments to ``rows`` with each of C assignments to ``columns``.

    ``rows`` maps paths to L numbers, ``columns`` others to C numbers; what moves mappings (`places.Place.moves`)
    stands in ``rows``, anything may.  Scenario l * C + c takes numbers l of the rows and c of the columns.
    """

    rows: Mapping[Path, Numbers] = field(default_factory=dict)
    columns: Mapping[Path, Numbers] = field(default_factory=dict)

    @property
    def height(self) -> int:
        """L."""
        return next((len(numbers.values) for numbers in self.rows.values()), 1)

    @property
    def width(self) -> int:
        """C."""
        return next((len(numbers.values) for numbers in self.columns.values()), 1)

    def __len__(self) -> int:
        return self.height * self.width

    def take(self, rows: Ints, columns: Ints) -> Block:
        """Return the product of some of the rows and some of the columns."""
        return Block(
            {path: numbers.take(rows) for path, numbers in self.rows.items()},
            {path: numbers.take(columns) for path, numbers in self.columns.items()},
        )

    def at(self, scenario: int) -> dict[Path, Numbers]:
        """Return the numbers (one each) of one scenario."""
        row, column = divmod(scenario, self.width)
        one = {path: numbers.take(slice(row, row + 1)) for path, numbers in self.rows.items()}
        return one | {path: numbers.take(slice(column, column + 1)) for path, numbers in self.columns.items()}
