"""The formulas for watermarks, reserve and page array, against the running kernel."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from ptcalc import arch
from ptcalc.risk import constants
from ptcalc.risk.capacity import min_free

pytestmark = pytest.mark.kernel

KIB, PAGE = 1 << 10, 4096
ZONEINFO = Path("/proc/zoneinfo")
THP = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@dataclass
class Zone:
    node: int
    name: str
    min: int
    present: int
    managed: int
    protection: tuple[int, ...]


@pytest.fixture(scope="module")
def zones() -> list[Zone]:
    if not ZONEINFO.exists():
        pytest.skip("no /proc/zoneinfo here")
    found = []
    for text in re.split(r"(?m)^(?=Node )", ZONEINFO.read_text())[1:]:
        head = re.match(r"Node (\d+), zone +(\w+)", text)
        assert head is not None

        def number(name: str, text: str = text) -> int:
            match = re.search(rf"(?m)^ +{name} +(\d+)$", text)
            return int(match[1]) if match else 0

        protection = re.search(r"protection: \(([\d, ]+)\)", text)
        numbers = tuple(int(part) for part in protection[1].split(",")) if protection else ()
        found.append(Zone(int(head[1]), head[2], number("min"), number("present"), number("managed"), numbers))
    if not any(zone.name == "DMA32" for zone in found):
        pytest.skip("no DMA32 zone: the formulas are those of x86_64")
    return found


def mem_total() -> int:
    match = re.search(r"MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text())
    assert match is not None
    return int(match[1]) * KIB


def stated_by_an_administrator() -> str | None:
    """Return the file that sets vm.min_free_kbytes on this machine, if any."""
    places = [
        Path("/etc/sysctl.conf"),
        *(p for d in ("/etc", "/usr/lib", "/run") for p in Path(d, "sysctl.d").glob("*")),
    ]
    for path in places:
        if path.is_file() and re.search(r"(?m)^\s*vm[./]min_free_kbytes", path.read_text(errors="replace")):
            return str(path)
    return None


def test_min_free_kbytes(zones: list[Zone]) -> None:
    by = stated_by_an_administrator()
    if by is not None:
        pytest.skip(f"vm.min_free_kbytes is set by {by}")
    thp = THP.exists() and "[never]" not in THP.read_text()
    populated = [zone for zone in zones if zone.managed and zone.name in ("DMA", "DMA32", "Normal")]
    read = int(Path("/proc/sys/vm/min_free_kbytes").read_text()) * KIB

    expected = min_free(mem_total(), len(populated), arch.get("x86_64").pmd_size, thp=thp)

    assert read == pytest.approx(expected, rel=0.02)


def test_the_min_watermarks_share_it(zones: list[Zone]) -> None:
    read = int(Path("/proc/sys/vm/min_free_kbytes").read_text()) * KIB

    marks = sum(zone.min for zone in zones if zone.name in ("DMA", "DMA32", "Normal")) * PAGE

    assert marks == pytest.approx(read, rel=0.02)


def test_the_lowmem_reserve_is_a_share_of_normal(zones: list[Zone]) -> None:
    dma32 = next(zone for zone in zones if zone.name == "DMA32")
    normal = [zone for zone in zones if zone.name == "Normal" and zone.node == dma32.node and zone.managed]
    if not normal:
        pytest.skip("no Normal zone on the node of DMA32")
    ratio = int(Path("/proc/sys/vm/lowmem_reserve_ratio").read_text().split()[1])

    assert ratio == constants.LOWMEM_RESERVE_RATIO
    assert dma32.protection[2] == normal[0].managed // ratio


def test_mem_total_is_memory_less_the_page_array(zones: list[Zone]) -> None:
    memory = sum(zone.present for zone in zones) * PAGE

    expected = memory - memory // PAGE * constants.PAGE_STRUCT

    # What MemTotal lacks besides: the kernel image, its early allocations, what firmware keeps.
    assert 0.95 * expected <= mem_total() <= expected
