"""A small process that maps memory for real, so that what the kernel charges for it can be read.

Run as a script (``python -I -S``) it reads one job per line (JSON) on standard input and answers each with one line
on standard output.  It imports nothing but the standard library and forks its processes from itself: what a process
owns besides the mappings under test stays small and, more important, does not change between two readings.

Nothing of it outlives who started it: every process asks the kernel to be killed with its parent, and puts itself
first in line for the OOM killer.

A job is a dictionary:

* ``segments``: by name ``{"kind": "memfd" | "hugetlb" | "tmpfs" | "file" | "anonymous", "size": bytes}`` plus
  ``page`` (kind hugetlb), ``huge`` (mount option of kind tmpfs), ``directory`` (kind file), ``address`` and ``prot``
  (kind anonymous: mapped shared there before the processes are forked, which inherit it).  In memory before anybody
  maps it is what ``fill`` says, runs of offsets as for `Worker.read`, by writes; before that ``advise``
  (``{"runs": runs, "huge": bytes}``), by faults in a mapping with MADV_HUGEPAGE; ``cache``, for a file, by readahead;
* ``workers``: per process a list of steps, each a list of operations (see `Worker`).  Step 0 of all workers
  is done before step 1 of any of them, so that the counters can be read in between;
* ``counter``: what else to read then: ``cgroup`` (kernel memory of the version 1 memory cgroup at the path
  ``cgroup``), ``memory.stat`` (its line `pagetables`, version 2), ``meminfo`` (PageTables of the machine) or null;
* ``still``: how often in a row that must read the same before it is believed (default 2);
* ``cgroup``: the directory of a cgroup that the processes join;
* ``slot`` and ``spans``: if given, all addresses are moved up by the least multiple of ``slot`` with which no
  ``[start, end]`` of ``spans`` lies in a slot that this program uses itself;
* ``order``: if given, workers (by number) are started one after the other, each of which does all its steps, until the
  OOM killer acts; ``usage`` is the file that says how much the cgroup then holds, ``events`` the one that counts its
  kills.  With ``idle`` they map all and access nothing, and nothing is in memory.

The answer is ``{"vmpte": [[before, after step 0, ...], ...], "charged": [before step 0, ...] or null}`` in
bytes, with ``order`` ``{"usage": [before the first process, after it, ...], "killed": bool}``, or
``{"error": text, "denied": bool}``; ``denied``: this kernel or this user may not do it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import json
import mmap
import os
import platform
import resource
import signal
import struct
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

PAGE = mmap.PAGESIZE
SCRATCH = 2 << 20
PROT = {"none": 0, "r": 1, "w": 2, "rw": 3, "rx": 5, "rwx": 7}
ADVICE = {"hugepage": 14, "nohugepage": 15}
MACHINE = platform.machine()
POWER = MACHINE.startswith("ppc")
MAP_SHARED, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE = 0x1, 0x2, 0x20, 0x40 if POWER else 0x4000
MAP_FIXED_NOREPLACE = 0x100000
MFD_HUGETLB, MFD_HUGE_SHIFT = 0x4, 26
CLONE_NEWNS, MS_REC, MS_PRIVATE, MNT_DETACH = 0x20000, 0x4000, 1 << 18, 2
PR_SET_PDEATHSIG = 1
# asm-generic: arm64, riscv64, loongarch64
SYS_USERFAULTFD = {"x86_64": 323, "s390x": 355, "ppc64": 364, "ppc64le": 364}.get(MACHINE, 282)
UFFD_MODES = {"missing": 1, "wp": 2, "minor": 4}
UFFD_FEATURES = 1 << 4 | 1 << 5 | 1 << 9 | 1 << 10 | 1 << 12  # missing, minor, wp on hugetlb and shmem
DENIED = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP}
STILL, READINGS = 2, 300  # how often a counter must read the same, and how often it is read at most
PAUSE = 0.01

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.madvise.argtypes = libc.mprotect.argtypes = [*libc.munmap.argtypes, ctypes.c_int]
libc.mmap.argtypes = [*libc.mprotect.argtypes, ctypes.c_int, ctypes.c_int, ctypes.c_long]

# All of user space as one array: indexing it is the access under test.
memory = (ctypes.c_ubyte * (1 << 62)).from_address(0)


def checked(result: int, what: str) -> int:
    """Return `result` of a C call, or raise OSError with what was tried if it is -1."""
    if result == -1 or result == ctypes.c_void_p(-1).value:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def both_ways(number: int, size: int) -> int:
    """Return the request of a userfaultfd ioctl that reads and writes (include/uapi/asm-generic/ioctl.h: _IOWR)."""
    direction = 6 << 29 if POWER else 3 << 30
    return direction | size << 16 | 0xAA << 8 | number


def vmpte(status: int) -> int:
    """Bytes of VmPTE; `status` is an open /proc/self/status (opening it here could allocate tables)."""
    text = os.pread(status, 4096, 0)
    start = text.index(b"VmPTE:") + 6
    return int(text[start : text.index(b"kB", start)]) << 10


def steps_of(runs: Sequence[int]) -> Iterator[range]:
    """Yield range(start, stop, step) of each run; `runs` holds the three numbers of all of them in a row."""
    for at in range(0, len(runs), 3):
        yield range(runs[at], runs[at + 1], runs[at + 2])


class Worker:
    """One process under test.  Each operation is a list: its name and the arguments of the method."""

    def __init__(self, files: dict[str, int]) -> None:
        self.files = files
        self.uffd = -1

    def run(self, operations: Sequence[Sequence[Any]]) -> None:
        """Do operations one after the other."""
        for name, *arguments in operations:
            getattr(self, name)(*arguments)

    def mmap(self, address: int, length: int, segment: str | None, prot: str, kind: str, offset: int) -> None:
        """Map a segment (None: anonymous) `shared` or `private` at exactly `address`."""
        flags = MAP_FIXED_NOREPLACE | MAP_NORESERVE | (MAP_SHARED if kind == "shared" else MAP_PRIVATE)
        flags |= MAP_ANONYMOUS if segment is None else 0
        fd = -1 if segment is None else self.files[segment]
        got = checked(libc.mmap(address, length, PROT[prot], flags, fd, offset), f"mmap at {address:#x}")
        if got != address:  # kernels before 4.17 take the address as a hint
            raise OSError(errno.EOPNOTSUPP, "MAP_FIXED_NOREPLACE is not supported")

    def munmap(self, address: int, length: int) -> None:
        """Unmap."""
        checked(libc.munmap(address, length), "munmap")

    def madvise(self, address: int, length: int, advice: str) -> None:
        """Give `hugepage` or `nohugepage`."""
        checked(libc.madvise(address, length, ADVICE[advice]), f"madvise {advice}")

    def mprotect(self, address: int, length: int, prot: str) -> None:
        """Change the protection."""
        checked(libc.mprotect(address, length, PROT[prot]), f"mprotect {prot}")

    def read(self, runs: Sequence[int]) -> None:
        """Read one byte at each address of the runs."""
        for addresses in steps_of(runs):
            for address in addresses:
                memory[address]

    def write(self, runs: Sequence[int]) -> None:
        """Write one byte at each address of the runs."""
        for addresses in steps_of(runs):
            for address in addresses:
                memory[address] = 1

    def own(self, pages: int, used: bool = True) -> None:
        """Have so many pages of private memory."""
        length = pages * PAGE
        start = checked(libc.mmap(0, length, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), "mmap")
        libc.madvise(start, length, ADVICE["nohugepage"])  # fails only where there are no huge pages
        self.write((start, start + length, PAGE) if used else ())

    def userfault(self, address: int, length: int, mode: str) -> None:
        """Register the range with a userfaultfd of this process."""
        if self.uffd < 0:
            self.uffd = checked(libc.syscall(SYS_USERFAULTFD, os.O_CLOEXEC | os.O_NONBLOCK), "userfaultfd")
            self.ioctl(0x3F, struct.pack("QQQ", 0xAA, UFFD_FEATURES, 0))
        self.ioctl(0x00, struct.pack("QQQQ", address, length, UFFD_MODES[mode], 0))

    def resolve(self, runs: Sequence[int], page: int) -> None:
        """Map pages that are in memory through a minor fault's answer, as a fault handler would."""
        for addresses in steps_of(runs):
            for address in addresses:
                self.ioctl(0x07, struct.pack("QQQQ", address // page * page, page, 0, 0))

    def ioctl(self, number: int, argument: bytes) -> None:
        """Ask the userfaultfd something."""
        buffer = ctypes.create_string_buffer(argument, len(argument))
        request = ctypes.c_ulong(both_ways(number, len(argument)))
        checked(libc.ioctl(self.uffd, request, buffer), "userfaultfd")


MOVED = {"mmap", "munmap", "madvise", "mprotect", "userfault"}  # their first argument is an address
TOUCHING = {"read", "write", "resolve"}  # their first argument is runs of addresses


def prepared(operation: list[Any], shift: int) -> list[Any]:
    """Return an operation with all addresses moved by `shift`, and runs in an array.

    Numbers in a list are objects: to read them writes their counts of references, which gives each process copies of
    the pages they lie on.
    """
    name, first, *rest = operation
    if name in MOVED:
        return [name, first + shift, *rest]
    if name in TOUCHING:
        return [name, array("q", (value if at % 3 == 2 else value + shift for at, value in enumerate(first))), *rest]
    return operation


def idle(operation: list[Any]) -> list[Any]:
    """Return a prepared operation without its accesses to memory."""
    name, first, *rest = operation
    if name == "own":
        return [name, first, False]
    return [name, array("q"), *rest] if name in TOUCHING else operation


def untouched(segment: dict[str, Any]) -> dict[str, Any]:
    """Return a segment of which nothing is in memory."""
    return {key: value for key, value in segment.items() if key not in ("fill", "advise", "cache")}


def free_shift(spans: Sequence[Sequence[int]], slot: int) -> int:
    """Return the least multiple of `slot` that moves `spans` out of the slots of this program's own mappings.

    There the tables of the levels below exist already, so that a mapping would add fewer.
    """
    used: set[int] = set()
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        used.update(range(start // slot, (end - 1) // slot + 1))
    wanted = {place for start, end in spans for place in range(start // slot, (end - 1) // slot + 1)}
    highest = max(used)
    for shift in range(highest + 1):
        if not any(place + shift in used for place in wanted):
            return shift * slot
    raise Failed("no part of the address space is free of the program's own mappings", denied=True)


def serve_worker(worker: Worker, steps: Sequence[Sequence[Sequence[Any]]], orders: int, reports: int) -> None:
    """Do one step per byte read from `orders`; write VmPTE (or the error) to `reports` after each."""
    status = os.open("/proc/self/status", os.O_RDONLY)
    for _ in range(3):  # warm: code, stack and heap of everything that follows have their tables
        vmpte(status)
        scratch = checked(libc.mmap(0, SCRATCH, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), "mmap")
        worker.write((scratch, scratch + 8 * PAGE, PAGE))
        worker.read((scratch, scratch + 8 * PAGE, PAGE))
        worker.mprotect(scratch, SCRATCH, "none")
        worker.munmap(scratch, SCRATCH)
    os.write(reports, json.dumps(vmpte(status)).encode() + b"\n")
    for step in steps:
        if not os.read(orders, 1):
            return
        try:
            worker.run(step)
            answer: Any = vmpte(status)
        except OSError as error:
            answer = told(error)
        os.write(reports, json.dumps(answer).encode() + b"\n")
    os.read(orders, 1)  # stay alive, with all tables, until everybody has been read


class Failed(Exception):
    """A job that could not be done; `denied` if nobody could do it here."""

    def __init__(self, text: str, denied: bool = False) -> None:
        super().__init__(text)
        self.denied = denied


class Died(Failed):
    """A process under test died; `number` is the signal, 0 if it was none."""

    def __init__(self, end: os.waitid_result) -> None:
        self.number = 0 if end.si_code == os.CLD_EXITED else end.si_status
        name = signal.Signals(self.number).name if self.number else str(end.si_status)
        super().__init__(f"a process under test died ({name})")


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
            fd = memfd(0)
        elif kind == "hugetlb":
            fd = memfd(MFD_HUGETLB | segment["page"].bit_length() - 1 << MFD_HUGE_SHIFT)
        elif kind == "tmpfs":
            fd = private_tmpfs(segment.get("huge", "never"), size)
        else:
            fd, path = tempfile.mkstemp(dir=segment["directory"])
            Path(path).unlink()
        os.ftruncate(fd, size)
        files[name] = fd
        fill(fd, segment)
    return files


def memfd(flags: int) -> int:
    """Create a file in memory."""
    try:
        return os.memfd_create("segment", os.MFD_CLOEXEC | flags)
    except OSError as error:
        raise OSError(error.errno, f"memfd_create: {error.strerror}") from None


def told(error: OSError) -> dict[str, Any]:
    """Return an error of the system as an answer."""
    text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return {"error": text, "denied": error.errno in DENIED}


def fill(fd: int, segment: dict[str, Any]) -> None:
    """Bring what the job says of a segment into memory."""
    runs = array("q", segment.get("fill", ()))
    if segment["kind"] == "hugetlb":
        return fill_by_fault(fd, runs, segment["page"])
    if segment.get("advise"):  # before anything else: who touches first decides over huge pages
        fill_advised(fd, array("q", segment["advise"]["runs"]), segment["size"], segment["advise"]["huge"])
    for offsets in steps_of(runs):
        # one page at a time: a larger write may build a large folio, which decides over PMD leaves
        for offset in offsets:
            os.pwrite(fd, b"\1", offset)
    for offsets in steps_of(array("q", segment.get("cache", ()))):
        for offset in offsets:
            os.posix_fadvise(fd, offset, 1, os.POSIX_FADV_WILLNEED)
    return None


def fill_by_fault(fd: int, runs: Sequence[int], page: int) -> None:
    """Bring huge pages into memory in a process that is gone afterwards: hugetlb has no write()."""
    parent, child = os.getpid(), os.fork()
    if child == 0:
        die_with(parent)
        for offsets in steps_of(runs):
            for offset in offsets:
                start = offset // page * page
                base = checked(libc.mmap(0, page, 3, MAP_SHARED | MAP_NORESERVE, fd, start), "mmap")
                memory[base] = 1  # SIGBUS if the pool is empty
                libc.munmap(base, page)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        raise Failed("the huge page pool is too small for the segment")


def fill_advised(fd: int, runs: Sequence[int], size: int, huge: int) -> None:
    """Bring transparent huge pages into memory as whoever asks for them does, in a process that is gone afterwards."""
    parent, child = os.getpid(), os.fork()
    if child == 0:
        die_with(parent)
        length = -(-size // huge) * huge
        room = checked(libc.mmap(0, length + huge, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), "mmap")
        start = -(-room // huge) * huge
        libc.munmap(room, length + huge)
        checked(libc.mmap(start, length, 3, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0), "mmap")
        checked(libc.madvise(start, length, ADVICE["hugepage"]), "madvise")
        for offsets in steps_of(runs):
            for offset in offsets:
                memory[start + offset] = 1
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        raise Failed("the segment could not be filled with transparent huge pages")


def private_tmpfs(huge: str, size: int) -> int:
    """A file of a tmpfs that is mounted for this process only, with the mount option huge=`huge`."""
    checked(libc.unshare(CLONE_NEWNS), "unshare")
    checked(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount")
    directory = tempfile.mkdtemp()
    try:
        options = f"huge={huge},size={size + (1 << 30)}".encode()
        checked(libc.mount(b"tmpfs", directory.encode(), b"tmpfs", 0, options), f"mount tmpfs huge={huge}")
        fd = os.open(directory + "/segment", os.O_RDWR | os.O_CREAT)
        # lazily: the open file keeps the mount
        checked(libc.umount2(directory.encode(), MNT_DETACH), "umount")
    finally:
        Path(directory).rmdir()
    return fd


def charged(counter: str, cgroup: str | None, enough: int) -> int:
    """Read `counter` in bytes, once freed tables have left by RCU: the same several times in a row."""
    last, still = -1, 0
    for _ in range(READINGS):
        if counter == "cgroup":
            with open(f"{cgroup}/memory.kmem.usage_in_bytes") as handle:
                now = int(handle.read())
        elif counter == "memory.stat":
            with open(f"{cgroup}/memory.stat") as handle:
                now = next((int(line.split()[1]) for line in handle if line.startswith("pagetables ")), 0)
        else:
            with open("/proc/sys/vm/stat_refresh", "w") as handle:  # folds the per-CPU parts
                handle.write("1")
            with open("/proc/meminfo") as handle:
                now = next(int(line.split()[1]) << 10 for line in handle if line.startswith("PageTables:"))
        still = still + 1 if now == last else 1
        if still == enough:
            break
        last = now
        time.sleep(PAUSE)
    return now


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job in this process (the caller forks one for it)."""
    cgroup, counter = job.get("cgroup"), job.get("counter")
    shift = free_shift(job["spans"], job["slot"]) if job.get("slot") else 0
    workers = [[[prepared(operation, shift) for operation in step] for step in steps] for steps in job["workers"]]
    if counter or "order" in job:
        # the kernel hands out charges per CPU; on a single one the parts not yet used disturb the least
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if cgroup:
        with open(f"{cgroup}/cgroup.procs", "w") as handle:
            handle.write(str(os.getpid()))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if job.get("idle"):
        job["segments"] = {name: untouched(segment) for name, segment in job["segments"].items()}
        workers = [[[idle(operation) for operation in step] for step in steps] for steps in workers]
    files = open_segments(job["segments"])
    del job["segments"], job["workers"]
    if "order" in job:
        return start_in_order(files, [workers[number] for number in job["order"]], job["usage"], job["events"])
    return in_step(files, workers, lambda: charged(counter, cgroup, job.get("still", STILL)) if counter else None)


def in_step(files: dict[str, int], workers: Sequence[Sequence[Any]], read: Callable[[], int | None]) -> dict[str, Any]:
    """Do the same step of all workers before the next one of any; read the counters in between."""
    members: list[tuple[int, int, int]] = []
    readings: list[list[int]] = []
    charges: list[int | None] = []
    try:
        for steps in workers:
            members.append(start(files, steps))
            readings.append([answer(members[-1])])
        for _ in range(len(workers[0])):
            charges.append(read())
            for member, values in zip(members, readings, strict=True):
                values.append(next_step(member))
        charges.append(read())
    finally:
        end_all(members)
    return {"vmpte": readings, "charged": None if None in charges else charges}


def start_in_order(files: dict[str, int], workers: Sequence[Sequence[Any]], usage: str, events: str) -> dict[str, Any]:
    """Start one process after the other until the OOM killer acts; read what the cgroup holds after each one."""
    Path("/proc/self/oom_score_adj").write_text("0")  # the processes under test are to die, not who counts them
    members: list[tuple[int, int, int]] = []
    before = kills(events)
    held = [int(Path(usage).read_text())]
    try:
        for steps in workers:
            try:
                members.append(start(files, steps))
                answer(members[-1])
                for _ in steps:
                    next_step(members[-1])
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended:
                    raise Died(ended)
            except (Failed, OSError):  # whatever went wrong, it is the answer if memory ran out
                if kills(events) == before:
                    raise
            if kills(events) > before:  # not only this process may be the one that was chosen
                break
            held.append(int(Path(usage).read_text()))
    finally:
        end_all(members)
    return {"usage": held, "killed": kills(events) > before}


def kills(events: str) -> int:
    """How often the OOM killer has acted in the cgroup of that file (memory.oom_control or memory.events)."""
    for line in Path(events).read_text().splitlines():
        name, _, number = line.partition(" ")
        if name == "oom_kill":
            return int(number)
    raise Failed("this kernel does not count the OOM kills of a cgroup", denied=True)


def start(files: dict[str, int], steps: Sequence[Any]) -> tuple[int, int, int]:
    """Fork a process under test; return it, where it takes orders, and where it reports."""
    order_read, order_write = os.pipe()
    report_read, report_write = os.pipe()
    parent, child = os.getpid(), os.fork()
    if child == 0:
        try:
            die_with(parent)
            os.close(order_write)
            serve_worker(Worker(files), steps, order_read, report_write)
        finally:
            os._exit(1)
    os.close(order_read)
    os.close(report_write)
    return child, order_write, report_read


def end_all(members: Sequence[tuple[int, int, int]]) -> None:
    """End processes under test, whatever they do."""
    for child, _, _ in members:
        os.kill(child, signal.SIGKILL)
    for child, _, _ in members:
        os.waitpid(child, 0)


def die_with(parent: int) -> None:
    """Be killed when the parent ends, however it does, and before all others when memory runs out."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has already ended
        os._exit(1)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def next_step(member: tuple[int, int, int]) -> int:
    """Have a process under test do its next step; return its VmPTE afterwards."""
    with contextlib.suppress(BrokenPipeError):  # it has died, of what will be told where its report is missed
        os.write(member[1], b"s")
    return answer(member)


def answer(member: tuple[int, int, int]) -> int:
    """Read one report line of a process under test: its VmPTE."""
    child, _, reports = member
    text = b""
    while not text.endswith(b"\n"):
        part = os.read(reports, 4096)
        if not part:
            end = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # its number stays taken until `end_all`
            assert end is not None
            raise Died(end)
        text += part
    value = json.loads(text)
    if isinstance(value, dict):
        raise Failed(value["error"], value["denied"])
    return int(value)


def serve(do: Callable[[dict[str, Any]], Any]) -> None:
    """Do the jobs of standard input, each in a process of its own, and answer each with one line."""
    gc.disable()  # a collection between two readings could allocate
    die_with(os.getppid())
    parent = os.getpid()
    for line in sys.stdin:
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            die_with(parent)
            try:
                result = do(json.loads(line))
            except Failed as error:
                result = {"error": str(error), "denied": error.denied}
            except OSError as error:
                result = told(error)
            with open(write_end, "w") as handle:
                json.dump(result, handle)
            os._exit(0)
        os.close(write_end)
        with open(read_end) as handle:
            text = handle.read()
        if os.waitpid(child, 0)[1]:
            text = json.dumps({"error": "the process that starts the others died", "denied": False})
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve(run_job)
