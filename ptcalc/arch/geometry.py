"""Page-table geometry as data: which tables exist, how large they are, what they span, and who counts them.

An architecture is one `Geometry` entry in a module of this package (see `x86.py`), or in a user's config file
(`ptcalc.workload.geometries`); nothing else in ptcalc knows an architecture by name.  Entries are validated when
they are built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

LEVEL_NAMES = ("pte", "pmd", "pud", "p4d", "pgd")
Version = tuple[int, int]

# The engine's addresses are 64-bit integers with room for spans beside them.
HIGHEST_ADDRESS = 1 << 62


class GeometryError(ValueError):
    """A geometry that contradicts itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of tables, in bytes where nothing else is said.

    ``entries`` x ``entry_bytes`` is what VmPTE counts for a table, ``table_bytes`` what it takes from memory, and
    ``span`` the address space that it covers.  ``memory`` says where it comes from: ``pages`` of its own;
    ``fragments``, pieces of base pages that one mm owns (arch/powerpc/mm/pgtable-frag.c); ``slab``.

    ``counted_since`` is the first kernel whose PageTables counts the level (None: none does; generic: when the
    constructors of the generic code began to, `kernels.COUNTED_SINCE`), ``counted_bytes`` what it adds for one
    allocation where that is not the whole of it.  ``charged``: allocated with __GFP_ACCOUNT.
    """

    name: str
    entries: int
    entry_bytes: int = 8
    span: int
    table_bytes: int
    memory: Literal["pages", "fragments", "slab"] = "pages"
    counted_since: Version | Literal["generic"] | None = "generic"
    counted_bytes: int | None = None
    charged: bool = True

    @property
    def content_bytes(self) -> int:
        """Bytes of the entries: what mm_inc_nr_ptes/pmds/puds add to VmPTE for one table (include/linux/mm.h)."""
        return self.entries * self.entry_bytes

    def per_allocation(self, page: int) -> int:
        """Return how many tables of one mm an allocation holds; `page` is the base page in bytes."""
        return page // self.table_bytes if self.memory == "fragments" else 1

    def allocation_bytes(self, page: int) -> int:
        """Return the bytes of one allocation; `page` is the base page in bytes."""
        return page if self.memory == "fragments" else self.table_bytes

    def allocations(self, tables: int, page: int) -> int:
        """Return the allocations that so many tables of one mm need."""
        return -(-tables // self.per_allocation(page))

    @property
    def reach(self) -> int:
        """Bytes of address space that one entry maps."""
        return self.span // self.entries


@dataclass(frozen=True, slots=True, kw_only=True)
class Older:
    """How a level (or, without one, the geometry) was in kernels before a version: the fields that differ."""

    before: Version
    level: str | None
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A process that maps an address above ``above`` gets one more table of ``level``: its new root.

    ``vmpte_bytes`` is what VmPTE then counts more, for the old root that has become an inner table
    (arch/s390/mm/pgalloc.c:crst_table_upgrade).
    """

    above: int
    level: str
    vmpte_bytes: int


@dataclass(frozen=True, slots=True)
class LowZones:
    """The zones below Normal that node 0 has: how many, and how much memory they hold (bytes)."""

    zones: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """The page tables of one architecture and kernel configuration; sizes and addresses in bytes.

    ``levels`` run from the leaf (PTE) to the root (always called pgd); folded levels are left out.  ``task_size`` is
    the exclusive end of user space and ``default_window`` the end of what mmap hands out without a hint.

    ``huge_pages`` maps a hugetlb page size to the level whose table holds its leaf; those in ``contiguous`` are
    runs of entries there, which save no tables beside a single entry of that level.  ``thp_keeps_tables``: a THP of
    a file keeps a PTE table in deposit, as those of anonymous memory do everywhere (arch_needs_pgtable_deposit).
    ``has_thp``: it has transparent huge pages at all; ``has_file_thp``: also of shmem and files, whose folios end at
    MAX_PAGECACHE_ORDER (include/linux/pagemap.h), 2^11 base pages.  ``low_zones``: None where machines differ too much.
    ``write_bit_above``: an entry that points to a table can forbid writing to all that is reached through it.
    ``guests``: whose rules second-level tables follow (`ptcalc.arch.second_level`); None: not known.
    ``small_process``: tables of the
    other levels that a trivial process has (program, libraries, stack), beside its root.  ``written``: what a config
    file says of it, where it comes from one.
    """

    name: str
    title: str
    aliases: tuple[str, ...] = ()
    base_page: int
    levels: tuple[Level, ...]
    older: tuple[Older, ...] = ()
    task_size: int
    default_window: int
    huge_pages: Mapping[int, str]
    contiguous: frozenset[int] = frozenset()
    default_huge_page: int
    has_thp: bool = True
    has_file_thp: bool = True
    thp_keeps_tables: bool = False
    pmd_sharing_since: Version | None
    write_bit_above: bool = False
    guests: Literal["x86_64", "arm64"] | None = None
    grows: tuple[Growth, ...] = ()
    low_zones: LowZones | None = None
    kernel_stack: int
    small_process: Mapping[str, int]
    source: str
    written: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    index: dict[str, int] = field(init=False, default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse a geometry whose figures contradict each other."""
        self.index.update({level.name: place for place, level in enumerate(self.levels)})
        for problem in _contradictions(self):
            raise GeometryError(f"geometry {self.name!r}: {problem}")
        for older in self.older:
            if older.level is not None and older.level not in self.index:
                raise GeometryError(f"geometry {self.name!r}: older: no level {older.level}")
            self.at((older.before[0], older.before[1] - 1))

    def at(self, version: Version) -> Geometry:
        """Return the geometry as kernels of that version have it."""
        if not any(version < older.before for older in self.older) and version >= (self.pmd_sharing_since or version):
            return self
        levels = list(self.levels)
        own: dict[str, Any] = {}
        # The oldest differences last: they overwrite those of newer kernels.
        for older in sorted(self.older, key=lambda older: older.before, reverse=True):
            if version < older.before and older.level is None:
                own |= older.changes
            elif version < older.before:
                place = [level.name for level in levels].index(str(older.level))
                levels[place] = replace(levels[place], **older.changes)
        since = self.pmd_sharing_since
        if since is not None and version < since:
            since = None
        return replace(self, levels=tuple(levels), older=(), pmd_sharing_since=since, **own)

    def level(self, name: str) -> Level:
        """Return the level of that name; KeyError where the architecture folds it."""
        return self.levels[self.index[name]]

    @property
    def pmd_sharing(self) -> bool:
        """Whether hugetlb PMD tables are shared (CONFIG_ARCH_WANT_HUGE_PMD_SHARE)."""
        return self.pmd_sharing_since is not None

    @property
    def pmd_size(self) -> int:
        """Bytes that one PMD entry maps: the span of a PTE table."""
        return self.levels[0].span

    @property
    def thp_size(self) -> int:
        """Bytes of a transparent huge page, a leaf in a PMD table; smaller ones (mTHP) save no tables."""
        return self.pmd_size

    @property
    def slot(self) -> int:
        """Bytes of the default window under one entry of its topmost table that has more than two entries there.

        A mapping without an address starts in a slot of its own, beside that of the program.  With five levels the
        default window lies under one root entry, so that slots are those of the table below, as mmap without a hint
        has it; so they are where the root has two entries, which would leave room for one mapping.
        """
        return max(level.reach for level in self.levels if 2 * level.reach < self.default_window)

    @property
    def free_tables_below(self) -> dict[str, int]:
        """The levels whose first table spans the default window, with the end of it: every process has that table.

        It holds the program, its libraries and the stack.  The root is one of them where it grows with the address.
        """
        below_root = self.levels if self.grows else self.levels[:-1]
        return {level.name: level.span for level in below_root if level.span >= self.default_window}

    @property
    def added_levels(self) -> tuple[Level, ...]:
        """The levels of which mappings can need tables: all below the root, and the root where it grows."""
        return self.levels if self.grows else self.levels[:-1]

    @property
    def root_bytes(self) -> int:
        """Bytes of the tables that an empty mm needs before the first entry of the levels that are counted."""
        grown = {growth.level for growth in self.grows}
        own = {"pgd", *self.free_tables_below} - grown
        return sum(level.table_bytes for level in self.levels if level.name in own)

    @property
    def process_tables(self) -> int:
        """Bytes of all tables of a trivial process, its root included."""
        return self.root_bytes + sum(
            self.level(name).allocations(tables, self.base_page) * self.level(name).allocation_bytes(self.base_page)
            for name, tables in self.small_process.items()
        )

    def huge_page_name(self, size: int) -> str:
        """Name a page size the way the policies do: 2M, 1G, 64K."""
        for shift, unit in ((40, "T"), (30, "G"), (20, "M"), (10, "K")):
            if size >= 1 << shift and size % (1 << shift) == 0:
                return f"{size >> shift}{unit}"
        return str(size)


def _contradictions(geometry: Geometry) -> list[str]:
    """Return what contradicts itself, in plain words; nothing in a sound geometry."""
    names = [level.name for level in geometry.levels]
    if not _power_of_two(geometry.base_page):
        return [f"base page {geometry.base_page} is no power of two"]
    unknown = [name for name in names if name not in LEVEL_NAMES]
    if unknown:
        return [f"no level is called {unknown[0]!r}; known: {', '.join(LEVEL_NAMES)}"]
    ordered = sorted(set(names), key=LEVEL_NAMES.index)
    if len(names) < 2 or names != ordered or names[0] != "pte" or names[-1] != "pgd":
        return [f"levels {names} do not run from pte to pgd"]
    found = _levels(geometry)
    top = geometry.levels[-1].span
    if not 0 < geometry.task_size <= min(top, HIGHEST_ADDRESS):
        found.append(f"user space of {geometry.task_size} bytes does not fit below the root, which spans {top}")
    if not 2 * geometry.base_page < geometry.default_window <= geometry.task_size + geometry.base_page:
        found.append(f"the default window of {geometry.default_window} bytes does not fit in user space")
    if geometry.kernel_stack <= 0:
        found.append("a process needs a kernel stack")
    for name, tables in geometry.small_process.items():
        if name not in names[:-1] or tables < 0:
            found.append(f"a small process has {tables} tables of level {name}")
    return found + _pages(geometry) + _own_tables(geometry)


def _own_tables(geometry: Geometry) -> list[str]:
    found = []
    names = geometry.index
    for growth in geometry.grows:
        if growth.level not in names or growth.level not in geometry.free_tables_below:
            found.append(f"growth: {growth.level} is no level whose first table every grown process has")
        elif growth.above % geometry.base_page or growth.above <= 0 or growth.vmpte_bytes < 0:
            found.append(f"growth of {growth.level} above {growth.above}")
    return found


def _levels(geometry: Geometry) -> list[str]:
    found = []
    reach = geometry.base_page
    for level in geometry.levels:
        if not (_power_of_two(level.entries) and _power_of_two(level.entry_bytes) and level.table_bytes > 0):
            found.append(f"{level.name}: entries and their size must be powers of two, and a table takes memory")
            break
        if level.entries * reach != level.span:
            found.append(f"{level.name}: {level.entries} entries of {reach} bytes do not span {level.span} bytes")
        if level.content_bytes > level.table_bytes:
            found.append(
                f"{level.name}: {level.entries} entries of {level.entry_bytes} bytes do not fit in a table of "
                f"{level.table_bytes} bytes"
            )
        if level.memory not in ("pages", "fragments", "slab"):
            found.append(f"{level.name}: memory {level.memory!r} is neither pages, fragments nor slab")
        if level.memory == "pages" and level.table_bytes % geometry.base_page:
            found.append(f"{level.name}: a table of {level.table_bytes} bytes is not pages of {geometry.base_page}")
        if level.memory == "fragments" and (
            geometry.base_page % level.table_bytes or level.table_bytes == geometry.base_page
        ):
            found.append(f"{level.name}: a page of {geometry.base_page} is not cut into pieces of {level.table_bytes}")
        if level.memory == "slab" and level.counted_since not in (None, "generic"):
            found.append(f"{level.name}: tables from slab are in no kernel's PageTables")
        reach = level.span
    return found


def _pages(geometry: Geometry) -> list[str]:
    found = []
    for size, name in geometry.huge_pages.items():
        if name not in geometry.index:
            found.append(f"huge page {size}: no level {name}")
            continue
        reach = geometry.level(name).reach
        fits = size % reach == 0 and size > reach if size in geometry.contiguous else size == reach
        if not fits or size <= geometry.base_page:
            found.append(f"huge page {size}: {name} tables have entries of {reach} bytes")
    if not geometry.contiguous <= set(geometry.huge_pages):
        found.append("contiguous sizes that are no huge pages")
    if geometry.default_huge_page not in geometry.huge_pages:
        found.append(f"default huge page {geometry.default_huge_page} is none of its huge pages")
    if geometry.pmd_sharing_since is not None and "pmd" not in geometry.index:
        found.append("PMD tables are shared, but there are none")
    return found


def _power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0
