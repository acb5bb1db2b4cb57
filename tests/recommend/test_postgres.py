"""The number of huge pages against that of a real PostgreSQL, from its own calculation of its segment.

`postgres -C` computes without starting a server, so that any size of shared_buffers can be asked for.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import ptcalc
from ptcalc.report.recommend_report import render_fragment
from tests.asked_postgres import Postgres, asked

from .documents import codes, recommended, servers, values


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL from the distribution's package; skips where there is none, or nobody to run it as."""
    with asked() as server:
        yield server


SETTINGS = (
    ("shared_buffers=128MB", "max_connections=100"),
    ("shared_buffers=512MB", "max_connections=1000"),
    ("shared_buffers=1GB", "max_connections=20"),
    ("shared_buffers=4000MB", "max_connections=600"),
    ("shared_buffers=33GB", "max_connections=2000"),
    ("shared_buffers=300GB", "max_connections=100"),
    ("shared_buffers=8GB", "wal_buffers=256MB", "max_locks_per_transaction=1024"),
)


@pytest.mark.parametrize("page", ["2MB", "1GB"])
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings[0])
def test_pages_are_those_that_postgres_asks_for(postgres: Postgres, settings: tuple[str, ...], page: str) -> None:
    """The pool is what the server says that its segment needs, as written and as recommended."""
    asked = postgres.ask("shared_memory_size_in_huge_pages", *settings, f"huge_page_size={page}")
    mib = int(postgres.ask("shared_memory_size", *settings))
    text = servers(size=f"{mib} MiB", memory="1 TiB", backing="hugetlb", segment=f"page_size: {page}")
    written = recommended(text).as_written
    form, name = ("sysctl", "vm.nr_hugepages") if page == "2MB" else ("cmdline", "hugepages")

    assert dict(values(written, form))[name] == asked
    if page == "2MB" or mib >= 1024:
        moved = recommended(servers(size=f"{mib} MiB", memory="1 TiB", count=2000)).find(
            f"hugetlb-{page.removesuffix('B')}"
        )
        assert dict(values(moved, form))[name] == asked


@pytest.mark.parametrize(("page", "kib"), [("2M", "2048"), ("1G", "1048576")])
def test_postgres_accepts_the_fragment(postgres: Postgres, page: str, kib: str) -> None:
    """The lines for postgresql.conf mean to the server what they say."""
    found = recommended(servers())
    fragment = render_fragment(found, found.find(f"hugetlb-{page}"), "postgresql.conf")
    path = postgres.data / "postgresql.conf"
    before = path.read_text()
    try:
        path.write_text(before + fragment)
        assert postgres.ask("huge_pages") == "on"
        assert postgres.ask("huge_page_size") == kib
    finally:
        path.write_text(before)


def test_postgres_accepts_the_count(postgres: Postgres) -> None:
    """So do those for fewer connections."""
    text = servers(size="2 GiB", memory="8 GiB", count=10_000)
    found = ptcalc.recommend_changes(ptcalc.loads(text))
    assert "pooling" in codes(found)
    fragment = render_fragment(found, found.find("pooling"), "postgresql.conf")
    count = next(line for line in fragment.splitlines() if line.startswith("max_connections"))

    assert postgres.ask("max_connections", count.replace(" ", "")) == count.split(" = ")[1]
