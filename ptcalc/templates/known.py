"""What the writer of a workload file knows: figures with their sources, and guesses that say so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ptcalc.errors import printable
from ptcalc.workload.sizes import show_size
from ptcalc.workload.writing import WIDTH, comment, entry, quoted

SCHEMA_FILE = "ptcalc.schema.json"
BLOCK = 8 << 10  # what databases touch at once: DB_BLOCK_SIZE and BLCKSZ, as they come
TOUCHED = "20%"
HUGE_PAGE = 2 << 20  # of x86_64, for which these files are written


class Figure(NamedTuple):
    """A value of the file, where it comes from, and whether nobody said so."""

    value: int | str
    why: str
    guess: bool = False

    @property
    def note(self) -> str:
        """The comment beside it."""
        return f"guess: {self.why}" if self.guess else self.why


@dataclass(frozen=True, slots=True)
class Stated:
    """What options say beside the files; None: nothing.

    ``memory`` and ``private`` are bytes, ``touch`` an amount as the file has it, ``huge_pages`` the huge
    pages that are reserved, ``shared_memory`` bytes.
    """

    memory: Figure
    processes: int | None = None
    private: int | None = None
    touch: str | None = None
    huge_pages: int | None = None
    shared_memory: int | None = None

    def touched(self, why: str, cluster: int = BLOCK, said: str = "") -> str:
        """Return the line of what a process touches: blocks at random, as a database does."""
        amount = self.touch or TOUCHED
        note = "--touch" if self.touch else f"guess: {why}"
        value = f"{{amount: {amount}, pattern: clustered, cluster: {show_size(cluster)}}}"
        return line(8, "touch", value, f"{note}{said}")

    def privately(self, size: int, why: str) -> Figure:
        """Return the private memory of one process, by default a guess."""
        return Figure(size, why, guess=True) if self.private is None else Figure(self.private, "--private")


def line(indent: int, key: str, value: str, why: str) -> str:
    """Return the line of a key; a comment that is too long for it stands above."""
    beside = entry(indent, key, value, why)
    if len(beside) <= WIDTH:
        return beside
    return "\n".join([*comment(why, indent), entry(indent, key, value)])


def size(indent: int, key: str, figure: Figure) -> str:
    """Return the line of an amount of bytes."""
    return line(indent, key, show_size(int(figure.value)), figure.note)


def number(indent: int, key: str, figure: Figure) -> str:
    """Return the line of a count."""
    return line(indent, key, str(figure.value), figure.note)


def head(command: str, title: str, notes: Iterator[str] | tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the first lines of a file, the editor's schema before all."""
    yield f"# yaml-language-server: $schema={SCHEMA_FILE}"
    yield from comment(
        f"Written by `{command}`. Where a comment says `guess:`, nobody knows: put in what holds and drop the mark."
    )
    yield from comment(
        f"An editor checks this file by the schema named above: `ptcalc schema workload > {SCHEMA_FILE}` writes it."
    )
    for note in notes:
        yield from comment(note)
    yield "version: 1"
    yield f"name: {quoted(printable(title)[:80])}"
    yield ""


def host(stated: Stated, page: int = HUGE_PAGE, more: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the section of the host; ``page`` is the size of the huge pages that were stated, in bytes."""
    yield "host:"
    yield size(2, "memory", stated.memory)
    yield entry(2, "# mem_total", "503 GiB", "MemTotal in /proc/meminfo, better than an estimate")
    yield entry(2, "# kernel", '"6.12"', "uname -r: kernels count differently")
    yield entry(2, "# swap", "0 B", "page tables cannot be swapped")
    yield entry(2, "# used", "4 GiB", "all that this file does not describe")
    if stated.huge_pages:
        yield line(
            2, "hugepages", f"{{{show_size(page)}: {stated.huge_pages}}}", "--huge-pages: counts whole, used or not"
        )
    yield from more
    yield ""
