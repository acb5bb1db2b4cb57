"""What each key of an entry of `events` accepts: one mapping of keys for each kind of event.

Apart from `schema`, so that a file without events does not pay for it.  `EVENTS` turns plain data into dictionaries of
checked values; `event_reading` makes events of them, which needs the rest of the file.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import SchemaValidator

from ptcalc.errors import InputError, quote
from ptcalc.workload.schema import (
    AMOUNT,
    LOCKED,
    NAME,
    PATTERNS,
    PLACE,
    POSITIVE,
    SHARING,
    SIZE,
    SOME,
    TOUCH_LIST,
    TRUTH,
    Schema,
    accepted_by,
    before,
    listed,
    words,
)
from ptcalc.workload.sizes import kind_of, parse_duration
from ptcalc.workload.source import Path

MAX_EVENTS = 100_000
COMMON = ("at", "name", "refault")
_PROTECTIONS = ("none", "r", "rw", "rx", "rwx")
_ADVICE = ("dontneed", "free", "cold", "pageout", "collapse", "hugepage", "nohugepage")

_WHO: dict[str, Schema] = {"group": NAME, "count": SOME, "label": NAME, "as": NAME}
_PART: dict[str, Schema] = {"mapping": NAME, "start": PLACE, "length": POSITIVE}
_IN_SEGMENT: dict[str, Schema] = {"segment": NAME, "start": PLACE, "length": POSITIVE}
_OF: dict[str, Schema] = {"of": words("mapping", "window")}

# The keys of each kind of event; those that must be there stand in `_REQUIRED`.
ACTIONS: dict[str, dict[str, Schema]] = {
    "start": {"group": NAME, "count": SOME, "as": NAME, "touch": words("written", "none")},
    "fork": {**_WHO, "into": NAME},
    "exit": {"group": NAME, "count": SOME, "label": NAME},
    "touch": {**_WHO, "mapping": NAME, "touch": TOUCH_LIST, "access": words("read", "write")},
    "grow": {
        **_WHO,
        "mapping": NAME,
        "rate": AMOUNT,
        "until": AMOUNT,
        "pattern": words(*PATTERNS),
        "cluster": POSITIVE,
        "overlap": words("independent", "same"),
    },
    "mprotect": {**_WHO, **_PART, "protection": words(*_PROTECTIONS), **_OF},
    "munmap": {**_WHO, **_PART, **_OF},
    "mremap": {**_WHO, **_PART, "address": PLACE, **_OF},
    "madvise": {**_WHO, **_PART, "advice": words(*_ADVICE)},
    "punch": _IN_SEGMENT,
    "truncate": {"segment": NAME, "size": SIZE},
    "userfaultfd": {**_WHO, **_PART, "mode": words("none", "missing", "wp", "minor")},
    "softdirty": {**_WHO, **_PART, "set": TRUTH},
    "mlock": {**_WHO, **_PART, "set": LOCKED},
    "sharing": {**_WHO, "mapping": NAME, "set": SHARING},
    "write_protect": {**_IN_SEGMENT, "set": TRUTH},
    "pressure": {"amount": SIZE},
    "mark": {},
}
_REQUIRED = {
    "start": ("group", "count"),
    "fork": ("group", "count"),
    "punch": ("segment",),
    "truncate": ("segment", "size"),
    "touch": ("group", "touch"),
    "grow": ("group", "rate", "until"),
    "mprotect": ("group", "protection"),
    "mremap": ("group", "address"),
    "madvise": ("group", "advice"),
    "userfaultfd": ("group", "mode"),
    "softdirty": ("group", "set"),
    "mlock": ("group", "set"),
    "sharing": ("group", "set"),
    "write_protect": ("segment", "set"),
    "exit": ("group",),
    "munmap": ("group",),
}


def _one_action(value: object) -> object:
    """Refuse an entry that says not exactly one thing; unknown keys are left to the schema."""
    if not isinstance(value, dict):
        raise InputError(f"{quote(value) if isinstance(value, str) else kind_of(value)} stands here", accepted=_EXAMPLE)
    if not {*ACTIONS, *COMMON}.issuperset(value):
        return value
    found = [key for key in value if key in ACTIONS]
    if len(found) != 1:
        what = f"{' and '.join(found)} stand together" if found else "an event that does not say what happens"
        raise InputError(what, accepted=f"one of {', '.join(ACTIONS)}")
    return value


def _keys(schemas: dict[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    fields = {
        key: {"type": "typed-dict-field", "schema": schema, "required": key in required}
        for key, schema in schemas.items()
    }
    return {"type": "typed-dict", "extra_behavior": "forbid", "fields": fields}


_EXAMPLE = "an event, such as {at: 8 h, exit: {group: server, count: 50}}"
_EVENT = before(
    _one_action,
    _keys(
        {
            "at": accepted_by(parse_duration),
            "name": NAME,
            "refault": TRUTH,
            **{key: _keys(schemas, _REQUIRED.get(key, ())) for key, schemas in ACTIONS.items()},
        }
    ),
)
EVENTS: Schema = listed(_EVENT)
_VALIDATOR: Any = SchemaValidator(_keys({"events": EVENTS}, ("events",)))


def validate_events(plain: object) -> list[dict[str, Any]]:
    """Return the entries of the list as dictionaries of checked values.

    Raises InputError for more than `MAX_EVENTS`, and pydantic_core.ValidationError, as `schema.validate` does.
    """
    if isinstance(plain, list) and len(plain) > MAX_EVENTS:
        raise InputError(f"{len(plain):,} events", accepted=f"at most {MAX_EVENTS:,}")
    return list(_VALIDATOR.validate_python({"events": plain})["events"])


def event_keys_at(path: Path) -> tuple[str, ...]:
    """Return the keys of the mapping at a path below ``events``; empty where there is none."""
    if len(path) == 2:
        return (*ACTIONS, *COMMON)
    if len(path) == 3:
        return tuple(ACTIONS.get(str(path[2]), ()))
    return ()
