"""What pydantic refuses, in the words and at the place of the workload file."""

from __future__ import annotations

import re
from typing import Any

from pydantic_core import ValidationError

from ptcalc.errors import MAX_COLLECTED, InputError, nearest, quote
from ptcalc.workload.schema import TOUCHES, keys_at
from ptcalc.workload.sizes import ADDRESSES, AMOUNTS, SIZES, kind_of
from ptcalc.workload.source import NO_VALUE, Node, Path, Positions

# What may stand at a key that must not be left out.
_REQUIRED = {
    "version": "version: 1",
    "host": "host: {memory: 512 GiB}",
    "memory": f"memory: {SIZES}",
    "processes": "processes: a mapping of names to groups of processes",
    "size": f"size: {SIZES}",
    "backing": "backing: shmem, file, hugetlb or private",
    "count": "count: a whole number of processes",
    "segment": "segment: the name of a segment",
    "start": f"start: {SIZES}",
    "length": f"length: {SIZES}",
    "group": "group: the name of a group of processes",
    "touch": f"touch: {TOUCHES}",
    "rate": "rate: what is touched in each hour, 2 GiB or 1%",
    "until": f"until: {AMOUNTS}",
    "protection": "protection: none, r, rw, rx or rwx",
    "address": f"address: {ADDRESSES}",
    "advice": "advice: dontneed, free, cold, pageout, collapse, hugepage or nohugepage",
    "mode": "mode: none, missing, wp or minor",
    "set": "set: true or false; of sharing: allow or never",
}


def refusal(error: ValidationError, positions: Positions) -> InputError:
    """Return the first error, in the order of the file, with the others behind it."""
    details = error.errors(include_url=False)
    problems = [_one(detail, positions) for detail in details[:MAX_COLLECTED]]
    # A misspelt key is also a missing one: say it once.
    guessed = {problem.suggestion for problem, _ in problems}
    kept = [problem for problem, missing in problems if missing is None or missing not in guessed]
    return first_of(kept, truncated=len(details) > MAX_COLLECTED)


def first_of(problems: list[InputError], *, truncated: bool) -> InputError:
    """Return the first of some errors, in the order of the file, with the others behind it."""
    first, *more = sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0))
    first.more = tuple(more)
    first.truncated = truncated
    return first


def _one(detail: Any, positions: Positions) -> tuple[InputError, str | None]:
    """Translate one error; return it with the key that it misses, if that is what is wrong."""
    kind, loc = detail["type"], tuple(detail["loc"])
    if kind in ("missing", "missing_keyword_only_argument"):
        key, where = str(loc[-1]), f"{positions.dotted(loc[:-1])}: " if len(loc) > 1 else ""
        error = InputError(f"{where}key {quote(key)} is missing", accepted=_REQUIRED.get(key))
        return positions.error(loc[:-1], error), key
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return positions.at(_key_node(loc, positions), _unknown(loc, positions)), None
    if loc[-1:] == ("[key]",):
        return positions.at(_key_node(loc[:-1], positions), _wrong(detail, loc[:-1], positions)), None
    return positions.error(loc, _wrong(detail, loc, positions)), None


def _unknown(loc: Path, positions: Positions) -> InputError:
    key, keys = str(loc[-1]), keys_at(loc[:-1])
    where = f"{positions.dotted(loc[:-1])}: " if len(loc) > 1 else ""
    return InputError(
        f"{where}unknown key {quote(key)}", accepted=", ".join(keys) or "no keys: {}", suggestion=nearest(key, keys)
    )


def _wrong(detail: Any, loc: Path, positions: Positions) -> InputError:
    """Translate a value of the wrong type or outside its bounds."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    shown = quote(value) if isinstance(value, str) else kind_of(value)
    message, accepted, suggestion = f"{shown} stands here", None, None
    if kind == "value_error" and isinstance(context.get("error"), InputError):
        message, accepted = context["error"].message, context["error"].accepted
    elif kind == "literal_error":
        words = re.findall(r"'([^']*)'", context["expected"])
        message = f"{shown} is none of the words accepted" if isinstance(value, str) else message
        accepted = ", ".join(words)
        suggestion = nearest(value, words) if isinstance(value, str) else None
    elif kind == "tuple_type":
        accepted = "a list"
    elif keys_at(loc):
        accepted = f"a mapping with the keys {', '.join(keys_at(loc))}"
    else:
        accepted = {
            "segments": "a mapping of names to segments",
            "processes": "a mapping of names to groups",
        }.get(str(loc[-1]), "a mapping of page sizes to numbers, such as {2 MiB: 153600}")
    if value is NO_VALUE:
        message = "no value"
    return InputError(f"{positions.dotted(loc)}: {message}", accepted=accepted, suggestion=suggestion)


def _key_node(loc: Path, positions: Positions) -> Node:
    """Return the node of a key, or of the nearest parent."""
    parent, _ = positions.find(loc[:-1])
    assert parent is not None
    if isinstance(parent.value, dict) and loc[-1] in parent.value:
        return parent.value[str(loc[-1])][0]
    return parent
