"""``ptcalc arch``: the known architectures, and one of them drawn: how an address is split, and what its tables take.

A renderer over `ptcalc.arch.Geometry`; what a counter reads comes from `ptcalc.arch.kernels`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ptcalc.arch import Geometry, Level
from ptcalc.arch.kernels import Kernel, TableCost, costs
from ptcalc.report import format as fmt
from ptcalc.report.page import Cell, Column, Page, Screen

Json = dict[str, Any]

LIST_SCHEMA, SHOW_SCHEMA = "ptcalc.arch-list/1", "ptcalc.arch/1"
# The narrowest field of the drawing: "offset" and a blank at each side.
FIELD = 8
NOT_COUNTED = "-"
PTE_SPAN = "PTE span"


class Field(NamedTuple):
    """The bits of an address, ``low`` to ``high``, that are an index into a table of ``level``, or the offset."""

    level: str
    high: int
    low: int


class Leaf(NamedTuple):
    """Pages of ``bytes`` that ``entries`` entries of one table of ``level`` map; ``kind``: base, hugetlb or thp."""

    bytes: int
    level: str
    kind: str
    entries: int


def fields(geometry: Geometry) -> list[Field]:
    """Return how an address is split, from the root's index to the offset into a base page."""
    split = [Field(level.name, _bits(level.span) - 1, _bits(level.reach)) for level in reversed(geometry.levels)]
    return [*split, Field("offset", _bits(geometry.base_page) - 1, 0)]


def leaves(geometry: Geometry) -> list[Leaf]:
    """Return the pages that can be mapped, the smallest first, THP behind hugetlb of the same size."""
    found = [Leaf(geometry.base_page, "pte", "base", 1)]
    for size, level in geometry.huge_pages.items():
        found.append(Leaf(size, level, "hugetlb", size // geometry.level(level).reach))
    if geometry.has_thp:
        found.append(Leaf(geometry.thp_size, geometry.levels[1].name, "thp", 1))
    return sorted(found, key=lambda leaf: (leaf.bytes, leaf.kind))


def address_bits(geometry: Geometry) -> int:
    """Return how many bits the highest address of user space needs."""
    return (geometry.task_size - 1).bit_length()


def list_to_dict(geometries: Iterable[Geometry]) -> Json:
    """Return what ``ptcalc arch list --format json`` prints; sizes in bytes."""
    return {"schema": LIST_SCHEMA, "architectures": [_summary(geometry) for geometry in geometries]}


def render_list(geometries: Iterable[Geometry], screen: Screen) -> str:
    """Return the architectures as a table, and below it the short names that some have."""
    known = list(geometries)
    columns = [
        Column("architecture", right=False),
        Column("page"),
        Column("levels"),
        Column("VA"),
        Column(PTE_SPAN),
        Column("hugetlb", right=False),
        Column("THP"),
        Column("shared", right=False),
    ]
    rows: list[list[Cell]] = [
        [
            (geometry.name, "bold"),
            geometry.huge_page_name(geometry.base_page),
            str(len(geometry.levels)),
            str(address_bits(geometry)),
            geometry.huge_page_name(geometry.pmd_size),
            " ".join(map(geometry.huge_page_name, sorted(geometry.huge_pages))),
            geometry.huge_page_name(geometry.thp_size) if geometry.has_thp else "-",
            "yes" if geometry.pmd_sharing else "-",
        ]
        for geometry in known
    ]
    page = Page(screen)
    page.table(columns, rows, leave_out=[(PTE_SPAN,)])
    page.blank()
    page.say(
        f"VA: address bits of user space. {PTE_SPAN}: what a PTE table spans. "
        "shared: PMD tables of hugetlb are (PMD sharing)."
    )
    if any(geometry.aliases for geometry in known):
        page.heading("SHORT NAMES")
        for geometry in known:
            if geometry.aliases:
                page.say(", ".join(geometry.aliases), label=f"{geometry.name}: ")
    return page.text()


def show_to_dict(geometry: Geometry, kernel: Kernel) -> Json:
    """Return what ``ptcalc arch show --format json`` prints; sizes and addresses in bytes.

    ``counters`` are what each table of a level adds to VmPTE, and what each allocation of ``allocation_bytes``, which
    holds ``tables_per_allocation``, adds to PageTables and to `pagetables` in memory.stat (null: no such line).
    """
    shown = geometry.at(kernel.version)
    split = {field.level: field for field in fields(shown)}
    return {
        "schema": SHOW_SCHEMA,
        **_summary(shown),
        "kernel": kernel.text,
        "changed_with": [f"{major}.{minor}" for major, minor in _changed_with(geometry)],
        "task_size": shown.task_size,
        "default_window": shown.default_window,
        "address": [field._asdict() for field in split.values()],
        "tables": [
            {
                "level": level.name,
                "entries": level.entries,
                "entry_bytes": level.entry_bytes,
                "span_bytes": level.span,
                "entry_maps_bytes": level.reach,
                "table_bytes": level.table_bytes,
                "memory": level.memory,
                "allocation_bytes": cost.allocation,
                "tables_per_allocation": cost.per_allocation,
                "counters": {
                    "vmpte_bytes": cost.vmpte,
                    "page_tables_bytes": cost.page_tables,
                    "memory_stat_bytes": cost.memcg,
                },
            }
            for level, cost in _with_costs(shown, kernel)
        ],
        "leaves": [leaf._asdict() for leaf in leaves(shown)],
        "grows": [{"above": growth.above, "level": growth.level} for growth in shown.grows],
        "free_tables_below": dict(shown.free_tables_below),
        "thp_keeps_tables": shown.thp_keeps_tables,
        "kernel_stack_bytes": shown.kernel_stack,
        "process_tables_bytes": shown.process_tables,
        "source": shown.source,
    }


def render_show(geometry: Geometry, kernel: Kernel, screen: Screen) -> str:
    """Return one architecture as text: the split of an address, tables, pages, counters and what a process pays."""
    shown = geometry.at(kernel.version)
    page = Page(screen)
    page.say((shown.name, "bold"), f": {shown.title}")
    called = f"also called {', '.join(shown.aliases)}; " if shown.aliases else ""
    page.say((f"{called}Linux {kernel.text}", "dim"))
    _drawing(page, shown, screen)
    _tables(page, shown)
    _leaves(page, shown)
    _counters(page, shown, kernel)
    _notes(page, shown)
    changes = [f"{major}.{minor}" for major, minor in _changed_with(geometry)]
    if changes:
        page.say(
            f"Linux {', '.join(changes)}; --kernel shows how they were before", label="these figures changed with: "
        )
    page.say(shown.source, label="source: ")
    return page.text()


def _summary(geometry: Geometry) -> Json:
    return {
        "name": geometry.name,
        "title": geometry.title,
        "aliases": list(geometry.aliases),
        "base_page_bytes": geometry.base_page,
        "levels": [level.name for level in geometry.levels],
        "user_address_bits": address_bits(geometry),
        "pte_table_span_bytes": geometry.pmd_size,
        "huge_pages": [
            {"bytes": size, "level": geometry.huge_pages[size], "contiguous": size in geometry.contiguous}
            for size in sorted(geometry.huge_pages)
        ],
        "default_huge_page_bytes": geometry.default_huge_page,
        "thp_bytes": geometry.thp_size if geometry.has_thp else None,
        "pmd_sharing": geometry.pmd_sharing,
    }


def _drawing(page: Page, geometry: Geometry, screen: Screen) -> None:
    """Draw the address, a column for each bit where there is room for its name; not on a screen that is narrower."""
    page.heading("AN ADDRESS")
    numbers, line, names = "", "+", "|"
    for level, high, low in fields(geometry):
        width = max(high - low + 1, FIELD)
        numbers += f" {high}{low:>{width - len(str(high))}}" if high > low else f" {high:^{width}}"
        line += "-" * width + "+"
        names += f"{level:^{width}}|"
    if screen.width is None or len(line) <= screen.width:
        for row in (numbers, line, names, line):
            page.say(row)
    end = f"User space ends at {geometry.task_size:#x} ({address_bits(geometry)} bits)"
    if geometry.default_window < geometry.task_size:
        end += f"; without a hint, mmap stays below {geometry.default_window:#x}"
    page.say(f"{end}.")


def _tables(page: Page, geometry: Geometry) -> None:
    page.heading("TABLES")
    columns = [
        Column("level", right=False),
        Column("bits", right=False),
        Column("entries"),
        Column("of"),
        Column("a table takes"),
        Column("from", right=False),
        Column("it spans"),
        Column("an entry maps"),
    ]
    split = {field.level: field for field in fields(geometry)}
    page.table(
        columns,
        [
            [
                level.name,
                _span_of_bits(split[level.name]),
                f"{level.entries:,}",
                fmt.whole(level.entry_bytes),
                fmt.whole(level.table_bytes),
                level.memory,
                fmt.whole(level.span),
                fmt.whole(level.reach),
            ]
            for level in reversed(geometry.levels)
        ],
    )


def _span_of_bits(field: Field) -> str:
    return f"{field.high}-{field.low}" if field.high > field.low else str(field.high)


def _leaves(page: Page, geometry: Geometry) -> None:
    page.heading("PAGES")
    columns = [Column("size"), Column("in a table of", right=False), Column("as", right=False)]
    page.table(
        columns,
        [[fmt.whole(leaf.bytes), leaf.level, _meaning(leaf, geometry)] for leaf in leaves(geometry)],
    )


def _meaning(leaf: Leaf, geometry: Geometry) -> str:
    if leaf.kind == "base":
        return "base page"
    if leaf.kind == "thp":
        return "transparent huge page" if geometry.has_file_thp else "transparent huge page of anonymous memory alone"
    if leaf.entries > 1:
        single = fmt.whole(leaf.bytes // leaf.entries)
        return f"hugetlb, a run of {leaf.entries} entries: saves no tables over {single}"
    return "hugetlb, the default size" if leaf.bytes == geometry.default_huge_page else "hugetlb"


def _counters(page: Page, geometry: Geometry, kernel: Kernel) -> None:
    page.heading(f"COUNTERS (Linux {kernel.text})")
    columns = [
        Column("level", right=False),
        Column("VmPTE"),
        Column("PageTables"),
        Column("memory.stat pagetables"),
        Column("for", right=False),
    ]
    rows: list[list[Cell]] = []
    for level, cost in _with_costs(geometry, kernel):
        memcg = "no such line" if cost.memcg is None else _counted(cost.memcg)
        tables = "a table" if cost.per_allocation == 1 else f"up to {cost.per_allocation} tables"
        rows.insert(0, [level.name, _counted(cost.vmpte), _counted(cost.page_tables), memcg, tables])
    page.table(columns, rows)
    fragments = any(level.memory == "fragments" for level in geometry.levels)
    page.say(f"{NOT_COUNTED}: not counted there.", " VmPTE always counts single tables." if fragments else "")


def _counted(size: int) -> str:
    return fmt.whole(size) if size else NOT_COUNTED


def _notes(page: Page, geometry: Geometry) -> None:
    page.heading("A PROCESS")
    page.say(f"about {fmt.size(geometry.process_tables)}", label="page tables of a small one: ")
    page.say(fmt.whole(geometry.kernel_stack), label="kernel stack: ")
    shared = f"since Linux {'.'.join(map(str, geometry.pmd_sharing_since))}" if geometry.pmd_sharing_since else "no"
    page.say(shared, label="shares PMD tables of hugetlb: ")
    if geometry.thp_keeps_tables:
        page.say("each keeps a PTE table in deposit", label="transparent huge pages of a file: ")
    grown = {growth.level for growth in geometry.grows}
    for growth in geometry.grows:
        table = fmt.whole(geometry.level(growth.level).table_bytes)
        page.say(
            f"one more table, a {growth.level} of {table}, is its root", label=f"mapping above {growth.above:#x}: "
        )
    for name, below in geometry.free_tables_below.items():
        if name not in grown:
            page.say(f"every process has the {name} table anyway", label=f"mapping below {below:#x}: ")
    for level in geometry.levels:
        if level.memory == "fragments":
            page.say(
                f"up to {level.per_allocation(geometry.base_page)} in a page of the process's own",
                label=f"{level.name} tables: ",
            )


def _with_costs(geometry: Geometry, kernel: Kernel) -> Iterable[tuple[Level, TableCost]]:
    return zip(geometry.levels, costs(geometry, kernel.version), strict=True)


def _changed_with(geometry: Geometry) -> list[tuple[int, int]]:
    """Return the kernel versions at which this architecture's own figures changed."""
    return sorted({older.before for older in geometry.older})


def _bits(size: int) -> int:
    """Return the exponent of a power of two."""
    return size.bit_length() - 1
