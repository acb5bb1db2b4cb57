"""Oracle instances as workload files: what the manuals say, case by case."""

from __future__ import annotations

from pathlib import Path

import pytest

import ptcalc
from ptcalc.errors import InputError
from ptcalc.templates.oracle import granule_of, parse_version
from ptcalc.workload import Workload

MIB, GIB = 1 << 20, 1 << 30


def text_of(
    tmp_path: Path, *parameters: str, version: str = "19c", memory: int = 512 * GIB, pages: int | None = None
) -> str:
    path = tmp_path / "init.ora"
    path.write_text("\n".join(parameters) + "\n")
    return ptcalc.new_workload("oracle", pfile=str(path), version=version, memory=memory, huge_pages=pages)


def loaded(tmp_path: Path, *parameters: str, version: str = "19c", pages: int | None = None) -> Workload:
    return ptcalc.loads(text_of(tmp_path, *parameters, version=version, pages=pages))


@pytest.mark.parametrize(
    ("size", "version", "granule"),
    [
        # My Oracle Support 947152.1
        (GIB, "10.2", 4), (GIB + 1, "10.2", 16), (300 * GIB, "10.2", 16),
        (GIB, "11.1", 4), (4 * GIB, "11.1", 16), (16 * GIB, "11.1", 64), (64 * GIB, "11.1", 256),
        (65 * GIB, "11.1", 512),
        (GIB, "11.2", 4), (8 * GIB, "11.2", 16), (16 * GIB, "12.1", 32), (32 * GIB, "12.2", 64), (64 * GIB, "18c", 128),
        (128 * GIB, "19c", 256), (129 * GIB, "23ai", 512),
    ],
)  # fmt: skip
def test_granules(size: int, version: str, granule: int) -> None:
    assert granule_of(size, parse_version(version)) == granule * MIB


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        (["sga_target=300G"], 300 * GIB),
        (["sga_target=100G", "sga_max_size=300G"], 300 * GIB),
        (["sga_target=300000M"], 586 * 512 * MIB),  # in granules of 512 MiB
        (["sga_target=1000M"], 1000 * MIB),
        (["sga_target=40G", "memory_max_target=100G"], 100 * GIB),  # which SGA_MAX_SIZE is then
        # by hand: each component in granules of 16 MiB; 128 MiB of shared pool by default
        (["db_cache_size=2000M", "large_pool_size=1M"], (2000 + 16 + 128) * MIB),
        (["sga_target=0", "db_cache_size=100M", "shared_pool_size=50M"], (100 + 52) * MIB),
    ],
)
def test_the_size_of_the_sga(tmp_path: Path, parameters: list[str], size: int) -> None:
    assert loaded(tmp_path, *parameters).segments["sga"].size == size


@pytest.mark.parametrize(
    ("parameters", "version", "pages", "backing", "short"),
    [
        ([], "19c", None, "shmem", None),
        ([], "19c", 0, "shmem", None),
        ([], "19c", 1000, "hugetlb", "mixed"),
        ([], "11.2.0.3", 1000, "hugetlb", "mixed"),
        ([], "11.2.0.2", 1000, "hugetlb", "small"),
        ([], "10.2", 1000, "hugetlb", "small"),
        (["use_large_pages=false"], "19c", 1000, "shmem", None),
        (["use_large_pages=only"], "19c", None, "hugetlb", "fail"),
        (["use_large_pages=AUTO_ONLY"], "19c", None, "hugetlb", "fail"),
        (["use_large_pages=AUTO"], "12.1", None, "hugetlb", "mixed"),
    ],
)
def test_large_pages(
    tmp_path: Path, parameters: list[str], version: str, pages: int | None, backing: str, short: str | None
) -> None:
    text = text_of(tmp_path, "sga_target=10G", *parameters, version=version, pages=pages)
    segment = ptcalc.loads(text).segments["sga"]

    assert segment.backing == backing
    assert (f"on_short_pool: {short}" in text) == (short is not None)


@pytest.mark.parametrize(
    ("parameters", "version", "touch"),
    [
        ([], "19c", "{amount"),
        (["pre_page_sga=false"], "12.1", "{amount"),
        (["pre_page_sga=true"], "12.2", "{amount"),  # a background process touches it
        ([], "11.2", "{amount"),
        (["pre_page_sga=true"], "11.2", "all"),  # every process does
    ],
)
def test_prepaging(tmp_path: Path, parameters: list[str], version: str, touch: str) -> None:
    assert f"touch: {touch}" in text_of(tmp_path, "sga_target=10G", *parameters, version=version)


def test_what_was_never_used_is_not_resident(tmp_path: Path) -> None:
    sizes = ("sga_max_size=100G", "sga_target=40G")

    assert "resident: 40 GiB" in text_of(tmp_path, *sizes, "pre_page_sga=false")
    assert "resident" not in text_of(tmp_path, *sizes)  # TRUE since 12.1
    assert "resident: 40 GiB" in text_of(tmp_path, *sizes, version="11.2")


@pytest.mark.parametrize(
    ("parameters", "size", "granule"),
    [
        # 60 % at startup, up to a granule of 512 MiB
        (["memory_target=200G"], 120 * GIB, 512 * MIB),
        (["memory_target=100G", "memory_max_target=200G"], 60 * GIB, 512 * MIB),
        (["memory_target=100G", "pga_aggregate_target=30G"], 70 * GIB, 256 * MIB),
        (["memory_target=100G", "sga_target=50G"], 50 * GIB, 256 * MIB),
        (["memory_target=100G", "orcl.__sga_target=64G"], 64 * GIB, 256 * MIB),
        (["memory_target=10G"], 6 * GIB, 32 * MIB),
    ],
)
def test_automatic_memory_management(tmp_path: Path, parameters: list[str], size: int, granule: int) -> None:
    segment = loaded(tmp_path, *parameters).segments["sga"]

    assert (segment.size, segment.pieces, segment.backing) == (size, granule, "shmem")


@pytest.mark.parametrize(
    ("parameters", "version", "limit"),
    [
        (["pga_aggregate_target=10G"], "19c", 20 * GIB),
        (["pga_aggregate_target=100M"], "19c", 2 * GIB),
        (["pga_aggregate_target=1G", "processes=2000"], "19c", 6000 * MIB),
        (["pga_aggregate_target=0"], "19c", 512 * GIB * 9 // 10 // MIB * MIB - 100 * GIB + MIB),
        (["pga_aggregate_target=300G"], "12.1", 512 * GIB * 9 // 10 // MIB * MIB - 100 * GIB + MIB),
        (["pga_aggregate_target=450G"], "12.1", 450 * GIB),
        (["pga_aggregate_limit=50G"], "19c", 50 * GIB),
        (["pga_aggregate_limit=0"], "19c", None),
        (["pga_aggregate_target=10G"], "11.2", None),
    ],
)
def test_pga_limit(tmp_path: Path, parameters: list[str], version: str, limit: int | None) -> None:
    """The default of the limit is told and no bound; what is set is one."""
    text = text_of(tmp_path, "sga_target=100G", *parameters, version=version)
    found = [line.split(":")[1].split("#")[0].strip() for line in text.splitlines() if "private_cap" in line]

    assert [ptcalc.workload.sizes.parse_size(each) for each in found] == ([] if limit is None else [limit])
    cap = ptcalc.loads(text).processes["server"].private_cap
    assert (cap == limit) if limit and "limit" in parameters[0] else cap is None


@pytest.mark.parametrize(
    ("parameters", "version", "place", "words"),
    [
        (["sga_max_size=1G", "sga_target=2G"], "19c", "2:12", "ORA-00823"),
        (["memory_max_target=1G", "memory_target=2G"], "19c", "2:15", "ORA-00837"),
        (["memory_target=2G", "lock_sga=true"], "19c", "2:10", "ORA-00847"),
        (["memory_target=2G", "use_large_pages=only"], "19c", "2:17", "does not go with memory_target"),
        (["memory_target=2G"], "10.2", "1:15", "came with 11.1"),
        (["use_large_pages=only"], "11.2.0.1", "1:17", "came with 11.2.0.2"),
        (["use_large_pages=auto_only"], "18c", "1:17", "no value of use_large_pages"),
        (["pga_aggregate_limit=2G"], "11.2", "1:21", "came with 12.1"),
        (["db_block_size=5000"], "19c", "1:15", "no size of blocks"),
        (["pre_page_sga=maybe"], "19c", "1:14", "no value of pre_page_sga"),
        (["processes=0"], "19c", "1:11", "no number of processes"),
        (["sga_target=1x"], "19c", "1:12", "no size of sga_target"),
    ],
)
def test_refused(tmp_path: Path, parameters: list[str], version: str, place: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        text_of(tmp_path, *parameters, version=version)

    assert f"{refused.value.line}:{refused.value.column}" == place
    assert refused.value.accepted


@pytest.mark.parametrize("version", ["9.2", "13", "x", "", "19cc", "1" * 5000])
def test_versions_refused(version: str) -> None:
    with pytest.raises(InputError, match="no release"):
        parse_version(version)


def test_blocks(tmp_path: Path) -> None:
    """What a process touches at once is a block of the database."""
    assert "cluster: 16 KiB" in text_of(tmp_path, "sga_target=10G", "db_block_size=16384")
    assert "cluster: 4 KiB" in text_of(tmp_path, "sga_target=10G", "db_block_size=2048")


def test_names_are_harmless(tmp_path: Path) -> None:
    """Whatever the database is called, the file says it and nothing else."""
    workload = loaded(tmp_path, "sga_target=10G", "db_name='\"\\x: [\u202e</script>'")

    assert "\u202e" not in workload.name
    assert "</script>" in workload.name
