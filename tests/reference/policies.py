"""Which tables hold a touched page under each policy, and by which key they are shared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.reference.address_space import PMD_SIZE, SPANS, Area

POLICIES = ("today", "private", "hugetlb-2M", "hugetlb-1G", "thp", "file-shared", "map-shared-pt", "mshare")
PUD_SIZE = SPANS["pmd"]  # what a PUD entry maps

Key = tuple[object, ...]
Chunk = tuple[tuple[str, int, str], int]


@dataclass
class Rules:
    """A policy, with the facts about the whole machine that its rules ask for.

    `huge`: chunks (file, number) that are huge pages; `pt_class`: for each file the class of mappings (see
    `map_shared_pt_class`) that shares under map-shared-pt; `region_huge`: segments whose region may map huge
    pages.
    """

    policy: str
    five_levels: bool = False
    huge: set[Chunk] = field(default_factory=set)
    pt_class: dict[tuple[str, int, str], Key] = field(default_factory=dict)
    region_huge: set[str] = field(default_factory=set)
    choices: dict[str, str] = field(default_factory=dict)  # other answers than the first to the open choices

    def tables(self, area: Area, place: int) -> Iterable[tuple[str, int, Key | None]]:
        """Yield (level, address of the table's first byte, shared key or None) of the page at `place` of the
        file.
        """
        va = area.va + place - area.offset
        for level in self.levels(area, place, va):
            first = va // SPANS[level] * SPANS[level]
            if level == "p4d" and (area.canonical or first == 0):
                continue  # the P4D table of the low 256 TiB exists anyway: it holds the program and its stack
            yield level, first, self.share(area, level, first)

    def levels(self, area: Area, place: int, va: int) -> list[str]:
        """Levels from the leaf up."""
        names = ["pte", "pmd", "pud"] + ["p4d"] * self.five_levels
        if area.backing == "hugetlb":
            return names[1:] if area.page == PMD_SIZE else names[2:]
        if (area.file, place // PMD_SIZE) in self.huge and self.maps_by_pmd(area, va):
            return names[1:]
        return names

    def maps_by_pmd(self, area: Area, va: int) -> bool:
        """Whether this mapper maps a huge chunk by a leaf in the PMD table (kernel-facts 4.2)."""
        if area.backing == "private":
            return False  # it does, but a PTE table is deposited for each: the same count
        if not area.shared and area.writes:
            return False  # written pages of MAP_PRIVATE are copied one by one
        if area.userfaultfd == "minor":
            # READING: the contract does not list it; UFFDIO_CONTINUE puts in one PTE at a time, and no fault
            # does more
            # (mm/userfaultfd.c: mfill_atomic_pte_continue, mm/shmem.c: shmem_get_folio_gfp).
            return False
        congruent = (area.va - area.offset) % PMD_SIZE == 0
        chunk = va // PMD_SIZE * PMD_SIZE
        inside = area.vma[0] <= chunk and chunk + PMD_SIZE <= area.vma[1]
        return congruent and inside and area.madvise != "nohugepage"

    def share(self, area: Area, level: str, first: int) -> Key | None:
        """Key under which processes share this table; None: it belongs to the process."""
        if self.policy == "private":
            return None
        if area.backing == "hugetlb":
            return self.hugetlb_key(area, level, first)
        if self.policy == "file-shared":
            return self.file_shared_key(area, level, first)
        if self.policy == "map-shared-pt" and level == "pte":
            mine = map_shared_pt_class(area)
            if mine is not None and self.pt_class.get(area.file) == mine:
                return ("map-shared-pt", area.file, first)
        return None

    def hugetlb_key(self, area: Area, level: str, first: int) -> Key | None:
        """PMD tables of 2 MiB pages, one per whole aligned GiB of the VMA and set of VMA flags (kernel-facts
        5.2).
        """
        if level != "pmd" or area.page != PMD_SIZE or not area.shared or area.userfaultfd in ("wp", "minor"):
            return None
        if first < area.vma[0] or first + PUD_SIZE > area.vma[1]:
            return None
        if area.independent and area.alignment < PUD_SIZE:
            return None
        # READING: userfaultfd `missing` is a VMA flag too (VM_UFFD_MISSING), so it is part of what must
        # agree.
        flags = (area.protection, area.madvise, area.softdirty, area.userfaultfd)
        return ("hugetlb", area.file, flags, first - area.va + area.offset)

    def file_shared_key(self, area: Area, level: str, first: int) -> Key | None:
        """One set per file, protection and phase; the table's place in the file says the phase (kernel-facts
        6).
        """
        if level not in ("pte", "pmd") or not area.shared or area.never:
            return None
        if area.protection not in ("rw", "r") or area.softdirty or area.userfaultfd != "none":
            return None
        if area.file_size < 2 << 20 or area.vma[1] - area.vma[0] < 2 << 20:
            return None
        last = first + SPANS[level]
        if first < area.vma[0] or (last > area.vma[1] and not self.ends_with_its_file(area, last)):
            return None
        if area.independent and area.alignment < SPANS[level]:
            return None
        if level == "pmd" and self.choices.get("file-shared.huge_leaves") == "private" and may_have_leaves(area):
            return None
        follows = level == "pte" and self.choices.get("file-shared.ragged_pmd") == "private"
        if follows and self.file_shared_key(area, "pmd", first // SPANS["pmd"] * SPANS["pmd"]) is None:
            return None
        # READING: the key is (file, protection) alone, so a nohugepage mapper shares the PMD table of one
        # that has none.
        alike = self.choices.get("file-shared.read_only") == "rw_set"
        locked = area.locked if self.choices.get("file-shared.locked") == "own_set" else ""
        return ("file", area.file, "rw" if alike else area.protection, locked, level, first - area.va + area.offset)

    def ends_with_its_file(self, area: Area, last: int) -> bool:
        """Whether a table that reaches beyond a VMA, to `last`, may be shared since there is no more of the file."""
        if self.choices.get("file-shared.chunks") != "file_end" or area.after < last:
            return False
        return area.vma[1] - area.va + area.offset >= area.file_size


def may_have_leaves(area: Area) -> bool:
    """Whether PMD leaves may map the file here, if the page cache has huge pages."""
    congruent = (area.va - area.offset) % PMD_SIZE == 0
    return area.backing in ("shmem", "file") and area.thp != "never" and area.madvise != "nohugepage" and congruent


def map_shared_pt_class(area: Area) -> Key | None:
    """Mappings of one class may share PTE tables under map-shared-pt; None: this one never does.

    READING: address and length are those of the VMA (neighbours merged); soft-dirty, userfaultfd, protection
    none
    and `page_table_sharing: never` keep a mapping out as they do under file-shared and mshare.
    """
    if not area.shared or area.backing not in ("shmem", "file") or area.never or area.independent:
        return None
    if area.softdirty or area.userfaultfd != "none" or area.protection == "none":
        return None
    if area.vma[0] % PMD_SIZE or area.vma[1] % PMD_SIZE:
        return None
    return (area.va - area.offset, area.protection)


def mshare_member(area: Area) -> bool:
    """Whether the mapping is a window on its segment's region (hugetlb may be inside, kernel-facts 7.2
    M2).
    """
    if not area.shared or area.never or area.softdirty:
        return False
    return area.userfaultfd == "none" and area.protection != "none"


def region_tables(rules: Rules, area: Area, place: int) -> Iterable[tuple[str, Key]]:
    """Yield (level, key) of the region's tables for the page at `place` of the file: segment offsets are
    addresses.
    """
    at = area.home + place
    names = ["pte", "pmd", "pud"]
    if area.backing == "hugetlb":
        names = names[1:] if area.page == PMD_SIZE else names[2:]
    else:
        # READING: the region has one VMA per file, the whole of it; it may map huge pages if any member may.
        chunk = place // PMD_SIZE
        fits = area.home % PMD_SIZE == 0 and (chunk + 1) * PMD_SIZE <= area.file_size
        if fits and (area.file, chunk) in rules.huge and area.file[0] in rules.region_huge:
            names = names[1:]
    for level in names:
        yield level, ("mshare", area.file[0], level, at // SPANS[level])


def makes_huge(area: Area, place: int) -> bool:
    """Whether a process that touches `place` through this mapping makes its 2 MiB chunk of the file a huge
    page.
    """
    if area.backing not in ("shmem", "file") or area.thp == "never" or area.madvise == "nohugepage":
        return False
    if area.madvise == "hugepage" or area.thp == "always":
        return True
    return area.thp == "within_size" and (place // PMD_SIZE + 1) * PMD_SIZE <= area.file_size
