"""A workload file from a running system: its processes, what they map together, and the machine.

import ptcalc
found = ptcalc.capture_system(match=["postgres"])
print(found.text)
ptcalc.estimate(found.workload())
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from ptcalc.capture import proc
from ptcalc.capture.grouping import Group, Process, extents, groups
from ptcalc.capture.host import Host, Limit, cgroup_limit, read_host
from ptcalc.capture.segments import Segment, describe, is_memory
from ptcalc.capture.tables import Counter
from ptcalc.capture.touching import Look, Observer
from ptcalc.capture.tree import Denied, Directory, Gone, Live, Oversized, Silent, Source, walk_up
from ptcalc.capture.writer import Document, names, write
from ptcalc.errors import CannotDoHere, InputError, printable, quote
from ptcalc.workload.sizes import show_size

if TYPE_CHECKING:
    from ptcalc.arch import Geometry
    from ptcalc.workload import Workload

__all__ = ["Capture", "Detail", "capture_oom_log", "capture_system"]

Detail = Literal["quick", "full", "pages"]

MIN_SEGMENT = 1 << 20
SPREAD = 0.04
# Programs without segments that have less than this share of the memory together are one group.
SMALL_SHARE = 0.01
REST = "everything-else"
MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Capture:
    """A captured workload: the ``text`` of its file.

    ``groups`` are the processes (pids) of each group in it, as far as they were read from /proc; ``missing`` says what
    could not be read, one sentence each.
    """

    text: str
    groups: Mapping[str, tuple[int, ...]]
    missing: tuple[str, ...]

    def workload(self) -> Workload:
        """Return the workload that the text describes."""
        from ptcalc.workload import loads

        return loads(self.text, name="<capture>")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which processes are wanted; what is empty selects all, several of one kind are alternatives."""

    pids: frozenset[int] = frozenset()
    users: frozenset[int] = frozenset()
    cgroups: tuple[str, ...] = ()
    match: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether no process is left out."""
        return not (self.pids or self.users or self.cgroups or self.match)

    def takes(self, process: Process) -> bool:
        """Whether a process is wanted."""
        if self.users and process.status.uid not in self.users:
            return False
        if self.match and not any(
            fnmatchcase(name, pattern) for pattern in self.match for name in (process.status.name, process.program)
        ):
            return False
        if not self.cgroups:
            return True
        return any(wanted in walk_up(path) for _, path in proc.cgroups(process.cgroup) for wanted in self.cgroups)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a capture is made; the parameters of `capture_system` of these names."""

    detail: Detail
    min_segment: int
    spread: float
    progress: Callable[[int, int], None] | None

    def advance(self, done: int, total: int) -> None:
        """Tell how far it is."""
        if self.progress is not None:
            self.progress(done, total)


def capture_system(
    *,
    proc_root: str | None = None,
    sosreport: str | None = None,
    pids: Iterable[int] = (),
    users: Iterable[str] = (),
    cgroups: Iterable[str] = (),
    match: Iterable[str] = (),
    detail: Detail = "quick",
    min_segment: int = MIN_SEGMENT,
    spread: float = SPREAD,
    progress: Callable[[int, int], None] | None = None,
) -> Capture:
    """Capture the running system, a copied /proc tree (``proc_root``), or a sosreport archive.

    ``pids``, ``users`` (names or numbers), ``cgroups`` (paths, with all below) and ``match`` (shell patterns of
    process or program names) select processes.  ``detail``: ``quick`` reads status and maps, ``full`` smaps,
    ``pages`` also the pagemap of one process of each group.  Shared memory below ``min_segment`` bytes counts with
    the processes' own.  Processes of a group differ in VmPTE by at most ``spread``, a share.  ``progress`` is called
    with how many processes have been read, and of how many; then with groups.

    Raises InputError for a source that is none or that holds no wanted process, CannotDoHere where none may be read.
    """
    source = _source(proc_root, sosreport)
    if detail == "pages" and not source.live:
        raise InputError("--detail pages reads the pagemap of running processes", accepted="quick or full here")
    selection = Selection(
        frozenset(pids),
        frozenset(_uid(source, user) for user in users),
        tuple("/" + path.strip("/") for path in cgroups),
        tuple(match),
    )
    settings = Settings(detail, min_segment, spread, progress)
    reader = _Reader(source, selection, settings)
    processes = reader.read()
    page_tables = _page_tables(source) if selection.everything else None
    host = read_host(source, [process.pid for process in processes])
    if page_tables is not None and source.live:
        page_tables -= _own_tables(source, host)
    reader.check(processes, host.geometry)
    missing = [*source.notes, *host.notes, *reader.notes()]
    if not processes:
        raise _nothing(source, selection, reader)
    return _assemble(source, host, selection, processes, missing, page_tables, settings)


def capture_oom_log(path: str) -> Capture:
    """Return what the last OOM report in a kernel log that lists its processes tells of; ``-`` is standard input.

    Raises InputError for a file that cannot be read, or that holds no such report.
    """
    from ptcalc.capture.oomlog import read_file, workload_document

    reports = read_file(path)
    listed = [report for report in reports if report.tasks]
    if not listed:
        what = "its OOM reports list no processes" if reports else "there is no OOM report in it"
        raise InputError(what, file=path, accepted="a kernel log (dmesg, journalctl -k) with the dump of the processes")
    report = listed[-1]
    missing = [*report.notes]
    if len(reports) > 1:
        missing.append(f"the log holds {len(reports):,} OOM reports: the one in line {report.line} was taken")
    return Capture(workload_document(report), {}, tuple(missing))


def _source(proc_root: str | None, sosreport: str | None) -> Source:
    if proc_root is not None and sosreport is not None:
        raise InputError("a copied tree and a sosreport at once", accepted="one source")
    if sosreport is not None:
        from ptcalc.capture.archive import Archive

        return Archive(sosreport)
    return Live() if proc_root is None else Directory(proc_root)


def _uid(source: Source, user: str) -> int:
    if user.isascii() and user.isdecimal() and len(user) <= 10:
        return int(user)
    for line in (source.system("etc/passwd") or "").splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[0] == user and fields[2].isdecimal():
            return int(fields[2])
    if source.live:
        import pwd

        try:
            return pwd.getpwnam(user).pw_uid
        except (KeyError, ValueError):
            pass
    raise InputError(f"user {quote(user)} is not known to {source.provenance}", accepted="a user's name or number")


def _page_tables(source: Source) -> int | None:
    if source.live:
        # Reading it folds the parts of the counter that lie with each CPU together (mm/vmstat.c); only root may.
        source.system("proc/sys/vm/stat_refresh")
    return proc.amounts(source.system("proc/meminfo") or "").get("PageTables")


def _own_tables(source: Source, host: Host) -> int:
    """Return what the process that captures, which is not in the file, has in PageTables."""
    own = proc.status(source.process(os.getpid(), "status"))
    return Counter(host.geometry, host.kernel).in_page_tables(own.vmpte) if own is not None else 0


def _nothing(source: Source, selection: Selection, reader: _Reader) -> InputError | CannotDoHere:
    if reader.unread:
        return CannotDoHere(f"no process may be read: {reader.notes()[0]}; run it as root")
    if selection.everything:
        return InputError(f"{source.provenance} holds no process", accepted="a tree with PID/status and PID/maps in it")
    return InputError(f"no process of {source.provenance} is selected", accepted="processes that are there")


class _Reader:
    """Reads the processes of a source and counts those that it could not read."""

    def __init__(self, source: Source, selection: Selection, settings: Settings) -> None:
        self.source = source
        self.selection = selection
        self.settings = settings
        self.vanished: list[str] = []
        self.unread: list[str] = []
        self.denied: list[str] = []
        self.silent: list[str] = []
        self.holes: list[str] = []
        self.broken: list[str] = []
        self._known = proc.Known()

    def read(self) -> list[Process]:
        """Return the wanted processes; those whose maps could not be read have none."""
        there = self.source.pids()
        wanted = [pid for pid in there if pid in self.selection.pids] if self.selection.pids else there
        missing = sorted(self.selection.pids.difference(there))
        self.vanished += [str(pid) for pid in missing]
        found = []
        for number, pid in enumerate(wanted):
            process = self._one(pid)
            if process is not None and self.selection.takes(process):
                found.append(process)
            self.settings.advance(number + 1, len(wanted))
        return found

    def notes(self) -> list[str]:
        """Return what could not be read, counted and named."""
        told = (
            (self.vanished, "vanished before all was read"),
            (self.unread, "may not be read at all"),
            (self.denied, "may not be looked into, only the counters are in the file"),
            (self.silent, "asleep in the kernel and without an answer, only the counters are in the file"),
            (self.holes, "without maps, only the counters are in the file"),
            (self.broken, "with lines that are torn or not understood, which were left out"),
        )
        return [
            f"{len(whom):,} process{'es' if len(whom) > 1 else ''} {what}: {_named(whom)}"
            for whom, what in told
            if whom
        ]

    def _one(self, pid: int) -> Process | None:
        try:
            data = self.source.process(pid, "status")
        except Oversized:
            self.broken.append(str(pid))
            return None
        except Gone:
            self.vanished.append(str(pid))
            return None
        except Denied:
            self.unread.append(str(pid))
            return None
        status = proc.status(data)
        if status is None:
            if not data.startswith(b"Name:") or b"\nThreads:" not in data:
                self.broken.append(str(pid))
            return None  # a kernel thread or a zombie: no memory of its own
        if self.selection.users and status.uid not in self.selection.users:
            return None
        process = Process(pid, status, None)
        name = f"{status.name} ({pid})"
        try:
            process.maps = self._maps(pid)
        except Silent:
            self.silent.append(name)
        except Denied:
            self.denied.append(name)
        except Oversized:
            self.broken.append(name)
        except Gone:
            if self.source.live:
                self.vanished.append(name)
                return None
            self.holes.append(name)
        with suppress(Denied, Gone):  # what limits it is then not known
            process.cgroup = proc.text(self.source.process(pid, "cgroup"))
        return process

    def check(self, processes: Iterable[Process], geometry: Geometry) -> None:
        """Leave out shared mappings that no kernel of that geometry has, and count the processes that have some."""
        for process in processes:
            maps = process.maps
            if maps is None:
                continue
            page = geometry.base_page
            impossible = [
                vma
                for vma in maps.vmas
                if vma.shared and (vma.end > geometry.task_size or (vma.start | vma.end | vma.offset) % page)
            ]
            if impossible:
                maps.vmas = [vma for vma in maps.vmas if vma not in impossible]
            if impossible or maps.broken:
                self.broken.append(f"{process.status.name} ({process.pid})")

    def _maps(self, pid: int) -> proc.Maps:
        """Read smaps where they are wanted or all that there is, else maps."""
        if self.settings.detail == "full":
            try:
                return proc.all_maps(self.source.process(pid, "smaps"))
            except (Gone, Denied):
                if self.source.live:
                    raise
        try:
            return proc.shared_maps(self.source.process(pid, "maps"), self._known)
        except Gone as error:
            if self.source.live or isinstance(error, Oversized):
                raise
        return proc.all_maps(self.source.process(pid, "smaps"))


def _named(whom: Sequence[str]) -> str:
    more = f" and {len(whom) - MAX_NAMED:,} more" if len(whom) > MAX_NAMED else ""
    return ", ".join(printable(name) for name in whom[:MAX_NAMED]) + more


def _assemble(
    source: Source,
    host: Host,
    selection: Selection,
    processes: list[Process],
    missing: list[str],
    page_tables: int | None,
    settings: Settings,
) -> Capture:
    reach = extents(processes)
    paths = {vma.key: vma.path for each in processes if each.maps is not None for vma in each.maps.vmas if vma.shared}
    memory = {key for key in reach if is_memory(paths[key])}
    kept = {key for key in memory if reach[key] >= settings.min_segment}
    notes = list(missing)
    if len(memory) > len(kept):
        notes.append(
            f"{len(memory) - len(kept):,} of the shared segments, each below {show_size(settings.min_segment)},"
            " count as base_tables"
        )
    found = groups(processes, kept, settings.spread)
    segments = describe(source, host, found, reach)
    counter = Counter(host.geometry, host.kernel)
    observer = Observer(source, counter, {segment.key: segment for segment in segments}, settings.detail)
    wanted = _folded(found, host, keep=not selection.everything)
    looks = []
    for number, group in enumerate(wanted):
        looks.append((group, observer.look(group)))
        settings.advance(number + 1, len(wanted))
    largest: dict[object, int] = {}
    for group, _ in looks:
        for shape in group.shapes:
            largest[shape.key] = max(largest.get(shape.key, 0), group.count)
    labels = names(_label(group) for group, _ in looks)
    document = Document(
        title=f"{host.name or 'a host'}: {len(processes):,} processes",
        provenance=_provenance(source, settings.detail),
        host=host,
        used=_used(host, segments, looks, counter),
        used_from="MemTotal - MemAvailable - what is below",
        limit=_limit(source, processes, kept),
        segments=segments,
        groups=[
            (label, group, look, _fixed(group, largest)) for label, (group, look) in zip(labels, looks, strict=True)
        ],
        page_tables=page_tables,
        notes=notes,
    )
    return Capture(
        text=write(document, counter),
        groups={
            name: tuple(sorted(member.pid for member in group.members))
            for name, (group, _) in zip(labels, looks, strict=True)
        },
        missing=tuple(missing),
    )


def _provenance(source: Source, detail: Detail) -> str:
    if not source.live:
        return f"{source.provenance}, detail: {detail}"
    from datetime import UTC, datetime

    return f"{source.provenance} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, detail: {detail}"


def _folded(found: list[Group], host: Host, *, keep: bool) -> list[Group]:
    """Return the groups, those without segments one for each program; small programs are one together."""
    programs: dict[str, list[Process]] = {}
    for group in found:
        if not group.shapes:
            programs.setdefault(group.sample.program, []).extend(group.members)
    result = [group for group in found if group.shapes]
    rest: list[Process] = []
    for members in programs.values():
        held = sum((each.status.rss_anon or each.status.rss) + each.status.vmpte for each in members)
        if keep or held >= SMALL_SHARE * host.mem_total:
            result.append(Group(members, (), members[0]))
        else:
            rest += members
    return [*result, *([Group(rest, (), rest[0])] if rest else [])]


def _label(group: Group) -> str:
    called = {member.status.name for member in group.members}
    programs = {member.program for member in group.members}
    if len(programs) > 1:
        return REST
    return called.pop() if len(called) == 1 else programs.pop()


def _fixed(group: Group, largest: dict[object, int]) -> bool:
    """Whether a group stays as it is when the number of processes is asked: it has one process, and others many."""
    if not group.shapes:
        return True
    return group.count == 1 and any(largest[shape.key] > 1 for shape in group.shapes)


def _used(host: Host, segments: Sequence[Segment], looks: Sequence[tuple[Group, Look]], counter: Counter) -> int | None:
    """Return what is in use and not described: it cannot be told where the kernel (before 3.14) has no MemAvailable."""
    available = host.meminfo.get("MemAvailable")
    if available is None:
        return None
    from ptcalc.risk.constants import PROCESS_SLAB, THREAD_SLAB

    stack = host.geometry.kernel_stack
    described = sum(segment.resident or 0 for segment in segments if segment.backing == "shmem")
    described += sum(size * count for size, count in {**host.hugepages, **host.odd_pools}.items())
    for group, look in looks:
        threads = sum(member.status.threads - 1 for member in group.members)
        described += group.count * (look.private + stack + PROCESS_SLAB) + threads * (stack + THREAD_SLAB)
        described += sum(member.status.vmpte for member in group.members)
        described += group.count * counter.geometry.root_bytes
    return max(0, host.mem_total - available - described) // proc.KIB * proc.KIB


def _limit(source: Source, processes: Iterable[Process], kept: set[proc.SegmentKey]) -> Limit | None:
    """Return the limit of the cgroup that holds the processes which map something, or all if none does."""
    everyone = [process for process in processes if process.cgroup]
    mapping = [
        process
        for process in everyone
        if process.maps is not None and any(vma.key in kept for vma in process.maps.vmas)
    ]
    return cgroup_limit(source, (process.cgroup for process in mapping or everyone))
