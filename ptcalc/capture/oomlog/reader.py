"""From the text of a log to its OOM reports.

The formats are those of mm/oom_kill.c (dump_header, dump_tasks, __oom_kill_process), mm/show_mem.c (before 6.5 in
mm/page_alloc.c), mm/hugetlb.c:hugetlb_show_meminfo_node and mm/memcontrol.c:mem_cgroup_print_oom_meminfo from 2.6.32
on.  Columns are found by their names, so that those of a version in between are understood as well.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ptcalc import arch
from ptcalc.arch import kernels
from ptcalc.capture.oomlog.lines import Line, kernel_lines
from ptcalc.capture.oomlog.report import Kill, OomReport, Pool, Task
from ptcalc.errors import InputError

KIB = 1 << 10
DEFAULT_PAGE = 4 * KIB
PAGES = (4 * KIB, 16 * KIB, 64 * KIB)
UNLIMITED = 1 << 60  # as a cgroup without a limit prints it: LONG_MAX in pages
MAX_REPORTS = 10_000
MAX_TASKS = 4_194_304  # PID_MAX_LIMIT, of all reports together
MAX_LINE = 1 << 16
MAX_BYTES = 1 << 30
NAME = 15  # characters of a process's name in the kernel (TASK_COMM_LEN)

_START = re.compile(rf"(.{{0,{NAME}}}) invoked oom-killer: gfp_mask=0x[0-9a-f]+.{{0,600}}? order=(-?\d{{1,9}})")
_KERNEL = re.compile(r"(?:CPU: \d+ .{0,40})?P(?:ID|id): \d+,? [Cc]omm: .{1,200} (\d{1,2}\.\d{1,3}\S{0,80}) #\d")
_COUNTERS = re.compile(r" *[a-z_]+:\d{1,18}(?: +[a-z_]+:\d{1,18})*")
_COUNTER = re.compile(r"([a-z_]+):(\d+)")
_NODE = re.compile(r"(?:Node (\d{1,6}) )?(?:active_anon:\d|[A-Z]\w* (?:per-cpu|free):)")
_KB = re.compile(r" (kernel_stack|sec_pagetables|anon_thp|shmem_thp|shmem_pmdmapped|min): ?(\d{1,18})kB")
_BLOCKS = re.compile(r"(?:Node \d{1,6} )?[A-Z]\w*: \d{1,18}\*(4|8|16|32|64|256)kB ")
_POOL = re.compile(
    r"Node \d{1,6} hugepages_total=(\d{1,12}) hugepages_free=(\d{1,12}) hugepages_surp=\d+ hugepages_size=(\d{1,12})kB"
)
_PAGES = re.compile(r"(\d{1,18}) pages (RAM|reserved)")
_SWAP = re.compile(r"(Free|Total) swap += (\d{1,18})kB")
_CHARGE = re.compile(r"(memory|kmem): usage (\d{1,18})kB, limit (\d{1,18})kB, failcnt \d+")
_STATS = re.compile(r"Memory cgroup stats for (.*?):((?: ?[a-z_()]+:\d{1,18}KB)*) *$")
_STAT = re.compile(r" *([a-z_]+) (\d{1,19})")
_OF_LIMIT = re.compile(r"Task in .* killed as a result of limit of (.*)")
_HEADER = re.compile(r"\[ *pid *\] +(uid +tgid +total_vm +rss\b[a-z_ ]* name) *$")
_ROW = re.compile(r"\[ *(\d{1,9})\]( .*)")
_CONSTRAINT = re.compile(
    r"oom-kill:constraint=CONSTRAINT_(\w+),nodemask=.*?(?:,oom_memcg=(.*),task_memcg=.*|,global_oom.*)?,task="
)
_KILLED = re.compile(
    r"(?:(?:Memory cgroup o|O)ut of memory(?: \(.*?\))?: )?Killed process (\d{1,9})(?:, UID \d+,)? "
    r"\((?P<name>.*)\),? (?:UID:? ?\d+,? )?(?:total-vm|vsz):(\d{1,18})kB, anon-rss:(\d{1,18})kB, file-rss:(\d{1,18})kB"
    r"(?:, shmem-rss:(\d{1,18})kB)?(?:.* pgtables:(\d{1,18})kB)?",
    re.DOTALL,
)
_KILLED_BEGINS = re.compile(
    r"(?:(?:Memory cgroup o|O)ut of memory(?: \(.*?\))?: )?Killed process \d{1,9}(?:, UID \d+,)? \("
)
_NOTHING_KILLED = re.compile(
    r"Out of memory and no killable processes"
    r"|Kernel panic - not syncing: (?:Out of memory|System is deadlocked on memory)"
)
_LOST = re.compile(
    r".*(?:\*\* \d+ printk messages dropped|[Mm]issed \d+ kernel messages|imklog: begin to drop messages)"
)
_MACHINES = {
    "x86_64": r"x86_64|amd64|RIP: 00|entry_SYSCALL_64|asm_exc_page_fault",
    "aarch64": r"aarch64|arm64|el0t_64_sync|el0_svc|el0_da",
    "ppc64le": r"ppc64le|ppc64el|powerpc64le|NIP \[[0-9a-f]{16}\]",
    "s390x": r"s390x|Krnl PSW|__do_pgm_check",
    "riscv64": r"riscv64|do_trap_|ret_from_exception",
    "loongarch64": r"loongarch64|loong64|handle_syscall\+0x",
}
_MACHINE = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _MACHINES.items()))


def read(text: str) -> list[OomReport]:
    """Return the OOM reports of a log, in its order; none if there is none.

    Raises InputError for a log with more reports or processes than ptcalc looks into.
    """
    return read_lines(text.split("\n"))


def read_lines(lines: Iterable[str]) -> list[OomReport]:
    """Return the OOM reports of a log's lines, as `read` does."""
    reader = _Reader()
    for line in kernel_lines(iter(lines)):
        reader.take(line)
    return reader.reports()


def read_file(path: str) -> list[OomReport]:
    """Return the OOM reports of a file, ``-`` is standard input.

    Raises InputError for a file that cannot be read or that is too large, and what `read` raises.
    """
    import sys

    try:
        if path == "-":
            return read_lines(_decoded(sys.stdin.buffer))
        with open(path, "rb") as file:
            return read_lines(_decoded(file))
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise error.located(path) from None
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"cannot be read: {why}", file=path, accepted="a kernel log, or - for standard input"
        ) from None


def _decoded(file: Iterable[bytes]) -> Iterator[str]:
    total = 0
    readline = file.readline  # type: ignore[attr-defined]
    while chunk := readline(MAX_LINE):
        total += len(chunk)
        if total > MAX_BYTES:
            raise InputError(
                "the log is larger than 1 GiB",
                accepted="the part around the OOM kill, such as that of journalctl -k --since",
            )
        # A byte that is no UTF-8 comes from a process's name: one character for each.
        yield chunk.decode("utf-8", "replace")


@dataclass(slots=True)
class _Draft:
    """A report that is being read; amounts as printed."""

    line: Line
    started: bool = False
    invoker: str = ""
    order: int = 0
    constraint: str = ""
    cgroup: str | None = None
    kernel: str | None = None
    machines: set[str] = field(default_factory=set)
    page: int | None = None
    nodes: set[str] = field(default_factory=set)
    pages: dict[str, int] = field(default_factory=dict)
    kib: dict[str, int] = field(default_factory=dict)
    stats: dict[str, int] = field(default_factory=dict)
    charges: dict[str, tuple[int, int]] = field(default_factory=dict)
    swap: dict[str, int] = field(default_factory=dict)
    pools: dict[int, tuple[int, int]] = field(default_factory=dict)
    columns: list[str] | None = None
    rows: dict[int, tuple[dict[str, int], str]] = field(default_factory=dict)
    unnamed: int = 0
    torn: int = 0
    kills: list[Kill] = field(default_factory=list)
    lost: bool = False
    panic: bool = False

    @property
    def real(self) -> bool:
        """Whether it is an OOM report at all: Mem-Info is printed on other occasions as well."""
        return self.started or bool(self.rows or self.kills)


class _Reader:
    def __init__(self) -> None:
        self.drafts: list[_Draft] = []
        self.open: _Draft | None = None
        self.columns: list[str] | None = None
        self.begun: list[str] = []  # of a kill line whose name has line breaks
        self.tasks = 0

    def take(self, line: Line) -> None:
        """Read one line."""
        text = line.text
        if (match := _START.match(text)) is not None:
            draft = self._begin(line)
            draft.started, draft.invoker, draft.order = True, match[1], int(match[2])
            return
        if self._kill(line):
            return
        if text.startswith("Mem-Info:") or _HEADER.match(text):
            if self.open is None or self.open.kills:
                self._begin(line)
        elif self.open is None and _ROW.match(text) and re.match(r"\[ *\d+\] +\d+ +\d+ +\d+ +\d+ ", text):
            self._begin(line)
        draft_ = self.open
        if draft_ is None:
            return
        if _LOST.match(text):
            draft_.lost = True
        elif _NOTHING_KILLED.match(text):
            draft_.panic = True
        elif not draft_.kills:
            for part in (self._context, self._memory, self._task):
                if part(draft_, text):
                    break

    def reports(self) -> list[OomReport]:
        """Return what was read."""
        return [_finished(draft) for draft in self.drafts if draft.real]

    def _begin(self, line: Line) -> _Draft:
        if self.open is not None and not self.open.real:
            self.drafts.remove(self.open)
        if len(self.drafts) >= MAX_REPORTS:
            raise InputError(f"the log has more than {MAX_REPORTS:,} OOM reports", accepted="a part of it")
        self.open = _Draft(line)
        self.drafts.append(self.open)
        return self.open

    def _kill(self, line: Line) -> bool:
        """Read the line of a kill, which a hostile name may have broken into several."""
        text = line.text
        if self.begun:
            self.begun.append(text)
            text = "\n".join(self.begun)
            if len(self.begun) > NAME + 1:
                self.begun.clear()
        elif not _KILLED_BEGINS.match(text):
            return False
        match = _KILLED.match(text)
        if match is None:
            if not self.begun:
                self.begun.append(text)
            return True
        self.begun.clear()
        draft = self.open or self._begin(line)
        total, anon, file, shmem, tables = (None if match[n] is None else int(match[n]) * KIB for n in (3, 4, 5, 6, 7))
        assert total is not None and anon is not None and file is not None
        draft.kills.append(Kill(int(match[1]), match["name"], total, anon, file, shmem, tables))
        if "Memory cgroup" in text[:16] and draft.cgroup is None:
            draft.cgroup = ""
        return True

    def _context(self, draft: _Draft, text: str) -> bool:
        if (match := _KERNEL.match(text)) is not None:
            draft.kernel = draft.kernel or match[1]
            draft.machines.update(name for name, found in _machine(match[1]).items() if found)
        elif (match := _CONSTRAINT.match(text)) is not None:
            draft.constraint = match[1].lower()
            if match[2] is not None:
                draft.cgroup = match[2]
        elif (match := _OF_LIMIT.match(text)) is not None:
            draft.cgroup = match[1]
        elif (match := _CHARGE.match(text)) is not None:
            draft.charges.setdefault(match[1], (int(match[2]) * KIB, int(match[3]) * KIB))
        elif (match := _STATS.match(text)) is not None:
            draft.cgroup = draft.cgroup or match[1]
            # Before 4.20 a line for the cgroup and each one below it, which together are the whole.
            for name, amount in re.findall(r"([a-z_()]+):(\d+)KB", match[2]):
                draft.stats[name] = draft.stats.get(name, 0) + int(amount) * KIB
        else:
            return False
        return True

    def _memory(self, draft: _Draft, text: str) -> bool:
        if _COUNTERS.fullmatch(text.rstrip()):
            for name, pages in _COUNTER.findall(text):
                draft.pages.setdefault(name, int(pages))
        elif (match := _NODE.match(text)) is not None:
            if match[1] is not None:
                draft.nodes.add(match[1])
            for name, amount in _KB.findall(text):
                draft.kib[name] = draft.kib.get(name, 0) + int(amount) * KIB
        elif (match := _BLOCKS.match(text)) is not None:
            draft.page = draft.page or int(match[1]) * KIB
        elif (match := _POOL.match(text)) is not None:
            size = int(match[3]) * KIB
            total, free = draft.pools.get(size, (0, 0))
            draft.pools[size] = (total + int(match[1]), free + int(match[2]))
        elif (match := _PAGES.match(text)) is not None:
            draft.pages.setdefault(f"pages {match[2]}", int(match[1]))
        elif (match := _SWAP.match(text)) is not None:
            draft.swap.setdefault(match[1], int(match[2]) * KIB)
        elif draft.columns is None and draft.cgroup is not None and (match := _STAT.fullmatch(text)) is not None:
            draft.stats.setdefault(match[1], int(match[2]))
        else:
            return False
        return True

    def _task(self, draft: _Draft, text: str) -> bool:
        if (match := _HEADER.match(text)) is not None:
            draft.columns = self.columns = match[1].split()[:-1]
            return True
        if (match := _ROW.match(text)) is None:
            if draft.columns is None and not draft.machines and (found := _MACHINE.search(text)) is not None:
                draft.machines.add(str(found.lastgroup))
            return False
        columns = draft.columns or self.columns
        if columns is None:
            draft.unnamed += 1
            return True
        row = re.match(rf"((?: +-?\d{{1,19}}){{{len(columns)}}}) (.*)", match[2])
        if row is None:
            draft.torn += 1
            return True
        values = dict(zip(columns, map(int, row[1].split()), strict=True))
        self.tasks += 1
        if self.tasks > MAX_TASKS:
            raise InputError(f"the log lists more than {MAX_TASKS:,} processes", accepted="a part of it")
        # Before 5.3 a cgroup's dump lists every thread: they have one memory.
        draft.rows.setdefault(values.get("tgid", int(match[1])), (values, row[2]))
        return True


def _machine(text: str) -> dict[str, bool]:
    return {name: re.search(pattern, text) is not None for name, pattern in _MACHINES.items()}


def _finished(draft: _Draft) -> OomReport:
    kernel = draft.kernel
    page = draft.page or _page(draft) or DEFAULT_PAGE
    machine = next(iter(sorted(draft.machines)), None)
    costs = _table_bytes(kernel, machine, page)
    tasks = tuple(_task_of(row, name, page, costs) for row, name in draft.rows.values())
    usage, limit = draft.charges.get("memory", (None, None))
    meminfo = {name: count * page for name, count in draft.pages.items() if not name.startswith("pages ")}
    ram = draft.pages.get("pages RAM")
    of_cgroup = draft.cgroup is not None or draft.constraint == "memcg" or usage is not None
    prefix = "total_" if "total_rss" in draft.stats else ""
    return OomReport(
        line=draft.line.number,
        when=draft.line.when,
        invoker=draft.invoker,
        order=draft.order,
        constraint=draft.constraint,
        cgroup=(draft.cgroup or "") if of_cgroup else None,
        kernel=kernel,
        machine=machine,
        page=page,
        nodes=max(1, len(draft.nodes)),
        meminfo={**draft.kib, **meminfo},
        # Version 1 has the sums over the cgroups below it under names of their own.
        stats={name.removeprefix(prefix): amount for name, amount in draft.stats.items() if name.startswith(prefix)},
        usage=usage,
        limit=None if limit is None or limit >= UNLIMITED else limit,
        kmem=draft.charges.get("kmem", (None, None))[0],
        ram=None if ram is None else ram * page,
        reserved=draft.pages.get("pages reserved", 0) * page,
        swap_total=draft.swap.get("Total"),
        swap_free=draft.swap.get("Free"),
        pools=tuple(Pool(size, *counts) for size, counts in sorted(draft.pools.items())),
        tasks=tasks,
        kills=tuple(draft.kills),
        notes=tuple(_notes(draft, of_cgroup)),
    )


def _page(draft: _Draft) -> int | None:
    """Return the page size that makes the pages of a killed process's row the KiB of its line."""
    for kill in draft.kills:
        pages = draft.rows[kill.pid][0]["total_vm"] if kill.pid in draft.rows else 0
        size = kill.total_vm // pages if pages > 0 else 0
        if size in PAGES and kill.total_vm == size * pages:
            return size
    return None


def _table_bytes(kernel: str | None, machine: str | None, page: int) -> tuple[int, int]:
    """Return what a PTE and a PMD table add to VmPTE: kernels before 4.15 print how many there are."""
    geometry = arch.get(arch_of(machine, page) or "x86_64")
    with contextlib.suppress(ValueError):
        geometry = geometry.at(kernels.parse(kernel or "").version)
    return geometry.levels[0].content_bytes, geometry.levels[1].content_bytes


def arch_of(machine: str | None, page: int) -> str | None:
    """Return ptcalc's name of an architecture with that page size, or None."""
    kib = page // KIB
    name = {"aarch64": f"arm64-{kib}k", "ppc64le": f"ppc64le-{kib}k", "loongarch64": f"loongarch64-{kib}k"}.get(
        machine or "", machine
    )
    return name if name in arch.names() and arch.get(str(name)).base_page == page else None


def _task_of(row: dict[str, int], name: str, page: int, costs: tuple[int, int]) -> Task:
    def pages(column: str) -> int | None:
        # Unfolded counters can read a little below zero.
        return max(0, row[column]) * page if column in row else None

    tables = row.get("pgtables_bytes")
    if tables is None and "nr_ptes" in row:
        tables = row["nr_ptes"] * costs[0] + row.get("nr_pmds", 0) * costs[1]
    return Task(
        pid=row["tgid"],
        uid=row["uid"],
        name=name,
        total_vm=row["total_vm"] * page,
        rss=max(0, row["rss"]) * page,
        page_tables=None if tables is None else max(0, tables),
        swap=pages("swapents") or 0,
        oom_score_adj=row.get("oom_score_adj", 0),
        anon=pages("rss_anon"),
        file=pages("rss_file"),
        shmem=pages("rss_shmem"),
    )


def _notes(draft: _Draft, of_cgroup: bool) -> Iterator[str]:
    if not draft.started:
        yield "the beginning of the report is not in the log"
    if not draft.rows and not draft.unnamed:
        yield "no process is listed: the dump is missing (vm.oom_dump_tasks=0, or cut off)"
    if not of_cgroup and draft.started and "pages RAM" not in draft.pages:
        yield "the memory of the machine is not in the log (no line `pages RAM`)"
    if draft.unnamed:
        yield f"{draft.unnamed:,} processes are listed without the line that names the columns: they are left out"
    if draft.torn:
        yield f"{draft.torn:,} lines of the dump are torn: they are left out"
    if draft.lost:
        yield "messages were lost while it was printed: processes may be missing"
    if draft.panic:
        yield "the kernel found nothing to kill, or was told to panic"
    elif not draft.kills:
        yield "the log ends before a process is killed"
    elif draft.rows and draft.kills[0].pid not in draft.rows:
        yield f"process {draft.kills[0].pid}, which was killed, is not in the dump: processes are missing"
