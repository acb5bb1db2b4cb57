"""From processes to segments and to groups of processes that look alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ptcalc.capture.proc import KIB, Maps, SegmentKey, Status, Vma

# ASLR moves the edges of a process's areas, which adds or takes a few tables (measured: 36 to 56 KiB in one program).
NOISE = 32 << 10


@dataclass(slots=True)
class Process:
    """One process as it was found; ``maps`` None: they could not be read, or are not there."""

    pid: int
    status: Status
    maps: Maps | None
    cgroup: str = ""

    @property
    def program(self) -> str:
        """What it runs: the file name of its program, else the name that it gave itself."""
        path = self.maps.program if self.maps is not None else ""
        return path.rsplit("/", 1)[-1] or self.status.name


class Shape(NamedTuple):
    """What two mappings must have in common to look alike; no address."""

    key: SegmentKey
    offset: int
    length: int
    protection: str


@dataclass(slots=True)
class Group:
    """Processes that look alike.  The `sample` stands for them; its mappings are in the order of `shapes`."""

    members: list[Process]
    shapes: tuple[Shape, ...]
    sample: Process
    vmas: dict[int, list[Vma]] = field(default_factory=dict)  # by pid, in the order of shapes

    @property
    def count(self) -> int:
        """How many processes it has."""
        return len(self.members)

    @property
    def vmpte(self) -> int:
        """Mean VmPTE (bytes)."""
        return self.mean(member.status.vmpte for member in self.members)

    def mean(self, values: Iterable[int]) -> int:
        """Return the mean of one value (bytes) for each member, in whole KiB as the kernel tells them."""
        return round(sum(values) / len(self.members) / KIB) * KIB


def extents(processes: Iterable[Process]) -> dict[SegmentKey, int]:
    """Return how far into each shared file the processes map it together (bytes)."""
    found: dict[SegmentKey, int] = {}
    for process in processes:
        for vma in process.maps.vmas if process.maps is not None else ():
            if vma.shared and vma.key.inode:
                found[vma.key] = max(found.get(vma.key, 0), vma.offset + vma.length)
    return found


def shared_vmas(process: Process, kept: Collection[SegmentKey]) -> list[Vma]:
    """Return the mappings of kept segments, ordered by what does not depend on where they are."""
    if process.maps is None:
        return []
    found = [vma for vma in process.maps.vmas if vma.shared and vma.key in kept]
    return sorted(found, key=lambda vma: (vma.key, vma.offset, vma.length, vma.protection, vma.start))


def groups(processes: Iterable[Process], kept: Collection[SegmentKey], spread: float) -> list[Group]:
    """Return processes of one program with the same shared mappings, as groups.

    Within a group the largest VmPTE is at most ``spread`` (a share) or some tables above the smallest: processes
    that have touched much less of the same memory look alike in maps, and are not.
    """
    alike: dict[tuple[str, tuple[Shape, ...]], list[tuple[Process, list[Vma]]]] = {}
    for process in processes:
        vmas = shared_vmas(process, kept)
        shapes = tuple(Shape(vma.key, vma.offset, vma.length, vma.protection) for vma in vmas)
        alike.setdefault((process.program, shapes), []).append((process, vmas))
    found = []
    for (_, shapes), members in alike.items():
        members.sort(key=lambda pair: (pair[0].status.vmpte, pair[0].pid))
        for part in _split([process.status.vmpte for process, _ in members], spread):
            own = members[part]
            mean = sum(process.status.vmpte for process, _ in own) / len(own)
            sample = min((process for process, _ in own), key=lambda each: (abs(each.status.vmpte - mean), each.pid))
            found.append(
                Group([process for process, _ in own], shapes, sample, {process.pid: vmas for process, vmas in own})
            )
    return sorted(found, key=lambda group: (-group.count * group.vmpte, group.sample.program, group.sample.pid))


def _split(ascending: Sequence[int], spread: float) -> list[slice]:
    """Cut ascending values where they leave the reach of the first of a part."""
    parts, start = [], 0
    for at, value in enumerate(ascending):
        first = ascending[start]
        if value > first + max(NOISE, first * spread):
            parts.append(slice(start, at))
            start = at
    parts.append(slice(start, len(ascending)))
    return parts
