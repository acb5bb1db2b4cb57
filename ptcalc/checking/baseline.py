"""A saved result of ``ptcalc estimate --format json``, as the base line that growth is measured from."""

from __future__ import annotations

from pathlib import Path, PurePath

from ptcalc.checking.agreements import Budget
from ptcalc.errors import InputError
from ptcalc.saved import SAVED, load_result

STEM = "{stem}"  # stands for the name of the workload file, without its suffix


def amount_before(budget: Budget, policy: str, file: str) -> int:
    """Return the bytes of the base line of a budget on growth, of what it is about.

    The path is relative to the file of the budget.  Raises InputError, at the budget's place, for a base line that
    cannot be read, is of another schema, or lacks the policy.
    """
    name = budget.baseline.replace(STEM, PurePath(file).stem)
    path = Path(budget.positions.file).parent / name
    try:
        before = load_result(path)
    except InputError as error:
        place = f":{error.line}:{error.column}" if error.line else ""
        accepted = error.accepted or SAVED
        raise budget.error(InputError(f"the base line {path}{place}: {error.message}", accepted=accepted)) from None
    try:
        result = before.policy(policy)
    except KeyError:
        accepted = f"{SAVED}, with that policy"
        raise budget.error(InputError(f"the base line {path} has no policy {policy}", accepted=accepted)) from None
    return result.page_tables.used_bytes if budget.of == "page_tables" else result.memory.demand_bytes
