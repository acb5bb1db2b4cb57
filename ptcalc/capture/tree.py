"""Where the files of /proc come from: the running system, or a copied tree.

Nothing that a copied tree holds leads out of it: links are not followed, and only regular files are read.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ptcalc.errors import CannotDoHere, InputError

MAX_FILE = 256 << 20  # bytes of one file of a process; 1,000,000 mappings have a third of that
CHUNK = 1 << 17
PATIENCE = 3.0  # seconds for a file of a process that sleeps uninterruptibly
_SLEEPS = b"\nState:\tD"


class Gone(Exception):
    """The process has ended, or the tree does not have this file of it."""


class Oversized(Gone):
    """The file is larger than any that the kernel writes."""


class Denied(Exception):
    """The file is there, and may not be read."""


class Silent(Denied):
    """The process hangs in the kernel with its address space locked: whoever reads this file waits with it."""


class FileInfo(NamedTuple):
    """Size of a mapped file and how much of it is in memory or on disk (bytes), and its block size."""

    size: int
    held: int
    block: int


class Source:
    """A /proc, wherever it is.  ``provenance`` says where in words; ``notes`` what the reader should know of it."""

    live = False

    def __init__(self, provenance: str) -> None:
        self.provenance = provenance
        self.notes: list[str] = []

    def pids(self) -> list[int]:
        """Return the processes, in the order of their numbers."""
        raise NotImplementedError

    def process(self, pid: int, name: str) -> bytes:
        """Return a file of a process.  Raises Gone or Denied."""
        raise NotImplementedError

    def system(self, path: str) -> str | None:
        """Return a file of the system, its path from / without the slash; None where there is none."""
        raise NotImplementedError

    def names(self, path: str) -> list[str]:
        """Return the names in a directory of the system; none where it is not there."""
        raise NotImplementedError

    def mapped_file(self, pid: int, start: int, end: int) -> FileInfo | None:
        """Return what the file behind a mapping is; None where that cannot be asked."""
        return None

    def pagemap(self, pid: int) -> int | None:
        """Return an open descriptor of a process's pagemap; None where it is not to be had."""
        return None


class Directory(Source):
    """A copied tree: a directory that holds the numbered directories of processes, or one with ``proc`` in it."""

    def __init__(self, path: str) -> None:
        """Raises InputError where there is no such directory."""
        super().__init__(f"the copied tree {path}")
        try:
            inner = Path(path, "proc")
            below = inner.is_dir() and not inner.is_symlink()
            self._proc = inner if below else Path(path)
            self._root = Path(path) if below else None
            with os.scandir(self._proc):
                pass
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            accepted = "a directory with a copy of /proc in it"
            raise InputError(f"cannot be read: {why}", file=path, accepted=accepted) from None

    def pids(self) -> list[int]:
        """Return the processes; a directory that is a link is none."""
        with os.scandir(self._proc) as entries:
            return sorted(
                int(entry.name) for entry in entries if _is_pid(entry.name) and entry.is_dir(follow_symlinks=False)
            )

    def process(self, pid: int, name: str) -> bytes:
        """Return a file of a process."""
        return self._read(f"{self._proc}/{pid}/{name}")

    def system(self, path: str) -> str | None:
        """Return a file of the system."""
        where = self._where(path)
        if where is None:
            return None
        try:
            return self._read(where).decode("utf-8", "backslashreplace")
        except (Gone, Denied):
            return None

    def names(self, path: str) -> list[str]:
        """Return the names in a directory."""
        where = self._where(path)
        try:
            return sorted(each.name for each in where.iterdir()) if where is not None else []
        except (OSError, ValueError):
            return []

    def _where(self, path: str) -> Path | None:
        """Return where a file of the system lies, if that is inside the tree and no directory on the way is a link."""
        first, *parts = path.split("/")
        at = self._proc
        if ".." in parts or (first != "proc" and self._root is None):
            return None
        if first != "proc" and self._root is not None:
            at, parts = self._root, [first, *parts]
        for part in parts[:-1]:
            at /= part
            if at.is_symlink():
                return None
        return at / parts[-1]

    def _read(self, path: str | Path) -> bytes:
        try:
            # Without O_NONBLOCK a pipe in the tree would wait for a writer for ever.
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except PermissionError:
            raise Denied from None
        except (OSError, ValueError):
            raise Gone from None
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                raise Gone
            if found.st_size > MAX_FILE:
                raise Oversized
            return read_all(file, found.st_size + 1, sized=found.st_size > 0)
        finally:
            os.close(file)


class Live(Source):
    """The running system."""

    live = True

    def __init__(self) -> None:
        """Raises CannotDoHere where there is no /proc."""
        super().__init__("the running system")
        if not Path("/proc/self/status").exists():
            raise CannotDoHere("there is no /proc here: capture reads that of Linux")
        self._own = os.getpid()
        self._sleeping: set[int] = set()
        self._silent: set[int] = set()

    def pids(self) -> list[int]:
        """Return the processes, without the one that captures."""
        with os.scandir("/proc") as entries:
            return sorted(int(entry.name) for entry in entries if _is_pid(entry.name) and int(entry.name) != self._own)

    def process(self, pid: int, name: str) -> bytes:
        """Return a file of a process.  Raises Silent as well, where it sleeps and does not answer in time."""
        if name == "status":
            found = self._read(pid, name)
            # Most files need the lock of its address space, which it may hold for ever (ps hangs on it, too).
            self._sleeping.discard(pid)
            if _SLEEPS in found:
                self._sleeping.add(pid)
            return found
        return self._patiently(pid, name) if pid in self._sleeping else self._read(pid, name)

    def _patiently(self, pid: int, name: str) -> bytes:
        """Read a file in a thread that is left behind where the file does not answer; it ends with ptcalc."""
        if pid in self._silent:
            raise Silent
        answer: list[bytes | Exception] = []

        def read() -> None:
            try:
                answer.append(self._read(pid, name))
            except (Gone, Denied) as error:
                answer.append(error)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        thread.join(PATIENCE)
        if not answer:
            self._silent.add(pid)
            raise Silent
        if isinstance(answer[0], Exception):
            raise answer[0]
        return answer[0]

    def _read(self, pid: int, name: str) -> bytes:
        try:
            file = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                return read_all(file, CHUNK)
            finally:
                os.close(file)
        except PermissionError:
            raise Denied from None
        except OSError:  # ESRCH while it is read, ENOENT before
            raise Gone from None

    def system(self, path: str) -> str | None:
        """Return a file of the system."""
        try:
            with open("/" + path, "rb") as file:
                return file.read().decode("utf-8", "backslashreplace")
        except (OSError, ValueError):
            return None

    def names(self, path: str) -> list[str]:
        """Return the names in a directory."""
        try:
            return sorted(each.name for each in Path("/", path).iterdir())
        except (OSError, ValueError):
            return []

    def mapped_file(self, pid: int, start: int, end: int) -> FileInfo | None:
        """Ask the file behind a mapping; only root and CAP_CHECKPOINT_RESTORE may."""
        path = f"/proc/{pid}/map_files/{start:x}-{end:x}"
        try:
            found = Path(path).stat()
            return FileInfo(found.st_size, found.st_blocks * 512, os.statvfs(path).f_bsize)
        except OSError:
            return None

    def pagemap(self, pid: int) -> int | None:
        """Open the pagemap of a process."""
        try:
            return os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None


def read_all(file: int, size: int, *, sized: bool = False) -> bytes:
    """Return what a descriptor gives until its end, in pieces of at least ``size`` where it gives so many.

    ``sized``: it is known to have fewer bytes than ``size``, so that less than that is all.

    Raises Oversized for a file beyond any that the kernel writes.
    """
    data = os.read(file, size)
    if len(data) < size and sized:
        return data  # a regular file of which all has been read; /proc gives a page at a time and no size
    parts, total = [data], len(data)
    while data:
        data = os.read(file, max(size, CHUNK))
        parts.append(data)
        total += len(data)
        if total > MAX_FILE:
            raise Oversized
    return b"".join(parts)


def walk_up(path: str) -> Iterator[str]:
    """Yield a cgroup path and those above it: ``/a/b``, ``/a``, ``/``; what is no plain path only the root."""
    parts = [part for part in path.split("/") if part]
    if ".." in parts or "." in parts:
        parts = []
    for end in range(len(parts), -1, -1):
        yield "/" + "/".join(parts[:end])


def _is_pid(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) <= 10
