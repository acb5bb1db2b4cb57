"""What the files of /proc say, as plain data: pure functions from text to values.

Sources of the formats: fs/proc/task_mmu.c (maps, smaps, pagemap; VmPTE), fs/proc/array.c (status),
fs/proc/meminfo.c, mm/vmstat.c (zoneinfo), fs/proc_namespace.c (mountinfo), ipc/shm.c (sysvipc/shm), kernel/cgroup
(PID/cgroup).  All amounts are bytes.  A line that is not of its format is left out, and counted where that matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

KIB = 1024
ADDRESSES = 1 << 62  # user space and files end far below; the kernel's own (vsyscall) lie above
MAX_KB = 1 << 50

# The names that the kernel gives to shared memory without a file; they stand in place of a path.
ANONYMOUS_SHARED = "/dev/zero (deleted)"
DELETED = " (deleted)"

_STATUS = re.compile(
    rb"^(Name|Uid|Threads|VmPTE|VmPMD|VmRSS|RssAnon|RssFile|RssShmem|VmSwap|HugetlbPages):[ \t]*([^\n]*)", re.MULTILINE
)
_HEAD = rb"([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])([sp]) ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+) (\d+) *([^\n]*)"
_LINE = re.compile(_HEAD)
# Permissions end with `s` where a mapping is shared; nearly no other place of a line looks like this.
_SHARED = re.compile(rb"s [0-9a-f]{8,16} ")
_PROGRAM = re.compile(rb"^[0-9a-f]+-[0-9a-f]+ [r-][w-][x-]p [0-9a-f]+ [0-9a-f:]+ [1-9]\d* +(/[^\n]+)", re.MULTILINE)
_SMAPS = re.compile(rb"^(?:" + _HEAD + rb"|([A-Z]\w+): +(?:(\d+)(?: kB)?|([^\n]*)))$", re.MULTILINE)
_SMAPS_FIELDS = {
    b"Rss": "rss",
    b"Pss": "pss",
    b"Anonymous": "anonymous",
    b"Swap": "swap",
    b"SwapPss": "swap_pss",
    b"KernelPageSize": "page_size",
    b"Shared_Hugetlb": "hugetlb",
    b"Private_Hugetlb": "hugetlb",
    b"ShmemPmdMapped": "pmd_mapped",
    b"FilePmdMapped": "pmd_mapped",
}


class SegmentKey(NamedTuple):
    """What makes two mappings map the same memory: device (``fd:01``) and inode of the file."""

    device: str
    inode: int


@dataclass(frozen=True, slots=True)
class Status:
    """One process as /proc/PID/status has it; None where the kernel does not say (bytes)."""

    name: str
    uid: int
    threads: int
    vmpte: int
    rss: int
    rss_anon: int | None
    rss_file: int | None
    rss_shmem: int | None
    swap: int
    hugetlb: int


@dataclass(slots=True)
class Usage:
    """What smaps says of one mapping (bytes); a kernel that lacks a line leaves it 0, ``swap_pss`` None."""

    rss: int = 0
    pss: int = 0
    anonymous: int = 0
    swap: int = 0
    swap_pss: int | None = None
    page_size: int = 0
    hugetlb: int = 0
    pmd_mapped: int = 0
    flags: frozenset[str] = frozenset()


class Vma(NamedTuple):
    """One line of maps: addresses and file offset in bytes, protection in ptcalc's words."""

    start: int
    end: int
    protection: str
    shared: bool
    offset: int
    key: SegmentKey
    path: str
    usage: Usage | None = None

    @property
    def length(self) -> int:
        """Size in bytes."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo."""

    device: str
    kind: str
    options: frozenset[str]


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """One SysV segment: ``resident`` with what is swapped (bytes)."""

    size: int
    resident: int


@dataclass(slots=True)
class Maps:
    """The mappings of one process, the path of its program, and how many lines were not understood."""

    vmas: list[Vma] = field(default_factory=list)
    program: str = ""
    broken: int = 0

    def add(self, vma: Vma) -> bool:
        """Add a mapping of user space, which must lie above all others; return whether it was added."""
        if vma.start >= ADDRESSES:
            return False
        after = self.vmas[-1].end if self.vmas else 0
        sound = after <= vma.start < vma.end < ADDRESSES and vma.offset + vma.length < ADDRESSES
        if sound:
            self.vmas.append(vma)
        else:
            self.broken += 1
        return sound


def text(data: bytes) -> str:
    """Return the bytes of a kernel file as text; what is no UTF-8 becomes escapes."""
    return data.decode("utf-8", "backslashreplace")


def status(data: bytes) -> Status | None:
    """Return what a status file says; None for a kernel thread, a zombie, and what is no such file."""
    found = dict(_STATUS.findall(data))
    if b"VmPTE" not in found or b"Name" not in found:
        return None
    try:
        return Status(
            name=text(found[b"Name"]),
            uid=int(found.get(b"Uid", b"0").split()[0][:10]),
            threads=max(1, int(found.get(b"Threads", b"1")[:7])),
            vmpte=_kb(found, b"VmPTE") or 0,
            rss=_kb(found, b"VmRSS") or 0,
            rss_anon=_kb(found, b"RssAnon"),
            rss_file=_kb(found, b"RssFile"),
            rss_shmem=_kb(found, b"RssShmem"),
            swap=_kb(found, b"VmSwap") or 0,
            hugetlb=_kb(found, b"HugetlbPages") or 0,
        )
    except (ValueError, IndexError):
        return None


def _kb(found: dict[bytes, bytes], key: bytes) -> int | None:
    value = found.get(key)
    if value is None:
        return None
    number = int(value.split()[0][:20])
    if not 0 <= number < MAX_KB:
        raise ValueError(number)
    return number * KIB


@dataclass(slots=True)
class Known:
    """Lines of maps that were read before, and what follows the address in them."""

    lines: dict[bytes, Vma] = field(default_factory=dict)
    rests: dict[bytes, tuple[str, int, SegmentKey, str]] = field(default_factory=dict)


def shared_maps(data: bytes, known: Known) -> Maps:
    """Return the shared mappings of a maps file, and no others.

    Most lines are private and are passed over without being read: that is what makes the capture of many
    processes cheap.  ``known`` remembers what processes have in common: lines, of one program what follows the address.
    """
    maps = Maps(program=_program(data), broken=int(not data.endswith(b"\n") and bool(data)))
    end = 0
    for found in _SHARED.finditer(data):
        if found.start() < end:
            continue  # the name of a file that has been read
        begin = data.rfind(b"\n", 0, found.start()) + 1
        end = data.find(b"\n", found.end())
        if end < 0:
            break  # the torn end of a file, which counts already
        line = data[begin:end]
        vma = known.lines.get(line)
        if vma is not None:
            maps.add(vma)
            continue
        addresses, _, rest = line.partition(b" ")
        common = known.rests.get(rest)
        if common is None:
            match = _LINE.fullmatch(line)
            if match is None or match[6] != b"s":
                maps.broken += match is None
                continue  # a private mapping of a file with a name that looks like permissions
            common = known.rests[rest] = (_protection(match), int(match[7], 16), _key(match), text(match[10]))
        start, _, stop = addresses.partition(b"-")
        try:
            vma = Vma(int(start, 16), int(stop, 16), common[0], True, common[1], common[2], common[3])
        except ValueError:
            maps.broken += 1
        else:
            known.lines[line] = vma
            maps.add(vma)
    return maps


def all_maps(data: bytes) -> Maps:
    """Return all mappings of a maps or smaps file; those of smaps with their `Usage`."""
    maps = Maps(program=_program(data))
    understood, added = 0, False
    for found in _SMAPS.finditer(data):
        understood += 1
        if found[1] is not None:
            start, end = int(found[1], 16), int(found[2], 16)
            vma = Vma(start, end, _protection(found), found[6] == b"s", int(found[7], 16), _key(found), text(found[10]))
            added = maps.add(vma)
        elif added:
            _use(maps.vmas, found[11], found[12], found[13])
    maps.broken += sum(1 for line in data.split(b"\n") if line) - understood
    return maps


def _use(vmas: list[Vma], name: bytes, amount: bytes | None, flags: bytes | None) -> None:
    """Add one line of smaps to the mapping that it belongs to."""
    usage = vmas[-1].usage
    if usage is None:
        usage = Usage()
        vmas[-1] = vmas[-1]._replace(usage=usage)
    key = _SMAPS_FIELDS.get(name)
    if key is not None and amount is not None:
        setattr(usage, key, (getattr(usage, key) or 0) + int(amount) * KIB)
    elif name == b"VmFlags" and flags is not None:
        usage.flags = frozenset(text(flags).split())


def _program(data: bytes) -> str:
    found = _PROGRAM.search(data)
    return text(found[1]).removesuffix(DELETED) if found else ""


def _protection(match: re.Match[bytes]) -> str:
    """Return permissions as a workload has them; what can be written or run can be read in the page tables."""
    letters = (b"w" if match[4] == b"w" else b"") + (b"x" if match[5] == b"x" else b"")
    return "r" + letters.decode() if letters or match[3] == b"r" else "none"


def _key(match: re.Match[bytes]) -> SegmentKey:
    return SegmentKey(match[8].decode(), int(match[9]))


def amounts(data: str) -> dict[str, int]:
    """Return a file of ``Name: 123 kB`` lines; numbers without a unit stay as they are."""
    found: dict[str, int] = {}
    for name, number, unit in re.findall(r"^(\S+?):\s+(\d+)( kB)?\s*$", data, re.MULTILINE):
        if len(number) < 16:  # of kB; more is no memory
            found.setdefault(name, int(number) * (KIB if unit else 1))
    return found


def present_pages(zoneinfo: str) -> int:
    """Return the base pages that all zones of a machine have (`present`): installed memory without holes."""
    return sum(map(int, re.findall(r"^\s+present\s+(\d+)$", zoneinfo, re.MULTILINE)))


def nodes(zoneinfo: str) -> int:
    """Return how many NUMA nodes have zones."""
    return len(set(re.findall(r"^Node (\d+), zone", zoneinfo, re.MULTILINE)))


def mounts(mountinfo: str) -> dict[str, Mount]:
    """Return the mounts of a process by device, in the spelling of maps (``fd:01``)."""
    found: dict[str, Mount] = {}
    for line in mountinfo.splitlines():
        before, dash, after = line.partition(" - ")
        fields, tail = before.split(" "), after.split(" ")
        major, _, minor = (fields[2] if len(fields) > 5 else "").partition(":")
        if dash and major.isdecimal() and minor.isdecimal() and len(tail) >= 3:
            device = f"{int(major):02x}:{int(minor):02x}"
            found.setdefault(device, Mount(device, tail[0], frozenset(tail[2].split(","))))
    return found


def shared_memory(sysvipc: str) -> dict[int, SharedMemory]:
    """Return the SysV segments of /proc/sysvipc/shm by their id, which is their inode."""
    lines = sysvipc.splitlines()
    names = lines[0].split() if lines else []
    found: dict[int, SharedMemory] = {}
    for line in lines[1:]:
        row = dict(zip(names, line.split(), strict=False))
        try:
            resident = int(row.get("rss", 0)) + int(row.get("swap", 0))
            found[int(row["shmid"])] = SharedMemory(int(row["size"]), resident)
        except (KeyError, ValueError):
            continue
    return found


def cgroups(data: str) -> Iterator[tuple[str, str]]:
    """Yield (version, path) of the memory cgroups of a process: ``("v2", "/db")``, ``("v1", "/db")``."""
    for line in data.splitlines():
        number, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if not colon or not path.startswith("/"):
            continue
        if number == "0" and not controllers:
            yield "v2", path
        elif "memory" in controllers.split(","):
            yield "v1", path
