"""A real PostgreSQL with filled buffers, and backends that have read them all.

``python -m tests.capture.postgres --buffers 4096 --backends 200`` (as root) captures a large one and prints what
`ptcalc.estimate` expects of it beside what the kernel counted.  It needs memory for the buffers, for each backend two
thousandths of them in page tables, and 10 MiB: 8 GiB for these numbers.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ptcalc
from ptcalc.capture import Capture, Detail, capture_system
from ptcalc.result import Measured

MIB = 1 << 20
DETAILS: tuple[Detail, ...] = ("quick", "full", "pages")
FILLED = 0.84  # of the buffers: the catalogs need some as well
ROWS_PER_MIB = 256  # a row fills half a page of 8 KiB
SETTINGS = {
    "huge_pages": "off",
    "listen_addresses": "",
    "max_parallel_workers_per_gather": "0",  # or two workers touch what the backend was to touch
    "synchronize_seqscans": "off",
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "16GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
}


class NotHere(Exception):
    """What a server needs and this machine does not have, in words."""


@dataclass(frozen=True)
class Server:
    """A running server: the pids of its backends, and the tables that no process explained before it started.

    Since 6.16 PageTables holds the kernel's own tables: what they are is measured before the server is there.
    """

    backends: list[int]
    unexplained: int


def page_tables(found: Capture) -> Measured:
    """PageTables as expected and as measured."""
    tables = ptcalc.estimate(found.workload(), policies=["today"]).measured[-1]
    assert tables.counter == "PageTables"
    return tables


def vmpte(pid: int) -> int:
    """VmPTE of a process, bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmPTE:"))


@contextlib.contextmanager
def running(buffers: int, backends: int) -> Iterator[Server]:
    """Start a server with so many MiB of shared buffers, fill them, and let the backends read them all.

    pg_prewarm fills: a scan of a large table goes through a small ring of buffers and touches almost nothing.
    """
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if not binaries:
        raise NotHere("no PostgreSQL server below /usr/lib/postgresql: install postgresql")
    if os.geteuid() != 0 or shutil.which("runuser") is None:
        raise NotHere("needs root, to run the server as the user postgres and to read what it maps")
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        raise NotHere("there is no user postgres here") from None
    meminfo = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    needed = buffers + buffers * backends // 500 + backends * 10 + 256
    if int(meminfo["MemAvailable"].split()[0]) >> 10 < needed:
        raise NotHere(f"needs {needed} MiB of memory")
    tables = page_tables(capture_system())
    folder = Path(tempfile.mkdtemp(prefix="ptcalc-postgres-"))
    shutil.chown(folder, user.pw_uid, user.pw_gid)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        pids = _start(stack, binaries[-1].parent, folder, buffers, backends)
        yield Server(pids, tables.measured_bytes - tables.expected_bytes)


def _start(stack: contextlib.ExitStack, binaries: Path, folder: Path, buffers: int, backends: int) -> list[int]:
    def run(name: str, *words: object) -> None:
        subprocess.run(
            [*_AS_USER, str(binaries / name), *map(str, words)],
            cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    data = folder / "data"
    settings = {**SETTINGS, "shared_buffers": f"{buffers}MB", "max_connections": str(backends + 20)}
    options = " ".join(f"-c {name}={value or repr('')}" for name, value in settings.items())
    run("initdb", "-D", data, "-A", "trust", "--no-sync")
    run(
        "pg_ctl", "-D", data, "-w", "-l", folder / "log", "start",
        "-o", f"{options} -c unix_socket_directories={folder}",
    )  # fmt: skip
    stack.callback(run, "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    rows = int(buffers * FILLED) * ROWS_PER_MIB
    client = [*_AS_USER, str(binaries / "psql"), "-h", str(folder), "-d", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1"]
    fill = (
        "create table filled (id int, rest text); alter table filled alter rest set storage plain;"
        f"insert into filled select i, repeat('x', 4000) from generate_series(1, {rows}) i;"
        "create extension pg_prewarm; select pg_prewarm('filled', 'buffer');"
    )
    subprocess.run([*client, "-c", fill], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    pids = []
    for _ in range(backends):
        session = subprocess.Popen(client, cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        stack.callback(session.communicate)
        assert session.stdin is not None and session.stdout is not None
        session.stdin.write("select count(*) from filled;\nselect pg_backend_pid();\n")
        session.stdin.flush()
        assert session.stdout.readline() == f"{rows}\n"
        pids.append(int(session.stdout.readline()))
    return pids


_AS_USER = ("runuser", "-u", "postgres", "--")


def main() -> int:
    """Measure one server and print a line for each detail."""
    parser = argparse.ArgumentParser(description="Capture a real PostgreSQL and compare it with the estimate.")
    parser.add_argument("--buffers", type=int, default=512, metavar="MIB")
    parser.add_argument("--backends", type=int, default=20)
    asked = parser.parse_args()
    try:
        with running(asked.buffers, asked.backends) as server:
            for detail in DETAILS:
                _report(server, detail)
    except NotHere as reason:
        print(reason, file=sys.stderr)
        return 3
    return 0


def _report(server: Server, detail: Detail) -> None:
    found = capture_system(detail=detail)
    estimate = ptcalc.estimate(found.workload(), policies=["today"])
    expected = {pid: each.expected_bytes for each in estimate.measured if each.name for pid in found.groups[each.name]}
    worst = max(abs(expected[pid] / vmpte(pid) - 1) for pid in server.backends)
    tables = page_tables(found)
    difference = (tables.expected_bytes + server.unexplained) / tables.measured_bytes - 1
    print(
        f"{detail:5}  {len(server.backends)} backends, {vmpte(server.backends[0]) >> 10:,} KiB VmPTE:"
        f" at most {worst:.2%} off; PageTables {tables.measured_bytes / MIB:,.0f} MiB: {difference:+.2%}"
    )


if __name__ == "__main__":
    sys.exit(main())
