"""Every architecture and kernel against sets of keys: what is touched, level by level, and what counters make of it.

The geometry (spans, sizes, who counts what) is that of ptcalc, checked elsewhere; the counting is done here the slow
way.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import ptcalc
from ptcalc import arch
from ptcalc.arch.geometry import Geometry

KERNELS = ((4, 14), (5, 4), (5, 10), (5, 14), (6, 1), (6, 6), (6, 7), (6, 12), (6, 14), (6, 18), (7, 2))
GENERIC = {"pte": (0, 0), "pmd": (5, 10), "pud": (6, 7), "p4d": (6, 14), "pgd": (6, 14)}


@st.composite
def workloads(draw: st.DrawFn, geometry: Geometry) -> dict[str, Any]:
    """One to three groups with mappings at stated addresses near the borders of tables, a few pages touched."""
    page = geometry.base_page
    size = 4 * geometry.pmd_size
    borders = [level.span for level in geometry.levels if level.span < geometry.task_size // 4]
    borders += [growth.above for growth in geometry.grows] + [below // 2 for below in [geometry.default_window]]
    groups: dict[str, Any] = {}
    for number in range(draw(st.integers(1, 3))):
        mappings: list[dict[str, Any]] = []
        taken: set[int] = set()
        for _ in range(draw(st.integers(1, 3))):
            border = draw(st.sampled_from(borders))
            times = draw(st.integers(1, 3))
            address = border * times + draw(st.sampled_from([0, -page, page, -size // 2, -size]))
            near = range((address - size) // size, (address + 2 * size) // size + 1)
            if address <= 0 or address + size > geometry.task_size or taken.intersection(near):
                continue
            taken.update(near)
            step = draw(st.sampled_from([page, geometry.pmd_size // 2, geometry.pmd_size, size // 2]))
            touch: Any = {"every": max(step, size // 32)}
            if draw(st.booleans()):
                starts = draw(st.lists(st.integers(0, size // page - 1), min_size=1, max_size=4))
                touch = {"ranges": [{"start": start * page, "length": page} for start in starts]}
            mappings.append({"segment": "s", "address": address, "touch": draw(st.sampled_from([touch, "none"]))})
        groups[f"g{number}"] = {"count": draw(st.integers(1, 300)), "mappings": mappings}
    version = draw(st.sampled_from(KERNELS))
    return {
        "version": 1,
        "host": {"memory": 1 << 44, "arch": geometry.name, "kernel": f"{version[0]}.{version[1]}"},
        "segments": {"s": {"size": size, "backing": draw(st.sampled_from(["shmem", "private"]))}},
        "processes": groups,
    }


def touched(mapping: dict[str, Any], size: int) -> set[int]:
    """Addresses of the pages that a mapping touches."""
    touch, at = mapping["touch"], mapping["address"]
    if touch == "none":
        return set()
    if "every" in touch:
        return {at + offset for offset in range(0, size, touch["every"])}
    return {at + part["start"] for part in touch["ranges"]}


def expected(document: dict[str, Any], geometry: Geometry) -> tuple[dict[str, int], int, int, int | None, list[int]]:
    """Return (tables by level, memory taken, PageTables, memory.stat pagetables, VmPTE of each group)."""
    major, _, minor = document["host"]["kernel"].partition(".")
    version = int(major), int(minor)
    geometry = geometry.at(version)
    size = document["segments"]["s"]["size"]
    total, used, shown, charged, vmpte = Counter[str](), 0, 0, 0, []
    for group in document["processes"].values():
        pages = set[int]().union(*(touched(mapping, size) for mapping in group["mappings"]))
        top = max((mapping["address"] + size for mapping in group["mappings"]), default=0)
        process = 0
        for level in geometry.levels:
            tables = {page // level.span for page in pages}
            if level.span >= geometry.default_window:
                tables.discard(0)  # holds the program, its libraries and the stack
            elif level.name == "pgd":
                tables = set()
            count = len(tables)
            for growth in geometry.grows:
                if growth.level == level.name and top > growth.above:
                    count += 1
                    process += growth.vmpte_bytes
            if level.name == "pte" or (level.name in ("pmd", "pud") and version >= (4, 15)):
                process += count * level.entries * level.entry_bytes
            allocation, allocations = level.table_bytes, count
            if level.memory == "fragments":
                allocation = geometry.base_page
                begun = geometry.small_process[level.name]
                pages_of = [-(-tables * level.table_bytes // geometry.base_page) for tables in (begun, begun + count)]
                allocations = pages_of[1] - pages_of[0]
            total[level.name] += count * group["count"]
            used += allocations * allocation * group["count"]
            since = GENERIC[level.name] if level.counted_since == "generic" else level.counted_since
            if level.memory != "slab" and since is not None and version >= since:
                bytes_shown = allocations * (level.counted_bytes or allocation) * group["count"]
                shown += bytes_shown
                charged += bytes_shown if level.charged else 0
        vmpte.append(process)
    levels = {name: number for name, number in total.items() if number}
    return levels, used, shown, charged if version >= (5, 11) else None, vmpte


@pytest.mark.parametrize("name", arch.known())
@settings(deadline=None, max_examples=25, derandomize=True, database=None)
@given(st.data())
def test_tables_and_counters(name: str, data: st.DataObject) -> None:
    geometry = arch.get(name)
    document = data.draw(workloads(geometry))
    levels, used, shown, charged, vmpte = expected(document, geometry)
    result = ptcalc.estimate(ptcalc.loads(yaml.safe_dump(document)), policies=["today"]).policy("today")
    tables = result.page_tables
    assert {level.level: level.tables for level in tables.levels} == levels
    assert (tables.used_bytes, tables.bytes, tables.memcg_bytes) == (used, shown, charged)
    assert [process.vmpte_bytes for process in result.processes] == vmpte
    assert tables.exact
