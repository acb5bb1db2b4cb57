"""Where the mappings of a workload lie under a policy: one `Area` per mapping and file that it maps.

x86_64 only, with its own constants, so that a mistake in ptcalc.arch would be found here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

PAGE = 4096
PMD_SIZE = 2 << 20
SPANS = {"pte": 2 << 20, "pmd": 1 << 30, "pud": 512 << 30, "p4d": 256 << 40}
TABLE = 4096
MOVES_TO_HUGETLB = {"hugetlb-2M": 2 << 20, "hugetlb-1G": 1 << 30}
SWITCHABLE = {"file-shared", "map-shared-pt", "mshare"}  # policies that page_table_sharing: never speaks to


@dataclass(frozen=True)
class Area:
    """The part of one mapping that maps one file (a segment or a piece of it).

    `va` is the address of file offset `offset`; `vma` the bounds of the VMA that the kernel makes of it and
    its
    neighbours.  `home` is where the file starts in a region that maps the whole segment.
    """

    group: str
    mapping: int
    file: tuple[str, int, str]
    file_size: int
    home: int
    va: int
    offset: int
    length: int
    backing: str
    page: int
    thp: str
    shared: bool
    protection: str
    madvise: str
    softdirty: bool
    userfaultfd: str
    locked: str
    never: bool
    writes: bool
    independent: bool
    alignment: int
    canonical: bool
    first_page: int  # page of the mapping that lies at `stated`
    stated: int  # file offset where the mapping as written begins in this file
    stated_end: int
    guest: int | None = None  # where a guest sees `va`
    vma: tuple[int, int] = (0, 0)
    after: int = 1 << 100  # where the next VMA begins

    def attributes(self, policy: str) -> tuple[object, ...]:
        """What two neighbours must have in common to be one VMA; page_table_sharing only where it exists."""
        return (self.file, self.shared, self.protection, self.madvise, self.softdirty, self.userfaultfd, self.locked,
                self.never if policy in SWITCHABLE else None, self.va - self.offset)  # fmt: skip

    def places(self, pages: frozenset[int]) -> list[int]:
        """File offsets of those of the mapping's touched `pages` that lie in this file."""
        found = []
        for page in pages:
            place = self.stated + (page - self.first_page) * PAGE
            if self.stated <= place < self.stated_end:
                found.append(place)
        return found


def up(value: int, unit: int) -> int:
    """Round up."""
    return -(-value // unit) * unit


def down(value: int, unit: int) -> int:
    """Round down."""
    return value // unit * unit


def writes(mapping: Any, segment: Any) -> bool:
    """Whether what is touched at the beginning is written: locking writes to private memory that may be written."""
    private = mapping.map == "private" or segment.backing == "private"
    return mapping.access == "write" or (mapping.locked == "yes" and private and "w" in mapping.protection)


def _mapped_shared(workload: Any, name: str) -> bool:
    return any(m.segment == name and m.map == "shared" for g in workload.processes.values() for m in g.mappings)


@dataclass(frozen=True)
class Memory:
    """What a segment is made of under a policy; `small_from`: its huge pages end there (a short pool)."""

    backing: str
    page: int
    thp: str
    small_from: int | None = None


def memory_of(workload: Any, name: str, policy: str) -> Memory:
    """Return the backing, page size and THP switch of a segment under a policy."""
    segment = workload.segments[name]
    shareable = _mapped_shared(workload, name)
    page = (segment.page_size or PMD_SIZE) if segment.backing == "hugetlb" else PAGE
    if policy in MOVES_TO_HUGETLB:
        if segment.backing == "hugetlb" or (segment.backing == "shmem" and shareable):
            # The pool of a what-if is what it needs: never short.
            return Memory("hugetlb", MOVES_TO_HUGETLB[policy], "never")
        return Memory(segment.backing, page, segment.thp)
    if segment.backing == "hugetlb":
        pool = workload.host.hugepages
        short = pool is not None and pool.get(page, 0) * page < _need(workload, page)
        # READING: what falls back to base pages is ordinary shmem, which `thp` then maps by PMD like any
        # other.
        switch = "always" if policy == "thp" and shareable else "never"
        if short and segment.on_short_pool == "small":
            return Memory("shmem", PAGE, switch)
        if short and segment.on_short_pool == "mixed":
            # READING: one hugetlb segment per page size; who gets the pool among several is not said.
            return Memory("hugetlb", page, switch, small_from=pool.get(page, 0) * page)
        return Memory("hugetlb", page, "never")
    if policy == "thp" and segment.backing in ("shmem", "file") and shareable:
        # READING: "shareable" = shmem or file that some mapping maps shared; PMD-mapped as if the switch were
        # `always`.
        return Memory(segment.backing, PAGE, "always")
    return Memory(segment.backing, PAGE, segment.thp)


def _need(workload: Any, page: int) -> int:
    need = 0
    for segment in workload.segments.values():
        if segment.backing == "hugetlb" and (segment.page_size or PMD_SIZE) == page:
            need += sum(up(size, page) for size in pieces_of(segment))
    return need


def pieces_of(segment: Any) -> list[int]:
    """Sizes of the files of a segment, the last one shorter where the size is no multiple."""
    if segment.pieces is None:
        return [segment.size]
    return [min(segment.pieces, segment.size - at) for at in range(0, segment.size, segment.pieces)]


def lay_out(workload: Any, policy: str) -> dict[str, list[Area]]:
    """Return the areas of one process of each group."""
    slots: dict[tuple[object, ...], int] = {}
    return {
        name: _merge([area for row in _areas(workload, name, policy, slots) for area in row], policy)
        for name in workload.processes
    }


def _areas(workload: Any, name: str, policy: str, slots: dict[tuple[object, ...], int]) -> list[list[Area]]:
    group = workload.processes[name]
    rows = []
    guest_end = 0
    seen: dict[tuple[object, ...], int] = {}
    for number, mapping in enumerate(group.mappings):
        segment = workload.segments[mapping.segment]
        memory = memory_of(workload, mapping.segment, policy)
        length = segment.size - mapping.offset if mapping.length is None else mapping.length
        start, end = mapping.offset, up(mapping.offset + length, PAGE)
        parts = _parts(mapping.segment, segment, memory, start, end)
        if mapping.address is not None:
            alignment = PAGE
            address = down(mapping.address, parts[0].made_of.page) if parts else mapping.address
        else:
            lead = 0
            if mapping.alignment is not None:
                # READING: an alignment below the huge page of a what-if is raised to the huge page.
                alignment = max(mapping.alignment, memory.page)
            else:
                alignment = memory.page
                # mm/shmem.c: shmem_get_unmapped_area leaves mappings that hold no whole huge page where they are.
                into = mapping.offset % (segment.pieces or segment.size) % PMD_SIZE
                holds_one = up(length, PAGE) >= PMD_SIZE and not (into and into + up(length, PAGE) < 2 * PMD_SIZE)
                if memory.backing != "hugetlb" and memory.thp != "never" and holds_one:
                    alignment, lead = PMD_SIZE, into
            same: tuple[Any, ...] = (mapping.segment, mapping.offset, alignment, lead)
            if mapping.placement == "independent":
                same = (*same, name)
            seen[same] = seen.get(same, -1) + 1
            slot = slots.setdefault((*same, seen[same]), len(slots))
            address = ((slot + 1) << 60) + alignment + lead
        row, va = [], address
        guest = None
        if mapping.second_level != "none":
            guest = up(guest_end, 1 << 30) if mapping.guest_address is None else mapping.guest_address
            guest_end = max(guest_end, guest + sum(part.high - part.low for part in parts))
        for part in parts:
            row.append(
                Area(
                    group=name,
                    mapping=number,
                    file=part.file,
                    file_size=part.file_size,
                    home=part.home,
                    va=va,
                    offset=part.low,
                    length=part.high - part.low,
                    backing=part.made_of.backing,
                    page=part.made_of.page,
                    thp=part.made_of.thp,
                    shared=mapping.map == "shared" and segment.backing != "private",
                    protection=mapping.protection,
                    madvise=mapping.madvise,
                    softdirty=mapping.softdirty,
                    userfaultfd=mapping.userfaultfd,
                    locked="no" if part.made_of.backing == "hugetlb" else mapping.locked,
                    never="never" in (mapping.page_table_sharing, group.page_table_sharing),
                    writes=writes(mapping, segment),
                    independent=mapping.placement == "independent",
                    alignment=alignment,
                    canonical=mapping.address is None,
                    first_page=part.first_page,
                    stated=part.stated,
                    stated_end=part.stated_end,
                    guest=None if guest is None else guest + va - address,
                )
            )
            va += part.high - part.low
        rows.append(row)
    return rows


class Part(NamedTuple):
    """One file's share of a mapping: [low, high) of the file is mapped, [stated, stated_end) of it as
    written.
    """

    file: tuple[str, int, str]
    file_size: int
    made_of: Memory
    low: int
    high: int
    home: int
    stated: int
    stated_end: int
    first_page: int


def _parts(name: str, segment: Any, memory: Memory, start: int, end: int) -> list[Part]:
    """Cut [start, end) of a segment at its pieces, and round each part to the page that it is made of."""
    parts = []
    begin = home = 0  # of the piece: in the segment as written, and with every piece before it rounded up
    for number, size in enumerate(pieces_of(segment)):
        file_size = up(size, memory.page)
        kinds = [(memory, 0, file_size)]
        if memory.small_from is not None:
            # Huge pages from offset 0 as far as the pool reaches, the rest in base pages: two VMAs, two
            # files.
            edge = min(max(memory.small_from - home, 0), file_size)
            kinds = [(memory, 0, edge), (Memory("shmem", PAGE, memory.thp), edge, file_size)]
        for made_of, kind_low, kind_high in kinds:
            low = max(start - begin, kind_low)
            high = min(end - begin, up(size, PAGE), kind_high)
            if low < high:
                parts.append(
                    Part(
                        file=(name, number, made_of.backing),
                        file_size=file_size,
                        made_of=made_of,
                        low=down(low, made_of.page),
                        high=up(high, made_of.page),
                        home=home,
                        stated=low,
                        stated_end=high,
                        first_page=(begin + low - start) // PAGE,
                    )
                )
        begin += size
        home += file_size
    return parts


def _merge(areas: list[Area], policy: str) -> list[Area]:
    """Give every area the bounds of its VMA: neighbours with continuing offset and equal attributes are
    one.
    """
    bounds = {number: (area.va, area.va + area.length) for number, area in enumerate(areas)}
    changed = True
    while changed:
        changed = False
        for i, one in enumerate(areas):
            for j, other in enumerate(areas):
                if i == j or one.backing == "hugetlb" or bounds[i][1] != bounds[j][0]:
                    continue
                if one.attributes(policy) == other.attributes(policy):
                    joined = (bounds[i][0], bounds[j][1])
                    members = [k for k in bounds if bounds[k] in (bounds[i], bounds[j])]
                    for k in members:
                        bounds[k] = joined
                    changed = True
    starts = sorted(start for start, _ in bounds.values())
    return [
        replace(area, vma=bounds[number], after=next((at for at in starts if at >= bounds[number][1]), 1 << 100))
        for number, area in enumerate(areas)
    ]
