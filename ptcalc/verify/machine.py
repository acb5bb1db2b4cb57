"""The running machine: its kernel, the memory at hand, its switches, and pools of huge pages."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ptcalc.capture.host import Host, read_host
from ptcalc.capture.tree import Live
from ptcalc.errors import CannotDoHere
from ptcalc.verify import cgroups
from ptcalc.verify.stage import Keeper

MIB = 1 << 20
RESERVE = 256 * MIB  # never used, whatever is asked for
HUGE_PAGES = Path("/sys/kernel/mm/hugepages")
MEMINFO = Path("/proc/meminfo")
THP = Path("/sys/kernel/mm/transparent_hugepage")
STAT_REFRESH = Path("/proc/sys/vm/stat_refresh")


def running() -> Host:
    """Return the machine that ptcalc runs on.  Raises CannotDoHere where ptcalc does not know its page tables."""
    if sys.platform != "linux":
        raise CannotDoHere(f"verify maps memory on a Linux kernel; this is {sys.platform}")
    host = read_host(Live(), [os.getpid()])
    machine = os.uname().machine
    if host.geometry.name.startswith("x86_64") and machine != "x86_64":  # it stands in for what is not known
        raise CannotDoHere(f"the page tables of {machine} are not known to ptcalc")
    if sys.maxsize < 1 << 32:
        raise CannotDoHere("verify needs a Python of 64 bits")
    return host


def available() -> int:
    """Return the bytes that may be used without pushing anything out, of the machine and of the cgroup we are in."""
    text = MEMINFO.read_text()
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return min([int(found[1]) << 10 if found else 0, *cgroups.rooms()])


def budget(wanted: int | None) -> int:
    """Return how many bytes a run may take: those wanted, or half of what is at hand.

    Raises CannotDoHere where that would leave too little for everybody else.
    """
    at_hand = available()
    most = at_hand - max(RESERVE, at_hand // 10)
    if most <= 0 or (wanted is not None and wanted > most):
        asked = "" if wanted is None else f"{wanted // MIB:,} MiB are asked for; "
        raise CannotDoHere(f"{asked}{max(most, 0) // MIB:,} MiB of memory can be used here without harm")
    return wanted if wanted is not None else at_hand // 2


def chosen(switch: str) -> str:
    """Return the word in brackets of a switch of transparent huge pages; empty where this kernel lacks it."""
    try:
        found = re.search(r"\[(\w+)\]", (THP / switch).read_text())
    except OSError:
        return ""
    return found[1] if found else ""


def directory_for(size: int) -> str:
    """Return the directory for temporary files.  Raises CannotDoHere where files of that size (bytes) cannot be in it.

    A tmpfs is no place for a file: its pages are shared memory.
    """
    directory = tempfile.gettempdir()
    place = Path(directory).resolve()
    # Of mounts on one directory, the last one counts.
    _, _, kind = max(
        (len(Path(where).parts), number, kind)
        for number, (where, kind) in enumerate(mounts())
        if place.is_relative_to(where)
    )
    if kind in ("tmpfs", "ramfs"):
        raise CannotDoHere(f"{directory} is a {kind}, which has no files on a disk; TMPDIR can name another directory")
    if shutil.disk_usage(directory).free < size:
        raise CannotDoHere(f"{directory} has less than {size // MIB + 1:,} MiB free; TMPDIR can name another directory")
    return directory


def mounts() -> list[tuple[str, str]]:
    """Return (directory, type) of what is mounted."""
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [(where.replace("\\040", " "), kind) for _, where, kind, *_ in lines]


def short_of(pages: Mapping[int, int]) -> dict[int, int]:
    """Return how many huge pages of each size (bytes) the pools have too few for so many."""
    short = {}
    for size, count in pages.items():
        pool = _pool(size)
        free = int((pool / "free_hugepages").read_text()) - int((pool / "resv_hugepages").read_text())
        if free < count:
            short[size] = count - free
    return short


def take_turns(keeper: Keeper, *, alone: bool) -> None:
    """Wait until no other verification reads PageTables, or (``alone``) runs at all: it would count these tables."""
    keeper.lock(MEMINFO, shared=not alone)


def have_huge_pages(pages: Mapping[int, int], keeper: Keeper, *, allow: bool) -> None:
    """Have so many free huge pages of each size (bytes); ``allow``: pools may be enlarged, until ``keeper`` ends.

    Raises CannotDoHere where they are not to be had.
    """
    for size in sorted(pages):
        # Two runs must not count on each other's pages, nor take them for what was there before.
        keeper.lock(_pool(size) / "nr_hugepages")
    for size, count in short_of(pages).items():
        what = f"{count:,} more huge pages of {size >> 10:,} KiB are needed than are free"
        if not allow:
            raise CannotDoHere(f"{what}; --allow-sysctl lets ptcalc add them for the time of the run (as root)")
        file = _pool(size) / "nr_hugepages"
        try:
            keeper.write(file, str(int(file.read_text()) + count))
        except OSError as error:
            raise CannotDoHere(f"{what}, and {file} cannot be written: {error.strerror}") from None
    for size, count in short_of(pages).items():
        raise CannotDoHere(f"{count:,} huge pages of {size >> 10:,} KiB are not to be had: memory is fragmented")


def _pool(size: int) -> Path:
    pool = HUGE_PAGES / f"hugepages-{size >> 10}kB"
    if not pool.exists():
        raise CannotDoHere(f"this kernel has no huge pages of {size >> 10:,} KiB")
    return pool
