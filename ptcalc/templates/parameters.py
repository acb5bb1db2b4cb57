"""Parameters of a configuration file, each with its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ptcalc.errors import InputError

MAX_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Parameter:
    """The text of a value, and where it stands; lines and columns count from 1."""

    name: str
    value: str
    file: str
    line: int
    column: int
    quoted: str
    sid: str = "*"

    @property
    def source(self) -> str:
        """The name and the place, for a comment."""
        return f"{self.name} in {Path(self.file).name}:{self.line}"

    def error(self, message: str, accepted: str) -> InputError:
        """Return an error at this place."""
        return InputError(message, accepted=accepted).located(self.file, self.line, self.column, self.quoted)


def read(path: str, what: str) -> str:
    """Return the text of a file.

    Raises InputError where it cannot be read, and for what is no text.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"cannot be read: {why}", file=path, accepted=what) from None
    if len(data) > MAX_BYTES:
        raise InputError(f"more than {MAX_BYTES >> 20} MiB", file=path, accepted=what)
    if b"\0" in data:
        raise InputError("this is no text file", file=path, accepted=what)
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").replace("\r\n", "\n")
