"""A small process that maps memory for real, so that tests can read what the kernel charges for it.

Run as a script it reads one job per line (JSON) on standard input and answers each with one line on standard
output.  It imports nothing but the standard library and forks its processes from itself: what a process owns
besides the mappings under test stays small and, more important, does not change between two readings.

A job is a dictionary:

* ``segments``: by name ``{"kind": "memfd" | "hugetlb" | "tmpfs" | "file" | "anonymous", "size": bytes}`` plus
  ``huge`` (mount option of kind tmpfs), ``directory`` (kind file), ``address`` and ``prot`` (kind anonymous:
  mapped shared there before the processes are forked, which inherit it) and ``fill`` (``[[start, stop]...]``:
  in memory before anybody maps it);
* ``workers``: per process a list of steps, each a list of operations (see `Worker`).  Step 0 of all workers
  is done before step 1 of any of them, so that the counters can be read in between;
* ``counter``: what else to read then: ``cgroup`` (kernel memory of the version 1 memory cgroup at the path
  ``cgroup``, which the processes join), ``meminfo`` (PageTables of the whole machine) or null.

The answer is ``{"vmpte": [[before, after step 0, ...], ...], "charged": [before step 0, ...] or null}`` in
bytes, or ``{"error": text, "denied": bool}``; ``denied``: this kernel or this user may not do it, so skip.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import json
import os
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PAGE = 4096
MIB2 = 2 << 20
PROT = {"none": 0, "r": 1, "w": 2, "rw": 3, "rx": 5, "rwx": 7}
ADVICE = {"hugepage": 14, "nohugepage": 15}
MAP_SHARED, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE = 0x1, 0x2, 0x20, 0x4000
MAP_FIXED_NOREPLACE = 0x100000
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18
SYS_USERFAULTFD = 323  # x86_64; the other architectures are not measured here
UFFD_MODES = {"missing": 1, "wp": 2, "minor": 4}
UFFD_FEATURES = 1 << 4 | 1 << 5 | 1 << 9 | 1 << 10 | 1 << 12  # missing, minor, wp on hugetlb and shmem
UFFDIO_API, UFFDIO_REGISTER, UFFDIO_CONTINUE = 0xC018AA3F, 0xC020AA00, 0xC020AA07
DENIED = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP}

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.madvise.argtypes = libc.mprotect.argtypes = [*libc.munmap.argtypes, ctypes.c_int]
libc.mmap.argtypes = [*libc.mprotect.argtypes, ctypes.c_int, ctypes.c_int, ctypes.c_long]

# All of user space as one array: indexing it is the access under test.
memory = (ctypes.c_ubyte * (1 << 47)).from_address(0)


def checked(result: int, what: str) -> int:
    """Return `result` of a C call, or raise OSError with what was tried if it is -1."""
    if result == -1 or result == ctypes.c_void_p(-1).value:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def vmpte(status: int) -> int:
    """Bytes of VmPTE; `status` is an open /proc/self/status (opening it here could allocate tables)."""
    text = os.pread(status, PAGE, 0)
    start = text.index(b"VmPTE:") + 6
    return int(text[start : text.index(b"kB", start)]) << 10


class Worker:
    """One process under test.  Each operation is a list: its name and the arguments of the method."""

    def __init__(self, files: dict[str, int]) -> None:
        self.files = files
        self.uffd = -1

    def run(self, operations: Sequence[Sequence[Any]]) -> None:
        for name, *arguments in operations:
            getattr(self, name)(*arguments)

    def mmap(self, segment: str | None, address: int, length: int, prot: str, kind: str, offset: int) -> None:
        """Map a segment (None: anonymous) `shared` or `private` at exactly `address`."""
        flags = MAP_FIXED_NOREPLACE | MAP_NORESERVE | (MAP_SHARED if kind == "shared" else MAP_PRIVATE)
        flags |= MAP_ANONYMOUS if segment is None else 0
        fd = -1 if segment is None else self.files[segment]
        got = checked(libc.mmap(address, length, PROT[prot], flags, fd, offset), f"mmap at {address:#x}")
        if got != address:  # kernels before 4.17 take the address as a hint
            raise OSError(errno.EOPNOTSUPP, "MAP_FIXED_NOREPLACE is not supported")

    def munmap(self, address: int, length: int) -> None:
        checked(libc.munmap(address, length), "munmap")

    def madvise(self, address: int, length: int, advice: str) -> None:
        checked(libc.madvise(address, length, ADVICE[advice]), f"madvise {advice}")

    def mprotect(self, address: int, length: int, prot: str) -> None:
        checked(libc.mprotect(address, length, PROT[prot]), f"mprotect {prot}")

    def read(self, runs: Sequence[Sequence[int]]) -> None:
        """Read one byte at range(start, stop, step) of each run."""
        for start, stop, step in runs:
            for address in range(start, stop, step):
                memory[address]

    def write(self, runs: Sequence[Sequence[int]]) -> None:
        """Write one byte at range(start, stop, step) of each run."""
        for start, stop, step in runs:
            for address in range(start, stop, step):
                memory[address] = 1

    def userfault(self, address: int, length: int, mode: str) -> None:
        """Register the range with a userfaultfd of this process."""
        if self.uffd < 0:
            self.uffd = checked(libc.syscall(SYS_USERFAULTFD, os.O_CLOEXEC | os.O_NONBLOCK), "userfaultfd")
            self.ioctl(UFFDIO_API, struct.pack("QQQ", 0xAA, UFFD_FEATURES, 0))
        self.ioctl(UFFDIO_REGISTER, struct.pack("QQQQ", address, length, UFFD_MODES[mode], 0))

    def resolve(self, runs: Sequence[Sequence[int]], page: int) -> None:
        """Map pages that are in memory through a minor fault's answer, as a fault handler would."""
        for start, stop, step in runs:
            for address in range(start, stop, step):
                self.ioctl(UFFDIO_CONTINUE, struct.pack("QQQQ", address // page * page, page, 0, 0))

    def ioctl(self, request: int, argument: bytes) -> None:
        buffer = ctypes.create_string_buffer(argument, len(argument))
        checked(libc.ioctl(self.uffd, ctypes.c_ulong(request), buffer), "userfaultfd")

    def clear_refs(self, value: str) -> None:
        with open("/proc/self/clear_refs", "w") as handle:
            handle.write(value)


def serve_worker(worker: Worker, steps: Sequence[Sequence[Sequence[Any]]], orders: int, reports: int) -> None:
    """Do one step per byte read from `orders`; write VmPTE (or the error) to `reports` after each."""
    status = os.open("/proc/self/status", os.O_RDONLY)
    for _ in range(3):  # warm: code, stack and heap of everything that follows have their tables
        vmpte(status)
        scratch = checked(libc.mmap(0, MIB2, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), "mmap")
        worker.write([[scratch, scratch + 64 * PAGE, PAGE]])
        worker.read([[scratch, scratch + 64 * PAGE, PAGE]])
        worker.mprotect(scratch, MIB2, "none")
        worker.munmap(scratch, MIB2)
    os.write(reports, json.dumps(vmpte(status)).encode() + b"\n")
    for step in steps:
        if not os.read(orders, 1):
            return
        try:
            worker.run(step)
            answer: Any = vmpte(status)
        except OSError as error:
            answer = {"error": str(error), "denied": error.errno in DENIED}
        os.write(reports, json.dumps(answer).encode() + b"\n")
    os.read(orders, 1)  # stay alive, with all tables, until everybody has been read


class Failed(Exception):
    """A job that could not be done; `denied` if nobody could do it here."""

    def __init__(self, text: str, denied: bool = False) -> None:
        super().__init__(text)
        self.denied = denied


def open_segments(segments: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Create the segments' files (an anonymous segment is mapped at once) and return their descriptors."""
    files: dict[str, int] = {}
    for name, segment in segments.items():
        kind, size = segment["kind"], segment["size"]
        if kind == "anonymous":
            flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE
            checked(libc.mmap(segment["address"], size, PROT[segment["prot"]], flags, -1, 0), "mmap")
            continue
        if kind == "memfd":
            fd = os.memfd_create(name)
        elif kind == "hugetlb":
            fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_HUGETLB | os.MFD_HUGE_2MB)
        elif kind == "tmpfs":
            fd = private_tmpfs(segment.get("huge", "never"))
        else:
            fd, path = tempfile.mkstemp(dir=segment["directory"])
            Path(path).unlink()
        os.ftruncate(fd, size)
        files[name] = fd
        if kind == "hugetlb":
            fill_by_fault(fd, segment.get("fill", ()))
            continue
        for start, stop in segment.get("fill", ()):
            # one page at a time: a larger write may build a large folio, which decides over PMD leaves
            for offset in range(start, stop, PAGE):
                os.pwrite(fd, b"\1" * PAGE, offset)
    return files


def fill_by_fault(fd: int, ranges: Sequence[Sequence[int]]) -> None:
    """Bring huge pages into memory in a process that is gone afterwards: hugetlb has no write()."""
    child = os.fork()
    if child == 0:
        for start, stop in ranges:
            base = checked(libc.mmap(0, stop - start, 3, MAP_SHARED | MAP_NORESERVE, fd, start), "mmap")
            for address in range(base, base + stop - start, MIB2):
                memory[address] = 1  # SIGBUS if the pool is empty
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        raise Failed("the huge page pool is too small for the segment")


def private_tmpfs(huge: str) -> int:
    """A file of a tmpfs that is mounted for this process only, with the mount option huge=`huge`."""
    checked(libc.unshare(CLONE_NEWNS), "unshare")
    checked(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount")
    directory = tempfile.mkdtemp()
    try:
        options = f"huge={huge},size=16g".encode()
        checked(libc.mount(b"tmpfs", directory.encode(), b"tmpfs", 0, options), f"mount tmpfs huge={huge}")
        fd = os.open(directory + "/segment", os.O_RDWR | os.O_CREAT)
        checked(libc.umount2(directory.encode(), 2), "umount")  # lazily: the open file keeps the mount
    finally:
        Path(directory).rmdir()
    return fd


def charged(counter: str, cgroup: str | None) -> int:
    """Read `counter` in bytes, once freed tables have left by RCU: twice the same in a row."""
    last = -1
    while True:
        if counter == "cgroup":
            with open(f"{cgroup}/memory.kmem.usage_in_bytes") as handle:
                now = int(handle.read())
        else:
            with open("/proc/sys/vm/stat_refresh", "w") as handle:  # folds the per-CPU parts
                handle.write("1")
            with open("/proc/meminfo") as handle:
                now = next(int(line.split()[1]) << 10 for line in handle if line.startswith("PageTables:"))
        if now == last:
            return now
        last = now
        time.sleep(0.01)


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job in this process (the caller forks one for it)."""
    cgroup, counter = job.get("cgroup"), job.get("counter")
    if counter:
        # the kernel hands out charges per CPU; on a single one the parts not yet used disturb the least
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if cgroup:
        with open(f"{cgroup}/cgroup.procs", "w") as handle:
            handle.write(str(os.getpid()))
    files = open_segments(job["segments"])
    channels: list[tuple[int, int]] = []
    children: list[int] = []
    readings: list[list[int]] = []
    charges: list[int] = []
    try:
        for steps in job["workers"]:
            order_read, order_write = os.pipe()
            report_read, report_write = os.pipe()
            child = os.fork()
            if child == 0:
                for descriptors in channels:  # or a sibling's end would keep the others alive
                    os.close(descriptors[0])
                os.close(order_write)
                serve_worker(Worker(files), steps, order_read, report_write)
                os._exit(0)
            os.close(order_read)
            os.close(report_write)
            children.append(child)
            channels.append((order_write, report_read))
            readings.append([answer(child, report_read)])
        for _ in range(len(job["workers"][0])):
            if counter:
                charges.append(charged(counter, cgroup))
            for child, (orders, reports), values in zip(children, channels, readings, strict=True):
                os.write(orders, b"s")
                values.append(answer(child, reports))
        if counter:
            charges.append(charged(counter, cgroup))
    finally:
        for orders, _ in channels:
            os.close(orders)
        for child in children:
            with contextlib.suppress(ChildProcessError):  # already waited for, where it died
                os.waitpid(child, 0)
    return {"vmpte": readings, "charged": charges or None}


def answer(child: int, reports: int) -> int:
    """Read one report line of a worker: its VmPTE."""
    text = b""
    while not text.endswith(b"\n"):
        part = os.read(reports, PAGE)
        if not part:
            status = os.waitpid(child, 0)[1]
            name = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else str(status)
            raise Failed(f"a process under test died ({name})")
        text += part
    value = json.loads(text)
    if isinstance(value, dict):
        raise Failed(value["error"], value["denied"])
    return int(value)


def main() -> None:
    gc.disable()  # a collection between two readings could allocate
    for line in sys.stdin:
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                result = run_job(json.loads(line))
            except Failed as error:
                result = {"error": str(error), "denied": error.denied}
            except OSError as error:
                result = {"error": str(error), "denied": error.errno in DENIED}
            with open(write_end, "w") as handle:
                json.dump(result, handle)
            os._exit(0)
        os.close(write_end)
        with open(read_end) as handle:
            text = handle.read()
        os.waitpid(child, 0)
        print(text or json.dumps({"error": "the job's process died", "denied": False}), flush=True)


if __name__ == "__main__":
    main()
