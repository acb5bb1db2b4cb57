"""The host section of a captured workload: what /proc and /sys say of the machine, and what was estimated."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ptcalc import arch
from ptcalc.arch import kernels
from ptcalc.capture import proc
from ptcalc.capture.tree import Denied, Gone, Source, walk_up
from ptcalc.errors import InputError

if TYPE_CHECKING:
    from ptcalc.arch import Geometry

# What a cgroup without a limit reads: `max`, or LONG_MAX in pages (mm/page_counter.c: PAGE_COUNTER_MAX), which
# differs by page size; nothing real comes near.
UNLIMITED = 1 << 60
# struct page takes 64 bytes of each base page, so MemTotal is at most 63/64 of the memory with 4 KiB pages.
ESTIMATE_STEP = 256 << 20
AT_PAGESZ = 6  # include/uapi/linux/auxvec.h


@dataclass(slots=True)
class Host:
    """The machine, in bytes.  ``lines`` are the entries of the host section as (key, value, comment)."""

    geometry: Geometry
    kernel: kernels.Kernel
    kernel_text: str | None
    name: str
    meminfo: dict[str, int]
    memory: int = 0
    mem_total: int = 0
    memory_from: str = ""
    nodes: int = 1
    swap: int = 0
    hugepages: dict[int, int] = field(default_factory=dict)
    odd_pools: dict[int, int] = field(default_factory=dict)  # of sizes that the architecture does not have
    thp: str = ""
    shmem_thp: str = ""
    notes: list[str] = field(default_factory=list)


def read_host(source: Source, pids: Sequence[int]) -> Host:
    """Return the machine that a source describes.  Raises InputError where meminfo says no MemTotal."""
    meminfo = proc.amounts(source.system("proc/meminfo") or "")
    if meminfo.get("MemTotal", 0) <= 0:
        raise InputError(
            f"{source.provenance} has no proc/meminfo with MemTotal: the host's memory is not known",
            accepted="a tree with meminfo, status and maps in it",
        )
    notes: list[str] = []
    text = _release(source)
    kernel = _kernel(text, notes)
    page = _page_size(source, pids)
    geometry = _geometry(source, pids, page, notes).at(kernel.version)
    host = Host(geometry, kernel, text if kernel.text == text else None, _name(source), meminfo, notes=notes)
    _memory(source, host)
    host.swap = meminfo.get("SwapTotal", 0)
    _pools(source, host)
    host.thp = _chosen(source.system("sys/kernel/mm/transparent_hugepage/enabled"))
    host.shmem_thp = _chosen(source.system("sys/kernel/mm/transparent_hugepage/shmem_enabled"))
    return host


def _release(source: Source) -> str:
    text = (source.system("proc/sys/kernel/osrelease") or "").strip()
    if not text:
        found = re.match(r"Linux version (\S+)", source.system("proc/version") or "")
        text = found[1] if found else ""
    return text


def _kernel(text: str, notes: list[str]) -> kernels.Kernel:
    if not text:
        notes.append("the kernel version is not known: the newest is assumed")
        return kernels.parse(kernels.NEWEST_TEXT)
    try:
        return kernels.parse(text)
    except ValueError:
        found = re.match(r"\d{1,3}\.\d{1,3}", text)
        try:
            return kernels.parse(found[0] if found else "")
        except ValueError:
            notes.append(f"kernel {text[:60]} is not known: {kernels.NEWEST_TEXT}, the newest that is, stands in")
            return kernels.parse(kernels.NEWEST_TEXT)


def _name(source: Source) -> str:
    for path in ("proc/sys/kernel/hostname", "etc/hostname", "hostname", "sos_commands/host/hostname"):
        text = (source.system(path) or "").strip()
        if text:
            return text.splitlines()[0].split(".")[0][:64]
    return ""


def _page_size(source: Source, pids: Sequence[int]) -> int | None:
    if source.live:
        return os.sysconf("SC_PAGE_SIZE")
    for pid in pids[:50]:
        for name, page_size in (("auxv", _auxv_page), ("smaps", _smaps_page)):
            try:
                found = page_size(source.process(pid, name))
            except (Gone, Denied):
                continue
            if found:
                return found
    return None


def _auxv_page(data: bytes) -> int | None:
    for order in "<>":
        whole = data[: len(data) // 16 * 16]
        values = dict(struct.iter_unpack(f"{order}QQ", whole))
        size = values.get(AT_PAGESZ, 0)
        if size in (4096, 16384, 65536):
            return int(size)
    return None


def _smaps_page(data: bytes) -> int | None:
    found = re.search(rb"^MMUPageSize: +(\d+) kB$", data, re.MULTILINE)
    return int(found[1]) * proc.KIB if found and int(found[1]) in (4, 16, 64) else None


def _geometry(source: Source, pids: Sequence[int], page: int | None, notes: list[str]) -> Geometry:
    """Return the architecture by the machine's name, its page size and what cpuinfo says."""
    cpu = source.system("proc/cpuinfo") or ""
    name = _arch(_machine(source, cpu), page, cpu, _highest(source, pids))
    if name is None:
        notes.append("the architecture is not known: x86_64 is assumed")
        return arch.get("x86_64")
    return arch.get(name)


def _machine(source: Source, cpu: str) -> str:
    """Return what uname -m says, or what cpuinfo looks like."""
    if source.live:
        return os.uname().machine
    told = (source.system("proc/sys/kernel/arch") or "").strip()
    told = told or (source.system("sos_commands/kernel/uname_-a") or source.system("sos_commands/host/uname_-a") or "")
    looks = (
        ("x86_64", r"^vendor_id\s*: (?!IBM)"),
        ("aarch64", r"^CPU implementer"),
        ("riscv64", r"^isa\s*: rv64"),
        ("ppc64le", r"^cpu\s*: POWER"),
        ("s390x", r"^vendor_id\s*: IBM/S390"),
        ("loongarch64", r"^(?:system type\s*: .*oongson|CPU Family\s*: Loongson-64)"),
    )
    words = told.split()
    for name, _ in looks:
        if name in words:
            return name
    return next((name for name, pattern in looks if re.search(pattern, cpu, re.MULTILINE)), told)


def _arch(machine: str, page: int | None, cpu: str, highest: int) -> str | None:
    """Return ptcalc's name of a machine; ``highest`` is the highest address that a process maps (bytes)."""
    kib = (page or 0) // proc.KIB
    if machine == "x86_64":
        flags = set(re.findall(r"\S+", next(iter(re.findall(r"^flags\s*:(.*)$", cpu, re.MULTILINE)), "")))
        # The kernel clears la57 where it runs with four levels, and sets pti where it isolates page tables.
        return "x86_64" + ("-la57" if "la57" in flags else "") + ("-pti" if "pti" in flags else "")
    if machine == "aarch64":
        bits = highest.bit_length()
        known = {4: (39, 48), 16: (36, 47, 48), 64: (42, 48)}[kib or 4]
        # With 64 KiB pages and 52 bits all but the end of user space is as with 48: `arm64-64k`.
        fitting = next((each for each in known if bits <= each), known[-1])
        return "arm64-64k" if kib == 64 and fitting == 48 else f"arm64-{kib or 4}k-va{fitting if bits else 48}"
    if machine == "riscv64":
        mode = re.search(r"^mmu\s*: (sv(?:39|48|57))", cpu, re.MULTILINE)
        return f"riscv64-{mode[1]}" if mode else "riscv64"
    if machine == "ppc64le":
        kind = "-hash" if re.search(r"^MMU\s*: Hash", cpu, re.MULTILINE) else ""
        return f"ppc64le-{kib or 64}k{kind}"
    if machine == "loongarch64":
        return f"loongarch64-{kib or 16}k"
    return machine if machine in arch.names() else None


def _highest(source: Source, pids: Sequence[int]) -> int:
    """Return the highest address that one of some processes maps: their stacks lie at the end of the window."""
    highest = 0
    for pid in (*pids[:20], *pids[-20:]):
        for name in ("maps", "smaps"):
            try:
                lines = re.findall(rb"^[0-9a-f]+-([0-9a-f]+) [r-][w-]", source.process(pid, name), re.MULTILINE)
            except (Gone, Denied):
                continue
            highest = max([highest, *(int(line, 16) - 1 for line in lines if not line.startswith(b"ffffffffff"))])
            break
    return highest


def _memory(source: Source, host: Host) -> None:
    host.mem_total = host.meminfo["MemTotal"]
    zones = source.system("proc/zoneinfo") or ""
    host.nodes = max(1, proc.nodes(zones))
    present = proc.present_pages(zones) * host.geometry.base_page
    if present >= host.mem_total:
        host.memory, host.memory_from = present, "what all zones have (present in /proc/zoneinfo)"
        return
    page_array = -(-host.mem_total // host.geometry.base_page) * 64
    estimate = -(-(host.mem_total + page_array) // ESTIMATE_STEP) * ESTIMATE_STEP
    host.memory, host.memory_from = estimate, "estimated: MemTotal and the page array, up to the next 256 MiB"


def _pools(source: Source, host: Host) -> None:
    found: dict[int, int] = {}
    where = "sys/kernel/mm/hugepages"
    for name in source.names(where):
        match = re.fullmatch(r"hugepages-(\d{1,12})kB", name)
        pages = (source.system(f"{where}/{name}/nr_hugepages") or "").strip()
        if match and pages.isascii() and pages.isdecimal():
            found[int(match[1]) * proc.KIB] = int(pages[:20])
    if not found and host.meminfo.get("Hugepagesize"):
        found[host.meminfo["Hugepagesize"]] = host.meminfo.get("HugePages_Total", 0)
    for size, count in sorted(found.items()):
        if count * size > host.memory:
            host.notes.append(f"a pool of {count} huge pages, more than the memory there is, was left out")
        elif count:
            (host.hugepages if size in host.geometry.huge_pages else host.odd_pools)[size] = count


def _chosen(switch: str | None) -> str:
    """Return the word in brackets of a switch in /sys."""
    found = re.search(r"\[(\w+)\]", switch or "")
    return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Limit:
    """The memory limit of a cgroup: bytes, and the file that says so."""

    bytes: int
    path: str


def cgroup_limit(source: Source, memberships: Iterable[str]) -> Limit | None:
    """Return the smallest limit on the way from the cgroup that holds all these processes to the root.

    ``memberships`` are the texts of PID/cgroup.  None where no level has a limit.
    """
    common: dict[str, list[str]] = {}
    for number, text in enumerate(set(memberships)):
        paths = {version: list(walk_up(path)) for version, path in proc.cgroups(text)}
        if number == 0:
            common = paths
        common = {
            version: [each for each in above if each in paths[version]]
            for version, above in common.items()
            if version in paths
        }
    limits = [limit for version, above in common.items() for limit in _limits(source, version, above)]
    return min(limits, key=lambda limit: limit.bytes, default=None)


def _limits(source: Source, version: str, paths: Iterable[str]) -> Iterator[Limit]:
    for path in paths:
        places = {
            "v1": [f"sys/fs/cgroup/memory{path}/memory.limit_in_bytes"],
            # On a machine with both versions the second one may be mounted below the first.
            "v2": [f"sys/fs/cgroup{path}/memory.max", f"sys/fs/cgroup/unified{path}/memory.max"],
        }[version]
        for place in places:
            place = place.replace("//", "/")
            value = (source.system(place) or "").strip()
            if value.isascii() and value.isdecimal() and len(value) < 21 and int(value) < UNLIMITED:
                yield Limit(int(value), "/" + place)
