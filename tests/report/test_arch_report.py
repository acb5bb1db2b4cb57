"""How an architecture is shown: golden pages of one made by hand, and what holds for all that are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ptcalc import arch
from ptcalc.arch import Geometry, Level, kernels
from ptcalc.arch.geometry import Growth, Older
from ptcalc.report import arch_report
from ptcalc.report.json_report import render
from ptcalc.report.page import Screen

Golden = Callable[[str, str], None]

KIB, MIB, GIB, TIB = 2**10, 2**20, 2**30, 2**40
NEWEST = kernels.parse(kernels.NEWEST_TEXT)
EVERY = pytest.mark.parametrize("geometry", arch.known().values(), ids=lambda geometry: geometry.name)

# Whatever an architecture can have, in one that does not exist.
CHIMERA = Geometry(
    name="chimera",
    title="a bit of everything",
    aliases=("chi", "mera"),
    base_page=64 * KIB,
    levels=(
        Level(name="pte", entries=256, span=16 * MIB, table_bytes=4 * KIB, memory="fragments"),
        Level(name="pmd", entries=8192, span=128 * GIB, table_bytes=64 * KIB),
        Level(name="pud", entries=2, span=256 * GIB, table_bytes=16, memory="slab", counted_since=None, charged=False),
        Level(name="p4d", entries=8192, span=2048 * TIB, table_bytes=64 * KIB),
        Level(name="pgd", entries=16, span=32 * 1024 * TIB, table_bytes=64 * KIB, charged=False),
    ),
    older=(Older(before=(6, 7), level="pte", changes={"table_bytes": 2 * KIB}),),
    task_size=16 * 1024 * TIB,
    default_window=128 * TIB,
    huge_pages={2 * MIB: "pte", 16 * MIB: "pmd", 256 * GIB: "p4d"},
    contiguous=frozenset({2 * MIB}),
    default_huge_page=16 * MIB,
    thp_keeps_tables=True,
    pmd_sharing_since=(5, 3),
    grows=(Growth(above=2048 * TIB, level="pgd", vmpte_bytes=64 * KIB),),
    kernel_stack=64 * KIB,
    small_process={"pte": 3, "pmd": 2},
    source="nowhere",
)


@pytest.mark.parametrize("width", [None, 80, 40], ids=str)
def test_list(golden: Golden, width: int | None) -> None:
    """The list reads as it was reviewed."""
    known = [CHIMERA, replace(CHIMERA, name="plain", aliases=(), has_thp=False)]

    golden(f"arch/list.{width or 'pipe'}.txt", arch_report.render_list(known, Screen(width)))
    golden("arch/list.json", render(arch_report.list_to_dict(known)))


@pytest.mark.parametrize("width", [None, 80, 40], ids=str)
def test_show(golden: Golden, width: int | None) -> None:
    """An architecture reads as it was reviewed, with the newest kernel and with an old one."""
    golden(f"arch/show.{width or 'pipe'}.txt", arch_report.render_show(CHIMERA, NEWEST, Screen(width)))
    golden(f"arch/old.{width or 'pipe'}.txt", arch_report.render_show(CHIMERA, kernels.parse("5.2"), Screen(width)))
    golden("arch/show.json", render(arch_report.show_to_dict(CHIMERA, NEWEST)))


@EVERY
def test_fields_are_the_whole_address(geometry: Geometry) -> None:
    """The fields follow each other without a gap, and index all entries of their tables."""
    split = arch_report.fields(geometry)

    assert [above.low - 1 for above in split[:-1]] == [below.high for below in split[1:]]
    assert split[-1] == ("offset", geometry.base_page.bit_length() - 2, 0)
    for field in split[:-1]:
        assert 1 << field.high - field.low + 1 == geometry.level(field.level).entries
    assert geometry.task_size <= 1 << split[0].high + 1


@EVERY
def test_leaves_fit_their_tables(geometry: Geometry) -> None:
    """Every page is so many entries of its table; only contiguous ones are more than one."""
    found = arch_report.leaves(geometry)

    assert {leaf.bytes for leaf in found if leaf.kind == "hugetlb"} == set(geometry.huge_pages)
    for leaf in found:
        assert leaf.bytes == leaf.entries * geometry.level(leaf.level).reach
        assert (leaf.entries > 1) == (leaf.kind == "hugetlb" and leaf.bytes in geometry.contiguous)


@EVERY
@pytest.mark.parametrize("kernel", ["2.6", "5.4", "6.6", kernels.NEWEST_TEXT])
@pytest.mark.parametrize("width", [40, 61, 80])
def test_no_line_is_wider_than_the_screen(geometry: Geometry, kernel: str, width: int) -> None:
    """Nothing is left to the terminal to wrap, and nothing needs more than ASCII."""
    text = arch_report.render_show(geometry, kernels.parse(kernel), Screen(width))

    assert max(map(len, text.splitlines())) <= width
    assert text.isascii()


@EVERY
def test_80_columns_hold_drawing_and_tables(geometry: Geometry) -> None:
    """The usual screen shows the whole: nothing is stacked or left out."""
    text = arch_report.render_show(geometry, NEWEST, Screen(80))

    assert text.count("+\n") == 2
    assert "  offset  " in text
    assert "memory.stat pagetables  for\n" in text
    assert "it spans  an entry maps\n" in text


def test_names_do_nothing_to_a_terminal() -> None:
    """A geometry of the user's own has a name that went through no check."""
    hostile = replace(CHIMERA, name="\x1b[31mred\u202e", title="\x07", aliases=())

    for text in (
        arch_report.render_list([hostile], Screen()),
        arch_report.render_show(hostile, NEWEST, Screen()),
        render(arch_report.show_to_dict(hostile, NEWEST)),
    ):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
