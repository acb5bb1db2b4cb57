"""A captured workload as YAML text that people read: comments say where each figure comes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ptcalc import __version__
from ptcalc.capture.grouping import Group
from ptcalc.capture.host import Host, Limit
from ptcalc.capture.proc import SegmentKey
from ptcalc.capture.segments import Segment
from ptcalc.capture.tables import Counter, Fitted
from ptcalc.capture.touching import Look, Seen
from ptcalc.errors import printable
from ptcalc.workload.measured import KEY, SCHEMA
from ptcalc.workload.sizes import show_size
from ptcalc.workload.writing import comment, entry, quoted

MAX_NAME = 80  # characters of a name; the file takes 100
# Flags in smaps (fs/proc/task_mmu.c:show_smap_vma_flags) that decide over huge pages and shared tables; the first
# of two that say one thing counts.
_FLAGS = (
    ("lo", "locked", "on_fault"),
    ("hg", "madvise", "hugepage"),
    ("nh", "madvise", "nohugepage"),
    ("um", "userfaultfd", "missing"),
    ("uw", "userfaultfd", "wp"),
    ("ui", "userfaultfd", "minor"),
)


@dataclass(slots=True)
class Document:
    """All that a captured file says; ``page_tables`` None: not all processes are in it."""

    title: str
    provenance: str
    host: Host
    used: int | None
    used_from: str
    limit: Limit | None
    segments: Sequence[Segment]
    groups: Sequence[tuple[str, Group, Look, bool]]  # name, group, what is known of it, whether it stays as it is
    page_tables: int | None
    notes: Sequence[str] = field(default_factory=list)


def names(labels: Iterable[str]) -> list[str]:
    """Return a harmless name for each label, no two of them equal."""
    taken: set[str] = set()
    found = []
    for label in labels:
        plain = printable(label).strip()[:MAX_NAME] or "unnamed"
        name, number = plain, 1
        while name in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name)
        found.append(name)
    return found


def write(document: Document, counter: Counter) -> str:
    """Return the text of the file."""
    known = names(segment.label for segment in document.segments)
    segment_names = dict(zip((segment.key for segment in document.segments), known, strict=True))
    lines = [
        f"# Captured by ptcalc {__version__} from {printable(document.provenance)}.",
        *(line for note in document.notes for line in comment(note)),
        "version: 1",
        f"name: {quoted(printable(document.title)[:MAX_NAME])}",
        "",
        *_host(document),
        *_segments(document, segment_names),
        *_processes(document, segment_names, counter),
        *_measured(document, counter),
    ]
    return "\n".join(lines) + "\n"


def _host(document: Document) -> list[str]:
    host = document.host
    lines = ["host:", entry(2, "memory", show_size(host.memory), host.memory_from)]
    lines.append(entry(2, "mem_total", show_size(host.mem_total), "MemTotal"))
    lines.append(entry(2, "arch", host.geometry.name))
    if host.kernel_text is not None:
        lines.append(entry(2, "kernel", f'"{host.kernel_text}"'))
    lines.append(entry(2, "swap", show_size(host.swap), "SwapTotal"))
    if document.used is not None:
        lines.append(entry(2, "used", show_size(document.used), document.used_from))
    if host.nodes > 1:
        lines.append(entry(2, "numa_nodes", str(host.nodes)))
    if host.hugepages:
        pools = ", ".join(f"{show_size(size)}: {count}" for size, count in host.hugepages.items())
        lines.append(entry(2, "hugepages", f"{{{pools}}}", "nr_hugepages"))
    for size, count in host.odd_pools.items():
        lines.append(
            f"  # {count} huge pages of {show_size(size)} are left out: {host.geometry.name} has no such size."
        )
    if document.limit is not None:
        lines.append(entry(2, "cgroup_limit", show_size(document.limit.bytes), document.limit.path))
    if host.thp:
        shmem = f", shmem_enabled {host.shmem_thp}" if host.shmem_thp else ""
        lines.append(f"  # Transparent huge pages: enabled {host.thp}{shmem}.")
    return [*lines, ""]


def _segments(document: Document, known: dict[SegmentKey, str]) -> list[str]:
    if not document.segments:
        return []
    lines = ["segments:"]
    for segment in document.segments:
        lines.append(f"  {quoted(known[segment.key])}:")
        lines += comment(f"{segment.path}, device {segment.key.device}, inode {segment.key.inode}", 4)
        lines.append(entry(4, "size", show_size(segment.size), segment.size_from))
        lines.append(entry(4, "backing", segment.backing))
        if segment.page_size is not None:
            lines.append(entry(4, "page_size", show_size(segment.page_size)))
        if segment.thp != "never":
            lines.append(entry(4, "thp", segment.thp, "; ".join(segment.notes) or "smaps: PmdMapped"))
        if segment.resident is not None:
            lines.append(entry(4, "resident", show_size(segment.resident), segment.resident_from))
        elif segment.backing == "shmem":
            lines.append(entry(4, "resident", "touched", "not known: what the processes have touched"))
    return [*lines, ""]


def _processes(document: Document, known: dict[SegmentKey, str], counter: Counter) -> list[str]:
    lines = ["processes:"]
    for name, group, look, fixed in document.groups:
        lines.append(f"  {quoted(name)}:")
        lines += comment(_who(group, look), 4)
        lines.append(entry(4, "count", str(group.count)))
        if fixed:
            lines.append(entry(4, "scale", "fixed"))
        threads = round(sum(member.status.threads for member in group.members) / group.count)
        if threads > 1:
            lines.append(entry(4, "threads", str(threads), "" if group.count == 1 else "on average"))
        lines.append(entry(4, "private", show_size(look.private)))
        tables = look.beside + counter.geometry.root_bytes
        lines.append(entry(4, "base_tables", show_size(tables), "beside these mappings, with the top level"))
        if look.mappings:
            lines.append("    mappings:")
            for seen in look.mappings:
                lines += _mapping(seen, known, counter)
    return [*lines, ""]


def _who(group: Group, look: Look) -> str:
    """Say which processes a group has, what they show, and how their touches are known."""
    pids = sorted(member.pid for member in group.members)
    shown = ", ".join(map(str, pids[:5])) + (", …" if len(pids) > 5 else "")
    least = min(member.status.vmpte for member in group.members)
    most = max(member.status.vmpte for member in group.members)
    spread = show_size(least) if least == most else f"{show_size(least)} to {show_size(most)}"
    counts: dict[str, int] = {}
    for member in group.members:
        counts[member.status.name] = counts.get(member.status.name, 0) + 1
    common = sorted(counts, key=lambda name: (-counts[name], name))
    called = ", ".join(common[:5]) + (f" and {len(common) - 5} names more" if len(common) > 5 else "")
    how = f" Touch: {look.how}." if look.how else ""
    return f"{called}; process{'es' if len(pids) > 1 else ''} {shown}. VmPTE {spread}.{how}"


def _mapping(seen: Seen, known: dict[SegmentKey, str], counter: Counter) -> list[str]:
    shape = seen.shape
    lines = [f"      - segment: {quoted(known[shape.key])}"]
    if shape.offset:
        lines.append(entry(8, "offset", show_size(shape.offset)))
    lines.append(entry(8, "length", show_size(shape.length)))
    if seen.address is not None:
        lines.append(entry(8, "address", f"{seen.address:#x}", seen.note))
    else:
        lines.append(entry(8, "placement", "independent", "each process has its own address"))
        lines.append(entry(8, "alignment", show_size(seen.alignment or counter.page)))
    lines.append(entry(8, "protection", shape.protection))
    flags = {key: (value, flag) for flag, key, value in reversed(_FLAGS) if flag in seen.flags}
    lines += [entry(8, key, value, f"VmFlags {flag}") for key, (value, flag) in flags.items()]
    if shape.protection != "none":
        lines += _touch(seen, counter)
    return lines


def _touch(seen: Seen, counter: Counter) -> list[str]:
    length, touch = seen.shape.length, seen.touch
    if isinstance(touch, Fitted):
        parts = []
        if touch.dense >= length:
            return [entry(8, "touch", "all")]
        if touch.dense:
            parts.append(f"{{amount: {show_size(touch.dense)}, pattern: contiguous}}")
        if touch.every_length:
            start, extent = show_size(touch.every_start), show_size(touch.every_length)
            parts.append(f"{{every: {show_size(counter.span)}, start: {start}, length: {extent}}}")
        if not parts:
            return [entry(8, "touch", "none")]
        if len(parts) == 1:
            return [entry(8, "touch", parts[0])]
        return ["        touch:", *(f"          - {part}" for part in parts)]
    if not touch:
        return [entry(8, "touch", "none")]
    if touch == [(0, length)]:
        return [entry(8, "touch", "all")]
    ranges = [f"{{start: {show_size(start)}, length: {show_size(end - start)}}}" for start, end in touch]
    if len(ranges) == 1:
        return [f"        touch: {{ranges: [{ranges[0]}]}}"]
    return ["        touch:", "          ranges:", *(f"            - {each}" for each in ranges)]


def _measured(document: Document, counter: Counter) -> list[str]:
    """Return the counters as they were: `ptcalc estimate` puts its figures beside them."""
    host = document.host
    lines = [
        "# What the kernel counted; `ptcalc estimate` says how far its figures are from that.  `beside` is the part",
        "# that no mapping above explains.",
        f"{KEY}:",
        f"  schema: {SCHEMA}",
        f"  arch: {host.geometry.name}",
    ]
    if document.page_tables is not None:
        beside = sum(group.count * counter.in_page_tables(look.beside) for _, group, look, _ in document.groups)
        lines.append(
            f"  page_tables: {{measured: {show_size(document.page_tables)}, beside: {show_size(beside)}}}"
            "  # PageTables in /proc/meminfo"
        )
    lines.append("  processes:  # VmPTE of one process")
    lines += [
        f"    {quoted(name)}: {{measured: {show_size(group.vmpte)}, beside: {show_size(look.beside)}}}"
        for name, group, look, _ in document.groups
    ]
    return lines
