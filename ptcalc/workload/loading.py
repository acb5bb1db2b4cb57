"""From a path or a text to a checked `Workload`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from collections.abc import Mapping as MappingOf
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pydantic_core import ValidationError

from ptcalc.arch import Geometry
from ptcalc.errors import InputError, printable
from ptcalc.workload.assumptions import assumptions, refuse_guesses
from ptcalc.workload.checks import check
from ptcalc.workload.model import Mapping, Workload
from ptcalc.workload.refusals import refusal
from ptcalc.workload.schema import MAX_NAME, validate
from ptcalc.workload.source import AGREEMENTS, MAX_BYTES, Override, Positions, compose, decode

if TYPE_CHECKING:
    from ptcalc.workload.events import Event

STDIN = "<stdin>"
# A text without any of these has no distribution, and is not searched for one.
_DISTRIBUTIONS = ("uniform", "triangular", "normal", "empirical")
FILES = "the path of a workload file, or - for standard input"


def load(
    path: str | os.PathLike[str],
    *,
    strict: bool = False,
    geometries: MappingOf[str, Geometry] | None = None,
    overrides: Iterable[Override] = (),
) -> Workload:
    """Read a workload file; ``-`` is standard input.

    ``strict`` refuses to guess a default that matters; ``geometries`` are architectures of the user's own, by name;
    ``overrides`` are values that replace some of the file.
    Raises InputError, with file, line and column, for whatever is not a workload, and for a file that cannot be read.
    """
    return build(read(path).overridden(overrides), strict=strict, geometries=geometries)


def loads(
    text: str | bytes,
    *,
    name: str = "<string>",
    strict: bool = False,
    geometries: MappingOf[str, Geometry] | None = None,
    overrides: Iterable[Override] = (),
) -> Workload:
    """Read a workload from text or UTF-8 bytes; errors call the file ``name``.

    The other parameters and errors are those of `load`.
    """
    return build(_parse(text, name).overridden(overrides), strict=strict, geometries=geometries)


def read(path: str | os.PathLike[str]) -> Positions:
    """Read a file as a document, whatever it says; ``-`` is standard input.

    Raises InputError for a file that cannot be read, or is no YAML.
    """
    name = os.fsdecode(path)
    if name == "-":
        return _parse(_standard_input(), STDIN)
    try:
        with open(name, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", file=name, accepted=FILES) from None
    except ValueError as error:  # a NUL in the name
        raise InputError(f"cannot be read: {error}", file=name, accepted=FILES) from None
    return _parse(data, name)


def build(document: Positions, *, strict: bool = False, geometries: MappingOf[str, Geometry] | None = None) -> Workload:
    """Return the workload that a document describes; parameters and errors are those of `load`."""
    try:
        sections = validate(_plain(document))
    except ValidationError as error:
        _with_medians(document)  # a misspelt distribution is refused as one
        raise refusal(error, document) from None
    sections.setdefault("segments", {})
    events = sections.pop("events", None)
    for key in AGREEMENTS:
        sections.pop(key, None)
    workload = _always_private(Workload(**sections, positions=document, geometries=geometries or {}))
    check(workload)
    if events is not None:
        workload = replace(workload, events=_events(events, workload))
    if strict:
        refuse_guesses(workload)
    return replace(workload, assumptions=assumptions(workload))


def _events(plain: object, workload: Workload) -> tuple[Event, ...]:
    """Return the events of a checked workload; what reads them is loaded for files that have any."""
    from ptcalc.workload.event_reading import read_events
    from ptcalc.workload.event_schema import validate_events

    try:
        entries = validate_events(plain)
    except ValidationError as error:
        raise refusal(error, workload.positions) from None
    except InputError as error:
        raise workload.positions.error(("events",), error) from None
    return read_events(entries, workload)


def _parse(text: str | bytes, name: str) -> Positions:
    document = compose(decode(text, name) if isinstance(text, bytes) else text, name)
    return _with_medians(document) if any(word in document.text for word in _DISTRIBUTIONS) else document


def _with_medians(document: Positions) -> Positions:
    """Return a document with the medians of its distributions (`ptcalc.workload.distributions`, loaded if needed)."""
    from ptcalc.workload import distributions

    return distributions.with_medians(document)


def _standard_input() -> bytes:
    try:
        data: bytes = sys.stdin.buffer.read(MAX_BYTES + 1)
    except (AttributeError, OSError, ValueError) as error:  # closed, or not there at all
        raise InputError(f"cannot be read: {error}", file=STDIN, accepted=FILES) from None
    return data


def _plain(positions: Positions) -> dict[str, Any]:
    """Return the document as plain data, without the keys that only hold anchors, and with a name."""
    root = positions.root
    assert root is not None
    if not isinstance(root.value, dict):
        found = "a list" if isinstance(root.value, list) else "a single value"
        error = InputError(f"{found} instead of a workload", accepted="keys and values, version: 1 first")
        raise positions.at(root, error)
    plain = {key: node.to_plain() for key, (_, node) in root.value.items() if not key.startswith("x-")}
    stem = PurePath(positions.file).stem
    plain.setdefault("name", printable(stem)[:MAX_NAME] or "workload")
    return plain


def _always_private(workload: Workload) -> Workload:
    """Backing private is always mapped private, whatever ``map`` says (contract section 1)."""
    private = {name for name, segment in workload.segments.items() if segment.backing == "private"}
    if not private:
        return workload

    def mapped(mapping: Mapping) -> Mapping:
        return replace(mapping, map="private") if mapping.segment in private else mapping

    groups = {
        name: replace(group, mappings=tuple(map(mapped, group.mappings))) for name, group in workload.processes.items()
    }
    return replace(workload, processes=groups)
