"""Rows of a sweep in files, block by block: CSV, JSON lines and Parquet; memory is that of one block."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ptcalc.errors import CannotDoHere
from ptcalc.report.csv_text import row
from ptcalc.scenarios.selecting import Column, Rows

if TYPE_CHECKING:
    import pyarrow

TEXT = {True: "true", False: "false"}
ROW_GROUP = 1 << 20  # rows: what the footer says of each group stays in memory until the end


class Text(Protocol):
    """Where text goes."""

    def write(self, text: str, /) -> int:
        """Write it."""


class RowFile(Protocol):
    """Where rows are written."""

    def write(self, rows: Rows) -> None:
        """Add a block of rows."""

    def close(self) -> None:
        """Write what belongs behind the last row."""


class Csv:
    """A line of titles and one for each row; sizes in bytes, shares from 0 to 1."""

    def __init__(self, file: Text, columns: Sequence[Column]) -> None:
        self._file = file
        self._columns = columns
        self._words = {column.name: [row([word])[:-1] for word in column.words] for column in columns}
        file.write(row([column.name for column in columns]))

    def write(self, rows: Rows) -> None:
        """Add a block of rows."""
        cells = [_texts(column, rows[column.name], self._words[column.name]) for column in self._columns]
        lines = list(map(",".join, zip(*cells, strict=True)))
        if lines:
            self._file.write("\n".join(lines) + "\n")

    def close(self) -> None:
        """Nothing belongs behind the last row."""


class JsonLines:
    """An object for each row; sizes in bytes, shares from 0 to 1."""

    def __init__(self, file: Text, columns: Sequence[Column]) -> None:
        self._file = file
        self._columns = columns
        self._words = {column.name: [json.dumps(word) for word in column.words] for column in columns}
        keys = (json.dumps(column.name).replace("%", "%%") for column in columns)
        self._form = "{" + ", ".join(f"{key}: %s" for key in keys) + "}"

    def write(self, rows: Rows) -> None:
        """Add a block of rows."""
        cells = [_texts(column, rows[column.name], self._words[column.name]) for column in self._columns]
        lines = [self._form % row for row in zip(*cells, strict=True)]
        if lines:
            self._file.write("\n".join(lines) + "\n")

    def close(self) -> None:
        """Nothing belongs behind the last row."""


class Parquet:
    """A Parquet file in groups of about ROW_GROUP rows; words are dictionary columns.

    Raises CannotDoHere where pyarrow is not installed.
    """

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._arrow = arrow()
        import pyarrow.parquet

        self._schema = self._arrow.schema([(column.name, self._type(column)) for column in columns])
        self._writer = pyarrow.parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._waiting: list[pyarrow.Table] = []

    def _type(self, column: Column) -> Any:
        kinds: dict[str, Callable[[], Any]] = {
            "bytes": self._arrow.int64,
            "count": self._arrow.int64,
            "share": self._arrow.float64,
            "flag": self._arrow.bool_,
            "word": lambda: self._arrow.dictionary(self._arrow.int32(), self._arrow.string()),
        }
        return kinds[column.kind]()

    def write(self, rows: Rows) -> None:
        """Add a block of rows."""
        self._waiting.append(self.table(rows))
        if sum(table.num_rows for table in self._waiting) >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            together = self._arrow.concat_tables(self._waiting)
            self._writer.write_table(together, row_group_size=max(1, together.num_rows))
            self._waiting = []

    def table(self, rows: Rows) -> pyarrow.Table:
        """Return a block as an Arrow table."""
        arrays = [self._array(column, rows[column.name]) for column in self._columns]
        return self._arrow.Table.from_arrays(arrays, schema=self._schema)

    def _array(self, column: Column, values: NDArray[Any]) -> Any:
        if column.kind == "word":
            words = self._arrow.array(column.words, self._arrow.string())
            return self._arrow.DictionaryArray.from_arrays(values.astype(np.int32), words)
        return self._arrow.array(values, self._type(column))

    def close(self) -> None:
        """Write the rows that wait, and the footer, without which the file is none."""
        self._flush()
        self._writer.close()


def arrow() -> Any:
    """Return the module pyarrow.  Raises CannotDoHere where it is not installed."""
    try:
        import pyarrow
    except ImportError:
        raise CannotDoHere("Parquet needs pyarrow, which is not installed: pip install 'ptcalc[parquet]'") from None
    return pyarrow


def _texts(column: Column, values: NDArray[Any], words: Sequence[str]) -> Sequence[str]:
    if column.kind == "word":
        return [words[place] for place in values.tolist()]
    if column.kind == "flag":
        return [TEXT[flag] for flag in values.astype(bool).tolist()]
    return list(map(str, values.tolist()))
