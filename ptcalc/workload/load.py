"""From a path or a text to a checked `Workload`."""

from __future__ import annotations

import os
import sys
from typing import Any

from pydantic import ValidationError

from ptcalc.errors import InputError, printable
from ptcalc.workload.assumptions import assumptions, refuse_guesses
from ptcalc.workload.checks import check
from ptcalc.workload.model import MAX_NAME, Mapping, ProcessGroup, Workload
from ptcalc.workload.refusals import refusal
from ptcalc.workload.source import MAX_BYTES, Positions, compose, decode

STDIN = "<stdin>"


def load(path: str | os.PathLike[str], *, strict: bool = False) -> Workload:
    """Read a workload file; ``-`` is standard input.

    ``strict`` refuses to guess a default that matters.  Raises InputError, with file, line and column, for
    whatever is not a workload, and for a file that cannot be read.
    """
    name = os.fspath(path)
    if name == "-":
        return loads(_standard_input(), name=STDIN, strict=strict)
    try:
        with open(name, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", file=name) from None
    except ValueError as error:  # a NUL in the name
        raise InputError(f"cannot be read: {error}", file=name) from None
    return loads(data, name=name, strict=strict)


def loads(text: str | bytes, *, name: str = "<string>", strict: bool = False) -> Workload:
    """Read a workload from text (or UTF-8 bytes); ``name`` is what errors call the file.  Raises as `load` does."""
    if isinstance(text, bytes):
        text = decode(text, name)
    positions = compose(text, name)
    workload = _validated(_plain(positions), positions)
    workload._positions = positions
    check(workload)
    workload = _always_private(workload)
    workload._positions = positions
    if strict:
        refuse_guesses(workload)
    workload._assumptions = assumptions(workload)
    return workload


def _standard_input() -> bytes:
    try:
        data: bytes = sys.stdin.buffer.read(MAX_BYTES + 1)
    except (AttributeError, OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", file=STDIN) from None
    return data


def _plain(positions: Positions) -> dict[str, Any]:
    """Return the document as plain data, without the keys that only hold anchors, and with a name."""
    root = positions.root
    assert root is not None
    plain = root.to_plain()
    if not isinstance(plain, dict):
        found = "a list" if isinstance(plain, list) else "a single value"
        error = InputError(f"{found} instead of a workload", accepted="keys and values, version: 1 first")
        raise positions.at(root, error)
    plain = {key: value for key, value in plain.items() if not key.startswith("x-")}
    stem = os.path.splitext(os.path.basename(positions.file))[0]
    plain.setdefault("name", printable(stem)[:MAX_NAME] or "workload")
    return plain


def _validated(plain: dict[str, Any], positions: Positions) -> Workload:
    try:
        return Workload.model_validate(plain)
    except ValidationError as error:
        raise refusal(error, positions) from None


def _always_private(workload: Workload) -> Workload:
    """Backing private is always mapped private, whatever ``map`` says (contract section 1)."""
    private = {name for name, segment in workload.segments.items() if segment.backing == "private"}

    def mapping_of(mapping: Mapping) -> Mapping:
        if mapping.segment not in private or mapping.map == "private":
            return mapping
        return mapping.model_copy(update={"map": "private"})

    def group_of(group: ProcessGroup) -> ProcessGroup:
        if private.isdisjoint(mapping.segment for mapping in group.mappings):
            return group
        return group.model_copy(update={"mappings": tuple(map(mapping_of, group.mappings))})

    if not private:
        return workload
    groups = {name: group_of(group) for name, group in workload.processes.items()}
    return workload.model_copy(update={"processes": groups})
