"""Architectures of the user's own, in the section `geometries` of a config file."""

from __future__ import annotations

import pytest

import ptcalc
from ptcalc import arch
from ptcalc.errors import InputError
from ptcalc.risk import loads_config

WHOLE = """\
geometries:
  toy:
    title: a toy with 8 KiB pages
    base_page: 8 KiB
    levels:
      pte: {entries: 1024}
      pmd: {entries: 1024, span: 8 GiB}
      pgd: {entries: 1024, table: 8 KiB}
    task_size: 4 TiB
    default_window: 4 TiB
    huge_pages: {8 MiB: pmd, 64 KiB: pte}
    contiguous: [64 KiB]
    default_huge_page: 8 MiB
    thp: false
    kernel_stack: 16 KiB
    small_process: {pte: 5, pmd: 3}
"""
WORKLOAD = """\
version: 1
host: {memory: 64 GiB, arch: ARCH}
segments: {sga: {size: 16 GiB, backing: shmem}}
processes: {server: {count: 10, mappings: [{segment: sga}]}}
"""


def test_a_whole_geometry_is_an_architecture_like_any_other() -> None:
    config = loads_config(WHOLE)
    workload = ptcalc.loads(WORKLOAD.replace("ARCH", "toy"), geometries=config.geometries)
    estimate = ptcalc.estimate(workload, config=config)
    # 16 GiB in pages of 8 KiB, one page off a boundary: 1024 pages a PTE table, as many of these a PMD table
    today = estimate.policy("today").page_tables
    assert {level.level: level.tables for level in today.levels} == {"pte": 2049 * 10, "pmd": 3 * 10}
    assert today.used_bytes == today.bytes == (2049 + 3) * 10 * 8192
    # no THP on it; runs of 8 entries of 8 KiB save no table
    assert [result.policy for result in estimate.policies[:4]] == ["today", "private", "hugetlb-64K", "hugetlb-8M"]
    assert estimate.policy("hugetlb-64K").page_tables.used_bytes == today.used_bytes
    assert estimate.policy("hugetlb-8M").page_tables.used_bytes == 3 * 10 * 8192
    assert estimate.arch == "toy"


def test_what_differs_from_a_known_architecture() -> None:
    config = loads_config("geometries:\n  big-stack: {like: x86_64, kernel_stack: 64 KiB, pmd_sharing: never}\n")
    mine, known = config.geometries["big-stack"], arch.get("x86_64")
    assert (mine.kernel_stack, mine.pmd_sharing, mine.levels) == (64 << 10, False, known.levels)
    assert known.kernel_stack == 16 << 10


def test_one_may_be_like_another_of_the_same_file() -> None:
    config = loads_config(WHOLE + "  toy2: {like: toy, small_process: {pte: 14, pmd: 1}}\n")
    assert config.geometries["toy2"].process_tables == 128 << 10


@pytest.mark.parametrize(
    ("old", "new", "place", "message", "accepted"),
    [
        ("entries: 1024}", "entrys: 1024}", (6, 13), "unknown key 'entrys'", "entries"),
        ("pmd: {entries: 1024, span: 8 GiB}", "pmd: {span: 8 GiB}", (7, 12), "'entries' is missing", "entries: 512"),
        ("      pmd:", "      pmt:", (7, 7), "unknown key 'pmt'", "pmd"),
        ("span: 8 GiB", "span: 4 GiB", (3, 5), "do not span 4294967296 bytes", "spans follow"),
        ("table: 8 KiB", "table: 4 KiB", (3, 5), "do not fit in a table of 4096 bytes", "tables that hold them"),
        ("base_page: 8 KiB", "base_page: 8 KB and a bit", (4, 16), "'8 KB and a bit'", "300 GiB"),
        ("    base_page: 8 KiB\n", "", (3, 5), "'base_page' is missing", "base_page"),
        ("    task_size: 4 TiB\n", "", (3, 5), "'task_size' is missing", "like"),
        ("8 MiB: pmd", "8 MiB: pmt", (11, 26), "'pmt' is no level", "pte, pmd"),
        ("8 MiB: pmd", "8 MoB: pmd", (11, 26), "8 MoB", "MiB"),
        ("contiguous: [64 KiB]", "contiguous: 64 KiB", (12, 17), "no list", "[64 KiB]"),
        ("thp: false", "thp: perhaps", (14, 10), "'perhaps' is neither", "true or false"),
        ("thp: false", "pmd_sharing: sometimes", (14, 18), "'sometimes'", "never"),
        ("thp: false", "like: x86-64", (14, 11), "'x86-64' is no architecture", "x86_64"),
        ("title: a toy with 8 KiB pages", "title:", (3, 11), "no single value", "one value"),
        ("  toy:\n", "  toy: x86_64\n  other:\n", (2, 8), "no mapping", "like"),
    ],
)
def test_bad_geometries(old: str, new: str, place: tuple[int, int], message: str, accepted: str) -> None:
    assert old in WHOLE
    with pytest.raises(InputError) as caught:
        loads_config(WHOLE.replace(old, new, 1), name="arch.yaml")
    error = caught.value
    assert (error.file, error.line) == ("arch.yaml", place[0]), error
    assert message in error.message
    assert accepted in (error.accepted or "")


def test_the_workload_error_names_custom_architectures() -> None:
    with pytest.raises(InputError) as caught:
        ptcalc.loads(WORKLOAD.replace("ARCH", "toi"), geometries=loads_config(WHOLE).geometries)
    assert "toy" in (caught.value.accepted or "") and caught.value.suggestion == "toy"
