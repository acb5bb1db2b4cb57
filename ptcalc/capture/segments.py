"""What the segments are that processes map: backing, page size, size and residency."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ptcalc.capture import proc
from ptcalc.capture.grouping import Group
from ptcalc.capture.host import Host
from ptcalc.capture.proc import SegmentKey, Vma
from ptcalc.capture.tree import Denied, FileInfo, Gone, Source

Backing = Literal["shmem", "file", "hugetlb"]
Thp = Literal["never", "always", "within_size", "advise"]

_SYSV = re.compile(r"/SYSV[0-9a-f]{8}")
_UNITS = {"k": 10, "m": 20, "g": 30}
_INTERNAL = ("/memfd:", "/SYSV", "/anon_hugepage", proc.ANONYMOUS_SHARED, "[anon_shmem")
SHM_MNT = "00:01"  # the kernel mounts it first, for memfd, SysV and shared anonymous memory (mm/shmem.c)
_DEVICES_OF_MEMORY = ("/dev/shm/", "/dev/zero", "/dev/hugepages")


@dataclass(slots=True)
class Segment:
    """One segment, in bytes; ``resident`` None: not known."""

    key: SegmentKey
    path: str
    size: int
    backing: Backing
    page_size: int | None = None
    resident: int | None = None
    resident_from: str = ""
    thp: Thp = "never"
    size_from: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """A short name: the file's, or what kind of memory without a file it is."""
        if _SYSV.match(self.path):
            return f"sysv-{self.key.inode}"
        if self.path.startswith(proc.ANONYMOUS_SHARED):
            return f"anonymous-{self.key.inode}"
        plain = self.path.removesuffix(proc.DELETED)
        if plain.startswith("/memfd:"):
            return f"memfd-{plain.removeprefix('/memfd:')}"
        if plain.startswith("/anon_hugepage"):
            return f"anon-hugepage-{self.key.inode}"
        return plain.rstrip("/").rsplit("/", 1)[-1] or f"inode-{self.key.inode}"


def is_memory(path: str) -> bool:
    """Whether a mapped path is memory or a file, and no device or other object of the kernel."""
    if path.startswith("[anon_shmem"):
        return True
    return path.startswith("/") and (not path.startswith("/dev/") or path.startswith(_DEVICES_OF_MEMORY))


def describe(source: Source, host: Host, groups: Sequence[Group], extents: Mapping[SegmentKey, int]) -> list[Segment]:
    """Return the segments that the groups map, the largest first."""
    mappers: dict[SegmentKey, list[tuple[int, Vma]]] = {}
    for group in groups:
        for pid, vmas in group.vmas.items():
            for vma in vmas:
                mappers.setdefault(vma.key, []).append((pid, vma))
    sysv = proc.shared_memory(source.system("proc/sysvipc/shm") or "")
    mounts: dict[str, proc.Mount] = {}
    pages: dict[str, int] = {}  # page size by device, of those that mountinfo does not know
    found = []
    for key, users in mappers.items():
        pid, vma = users[0]
        if key.device not in mounts:
            mounts |= _mounts(source, pid)
        info = next((each for each in (_info(source, *user) for user in users[:3]) if each is not None), None)
        if key.device not in mounts and key.device not in pages:
            pages[key.device] = _page_size(source, users, info)
        found.append(_segment(host, users, extents[key], info, mounts.get(key.device), pages.get(key.device, 0), sysv))
    return sorted(found, key=lambda segment: (-segment.size, segment.path, segment.key))


def _mounts(source: Source, pid: int) -> dict[str, proc.Mount]:
    try:
        return proc.mounts(proc.text(source.process(pid, "mountinfo")))
    except (Gone, Denied):
        return {}


def _info(source: Source, pid: int, vma: Vma) -> FileInfo | None:
    return source.mapped_file(pid, vma.start, vma.end)


def _page_size(source: Source, users: Sequence[tuple[int, Vma]], info: FileInfo | None) -> int:
    """Return the page size of a file system that is not mounted: the kernel's own for shmem and for hugetlb."""
    if info is not None:
        return info.block
    for pid, vma in users:
        if vma.usage is not None:
            return vma.usage.page_size
        try:
            whole = proc.all_maps(source.process(pid, "smaps"))
        except (Gone, Denied):
            continue
        for each in whole.vmas:
            if each.key == vma.key and each.usage is not None:
                return each.usage.page_size
    return 0


def _segment(
    host: Host,
    users: Sequence[tuple[int, Vma]],
    extent: int,
    info: FileInfo | None,
    mount: proc.Mount | None,
    page_size: int,
    sysv: Mapping[int, proc.SharedMemory],
) -> Segment:
    vma = users[0][1]
    known = sysv.get(vma.key.inode) if _SYSV.match(vma.path) else None
    huge = page_size if page_size in host.geometry.huge_pages and page_size != host.geometry.base_page else None
    if mount is not None and mount.kind == "hugetlbfs":
        huge = _mounted_page(mount) or (info.block if info else host.meminfo.get("Hugepagesize"))
        huge = huge if huge in host.geometry.huge_pages else host.geometry.default_huge_page
    if huge is None and vma.path.startswith("/anon_hugepage"):
        huge = host.geometry.default_huge_page
    if huge is not None and any((vma.start | vma.end | vma.offset) % huge for _, vma in users):
        huge = None  # such mappings hugetlb does not have
    backing: Backing = "file"
    if huge is not None:
        backing = "hugetlb"
    elif mount is None:
        # A device number that no mount has, and a path: btrfs and overlayfs show such ones.
        backing = "shmem" if vma.path.startswith((*_INTERNAL, "/dev/shm/")) or vma.key.device == SHM_MNT else "file"
    elif mount.kind in ("tmpfs", "ramfs"):
        backing = "shmem"
    page = huge or host.geometry.base_page
    size, size_from = extent, "as far as it is mapped"
    if info is not None and info.size:
        size, size_from = info.size, "size of the file"
    elif known is not None:
        size, size_from = known.size, "/proc/sysvipc/shm"
    # A file can be shorter than a mapping of it, whose end then cannot be touched.
    size = -(-max(size, extent) // page) * page
    segment = Segment(vma.key, vma.path, size, backing, size_from=size_from)
    if huge is not None:
        segment.page_size = huge
    elif backing == "shmem":
        _residency(segment, info, known)
    _huge_leaves(segment, host, users, mount)
    return segment


def _mounted_page(mount: proc.Mount) -> int | None:
    for option in mount.options:
        found = re.fullmatch(r"pagesize=(\d{1,6})([KMGkmg]?)", option)
        if found:
            return int(found[1]) << _UNITS.get(found[2].lower(), 0)
    return None


def _residency(segment: Segment, info: FileInfo | None, known: proc.SharedMemory | None) -> None:
    if info is not None:
        segment.resident, segment.resident_from = min(info.held, segment.size), "blocks of the file"
    elif known is not None:
        segment.resident, segment.resident_from = min(known.resident, segment.size), "/proc/sysvipc/shm"


def _huge_leaves(segment: Segment, host: Host, users: Sequence[tuple[int, Vma]], mount: proc.Mount | None) -> None:
    """Say whether transparent huge pages map the segment, by what smaps shows, else by meminfo and the switches."""
    if segment.backing == "hugetlb":
        return
    usages = [vma.usage for _, vma in users if vma.usage is not None]
    if usages:
        touched = sum(usage.rss for usage in usages)
        segment.thp = "always" if touched and 2 * sum(usage.pmd_mapped for usage in usages) > touched else "never"
        return
    counter = "ShmemPmdMapped" if segment.backing == "shmem" else "FilePmdMapped"
    if not host.meminfo.get(counter):
        return
    switch = next((option[5:] for option in mount.options if option.startswith("huge=")), "") if mount else ""
    switch = switch or (host.shmem_thp if segment.backing == "shmem" and mount is None else "")
    if switch in ("always", "within_size", "advise"):
        segment.thp = "always" if switch == "always" else "within_size" if switch == "within_size" else "advise"
        segment.notes.append(f"huge={switch}; --detail full says whether huge pages map it")
