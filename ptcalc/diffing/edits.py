"""The values that two workload files say differently, and the base with some of them applied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ptcalc.diffing.result import Edit
from ptcalc.workload.places import place_of
from ptcalc.workload.source import Node, Path, Positions

SECTIONS = ("version", "host", "segments", "processes")  # what an estimate is about
MOST = 100  # edits that are told apart; of more, those of one group or segment are one
_SHOWN = 80  # characters of a value

Pair = tuple[Node, Node]  # of a key, and of what stands there


class Change(NamedTuple):
    """One place that differs: its path in the base (None in the end: a new entry of a list), and both nodes."""

    path: tuple[str | int | None, ...]
    before: Pair | None
    after: Pair | None


@dataclass(frozen=True, slots=True)
class Edited:
    """Changes that are applied together."""

    changes: tuple[Change, ...]

    @property
    def path(self) -> tuple[str | int | None, ...]:
        """What the paths of the changes have in common."""
        first, *others = (change.path for change in self.changes)
        return first[: min((common(first, other) for other in others), default=len(first))]

    def joined(self, other: Edited) -> Edited:
        """Return both as one."""
        return Edited(self.changes + other.changes)


def common(one: tuple[object, ...], other: tuple[object, ...]) -> int:
    """Return how many steps two paths have in common."""
    steps = zip(one, other, strict=False)
    return next((number for number, (step, beside) in enumerate(steps) if step != beside), min(len(one), len(other)))


def edits_between(base: Positions, new: Positions) -> list[Edited]:
    """Return what differs, in the order of the files.

    What stands at one place of a file and, by an anchor, counts at several, is one edit; numbers are compared as such.
    """
    found: dict[tuple[object, ...], Edited] = {}
    for change in _sections(base, new):
        places = tuple(pair and (pair[1].line, pair[1].column) for pair in change[1:])
        # What an option says stands at no place of its own.
        origin = any(pair and pair[1].origin for pair in change[1:])
        key: tuple[object, ...] = (change.path,) if origin else places
        found[key] = found[key].joined(Edited((change,))) if key in found else Edited((change,))
    edits = list(found.values())
    for depth in (2, 1):
        if len(edits) > MOST:
            together: dict[tuple[object, ...], Edited] = {}
            for edit in edits:
                key = edit.path[:depth]
                together[key] = together[key].joined(edit) if key in together else edit
            edits = list(together.values())
    return edits


def _sections(base: Positions, new: Positions) -> Iterator[Change]:
    roots = base.root, new.root
    if not all(root is not None and isinstance(root.value, dict) for root in roots):
        return
    before, after = (
        Node({key: pair for key, pair in root.value.items() if key in SECTIONS}, 1, 1)  # type: ignore[union-attr]
        for root in roots
    )
    yield from _inside((), before, after)


def _differing(path: Path, before: Pair, after: Pair) -> Iterator[Change]:
    one, other = before[1], after[1]
    if _same(path, one, other):
        return
    inside = isinstance(one.value, dict) and isinstance(other.value, dict)
    if path[-1:] == ("touch",) or path[-2:-1] == ("touch",):
        # The keys of a touch make sense together only.
        inside = inside and set(one.value) == set(other.value)
    elif isinstance(one.value, list) and isinstance(other.value, list):
        inside = path[-1:] == ("mappings",)
    if inside:
        yield from _inside(path, one, other)
    else:
        yield Change(path, before, after)


def _inside(path: Path, one: Node, other: Node) -> Iterator[Change]:
    """Yield what differs in two mappings, or in two lists of mappings, whose entries are known by their segments."""
    before, after = _entries(one), _entries(other)
    for key, (step, pair) in before.items():
        if key in after:
            yield from _differing((*path, step), pair, after[key][1])
        else:
            yield Change((*path, step), pair, None)
    for key, (step, pair) in after.items():
        if key not in before:
            yield Change((*path, None if isinstance(one.value, list) else step), None, pair)


def _entries(node: Node) -> dict[object, tuple[str | int, Pair]]:
    if isinstance(node.value, dict):
        return {key: (key, pair) for key, pair in node.value.items()}
    found: dict[object, tuple[str | int, Pair]] = {}
    for number, each in enumerate(node.value):
        assert isinstance(each, Node)
        segment = each.value["segment"][1].value if isinstance(each.value, dict) and "segment" in each.value else ""
        again = sum(1 for key in found if isinstance(key, tuple) and key[0] == segment)
        found[segment if isinstance(segment, str) else "", again] = (number, (each, each))
    return found


def _same(path: Path, one: Node, other: Node) -> bool:
    first, second = one.to_plain(), other.to_plain()
    if first == second:
        return True
    place = place_of(path)
    if place is None or not isinstance(first, str) or not isinstance(second, str):
        return False
    number = place.number(first)
    return number is not None and number == place.number(second)


_REMOVED = object()
_NEW = object()  # below it: new entries of a list


def applied(base: Positions, new: Positions, edits: Iterable[Edited]) -> Positions:
    """Return the base with some edits; errors speak of the new file."""
    tree: dict[Any, Any] = {}
    for change in (change for edit in edits for change in edit.changes):
        *parents, last = change.path
        place = tree
        for step in parents:
            place = place.setdefault(step, {})
        if last is None:
            place.setdefault(_NEW, []).append(change.after)
        else:
            place[last] = _REMOVED if change.after is None else change.after
    assert base.root is not None
    return Positions(new.file, new.text, _merged(base.root, tree))


def _merged(node: Node, tree: dict[Any, Any]) -> Node:
    copy = Node(node.value, node.line, node.column, node.plain, node.origin)
    if isinstance(node.value, dict):
        pairs = dict(node.value)
        for key, change in tree.items():
            if change is _REMOVED:
                del pairs[key]
            elif isinstance(change, dict):
                pairs[key] = (pairs[key][0], _merged(pairs[key][1], change))
            else:
                pairs[key] = change
        copy.value = pairs
    elif isinstance(node.value, list):
        items = []
        for number, each in enumerate(node.value):
            change = tree.get(number)
            if change is not _REMOVED:
                items.append(
                    each if change is None else _merged(each, change) if isinstance(change, dict) else change[1]
                )
        copy.value = items + [pair[1] for pair in tree.get(_NEW, ())]
    return copy


def shown(edit: Edited, base: Positions, new: Positions) -> Edit:
    """Return an edit as it is reported."""
    change = edit.changes[0]
    pair, document = (change.before, base) if change.after is None else (change.after, new)
    assert pair is not None
    key, node = pair
    paths = tuple(dict.fromkeys(_dotted(each, base) for each in edit.changes))
    many = len(edit.changes) > 1 and len({(_text(each.before), _text(each.after)) for each in edit.changes}) > 1
    found = Edit(
        paths,
        "" if many else _text(change.before),
        "" if many else _text(change.after),
        document.file,
        *(
            (node.line, node.column)
            if change.after is not None and change.before is not None
            else (key.line, key.column)
        ),
    )
    return replace(found, file=node.origin, line=0, column=0) if node.origin else found


def _dotted(change: Change, base: Positions) -> str:
    *parents, last = change.path
    steps = tuple(step for step in parents if step is not None)
    if last is not None:
        return base.dotted((*steps, last))
    node = change.after[1] if change.after else None
    segment = node.value.get("segment") if node is not None and isinstance(node.value, dict) else None
    return f"{base.dotted(steps)}[+{segment[1].value if segment else ''}]"


def _text(pair: Pair | None) -> str:
    text = "" if pair is None else _flow(pair[1].to_plain())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return value.strip() if isinstance(value, str) else "~"
