r"""Oracle's parameter files, and server parameter files as text.

Oracle Database Reference, "Rules Governing Initialization Parameter Files" and "Using Special Characters in
Parameter Values": ``#`` starts a comment, several parameters may stand on one line, lists in parentheses or
without, quotation marks of both kinds, a backslash before a special character or at the end of a line that goes on.
In a file that came from a server parameter file names have the instance before them (``*.`` for all), and the sizes
that an instance has tuned by itself begin with two underscores.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from ptcalc.errors import InputError, quote
from ptcalc.templates.parameters import Parameter, read

TEXT = "a parameter file in text: CREATE PFILE='init.ora' FROM SPFILE"
_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*) | (?P<joined>\\[ \t]*\n) | (?P<newline>\n) | (?P<space>[ \t\r\f\v]+)
    | (?P<sign>[=,()]) | (?P<string>"[^"\n]*"|'[^'\n]*') | (?P<word>(?:\\[^\n]|[^\s=,()#"'\\])+)""",
    re.VERBOSE,
)
_NAME = re.compile(r"(?:(?P<sid>[\w$#*-]+)\.)?(?P<name>[A-Za-z_][\w$#]*)", re.ASCII)
_SIZE = re.compile(r"(\d{1,19})([KMGTPE]?)", re.ASCII | re.IGNORECASE)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


class ParameterFile:
    """The parameters of one instance, by their names in small letters."""

    def __init__(self, path: str, sid: str | None = None) -> None:
        """Read ``path``; ``sid`` picks the instance where a file has several.

        Raises InputError, with its place, for whatever is no such file.
        """
        self.path = path
        self._text = read(path, TEXT)
        self._lines = self._text.split("\n")
        self._starts = [0, *(match.end() for match in re.finditer("\n", self._text))]
        found: dict[tuple[str, str], Parameter] = {}
        for each in self._assignments():
            if each.name == "ifile":
                raise each.error("ifile takes in another file", "the lines of that file in its place")
            found[each.sid, each.name] = each  # a later one overrides
        if not found:
            raise InputError("no parameter stands in this file", file=path, accepted=TEXT)
        self._found = found
        self._sid = self._instance(sid)

    def find(self, name: str) -> Parameter | None:
        """Return a parameter: that of the instance before that of all."""
        return self._found.get((self._sid, name)) or self._found.get(("*", name))

    def size(self, name: str) -> int | None:
        """Return bytes; Oracle's units are powers of 1024."""
        parameter = self.find(name)
        if parameter is None:
            return None
        match = _SIZE.fullmatch(parameter.value)
        shift = 10 * ("", "K", "M", "G", "T", "P", "E").index(match[2].upper()) if match else 0
        if match is None or int(match[1]) << shift >= 1 << 47:
            raise parameter.error(
                f"{quote(parameter.value)} is no size of {name}",
                "a whole number with K, M, G or T, below 128T",
            )
        return int(match[1]) << shift

    def count(self, name: str, least: int, most: int) -> int | None:
        """Return a whole number."""
        parameter = self.find(name)
        if parameter is None:
            return None
        if not re.fullmatch("[0-9]{1,9}", parameter.value) or not least <= int(parameter.value) <= most:
            raise parameter.error(
                f"{quote(parameter.value)} is no number of {name}", f"a whole number from {least:,} to {most:,}"
            )
        return int(parameter.value)

    def word(self, name: str, accepted: tuple[str, ...]) -> str | None:
        """Return one of some words, in capitals."""
        parameter = self.find(name)
        if parameter is None:
            return None
        if parameter.value.upper() not in accepted:
            raise parameter.error(f"{quote(parameter.value)} is no value of {name}", ", ".join(accepted))
        return parameter.value.upper()

    def _instance(self, sid: str | None) -> str:
        named = list(dict.fromkeys(found for found, _ in self._found if found != "*"))
        if sid is not None:
            matching = [found for found in named if found.lower() == sid.lower()]
            if not matching:
                accepted = ", ".join(named) or "no --sid: all parameters are for all instances"
                raise InputError(f"no parameter is for the instance {quote(sid)}", file=self.path, accepted=accepted)
            return matching[0]
        if len(named) > 1:
            raise InputError(
                f"the file is for {len(named)} instances", file=self.path, accepted=f"--sid: {', '.join(named[:20])}"
            )
        return named[0] if named else "*"

    def _assignments(self) -> Iterator[Parameter]:
        tokens = [token for token in self._tokens() if token.kind not in ("comment", "space", "joined")]
        at = 0
        while at < len(tokens):
            token = tokens[at]
            following = tokens[at + 1] if at + 1 < len(tokens) else None
            if token.kind == "newline":
                at += 1
                continue
            if token.kind != "word" or following is None or following.text != "=":
                if self._is_debris(token, following):
                    at += 1
                    continue
                raise self._error(token, f"{quote(token.text)} is no parameter", "lines of the form NAME = VALUE")
            name = _NAME.fullmatch(token.text)
            if name is None:
                raise self._error(token, f"{quote(token.text)} is no name of a parameter", "a name such as sga_target")
            values, at = self._values(tokens, at + 2, token)
            line, column = self._place(values[0].at)
            yield Parameter(
                name["name"].lower(),
                ", ".join(_unquoted(value) for value in values),
                self.path,
                line,
                column,
                self._lines[line - 1],
                name["sid"] or "*",
            )

    def _values(self, tokens: list[_Token], at: int, name: _Token) -> tuple[list[_Token], int]:
        """Return the values after an equal sign, and where the next parameter may begin."""
        values: list[_Token] = []
        depth = 0
        while at < len(tokens):
            token = tokens[at]
            if token.text == "(":
                depth += 1
            elif token.text == ")" and depth:
                depth -= 1
            elif token.kind == "newline":
                # A list in parentheses, or one that ends in a comma, goes on in the next line.
                if not depth and not (values and tokens[at - 1].text == ","):
                    break
            elif token.kind in ("word", "string"):
                if not depth and at + 1 < len(tokens) and tokens[at + 1].text == "=":
                    break
                values.append(token)
            elif token.text != "," and not (token.text == "=" and depth):
                raise self._error(token, f"{quote(token.text)} does not belong here", "one value, or a list")
            at += 1
        if depth:
            raise self._error(name, f"the list of {quote(name.text)} does not end", "a closing parenthesis")
        if not values:
            raise self._error(name, f"{quote(name.text)} has no value", "lines of the form NAME = VALUE")
        return values, at

    def _tokens(self) -> Iterator[_Token]:
        at = 0
        while at < len(self._text):
            match = _TOKEN.match(self._text, at)
            if match is None:
                bad = _Token("bad", self._text[at], at)
                raise self._error(bad, f"{quote(bad.text)} does not belong here", "quotation marks in pairs")
            yield _Token(str(match.lastgroup), match[0], at)
            at = match.end()

    def _is_debris(self, token: _Token, following: _Token | None) -> bool:
        """Whether a line is a block's head, as `strings` leaves it of a server parameter file: a few characters."""
        alone = following is None or following.kind == "newline"
        line = self._lines[self._place(token.at)[0] - 1]
        return alone and len(line.strip()) <= 4 and line.strip() == token.text

    def _place(self, at: int) -> tuple[int, int]:
        line = bisect_right(self._starts, at)
        return line, at - self._starts[line - 1] + 1

    def _error(self, token: _Token, message: str, accepted: str) -> InputError:
        line, column = self._place(token.at)
        return InputError(message, accepted=accepted).located(self.path, line, column, self._lines[line - 1])


def _unquoted(token: _Token) -> str:
    return token.text[1:-1] if token.kind == "string" else re.sub(r"\\(.)", r"\1", token.text)
