"""A sosreport archive as a /proc: one pass over the stream, nothing written to disk, nothing trusted.

What sos collects of processes: ``status`` of the first 2,048 (its option process.numprocs), and ``smaps`` of all if
process.smaps is on; ``maps`` only where somebody added it (sos/report/plugins/process.py).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import tarfile
import zlib
from typing import IO, cast

from ptcalc.capture.tree import Gone, Source
from ptcalc.errors import InputError

SOS_PROCESSES = 2048
MAX_KEPT = 1 << 30  # bytes of all files that are kept
MAX_MEMBER = 256 << 20
# A real archive unpacks to some ten times its size; one that goes on beyond both of these is a bomb.
LEAST_UNPACKED = 512 << 20
MAX_RATIO = 100

ACCEPTED = "a sosreport archive: tar, also with gz, bz2 or xz"

_PROCESS = re.compile(r"proc/(\d{1,10})/(status|maps|smaps|cgroup|mountinfo|auxv)")
_SYSTEM = re.compile(
    r"proc/(?:meminfo|zoneinfo|version|cpuinfo|sysvipc/shm|sys/kernel/(?:osrelease|hostname|arch|random/boot_id))"
    r"|hostname|etc/hostname|etc/passwd|sys/kernel/mm/(?:hugepages/hugepages-\d+kB/nr_hugepages"
    r"|transparent_hugepage/(?:enabled|shmem_enabled))|sys/devices/system/node/online"
    r"|sos_commands/(?:kernel|host)/uname_-a|sos_commands/host/hostname(?:_-f)?"
    r"|sys/fs/cgroup/(?:.{1,400}/)?(?:memory\.max|memory\.limit_in_bytes)"
)
_OPENERS = ((b"\x1f\x8b", gzip.open), (b"\xfd7zXZ\x00", lzma.open), (b"BZh", bz2.open))


class _Bounded(io.RawIOBase):
    """An unpacked stream that ends with a clear message where it is far larger than its archive."""

    def __init__(self, stream: IO[bytes], most: int, path: str) -> None:
        self._stream = stream
        self._left = self._most = most
        self._path = path

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise InputError(
                f"unpacks to more than {self._most >> 20:,} MiB, more than {MAX_RATIO} times its size:"
                " this is no report, and reading it ends here",
                file=self._path,
                accepted=ACCEPTED,
            )
        return data


class Archive(Source):
    """A sosreport, read in place."""

    def __init__(self, path: str) -> None:
        """Read the archive.  Raises InputError for what is none, is damaged, or is larger than it can be."""
        super().__init__(f"the sosreport {path}")
        self._files: dict[str, bytes] = {}
        self._links = self._outside = self._kept = 0
        try:
            with open(path, "rb") as file:
                self._read(file, path)
        except InputError:
            raise
        except (OSError, ValueError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise InputError(f"cannot be read: {why}", file=path, accepted=ACCEPTED) from None
        except MemoryError:
            raise InputError("needs more memory than there is", file=path, accepted=ACCEPTED) from None
        self._processes: dict[int, set[str]] = {}
        for name in self._files:
            match = _PROCESS.fullmatch(name)
            if match is not None:
                self._processes.setdefault(int(match[1]), set()).add(match[2])
        if not self._processes:
            raise InputError("holds no process: there is no proc/PID/status in it", file=path, accepted=ACCEPTED)
        self._say()

    def pids(self) -> list[int]:
        """Return the processes that the archive holds."""
        return sorted(self._processes)

    def process(self, pid: int, name: str) -> bytes:
        """Return a file of a process."""
        data = self._files.get(f"proc/{pid}/{name}")
        if data is None:
            raise Gone
        return data

    def system(self, path: str) -> str | None:
        """Return a file of the system."""
        data = self._files.get(path)
        return None if data is None else data.decode("utf-8", "backslashreplace")

    def names(self, path: str) -> list[str]:
        """Return the names in a directory."""
        start = path + "/"
        return sorted({name[len(start) :].split("/")[0] for name in self._files if name.startswith(start)})

    def _read(self, file: IO[bytes], path: str) -> None:
        magic = file.read(6)
        file.seek(0)
        opener = next((opener for start, opener in _OPENERS if magic.startswith(start)), None)
        stream = file if opener is None else cast("IO[bytes]", opener(file))
        most = max(LEAST_UNPACKED, MAX_RATIO * os.fstat(file.fileno()).st_size)
        bounded = cast("IO[bytes]", _Bounded(stream, most, path))
        with tarfile.open(fileobj=bounded, mode="r|") as tar:
            while (member := tar.next()) is not None:
                self._take(tar, member, path)
                tar.members = []  # type: ignore[attr-defined]  # or all of them would be kept
        while bounded.read(1 << 20):  # the sums at the end of the packed file are checked when it is reached
            pass

    def _take(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        parts = [part for part in member.name.split("/") if part != "."]
        if member.name.startswith("/") or ".." in parts:
            self._outside += 1
            return
        for name in ("/".join(parts[1:]), "/".join(parts)):
            if _PROCESS.fullmatch(name) or _SYSTEM.fullmatch(name):
                break
        else:
            return
        if not member.isreg():
            self._links += member.issym() or member.islnk()
            return
        self._kept += member.size
        if member.size > MAX_MEMBER or self._kept > MAX_KEPT:
            raise InputError(
                f"its files of processes have more than {MAX_KEPT >> 20:,} MiB", file=path, accepted=ACCEPTED
            )
        data = tar.extractfile(member)
        if data is not None:
            self._files.setdefault(name, data.read())

    def _say(self) -> None:
        with_status = sum(1 for files in self._processes.values() if "status" in files)
        if with_status == SOS_PROCESSES:
            self.notes.append(
                f"the archive holds {SOS_PROCESSES:,} processes, where sos stops (process.numprocs): there may be more"
            )
        if not any(files & {"maps", "smaps"} for files in self._processes.values()):
            self.notes.append(
                "the archive holds no maps: groups are known, and what they map is not"
                " (sos report -k process.smaps=on collects it)"
            )
        if self._links:
            self.notes.append(f"{self._links} of the files that are needed are links: they were not followed")
        if self._outside:
            self.notes.append(f"{self._outside} names lead out of the archive: they were refused")
