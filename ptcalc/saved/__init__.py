"""Results that were saved as JSON, read back: for reports, base lines and comparisons.

What is damaged is refused: where it is no JSON with line and column, where a value is wrong with its path.
"""

from __future__ import annotations

import json
import os
import re
import sys
from functools import cache
from typing import Any

from pydantic_core import SchemaValidator, ValidationError

from ptcalc.errors import MAX_COLLECTED, InputError, quote
from ptcalc.result import ESTIMATE_SCHEMA, EXPLAIN_SCHEMA, Estimate
from ptcalc.workload.sizes import kind_of

MAX_BYTES = 64 << 20
STDIN = "<stdin>"
SAVED = f"a result that ptcalc estimate --format json has saved (schema {ESTIMATE_SCHEMA})"
FILES = "the path of a saved result, or - for standard input"

_KINDS = {
    "int_type": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "an object",
    "dataclass_type": "an object",
    "is_instance_of": "a text",
}


def load_result(path: str | os.PathLike[str]) -> Estimate:
    """Read an estimate that was saved as JSON (``ptcalc estimate --format json``); ``-`` is standard input.

    ``ptcalc.explain/1`` is read as well.  Raises InputError for a file that cannot be read, for whatever is no JSON
    (with line and column), for another schema, and for values of other types (with their paths).
    """
    data, name = read_bytes(path)
    return loads_result(data, name=name)


def loads_result(text: str | bytes, *, name: str = "<string>") -> Estimate:
    """Read an estimate from JSON text; errors call the file ``name``.  Raises what `load_result` raises."""
    return estimate_of(parse(text, name), name)


def read_bytes(path: str | os.PathLike[str], accepted: str = FILES) -> tuple[bytes, str]:
    """Return what a file holds, and its name; ``-`` is standard input.  Raises InputError, also for MAX_BYTES."""
    name = os.fsdecode(path)
    try:
        if name == "-":
            name = STDIN
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(name, "rb") as file:
                data = file.read(MAX_BYTES + 1)
    except (AttributeError, OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be read: {what}", file=name, accepted=accepted) from None
    if len(data) > MAX_BYTES:
        raise InputError(f"more than {MAX_BYTES >> 20} MiB", file=name, accepted="a smaller file")
    return data, name


def parse(text: str | bytes, name: str) -> dict[str, Any]:
    """Return the JSON object of a text.  Raises InputError for anything else."""
    try:
        text = decoded(text)
        found = json.loads(text)
    except json.JSONDecodeError as error:
        lines = error.doc.splitlines()
        quoted = lines[error.lineno - 1] if error.lineno <= len(lines) else ""
        message = f"this is no JSON: {error.msg[:1].lower()}{error.msg[1:].removesuffix(' starting at')}"
        raise InputError(
            message, file=name, line=error.lineno, column=error.colno, quoted=quoted, accepted=SAVED
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"this is no text: {error.reason}", file=name, accepted=SAVED) from None
    except RecursionError:
        raise InputError("this is nested too deeply to be a result", file=name, accepted=SAVED) from None
    except ValueError:  # an integer of more digits than Python converts
        raise InputError("a number has too many digits", file=name, accepted=SAVED) from None
    if not isinstance(found, dict):
        raise InputError("this is no JSON object", file=name, accepted=SAVED)
    return found


def schema_of(saved: dict[str, Any]) -> str:
    """Return the schema that a saved result says it follows; empty where it says none."""
    schema = saved.get("schema")
    return schema if isinstance(schema, str) else ""


def estimate_of(saved: dict[str, Any], name: str) -> Estimate:
    """Return the estimate that a JSON object holds.  Raises InputError for one that holds none."""
    schema = schema_of(saved)
    if schema not in (ESTIMATE_SCHEMA, EXPLAIN_SCHEMA):
        found = f"this is of schema {quote(schema)}" if schema else "this says no schema"
        raise InputError(found, file=name, accepted=SAVED)
    estimate: Estimate = built(saved, _validator(), name, SAVED)
    return estimate


def built(saved: dict[str, Any], validator: SchemaValidator, name: str, accepted: str) -> Any:
    """Return what a JSON object holds.  Raises InputError with the path of a wrong value; ``accepted``: of what."""
    try:
        return validator.validate_python(saved)
    except ValidationError as error:
        raise _refusal(error, name, accepted) from None


@cache
def _validator() -> SchemaValidator:
    from ptcalc.saved.shapes import ESTIMATE

    return SchemaValidator(ESTIMATE)


def decoded(text: str | bytes) -> str:
    """Return JSON as text, whatever the encoding that a shell has written.  Raises UnicodeDecodeError."""
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    return text.decode(json.detect_encoding(text), "strict").removeprefix("\ufeff")


def _refusal(error: ValidationError, name: str, whole: str) -> InputError:
    problems = []
    for detail in error.errors(include_url=False)[:MAX_COLLECTED]:
        message, accepted = _said(detail, whole)
        problems.append(InputError(f"{_dotted(detail['loc'])}: {message}", file=name, accepted=accepted))
    first, *more = problems
    first.more = tuple(more)
    return first


def _said(detail: Any, whole: str) -> tuple[str, str | None]:
    """Return what is wrong with one value, and what would be accepted."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "missing":
        return "is missing", whole
    found = _shown(value)
    if kind == "value_error" and isinstance(context.get("error"), InputError):
        return f"{found}: {context['error'].message}", context["error"].accepted
    if kind in ("greater_than_equal", "less_than_equal"):
        bound = context.get("ge", context.get("le"))
        return f"{found} is out of bounds", f"{'at least' if 'ge' in context else 'at most'} {bound}"
    if kind == "too_short":
        return "an empty list", "at least one"
    if kind == "literal_error":
        return f"{found} stands here", ", ".join(re.findall(r"'([^']*)'", context["expected"]))
    return f"{found} stands here", _KINDS.get(kind, detail["msg"])


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return quote(value)
    if value is None or isinstance(value, bool | float):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**30 else "a number of many digits"
    return kind_of(value).replace("a mapping", "an object")


def _dotted(location: tuple[str | int, ...]) -> str:
    """Return a place as ``policies[0].page_tables.bytes``."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else ("." if text else "") + step
    return text
