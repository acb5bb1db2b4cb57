"""PostgreSQL servers as workload files, and the size of their shared memory as a real one computes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import ptcalc
from ptcalc.errors import InputError
from ptcalc.templates.pgconf import Configuration
from tests.asked_postgres import Postgres, asked

MIB, GIB = 1 << 20, 1 << 30


def text_of(tmp_path: Path, *parameters: str, version: str = "17", pages: int | None = None) -> str:
    path = tmp_path / "postgresql.conf"
    path.write_text("\n".join(parameters) + "\n")
    return ptcalc.new_workload("postgres", conf=str(path), version=version, memory=64 * GIB, huge_pages=pages)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL of the distribution."""
    with asked() as server:
        yield server


@pytest.mark.parametrize(
    "settings",
    [
        ("shared_buffers=16MB", "max_connections=20"),
        ("shared_buffers=128MB", "max_connections=100"),
        ("shared_buffers=1GB", "max_connections=20"),
        ("shared_buffers=4000MB", "max_connections=600"),
        ("shared_buffers=33GB", "max_connections=2000"),
        ("shared_buffers=300GB", "max_connections=100"),
        ("shared_buffers=8GB", "wal_buffers=256MB", "max_locks_per_transaction=1024"),
        ("shared_buffers=2GB", "max_worker_processes=500", "max_wal_senders=300", "autovacuum_max_workers=200"),
        ("shared_buffers=2GB", "max_prepared_transactions=1000", "max_pred_locks_per_transaction=512"),
        ("shared_buffers=1GB", "min_dynamic_shared_memory=1GB"),
        ("shared_buffers=131072", "wal_buffers=-1"),
    ],
    ids=" ".join,
)
def test_shared_memory_is_that_of_postgres(tmp_path: Path, postgres: Postgres, settings: tuple[str, ...]) -> None:
    """Within 3 % or 8 MiB of what the server computes, of which the buffers are the most."""
    path = tmp_path / "postgresql.conf"
    path.write_text("\n".join(settings) + "\n")
    version = postgres.binary.parts[4]
    said = int(postgres.ask("shared_memory_size", *settings)) * MIB
    text = ptcalc.new_workload("postgres", conf=str(path), version=version, memory=64 * GIB)

    size = ptcalc.loads(text).segments["shared-memory"].size
    assert size == pytest.approx(said, rel=0.03, abs=8 * MIB)


def test_the_file_that_postgres_reads(tmp_path: Path, postgres: Postgres) -> None:
    """Both read the same from files with quotes, units, includes and ALTER SYSTEM's file."""
    (tmp_path / "more.conf").write_text("shared_buffers = '0.5 GB'\nmax_connections 77 # few\nwork_mem=0x2000\n")
    conf = postgres.data / "postgresql.conf"
    auto = postgres.data / "postgresql.auto.conf"
    before, before_auto = conf.read_text(), auto.read_text()
    (tmp_path / "more.conf").rename(postgres.data / "more.conf")
    try:
        conf.write_text(before + "include 'more.conf'\ninclude_if_exists='no.conf'\nHUGE_PAGES = Off\n")
        auto.write_text("maintenance_work_mem = '1.5GB'\n")
        found = Configuration(str(conf))
        blocks = found.amount("shared_buffers", 8192, 16, 1 << 30)
        assert str(blocks) == postgres.ask("shared_buffers")
        assert str(found.amount("max_connections", 1, 1, 9999)) == postgres.ask("max_connections")
        assert str(found.amount("work_mem", 1024, 64, 1 << 31)) == postgres.ask("work_mem")
        assert str(found.amount("maintenance_work_mem", 1024, 64, 1 << 31)) == postgres.ask("maintenance_work_mem")
        assert found.word("huge_pages", ("on", "off", "try")) == postgres.ask("huge_pages")
    finally:
        conf.write_text(before)
        auto.write_text(before_auto)


@pytest.mark.parametrize(
    ("parameters", "version", "pages", "lines"),
    [
        ([], "17", None, ["backing: shmem"]),
        ([], "17", 0, ["backing: shmem"]),
        ([], "17", 900, ["backing: hugetlb", "on_short_pool: small", "hugepages: {2 MiB: 900}"]),
        (["huge_pages=off"], "17", 900, ["backing: shmem"]),
        (["huge_pages=on"], "17", None, ["backing: hugetlb", "on_short_pool: fail", "page_size: 2 MiB"]),
        (["huge_pages=on", "huge_page_size=1GB"], "14", None, ["backing: hugetlb", "page_size: 1 GiB"]),
        (["shared_memory_type=sysv"], "17", 900, ["backing: shmem"]),
    ],
)
def test_huge_pages(tmp_path: Path, parameters: list[str], version: str, pages: int | None, lines: list[str]) -> None:
    text = text_of(tmp_path, *parameters, version=version, pages=pages)

    assert all(line in text for line in lines)
    assert ptcalc.estimate(ptcalc.loads(text), policies=["today"]).policies


@pytest.mark.parametrize(
    ("parameters", "version", "place", "words"),
    [
        (["huge_pages=on", "shared_memory_type=sysv"], "17", "1:12", "does not go with shared_memory_type"),
        (["huge_page_size=2MB"], "13", "1:16", "came with PostgreSQL 14"),
        (["huge_page_size=3MB"], "17", "1:16", "no huge pages of 3 MiB"),
        (["shared_buffers=1kB"], "17", "1:16", "out of range"),
        (["max_connections=0"], "17", "1:17", "out of range"),
        (["huge_pages=maybe"], "17", "1:12", "no value of huge_pages"),
    ],
)
def test_refused(tmp_path: Path, parameters: list[str], version: str, place: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        text_of(tmp_path, *parameters, version=version)

    assert f"{refused.value.line}:{refused.value.column}" == place


def test_the_processes(tmp_path: Path) -> None:
    workload = ptcalc.loads(
        text_of(tmp_path, "max_connections=321", "max_worker_processes=0", "autovacuum_max_workers=7", "work_mem=32MB")
    )

    assert {name: group.count for name, group in workload.processes.items()} == {
        "backend": 321, "autovacuum-worker": 7, "auxiliary": 6,
    }  # fmt: skip
    assert workload.processes["backend"].private == 38 * MIB
    assert [group.scale for group in workload.processes.values()] == ["proportional", "fixed", "fixed"]
