"""Page-table geometry as data: which tables exist, how large they are and what they span.

An architecture is one `Geometry` entry in a module of this package (see `x86.py`); nothing else in
ptcalc knows an architecture by name.  Entries are validated when they are built.
"""

from __future__ import annotations

from dataclasses import dataclass, field

LEVEL_NAMES = ("pte", "pmd", "pud", "p4d", "pgd")


class GeometryError(ValueError):
    """A geometry that contradicts itself."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level of tables.

    ``entries`` x ``entry_bytes`` is what VmPTE counts for a table, ``table_bytes`` what it takes from
    memory; one table covers ``span`` bytes of address space, one entry ``span // entries``.
    """

    name: str
    entries: int
    entry_bytes: int
    span: int
    table_bytes: int

    @property
    def counted_bytes(self) -> int:
        """Bytes that mm_inc_nr_ptes/pmds/puds add to VmPTE for one table (include/linux/mm.h)."""
        return self.entries * self.entry_bytes


@dataclass(frozen=True, slots=True)
class Geometry:
    """The page tables of one architecture and kernel configuration.

    ``levels`` run from the leaf (PTE) to the root; folded levels are left out.  ``task_size`` is the exclusive
    end of user space and ``default_window`` the end of what mmap hands out without a hint.  ``huge_pages``
    maps a hugetlb page size in bytes to the level whose table holds its leaf.
    """

    name: str
    title: str
    base_page: int
    levels: tuple[Level, ...]
    task_size: int
    default_window: int
    huge_pages: dict[int, str]
    thp_size: int
    pmd_sharing: bool
    free_tables_below: dict[str, int]  # level -> address below which a table of that level exists anyway
    kernel_stack: int
    source: str
    index: dict[str, int] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        """Refuse a geometry whose figures contradict each other."""

        def refuse(what: str) -> None:
            raise GeometryError(f"geometry {self.name!r}: {what}")

        if self.base_page <= 0 or self.base_page & (self.base_page - 1):
            refuse(f"base page {self.base_page} is no power of two")
        names = [level.name for level in self.levels]
        if not names or names[0] != "pte" or sorted(names, key=LEVEL_NAMES.index) != names or names[-1] != "pgd":
            refuse(f"levels {names} do not run from pte to pgd")
        reach = self.base_page
        for level in self.levels:
            if level.entries * reach != level.span:
                refuse(f"{level.name}: {level.entries} entries of {reach} bytes do not span {level.span} bytes")
            if level.entries * level.entry_bytes > level.table_bytes:
                refuse(f"{level.name}: {level.entries} entries of {level.entry_bytes} bytes need more than a table")
            reach = level.span
        if not self.default_window <= self.task_size + self.base_page <= reach + self.base_page:
            refuse("user space does not fit below the root")
        for size, name in self.huge_pages.items():
            if name not in names:
                refuse(f"huge page {size}: no level {name}")
        self.index.update({name: place for place, name in enumerate(names)})

    def level(self, name: str) -> Level:
        """Return the level of that name; KeyError where the architecture folds it."""
        return self.levels[self.index[name]]

    @property
    def pmd_size(self) -> int:
        """Bytes that one PMD entry maps: the span of a PTE table."""
        return self.levels[0].span

    @property
    def slot(self) -> int:
        """Bytes of the default window under one entry of its topmost table that has more than one entry there.

        A mapping without an address starts in a slot of its own.  With five levels the default window lies
        under one root entry, so that slots are those of the table below, as mmap without a hint has it.
        """
        size = self.levels[0].span
        for level in self.levels:
            if level.span // level.entries < self.default_window:
                size = level.span // level.entries
        return size

    def huge_page_name(self, size: int) -> str:
        """Name a page size the way the policies do: 2M, 1G, 64K."""
        for shift, unit in ((40, "T"), (30, "G"), (20, "M"), (10, "K")):
            if size >= 1 << shift and size % (1 << shift) == 0:
                return f"{size >> shift}{unit}"
        return str(size)
