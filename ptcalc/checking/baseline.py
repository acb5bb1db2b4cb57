"""A saved result of ``ptcalc estimate --format json``, as the base line that growth is measured from."""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any

from ptcalc.checking.agreements import Budget
from ptcalc.errors import InputError, quote
from ptcalc.result import ESTIMATE_SCHEMA

MAX_BYTES = 64 << 20
SAVED = f"a result that ptcalc estimate --format json has saved (schema {ESTIMATE_SCHEMA})"
STEM = "{stem}"  # stands for the name of the workload file, without its suffix


def amount_before(budget: Budget, policy: str, file: str) -> int:
    """Return the bytes of the base line of a budget on growth, of what it is about.

    The path is relative to the file of the budget.  Raises InputError, at the budget's place, for a base line that
    cannot be read, is of another schema, or lacks the policy.
    """
    name = budget.baseline.replace(STEM, PurePath(file).stem)
    path = Path(budget.positions.file).parent / name
    for answer in _policies(budget, path):
        if isinstance(answer, dict) and answer.get("policy") == policy:
            break
    else:
        raise _wrong(budget, path, f"has no policy {policy}", f"{SAVED}, with that policy")
    room, key = ("page_tables", "used_bytes") if budget.of == "page_tables" else ("memory", "demand_bytes")
    figures = answer.get(room)
    amount = figures.get(key) if isinstance(figures, dict) else None
    if not isinstance(amount, int) or isinstance(amount, bool) or amount < 0:
        raise _wrong(budget, path, f"has no {room}.{key} of policy {policy}", SAVED)
    return amount


def _policies(budget: Budget, path: Path) -> list[Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise _wrong(budget, path, f"has more than {MAX_BYTES >> 20} MiB", SAVED)
        saved = json.loads(data)
    except OSError as error:
        raise _wrong(budget, path, f"cannot be read: {error.strerror or error}", SAVED) from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise _wrong(budget, path, "is no JSON", SAVED) from None
    schema = saved.get("schema") if isinstance(saved, dict) else None
    if schema != ESTIMATE_SCHEMA:
        found = f"is of schema {quote(schema)}" if isinstance(schema, str) else "says no schema"
        raise _wrong(budget, path, found, SAVED)
    policies = saved.get("policies")
    return policies if isinstance(policies, list) else []


def _wrong(budget: Budget, path: Path, what: str, accepted: str) -> InputError:
    return budget.error(InputError(f"the base line {path} {what}", accepted=accepted))
