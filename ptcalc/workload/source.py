"""A YAML file as a tree of nodes that know their places, composed by ptcalc from the parser's events.

PyYAML's own composer recurses (its C one crashes on 60,000 nested brackets) and reads scalars by YAML 1.1
rules.  Here depth, size and the expansion of aliases are bounded while the events come in, and scalars stay
text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Union

import yaml

from ptcalc.errors import InputError, nearest, quote

if TYPE_CHECKING:
    from ptcalc.workload.distributions import Distribution

Path = tuple[str | int, ...]
Value = Union[str, "list[Node]", "dict[str, tuple[Node, Node]]"]

MAX_BYTES = 8 << 20
MAX_DEPTH = 50
MAX_NODES = 500_000  # after aliases and merges are expanded
AGREEMENTS = ("budgets", "accept")  # sections of workload and config files that `ptcalc.checking` reads
NULLS = ("", "~", "null", "Null", "NULL")

# What stands for "no value" in plain data: no type accepts it.
NO_VALUE = object()

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # without libyaml: the same events, slower
_NOT_TEXT = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
_BREAK = "\r\n|[\n\r\x85\u2028\u2029]"


class Override(NamedTuple):
    """A value that replaces the one at ``path`` of a file; errors name ``origin``, an option, as its place."""

    path: Path
    value: str
    origin: str


class Node:
    """A scalar (str), list (of nodes) or mapping (key -> (node of the key, node of the value)).

    ``line`` and ``column`` count from 1; ``weight`` and ``height`` are of the tree below, aliases expanded.
    ``origin`` says where a value comes from that does not stand in the file.
    """

    __slots__ = ("column", "finished", "height", "line", "merges", "origin", "plain", "value", "weight")

    def __init__(self, value: Value, line: int, column: int, plain: bool = False, origin: str = "") -> None:
        self.value = value
        self.line = line
        self.column = column
        self.plain = plain
        self.origin = origin
        self.weight = 1
        self.height = 0
        self.finished = True
        self.merges: list[Node] = []

    @property
    def null(self) -> bool:
        """Whether this is a scalar that says "no value"."""
        return self.plain and self.value in NULLS

    def to_plain(self) -> Any:
        """Return texts, lists and dictionaries; what has no value is `NO_VALUE`."""
        if isinstance(self.value, str):
            return NO_VALUE if self.null else self.value
        if isinstance(self.value, list):
            return [node.to_plain() for node in self.value]
        return {key: node.to_plain() for key, (_, node) in self.value.items()}


class Positions:
    """Where each value of a file stands.

    ``uncertain`` holds the distributions whose medians stand in their places, ``overrides`` the values that are not
    those of ``text``.
    """

    __slots__ = ("_lines", "file", "overrides", "root", "text", "uncertain")

    def __init__(
        self,
        file: str,
        text: str,
        root: Node | None = None,
        uncertain: Mapping[Path, Distribution] | None = None,
        overrides: tuple[Override, ...] = (),
    ) -> None:
        self.file = file
        self.text = text
        self.root = root
        self.uncertain = uncertain or {}
        self.overrides = overrides
        self._lines: list[str] | None = None

    def of(self, path: Path) -> tuple[int, int]:
        """Return (line, column), from 1, of the value at `path`, or of the nearest parent that is written."""
        node = self.find(path)[0]
        return (1, 1) if node is None else (node.line, node.column)

    def stated(self, path: Path) -> bool:
        """Whether the value at `path` is written in the file."""
        node, whole = self.find(path)
        return node is not None and whole

    def find(self, path: Path) -> tuple[Node | None, bool]:
        """Return the node at `path`, or the nearest parent, and whether it is the one that was asked for."""
        node = self.root
        if node is None:
            return None, False
        for at, step in enumerate(path):
            if isinstance(node.value, dict) and step in node.value:
                node = node.value[str(step)][1]
            elif isinstance(node.value, list) and isinstance(step, int) and 0 <= step < len(node.value):
                node = node.value[step]
            elif not _single_touch(path, at):
                return node, False
        return node, True

    def resolve(self, dotted: str) -> Path:
        """Return the path that a text like ``processes.server.mappings.0.touch`` names.

        Names may have dots in them, and `dotted`'s spelling is understood as well.  Only the last step may be missing
        in the file.  Raises InputError, without a place, where an earlier one is, or where there is nothing below.
        """
        path: Path = ()
        node, rest = self.root, dotted
        while node is not None:
            step, left = _step(node, rest, self.dotted(path), at_root=not path)
            path = (*path, step)
            if not left:
                return path
            node, rest = self.find(path)[0], left.removeprefix(".")
        raise InputError("there is no document")

    def overridden(self, overrides: Iterable[Override]) -> Positions:
        """Return the same file with other values; where a path leads to no mapping or list, nothing is replaced."""
        root, uncertain, added = self.root, self.uncertain, tuple(overrides)
        for override in added:
            root = root and _replaced(root, override.path, override)
            many = len(override.path)
            uncertain = {path: each for path, each in uncertain.items() if path[:many] != override.path}
        return Positions(self.file, self.text, root, uncertain, self.overrides + added)

    def dotted(self, path: Path) -> str:
        """Return a path as people write it: ``processes.server.mappings[0].touch.every``."""
        text = ""
        for at, step in enumerate(path):
            if isinstance(step, str):
                plain = step.replace("-", "").replace("_", "").isalnum()
                text += ("." if text else "") + (step if plain else quote(step))
            elif not (_single_touch(path, at) and self._is_no_list(path[:at])):
                text += f"[{step}]"
        return text

    def _is_no_list(self, path: Path) -> bool:
        node, whole = self.find(path)
        return node is None or not whole or not isinstance(node.value, list)

    def error(self, path: Path, error: InputError) -> InputError:
        """Return the error with the place of the value at `path`, and what that is the median of."""
        node = self.find(path)[0]
        if path in self.uncertain:
            error.message += f" (the median of {self.uncertain[path].text})"
            error.args = (error.message,)
        return self.at(node, error) if node is not None else error

    def _line(self, number: int) -> str:
        """Return a line of the text, counted from 1, without its break."""
        if self._lines is None:
            self._lines = re.split(_BREAK, self.text)
        return self._lines[number - 1] if number <= len(self._lines) else ""

    def is_tab(self, node: Node) -> bool:
        """Whether a tab stands where a node begins."""
        return self._line(node.line)[node.column - 1 : node.column] == "\t"

    def at(self, node: Node, error: InputError) -> InputError:
        """Return the error with the place of a node."""
        if node.origin:
            return error.located(node.origin)
        return error.located(self.file, node.line, node.column, self._line(node.line))


def _single_touch(path: Path, at: int) -> bool:
    """Whether a step is the index that a single form of touch, a list of one, does not have in the file."""
    return path[at] == 0 and at > 0 and path[at - 1] in ("touch", "guest_touch")


def _step(node: Node, rest: str, where: str, *, at_root: bool) -> tuple[str | int, str]:
    """Return the first step of a dotted path below a node, and what is left of the path."""
    if isinstance(node.value, dict):
        # What only holds anchors is no part of the workload.
        keys = [key for key in node.value if not (at_root and key.startswith("x-"))]
        spelled = {spelling: key for key in keys for spelling in (key, quote(key))}
        for spelling in sorted(spelled, key=len, reverse=True):
            left = rest.removeprefix(spelling)
            if rest.startswith(spelling) and left[:1] in ("", ".", "["):
                return spelled[spelling], left
        name = re.split(r"[.\[]", rest, maxsplit=1)[0]
        if name == rest and rest and not (at_root and rest.startswith("x-")):
            return rest, ""
        inside = f" in {where}" if where else ""
        accepted = ", ".join(map(quote, keys[:20])) + (", …" if len(keys) > 20 else "")
        raise InputError(f"there is no {quote(name)}{inside}", accepted=accepted, suggestion=nearest(name, keys))
    if isinstance(node.value, list):
        found = re.fullmatch(r"(?:\[(\d{1,9})\]|(\d{1,9}))([.\[].*)?", rest, re.ASCII | re.DOTALL)
        number = int(found[1] or found[2]) if found else -1
        if found is None or number >= len(node.value):
            accepted = f"a number from 0 to {len(node.value) - 1}" if node.value else "nothing: it is an empty list"
            raise InputError(f"{where} is a list, and {quote(rest)} leads to nothing in it", accepted=accepted)
        return number, found[3] or ""
    raise InputError(f"{where} is a single value, there is no {quote(rest)} in it", accepted=f"{where} itself")


def _replaced(node: Node, path: Path, override: Override) -> Node:
    """Return a copy of the nodes along a path, the last of them with another value."""
    if not path:
        return Node(override.value, node.line, node.column, plain=True, origin=override.origin)
    step, *rest = path
    copy = Node(node.value, node.line, node.column, node.plain, node.origin)
    if isinstance(node.value, list) and isinstance(step, int):
        copy.value = [*node.value]
        copy.value[step] = _replaced(node.value[step], tuple(rest), override)
    elif isinstance(node.value, dict) and (step in node.value or not rest):
        # A key that is not written stands where its parent does.
        new = Node(str(step), node.line, node.column, origin=override.origin)
        key, child = node.value.get(str(step), (new, node))
        copy.value = {**node.value, str(step): (key, _replaced(child, tuple(rest), override))}
    return copy


def decode(data: bytes, file: str) -> str:
    """Return the text of a file: UTF-8, with or without a byte order mark."""
    if len(data) > MAX_BYTES:
        raise InputError(f"more than {MAX_BYTES >> 20} MiB", file=file, accepted="a smaller workload file")
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        data = data.removeprefix(b"\xef\xbb\xbf")
        before = data[: error.start].decode()
        line, column = _place(before, len(before))
        message = f"byte 0x{data[error.start]:02x} is not UTF-8: this is no text file"
        raise InputError(message, file=file, line=line, column=column, accepted="YAML in UTF-8") from None


def compose(text: str, file: str) -> Positions:
    """Return the tree of the one document of a text.  Raises InputError for whatever is not such a text."""
    if len(text) > MAX_BYTES:
        raise InputError(f"more than {MAX_BYTES >> 20} Mi characters", file=file, accepted="a smaller workload file")
    text = text.removeprefix("\ufeff")
    plain = text.replace("\n", "").isprintable()  # most are: that saves to build the expression
    wrong = None if plain else re.search(_NOT_TEXT, text)
    if wrong is not None:
        line, column = _place(text, wrong.start())
        message = f"character U+{ord(wrong[0]):04X} stands here: this is no text file"
        raise InputError(message, file=file, line=line, column=column, accepted="YAML in UTF-8")
    positions = Positions(file, text)
    root = _Composer(positions).compose()
    return Positions(file, text, root)


def entries(positions: Positions, node: Node, known: Iterable[str] | None) -> Iterator[tuple[str, Node]]:
    """Yield the entries of a mapping whose keys must be known (None: names are free).

    Raises InputError, at its place, for an unknown key and for what is no mapping.
    """
    names = None if known is None else tuple(known)
    accepted = "names and what they stand for" if names is None else f"the keys {', '.join(names)}"
    if not isinstance(node.value, dict):
        raise positions.at(node, InputError("no mapping stands here", accepted=accepted))
    for key, (at, content) in node.value.items():
        if names is not None and key not in names:
            error = InputError(f"unknown key {quote(key)}", accepted=", ".join(names))
            error.suggestion = nearest(key, names)
            raise positions.at(at, error)
        yield key, content


_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels", "fewer levels"


class _Composer:
    """Builds the tree from events, with a stack of its own instead of recursion."""

    def __init__(self, positions: Positions) -> None:
        self.positions = positions
        self.open: list[Node] = []
        self.keys: list[Node | None] = []  # the key that waits for its value, for each open node
        self.anchors: dict[str, Node] = {}
        self.total = 0
        self.documents = 0
        self.root: Node | None = None

    def compose(self) -> Node:
        for event in self._events():
            if isinstance(event, yaml.DocumentStartEvent):
                self._document(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()
            elif isinstance(event, yaml.NodeEvent):
                self._node(event)
        if self.root is None:
            raise InputError("the file is empty", file=self.positions.file, accepted="a workload, version: 1")
        return self.root

    def _events(self) -> Any:
        try:
            yield from yaml.parse(self.positions.text, Loader=_PARSER)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            what = ", ".join(part for part in (error.context, error.problem) if part)
            place = Node("", mark.line + 1, mark.column + 1) if mark else Node("", 1, 1)
            if "nesting depth" in what:  # libyaml from 0.2.6 on has a limit of its own, far beyond this one
                raise self._error(place, *_TOO_DEEP) from None
            tab = "; tabs do not indent in YAML" if mark and self.positions.is_tab(place) else ""
            raise self._error(place, f"this is no YAML: {what}{tab}", "YAML") from None
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            # The pure Python scanner converts \U escapes and version numbers without looking at their size.
            raise InputError(f"this is no YAML: {error}", file=self.positions.file, accepted="YAML") from None

    def _error(self, node: Node, message: str, accepted: str) -> InputError:
        return self.positions.at(node, InputError(message, accepted=accepted))

    def _document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            raise self._error(_at(event), "a second document starts here", "one document in a file")

    def _node(self, event: Any) -> None:
        node = _at(event)
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise self._error(node, f"tag {quote(tag)}", "values without tags")
        if isinstance(event, yaml.AliasEvent):
            name = str(event.anchor)
            target = self.anchors.get(name)
            if target is None:
                raise self._error(
                    node, f"alias {quote(name)} has no anchor before it", "an anchor that stands before it"
                )
            if not target.finished:
                raise self._error(
                    node, f"alias {quote(name)} stands inside its own anchor", "an anchor that ends before it"
                )
            self._add(node, target)
            return
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        if isinstance(event, yaml.ScalarEvent):
            node.value, node.plain = event.value, not event.style
            if not event.value.isascii() and any("\ud800" <= char <= "\udfff" for char in event.value):
                raise self._error(node, "half a surrogate pair", "whole characters")
            self._add(node, node)
            return
        node.value = [] if isinstance(event, yaml.SequenceStartEvent) else {}
        node.finished = False
        self._add(node, node)
        self.open.append(node)
        self.keys.append(None)

    def _add(self, at: Node, node: Node) -> None:
        """Hang `node` into the innermost open collection; `at` is where it is written."""
        self.total += node.weight
        if self.total > MAX_NODES:
            raise self._error(at, f"more than {MAX_NODES:,} values, aliases expanded", "a smaller workload file")
        if len(self.open) + node.height >= MAX_DEPTH:
            raise self._error(at, *_TOO_DEEP)
        if not self.open:
            self.root = node
            return
        parent, key = self.open[-1], self.keys[-1]
        if isinstance(parent.value, list):
            parent.value.append(node)
        elif isinstance(parent.value, dict) and key is None:
            self.keys[-1] = self._key(at, node, parent.value)
        elif isinstance(parent.value, dict) and key is not None:
            self.keys[-1] = None
            if key.plain and key.value == "<<":
                parent.merges.append(node)
            else:
                parent.value[str(key.value)] = (key, node)

    def _key(self, at: Node, node: Node, found: dict[str, tuple[Node, Node]]) -> Node:
        if not isinstance(node.value, str):
            raise self._error(at, "a list or mapping stands as a key", "a text")
        if node.value in found:
            first = found[node.value][0]
            raise self._error(at, f"key {quote(node.value)} stands twice", f"each key once; see line {first.line}")
        return Node(node.value, at.line, at.column, node.plain)

    def _close(self) -> None:
        node = self.open.pop()
        self.keys.pop()
        if isinstance(node.value, dict):
            if len(node.merges) > 1:
                raise self._error(node.merges[1], "key '<<' stands twice", "<<: [*first, *second]")
            for merge in node.merges:
                self._merge(node.value, merge)
            children = [child for _, child in node.value.values()] + node.merges
        else:
            assert isinstance(node.value, list)
            children = node.value
        node.weight = 1 + sum(child.weight for child in children)
        node.height = 1 + max((child.height for child in children), default=0)
        node.finished = True

    def _merge(self, into: dict[str, tuple[Node, Node]], merge: Node) -> None:
        """Add what ``<<`` names: what is written here wins, then the first of a list."""
        for source in merge.value if isinstance(merge.value, list) else [merge]:
            if not isinstance(source.value, dict):
                raise self._error(merge, "'<<' merges something that is no mapping", "a mapping or a list of mappings")
            for key, pair in source.value.items():
                into.setdefault(key, pair)


def _at(event: Any) -> Node:
    return Node("", event.start_mark.line + 1, event.start_mark.column + 1)


def _place(text: str, offset: int) -> tuple[int, int]:
    """Return line and column, from 1, of an offset."""
    start, line = 0, 1
    for found in re.compile(_BREAK).finditer(text, 0, offset):
        start, line = found.end(), line + 1
    return line, offset - start + 1
