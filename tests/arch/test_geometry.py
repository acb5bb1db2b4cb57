"""The geometries against tables typed from the architectures' documents, not computed.

Sizes are written as people write them; a number without a unit is bytes.
"""

from __future__ import annotations

import re

import pytest

from ptcalc.arch import arm64, loongarch, powerpc, riscv, s390, x86
from ptcalc.arch.geometry import Geometry
from ptcalc.arch.kernels import costs

KNOWN: dict[str, Geometry] = {
    geometry.name: geometry
    for module in (x86, arm64, riscv, powerpc, s390, loongarch)
    for geometry in module.GEOMETRIES
}
UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}

# level: bytes of its entries / bytes of memory where it is not the same, where that is from, and the span.
TABLES = """
x86_64                  pte 4K 2M, pmd 4K 1G, pud 4K 512G, pgd 4K 256T
x86_64-la57             pte 4K 2M, pmd 4K 1G, pud 4K 512G, p4d 4K 256T, pgd 4K 128P
x86_64-pti              pte 4K 2M, pmd 4K 1G, pud 4K 512G, pgd 4K/8K 256T
x86_64-la57-pti         pte 4K 2M, pmd 4K 1G, pud 4K 512G, p4d 4K 256T, pgd 4K/8K 128P
arm64-4k-va39           pte 4K 2M, pmd 4K 1G, pgd 4K 512G
arm64-4k-va48           pte 4K 2M, pmd 4K 1G, pud 4K 512G, pgd 4K 256T
arm64-4k-va52           pte 4K 2M, pmd 4K 1G, pud 4K 512G, p4d 4K 256T, pgd 128 slab 4P
arm64-16k-va36          pte 16K 32M, pgd 16K 64G
arm64-16k-va47          pte 16K 32M, pmd 16K 64G, pgd 16K 128T
arm64-16k-va48          pte 16K 32M, pmd 16K 64G, pud 16K 128T, pgd 16 slab 256T
arm64-16k-va52          pte 16K 32M, pmd 16K 64G, pud 16K 128T, pgd 256 slab 4P
arm64-64k-va42          pte 64K 512M, pgd 64K 4T
arm64-64k-va48          pte 64K 512M, pmd 64K 4T, pgd 512 slab 256T
arm64-64k-va52          pte 64K 512M, pmd 64K 4T, pgd 8K slab 4P
riscv64-sv39            pte 4K 2M, pmd 4K 1G, pgd 4K 512G
riscv64-sv48            pte 4K 2M, pmd 4K 1G, pud 4K 512G, pgd 4K 256T
riscv64-sv57            pte 4K 2M, pmd 4K 1G, pud 4K 512G, p4d 4K 256T, pgd 4K 128P
ppc64le-64k             pte 256 fragments 2M, pmd 4K fragments 1G, pud 4K slab 512G, pgd 64K 4P
ppc64le-64k-hash        pte 2K/4K fragments 16M, pmd 8K/16K fragments 16G, pud 8K/16K slab 16T, pgd 2K slab 4P
ppc64le-4k              pte 4K 2M, pmd 4K 1G, pud 4K slab 512G, pgd 64K 4P
ppc64le-4k-hash         pte 4K 2M, pmd 1K fragments 256M, pud 4K slab 128G, pgd 4K slab 64T
s390x                   pte 2K/4K 1M, pmd 16K 2G, pud 16K 4T, p4d 16K 8P, pgd 16K 16E
loongarch64-4k          pte 4K 2M, pmd 4K 1G, pud 4K 512G, pgd 4K 256T
loongarch64-4k-3level   pte 4K 2M, pmd 4K 1G, pgd 4K 512G
loongarch64-16k         pte 16K 32M, pmd 16K 64G, pgd 16K 128T
loongarch64-16k-2level  pte 16K 32M, pgd 16K 64G
loongarch64-64k         pte 64K 512M, pmd 64K 4T, pgd 64K 32P
loongarch64-64k-2level  pte 64K 512M, pgd 64K 4T
"""

# base page; hugetlb sizes with the level of their leaf (+: a run of entries, *: the default); the first kernel that
# shares PMD tables; end of user space and of mmap without a hint; kernel stack.
SPACES = """
x86_64                  4K   pmd 2M*, pud 1G                     2.6   128T-4K 128T  16K
x86_64-la57             4K   pmd 2M*, pud 1G                     2.6   64P-4K  128T  16K
x86_64-pti              4K   pmd 2M*, pud 1G                     2.6   128T-4K 128T  16K
x86_64-la57-pti         4K   pmd 2M*, pud 1G                     2.6   64P-4K  128T  16K
arm64-4k-va39           4K   pte 64K+, pmd 2M*, pmd 32M+, pgd 1G 3.11  512G    512G  16K
arm64-4k-va48           4K   pte 64K+, pmd 2M*, pmd 32M+, pud 1G 3.11  256T    256T  16K
arm64-4k-va52           4K   pte 64K+, pmd 2M*, pmd 32M+, pud 1G 3.11  4P      256T  16K
arm64-16k-va36          16K  pte 2M+, pgd 32M*, pgd 1G+          -     64G     64G   16K
arm64-16k-va47          16K  pte 2M+, pmd 32M*, pmd 1G+          4.4   128T    128T  16K
arm64-16k-va48          16K  pte 2M+, pmd 32M*, pmd 1G+          4.4   256T    256T  16K
arm64-16k-va52          16K  pte 2M+, pmd 32M*, pmd 1G+          4.4   4P      128T  16K
arm64-64k-va42          64K  pte 2M+, pgd 512M*, pgd 16G+        -     4T      4T    64K
arm64-64k-va48          64K  pte 2M+, pmd 512M*, pmd 16G+        -     256T    256T  64K
arm64-64k-va52          64K  pte 2M+, pmd 512M*, pmd 16G+        -     4P      256T  64K
riscv64-sv39            4K   pte 64K+, pmd 2M*, pgd 1G           5.3   256G    256G  16K
riscv64-sv48            4K   pte 64K+, pmd 2M*, pud 1G           5.3   128T    128T  16K
riscv64-sv57            4K   pte 64K+, pmd 2M*, pud 1G           5.3   64P     128T  16K
ppc64le-64k             64K  pmd 2M*, pud 1G                     -     4P      128T  32K
ppc64le-64k-hash        64K  pmd 16M*, pud 16G                   -     4P      128T  32K
ppc64le-4k              4K   pmd 2M*, pud 1G                     -     64T     64T   32K
ppc64le-4k-hash         4K   pmd 16M+*, pud 16G+                 -     64T     64T   32K
s390x                   4K   pmd 1M*, pud 2G                     -     4E      4T    16K
loongarch64-4k          4K   pmd 2M*                             -     128T    128T  16K
loongarch64-4k-3level   4K   pmd 2M*                             -     512G    512G  16K
loongarch64-16k         16K  pmd 32M*                            -     128T    128T  16K
loongarch64-16k-2level  16K  pgd 32M*                            -     64G     64G   16K
loongarch64-64k         64K  pmd 512M*                           -     128T    128T  16K
loongarch64-64k-2level  64K  pgd 512M*                           -     4T      4T    16K
"""

ALIASES = {
    "arm64": "arm64-4k-va48", "arm64-4k": "arm64-4k-va48", "arm64-16k": "arm64-16k-va47",
    "arm64-64k": "arm64-64k-va52", "riscv64": "riscv64-sv48", "ppc64le": "ppc64le-64k",
    "loongarch64": "loongarch64-16k",
    # what uname and Debian call them
    "amd64": "x86_64", "aarch64": "arm64-4k-va48", "ppc64el": "ppc64le-64k", "loong64": "loongarch64-16k",
}  # fmt: skip

# name, kernel, level: an allocation takes (and holds so many tables), VmPTE adds for a table, PageTables and
# memory.stat's pagetables add for an allocation (none: no such line).
COUNTERS = """
x86_64            4.14  pte   4K      4K   4K   none
x86_64            4.14  pmd   4K      0    0    none
x86_64            4.14  pgd   4K      0    0    none
x86_64            5.4   pmd   4K      4K   0    none
x86_64            5.10  pmd   4K      4K   4K   none
x86_64            5.15  pmd   4K      4K   4K   4K
x86_64            6.6   pud   4K      4K   0    0
x86_64            6.7   pud   4K      4K   4K   4K
x86_64            6.13  pgd   8K      0    0    0
x86_64            6.14  pgd   8K      0    8K   8K
x86_64            6.16  pgd   4K      0    4K   4K
x86_64-pti        4.14  pgd   4K      0    0    none
x86_64-pti        6.1   pgd   8K      0    0    0
x86_64-pti        7.2   pgd   8K      0    8K   8K
x86_64-la57       6.12  p4d   4K      0    0    0
x86_64-la57       6.14  p4d   4K      0    4K   4K
arm64-4k-va52     6.12  p4d   4K      0    0    0
arm64-4k-va52     7.2   p4d   4K      0    4K   4K
arm64-4k-va52     7.2   pgd   128     0    0    0
arm64-16k-va48    6.12  pud   16K     16K  16K  16K
arm64-64k-va52    7.2   pte   64K     64K  64K  64K
riscv64-sv48      6.12  pgd   4K      0    0    0
riscv64-sv48      6.14  pgd   4K      0    4K   4K
ppc64le-64k       6.1   pte   64K:256 256  64K  64K
ppc64le-64k       7.2   pmd   64K:16  4K   64K  64K
ppc64le-64k       7.2   pud   4K      4K   0    0
ppc64le-64k       7.2   pgd   64K     0    0    0
ppc64le-64k-hash  7.2   pte   64K:16  2K   64K  64K
ppc64le-64k-hash  7.2   pmd   64K:4   8K   64K  64K
ppc64le-64k-hash  7.2   pud   16K     8K   0    0
ppc64le-4k        7.2   pte   4K      4K   4K   4K
ppc64le-4k        7.2   pgd   64K     0    0    0
ppc64le-4k-hash   7.2   pmd   4K:4    1K   4K   4K
s390x             6.1   pte   4K:2    2K   4K   0
s390x             6.7   pte   4K      2K   4K   0
s390x             7.2   pte   4K      2K   4K   4K
s390x             6.1   pmd   16K     16K  4K   0
s390x             6.6   pmd   16K     16K  16K  0
s390x             6.12  pmd   16K     16K  16K  16K
s390x             6.12  pud   16K     16K  0    0
s390x             6.14  pud   16K     16K  16K  16K
s390x             6.12  p4d   16K     0    0    0
s390x             7.2   p4d   16K     0    16K  16K
loongarch64-4k    7.2   pmd   4K      4K   4K   4K
loongarch64-4k    7.2   pud   4K      4K   4K   0
loongarch64-16k   6.12  pgd   16K     0    0    0
loongarch64-16k   7.2   pgd   16K     0    16K  16K
"""


def size(text: str) -> int:
    """Read 4K, 128 or 128T-4K."""
    whole, *less = text.split("-")
    match = re.fullmatch(r"(\d+)([KMGTPE]?)", whole)
    assert match is not None, text
    return (int(match[1]) << UNITS[match[2]]) - sum(map(size, less))


def rows(table: str) -> list[tuple[str, str]]:
    """Return the name and the rest of each row."""
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in table.strip().splitlines())]


def version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


@pytest.mark.parametrize("table", [TABLES, SPACES])
def test_every_geometry_stands_in_the_tables(table: str) -> None:
    assert sorted(name for name, _ in rows(table)) == sorted(KNOWN)


@pytest.mark.parametrize(("name", "row"), rows(TABLES), ids=lambda text: text.split()[0])
def test_tables(name: str, row: str) -> None:
    expected = []
    for cell in row.split(", "):
        level, sizes, *memory, span = cell.split()
        content, _, taken = sizes.partition("/")
        expected.append((level, size(content), size(taken or content), (memory or ["pages"])[0], size(span)))
    assert expected == [
        (level.name, level.content_bytes, level.table_bytes, level.memory, level.span) for level in KNOWN[name].levels
    ]


@pytest.mark.parametrize(("name", "row"), rows(SPACES), ids=lambda text: text.split()[0])
def test_pages_and_addresses(name: str, row: str) -> None:
    geometry = KNOWN[name]
    match = re.fullmatch(r"(\w+) +(.*?) +([\d.]+|-) +(\S+) +(\w+) +(\w+)", row)
    assert match is not None
    page, huge, since, end, window, stack = match.groups()
    pages = {size(text.rstrip("+*")): (level, text) for level, text in (cell.split() for cell in huge.split(", "))}
    assert geometry.base_page == size(page)
    assert dict(geometry.huge_pages) == {bytes_: level for bytes_, (level, _) in pages.items()}
    assert geometry.contiguous == {bytes_ for bytes_, (_, text) in pages.items() if "+" in text}
    assert [geometry.default_huge_page] == [bytes_ for bytes_, (_, text) in pages.items() if "*" in text]
    assert geometry.pmd_sharing_since == (None if since == "-" else version(since))
    assert (geometry.task_size, geometry.default_window) == (size(end), size(window))
    assert geometry.kernel_stack == size(stack)


def test_aliases() -> None:
    assert {alias: name for name, geometry in KNOWN.items() for alias in geometry.aliases} == ALIASES
    assert not set(ALIASES) & set(KNOWN)


@pytest.mark.parametrize(("name", "row"), rows(COUNTERS), ids=lambda text: "-".join(text.split()[:2]))
def test_counters(name: str, row: str) -> None:
    kernel, level, allocation, vmpte, page_tables, memcg = row.split()
    (cost,) = (cost for cost in costs(KNOWN[name], version(kernel)) if cost.level == level)
    taken, _, tables = allocation.partition(":")
    assert (cost.allocation, cost.per_allocation) == (size(taken), int(tables or 1))
    assert (cost.vmpte, cost.page_tables) == (size(vmpte), size(page_tables))
    assert cost.memcg == (None if memcg == "none" else size(memcg))


def test_s390x_grows_with_the_address() -> None:
    geometry = KNOWN["s390x"]
    assert geometry.root_bytes == size("16K")
    assert [(growth.above, growth.level, growth.vmpte_bytes) for growth in geometry.grows] == [
        (size("4T"), "p4d", size("16K")),
        (size("8P"), "pgd", 0),
    ]


@pytest.mark.parametrize(
    ("name", "kernel", "expected"),
    [
        ("x86_64", "7.2", "48K"), ("x86_64", "6.12", "52K"), ("x86_64", "4.14", "48K"), ("x86_64-pti", "7.2", "52K"),
        ("x86_64-la57", "7.2", "52K"), ("s390x", "7.2", "92K"), ("s390x", "6.1", "80K"), ("ppc64le-64k", "7.2", "200K"),
        ("ppc64le-64k-hash", "7.2", "162K"), ("ppc64le-4k-hash", "7.2", "40K"), ("riscv64-sv39", "7.2", "40K"),
        ("arm64-16k-va36", "7.2", "80K"), ("arm64-64k-va42", "7.2", "320K"),
    ],
)  # fmt: skip
def test_tables_of_a_small_process(name: str, kernel: str, expected: str) -> None:
    assert KNOWN[name].at(version(kernel)).process_tables == size(expected)


@pytest.mark.parametrize(
    ("name", "kernel", "field", "expected"),
    [
        ("ppc64le-64k", "6.1", "kernel_stack", size("16K")),
        ("ppc64le-64k", "6.8", "kernel_stack", size("32K")),
        ("riscv64-sv48", "6.1", "contiguous", frozenset()),
        ("riscv64-sv48", "6.4", "contiguous", frozenset({size("64K")})),
        ("riscv64-sv48", "5.2", "pmd_sharing", False),
        ("arm64-16k-va47", "4.3", "pmd_sharing", False),
        ("arm64-16k-va47", "4.4", "pmd_sharing", True),
        ("ppc64le-64k", "7.2", "thp_keeps_tables", False),
        ("ppc64le-64k-hash", "7.2", "thp_keeps_tables", True),
        ("ppc64le-4k-hash", "7.2", "has_thp", False),
        ("s390x", "7.2", "has_thp", True),
        # a PMD leaf of 2^13 pages against folios of at most 2^11 (measured: tmpfs of a 64 KiB kernel gets none)
        ("arm64-64k-va48", "7.2", "has_file_thp", False),
        ("arm64-64k-va52", "6.1", "has_file_thp", False),
        ("arm64-64k-va48", "5.4", "has_file_thp", True),
        ("arm64-16k-va47", "7.2", "has_file_thp", True),
        ("loongarch64-64k", "7.2", "has_file_thp", False),
        ("ppc64le-64k-hash", "7.2", "has_file_thp", True),
        ("ppc64le-4k-hash", "7.2", "has_file_thp", False),
    ],
)
def test_kernels_differ(name: str, kernel: str, field: str, expected: object) -> None:
    assert getattr(KNOWN[name].at(version(kernel)), field) == expected
