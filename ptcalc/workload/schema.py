"""What each key of a workload file accepts, as a pydantic-core schema built by hand.

Building the same from model classes takes ten times as long as reading a file with it, at every start.  The
schema turns plain data (texts, lists, dictionaries) into the dataclasses of `model`; keys and defaults are
theirs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from pydantic_core import SchemaValidator

from ptcalc.errors import InputError, quote
from ptcalc.workload.model import Host, Mapping, ProcessGroup, Range, Segment, Touch
from ptcalc.workload.sizes import (
    MAX_COUNT,
    kind_of,
    parse_address,
    parse_amount,
    parse_count,
    parse_share,
    parse_signed,
    parse_size,
)
from ptcalc.workload.source import AGREEMENTS, Path

MAX_NAME = 100
APART = (*AGREEMENTS, "events")  # sections that are read for themselves, where they are needed
MAX_NUMA_NODES = 1024  # 1 << CONFIG_NODES_SHIFT of the largest kernels
TOUCHES = "all, none, 24%, 72 GiB, {amount: …}, {pages: …}, {every: …}, {ranges: […]}, or a list of these"

_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# Fields that hold what is written at a key of another name.
_KEY_OF = {
    "step": "every",
    "written_touch": "touch",
    "written_access": "access",
    "written_guest_touch": "guest_touch",
    "written_pattern": "pattern",
}
# Which keys may stand beside the one that names the form of a touch.
TOUCH_FORMS = {
    "amount": ("pattern", "cluster", "overlap"),
    "pages": ("pattern", "cluster", "overlap"),
    "every": ("start", "length"),
    "ranges": (),
}
TOUCH_KEYS = {*TOUCH_FORMS, *(key for keys in TOUCH_FORMS.values() for key in keys)}

PATTERNS = ("scattered", "contiguous", "clustered")

Schema = dict[str, Any]


def _shown(value: object) -> str:
    return quote(value) if isinstance(value, str) else kind_of(value)


def _truth(value: object) -> bool:
    if isinstance(value, str) and value.strip() in _TRUTH:
        return _TRUTH[value.strip()]
    raise InputError(f"{_shown(value)} is neither true nor false", accepted="true or false")


def _locked(value: object) -> str:
    if isinstance(value, str) and value.strip() == "on_fault":
        return "on_fault"
    try:
        return "yes" if _truth(value) else "no"
    except InputError as error:
        raise InputError(error.message, accepted="true, false or on_fault") from None


def _name(value: object) -> str:
    accepted = f"a text of 1 to {MAX_NAME} characters"
    if not isinstance(value, str):
        raise InputError(f"{kind_of(value)} stands here", accepted=accepted)
    if not 1 <= len(value) <= MAX_NAME:
        raise InputError(f"a name of {len(value):,} characters", accepted=accepted)
    return value


def _resident(value: object) -> str | int:
    if isinstance(value, str) and value.strip() in ("all", "touched"):
        return value.strip()
    return parse_size(value, accepted="all, touched, or a size such as 72 GiB")


def _version(value: object) -> int:
    if isinstance(value, str) and value.strip() == "1":
        return 1
    raise InputError(f"{_shown(value)} is no version that this ptcalc reads", accepted="1")


def _range(value: object) -> object:
    if isinstance(value, dict):
        return value
    raise InputError(f"{_shown(value)} stands here", accepted="{start: 0, length: 2 MiB}")


def _filled(value: object) -> object:
    if isinstance(value, (list, dict)) and not value:
        raise InputError(f"{kind_of(value)} with nothing in it", accepted="at least one")
    return value


def _touches(value: object) -> object:
    if not isinstance(value, list):
        return [value]
    if not value:
        raise InputError("an empty list stands here", accepted=TOUCHES)
    return value


def _touch(value: object) -> dict[str, object]:
    if isinstance(value, str):
        text = value.strip()
        return {"form": text} if text in ("all", "none") else {"form": "amount", "amount": _short(text)}
    if not isinstance(value, dict):
        raise InputError(f"{kind_of(value)} stands here", accepted=TOUCHES)
    if not TOUCH_KEYS.issuperset(value):
        if "form" in value:  # a field of Touch, but no key of the file
            raise InputError("unknown key 'form'", accepted=TOUCHES)
        return {**value, "form": "none"}  # the schema refuses the unknown key by its name
    return {**value, "form": _form(value)}


def _short(text: str) -> object:
    try:
        return parse_share(text) if text.endswith("%") else parse_size(text)
    except InputError as error:
        raise InputError(error.message, accepted=TOUCHES) from None


def _form(value: dict[str, object]) -> str:
    """Name the form of a touch that is written as a mapping; its keys must belong together."""
    leading = [key for key in TOUCH_FORMS if key in value]
    if len(leading) != 1:
        found = f"{' and '.join(leading)} stand together" if leading else "a touch that does not say how much"
        raise InputError(found, accepted=f"one of {', '.join(TOUCH_FORMS)}; {TOUCHES}")
    lead = leading[0]
    fitting = TOUCH_FORMS[lead]
    for key in value:
        if key != lead and key not in fitting:
            others = f"only {', '.join(fitting)}" if fitting else "nothing else"
            raise InputError(f"{key} does not go with {lead}", accepted=f"beside {lead}: {others}")
    if lead in ("every", "ranges"):
        return lead
    pattern = value.get("pattern", "scattered")
    if pattern not in PATTERNS:
        return "amount"  # the schema refuses the word
    if pattern == "clustered" and "cluster" not in value:
        raise InputError("pattern: clustered without a cluster", accepted="cluster: 1 MiB, the size of a run")
    if "cluster" in value and pattern != "clustered":
        raise InputError("a cluster without pattern: clustered", accepted="pattern: clustered beside it")
    if "overlap" in value and pattern == "contiguous":
        raise InputError("overlap does not go with pattern: contiguous", accepted="overlap beside a random pattern")
    return "amount"


def accepted_by(read: Callable[..., object]) -> Schema:
    """Schema of a value that a function reads; it raises InputError."""
    return {"type": "function-plain", "function": {"type": "no-info", "function": read}}


def before(read: Callable[..., object], schema: Schema) -> Schema:
    """Schema of a value that a function sees first; it raises InputError."""
    return {"type": "function-before", "function": {"type": "no-info", "function": read}, "schema": schema}


def words(*words: str) -> Schema:
    """Schema of a value that is one of some words."""
    return {"type": "literal", "expected": list(words)}


def listed(schema: Schema) -> Schema:
    """Schema of a list."""
    return {"type": "tuple", "items_schema": [schema], "variadic_item_index": 0}


def _names(schema: Schema) -> Schema:
    return {"type": "dict", "keys_schema": NAME, "values_schema": schema}


def _fields(cls: Any, schemas: dict[str, Schema]) -> Schema:
    """Schema of a dataclass: its fields, required where they have no default, and no other keys."""
    fields = []
    for field in dataclasses.fields(cls):
        schema = schemas[field.name]
        if field.default is not dataclasses.MISSING:
            schema = {"type": "default", "schema": schema, "default": field.default}
        entry = {"type": "dataclass-field", "name": field.name, "schema": schema, "kw_only": True}
        fields.append(entry | {"validation_alias": _KEY_OF.get(field.name, field.name)})
    arguments = {"type": "dataclass-args", "dataclass_name": cls.__name__, "fields": fields}
    arguments["extra_behavior"] = "forbid"
    names = [field.name for field in dataclasses.fields(cls)]
    return {
        "type": "dataclass",
        "cls": cls,
        "schema": arguments,
        "fields": names,
        "slots": True,
        "frozen": True,
    }


def _positive(value: object) -> int:
    return parse_size(value, least=1)


def _alignment(value: object) -> int:
    return parse_address(value, least=1, accepted="a power of two such as 2 MiB or 0x200000")


def _some(value: object) -> int:
    return parse_count(value, least=1, most=MAX_COUNT)


def _processes(value: object) -> int:
    return parse_count(value, most=MAX_COUNT)  # 0 only where events start some: `checks`


def _score(value: object) -> int:
    return parse_signed(value, least=-1000, most=1000)  # OOM_SCORE_ADJ_MIN and _MAX (include/uapi/linux/oom.h)


def _nodes(value: object) -> int:
    return parse_count(value, least=1, most=MAX_NUMA_NODES)


SIZE, POSITIVE, PLACE = accepted_by(parse_size), accepted_by(_positive), accepted_by(parse_address)
COUNT, SOME, TRUTH, NAME = accepted_by(parse_count), accepted_by(_some), accepted_by(_truth), accepted_by(_name)
AMOUNT, SHARING, LOCKED = accepted_by(parse_amount), words("allow", "never"), accepted_by(_locked)

_RANGE: Schema = {
    "type": "call",
    "function": Range,
    "arguments_schema": {
        "type": "arguments",
        "arguments_schema": [
            {"name": "start", "schema": PLACE, "mode": "keyword_only"},
            {"name": "length", "schema": POSITIVE, "mode": "keyword_only"},
        ],
    },
}
_TOUCH = _fields(
    Touch,
    {
        "form": words("all", "none", "amount", "every", "ranges"),
        "amount": AMOUNT,
        "pages": COUNT,
        "written_pattern": words(*PATTERNS),
        "cluster": POSITIVE,
        "overlap": words("independent", "same"),
        "step": POSITIVE,
        "start": PLACE,
        "length": POSITIVE,
        "ranges": before(_filled, listed(before(_range, _RANGE))),
    },
)
TOUCH_LIST = before(_touches, listed(before(_touch, _TOUCH)))
_MAPPING = _fields(
    Mapping,
    {
        "segment": NAME,
        "offset": PLACE,
        "length": POSITIVE,
        "address": PLACE,
        "alignment": accepted_by(_alignment),
        "placement": words("same", "independent"),
        "map": words("shared", "private"),
        "protection": words("none", "r", "rw", "rx", "rwx"),
        "madvise": words("none", "hugepage", "nohugepage"),
        "written_touch": TOUCH_LIST,
        "written_access": words("read", "write"),
        "page_table_sharing": SHARING,
        "softdirty": TRUTH,
        "locked": LOCKED,
        "userfaultfd": words("none", "missing", "wp", "minor"),
        "second_level": words("none", "kvm", "vfio", "kvm+vfio"),
        "guest_address": PLACE,
        "written_guest_touch": TOUCH_LIST,
    },
)
_GROUP = _fields(
    ProcessGroup,
    {
        "count": accepted_by(_processes),
        "scale": words("proportional", "fixed"),
        "threads": SOME,
        "private": SIZE,
        "private_cap": POSITIVE,
        "base_tables": SIZE,
        "page_table_sharing": SHARING,
        "oom_score_adj": accepted_by(_score),
        "mappings": listed(_MAPPING),
    },
)
_SEGMENT = _fields(
    Segment,
    {
        "size": POSITIVE,
        "backing": words("shmem", "file", "hugetlb", "private"),
        "pieces": POSITIVE,
        "page_size": POSITIVE,
        "on_short_pool": words("fail", "small", "mixed"),
        "thp": words("never", "always", "within_size", "advise"),
        "resident": accepted_by(_resident),
        "locked": TRUTH,
        "per": NAME,
    },
)
_HOST = _fields(
    Host,
    {
        "memory": POSITIVE,
        "mem_total": POSITIVE,
        "arch": NAME,
        "kernel": NAME,
        "swap": SIZE,
        "used": SIZE,
        "hugepages": {"type": "dict", "keys_schema": POSITIVE, "values_schema": COUNT},
        "cgroup_limit": POSITIVE,
        "numa_nodes": accepted_by(_nodes),
    },
)
WORKLOAD: Any = {
    "type": "typed-dict",
    "extra_behavior": "forbid",
    "fields": {
        key: {"type": "typed-dict-field", "schema": schema, "required": key not in ("segments", *APART)}
        for key, schema in (
            ("version", accepted_by(_version)),
            ("name", NAME),
            ("host", _HOST),
            ("segments", _names(_SEGMENT)),
            ("processes", before(_filled, _names(_GROUP))),
            *((key, {"type": "any"}) for key in APART),
        )
    },
}
_VALIDATOR = SchemaValidator(WORKLOAD)


def validate(plain: object) -> dict[str, Any]:
    """Return the sections of a workload, made of the dataclasses of `model`.

    Raises pydantic_core.ValidationError; its errors hold InputError where a value is refused.
    """
    found: dict[str, Any] = _VALIDATOR.validate_python(plain)
    return found


def keys_at(path: Path) -> tuple[str, ...]:
    """Return the keys of the mapping at a path; empty where names are free."""
    if path == ():
        return tuple(WORKLOAD["fields"])
    if path[0] == "events" and len(path) <= 3:
        from ptcalc.workload.event_schema import event_keys_at

        return event_keys_at(path)
    cls: Any = None
    if len(path) == 2:
        cls = {"segments": Segment, "processes": ProcessGroup}.get(str(path[0]))
    elif path == ("host",):
        cls = Host
    elif path[-2:-1] == ("mappings",):
        cls = Mapping
    elif path[-2:-1] in (("touch",), ("guest_touch",)):
        return tuple(TOUCH_FORMS) + tuple(sorted(TOUCH_KEYS - set(TOUCH_FORMS)))
    elif path[-2:-1] == ("ranges",):
        return Range._fields
    return tuple(_KEY_OF.get(field.name, field.name) for field in dataclasses.fields(cls)) if cls else ()
