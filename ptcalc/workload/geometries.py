"""Architectures of the user's own, from the section ``geometries`` of a config file.

Each entry says what differs from a known one (``like``), or everything; `ptcalc.arch.geometry` checks that it
agrees with itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ptcalc import arch
from ptcalc.arch import Geometry, GeometryError, Level, kernels
from ptcalc.arch.geometry import LEVEL_NAMES, Version
from ptcalc.errors import InputError, nearest, quote
from ptcalc.workload.sizes import parse_count, parse_size
from ptcalc.workload.source import Node, Positions, entries

MAX_GEOMETRIES = 100
MAX_NAME = 100

Reader = Callable[[Positions, Node], Any]


def read_geometries(positions: Positions, section: Node) -> dict[str, Geometry]:
    """Return the geometries of a section, by name.

    Raises InputError, at the place in the file, for unknown keys, wrong values, and geometries that contradict
    themselves.
    """
    found: dict[str, Geometry] = {}
    for name, node in entries(positions, section, None):
        if len(found) == MAX_GEOMETRIES or len(name) > MAX_NAME:
            what = f"at most {MAX_GEOMETRIES} geometries, with names of at most {MAX_NAME} characters"
            raise positions.at(node, InputError("too many geometries, or too long a name", accepted=what))
        found[name] = _geometry(positions, name, node, found)
    return found


def _geometry(positions: Positions, name: str, node: Node, known: Mapping[str, Geometry]) -> Geometry:
    values: dict[str, Any] = {}
    like: Geometry | None = None
    for key, content in entries(positions, node, ("like", *KEYS)):
        if key == "like":
            like = _known(positions, content, known)
        else:
            field, read = KEYS[key]
            values[field] = read(positions, content)
    if "levels" in values:
        page = values.get("base_page", like.base_page if like else None)
        if page is None:
            raise positions.at(node, InputError("key 'base_page' is missing", accepted="base_page: 4 KiB"))
        values["levels"] = _chained(values["levels"], page)
    try:
        if like is not None:
            return _changed(like, name, values | {"written": node.to_plain()})
        missing = [key for key, (field, _) in KEYS.items() if field in _REQUIRED and field not in values]
        if missing:
            accepted = f"{', '.join(missing)}; or like: the name of an architecture to start from"
            raise positions.at(node, InputError(f"key {quote(missing[0])} is missing", accepted=accepted))
        default = max(values["huge_pages"], default=0)
        optional: dict[str, Any] = {"title": name, "default_huge_page": default, "pmd_sharing_since": None}
        return Geometry(name=name, source=positions.file, written=node.to_plain(), **(optional | values))
    except GeometryError as error:
        accepted = "levels whose spans follow from their entries, tables that hold them, and sizes that they map"
        raise positions.at(node, InputError(str(error), accepted=accepted)) from None


def _changed(like: Geometry, name: str, values: dict[str, Any]) -> Geometry:
    """Return a known geometry with some fields replaced; what belongs to levels goes with them."""
    if "levels" in values:
        values = {"older": (), "grows": (), **values}
    title = f"{like.title}, as {name} changes it"
    own = {"name": name, "aliases": (), "title": title, "source": f"{like.source}, changed"}
    return replace(like, **{**own, **values})


def _known(positions: Positions, node: Node, custom: Mapping[str, Geometry]) -> Geometry:
    text = _text(positions, node)
    try:
        return arch.get(text, custom)
    except arch.UnknownArch:
        names = (*custom, *arch.names())
        error = InputError(f"{quote(text)} is no architecture", accepted=", ".join(names))
        error.suggestion = nearest(text, names)
        raise positions.at(node, error) from None


def _chained(levels: list[dict[str, Any]], page: int) -> tuple[Level, ...]:
    """Return the levels, each with the span that follows from its entries where none is stated."""
    reach, out = page, []
    for level in levels:
        level = {"span": level["entries"] * reach, **level}
        content = level["entries"] * level.get("entry_bytes", 8)
        out.append(Level(**{"table_bytes": content, **level}))
        reach = level["span"]
    return tuple(out)


def _text(positions: Positions, node: Node) -> str:
    if not isinstance(node.value, str) or node.null:
        raise positions.at(node, InputError("no single value stands here", accepted="one value"))
    return node.value.strip()


def _single(read: Callable[[str], Any]) -> Reader:
    """Return a reader of single values, whose errors say where the value stands."""

    def reader(positions: Positions, node: Node) -> Any:
        text = _text(positions, node)
        try:
            return read(text)
        except InputError as error:
            raise positions.at(node, error) from None

    return reader


def _size(text: str) -> int:
    return parse_size(text, least=1)


def _entry_count(text: str) -> int:
    return parse_count(text, least=1)


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise InputError(f"{quote(text)} is neither true nor false", accepted="true or false")
    return text == "true"


def _since(text: str) -> Version | None:
    if text == "never":
        return None
    try:
        return kernels.parse(text).version
    except ValueError as error:
        what, _, accepted = str(error).partition("; accepted: ")
        raise InputError(f"{quote(text)}: {what}", accepted=f"never, or {accepted}") from None


def _memory(text: str) -> str:
    if text not in ("pages", "fragments", "slab"):
        raise InputError(f"{quote(text)} is no such memory", accepted="pages, fragments or slab")
    return text


def _levels(positions: Positions, node: Node) -> list[dict[str, Any]]:
    out = []
    for name, content in entries(positions, node, LEVEL_NAMES):
        level: dict[str, Any] = {"name": name}
        for key, value in entries(positions, content, _LEVEL_KEYS):
            field, read = _LEVEL_KEYS[key]
            level[field] = read(positions, value)
        if "entries" not in level:
            raise positions.at(content, InputError("key 'entries' is missing", accepted="entries: 512"))
        out.append(level)
    return out


def _huge_pages(positions: Positions, node: Node) -> dict[int, str]:
    out: dict[int, str] = {}
    for key, content in entries(positions, node, None):
        level = _text(positions, content)
        if level not in LEVEL_NAMES:
            error = InputError(f"{quote(level)} is no level", accepted=", ".join(LEVEL_NAMES))
            raise positions.at(content, error)
        try:
            out[_size(key)] = level
        except InputError as error:
            raise positions.at(content, error) from None
    return out


def _tables(positions: Positions, node: Node) -> dict[str, int]:
    return {name: _single(parse_count)(positions, content) for name, content in entries(positions, node, LEVEL_NAMES)}


def _sizes(positions: Positions, node: Node) -> frozenset[int]:
    if not isinstance(node.value, list):
        raise positions.at(node, InputError("no list stands here", accepted="a list of page sizes, such as [64 KiB]"))
    return frozenset(_single(_size)(positions, each) for each in node.value)


# key -> (field, reader)
_LEVEL_KEYS: dict[str, tuple[str, Reader]] = {
    "entries": ("entries", _single(_entry_count)),
    "entry": ("entry_bytes", _single(_size)),
    "span": ("span", _single(_size)),
    "table": ("table_bytes", _single(_size)),
    "memory": ("memory", _single(_memory)),
    "counted_since": ("counted_since", _single(_since)),
    "charged": ("charged", _single(_truth)),
}
KEYS: dict[str, tuple[str, Reader]] = {
    "title": ("title", _single(lambda text: text[:MAX_NAME])),
    "base_page": ("base_page", _single(_size)),
    "levels": ("levels", _levels),
    "task_size": ("task_size", _single(_size)),
    "default_window": ("default_window", _single(_size)),
    "huge_pages": ("huge_pages", _huge_pages),
    "contiguous": ("contiguous", _sizes),
    "default_huge_page": ("default_huge_page", _single(_size)),
    "thp": ("has_thp", _single(_truth)),
    "file_thp": ("has_file_thp", _single(_truth)),
    "pmd_sharing": ("pmd_sharing_since", _single(_since)),
    "kernel_stack": ("kernel_stack", _single(_size)),
    "small_process": ("small_process", _tables),
}
_REQUIRED = {"base_page", "levels", "task_size", "default_window", "huge_pages", "kernel_stack", "small_process"}
