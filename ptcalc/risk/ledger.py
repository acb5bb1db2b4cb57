"""The ledger: what the workload demands of host and cgroup, item by item, against what they can give.

Every line of demand is a `Line`: one rule that gives its bytes for any process counts.  Totals, the search
for the largest count and the items that a report shows all come from these lines: they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from ptcalc.engine.numbers import Number, chosen, larger, smaller, times
from ptcalc.result import RISK_ORDER, LedgerItem, Memory, RiskLevel
from ptcalc.risk import levels
from ptcalc.risk.amounts import exact
from ptcalc.risk.capacity import host_capacity, used_estimate
from ptcalc.risk.constants import XARRAY_SHIFT
from ptcalc.risk.segments import SegmentDemand

if TYPE_CHECKING:
    from ptcalc.arch import Geometry
    from ptcalc.risk.config import Config
    from ptcalc.risk.demanding import Demanding
    from ptcalc.workload.model import Workload

Counts = Sequence[Number]
Boundary = Literal["host", "cgroup"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of demand: ``amount(counts)`` gives (bytes, of these swappable), ``terms(counts)`` why."""

    name: str
    kind: str
    source: str
    amount: Callable[[Counts], tuple[Number, Number]]
    terms: Callable[[Counts], str]
    in_cgroup: bool = True

    def item(self, counts: Counts) -> LedgerItem:
        """Return the line as a report shows it."""
        size, swappable = self.amount(counts)
        return LedgerItem(self.name, size, self.kind, self.terms(counts), self.source, swappable)


@dataclass(frozen=True, slots=True)
class Demand:
    """Demand on both boundaries (bytes), and how much of either can go to swap."""

    host: Number
    cgroup: Number
    swappable: Number

    def on(self, boundary: Boundary) -> Number:
        """Return the demand on a boundary."""
        return self.host if boundary == "host" else self.cgroup


class Ledger:
    """The memory of one policy's outcome, for any process counts in the order of the groups.

    What follows from no workload as written but from a state (`Demanding.follows_counts` false) is asked for its own
    counts only.
    """

    def __init__(self, outcome: Demanding, config: Config) -> None:
        self.outcome = outcome
        self.config = config
        workload = outcome.workload
        self.swap = workload.host.swap
        self.host_terms, usable = _host(workload, config)
        self.capacity: dict[Boundary, Number] = {"host": usable}
        if workload.host.cgroup_limit is not None:
            self.capacity["cgroup"] = workload.host.cgroup_limit
        self.lines = _lines(outcome, config)

    def demand(self, counts: Counts) -> Demand:
        """Return the demand of that many processes."""
        host: Number = 0
        cgroup: Number = 0
        swappable: Number = 0
        for line in self.lines:
            size, swaps = line.amount(counts)
            # Not in place: sums may be columns that belong to others, or need a wider type than their terms.
            host = host + size
            cgroup = cgroup + (size if line.in_cgroup else 0)
            swappable = swappable + swaps
        return Demand(host, cgroup, swappable)

    def level(self, demand: Demand) -> RiskLevel:
        """Return the worse of the boundaries' levels."""
        return RISK_ORDER[self.levels(demand)]

    def levels(self, demand: Demand) -> Number:
        """Return the same by its place in RISK_ORDER, of every scenario."""
        swap = smaller(self.swap, demand.swappable)
        worst: Number = 0
        for boundary, capacity in self.capacity.items():
            worst = larger(worst, levels.level(capacity, demand.on(boundary), swap, self.config))
        return worst

    def room(self, demand: Demand, accepted: RiskLevel) -> tuple[Number, Number]:
        """Return how far a demand is from the end of a level (see `levels.room`), and the place of the boundary."""
        swap = smaller(self.swap, demand.swappable)
        return _tightest(
            [
                levels.room(capacity, demand.on(boundary), swap, accepted, self.config)
                for boundary, capacity in self.capacity.items()
            ]
        )

    def tightest(self, demand: Demand) -> tuple[Number, Number]:
        """Return the least headroom (bytes), and the place of its boundary in `capacity`: the host if both have it."""
        return _tightest([capacity - demand.on(boundary) for boundary, capacity in self.capacity.items()])

    def memory(self, counts: Counts) -> Memory:
        """Return the boundary with less headroom, the host if both have the same."""
        demand = self.demand(counts)
        boundary = tuple(self.capacity)[self.tightest(demand)[1]]
        capacity, need = self.capacity[boundary], demand.on(boundary)
        short = max(0, need - capacity)
        host = boundary == "host"
        return Memory(
            boundary=boundary,
            capacity_bytes=capacity,
            demand_bytes=need,
            headroom_bytes=capacity - need,
            items=tuple(line.item(counts) for line in self.lines if host or line.in_cgroup),
            capacity_terms=self.host_terms if host else (_cgroup_term(capacity),),
            swap_used_bytes=short if short <= min(self.swap, demand.swappable) else 0,
        )


def _tightest(rooms: list[Number]) -> tuple[Number, Number]:
    least, place = rooms[0], 0
    for number, room in enumerate(rooms[1:], start=1):
        place = chosen(room < least, number, place)
        least = smaller(least, room)
    return least, place


def _host(workload: Workload, config: Config) -> tuple[tuple[LedgerItem, ...], Number]:
    """Return the terms of what the host can give (of the first scenario), and what they come to (of all)."""
    host = workload.host
    stated = [each for each in (host.memory, host.mem_total) if each is not None]
    if not any(isinstance(each, np.ndarray) for each in stated):
        terms = host_capacity(host, workload.geometry, config)
        return terms, sum(term.bytes for term in terms)
    both = np.broadcast_arrays(*stated)
    different, which = np.unique(np.stack([each.ravel() for each in both]), axis=1, return_inverse=True)
    hosts = [replace(host, **dict(zip(("memory", "mem_total"), each, strict=False))) for each in different.T.tolist()]
    found = [host_capacity(each, workload.geometry, config) for each in hosts]
    usable = np.array([sum(term.bytes for term in terms) for terms in found])
    return found[0], usable[which.reshape(-1)].reshape(both[0].shape)


def index_nodes(pages: Number, order: int = 0) -> Number:
    """Return the xarray nodes that index `pages` folios of 2**order base pages, from offset 0 of a file.

    An entry of order o lies in a node whose slots span 64**(o // 6) base pages; above it every level holds
    one node for each 64 nodes, up to a single one (lib/xarray.c:xas_create).
    """
    slots = -(-(pages << order) >> XARRAY_SHIFT * (order // XARRAY_SHIFT))
    nodes: Number = 0
    while slots.any() if isinstance(slots, np.ndarray) else slots:
        slots = -(-slots >> XARRAY_SHIFT)
        nodes = nodes + slots
        slots = slots * (slots > 1)
    return nodes


def _lines(outcome: Demanding, config: Config) -> tuple[Line, ...]:
    workload = outcome.workload
    geometry = workload.geometry
    memory = SegmentDemand(outcome, geometry)
    sizes = sorted({*(workload.host.hugepages or ()), *memory.pool_sizes})
    return (
        *_page_tables(outcome, geometry),
        *_second_level(outcome),
        *(_segment(workload, memory, number) for number in memory.in_ledger),
        *(_pool(workload, geometry, memory, size) for size in sizes),
        _index(geometry, memory, sizes, config),
        *_processes(workload, geometry, config),
        *([host_mm(outcome)] if np.any(outcome.host_mm_bytes(outcome.counts)) else ()),
        _used(workload, config),
    )  # fmt: skip


def _page_tables(outcome: Demanding, geometry: Geometry) -> Iterator[Line]:
    """Yield the tables of the mappings: those that a memory cgroup is charged, and those that it is not."""
    for charged in (True, False):
        if any(level.charged == charged for level in geometry.added_levels):

            def used(counts: Counts, charged: bool = charged) -> Number:
                return outcome.page_tables_used(counts, charged=charged)

            yield Line(
                "page tables" if charged else "page tables, in no cgroup", "page_tables",
                "the tables of all mappings in the file, shared ones once",
                lambda counts, used=used: (used(counts), 0),  # type: ignore[misc]
                lambda counts, used=used: _tables(used(counts), geometry),  # type: ignore[misc]
                in_cgroup=charged,
            )  # fmt: skip


def _second_level(outcome: Demanding) -> Iterator[Line]:
    """Yield the tables of guests: kernel memory that is charged to the emulator's cgroup, and never swapped."""
    found = outcome.second_levels
    if not found:
        return
    page = outcome.context.geometry.base_page

    def terms(counts: Counts) -> str:
        each = (f"{one.kind.upper()}: {one.used(counts) // page:,} tables x {exact(page)}" for one in found)
        return f"{'; '.join(each)}, roots included"

    yield Line(
        "second-level tables (SecPageTables)", "second_level", "; ".join(one.source for one in found),
        lambda counts: (sum(one.used(counts) for one in found), 0), terms,
    )  # fmt: skip


def _tables(used: int, geometry: Geometry) -> str:
    """Say how many tables that is, where tables of all levels have one size."""
    sizes = {level.table_bytes for level in geometry.added_levels}
    if len(sizes) > 1 or any(level.memory == "fragments" for level in geometry.added_levels):
        return exact(used)
    (size,) = sizes
    return f"{used // size:,} tables x {exact(size)}"


def _segment(workload: Workload, memory: SegmentDemand, number: int) -> Line:
    name, backing = memory.names[number], memory.backings[number]
    swappable = not memory.locked[number]

    def amount(counts: Counts) -> tuple[Number, Number]:
        size = memory.shared(counts, number) + memory.copies(counts, number)
        return size, size if swappable else 0

    def terms(counts: Counts) -> str:
        shared, copies = memory.shared(counts, number), memory.copies(counts, number)
        parts = []
        if backing == "file":
            parts.append("page cache that can be written back and dropped: 0 B")
        elif backing != "private":
            each = "" if workload.segments[name].per is None else f" in {memory.many(counts, number):,} copies"
            parts.append(f"resident {exact(shared)}{each}")
        if copies or backing == "private":
            parts.append(f"copies of single processes {exact(copies)}")
        return " + ".join(parts) + ("" if swappable else ", locked")

    stated = workload.stated(("segments", name, "resident"))
    source = f"segments.{name}.resident" + ("" if stated else " (default)")
    return Line(memory.label(number), "segment", source, amount, terms)


def _pool(workload: Workload, geometry: Geometry, memory: SegmentDemand, size: int) -> Line:
    pages = (workload.host.hugepages or {}).get(size)
    stated = 0 if pages is None else pages * size

    def terms(counts: Counts) -> str:
        need = memory.pool_need(counts, size)
        if stated > need:
            return f"{pages:,} pages reserved, {-(-need // size):,} needed"
        return f"{-(-need // size):,} x {exact(size)}"

    return Line(
        f"huge pages ({geometry.huge_page_name(size)})", "pool",
        "what the segments need" if pages is None else "host.hugepages, or what the segments need if more",
        lambda counts: (larger(stated, memory.pool_need(counts, size)), 0), terms, in_cgroup=False,
    )  # fmt: skip


def _index(geometry: Geometry, memory: SegmentDemand, sizes: Sequence[int], config: Config) -> Line:
    thp_order = (geometry.thp_size // geometry.base_page).bit_length() - 1
    # Since 6.7 hugetlb pages are indexed by base page as well (commit a08c7193e4f1).
    orders = {size: (size // geometry.base_page).bit_length() - 1 for size in sizes}

    def nodes(counts: Counts) -> Number:
        total: Number = 0
        for many, small, huge in memory.indexed(counts):
            total = total + times(many, index_nodes(small) + index_nodes(huge, thp_order))
        return total + sum(
            index_nodes(-(-memory.pool_need(counts, size) // size), order) for size, order in orders.items()
        )

    return Line(
        "page-cache index", "index", "lib/xarray.c: a node for 64 entries, at every level",
        lambda counts: (nodes(counts) * config.index_node, 0),
        lambda counts: f"{nodes(counts):,} nodes x {exact(config.index_node)}",
    )  # fmt: skip


def process_costs(workload: Workload, geometry: Geometry, config: Config) -> tuple[list[Number], list[Number]]:
    """Return what one process of each group has beside the mappings, bytes: base tables; kernel stacks and slab."""
    leaf, page = geometry.levels[0], geometry.base_page
    begun = geometry.small_process.get(leaf.name, 0)
    small = geometry.process_tables if config.process_tables is None else config.process_tables
    tables, kernel = [], []
    for group in workload.processes.values():
        all_ = begun - (-group.private // geometry.pmd_size)
        more = leaf.allocations(all_, page) - leaf.allocations(begun, page)
        default = small + more * leaf.allocation_bytes(page)
        tables.append(default if group.base_tables is None else group.base_tables)
        stack = geometry.kernel_stack if config.kernel_stack is None else config.kernel_stack
        kernel.append(stack + config.process_slab + (group.threads - 1) * (stack + config.thread_slab))
    return tables, kernel


def _processes(workload: Workload, geometry: Geometry, config: Config) -> tuple[Line, ...]:
    """Return what every process has beside the mappings: base tables, kernel memory, private memory."""
    groups = workload.processes
    tables, kernel = process_costs(workload, geometry, config)
    private = [group.private for group in groups.values()]
    caps = [group.private_cap for group in groups.values()]
    names = list(groups)

    def linear(rates: list[Number], counts: Counts) -> tuple[Number, Number]:
        return sum(times(count, rate) for count, rate in zip(counts, rates, strict=True)), 0

    def capped(counts: Counts) -> tuple[Number, Number]:
        total = sum(
            times(count, rate) if cap is None else smaller(times(count, rate), cap)
            for count, rate, cap in zip(counts, private, caps, strict=True)
        )
        return total, total

    return (
        Line(
            "base tables", "base",
            "base_tables; by default a small process, and a PTE table for each PMD of private memory",
            partial(linear, tables), partial(_products, names, tables),
            in_cgroup=any(level.charged for level in geometry.levels),
        ),
        Line(
            "kernel stacks and slab", "kernel",
            "include/asm/page_64_types.h:THREAD_SIZE; slab of a small process (6.18)",
            partial(linear, kernel), partial(_products, names, kernel),
        ),
        Line(
            "private memory", "private", "processes.*.private",
            capped, partial(_products, names, private, caps=caps),
        ),
    )  # fmt: skip


def _products(names: list[str], rates: list[int], counts: Counts, caps: list[int | None] | None = None) -> str:
    """Say quantity x rate of each group; only the first three of many."""
    parts = []
    for number, (name, rate, count) in enumerate(zip(names, rates, counts, strict=True)):
        cap = caps[number] if caps else None
        bound = f", at most {exact(cap)}" if cap is not None and count * rate > cap else ""
        parts.append(f"{name}: {count:,} x {exact(rate)}{bound}")
    more = f"; and {len(parts) - 3} groups more" if len(parts) > 3 else ""
    return "; ".join(parts[:3]) + more


def host_mm(outcome: Demanding) -> Line:
    """Return the line of the host mms of mshare regions."""
    return Line(
        "mshare host mm", "host_mm", "the root of each region's host mm (mshare v3)",
        lambda counts: (outcome.host_mm_bytes(counts), 0), lambda counts: exact(outcome.host_mm_bytes(counts)),
    )  # fmt: skip


def _used(workload: Workload, config: Config) -> Line:
    stated = workload.host.used
    size = used_estimate(workload.host.memory, config) if stated is None else stated
    source = "host.used" if stated is not None else (
        f"estimate: {exact(config.used_base)}, at most a {config.used_base_divisor}th of memory,"
        f" and 1/{config.used_share_divisor} of memory"
    )  # fmt: skip
    return Line(
        "everything else", "used", source,
        lambda counts: (size, 0), lambda counts: exact(size), in_cgroup=False,
    )  # fmt: skip


def _cgroup_term(limit: int) -> LedgerItem:
    return LedgerItem("cgroup limit", limit, "cgroup_limit", exact(limit), "host.cgroup_limit")
