"""A real PostgreSQL, captured and estimated: VmPTE and PageTables as the kernel counts them.

Memory: 512 MiB of shared buffers, filled, and 20 backends that each scan them all.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import ptcalc
from ptcalc.capture import Capture, Detail, capture_system
from ptcalc.result import Measured

BACKENDS = 20
MIB = 1 << 20
# 430 MiB of 8 KiB pages: fits the buffers, with room for the catalogs.  A row fills half a page.
ROWS = 110_000
SETTINGS = {
    "shared_buffers": "512MB",
    "huge_pages": "off",
    "listen_addresses": "",
    "max_parallel_workers_per_gather": "0",  # or two workers touch what the backend was to touch
    "synchronize_seqscans": "off",
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "4GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
}


@dataclass(frozen=True)
class Server:
    """A running server: the pids of its backends, and the tables that no process explained before it started."""

    backends: list[int]
    unexplained: int


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Start a server, fill its buffers and let 20 backends read them all.

    Since 6.16 PageTables holds the kernel's own tables: what they are is measured before the server is there.
    """
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if not binaries:
        pytest.skip("no PostgreSQL server below /usr/lib/postgresql: install postgresql")
    if os.geteuid() != 0 or shutil.which("runuser") is None:
        pytest.skip("needs root, to run the server as the user postgres and to read what it maps")
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("there is no user postgres here")
    available = next(
        int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if "MemAvailable" in line
    )
    if available < 2 << 20:
        pytest.skip("needs 2 GiB of memory")
    folder = Path(tempfile.mkdtemp(prefix="ptcalc-pg-"))
    shutil.chown(folder, user.pw_uid, user.pw_gid)
    yield from _run(binaries[-1].parent, folder)


def unexplained() -> int:
    """PageTables without those of all processes, bytes."""
    tables = page_tables(capture_system())
    return tables.measured_bytes - tables.expected_bytes


def page_tables(found: Capture) -> Measured:
    """The last line of what was measured."""
    tables = ptcalc.estimate(found.workload(), policies=["today"]).measured[-1]
    assert tables.counter == "PageTables"
    return tables


def _run(binaries: Path, folder: Path) -> Iterator[Server]:
    def run(*words: object) -> None:
        subprocess.run(
            ["runuser", "-u", "postgres", "--", *map(str, words)],
            cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    data = folder / "data"
    clients: list[subprocess.Popen[str]] = []
    options = " ".join(f"-c {name}={value}" if value else f"-c {name}=''" for name, value in SETTINGS.items())
    before = unexplained()
    try:
        run(binaries / "initdb", "-D", data, "-A", "trust", "--no-sync")
        run(
            binaries / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "start", "-o",
            f"{options} -c unix_socket_directories={folder}",
        )  # fmt: skip
        command = [
            "runuser", "-u", "postgres", "--", str(binaries / "psql"), "-h", str(folder), "-d", "postgres",
            "-XAtq", "-v", "ON_ERROR_STOP=1",
        ]  # fmt: skip
        fill = (
            "create table filled (id int, rest text) with (fillfactor=100);"
            "alter table filled alter rest set storage plain;"
            f"insert into filled select i, repeat('x', 4000) from generate_series(1, {ROWS}) i;"
            "create extension pg_prewarm; select pg_prewarm('filled', 'buffer');"
        )
        subprocess.run([*command, "-c", fill], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        clients += [
            subprocess.Popen(command, cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(BACKENDS)
        ]
        backends = []
        for client in clients:
            assert client.stdin is not None and client.stdout is not None
            client.stdin.write("select count(*) from filled;\nselect pg_backend_pid();\n")
            client.stdin.flush()
            assert client.stdout.readline().strip() == str(ROWS)
            backends.append(int(client.stdout.readline()))
        yield Server(backends, before)
    finally:
        for client in clients:
            client.communicate()
        if (data / "postmaster.pid").exists():
            run(binaries / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def vmpte(pid: int) -> int:
    """VmPTE of a process, bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmPTE:"))


@pytest.mark.kernel
@pytest.mark.parametrize("detail", ["quick", "full", "pages"])
def test_each_backend_within_2_percent_and_page_tables_within_3(server: Server, detail: Detail) -> None:
    """What `estimate` expects of a captured server is what the kernel shows."""
    found = capture_system(detail=detail)
    measured = {pid: vmpte(pid) for pid in server.backends}
    estimate = ptcalc.estimate(found.workload(), policies=["today"])

    groups = {each.name: each for each in estimate.measured}
    expected = {pid: groups[name].expected_bytes for name, pids in found.groups.items() for pid in pids}
    expected = {pid: expected[pid] for pid in server.backends if pid in expected}
    assert set(expected) == set(server.backends)
    for pid, value in measured.items():
        assert value > 400 * MIB // 512, "a backend did not touch the buffers"
        assert expected[pid] == pytest.approx(value, rel=0.02), (pid, found.text)


@pytest.mark.kernel
@pytest.mark.parametrize("detail", ["quick", "full", "pages"])
def test_page_tables_within_3_percent(server: Server, detail: Detail) -> None:
    """The whole machine's as well; what else starts and ends on it disturbs, hence three readings at most."""
    for _ in range(3):
        tables = page_tables(capture_system(detail=detail))
        expected = tables.expected_bytes + server.unexplained
        if expected == pytest.approx(tables.measured_bytes, rel=0.03):
            break

    assert expected == pytest.approx(tables.measured_bytes, rel=0.03)
