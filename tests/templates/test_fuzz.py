"""Whatever parameters a file has, a workload that can be estimated comes out, or an InputError with its place."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

import ptcalc
from ptcalc.errors import InputError

GIB = 1 << 30
EXAMPLES = int(os.environ.get("PTCALC_EXAMPLES", "40"))

ORACLE = ["sga_target", "sga_max_size", "memory_target", "memory_max_target", "pga_aggregate_target", "processes",
          "pga_aggregate_limit", "use_large_pages", "pre_page_sga", "lock_sga", "db_cache_size", "shared_pool_size",
          "db_block_size", "x.sga_target", "*.__sga_target", "db_name"]  # fmt: skip
POSTGRES = ["shared_buffers", "max_connections", "huge_pages", "huge_page_size", "shared_memory_type", "work_mem",
            "maintenance_work_mem", "autovacuum_work_mem", "autovacuum_max_workers", "max_worker_processes",
            "wal_buffers", "max_wal_senders", "min_dynamic_shared_memory", "a.b"]  # fmt: skip
WORDS = """0 1 -1 100 1500 8192 2MB 1GB 300G 64M 1T on off try TRUE ONLY AUTO false mmap sysv 0x10 1.5GB '' " ( \\ #"""
VALUES = st.one_of(st.sampled_from([*WORDS.split(), "'x y'", "9" * 40]), st.text(max_size=6))


def lines(names: list[str]) -> st.SearchStrategy[str]:
    line = st.builds("{}{}{}".format, st.sampled_from(names), st.sampled_from(["=", " = ", " ", ""]), VALUES)
    return st.lists(st.one_of(line, st.text(max_size=10)), max_size=6).map("\n".join)


def comes_out(template: str, option: str, text: str, version: str, pages: int | None) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(text.encode(errors="surrogatepass"))
        try:
            made = ptcalc.new_workload(
                template,
                version=version,
                memory=64 * GIB,
                huge_pages=pages,
                **{option: str(path)},  # type: ignore[arg-type]
            )
        except InputError:
            return
    assert ptcalc.estimate(ptcalc.loads(made), policies=["today"]).policies


@settings(max_examples=EXAMPLES, deadline=None)
@given(lines(ORACLE), st.sampled_from(["10.2", "11.2.0.2", "12.1", "19c"]), st.sampled_from([None, 0, 5000]))
def test_oracle(text: str, version: str, pages: int | None) -> None:
    comes_out("oracle", "pfile", text, version, pages)


@settings(max_examples=EXAMPLES, deadline=None)
@given(lines(POSTGRES), st.sampled_from(["10", "14", "18"]), st.sampled_from([None, 0, 5000]))
def test_postgres(text: str, version: str, pages: int | None) -> None:
    comes_out("postgres", "conf", text, version, pages)
