"""Geometries that contradict themselves are refused when they are made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptcalc import arch
from ptcalc.arch.geometry import Geometry, GeometryError, Growth, Level, Older

X86 = arch.get("x86_64")
KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40


def with_level(name: str, /, **changes: Any) -> dict[str, Any]:
    """The levels of x86_64 with one of them changed."""
    return {"levels": tuple(replace(level, **changes) if level.name == name else level for level in X86.levels)}


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "base page": ({"base_page": 6 * KIB}, "no power of two"),
    "no levels": ({"levels": ()}, "do not run from pte to pgd"),
    "root alone": ({"levels": X86.levels[-1:]}, "do not run from pte to pgd"),
    "no root": ({"levels": X86.levels[:-1]}, "do not run from pte to pgd"),
    "wrong order": ({"levels": X86.levels[::-1]}, "do not run from pte to pgd"),
    "twice": ({"levels": (X86.levels[0], *X86.levels)}, "do not run from pte to pgd"),
    "unknown level": (with_level("pud", name="pug"), "no level is called 'pug'"),
    "level left out": ({"levels": (X86.levels[0], *X86.levels[2:])}, "do not span"),
    "span": (with_level("pmd", span=2 * GIB), "pmd: 512 entries of 2097152 bytes do not span 2147483648 bytes"),
    "entries": (with_level("pte", entries=256), "pte: 256 entries of 4096 bytes do not span"),
    "odd entries": (with_level("pte", entries=500, span=500 * 4 * KIB), "powers of two"),
    "no entries": (with_level("pte", entries=0), "powers of two"),
    "entry size": (with_level("pte", entry_bytes=16), "do not fit in a table of 4096 bytes"),
    "odd entry size": (with_level("pte", entry_bytes=7), "powers of two"),
    "table too small": (with_level("pud", table_bytes=2 * KIB), "do not fit in a table of 2048 bytes"),
    "no table": (with_level("pud", table_bytes=0), "takes memory"),
    "half a page": (with_level("pud", table_bytes=6 * KIB), "is not pages of 4096"),
    "fragment of a page": (with_level("pud", memory="fragments"), "is not cut into pieces of 4096"),
    "odd fragment": (with_level("pud", memory="fragments", table_bytes=3 * KIB, entry_bytes=4), "pieces of 3072"),
    "slab counted": (with_level("pud", memory="slab", counted_since=(6, 7)), "in no kernel's PageTables"),
    "memory": (with_level("pud", memory="heap"), "neither pages, fragments nor slab"),
    "address bits": ({"task_size": 1 << 49}, "does not fit below the root"),
    "window": ({"default_window": 1 << 48}, "does not fit in user space"),
    "no window": ({"default_window": 0}, "does not fit in user space"),
    "huge page level": ({"huge_pages": {2 * MIB: "p4d"}}, "no level p4d"),
    "huge page size": ({"huge_pages": {2 * MIB: "pud"}}, "pud tables have entries of 1073741824 bytes"),
    "not contiguous": ({"huge_pages": {2 * MIB: "pmd", 64 * KIB: "pte"}}, "huge page 65536"),
    "one entry is no run": ({"contiguous": frozenset({2 * MIB})}, "huge page 2097152"),
    "contiguous": ({"contiguous": frozenset({64 * KIB})}, "contiguous sizes that are no huge pages"),
    "default huge page": ({"default_huge_page": 4 * MIB}, "none of its huge pages"),
    "growth": ({"grows": (Growth(above=4 * TIB, level="pud", vmpte_bytes=0),)}, "growth: pud"),
    "stack": ({"kernel_stack": 0}, "kernel stack"),
    "process": ({"small_process": {"p4d": 1}}, "1 tables of level p4d"),
    "older level": ({"older": (Older(before=(6, 7), level="p4d", changes={}),)}, "older: no level p4d"),
    "older": (
        {"older": (Older(before=(6, 7), level="pte", changes={"table_bytes": 2 * KIB}),)},
        "do not fit in a table of 2048",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_refused(name: str) -> None:
    changes, message = BROKEN[name]
    with pytest.raises(GeometryError, match=r"geometry 'x86_64': ") as caught:
        replace(X86, **changes)
    assert message in str(caught.value)


def test_shared_pmd_tables_need_pmd_tables() -> None:
    two = (Level(name="pte", entries=2048, span=8 * MIB, table_bytes=16 * KIB),
           Level(name="pgd", entries=2048, span=16 * GIB, table_bytes=16 * KIB))  # fmt: skip
    same: dict[str, Any] = {
        "older": (),
        "small_process": {"pte": 3},
        "task_size": 16 * GIB,
        "default_window": 16 * GIB,
        "huge_pages": {8 * MIB: "pgd"},
    }
    with pytest.raises(GeometryError, match="PMD tables are shared, but there are none"):
        replace(X86, levels=two, default_huge_page=8 * MIB, **same)
    assert replace(X86, levels=two, default_huge_page=8 * MIB, pmd_sharing_since=None, **same).slot == 8 * MIB


@pytest.mark.parametrize("geometry", arch.known().values(), ids=lambda geometry: geometry.name)
@given(st.data())
def test_one_changed_figure_is_noticed(geometry: Geometry, data: st.DataObject) -> None:
    """Doubling or halving the entries or the span of one level breaks the chain of spans, whichever it is."""
    at = data.draw(st.integers(0, len(geometry.levels) - 1))
    key = data.draw(st.sampled_from(["entries", "span"]))
    level = geometry.levels[at]
    factor = data.draw(st.sampled_from([(2, 1), (1, 2), (4, 1)]))
    wrong = replace(level, **{key: getattr(level, key) * factor[0] // factor[1]})
    with pytest.raises(GeometryError):
        replace(geometry, levels=(*geometry.levels[:at], wrong, *geometry.levels[at + 1 :]))
