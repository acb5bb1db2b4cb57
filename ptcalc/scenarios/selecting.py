"""Which rows of a sweep are wanted: conditions on columns, and the best by one of them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ptcalc.errors import InputError, nearest, quote
from ptcalc.workload.sizes import parse_count, parse_share, parse_size

Rows = Mapping[str, NDArray[Any]]

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_CONDITION = re.compile(rf"\s*(?P<column>.+?)\s*(?P<sign>{'|'.join(_COMPARISONS)})\s*(?P<value>.*?)\s*", re.DOTALL)
FLAGS = {"true": True, "false": False}
_READ: dict[str, Callable[[str], int | float]] = {
    "bytes": parse_size,
    "count": parse_count,
    "share": lambda text: float(parse_share(text)),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of rows: its name, what its numbers are, and for words, which ones (rows hold their places).

    ``bytes`` and ``count`` are int64, ``share`` float64 from 0 to 1, ``flag`` bool, ``word`` places in ``words``, in
    their order (risk levels: from ok to oom).
    """

    name: str
    kind: Literal["bytes", "count", "share", "flag", "word"]
    words: tuple[str, ...] = ()

    def read(self, text: str) -> int | float | bool:
        """Return what a text means in this column, as rows have it.  Raises InputError."""
        if self.kind == "word":
            if text not in self.words:
                raise InputError(
                    f"{quote(text)} never stands in {self.name}",
                    accepted=", ".join(self.words),
                    suggestion=nearest(text, self.words),
                )
            return self.words.index(text)
        if self.kind == "flag":
            if text not in FLAGS:
                raise InputError(f"{quote(text)} in {self.name}", accepted="true or false")
            return FLAGS[text]
        minus = text.startswith("-")
        bare = text.removeprefix("-").strip()
        number = _READ[self.kind](bare)
        return -number if minus else number


@dataclass(frozen=True, slots=True)
class Condition:
    """``COLUMN < VALUE`` and the like."""

    column: str
    sign: str
    value: int | float | bool

    def holds(self, rows: Rows) -> NDArray[np.bool_]:
        """Tell which rows meet it."""
        return np.asarray(_COMPARISONS[self.sign](rows[self.column], self.value), bool)


def parse_condition(text: str, columns: Sequence[Column]) -> Condition:
    """Return the condition of a text such as ``risk>=critical`` or ``headroom_bytes < -1 GiB``.  Raises InputError."""
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise InputError(
            f"{quote(text)} is no condition", accepted=f"a column, one of {' '.join(_COMPARISONS)}, and a value"
        )
    column = column_of(match["column"], columns)
    return Condition(column.name, match["sign"], column.read(match["value"]))


def column_of(name: str, columns: Sequence[Column]) -> Column:
    """Return the column of a name.  Raises InputError with the nearest of the known ones."""
    for column in columns:
        if column.name == name:
            return column
    known = [column.name for column in columns]
    raise InputError(f"there is no column {quote(name)}", accepted=", ".join(known), suggestion=nearest(name, known))


def meeting(blocks: Iterable[Rows], conditions: Sequence[Condition]) -> Iterator[Rows]:
    """Return the rows of all blocks that meet every condition."""
    for rows in blocks:
        keep = np.ones(_length(rows), bool)
        for condition in conditions:
            keep &= condition.holds(rows)
        yield rows if keep.all() else {name: column[keep] for name, column in rows.items()}


def best(blocks: Iterable[Rows], by: str, many: int, *, smallest: bool = False) -> Rows:
    """Return the rows with the largest (or smallest) values in a column, the best first; of equal ones the first.

    Memory is that of one block and ``many`` rows.
    """
    kept: Rows | None = None
    for rows in blocks:
        joined = rows if kept is None else {name: np.concatenate([kept[name], rows[name]]) for name in rows}
        value = joined[by]
        order = np.argsort(value if smallest else -value.astype(np.float64 if value.dtype.kind == "f" else np.int64),
                           kind="stable")[:many]  # fmt: skip
        kept = {name: column[order] for name, column in joined.items()}
    return kept or {}


def _length(rows: Rows) -> int:
    return len(next(iter(rows.values())))
