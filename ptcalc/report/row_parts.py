"""A partitioned Parquet data set: each part of a sweep is a file, written by whoever evaluates it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ptcalc.errors import CannotDoHere
from ptcalc.report.row_files import Parquet, arrow
from ptcalc.scenarios.scan import Frame, Refused, Task
from ptcalc.scenarios.selecting import Column, Condition, meeting

MANIFEST = "_manifest.json"  # readers of data sets pass over names that begin with _
SCHEMA = "ptcalc.parts/1"


def part_name(number: int) -> str:
    """Return the name of the file of a part."""
    return f"part-{number:06d}.parquet"


@dataclass(frozen=True, slots=True)
class PartWriter:
    """Evaluates a part and writes its rows to a file in ``folder``, which every worker must see at that path."""

    folder: str
    frame: Frame
    columns: tuple[Column, ...]
    conditions: tuple[Condition, ...]

    def __call__(self, task: Task) -> tuple[int, Refused]:
        """Return how many rows were written, and which scenarios were refused.

        The file appears whole, under its own name: a part that is done twice, because a worker was lost, is there
        once.  Raises CannotDoHere where it cannot be written.
        """
        figures, refused = task.run()
        [rows] = meeting([self.frame.rows(task, figures, refused)], self.conditions)
        target = Path(self.folder, part_name(task.number))
        temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
        try:
            file = Parquet(temporary, self.columns)
            try:
                file.write(rows)
            finally:
                file.close()
            temporary.replace(target)
        except OSError as error:
            raise CannotDoHere(f"a worker cannot write {target}: {error.strerror}") from None
        finally:
            with suppress(OSError):
                temporary.unlink()
        return len(rows["policy"]), refused


def finish(folder: Path, counts: Sequence[int], scenarios: int) -> None:
    """Check that the parts are there, each with as many rows as its worker has told, and write what they are.

    ``scenarios`` are those that they are of.  What else lies in the folder, of workers that were lost, goes.
    Raises CannotDoHere for a part that is not there or not whole.
    """
    arrow()
    import pyarrow.parquet

    names = [part_name(number) for number in range(len(counts))]
    for name, told in zip(names, counts, strict=True):
        try:
            found = pyarrow.parquet.read_metadata(folder / name).num_rows
        except (OSError, ValueError) as error:
            raise CannotDoHere(f"{folder / name}, which a worker has written, cannot be read here: {error}") from None
        if found != told:
            raise CannotDoHere(f"{folder / name} has {found:,} rows, and its worker has written {told:,}")
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()
    parts = [{"file": name, "rows": rows} for name, rows in zip(names, counts, strict=True)]
    manifest = {"schema": SCHEMA, "combinations": scenarios, "rows": sum(counts), "parts": parts}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
