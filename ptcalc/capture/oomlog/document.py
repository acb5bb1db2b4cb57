"""From an OOM report to the workload that it tells of: groups, what they mapped together, and the machine.

The kernel prints how much shared memory each process had in its tables and how large these were, not which memory it
was.  That it was one segment, and where its touched pages lie, is inferred, and the file says so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from ptcalc import __version__, arch
from ptcalc.arch import kernels
from ptcalc.capture.oomlog.grouping import Group, groups, together
from ptcalc.capture.oomlog.reader import arch_of
from ptcalc.capture.oomlog.report import OomReport, Task
from ptcalc.capture.tables import Counter, Fitted, Place, Touched, fit
from ptcalc.capture.writer import names
from ptcalc.errors import InputError, printable
from ptcalc.risk.constants import PROCESS_SLAB
from ptcalc.workload.measured import KEY, SCHEMA
from ptcalc.workload.sizes import show_size
from ptcalc.workload.writing import comment, entry, quoted

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
# A process with less shared memory than this maps libraries and pipes, not the segment.
LEAST_SHARED = MIB
# Groups with less than this share of all page tables and of the memory are one.
SMALL_SHARE = 0.01
REST = "everything-else"
SEGMENT, UNMAPPED = "shared-memory", "other-shared-memory"
FROM_SHMEM = "all shared memory that there was (shmem)"
# A cgroup's report says nothing of the machine: it is taken to be so many times larger that the limit binds.
MACHINE = 4


@dataclass(frozen=True, slots=True)
class _Member:
    """One process of a group on average, bytes.  ``shared`` 0: it does not map the segment."""

    group: Group
    private: int
    shared: int
    tables: int


@dataclass(frozen=True, slots=True)
class _Split:
    """How the resident memory of a process is divided where the kernel does not say, and how that is known."""

    private: float  # share of ``anon``, or of ``rss`` where there is no such column
    most_shared: int | None
    how: str


def workload_document(report: OomReport) -> str:
    """Return the text of a workload file: what ran when memory ran out, as far as the report goes.

    Raises InputError for a report that lists no process with its page tables, or does not say how much memory there
    was.
    """
    if report.tables_of_tasks is None:
        raise InputError(
            f"the OOM report in line {report.line} lists no page tables of processes, so it tells of no workload",
            accepted="a report with the dump of the processes, of Linux 3.10 or later",
        )
    if report.memory is None:
        raise InputError(
            f"the OOM report in line {report.line} does not say how much memory there was",
            accepted="a report with the line `pages RAM`, or `memory: usage` of a cgroup",
        )
    return "\n".join(_Writer(report, report.memory).lines()) + "\n"


class _Writer:
    def __init__(self, report: OomReport, memory: int) -> None:
        self.report = report
        self.memory = memory
        self.notes = list(report.notes)
        kernel = self._kernel()
        self.kernel_text = kernel.text
        self.geometry = arch.get(self._arch()).at(kernel.version)
        self.counter = Counter(self.geometry, kernel)
        self.split = _split(report)
        self.members = self._members()
        self.beside = [self._beside(member) for member in self.members]
        self.size = self._segment_size()
        self.touches = [self._touch(*each) for each in zip(self.members, self.beside, strict=True)]
        self.resident, self.resident_from = self._resident()
        self.unmapped = max(0, (report.shmem or 0) - self.resident)

    def lines(self) -> Iterator[str]:
        """Yield the lines of the file."""
        report = self.report
        where = "the machine" if report.cgroup is None else f"memory cgroup {report.cgroup or '?'}"
        when = f", {report.when}" if report.when else ""
        yield from comment(
            f"Inferred by ptcalc {__version__} from an OOM report of {where} (line {report.line}{when})."
        )
        if self.size:
            yield from comment(
                "The report says how much shared memory each process had in its page tables, and how many tables; that"
                f" it was one segment that all of them mapped, and its size, is inferred. {self.split.how}"
            )
        else:
            yield from comment(f"No process had shared memory worth a segment. {self.split.how}")
        for note in self.notes:
            yield from comment(f"{note[:1].upper()}{note[1:]}.")
        yield "version: 1"
        yield f"name: {quoted(printable(f'OOM kill of {where}')[:80])}"
        yield ""
        yield from self._host()
        yield from self._segments()
        yield from self._processes()
        yield from self._measured()

    # What the report implies.

    def _kernel(self) -> kernels.Kernel:
        text = self.report.kernel or ""
        for candidate in (text, ".".join(text.split(".")[:2])):
            try:
                return kernels.parse(candidate)
            except ValueError:
                continue
        self.notes.append(f"kernel {printable(text) or 'version'} is not known: {kernels.NEWEST_TEXT} is assumed")
        return kernels.parse(kernels.NEWEST_TEXT)

    def _arch(self) -> str:
        found = arch_of(self.report.machine, self.report.page)
        if found is not None:
            return found
        self.notes.append("the architecture is not in the report: x86_64 is assumed")
        return "x86_64"

    def _members(self) -> list[_Member]:
        found = [self._mean(group) for group in groups(self.report)]
        tables = self.report.tables_of_tasks or 1
        small = [
            member
            for member in found
            if member.group.page_tables < SMALL_SHARE * tables
            and member.shared < SMALL_SHARE * self.memory
            and member.group.count * member.private < SMALL_SHARE * self.memory
        ]
        if len(small) < 2:
            return found
        rest = self._mean(together(REST, (member.group for member in small)))
        # What so few of them mapped of the segment cannot be told apart any more: their tables stay as they are.
        rest = _Member(rest.group, rest.private, 0, rest.tables)
        return [*(member for member in found if member not in small), rest]

    def _mean(self, group: Group) -> _Member:
        parts = [self._parts(task) for task in group.tasks]
        private = round(sum(part[0] for part in parts) / group.count)
        shared = round(sum(part[1] for part in parts) / group.count)
        page = self.report.page
        return _Member(
            group,
            private // page * page,
            shared // page * page if shared >= LEAST_SHARED else 0,
            round(group.page_tables / group.count / KIB) * KIB,
        )

    def _parts(self, task: Task) -> tuple[float, float]:
        if task.anon is not None and task.shmem is not None:
            return task.anon * self.split.private, task.shmem
        private = task.rss * self.split.private
        shared = task.rss - private
        return private, shared if self.split.most_shared is None else min(shared, self.split.most_shared)

    def _beside(self, member: _Member) -> int:
        """Return the part of the tables that is not the segment's."""
        if not member.shared:
            return member.tables
        own = self.counter.small_process()
        own += -(-member.private // self.geometry.pmd_size) * self.geometry.levels[0].content_bytes
        return min(own, member.tables)

    def _segment_size(self) -> int:
        """Return as much as the process with the most tables can have touched, and it has touched all of it."""
        span = self.counter.span
        most_tables = self.geometry.default_window // span
        reach = 0
        for member, beside in zip(self.members, self.beside, strict=True):
            if not member.shared:
                continue
            most = max(task.page_tables or 0 for task in member.group.tasks) - beside
            tables = bisect_right(range(1, most_tables), most, key=lambda count: self._tables_of(count * span))
            reach = max(reach, tables * span, -(-member.shared // span) * span)
        return reach

    def _tables_of(self, length: int) -> int:
        """Return the tables (bytes) of a dense mapping of that length."""
        return self.counter.bytes([Touched([(self.counter.span, self.counter.span + length)])])

    def _touch(self, member: _Member, beside: int) -> Fitted | None:
        if not member.shared:
            return None
        place = Place(self.counter.span, self.size, member.shared)
        return fit([place], member.tables - beside, self.counter)[0]

    def _resident(self) -> tuple[int, str]:
        """Return the memory of the segment (bytes), and where that is from."""
        page, span = self.report.page, self.counter.span
        touches = [touch for touch in self.touches if touch is not None]
        dense = max((touch.dense for touch in touches), default=0)
        reach = max((touch.every_start + touch.every_length for touch in touches), default=0)
        touched = min(self.size, dense + max(0, reach - -(-dense // span) * span) // span * page)
        total = self.report.shmem
        if total is None:
            return touched, "shmem is not in the report"
        if 2 * total < self.size:
            # Larger pages would hold all that lies between the touched ones: then it matters which these are.
            return touched, ""
        return min(total, self.size) // page * page, FROM_SHMEM

    # The sections of the file.

    def _host(self) -> Iterator[str]:
        report = self.report
        yield "host:"
        if report.cgroup is None:
            yield entry(2, "memory", show_size(report.ram or self.memory), "pages RAM")
            yield entry(2, "mem_total", show_size(self.memory), "less the reserved pages")
        else:
            least = max(MACHINE * self.memory, self.memory + 2 * self.size)
            yield entry(
                2, "memory", show_size(-(-least // GIB) * GIB), "not in the report: so much that the limit binds"
            )
        yield entry(2, "arch", self.geometry.name)
        yield entry(2, "kernel", f'"{self.kernel_text}"')
        yield entry(2, "swap", show_size(report.swap_total or 0), "Total swap" if report.swap_total is not None else "")
        if report.cgroup is None:
            yield entry(2, "used", show_size(self._used()), "what was taken, less what is below")
        else:
            yield entry(2, "used", "0 B", "of the machine, not of the cgroup")
            yield entry(2, "cgroup_limit", show_size(self.memory))
        if report.nodes > 1:
            yield entry(2, "numa_nodes", str(report.nodes))
        known = {pool.page_size: pool.total for pool in report.pools if pool.page_size in self.geometry.huge_pages}
        pools = ", ".join(f"{show_size(size)}: {total}" for size, total in known.items() if total)
        if pools:
            yield entry(2, "hugepages", f"{{{pools}}}", "hugepages_total")
        yield ""

    def _used(self) -> int:
        """Return what the machine had taken and nothing below describes."""
        report = self.report
        taken = self.memory - report.meminfo.get("free", 0) - report.file_cache
        geometry = self.geometry
        described = self.resident + self.unmapped + report.pool_bytes
        for member in self.members:
            each = member.private + member.tables + geometry.root_bytes + geometry.kernel_stack + PROCESS_SLAB
            described += member.group.count * each
        return max(0, taken - described) // KIB * KIB

    def _segments(self) -> Iterator[str]:
        if self.size or self.unmapped:
            yield "segments:"
        if self.size:
            yield f"  {SEGMENT}:"
            yield entry(4, "size", show_size(self.size), "inferred: as far as the page tables of a process reach")
            yield entry(4, "backing", "shmem")
            resident = show_size(self.resident) if self.resident_from == FROM_SHMEM else "touched"
            yield entry(4, "resident", resident, self.resident_from)
        if self.unmapped:
            yield f"  {UNMAPPED}:"
            yield entry(4, "size", show_size(self.unmapped), "the rest of shmem: other segments, files in tmpfs")
            yield entry(4, "backing", "shmem")
        if self.size or self.unmapped:
            yield ""

    def _processes(self) -> Iterator[str]:
        grows = {
            member.group.name
            for member in self.members
            if member.group.count > 1 and (member.shared if self.size else member.group.name != REST)
        }
        yield "processes:"
        for name, member, beside, touch in zip(self._names(), self.members, self.beside, self.touches, strict=True):
            group = member.group
            yield f"  {quoted(name)}:"
            pids = sorted(task.pid for task in group.tasks)
            shown = ", ".join(map(str, pids[:5])) + (", …" if len(pids) > 5 else "")
            yield from comment(
                f"process{'es' if len(pids) > 1 else ''} {shown}; page tables {show_size(member.tables)} each", 4
            )
            yield entry(4, "count", str(group.count))
            if group.name not in grows:
                yield entry(4, "scale", "fixed")
            yield entry(4, "private", show_size(member.private))
            yield entry(
                4, "base_tables", show_size(beside + self.geometry.root_bytes), "beside the segment, with the top level"
            )
            if touch is not None:
                yield "    mappings:"
                yield f"      - segment: {SEGMENT}"
                yield entry(
                    8, "alignment", show_size(self.geometry.pmd_size), "assumed; the address is not in the report"
                )
                yield from self._touched(touch)
        yield ""

    def _touched(self, touch: Fitted) -> Iterator[str]:
        if touch.dense >= self.size:
            yield entry(8, "touch", "all")
            return
        yield "        touch:"
        yield f"          - {{amount: {show_size(touch.dense)}, pattern: contiguous}}"
        if touch.every_length:
            start, length = show_size(touch.every_start), show_size(touch.every_length)
            yield f"          - {{every: {show_size(self.counter.span)}, start: {start}, length: {length}}}"

    def _measured(self) -> Iterator[str]:
        yield "# What the report says; `ptcalc estimate` says how far its figures are from that.  `beside` is the part"
        yield "# that is not the segment's."
        yield f"{KEY}:"
        yield f"  schema: {SCHEMA}"
        yield f"  arch: {self.geometry.name}"
        counted = self.report.meminfo.get("pagetables")
        if self.report.cgroup is None and counted is not None:
            pairs = zip(self.members, self.beside, strict=True)
            beside = sum(member.group.count * self.counter.in_page_tables(each) for member, each in pairs)
            yield f"  page_tables: {{measured: {show_size(counted)}, beside: {show_size(beside)}}}"
        yield "  processes:"
        for name, member, each in zip(self._names(), self.members, self.beside, strict=True):
            yield f"    {quoted(name)}: {{measured: {show_size(member.tables)}, beside: {show_size(each)}}}"

    def _names(self) -> list[str]:
        return names(member.group.name for member in self.members)


def _split(report: OomReport) -> _Split:
    """Return how much of the processes' resident memory is their own."""
    columns = all(task.anon is not None for task in report.tasks)
    share = report.own_share
    if share is not None:
        if columns:
            how = (
                "" if share > 0.99 else f"Private memory is scaled to {100 * share:.0f} %: the rest is shared by fork."
            )
            return _Split(share, None, how)
        return _Split(
            share, report.shmem, "This kernel prints one RSS: private memory is that of the machine, shared out by RSS."
        )
    if columns:
        return _Split(1.0, None, "")
    for kill in report.kills:
        resident = kill.anon + kill.file + (kill.shmem or 0)
        if resident:
            return _Split(
                kill.anon / resident,
                report.shmem,
                "This kernel prints one RSS: it is divided as that of the killed process.",
            )
    return _Split(
        0.0, report.shmem, "This kernel prints one RSS, and nothing says how much of it was private: none is."
    )
