"""Where the memory was: each page of the machine or cgroup once, as far as the report says."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ptcalc.capture.oomlog import OomReport

Kind = Literal["page_tables", "shared", "private", "pool", "kernel", "cache", "free", "rest"]


class Item(NamedTuple):
    """A use of memory: what it is, bytes, and what kind of memory."""

    name: str
    bytes: int
    kind: Kind


def accounts(report: OomReport) -> tuple[Item, ...]:
    """Return what memory was used for, the largest first, and the free and unexplained parts last.

    Empty where the report says neither how much memory there was nor what it was used for.
    """
    memory = report.memory
    if memory is None:
        return ()
    known = _cgroup(report) if report.cgroup is not None else _host(report)
    known = [item for item in known if item.bytes > 0]
    if not known:
        return ()
    free = report.meminfo.get("free", 0) if report.cgroup is None else memory - (report.usage or memory)
    rest = memory - free - sum(item.bytes for item in known)
    last = [Item("not accounted for", rest, "rest"), Item("free", free, "free")]
    return (*sorted(known, key=lambda item: -item.bytes), *(item for item in last if item.bytes > 0))


def _host(report: OomReport) -> list[Item]:
    info = report.meminfo
    return [
        *_common(report),
        *(
            Item(f"huge pages of {pool.page_size >> 20} MiB", pool.page_size * pool.total, "pool")
            for pool in report.pools
        ),
        Item("slab", info.get("slab_unreclaimable", 0) + info.get("slab_reclaimable", 0), "kernel"),
        Item("kernel stacks", info.get("kernel_stack", 0), "kernel"),
        Item("page tables of guests", info.get("sec_pagetables", 0), "kernel"),
    ]


def _cgroup(report: OomReport) -> list[Item]:
    tables = report.page_tables
    kernel = report.stats.get("kernel", report.kmem) or 0
    other = max(0, kernel - (tables[0] if tables is not None else 0))
    return [*_common(report), Item("other kernel memory", other, "kernel")]


def _common(report: OomReport) -> list[Item]:
    tables = report.page_tables
    return [
        Item("page tables", 0 if tables is None else tables[0], "page_tables"),
        Item("shared memory", report.shmem or 0, "shared"),
        Item("private memory", report.anon or 0, "private"),
        Item("page cache", report.file_cache, "cache"),
    ]
