"""What one kernel OOM report says, in bytes; and what follows from that alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Task:
    """One process of the dump, in bytes; None where the kernel does not print that column.

    ``rss`` holds anonymous, file and shared memory; ``page_tables`` is what VmPTE would show (before 4.15 PTE
    and, where printed, PMD tables).
    """

    pid: int
    uid: int
    name: str
    total_vm: int
    rss: int
    page_tables: int | None
    swap: int
    oom_score_adj: int
    anon: int | None = None
    file: int | None = None
    shmem: int | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    """A process that the OOM killer ended, in bytes; None where the line does not say.

    ``shmem`` is part of ``file`` before 4.5.
    """

    pid: int
    name: str
    total_vm: int
    anon: int
    file: int
    shmem: int | None
    page_tables: int | None


@dataclass(frozen=True, slots=True)
class Pool:
    """Huge pages of one size (bytes) on all nodes: how many there are, and how many are free."""

    page_size: int
    total: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OomReport:
    """One report of the OOM killer.  All amounts are bytes.

    ``line`` is where it starts in the log, ``when`` the time as printed there.  ``cgroup`` is the memory cgroup that
    ran out, None for the whole machine.  ``meminfo`` are the counters of Mem-Info and the sums of its node lines,
    ``stats`` those of the cgroup, by the kernel's names.  ``usage``, ``limit`` and ``kmem`` are the cgroup's charges; a
    limit of None is none.  ``ram`` and ``reserved`` are physical memory and the part of it that no page can be
    taken from.  ``notes`` say what is missing or torn.
    """

    line: int
    when: str
    invoker: str
    order: int
    constraint: str
    cgroup: str | None
    kernel: str | None
    machine: str | None
    page: int
    nodes: int
    meminfo: Mapping[str, int] = field(default_factory=dict)
    stats: Mapping[str, int] = field(default_factory=dict)
    usage: int | None = None
    limit: int | None = None
    kmem: int | None = None
    ram: int | None = None
    reserved: int = 0
    swap_total: int | None = None
    swap_free: int | None = None
    pools: tuple[Pool, ...] = ()
    tasks: tuple[Task, ...] = ()
    kills: tuple[Kill, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def memory(self) -> int | None:
        """What ran out: the limit of the cgroup, or the memory of the machine that pages can be taken from."""
        if self.cgroup is not None:
            return self.limit if self.limit is not None else self.usage
        return None if self.ram is None else self.ram - self.reserved

    @property
    def tables_of_tasks(self) -> int | None:
        """The page tables of all processes together, shared ones once for each; None where they are not printed."""
        known = [task.page_tables for task in self.tasks if task.page_tables is not None]
        return sum(known) if known else None

    @property
    def page_tables(self) -> tuple[int, str] | None:
        """Memory in page tables and where that is read, or None.

        A cgroup's own counter is not kept by every version (6.18), and version 1 has none: then it is the sum of the
        processes, at most the kernel memory that was charged.
        """
        tasks = self.tables_of_tasks
        if self.cgroup is None:
            if "pagetables" in self.meminfo:
                return self.meminfo["pagetables"], "pagetables in Mem-Info"
            return None if tasks is None else (_least(tasks, self.memory), "the processes together")
        kernel = self.stats.get("kernel", self.kmem)
        counted = self.stats.get("pagetables", 0)
        summed = 0 if tasks is None else _least(tasks, kernel, self.usage, self.limit)
        if not counted and tasks is None:
            return None
        if counted >= summed or (counted and kernel is None):
            return counted, "pagetables in the cgroup's statistics"
        return summed, "the processes together, at most the kernel memory of the cgroup"

    @property
    def shmem(self) -> int | None:
        """Shared memory and tmpfs, each page once."""
        return self.meminfo.get("shmem") if self.cgroup is None else self.stats.get("shmem")

    @property
    def anon(self) -> int | None:
        """Private memory of all processes, each page once."""
        if self.cgroup is not None:
            return self.stats.get("anon", self.stats.get("rss"))
        if "inactive_anon" not in self.meminfo:
            return None
        # Pages of shared memory are on the anonymous lists; locked ones, of either kind, on the unevictable one.
        lists = ("active_anon", "inactive_anon", "isolated_anon", "unevictable")
        return max(0, sum(self.meminfo.get(name, 0) for name in lists) - self.meminfo.get("shmem", 0))

    @property
    def own_share(self) -> float | None:
        """Share of the processes' anonymous memory (or RSS, where that is one figure) that is there, each page once.

        Memory that fork shares until it is written is in the RSS of each process.  None: the report does not say.
        """
        total = sum(task.rss if task.anon is None else task.anon for task in self.tasks)
        if self.anon is None or not self.tasks:
            return None
        return min(1.0, self.anon / total) if total else 1.0

    @property
    def file_cache(self) -> int:
        """Page cache that was left; at such a time, nearly none."""
        names = ("active_file", "inactive_file")
        return sum((self.meminfo if self.cgroup is None else self.stats).get(name, 0) for name in names)

    @property
    def pool_bytes(self) -> int:
        """Memory in huge-page pools, used or not."""
        return sum(pool.page_size * pool.total for pool in self.pools)


def _least(value: int, *bounds: int | None) -> int:
    return min([value, *(bound for bound in bounds if bound is not None)])
