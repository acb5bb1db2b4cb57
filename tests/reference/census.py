"""What the slow model of events shows: counters, sharers, the cost of walks; and what must hold at any time."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.reference.address_space import PAGE, SPANS
from tests.reference.events import Machine
from tests.reference.model import counted_by, version_of
from tests.reference.process import Process, Table
from tests.reference.touching import CHUNK, LEVELS

TABLE = 4096


@dataclass(frozen=True)
class Census:
    """Tables as (private, shared, cached) by level; VmPTE and RSS as counts of (group, label, bytes); users of the
    lowest shared level as (least, mean, most), rounded; walks by segment as (tables per page: least, mean, most;
    tables; entries; processes).
    """

    levels: dict[str, tuple[int, int, int]]
    vmpte: Counter[tuple[str, str, int]]
    rss: Counter[tuple[str, str, int]]
    sharers: tuple[int, float, int] | None
    walks: dict[str, tuple[tuple[int, float, int], int, int, int]]


def vmpte_of(machine: Machine, process: Process) -> int:
    """VmPTE of one process, in bytes: what it has hooked, shared or not; nothing of regions."""
    levels, _ = counted_by(version_of(machine.workload))
    shown = process.tables
    if machine.policy == "file-shared" and machine.choices.get("file-shared.vmpte") == "once":
        own = {place: table for place, table in process.tables.items() if not is_shared(machine, table)}
        shown = dict({id(table): (place, table) for place, table in own.items()}.values())
    return TABLE * sum(level in levels for level, _ in shown)


def rss_of(machine: Machine, process: Process) -> int:
    """Bytes of pages that are not hugetlb's: those in use, by choice with all that the hooked tables of files hold."""
    used = sorted(process.used)
    pages: set[int] = set()
    for area in process.areas:
        first, last = process.pages_of(area)
        start = area.va + area.stated - area.offset - area.first_page * PAGE
        if area.backing != "hugetlb":
            mine = used[bisect_left(used, (area.mapping, first)) : bisect_left(used, (area.mapping, last))]
            pages.update(start + page * PAGE for _, page in mine)
    hooked = process.tables.items() if machine.choices.get("file-shared.rss") == "hooked" else ()
    for (level, first), table in hooked:
        below = {0: table} if level == "pte" else table.below
        for at, one in below.items():
            if one.key is not None and machine.cache.get(one.key) is one:
                base = first + at - int(str(one.key[-1]))
                pages.update(
                    base + page * PAGE for _, start, many in one.entries for page in range(start, start + many)
                )
    return len(pages) * PAGE


def copies_of(machine: Machine) -> dict[str, int]:
    """Bytes of private copies by segment: each page of memory once, however many processes have it; base pages."""
    found: dict[str, set[object]] = {}
    for process in machine.processes:
        for (number, page), copy in process.copies.items():
            place = process.place_of(number, page)
            if place is not None:
                found.setdefault(place[0].file[0], set()).add(copy)
    return {name: len(copies) * PAGE for name, copies in found.items()}


def is_shared(machine: Machine, table: Table) -> bool:
    """Whether a table is one that processes share or could share as it stands."""
    if table.key is None or table.kept or table.lone:
        return table.kept
    return len(table.users) > 1 or any(
        (area := process.at(first)) is not None and machine.rules.share(area, table.level, first) is not None
        for (_, first), process in table.users.items()
    )


def census(machine: Machine) -> Census:
    """Count."""
    levels = {level: [0, 0, 0] for level in LEVELS}
    used: dict[str, list[int]] = {}
    for table in machine.all_tables():
        region = table.key is not None and table.key[0] == "mshare"
        kind = 0 if not is_shared(machine, table) else 1 if table.users or region else 2
        levels[table.level][kind] += 1
        if kind == 1:
            users = {number for number, _ in table.users}
            if region and table.key is not None:  # every member reaches every table
                users = machine.regions[str(table.key[1])].members
            used.setdefault(table.level, []).append(len(users))
    lowest = next((used[level] for level in LEVELS if level in used), None)
    return Census(
        levels={level: tuple(counts) for level, counts in levels.items() if any(counts)},  # type: ignore[misc]
        vmpte=Counter((p.group, p.label, vmpte_of(machine, p)) for p in machine.processes),
        rss=Counter((p.group, p.label, rss_of(machine, p)) for p in machine.processes),
        sharers=(min(lowest), round(sum(lowest) / len(lowest), 6), max(lowest)) if lowest else None,
        walks={name: walk(machine, name) for name in machine.workload.segments},
    )


def walk(machine: Machine, segment: str) -> tuple[tuple[int, float, int], int, int, int]:
    """What a walk over all mappings of a segment meets."""
    pages: Counter[tuple[Any, int]] = Counter()
    entries = 0
    found: list[Table] = []
    for table in machine.all_tables():
        mine = [entry for entry in table.entries if entry[0][0] == segment]
        entries += len(mine)
        if mine:
            found.append(table)
        for file, first, number in mine:
            owner = next((n for n, _ in table.users), 0) if file[2] == "private" else 0  # pages of its own
            step = number if number > CHUNK else 1  # of a huge page that nobody maps in parts, one stands for all
            pages.update(((owner, file), page) for page in range(first, first + number, step))
    least, most = (min(pages.values()), max(pages.values())) if pages else (0, 0)
    mean = sum(pages.values()) / len(pages) if pages else 0.0
    users = {number for table in found for number, _ in table.users}
    return (least, round(mean, 6), most), len(found), entries, len(users)


def conserve(machine: Machine) -> None:
    """Check what holds at any time."""
    alive = {p.number: p for p in machine.processes}
    hooks: Counter[int] = Counter()
    for process in machine.processes:
        for (level, first), table in process.tables.items():
            hooks[id(table)] += 1
            assert table.level == level and first % SPANS[level] == 0
            assert table.users[process.number, first] is process
            assert process.mapped(first, SPANS[level]), "a table that nothing is mapped in"
            above = {"pte": "pmd", "pmd": "pud"}.get(level)
            assert above is None or (above, first // SPANS[above] * SPANS[above]) in process.tables
            if table.key is None:
                assert len(table.users) == 1, "a private table of two processes"
            elif table.lone:
                assert len({number for number, _ in table.users}) == 1, "a table of one process that two have"
            elif table.kept:
                assert machine.cache.get(table.key) is table, "a shared table that its file does not know"
        for chunk in process.leaves:
            assert ("pte", chunk) not in process.tables and ("pmd", chunk // (1 << 30) << 30) in process.tables
        ends = [(a.va, a.va + a.length) for a in process.areas]
        assert all(one[1] <= two[0] for one, two in itertools.pairwise(ends)), "mappings overlap"
    for key, table in machine.cache.items():
        assert table.key == key and len(table.users) == hooks[id(table)], "hooks and references differ"
    for region in machine.regions.values():
        assert region.members <= set(alive)
        for table in region.tables.values():
            assert {number for number, _ in table.users} <= region.members
    tables = machine.all_tables()
    private = sum(not table.kept for table in tables)
    kept = sum(table.kept for table in machine.cache.values()) + sum(
        len(region.tables) for region in machine.regions.values()
    )
    assert private + kept == len(tables)
    assert PAGE == TABLE
