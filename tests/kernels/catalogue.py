"""What is measured on other kernels: layouts in units of a geometry, as workload files and as jobs of `agent.c`.

Both come from one description, so that ptcalc's prediction is compared with what a kernel did.  Touches are sparse
where the rule allows it: emulated machines are slow, and have little memory.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import yaml

from ptcalc.arch.geometry import Geometry
from tests.kernel import layouts
from tests.kernel.layouts import GIB, MIB, Group, Mapping

SEED = 20261123
MOST_HUGE = 5 * GIB // 2  # of one layout, in huge pages: what a guest of 4 GiB can spare
# <sys/mman.h>, the same on every architecture here
PROT = {"none": 0, "r": 1, "rw": 3, "rx": 5, "rwx": 7}
SHARED, PRIVATE, ANONYMOUS = 0x1, 0x2, 0x20
ADVICE = {"hugepage": 14, "nohugepage": 15}


@dataclass(frozen=True)
class Segment(layouts.Segment):
    """Kinds here: memfd, file (on ramfs: never in huge pages), tmpfs, hugetlb, anonymous (shared) and private."""

    page_size: int | None = None  # hugetlb

    def described(self) -> dict[str, Any]:
        return super().described() | ({"page_size": self.page_size} if self.page_size else {})


@dataclass(frozen=True)
class Layout:
    """Processes that map and touch segments; sizes and addresses in bytes."""

    name: str
    segments: dict[str, Segment]
    groups: dict[str, Group]

    def text(self, arch: str, kernel: str) -> str:
        """The workload file, for a geometry and a kernel release."""
        document = {
            "version": 1,
            "name": self.name,
            "host": {"memory": "64 GiB", "arch": arch, "kernel": kernel},
            "segments": {name: segment.described() for name, segment in self.segments.items()},
            "processes": {
                name: {"count": group.count, "mappings": [mapping.described() for mapping in group.mappings]}
                for name, group in self.groups.items()
            },
        }
        return str(yaml.safe_dump(document, sort_keys=False))

    def processes(self) -> list[str]:
        """The group of each process, in the order of the agent's answers."""
        return [name for name, group in self.groups.items() for _ in range(group.count)]

    def job(self, page: int) -> str:
        """The commands for the agent; `page` is the base page in bytes."""
        lines = [f"layout {self.name}"]
        if any(segment.kind == "private" and segment.huge == "always" for segment in self.segments.values()):
            lines.append("thp always")
        files = [name for name, segment in self.segments.items() if segment.kind not in ("private", "anonymous")]
        for size, pages in self.pools().items():
            lines.append(f"pool {size} {pages}")
        for name in files:
            segment = self.segments[name]
            lines.append(f"segment {segment.kind} {segment.size} {segment.page_size or page}")
        for group in self.groups.values():
            lines.append(f"processes {group.count}")
            operations = [self.operations(mapping, files, page) for mapping in group.mappings]
            for step in zip(*operations, strict=True):  # all map, then all touch, then protections are taken away
                lines += [line for part in step for line in part]
        return "\n".join([*lines, "run"]) + "\n"

    def operations(self, mapping: Mapping, files: list[str], page: int) -> tuple[list[str], list[str], list[str]]:
        segment = self.segments[mapping.segment]
        runs = self.runs(mapping, segment.page_size or page)
        protected = mapping.protection == "none" and bool(runs)
        protection = "rw" if protected else mapping.protection
        flags = PRIVATE if segment.kind == "private" or mapping.map == "private" else SHARED
        place = files.index(mapping.segment) if mapping.segment in files else -1
        where = f"{mapping.address:#x} {mapping.length:#x}"
        flags |= ANONYMOUS if place < 0 else 0
        maps = [f"map {place} {where} {0 if place < 0 else mapping.offset:#x} {PROT[protection]} {flags}"]
        if mapping.madvise != "none":
            maps.append(f"advise {where} {ADVICE[mapping.madvise]}")
        access = "write" if mapping.access != "read" and "w" in protection else "read"
        touches = [f"{access} {start:#x} {stop:#x} {step:#x}" for start, stop, step in runs]
        return maps, touches, [f"protect {where} {PROT['none']}"] if protected else []

    def runs(self, mapping: Mapping, leaf: int) -> layouts.Runs:
        return mapping.runs(random.Random(SEED), leaf)  # nothing here is touched at random

    def pools(self) -> dict[int, int]:
        """Huge pages that are touched, by their size; a private copy is one more."""
        touched: dict[int, set[tuple[Any, ...]]] = {}
        for name, group in self.groups.items():
            for process in range(group.count):
                for mapping in group.mappings:
                    size = self.segments[mapping.segment].page_size
                    if size is None:
                        continue
                    owner = (name, process) if mapping.map == "private" else ()
                    for run in self.runs(mapping, size):
                        for address in range(*run):
                            page = (address - mapping.address + mapping.offset) // size
                            touched.setdefault(size, set()).add((*owner, mapping.segment, page))
        return {size: len(pages) for size, pages in touched.items()}


@dataclass(frozen=True)
class Units:
    """The sizes of a geometry that layouts are made of."""

    geometry: Geometry

    @property
    def page(self) -> int:
        return self.geometry.base_page

    @property
    def table(self) -> int:
        """Span of a PTE table, and the huge page of THP."""
        return self.geometry.levels[0].span

    @property
    def far(self) -> int:
        """Span of the topmost table that has company in the default window: so far apart nothing is shared."""
        return max(level.span for level in self.geometry.levels[:-1] if level.span <= self.geometry.default_window // 8)

    @property
    def base(self) -> int:
        """Far from programs at the bottom and stacks at the top."""
        return self.geometry.default_window // 8 // self.far * self.far

    @property
    def shifts(self) -> dict[str, int]:
        half = self.table // 2
        return {"half-before": -half, "page-before": -self.page, "at": 0, "page-after": self.page, "half-after": half}

    def boundaries(self) -> Iterator[tuple[str, int]]:
        """Yield an address where a table of each level above PTE ends and user space does not."""
        for level in self.geometry.levels[1:-1]:
            address = (self.base // level.span + 1) * level.span
            if address == self.geometry.default_window:  # the stack is there
                address += level.span
            if address + level.span <= self.geometry.task_size:
                yield level.name, address


def one(name: str, segment: Segment, *mappings: Mapping, count: int = 1) -> Layout:
    """A layout of one segment `s` and one group."""
    return Layout(name, {"s": segment}, {"p": Group(mappings, count)})


def groups(name: str, segment: Segment, *members: tuple[int, Mapping]) -> Layout:
    """A layout of one segment `s` and several groups of one mapping each."""
    return Layout(name, {"s": segment}, {f"g{place}": Group((m,), count) for place, (count, m) in enumerate(members)})


def base_pages(u: Units) -> Iterator[Layout]:
    """One shared mapping in base pages."""
    size = u.table * 3 // 2
    dense = Segment("memfd", size)
    for label, shift in u.shifts.items():
        yield one(f"dense-{label}", dense, Mapping("s", u.base + u.table + shift, size))
    quarters = {"every": u.table // 4}
    for level, boundary in u.boundaries():
        for label, shift in u.shifts.items():
            mapping = Mapping("s", boundary - u.table + shift, 2 * u.table, touch=quarters)
            yield one(f"over-{level}-{label}", Segment("memfd", 2 * u.table), mapping)
    yield one("one-page", Segment("memfd", u.page), Mapping("s", u.base + 7 * u.page, u.page), count=3)
    wide = Segment("memfd", 40 * u.table)
    sparse = Mapping("s", u.base, wide.size, touch={"every": u.table})
    yield one("page-per-table", wide, sparse, count=2)
    yield one("page-per-table-from-its-end", wide, replace(sparse, address=u.base + u.table - u.page))
    yield one("page-per-five-halves", wide, replace(sparse, touch={"every": 5 * u.table // 2, "start": u.page}))
    part = {"every": 3 * u.table, "start": u.table // 2, "length": 20 * u.table}
    yield one("strided-part", wide, replace(sparse, touch=part))
    parts = [(0, u.page), (u.table - u.page, 2 * u.page), (9 * u.table, 3 * u.table // 2), (wide.size - u.page, u.page)]
    ranges = {"ranges": [{"start": start, "length": length} for start, length in parts]}
    yield one("ranges", wide, replace(sparse, touch=ranges), count=2)
    yield one("ranges-half-off", wide, replace(sparse, address=u.base + u.table // 2, touch=ranges))
    yield one("union-of-forms", wide, replace(sparse, touch=[{"every": 7 * u.table}, ranges]))
    yield one("untouched", wide, replace(sparse, touch="none"))
    none = Mapping("s", u.base, 6 * u.table, protection="none")
    few = Segment("memfd", 6 * u.table)
    yield one("none-untouched", few, none)
    yield one("none-touched-before", few, replace(none, touch={"every": u.table // 2}), count=2)
    yield one("none-touched-in-part", few, replace(none, touch={"every": 4 * u.table}))
    for protection in ("r", "rx", "rwx"):
        mapping = Mapping("s", u.base + u.table // 2, few.size, protection=protection, touch=quarters)
        yield one(f"protection-{protection}", few, mapping, count=2)
    yield one("holes-read", few, Mapping("s", u.base, few.size, access="read", touch=quarters))
    offset = Mapping("s", u.base, 4 * u.table, offset=u.table + 5 * u.page, touch=quarters)
    yield one("offset", few, offset, count=2)
    for access in ("read", "write"):
        for kind in ("memfd", "file"):
            mapping = Mapping("s", u.base + u.page, few.size, map="private", access=access, touch=quarters)
            yield one(f"{kind}-private-{access}", Segment(kind, few.size), mapping, count=2)
        mapping = Mapping("s", u.base + u.table // 2, few.size, access=access, touch=quarters)
        yield one(f"file-shared-{access}", Segment("file", few.size), mapping)
    yield one("anonymous-shared", Segment("anonymous", size), Mapping("s", u.base + u.page, size), count=3)
    for step in sorted({level.span for level in u.geometry.levels[1:-1] if level.span <= u.far}):
        mapping = Mapping("s", u.base, 5 * step, touch={"every": step})
        if u.base + mapping.length <= u.geometry.default_window // 2:
            yield one(f"page-per-{step // MIB}M", Segment("memfd", 5 * step), mapping, count=2)


def neighbours(u: Units) -> Iterator[Layout]:
    """Several mappings of a process that share edge tables, and processes that share nothing."""
    quarters = {"every": u.table // 4}
    segment = Segment("memfd", 8 * u.table)
    for label, gap in {
        "no": 0,
        "a-page": u.page,
        "half-a-table": u.table // 2,
        "a-table": u.table,
        "far": u.far - 4 * u.table,
    }.items():
        first = Mapping("s", u.base + u.table // 2, 3 * u.table // 2, touch=quarters)
        second = replace(first, address=u.base + 2 * u.table + gap, offset=u.table // 2)
        yield one(f"neighbours-{label}-apart", segment, first, second)
    small = [Mapping("s", u.base + u.far - 40 * u.page + 3 * i * u.page, u.page, offset=i * u.page) for i in range(20)]
    yield one("twenty-small-ones", segment, *small, count=2)
    pieces = [
        Mapping("s", u.base + (7 - i) * u.table // 4, u.table // 4, offset=i * u.table // 4, touch=quarters)
        for i in range(8)
    ]
    yield one("pieces-backwards", segment, *pieces)
    kinds = {"a": "memfd", "b": "private", "c": "anonymous", "d": "file"}
    rows = tuple(
        Mapping(name, u.base + u.far + i * 3 * u.table // 2, 3 * u.table // 2, touch=quarters)
        for i, name in enumerate(kinds)
    )
    yield Layout(
        "neighbours-of-all-backings",
        {name: Segment(kind, 4 * u.table) for name, kind in kinds.items()},
        {"p": Group(rows, 2), "q": Group((replace(rows[3], address=u.base + u.page),))},
    )
    places = (0, u.page, u.table // 2, u.table - u.page, u.far - u.table, 2 * u.far - u.page)
    apart = [Mapping("s", u.base + place, 3 * u.table, touch=quarters) for place in places]
    yield groups("processes-at-other-addresses", segment, *((2, mapping) for mapping in apart))


def anonymous(u: Units) -> Iterator[Layout]:
    """Private anonymous memory: a huge page keeps in deposit the table that it saves."""
    sparse = {"every": u.table // 2}
    for huge in ("never", "always") if u.geometry.has_thp else ("never",):
        segment = Segment("private", 3 * u.table, huge=huge)
        for label, shift in (("at", 0), ("half-after", u.table // 2)):
            for access in ("read", "write"):
                mapping = Mapping("s", u.base + shift, 5 * u.table // 2, access=access, touch=sparse)
                yield one(f"private-thp-{huge}-{label}-{access}", segment, mapping, count=2)
        mapping = Mapping("s", u.base, 3 * u.table, touch={"every": 2 * u.table})
        yield one(f"private-thp-{huge}-none-after", segment, replace(mapping, protection="none"))
        if u.geometry.has_thp:
            yield one(f"private-thp-{huge}-nohugepage", segment, replace(mapping, madvise="nohugepage"))
    yield one("private-dense", Segment("private", u.table), Mapping("s", u.base + u.page, u.table), count=2)


def huge_tmpfs(u: Units) -> Iterator[Layout]:
    """A tmpfs with huge=always: which chunks get a leaf in a PMD table."""
    if not u.geometry.has_thp:
        return
    segment = Segment("tmpfs", 3 * u.table, huge="always")
    plain = Mapping("s", u.base, segment.size, touch={"every": u.table // 2})
    half = u.table // 2
    yield one("tmpfs-aligned", segment, plain, count=3)
    yield one("tmpfs-dense", segment, replace(plain, touch="all"))
    yield one("tmpfs-address-half-off", segment, replace(plain, address=u.base + half))
    yield one("tmpfs-offset-half", segment, replace(plain, offset=half, length=segment.size - half))
    both = replace(plain, address=u.base + half, offset=half, length=segment.size - half)
    yield one("tmpfs-both-half", segment, both)
    yield one("tmpfs-page-short", segment, replace(plain, length=segment.size - u.page))
    yield one("tmpfs-one-page-in-two-tables", segment, replace(plain, touch={"every": 2 * u.table}))
    yield one("tmpfs-holes-read", segment, replace(plain, access="read"))
    yield one("tmpfs-read-only", segment, replace(plain, protection="r"))
    yield one("tmpfs-none-after", segment, replace(plain, protection="none"))
    yield one("tmpfs-nohugepage", segment, replace(plain, madvise="nohugepage"))
    for access in ("read", "write"):
        yield one(f"tmpfs-private-{access}", segment, replace(plain, map="private", access=access), count=2)
    for level, boundary in u.boundaries():
        yield one(f"tmpfs-over-{level}", segment, replace(plain, address=boundary - u.table), count=2)


def hugetlb(u: Units) -> Iterator[Layout]:
    """Every size of huge pages; those of a PMD leaf also with tables that processes share."""
    for size, name in u.geometry.huge_pages.items():
        label = u.geometry.huge_page_name(size)
        # of the root there is only one: a part of what it spans
        span = 16 * size if name == "pgd" else u.geometry.level(name).span
        pages = 3 if size <= 32 * MIB else 1
        segment = Segment("hugetlb", max(8 * size, 2 * span), page_size=size)
        edge = (u.base // span + 1) * span
        yield one(f"hugetlb-{label}", segment, Mapping("s", edge, pages * size), count=2)
        yield one(f"hugetlb-{label}-over-{name}", segment, Mapping("s", edge - size, 2 * size))
        yield one(f"hugetlb-{label}-read-only", segment, Mapping("s", edge + size, size, protection="r"))
        private = Mapping("s", edge, size, map="private")
        yield one(f"hugetlb-{label}-private", segment, private)
        sparse = Mapping("s", edge - size, 2 * span, touch={"every": span})
        yield one(f"hugetlb-{label}-one-in-a-table", segment, sparse, count=2)
        yield groups(f"hugetlb-{label}-elsewhere", segment, (1, private), (1, replace(private, address=edge + span)))
    size = u.geometry.default_huge_page
    if u.geometry.huge_pages[size] == "pgd":
        return  # there is no table but the root
    span = u.geometry.level(u.geometry.huge_pages[size]).span
    segment = Segment("hugetlb", 4 * span, page_size=size)
    edge = (u.base // span + 1) * span
    whole = Mapping("s", edge, 3 * span, touch={"every": span})
    yield one("hugetlb-whole-tables", segment, whole)
    for count in (2, 3):
        yield one(f"hugetlb-whole-tables-of-{count}", segment, whole, count=count)
    ragged = replace(whole, address=edge + span // 2, touch={"every": span // 2})
    yield one("hugetlb-ragged-ends", segment, ragged, count=3)
    yield groups("hugetlb-readers-and-writers", segment, (2, whole), (2, replace(whole, protection="r")))
    yield groups("hugetlb-congruent-elsewhere", segment, (1, whole), (2, replace(whole, address=edge + 4 * span)))
    yield groups("hugetlb-not-congruent", segment, (1, whole), (1, replace(whole, address=edge + 4 * span + size)))


def high(u: Units) -> Iterator[Layout]:
    """Addresses that mmap gives only to who asks for them, and those above which a process needs more levels."""
    window, end = u.geometry.default_window, u.geometry.task_size
    quarters = {"every": u.table // 4}
    segment = Segment("memfd", 4 * u.table)
    low = Mapping("s", u.base, 3 * u.table // 2, touch=quarters)
    powers = [1 << bits for bits in range(window.bit_length(), 63) if 1 << bits < end - u.table]
    if powers:
        first = replace(low, address=powers[0] + u.table // 2)
        yield one("high", segment, first, count=2)
        yield one("high-and-low", segment, first, low)
        yield groups("high-or-low", segment, (1, first), (2, low))
        yield one("high-at-powers-of-two", segment, *(replace(low, address=power) for power in powers))
        yield one("highest-power-of-two", segment, replace(low, address=powers[-1], touch="all"))
        yield one("high-untouched", segment, replace(first, touch="none"))
        private = Mapping("p", first.address + u.far, 3 * u.table // 2, touch=quarters)
        yield Layout(
            "high-private", {"p": Segment("private", 2 * u.table), "s": segment}, {"p": Group((private, first), 2)}
        )
    for growth in u.geometry.grows:
        for label, address in (("at", growth.above), ("after", growth.above + u.table)):
            yield one(f"grow-{growth.above >> 40}T-{label}", segment, replace(low, address=address), count=2)
        untouched = replace(low, address=growth.above, touch="none")
        yield one(f"grow-{growth.above >> 40}T-untouched", segment, untouched)
        if growth.above != window:  # there is the stack
            yield one(f"grow-{growth.above >> 40}T-over", segment, replace(low, address=growth.above - u.table // 2))


def generated(u: Units) -> Iterator[Layout]:
    """Rows of mappings from a seed."""
    for number in range(15):
        rng = random.Random(SEED + number)
        segment = Segment(rng.choice(("memfd", "file", "anonymous")), 12 * u.table)
        members = {}
        for group in range(rng.randint(1, 3)):
            address = u.base + rng.randrange(0, u.far, u.page)
            mappings = []
            for _ in range(rng.randint(1, 3)):
                length = rng.randrange(u.page, 8 * u.table, u.page)
                step = rng.randrange(u.table // 8, 3 * u.table, u.page)
                at_offset = segment.kind != "anonymous" and rng.random() < 0.5
                offset = rng.randrange(0, segment.size - length, u.page) if at_offset else 0
                mappings.append(Mapping("s", address, length, offset=offset, touch={"every": step}))
                address += length + rng.choice((0, u.page, rng.randrange(0, 2 * u.table, u.page)))
            members[f"g{group}"] = Group(tuple(mappings), rng.randint(1, 3))
        yield Layout(f"generated-{number}", {"s": segment}, members)


def catalogue(geometry: Geometry) -> list[Layout]:
    """All layouts for a geometry, with what a small guest cannot hold left out."""
    units = Units(geometry)
    made = (base_pages, neighbours, anonymous, huge_tmpfs, hugetlb, high, generated)
    found = [layout for make in made for layout in make(units)]
    return [layout for layout in found if sum(size * n for size, n in layout.pools().items()) <= MOST_HUGE]
