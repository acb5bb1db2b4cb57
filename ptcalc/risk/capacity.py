"""What a host can give: installed memory less page array, watermarks and lowmem reserve."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING

from ptcalc.engine.numbers import Number, smaller
from ptcalc.result import LedgerItem
from ptcalc.risk import constants
from ptcalc.risk.amounts import exact
from ptcalc.risk.constants import KIB

if TYPE_CHECKING:
    from ptcalc.arch import Geometry
    from ptcalc.risk.config import Config
    from ptcalc.workload.model import Host


@dataclass(frozen=True, slots=True)
class Zones:
    """Populated zones up to Normal over all nodes, and the sizes (bytes) that decide the lowmem reserve."""

    count: int
    low: int  # zones below Normal on node 0, together
    normal: int  # Normal of the node that has them


def zones(mem_total: int, nodes: int, geometry: Geometry) -> Zones:
    """Return the zones of a machine whose nodes are of one size.

    A node 0 that fits below the PCI hole has no Normal zone; every further node has one Normal zone.
    """
    low = geometry.low_zones
    here = mem_total // nodes
    if low is None:
        return Zones(nodes, 0, here)
    normal = max(0, here - low.bytes)
    return Zones(low.zones + (normal > 0) + nodes - 1, min(low.bytes, here), normal)


def min_free(mem_total: int, zone_count: int, pageblock: int, *, thp: bool = True) -> int:
    """Return the bytes that the min watermarks keep free: vm.min_free_kbytes as the kernel sets it.

    ``thp``: khugepaged runs and raises it (it does wherever THP is not `never`).
    """
    lowmem_kb = mem_total // KIB
    least = isqrt(constants.MIN_FREE_FACTOR * lowmem_kb)
    least = min(max(least, constants.MIN_FREE_LEAST_KB), constants.MIN_FREE_MOST_KB)
    if thp:
        wished = pageblock // KIB * zone_count * constants.MIN_FREE_PAGEBLOCKS
        least = max(least, min(wished, lowmem_kb // constants.MIN_FREE_LOWMEM_DIVISOR))
    return least * KIB


def lowmem_reserve(found: Zones, ratio: int) -> int:
    """Return the bytes of the low zones that allocations for Normal must leave alone; ratio 0: none."""
    return min(found.normal // ratio, found.low) if ratio else 0


def host_capacity(host: Host, geometry: Geometry, config: Config) -> tuple[LedgerItem, ...]:
    """Return the terms whose sum is the usable memory of a host, never less than 0.

    MemTotal is `mem_total` where stated, else memory less the page array: an estimate, since the kernel
    image and what firmware keeps are not subtracted.
    """
    if host.mem_total is None:
        pages = host.memory // geometry.base_page
        mem_total = max(0, host.memory - pages * config.page_struct)
        taken = LedgerItem(
            "page array", mem_total - host.memory, "page_array",
            f"{pages:,} pages x {exact(config.page_struct)}",
            "struct page, include/linux/mm_types.h; an estimate of what MemTotal leaves out",
        )  # fmt: skip
    else:
        mem_total = host.mem_total
        taken = LedgerItem(
            "not in MemTotal", mem_total - host.memory, "page_array",
            f"{exact(host.memory)} installed, MemTotal {exact(mem_total)}", "host.mem_total",
        )  # fmt: skip
    found = zones(mem_total, host.numa_nodes, geometry)
    if config.min_free is None:
        marks = min_free(mem_total, found.count, geometry.pmd_size, thp=config.thp_watermarks)
        terms = f"vm.min_free_kbytes of {found.count} zones"
        source = "mm/page_alloc.c:calculate_min_free_kbytes"
        if config.thp_watermarks:
            source += ", mm/khugepaged.c:set_recommended_min_free_kbytes"
    else:
        marks, terms, source = config.min_free, exact(config.min_free), "host.min_free of the config"
    marks = min(marks, mem_total)
    reserve = min(lowmem_reserve(found, config.lowmem_reserve_ratio), mem_total - marks)
    return (
        LedgerItem("installed", host.memory, "installed", exact(host.memory), "host.memory"),
        taken,
        LedgerItem("min watermarks", -marks, "watermarks", terms, source),
        LedgerItem(
            "lowmem reserve", -reserve, "lowmem_reserve",
            f"Normal zone of node 0 ({exact(found.normal)}) / {config.lowmem_reserve_ratio}",
            "mm/page_alloc.c:setup_per_zone_lowmem_reserve",
        ),
    )  # fmt: skip


def used_estimate(memory: Number, config: Config) -> Number:
    """Return an estimate of what all that the file does not describe takes (bytes)."""
    return smaller(config.used_base, memory // config.used_base_divisor) + memory // config.used_share_divisor
