"""Layouts: what the processes of one test map and touch, as a workload file and as a job for `ptcalc.verify.mapper`.

Both come from one description, so that the tests compare what the file predicts with what the kernel does.
The touched pages of a job are worked out here, in the plainest way, and not by ptcalc.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PAGE = 4 * KIB
SLOT = 512 * GIB  # span of a top-level entry: two slots share no table that VmPTE counts
BASE = 0x1000_0000_0000  # 16 TiB: far from programs (0x5...), libraries and stacks (0x7f...)

Touch = str | dict[str, Any] | list[Any]
Runs = list[list[int]]  # range(start, stop, step) of addresses


@dataclass(frozen=True)
class Segment:
    """`kind` is how the segment is made here; `backing` and `thp` follow from it."""

    kind: str  # memfd | shm (/dev/shm) | tmpfs | hugetlb | anonymous | file | private
    size: int
    huge: str = "never"  # the mount option of tmpfs, for private memory the advice that is given to it
    fill: bool = False  # in memory before anybody maps it

    def described(self) -> dict[str, Any]:
        """The segment as the workload file has it."""
        backing = {"hugetlb": "hugetlb", "file": "file", "private": "private"}.get(self.kind, "shmem")
        entry: dict[str, Any] = {"size": self.size, "backing": backing}
        if backing == "hugetlb":
            entry["page_size"] = 2 * MIB
        elif self.huge != "never":
            entry["thp"] = self.huge
        return entry


@dataclass(frozen=True)
class Mapping:
    segment: str
    address: int
    length: int
    offset: int = 0
    touch: Touch | None = None
    map: str = "shared"
    protection: str = "rw"
    access: str | None = None
    madvise: str = "none"
    userfaultfd: str = "none"

    def described(self) -> dict[str, Any]:
        """The mapping as the workload file has it; what is left at its default is left out."""
        entry: dict[str, Any] = {"segment": self.segment, "address": self.address, "length": self.length}
        for key, default in (("offset", 0), ("touch", None), ("map", "shared"), ("protection", "rw"),
                             ("access", None), ("madvise", "none"), ("userfaultfd", "none")):  # fmt: skip
            if getattr(self, key) != default:
                entry[key] = getattr(self, key)
        return entry

    def runs(self, rng: random.Random, leaf: int) -> Runs:
        """Addresses to access, one per `leaf` where whole ranges are touched."""
        touch = self.touch if self.touch is not None else ("none" if self.protection == "none" else "all")
        found = []
        for form in touch if isinstance(touch, list) else [touch]:
            for start, stop, step in touched(form, self.offset, self.length, leaf, rng):
                found.append([self.address + start, self.address + stop, step])
        return found


def touched(form: Any, offset: int, length: int, leaf: int, rng: random.Random) -> Iterator[tuple[int, int, int]]:
    """Yield range(start, stop, step) of offsets into the mapping for one touch form of the contract."""
    if form == "none":
        return
    if form == "all":
        form = {"ranges": [{"start": 0, "length": length}]}
    if "every" in form:
        start = form.get("start", 0)
        yield start, start + form.get("length", length - start), form["every"]
    elif "ranges" in form:
        for part in form["ranges"]:
            # one access in each page of the range, also where it starts inside a huge page
            first, stop = part["start"], part["start"] + part["length"]
            edge = min(stop, (offset + first + leaf) // leaf * leaf - offset)
            yield first, first + 1, 1
            yield edge, stop, leaf
    else:
        pages = form.get("pages") or -(-form["amount"] // PAGE)
        pattern = form.get("pattern", "scattered")
        if pattern == "contiguous":
            yield 0, pages * PAGE, leaf
        elif pattern == "scattered":
            for page in rng.sample(range(length // PAGE), pages):
                yield page * PAGE, page * PAGE + 1, 1
        else:
            cluster = form["cluster"]
            slots = range(offset // cluster, (offset + length - 1) // cluster + 1)
            for slot in rng.sample(slots, -(-pages * PAGE // cluster)):
                start, stop = max(slot * cluster - offset, 0), min((slot + 1) * cluster - offset, length)
                yield start, stop, PAGE


def flat(runs: Runs) -> list[int]:
    """The runs as a job has them: all numbers in a row."""
    return [number for run in runs for number in run]


@dataclass(frozen=True)
class Group:
    mappings: tuple[Mapping, ...]
    count: int = 1


@dataclass(frozen=True)
class Layout:
    """One test case."""

    name: str
    segments: dict[str, Segment]
    groups: dict[str, Group]
    memory: int = 512 * MIB  # what it takes at most
    seed: int = 0

    def needs(self, kind: str) -> bool:
        return any(segment.kind == kind for segment in self.segments.values())

    def text(self) -> str:
        """The workload file."""
        groups = {
            name: {"count": group.count, "mappings": [mapping.described() for mapping in group.mappings]}
            for name, group in self.groups.items()
        }
        segments = {name: segment.described() for name, segment in self.segments.items()}
        host = {"memory": "64 GiB", "kernel": os.uname().release}
        document = {"version": 1, "name": self.name, "host": host, "segments": segments, "processes": groups}
        return str(yaml.safe_dump(document, sort_keys=False))

    def processes(self) -> list[str]:
        """The group of each process, in the order of the job's workers."""
        return [name for name, group in self.groups.items() for _ in range(group.count)]

    def job(self, directory: str) -> dict[str, Any]:
        """The same for the mapper: step 0 maps, step 1 touches, step 2 takes protections away."""
        rng = random.Random(self.seed)
        fill: dict[str, set[int]] = {name: set() for name in self.segments}
        workers = [
            self.worker(mappings=group.mappings, rng=random.Random(rng.random()), group_rng=shared, fill=fill)
            for group in self.groups.values()
            for shared in [rng.random()]
            for _ in range(group.count)
        ]
        segments = {}
        for name, segment in self.segments.items():
            if segment.kind == "private":
                continue
            entry: dict[str, Any] = {"kind": segment.kind, "size": segment.size, "huge": segment.huge}
            if segment.kind == "hugetlb":
                entry["page"] = 2 * MIB
            if segment.kind in ("file", "shm"):
                entry |= {"kind": "file", "directory": directory if segment.kind == "file" else "/dev/shm"}
            if segment.kind == "anonymous":
                mapping = next(iter(self.groups.values())).mappings[0]
                entry |= {"address": mapping.address, "prot": mapping.protection}
            if segment.fill:
                entry["fill"] = [0, segment.size, PAGE]
            elif segment.kind == "hugetlb":
                entry["fill"] = flat([[page, page + 1, 1] for page in sorted(fill[name])])
            segments[name] = entry
        return {"segments": segments, "workers": workers}

    def worker(
        self,
        mappings: Sequence[Mapping],
        rng: random.Random,
        group_rng: float,
        fill: dict[str, set[int]],
    ) -> list[list[list[Any]]]:
        """The steps of one process; notes in `fill` which huge pages of hugetlb segments it touches."""
        maps: list[list[Any]] = []
        touches: list[list[Any]] = []
        protects: list[list[Any]] = []
        for place, mapping in enumerate(mappings):
            kind = self.segments[mapping.segment].kind
            leaf = 2 * MIB if kind == "hugetlb" else PAGE
            same = isinstance(mapping.touch, dict) and mapping.touch.get("overlap") == "same"
            runs = mapping.runs(random.Random(group_rng + place) if same else rng, leaf)
            where = [mapping.address, mapping.length]
            protected = mapping.protection == "none" and bool(runs)
            if kind == "private":
                maps.append(["mmap", *where, None, "rw" if protected else mapping.protection, "private", 0])
            elif kind != "anonymous":
                protection = "rw" if protected else mapping.protection
                maps.append(["mmap", *where, mapping.segment, protection, mapping.map, mapping.offset])
            if mapping.madvise != "none":
                maps.append(["madvise", *where, mapping.madvise])
            if mapping.userfaultfd != "none":
                maps.append(["userfault", *where, mapping.userfaultfd])
            writes = mapping.access != "read" and (protected or "w" in mapping.protection)
            if mapping.userfaultfd == "minor":
                touches.append(["resolve", flat(runs), leaf])
            else:
                touches.append(["write" if writes else "read", flat(runs)])
            if protected:
                protects.append(["mprotect", *where, "none"])
            if kind == "hugetlb":
                for start, stop, step in runs:
                    for address in range(start, stop, step):
                        fill[mapping.segment].add((address - mapping.address + mapping.offset) // leaf * leaf)
        return [maps, touches, protects]
