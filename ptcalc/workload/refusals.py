"""What pydantic refuses, in the words and at the place of the workload file."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ValidationError

from ptcalc.errors import InputError, nearest, quote
from ptcalc.workload.model import Host, Mapping, ProcessGroup, Range, Segment, Touch, Workload
from ptcalc.workload.sizes import SIZES, kind_of
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
}


def dotted(path: Path) -> str:
    """Return a path as people write it: ``processes.server.mappings[0].touch``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            plain = re.fullmatch(r"[\w-]+", step) is not None
            text += ("." if text else "") + (step if plain else quote(step))
    return text


def refusal(error: ValidationError, positions: Positions) -> InputError:
    """Return the first error, in the order of the file, with the others behind it."""
    found = [_one(detail, positions) for detail in error.errors(include_url=False)]
    problems = [problem for problem in found if problem is not None]
    # A misspelt key is also a missing one: say it once.
    guessed = {problem.suggestion for problem in problems if problem.suggestion}
    problems = [p for p in problems if not (p.message.endswith(" is missing") and _missing_key(p) in guessed)]
    return first_of(problems)


def first_of(problems: list[InputError]) -> InputError:
    """Return the first of some errors, in the order of the file, with the others behind it."""
    first, *more = sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0))
    first.more = tuple(more)
    return first


def _missing_key(problem: InputError) -> str:
    return problem.message.removesuffix(" is missing").rpartition(" ")[2].strip("'")


def _one(detail: Any, positions: Positions) -> InputError | None:
    kind, loc = detail["type"], tuple(detail["loc"])
    if kind == "default_factory_not_called":  # a follow-up of another error
        return None
    if kind in ("missing", "missing_argument"):
        key = str(loc[-1])
        where = f" in {dotted(loc[:-1])}" if len(loc) > 1 else ""
        problem = InputError(f"key {quote(key)}{where} is missing", accepted=_REQUIRED.get(key))
        return positions.error(loc[:-1], _reworded(problem, key, where))
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return positions.at(_key_node(loc, positions), _unknown(loc))
    if loc[-1:] == ("[key]",):
        return positions.at(_key_node(loc[:-1], positions), _wrong(detail, loc[:-1]))
    return positions.error(loc, _wrong(detail, loc))


def _reworded(problem: InputError, key: str, where: str) -> InputError:
    problem.message = f"{where.removeprefix(' in ')}: " * bool(where) + f"key {quote(key)} is missing"
    return problem


def _unknown(loc: Path) -> InputError:
    key, keys = str(loc[-1]), keys_at(loc[:-1])
    where = f"{dotted(loc[:-1])}: " if len(loc) > 1 else ""
    return InputError(
        f"{where}unknown key {quote(key)}", accepted=", ".join(keys), suggestion=nearest(key, keys)
    )


def _wrong(detail: Any, loc: Path) -> InputError:
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
    elif kind in ("tuple_type", "list_type"):
        accepted = "a list"
    elif kind == "too_short":
        message, accepted = "nothing stands here", "at least one"
    elif keys_at(loc):
        accepted = f"a mapping with the keys {', '.join(keys_at(loc))}"
    else:
        accepted = {
            "segments": "a mapping of names to segments",
            "processes": "a mapping of names to groups",
        }.get(str(loc[-1]), "a mapping of page sizes to numbers, such as {2 MiB: 153600}")
    if value is NO_VALUE:
        message = "no value"
    return InputError(f"{dotted(loc)}: {message}", accepted=accepted, suggestion=suggestion)


def _key_node(loc: Path, positions: Positions) -> Node:
    """Return the node of a key, or of the nearest parent."""
    parent, _ = positions.find(loc[:-1])
    assert parent is not None
    if isinstance(parent.value, dict) and loc[-1] in parent.value:
        return parent.value[str(loc[-1])][0]
    return parent


def keys_at(loc: Path) -> tuple[str, ...]:
    """Return the keys of the mapping at a path; empty where names are free."""
    model: type[BaseModel] | None = None
    if loc == ():
        model = Workload
    elif loc == ("host",):
        model = Host
    elif len(loc) == 2:
        model = {"segments": Segment, "processes": ProcessGroup}.get(str(loc[0]))
    elif loc[-2] == "mappings":
        model = Mapping
    elif loc[-2] == "touch":
        model = Touch
    elif loc[-2] == "ranges":
        return Range._fields
    if model is None:
        return ()
    names = (str(field.validation_alias or name) for name, field in model.model_fields.items())
    return tuple(name for name in names if name != "form")
