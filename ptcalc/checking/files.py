"""Which files are checked: those that are named, and the workloads in folders that are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ptcalc.errors import InputError
from ptcalc.workload.source import MAX_BYTES

SUFFIXES = (".yaml", ".yml")
# What tells a workload from other YAML, also where it is broken: a section that no other file of ptcalc has.
_WORKLOAD = re.compile(rb"^(processes|segments)[ \t]*:", re.MULTILINE)


def workload_files(names: Iterable[str]) -> list[str]:
    """Return files, and in place of folders the workloads below them, sorted; each name once.

    Raises InputError for a folder without a workload, or one that cannot be read.
    """
    found: dict[str, None] = {}
    for name in names:
        inside = sorted(_below(name)) if _is_folder(name) else [name]
        if not inside:
            accepted = "a folder with *.yaml or *.yml files that have a section processes or segments"
            raise InputError("no workload in this folder", file=name, accepted=accepted)
        found.update(dict.fromkeys(inside))
    return list(found)


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):  # a name that no file can have; whoever reads it says so
        return False


def _below(folder: str) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        where = error.filename or folder
        raise InputError(f"cannot be read: {error.strerror}", file=where, accepted="a folder that can be read")

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [each for each in folders if not each.startswith(".")]
        for file in files:
            path = Path(parent, file)
            if path.suffix in SUFFIXES and not file.startswith(".") and _is_workload(path):
                yield str(path)


def _is_workload(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return _WORKLOAD.search(file.read(MAX_BYTES)) is not None
    except OSError:
        return True  # it is judged, and what is wrong with it is said
