"""PostgreSQL's configuration files.

PostgreSQL manual, "Setting Parameters" (names without regard to case, an equal sign that may be left out, comments,
quotes, units, include directives, the last setting of a parameter wins, postgresql.auto.conf after all others);
src/backend/utils/misc/guc-file.l for the words, guc.c:parse_int and convert_to_base_unit for the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from ptcalc.errors import InputError, quote
from ptcalc.templates.parameters import Parameter, read

TEXT = "postgresql.conf: lines of the form NAME = VALUE"
AUTO = "postgresql.auto.conf"
MAX_DEPTH = 10  # CONF_FILE_MAX_DEPTH
MAX_FILES = 1000
_LINE = re.compile(
    r"""[ \t\r\f\v]*(?:(?P<name>[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)?)(?P<equals>[ \t]*=[ \t]*|[ \t]+)
    (?P<value>'(?:[^'\\\n]|\\.|'')*'|[^\s#'=]+)?)?[ \t\r\f\v]*(?:\#.*)?""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"([+-]?(?:0[xX][0-9a-fA-F]{1,12}|[0-9]{1,15}(?:\.[0-9]{0,9})?))[ ]*([A-Za-z]*)", re.ASCII)
_UNITS = {"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_TRUE, _FALSE = ("on", "true", "yes", "1"), ("off", "false", "no", "0")


class Configuration:
    """The parameters of a server, by their names in small letters; ``files`` were read for them."""

    def __init__(self, path: str) -> None:
        """Read ``path``, what it includes, and postgresql.auto.conf beside it.

        Raises InputError, with its place, for whatever is no such file or cannot be read.
        """
        self.path = path
        self.files: list[str] = []
        self._found: dict[str, Parameter] = {}
        self._take(path, 0)
        auto = Path(path).with_name(AUTO)
        if auto.is_file() and Path(path).name != AUTO:
            self._take(str(auto), 0)

    def find(self, name: str) -> Parameter | None:
        """Return a parameter, as it was set last."""
        return self._found.get(name)

    def amount(self, name: str, unit: int, least: int, most: int) -> int | None:
        """Return a number of ``unit`` bytes (1: a count), in which PostgreSQL reads what has no unit.

        Decimals are rounded, as the server does (since 12).
        """
        parameter = self.find(name)
        if parameter is None:
            return None
        match = _NUMBER.fullmatch(parameter.value.strip())
        factor = _UNITS.get(match[2]) if match and match[2] and unit > 1 else None
        if match is None or (match[2] and factor is None):
            accepted = "B, kB, MB, GB or TB behind a number; capitals count" if unit > 1 else "a whole number"
            raise parameter.error(f"{quote(parameter.value)} is no value of {name}", accepted)
        text = match[1]
        value = Fraction(int(text, 16)) if "x" in text.lower() else Fraction(text.rstrip("."))
        number = round(value if factor is None else value * factor / unit)
        if not least <= number <= most:
            shown = f"from {least:,} to {most:,}" + (f" in units of {_unit(unit)}" if unit > 1 else "")
            raise parameter.error(f"{quote(parameter.value)} is out of range for {name}", shown)
        return number

    def word(self, name: str, accepted: tuple[str, ...]) -> str | None:
        """Return one of some words, in small letters; ``on`` and ``off`` have their synonyms."""
        parameter = self.find(name)
        if parameter is None:
            return None
        word = parameter.value.lower()
        if "on" in accepted:
            word = "on" if word in _TRUE else "off" if word in _FALSE else word
        if word not in accepted:
            raise parameter.error(f"{quote(parameter.value)} is no value of {name}", ", ".join(accepted))
        return word

    def _take(self, path: str, depth: int, origin: Parameter | None = None) -> None:
        if depth > MAX_DEPTH or len(self.files) >= MAX_FILES:
            message = f"files are included more than {MAX_DEPTH} deep, or more than {MAX_FILES} of them"
            raise origin.error(message, "fewer") if origin else InputError(message, file=path)
        try:
            text = read(path, TEXT)
        except InputError as error:
            if origin is None:
                raise
            raise origin.error(f"{path}: {error.message}", "a file that can be read, or include_if_exists") from None
        self.files.append(path)
        for number, line in enumerate(text.split("\n"), start=1):
            match = _LINE.fullmatch(line)
            if match is None or (match["name"] and not match["value"]):
                wrong = InputError("this line is no parameter", accepted="NAME = VALUE, values with spaces in quotes")
                raise wrong.located(path, number, len(line) - len(line.lstrip()) + 1, line)
            if match["name"]:
                value = _unquoted(match["value"])
                name = match["name"].lower()
                self._set(Parameter(name, value, path, number, match.start("value") + 1, line), depth)

    def _set(self, parameter: Parameter, depth: int) -> None:
        if parameter.name not in ("include", "include_if_exists", "include_dir"):
            self._found[parameter.name] = parameter
            return
        # A relative name is relative to the file that it stands in.
        target = Path(parameter.file).parent / parameter.value
        if parameter.name == "include_dir":
            for path in self._directory(target, parameter):
                self._take(str(path), depth + 1, parameter)
        elif parameter.name == "include" or target.exists():
            self._take(str(target), depth + 1, parameter)

    def _directory(self, target: Path, parameter: Parameter) -> Iterator[Path]:
        try:
            found = sorted(target.iterdir(), key=lambda path: path.name.encode(errors="surrogateescape"))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise parameter.error(f"{target} cannot be read: {why}", "a directory that can be read") from None
        for path in found:
            if path.suffix == ".conf" and not path.name.startswith(".") and path.is_file():
                yield path


def _unit(unit: int) -> str:
    return f"{unit >> 10} kB" if unit >= 1 << 10 else f"{unit} B"


def _unquoted(text: str) -> str:
    if not text.startswith("'"):
        return text

    def plain(match: re.Match[str]) -> str:
        found = match[1]
        if found[0] in "01234567":
            return chr(int(found, 8) & 0xFF)
        return _ESCAPES.get(found, found)

    return re.sub(r"\\([0-7]{1,3}|.)", plain, text[1:-1].replace("''", "'"))
