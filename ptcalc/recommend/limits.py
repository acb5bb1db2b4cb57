"""Limits of a host that could refuse shared memory, however much of it is free.

Sources: ipc/shm.c:newseg (shmmax, shmall), include/uapi/linux/shm.h (their defaults),
mm/shmem.c:shmem_default_max_blocks (the size of a tmpfs), include/uapi/linux/resource.h (MLOCK_LIMIT).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ptcalc.errors import InputError, nearest, quote
from ptcalc.layout.plan import Plan, round_up
from ptcalc.recommend.advice import Limit
from ptcalc.workload import Workload
from ptcalc.workload.sizes import parse_count, parse_size

ULONG_MAX = (1 << 64) - 1
# Since 3.16 nothing is refused by default (commit 060028bac94b); before: 32 MiB a segment, 8 GiB in all.
OPEN_SINCE = (3, 16)
OPEN = ULONG_MAX - (1 << 24)
OLD_SHMMAX = 32 << 20
OLD_SHMALL_BYTES = 8 << 30
# A tmpfs without size= holds half of memory.
TMPFS_SHARE = 2
# MLOCK_LIMIT: 64 KiB, since 5.16 8 MiB (commit 9dcc38e2813e).
MEMLOCK_SINCE, MEMLOCK, OLD_MEMLOCK = (5, 16), 8 << 20, 64 << 10

NAMES = ("kernel.shmmax", "kernel.shmall", "/dev/shm", "memlock")
UNLIMITED = ("unlimited", "infinity")


class Need(NamedTuple):
    """What the segments of a plan need: bytes of the largest piece and of all, and the base pages of all."""

    largest: int
    pages: int
    shmem: int
    locked: int


def read(stated: Mapping[str, str]) -> dict[str, int]:
    """Return the values of limits as numbers: bytes, for kernel.shmall base pages.

    Raises InputError for a name that is no limit, and for a value that is no size.
    """
    found = {}
    for name, text in stated.items():
        if name not in NAMES:
            raise InputError(f"{quote(name)} is no limit", accepted=", ".join(NAMES), suggestion=nearest(name, NAMES))
        if text in UNLIMITED:
            found[name] = ULONG_MAX
        elif name == "kernel.shmall":
            found[name] = min(parse_count(text, most=ULONG_MAX), ULONG_MAX)
        elif name == "kernel.shmmax" and text.isascii() and text.isdigit():
            found[name] = parse_count(text, most=ULONG_MAX)
        else:
            found[name] = parse_size(text)
    return found


def needs(workload: Workload, plan: Plan) -> Need:
    """Return what the segments need of the limits if all of them are of the kind that each limit is about."""
    base = workload.geometry.base_page
    largest = pages = shmem = locked = 0
    for name, segment in plan.segments.items():
        if segment.backing not in ("shmem", "hugetlb"):
            continue
        whole, rest = divmod(segment.size, segment.piece)
        largest = max(largest, segment.piece)
        pages += whole * (-(-segment.piece // base)) + -(-rest // base)
        leaf = workload.geometry.thp_size if segment.thp == "always" else base
        small = whole * round_up(segment.piece, leaf) + round_up(rest, leaf) if segment.backing == "shmem" else 0
        shmem += small
        locked += small if workload.segments[name].locked else sum(segment.huge_bytes().values())
    return Need(largest, pages, shmem, locked)


def limits(workload: Workload, plan: Plan, stated: Mapping[str, int]) -> tuple[Limit, ...]:
    """Return the limits that concern the segments of a plan.

    ``stated``: values that the host has; what is not there is what its kernel starts with.
    """
    need = needs(workload, plan)
    version, base = workload.kernel.version, workload.geometry.base_page
    kernel = f"default of Linux {workload.kernel.text}"
    is_open = version >= OPEN_SINCE
    host = workload.host
    mem_total = host.mem_total or host.memory
    defaults = {
        "kernel.shmmax": (OPEN if is_open else OLD_SHMMAX, kernel),
        "kernel.shmall": (OPEN if is_open else OLD_SHMALL_BYTES // base, kernel),
        "/dev/shm": (mem_total // TMPFS_SHARE, "a tmpfs holds half of memory by default"),
        "memlock": (MEMLOCK if version >= MEMLOCK_SINCE else OLD_MEMLOCK, kernel),
    }
    values = defaults | {name: (value, "stated") for name, value in stated.items()}
    return tuple(
        Limit(name, unit, amount, *values[name], concerns)
        for name, unit, amount, concerns in (
            ("kernel.shmmax", "bytes", need.largest, "the largest segment of System V shared memory"),
            ("kernel.shmall", "pages", need.pages, "all System V shared memory, in base pages"),
            ("/dev/shm", "bytes", need.shmem, "files there: POSIX shared memory, Oracle's MEMORY_TARGET"),
            ("memlock", "bytes", need.locked, "locked memory, and huge pages of System V shared memory"),
        )
        if amount
    )
