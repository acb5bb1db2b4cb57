"""A PostgreSQL server: from its configuration, or from guesses, to a workload file.

PostgreSQL manual, "Resource Consumption" for the parameters, "Managing Kernel Resources" for huge pages and the size
of the shared memory, which `postgres -C shared_memory_size` says to the megabyte (since 15).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ptcalc.errors import InputError, quote
from ptcalc.layout.plan import round_up
from ptcalc.templates.known import HUGE_PAGE, Figure, Stated, head, host, line, number, size
from ptcalc.templates.pgconf import Configuration
from ptcalc.workload.sizes import show_size
from ptcalc.workload.writing import comment, entry

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
BLCKSZ = 8 * KIB
NEWEST_DEFAULT = "17"
OLDEST, NEWEST = 10, 19
INT_MAX = (1 << 31) - 1
_MAX_BACKENDS = 262_143  # src/include/postmaster/postmaster.h: MAX_BACKENDS

# Parameters that are counts, with their defaults.
_COUNTS = {
    "max_connections": 100,
    "autovacuum_max_workers": 3,
    "autovacuum_worker_slots": 16,
    "max_worker_processes": 8,
    "max_wal_senders": 10,
    "max_prepared_transactions": 0,
    "max_locks_per_transaction": 64,
    "max_pred_locks_per_transaction": 64,
}
# Beside the buffers, measured with `postgres -C shared_memory_size` of version 15 (tests/templates/test_postgres.py):
# descriptor, condition variable, sort entry and hash entry of a buffer, and a request of the checkpointer, of which
# there are ten million at most; an entry of the lock tables; what each process has; and what is always there.
_OF_A_BUFFER, _OF_A_REQUEST, _MAX_REQUESTS = 156, 24, 10_000_000
_OF_A_LOCK, _OF_A_PREDICATE_LOCK, _OF_A_PROCESS, _ALWAYS = 385, 240, 10 * KIB, 5 * MIB
# Background writer, checkpointer, walwriter, autovacuum and logical-replication launchers, and the postmaster.
_AUXILIARY = 6


def parse_version(text: str) -> int:
    """Return the major version.  Raises InputError for one that is not known."""
    match = re.fullmatch(r"(\d{1,2})(?:\.\d{1,3})?", text.strip(), re.ASCII)
    if match is None or not OLDEST <= int(match[1]) <= NEWEST:
        raise InputError(f"{quote(text)} is no version of PostgreSQL", accepted=f"{OLDEST} to {NEWEST}")
    return int(match[1])


@dataclass(slots=True)
class Server:
    """The parameters of one server, with the defaults of its version; ``found`` None: nothing but options."""

    found: Configuration | None
    version: int
    stated: Stated

    def amount(self, name: str, unit: int, default: int, least: int = 0, most: int = INT_MAX) -> int:
        """Return a parameter in its unit."""
        value = None if self.found is None else self.found.amount(name, unit, least, most)
        return default if value is None else value

    def count(self, name: str) -> int:
        """Return a parameter that is a count."""
        most = INT_MAX if "locks" in name else _MAX_BACKENDS
        return self.amount(
            name, 1, _COUNTS[name], 1 if name in ("max_connections", "autovacuum_max_workers") else 0, most
        )

    def word(self, name: str, default: str, *accepted: str) -> str:
        """Return a parameter that is one of some words."""
        return (None if self.found is None else self.found.word(name, accepted)) or default

    def source(self, name: str) -> str:
        """Say where a parameter is set."""
        parameter = None if self.found is None else self.found.find(name)
        return f"{name}, by default" if parameter is None else parameter.source

    def error(self, name: str, message: str, accepted: str) -> InputError:
        """Return an error at a parameter's place."""
        parameter = None if self.found is None else self.found.find(name)
        return InputError(message, accepted=accepted) if parameter is None else parameter.error(message, accepted)

    def states(self, name: str) -> bool:
        """Whether a file sets this parameter."""
        return self.found is not None and self.found.find(name) is not None

    def buffers(self) -> Figure:
        """Return shared_buffers, in bytes; without a file, a quarter of the memory, as the manual advises."""
        if self.found is None:
            quarter = max(128 * MIB, int(self.stated.memory.value) // 4 // GIB * GIB)
            return Figure(quarter, "a quarter of the memory, as the manual advises", guess=True)
        blocks = self.amount("shared_buffers", BLCKSZ, 128 * MIB // BLCKSZ, 16, INT_MAX // 2)
        return Figure(blocks * BLCKSZ, self.source("shared_buffers"), guess=not self.states("shared_buffers"))

    def connections(self) -> Figure:
        """Return how many backends there may be."""
        if self.stated.processes is not None:
            return Figure(self.stated.processes, "--processes")
        guess = not self.states("max_connections")
        return Figure(self.count("max_connections"), f"{self.source('max_connections')}; all of them busy", guess)

    def shared_memory(self) -> Figure:
        """Return the size of the shared memory in bytes, up to the megabyte as the server does."""
        buffers = self.buffers()
        if self.stated.shared_memory is not None:
            return Figure(self.stated.shared_memory, "--shared-memory: what postgres -C shared_memory_size says")
        blocks = int(buffers.value) // BLCKSZ
        # -1: a 32nd of the buffers, at least 64 kB and at most a WAL segment of 16 MB.
        wal = self.amount("wal_buffers", BLCKSZ, -1, -1, 1 << 18)
        wal = min(max(blocks // 32, 8), 16 * MIB // BLCKSZ) if wal == -1 else max(wal, 4)
        processes = (
            self.count("max_connections")
            + self.count("autovacuum_worker_slots" if self.version >= 18 else "autovacuum_max_workers")
            + 1
            + self.count("max_worker_processes")
            + (self.count("max_wal_senders") if self.version >= 12 else 0)
            + self.count("max_prepared_transactions")
        )
        per_process = (
            _OF_A_PROCESS
            + self.count("max_locks_per_transaction") * _OF_A_LOCK
            + self.count("max_pred_locks_per_transaction") * _OF_A_PREDICATE_LOCK
        )
        total = (
            blocks * (BLCKSZ + _OF_A_BUFFER)
            + min(blocks, _MAX_REQUESTS) * _OF_A_REQUEST
            + wal * BLCKSZ
            + processes * per_process
            + _ALWAYS
            + (self.amount("min_dynamic_shared_memory", MIB, 0) * MIB if self.version >= 14 else 0)
        )
        why = f"{buffers.why}, and what is shared beside it; --shared-memory says it to the byte"
        return Figure(round_up(total, MIB), why, guess=True)

    def huge_page(self) -> int:
        """Return the size of huge pages in bytes; 0 and before 14: the system's default."""
        if self.version < 14:
            if self.states("huge_page_size"):
                raise self.error("huge_page_size", "huge_page_size came with PostgreSQL 14", "--pg-version 14")
            return HUGE_PAGE
        found = self.amount("huge_page_size", KIB, 0) * KIB or HUGE_PAGE
        if found not in (HUGE_PAGE, GIB):
            raise self.error("huge_page_size", f"x86_64 has no huge pages of {show_size(found)}", "0, 2MB or 1GB")
        return found

    def backing(self) -> list[str]:
        """Return the lines that say which pages the shared memory has.

        Manual, huge_pages: only with shared_memory_type mmap (always so before 12); `try` takes huge pages for all of
        it or for nothing.
        """
        kinds = ("mmap", "sysv")
        kind = self.word("shared_memory_type", "mmap", *kinds) if self.version >= 12 else "mmap"
        huge = self.word("huge_pages", "try", "on", "off", "try")
        page, pages = self.huge_page(), self.stated.huge_pages
        if kind == "sysv":
            if huge == "on":
                raise self.error(
                    "huge_pages", "huge_pages=on does not go with shared_memory_type=sysv", "shared_memory_type=mmap"
                )
            return [line(4, "backing", "shmem", f"{self.source('shared_memory_type')}: sysv has no huge pages")]
        source = self.source("huge_pages")
        if huge == "off":
            return [line(4, "backing", "shmem", f"{source}: off")]
        if huge == "on":
            return [
                line(4, "backing", "hugetlb", f"{source}: on"),
                entry(4, "page_size", show_size(page)),
                line(4, "on_short_pool", "fail", "without enough huge pages it does not start"),
            ]
        if pages is None:
            note = f"guess: no huge pages are reserved (HugePages_Total; --huge-pages). {source}: try"
            return [line(4, "backing", "shmem", note)]
        if not pages:
            return [line(4, "backing", "shmem", f"{source}: try, and no huge pages reserved: --huge-pages 0")]
        return [
            line(4, "backing", "hugetlb", f"{source}: try, with the pool of --huge-pages"),
            entry(4, "page_size", show_size(page)),
            line(4, "on_short_pool", "small", "try: all of it in huge pages, or nothing"),
        ]


def write(found: Configuration | None, version: str, stated: Stated, command: str) -> str:
    """Return the text of a workload file.  Raises InputError for parameters with which no server starts."""
    server = Server(found, parse_version(version), stated)
    notes = () if found is None else (f"Parameters: {', '.join(found.files)}, read for PostgreSQL {version}.",)
    connections = server.connections()
    lines = [
        *head(command, f"PostgreSQL {version}, {int(connections.value):,} connections", notes),
        *host(stated, server.huge_page()),
        "segments:",
        "  shared-memory:",
        size(4, "size", server.shared_memory()),
        *server.backing(),
        "",
        "processes:",
        *_backends(server, connections),
        *_workers(server),
    ]
    return "\n".join(lines) + "\n"


def _backends(server: Server, connections: Figure) -> Iterator[str]:
    work = server.amount("work_mem", KIB, 4096, 64) * KIB
    yield "  backend:"
    yield from comment("The postmaster forks: all of them have the memory at one address.", 4)
    yield number(4, "count", connections)
    private = Figure(6 * MIB + work, f"caches of 6 MiB, and {server.source('work_mem')}, once", guess=True)
    yield size(4, "private", server.stated.privately(int(private.value), private.why))
    yield from _mapping(server.stated.touched("buffers that a backend has met; ptcalc capture measures it"))


def _workers(server: Server) -> Iterator[str]:
    workers, vacuum = server.count("max_worker_processes"), server.count("autovacuum_max_workers")
    if workers:
        yield "  worker:"
        yield number(
            4, "count", Figure(workers, f"{server.source('max_worker_processes')}: parallel queries and others")
        )
        yield entry(4, "scale", "fixed")
        work = server.amount("work_mem", KIB, 4096, 64) * KIB
        yield size(4, "private", Figure(4 * MIB + work, "caches of 4 MiB, and work_mem, once", guess=True))
        yield from _mapping(server.stated.touched("as a backend"))
    yield "  autovacuum-worker:"
    yield number(4, "count", Figure(vacuum, server.source("autovacuum_max_workers")))
    yield entry(4, "scale", "fixed")
    maintenance = server.amount("maintenance_work_mem", KIB, 65536, 64) * KIB
    name = "autovacuum_work_mem" if server.amount("autovacuum_work_mem", KIB, -1, -1) >= 0 else "maintenance_work_mem"
    if name == "autovacuum_work_mem":
        maintenance = server.amount(name, KIB, 0, -1) * KIB
    yield size(4, "private", Figure(4 * MIB + maintenance, f"{server.source(name)}, at most", guess=True))
    yield from _mapping(server.stated.touched("as a backend"))
    yield "  auxiliary:"
    yield number(4, "count", Figure(_AUXILIARY, "postmaster, checkpointer, writers, launchers", guess=True))
    yield entry(4, "scale", "fixed")
    yield size(4, "private", Figure(4 * MIB, "no queries run in them", guess=True))
    yield from _mapping(line(8, "touch", "all", "guess: checkpointer and background writer visit every buffer"))


def _mapping(touch: str) -> Iterator[str]:
    yield "    mappings:"
    yield "      - segment: shared-memory"
    yield touch
