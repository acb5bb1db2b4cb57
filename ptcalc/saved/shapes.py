"""What a saved result holds, as pydantic-core schemas built by hand: from plain JSON to the dataclasses of `result`.

Keys of contract section 3 must be there; the others, which earlier results do not have, may be left out, and keys
that are not known are passed over: a later ptcalc may have added them.  `ptcalc.report.json_report` writes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ptcalc.arch.geometry import LEVEL_NAMES
from ptcalc.errors import InputError
from ptcalc.result import (
    RISK_ORDER,
    Assumption,
    Availability,
    Bound,
    Estimate,
    Finding,
    GuestTables,
    LedgerItem,
    LevelArithmetic,
    LevelTables,
    MappingShare,
    Measured,
    Memory,
    PageTables,
    PolicyResult,
    ProcessTables,
    Question,
    Reason,
    Risk,
    SecondLevelTables,
)

Schema = dict[str, Any]

MOST = 1 << 80  # no figure is larger, and what renderers compute of it stays a number
MAX_DEPTH = 50  # of the config in a question, as of a YAML file
_REQUIRED: Any = object()


class Field(NamedTuple):
    """A field of a dataclass: what it holds, where the JSON has it (at its name, unless said), and its default."""

    schema: Schema
    keys: tuple[str, ...] = ()
    default: Any = _REQUIRED


def object_of(cls: type, fields: Mapping[str, Field]) -> Schema:
    """Return the schema of a JSON object that becomes a dataclass."""
    entries = []
    for name, field in fields.items():
        keys = field.keys or (name,)
        schema = field.schema
        if field.default is not _REQUIRED:
            schema = {"type": "default", "schema": schema, "default": field.default}
        alias: Any = keys[0] if len(keys) == 1 else [list(keys)]
        entries.append(
            {"type": "dataclass-field", "name": name, "schema": schema, "kw_only": True, "validation_alias": alias}
        )
    return {
        "type": "dataclass",
        "cls": cls,
        "schema": {"type": "dataclass-args", "dataclass_name": cls.__name__, "fields": entries},
        "fields": list(fields),
        "slots": True,
        "frozen": True,
    }


def list_of(schema: Schema, least: int = 0) -> Schema:
    """Return the schema of a JSON array that becomes a tuple."""
    return {"type": "tuple", "items_schema": [schema], "variadic_item_index": 0, "min_length": least}


def row_of(**columns: Schema) -> Schema:
    """Return the schema of a JSON object that becomes a tuple of its values."""
    return {
        "type": "function-after",
        "function": {"type": "no-info", "function": lambda found: tuple(found.values())},
        "schema": {
            "type": "typed-dict",
            "fields": {name: {"type": "typed-dict-field", "schema": each} for name, each in columns.items()},
        },
    }


def whole(least: int) -> Schema:
    """Return the schema of a whole number from ``least`` on."""
    return {"type": "int", "strict": True, "ge": least, "le": MOST}


def words(*known: str) -> Schema:
    """Return the schema of one of some words."""
    return {"type": "literal", "expected": list(known)}


def or_null(schema: Schema) -> Schema:
    """Return the schema of something that may be missing."""
    return {"type": "nullable", "schema": schema}


def after(function: Callable[[Any], Any], schema: Schema) -> Schema:
    """Return a schema whose value a function changes."""
    return {"type": "function-after", "function": {"type": "no-info", "function": function}, "schema": schema}


def before(function: Callable[[Any], Any], schema: Schema) -> Schema:
    """Return a schema whose input a function changes."""
    return {"type": "function-before", "function": {"type": "no-info", "function": function}, "schema": schema}


# Not of type str, which refuses half a surrogate: names of files can hold one.
TEXT: Schema = {"type": "is-instance", "cls": str}
FLAG: Schema = {"type": "bool", "strict": True}
COUNT, ANY, SOME = whole(0), whole(-MOST), whole(1)
STEP: Schema = {"type": "union", "mode": "left_to_right", "choices": [TEXT, COUNT]}
PATH = list_of(STEP)


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > MOST:
        raise InputError("this is no number", accepted="a finite number")
    return value


NUMBER: Schema = {"type": "function-plain", "function": {"type": "no-info", "function": _number}}


def _bounded(value: Any) -> Any:
    """Refuse what is nested too deeply to be a config."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
        ]
        if not level:
            return value
    raise InputError(f"nested deeper than {MAX_DEPTH} levels", accepted="a config as ptcalc has saved it")


def _expected(level: Any) -> Any:
    """Put the expectations of an inexact level in the place of their rounded figures."""
    if not isinstance(level, dict) or level.get("exact") is not False:
        return level
    return {**level, **{key: level[f"expected_{key}"] for key in ("tables", "shared") if f"expected_{key}" in level}}


_AVAILABILITY = object_of(
    Availability,
    {
        "state": Field(words("mainline", "vendor", "patches", "proposal")),
        "since": Field(TEXT),
        "source": Field(TEXT),
        "as_of": Field(TEXT),
    },
)
_LEVEL = object_of(LevelTables, {"level": Field(words(*LEVEL_NAMES)), "tables": Field(COUNT), "bytes": Field(COUNT)})
_PAGE_TABLES = object_of(
    PageTables,
    {
        "bytes": Field(COUNT),
        "used_bytes": Field(COUNT),
        "exact": Field(FLAG),
        "sd_bytes": Field(or_null(COUNT), default=None),
        "levels": Field(list_of(_LEVEL)),
        "memcg_bytes": Field(or_null(COUNT), default=None),
    },
)
_PROCESS = object_of(
    ProcessTables,
    {
        "name": Field(TEXT),
        "count": Field(COUNT),
        "vmpte_bytes": Field(COUNT),
        "exact": Field(FLAG),
        "vmpte_sd_bytes": Field(or_null(COUNT), default=None),
        "levels": Field(list_of(_LEVEL), default=()),
        "marginal_bytes": Field(COUNT, default=0),
        "vmpte_defined": Field(after(lambda assumed: not assumed, FLAG), ("vmpte_assumed",), True),
    },
)
_ITEM = object_of(
    LedgerItem,
    {
        "name": Field(TEXT),
        "bytes": Field(ANY),
        "kind": Field(TEXT, default=""),
        "terms": Field(TEXT, default=""),
        "source": Field(TEXT, default=""),
        "swappable_bytes": Field(COUNT, default=0),
    },
)
_MEMORY = object_of(
    Memory,
    {
        "boundary": Field(words("host", "cgroup")),
        "capacity_bytes": Field(COUNT),
        "demand_bytes": Field(COUNT),
        "headroom_bytes": Field(ANY),
        "items": Field(list_of(_ITEM)),
        "capacity_terms": Field(list_of(_ITEM), default=()),
        "swap_used_bytes": Field(COUNT, default=0),
    },
)
_RISK = object_of(
    Risk,
    {
        "level": Field(words(*RISK_ORDER)),
        "safe_processes": Field(COUNT),
        "max_processes": Field(COUNT),
        "limited_by": Field(TEXT),
        "safe_limited_by": Field(TEXT, default=""),
    },
)
_ARITHMETIC = before(
    _expected,
    object_of(
        LevelArithmetic,
        {
            "level": Field(words(*LEVEL_NAMES)),
            "span": Field(SOME, ("span_bytes",)),
            "table_bytes": Field(SOME),
            "first": Field(COUNT),
            "last": Field(COUNT),
            "tables": Field(NUMBER),
            "shared": Field(NUMBER),
            "method": Field(TEXT),
        },
    ),
)
_REASON = object_of(
    Reason,
    {
        "code": Field(TEXT),
        "text": Field(TEXT),
        "remedy": Field(or_null(TEXT), default=None),
        "saves_bytes": Field(or_null(ANY), default=None),
    },
)
_MAPPING = object_of(
    MappingShare,
    {
        "group": Field(TEXT),
        "index": Field(COUNT),
        "segment": Field(TEXT),
        "address": Field(COUNT),
        "length": Field(COUNT, ("length_bytes",)),
        "address_stated": Field(FLAG),
        "levels": Field(list_of(_ARITHMETIC), default=()),
        "reasons": Field(list_of(_REASON), ("not_shared",)),
        "path": Field(PATH, default=()),
    },
)
_BOUND = object_of(
    Bound,
    {"name": Field(TEXT), "value": Field(TEXT), "page_tables_bytes": Field(COUNT), "why": Field(TEXT)},
)
_APPLIES: Schema = {
    "type": "union",
    "mode": "left_to_right",
    "choices": [words("as_written"), list_of(TEXT)],
    "custom_error_type": "applies",
    "custom_error_message": "as_written, or a list of texts",
}
_GUEST = object_of(
    GuestTables,
    {
        "name": Field(TEXT),
        "kind": Field(TEXT),
        "count": Field(COUNT),
        "bytes": Field(COUNT),
        "exact": Field(FLAG),
        "sd_bytes": Field(or_null(COUNT), default=None),
        "levels": Field(list_of(_LEVEL)),
        "root_bytes": Field(COUNT),
    },
)
_SECOND_LEVEL = object_of(
    SecondLevelTables,
    {
        "bytes": Field(COUNT),
        "used_bytes": Field(COUNT),
        "exact": Field(FLAG),
        "guests": Field(list_of(_GUEST)),
        "sources": Field(list_of(TEXT)),
    },
)
_POLICY = object_of(
    PolicyResult,
    {
        "policy": Field(TEXT),
        "title": Field(TEXT, default=""),
        "availability": Field(_AVAILABILITY),
        "applies": Field(_APPLIES),
        "page_tables": Field(_PAGE_TABLES),
        "processes": Field(list_of(_PROCESS)),
        "memory": Field(_MEMORY),
        "risk": Field(_RISK),
        "mappings": Field(list_of(_MAPPING), default=()),
        "one_more": Field(list_of(row_of(name=TEXT, bytes=ANY)), default=()),
        "choices": Field(list_of(row_of(name=TEXT, value=TEXT, meaning=TEXT)), default=()),
        "bounds": Field(list_of(_BOUND), default=()),
        "second_level": Field(or_null(_SECOND_LEVEL), default=None),
    },
)
_FINDING = object_of(
    Finding,
    {
        "code": Field(TEXT),
        "severity": Field(words("info", "warning", "error")),
        "message": Field(TEXT),
        "line": Field(COUNT, ("location", "line")),
        "column": Field(COUNT, ("location", "column")),
        "remedy": Field(TEXT, default=""),
        "policy": Field(TEXT, default=""),
        "path": Field(PATH, default=()),
    },
)
ASSUMPTION = object_of(Assumption, {"key": Field(TEXT), "value": Field(TEXT), "why": Field(TEXT)})
_MEASURED = object_of(
    Measured,
    {
        "name": Field(TEXT),
        "counter": Field(words("VmPTE", "PageTables")),
        "expected_bytes": Field(COUNT),
        "measured_bytes": Field(COUNT),
        "exact": Field(FLAG),
    },
)
_CONFIG = before(_bounded, {"type": "dict", "keys_schema": TEXT})
_QUESTION = object_of(
    Question,
    {
        "policies": Field(list_of(TEXT), default=()),
        "choices": Field(
            after(lambda choices: tuple(choices.items()), {"type": "dict", "keys_schema": TEXT, "values_schema": TEXT}),
            default=(),
        ),
        "overrides": Field(list_of(row_of(path=PATH, value=TEXT, origin=TEXT)), default=()),
        "config": Field(_CONFIG, default={}),
        "version": Field(TEXT, default=""),
    },
)
ESTIMATE = object_of(
    Estimate,
    {
        "name": Field(TEXT, ("workload", "name")),
        "file": Field(TEXT, ("workload", "file"), ""),
        "processes": Field(COUNT, ("workload", "processes")),
        "policies": Field(list_of(_POLICY, least=1)),
        "findings": Field(list_of(_FINDING)),
        "assumptions": Field(list_of(ASSUMPTION)),
        "arch": Field(TEXT, ("workload", "arch"), ""),
        "kernel": Field(TEXT, ("workload", "kernel"), ""),
        "installed_bytes": Field(COUNT, ("workload", "installed_bytes"), 0),
        "segment_bytes": Field(list_of(row_of(name=TEXT, bytes=COUNT)), ("workload", "segments"), ()),
        "measured": Field(list_of(_MEASURED), default=()),
        "source": Field(TEXT, ("workload", "text"), ""),
        "question": Field(_QUESTION, default=Question()),
    },
)
