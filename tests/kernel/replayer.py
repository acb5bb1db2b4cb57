"""A small process that has others do system calls, one after the other, and reads VmPTE of all of them.

Run as a script (``python -I -S``) with the directory of `ptcalc/verify/mapper.py` as its argument.  It reads one job
per line (JSON) on standard input and answers each with one line:

* ``segments`` as in the mapper;
* ``steps``: a list of steps, each a list of calls ``[process, name, arguments...]`` (see `Player`): ``start`` makes a
  process, ``fork`` has one make another one; process 0 has the segments, punches and truncates;
* ``spans``: all that is ever mapped, ``[address, length]``.

The answer is ``{"vmpte": [{process: bytes}, ... after each step]}`` or ``{"error": ..., "denied": ...}``.  The bytes
are those above what a process has by itself, read before its first mapping, and when it has unmapped everything at its
end.  With ``counter`` (as in the mapper) the answer has ``charged``, what that counter reads after each step.
With ``copies`` it has ``copies``: after each step, the distinct anonymous pages that any of them has mapped, null if
this process may not see frames.  With ``scores`` it has ``scores``: after each step, by process, oom_score and the
bytes of RSS, swap and VmPTE.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ptcalc.verify import mapper
    from ptcalc.verify.mapper import Failed, checked, libc
else:
    sys.path.insert(0, sys.argv[1])
    import mapper
    from mapper import Failed, checked, libc

ADVICE = {"dontneed": 4, "free": 8, "cold": 20, "pageout": 21, "collapse": 25, **mapper.ADVICE}
MREMAP_MAYMOVE, MREMAP_FIXED = 1, 2
MAY_FAIL = {"collapse"}  # chunks that cannot be collapsed are part of the test
FALLOC_KEEP, FALLOC_PUNCH = 1, 2
MOST = 24  # processes of one job
PRESENT, OF_FILE, FRAME = 1 << 63, 1 << 61, (1 << 55) - 1  # Documentation/admin-guide/mm/pagemap.rst
WAIT = 10  # seconds until a silent process counts as stuck
UNREGISTER = 0x8010AA01  # include/uapi/linux/userfaultfd.h: _IOR(UFFDIO, 1, struct uffdio_range)

libc.mremap.restype = ctypes.c_void_p
libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p]
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]


class Player(mapper.Worker):
    """One process under test; every call is a method."""

    def __init__(self, files: dict[str, int], pipes: list[tuple[int, int, int, int]], number: int) -> None:
        super().__init__(files)
        self.pipes, self.number = pipes, number

    def serve(self) -> None:
        """Do what comes as orders, for ever."""
        orders, report = self.pipes[self.number][0], self.pipes[self.number][3]
        while True:
            size = os.read(orders, 4)
            if not size:
                os._exit(0)  # who gives the orders is gone
            text = b""
            while len(text) < int.from_bytes(size, "little"):
                text += os.read(orders, 1 << 16)
            name, *arguments = json.loads(text)
            answer = b"\n"
            try:
                getattr(self, name)(*arguments)
            except OSError as error:
                answer = json.dumps(mapper.told(error) | {"error": f"{name} {arguments}: {error}"}).encode() + b"\n"
            os.write(report, answer)

    def warm(self) -> None:
        """Have the tables of whatever the calls need."""
        for _ in range(2):
            text = json.dumps([[n, n + 4096, 4096] for n in range(0, 1 << 24, 1 << 11)])
            json.loads(text)
            scratch = checked(libc.mmap(0, mapper.SCRATCH, 3, 0x22, -1, 0), "mmap")
            self.touch([["write", [scratch, scratch + 8 * mapper.PAGE, mapper.PAGE], 0]])
            self.touch([["read", [scratch, scratch + 8 * mapper.PAGE, mapper.PAGE], 0]])
            self.mprotect(scratch, mapper.SCRATCH, "none")
            self.advise(scratch, mapper.SCRATCH, "cold")
            self.munmap(scratch, mapper.SCRATCH)
            with contextlib.suppress(OSError):
                self.mremap(0, 4096, 4096 * 3)

    def touch(self, touches: list[Any]) -> None:
        """Access memory: [how, runs, page] with how `read`, `write` or `resolve`."""
        for how, runs, page in touches:
            if how == "resolve":
                self.resolve(runs, page)
            else:
                getattr(self, how)(runs)

    def resolve(self, runs: Any, page: int) -> None:
        """Access pages where minor faults are answered by this process itself, which must not wait for the answer."""
        for addresses in mapper.steps_of(runs):
            for address in addresses:
                try:
                    self.ioctl(0x07, struct.pack("QQQQ", address // page * page, page, 0, 0))
                except OSError:  # it is mapped already, or not in memory: no minor fault
                    mapper.memory[address]

    def advise(self, address: int, length: int, advice: str) -> None:
        """Give any advice."""
        result = libc.madvise(address, length, ADVICE[advice])
        if advice not in MAY_FAIL:
            checked(result, f"madvise {advice}")

    def mlock(self, address: int, length: int, how: str) -> None:
        """Lock or unlock."""
        if how == "no":
            checked(libc.munlock(ctypes.c_void_p(address), ctypes.c_size_t(length)), "munlock")
        else:
            on_fault = ctypes.c_uint(how == "on_fault")  # MLOCK_ONFAULT
            checked(libc.mlock2(ctypes.c_void_p(address), ctypes.c_size_t(length), on_fault), "mlock2")

    def mremap(self, address: int, length: int, target: int) -> None:
        """Move."""
        checked(libc.mremap(address, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, target), "mremap")

    def unregister(self, address: int, length: int) -> None:
        """Unregister from the userfaultfd."""
        argument = ctypes.create_string_buffer(struct.pack("QQ", address, length), 16)
        checked(libc.ioctl(self.uffd, ctypes.c_ulong(UNREGISTER), argument), "userfaultfd unregister")

    def fork(self, number: int) -> None:
        """Make a process that has what this one has; it reports its number."""
        child = os.fork()
        if child == 0:
            self.number, self.uffd = number, -1
            os.write(self.pipes[number][3], b"%d\n" % os.getpid())
            self.warm()
            os.write(self.pipes[number][3], b"\n")
            self.serve()


def shared_anonymous(size: int) -> int:
    """Return the file behind memory that is mapped shared and anonymous, for processes that did not inherit it."""
    start = checked(
        libc.mmap(0, size, 3, mapper.MAP_SHARED | mapper.MAP_ANONYMOUS | mapper.MAP_NORESERVE, -1, 0), "mmap"
    )
    end = start + -(-size // mapper.PAGE) * mapper.PAGE
    try:
        return os.open(f"/proc/self/map_files/{start:x}-{end:x}", os.O_RDWR | os.O_CLOEXEC)
    finally:
        libc.munmap(start, size)


def anonymous_frames(pid: int | str, address: int, length: int) -> set[int]:
    """Return the page frames of private copies that a process has mapped (0: hidden from this process)."""
    pages = -(-length // mapper.PAGE)
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        pagemap.seek(address // mapper.PAGE * 8)
        entries = struct.unpack(f"{pages}Q", pagemap.read(pages * 8))
    return {entry & FRAME for entry in entries if entry & PRESENT and not entry & OF_FILE}


def zero_frames() -> set[int]:
    """Return the frames that reading untouched private memory maps: the zero page's, and those of the huge one."""
    chunk = mapper.SCRATCH
    start = checked(libc.mmap(0, 2 * chunk, 3, mapper.MAP_PRIVATE | mapper.MAP_ANONYMOUS, -1, 0), "mmap")
    found: set[int] = set()
    for advice in ("nohugepage", "hugepage"):
        checked(libc.madvise(start, 2 * chunk, ADVICE[advice]), "madvise")
        mapper.memory[start + 2 * chunk - 1 if advice == "nohugepage" else -(-start // chunk) * chunk]
        found |= anonymous_frames("self", start, 2 * chunk)
    libc.munmap(start, 2 * chunk)
    return found


class Cast:
    """The processes of a job."""

    def __init__(self, job: dict[str, Any]) -> None:
        inherited = {name: one for name, one in job["segments"].items() if one["kind"] == "anonymous"}
        self.files = mapper.open_segments({n: one for n, one in job["segments"].items() if n not in inherited})
        self.files |= {name: shared_anonymous(one["size"]) for name, one in inherited.items()}
        self.pipes = [os.pipe() + os.pipe() for _ in range(MOST)]
        self.slots: dict[int, int] = {}
        self.pids: dict[int, int] = {}  # by process
        self.base: dict[int, int] = {}  # what processes have by themselves, before they map anything
        self.free = list(range(MOST))[::-1]
        self.spans = job["spans"]

    def vmpte(self, pid: int) -> int:
        """VmPTE of a process in bytes."""
        status = os.open(f"/proc/{pid}/status", os.O_RDONLY)
        try:
            return int(mapper.vmpte(status))
        finally:
            os.close(status)

    def start(self, process: int, maps: list[Any]) -> None:
        """Make a process, find out what it has by itself, and have it map its segments."""
        slot = self.slots[process] = self.free.pop()
        parent, pid = os.getpid(), os.fork()
        if pid == 0:
            mapper.die_with(parent)
            for _, write, read, _ in self.pipes:
                os.close(write)
                os.close(read)
            player = Player(self.files, self.pipes, slot)
            player.warm()
            os.write(self.pipes[slot][3], b"\n")
            player.serve()
        self.pids[process] = pid
        self.answer(process)
        self.base[process] = self.vmpte(pid)
        for arguments in maps:
            self.order(process, *arguments)

    def fork(self, process: int, child: int) -> None:
        """Have one make another one."""
        self.slots[child] = self.free.pop()
        self.send(process, "fork", self.slots[child])
        self.pids[child] = int(self.answer(child))
        self.answer(child)
        self.answer(process)

    def send(self, process: int, *order: Any) -> None:
        text = json.dumps(order).encode()
        whole = len(text).to_bytes(4, "little") + text
        while whole:
            whole = whole[os.write(self.pipes[self.slots[process]][1], whole) :]

    def answer(self, process: int) -> bytes:
        """Read a line of a process."""
        pipe, text, waited = self.pipes[self.slots[process]][2], b"", 0.0
        while not text.endswith(b"\n"):
            if select.select([pipe], [], [], WAIT / 20)[0]:
                text += os.read(pipe, 4096)
                continue
            waited += WAIT / 20
            state = Path(f"/proc/{self.pids[process]}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "Z" or waited > WAIT:
                raise Failed(f"process {process} " + ("died" if state == "Z" else "is silent"))
        if text.startswith(b"{"):
            found = json.loads(text)
            raise Failed(f"process {process}: {found['error']}", found["denied"])
        return text

    def order(self, process: int, *order: Any) -> None:
        """Have a process do something, and wait for it."""
        self.send(process, *order)
        self.answer(process)

    def end(self, process: int) -> None:
        """End a process."""
        pid = self.pids.pop(process)
        handle = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        select.select([handle], [], [], WAIT)
        os.close(handle)
        with contextlib.suppress(ChildProcessError):  # a child of a child is not ours to wait for
            os.waitpid(pid, 0)
        self.free.append(self.slots.pop(process))

    def do(self, process: int, name: str, *arguments: Any) -> None:
        """Do one call of a job."""
        if process == 0:
            file = self.files[arguments[0]]
            if name == "truncate":
                os.ftruncate(file, arguments[1])
            else:
                start, end = arguments[1:]
                checked(libc.fallocate(file, FALLOC_KEEP | FALLOC_PUNCH, start, end - start), "fallocate")
        elif name == "start":
            self.start(process, *arguments)
        elif name == "fork":
            self.fork(process, *arguments)
        elif name == "exit":
            self.leave(process)
        else:
            self.order(process, name, *arguments)

    def leave(self, process: int) -> None:
        """Have a process unmap everything, read what it has by itself, and end it."""
        for address, length in self.spans:
            self.order(process, "munmap", address, length)
        left = self.vmpte(self.pids[process])
        if self.base.setdefault(process, left) != left:
            raise Failed(f"something else changed the tables of a process: {left - self.base[process]}")
        self.end(process)

    def readings(self) -> dict[int, int]:
        """VmPTE of all."""
        return {process: self.vmpte(pid) for process, pid in self.pids.items()}

    def copies(self) -> int | None:
        """Distinct pages of memory that are private copies, of all processes; None if frames are hidden."""
        frames: set[int] = set()
        for pid in self.pids.values():
            for address, length in self.spans:
                frames |= anonymous_frames(pid, address, length)
        return None if 0 in frames else len(frames - zero_frames())

    def scores(self) -> dict[int, list[int]]:
        """What the OOM killer sees of all."""
        found = {}
        for process, pid in self.pids.items():
            Path(f"/proc/{pid}/oom_score_adj").write_text("0")
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            sizes = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines if line.endswith("kB")}
            score = int(Path(f"/proc/{pid}/oom_score").read_text())
            found[process] = [score, sizes["VmRSS"], sizes["VmSwap"], sizes["VmPTE"]]
        return found


def play(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job in this process (the caller forks one for it)."""
    libc.prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: children of children whose parent ends become ours
    cast = Cast(job)
    try:
        answer: dict[str, Any] = {"vmpte": [], "scores": [], "charged": [], "copies": []}
        for step in job["steps"]:
            for call in step:
                cast.do(*call)
            answer["vmpte"].append(cast.readings())
            if job.get("counter"):
                answer["charged"].append(mapper.charged(job["counter"], None, job.get("still", mapper.STILL)))
            if job.get("copies"):
                answer["copies"].append(cast.copies())
            if job.get("scores"):
                answer["scores"].append(cast.scores())
        for process in list(cast.pids):
            cast.leave(process)
        answer["vmpte"] = [{p: size - cast.base[p] for p, size in step.items()} for step in answer["vmpte"]]
        return answer
    finally:
        for process in list(cast.pids):
            cast.end(process)


if __name__ == "__main__":
    mapper.serve(play)
