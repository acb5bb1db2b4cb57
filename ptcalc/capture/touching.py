"""What the processes of a group have touched, as far as the kernel says: exact pages, amounts, or tables alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ptcalc.capture import pagemap, proc
from ptcalc.capture.grouping import Group, Process, Shape
from ptcalc.capture.proc import SegmentKey, Vma
from ptcalc.capture.segments import Segment
from ptcalc.capture.tables import Counter, Fitted, Place, Run, Touched, fit
from ptcalc.capture.tree import Denied, Gone, Source

if TYPE_CHECKING:
    from typing import Literal

    Detail = Literal["quick", "full", "pages"]

MAX_RANGES = 500  # of one mapping; more are told table by table, which needs the same tables
MAX_RANGES_BY_TABLE = 2000
# A mapping without an address lies alone in its part of the address space, with upper tables of its own.  Where that
# would be more than this share of what the process has, the addresses of one process stand for all.
OWN_TABLES_SHARE = 0.005


@dataclass(slots=True)
class Seen:
    """One mapping of a group.  ``touch``: pages exactly (runs, offsets into the mapping), or a fitted one."""

    shape: Shape
    touch: list[Run] | Fitted
    address: int | None
    alignment: int | None = None
    note: str = ""
    flags: frozenset[str] = frozenset()  # VmFlags of smaps


@dataclass(slots=True)
class Look:
    """What is known of one process of a group; ``beside`` is the part of VmPTE that no mapping of the file explains."""

    private: int
    beside: int
    mappings: list[Seen] = field(default_factory=list)
    how: str = ""


@dataclass(frozen=True, slots=True)
class Observer:
    """Looks at groups through one source."""

    source: Source
    counter: Counter
    segments: Mapping[SegmentKey, Segment]
    detail: Detail

    def look(self, group: Group) -> Look:
        """Return what is known of a group."""
        private = group.mean(_private(member, self.segments) for member in group.members)
        if not group.shapes:
            return Look(private, group.vmpte)
        placed = self._placed(group)
        if self.detail == "pages":
            found = self._exact(group, placed)
            if found is not None:
                mappings, beside, pid = found
                return Look(private, beside, mappings, f"touched pages of process {pid} (pagemap)")
        mappings, beside, how = self._fitted(group, placed)
        return Look(private, beside, mappings, how)

    def _placed(self, group: Group) -> list[tuple[int | None, int | None, str]]:
        """Return address, alignment and a note for each mapping of a group."""
        found: list[tuple[int | None, int | None, str]] = []
        columns = list(zip(*group.vmas.values(), strict=True))
        differing = sum(len({vma.start for vma in column}) > 1 for column in columns)
        own = differing * sum(level.table_bytes for level in self.counter.geometry.added_levels[1:])
        independent = own <= OWN_TABLES_SHARE * group.vmpte
        for column, sample in zip(columns, group.vmas[group.sample.pid], strict=True):
            together = 0
            for vma in column:
                together |= vma.start
            if len({vma.start for vma in column}) == 1:
                found.append((sample.start, None, ""))
            elif independent:
                found.append((None, together & -together, ""))
            else:
                found.append((sample.start, None, f"of process {group.sample.pid}; the others have it elsewhere"))
        return found

    def _leaf(self, key: SegmentKey) -> str:
        segment = self.segments[key]
        if segment.backing == "hugetlb":
            return self.counter.leaf_of(segment.page_size or self.counter.geometry.default_huge_page)
        geometry = self.counter.geometry
        return geometry.levels[1].name if segment.thp == "always" and geometry.has_file_thp else "pte"

    def _exact(
        self, group: Group, placed: Sequence[tuple[int | None, int | None, str]]
    ) -> tuple[list[Seen], int, int] | None:
        """Read the pagemap of the member nearest to the mean that still lives."""
        members = sorted(group.members, key=lambda each: abs(each.status.vmpte - group.vmpte))
        for member in members[:5]:
            file = self.source.pagemap(member.pid)
            if file is None:
                continue
            try:
                own = [self._entries(file, vma) for vma in group.vmas[member.pid]]
                rest = self._rest(member, file)
                # It may have gone on since its counters were read.
                member.status = proc.status(self.source.process(member.pid, "status")) or member.status
            except (OSError, Gone, Denied):
                continue
            finally:
                os.close(file)
            leaves = [self._leaf(shape.key) for shape in group.shapes]
            segments = [Touched(entries.runs, leaf) for entries, leaf in zip(own, leaves, strict=True)]
            beside = self.counter.bytes([*segments, Touched(rest)]) - self.counter.bytes(segments)
            mappings = [
                Seen(shape, self._offsets(entries, vma), *place)
                for shape, entries, vma, place in zip(group.shapes, own, group.vmas[member.pid], placed, strict=True)
            ]
            return mappings, beside, member.pid
        return None

    def _rest(self, member: Process, file: int) -> list[Run]:
        """Return what a process has touched outside the segments of the file."""
        runs: list[Run] = []
        for vma in proc.all_maps(self.source.process(member.pid, "maps")).vmas:
            if self._outside(vma):
                continue
            if vma.length <= pagemap.MAX_LENGTH:
                runs += self._entries(file, vma).runs
        return runs

    def _outside(self, vma: Vma) -> bool:
        """Whether a mapping is one of the file's, or of the kernel's own address space (vsyscall)."""
        return (vma.shared and vma.key in self.segments) or vma.end > self.counter.geometry.task_size

    def _entries(self, file: int, vma: Vma) -> pagemap.Entries:
        return pagemap.touched(file, vma.start, vma.end, self.counter.page, self.counter.span)

    def _offsets(self, entries: pagemap.Entries, vma: Vma) -> list[Run] | Fitted:
        """Return runs as offsets into their mapping; many of them joined where that needs no other table."""
        span, runs = self.counter.span, entries.runs
        if len(runs) > MAX_RANGES:
            by_table: dict[int, Run] = {}
            for start, end in runs:
                for table in range(start // span, (end - 1) // span + 1):
                    first, last = by_table.get(table, (start, end))
                    piece = (max(first, table * span), min(max(last, end), (table + 1) * span))
                    by_table[table] = piece
            runs = []
            for table, (start, end) in sorted(by_table.items()):
                if runs and (runs[-1][1] - 1) // span == table - 1:
                    runs[-1] = (runs[-1][0], end)
                else:
                    runs.append((start, end))
        if len(runs) > MAX_RANGES_BY_TABLE:
            place = Place(vma.start, vma.length, entries.bytes)
            return fit([place], self.counter.bytes([Touched(runs)]), self.counter)[0]
        return [(start - vma.start, end - vma.start) for start, end in runs]

    def _fitted(
        self, group: Group, placed: Sequence[tuple[int | None, int | None, str]]
    ) -> tuple[list[Seen], int, str]:
        """Return touches with the amounts that the kernel tells, and as many tables as VmPTE says."""
        sample = group.vmas[group.sample.pid]
        amounts, base, how = self._amounts(group)
        dense: dict[int, Fitted] = {}
        fixed: list[Touched] = []
        for number, (shape, vma) in enumerate(zip(group.shapes, sample, strict=True)):
            leaf = self._leaf(shape.key)
            if leaf != "pte" or shape.protection == "none":
                # Tables above the PTE level are few: what is touched is taken as one run.
                dense[number] = Fitted(amounts[number] if shape.protection != "none" else 0)
                fixed.append(Touched([(vma.start, vma.start + dense[number].dense)], leaf))
        open_ = [number for number in range(len(sample)) if number not in dense]
        places = [Place(sample[number].start, sample[number].length, amounts[number]) for number in open_]
        wanted = group.vmpte - base - self.counter.bytes(fixed)
        dense |= dict(zip(open_, fit(places, wanted, self.counter), strict=True))
        touched = fixed + [
            Touched(dense[number].runs(place, self.counter)) for number, place in zip(open_, places, strict=True)
        ]
        beside = max(0, group.vmpte - self.counter.bytes(touched))
        flags = [vma.usage.flags if vma.usage is not None else frozenset[str]() for vma in sample]
        mappings = [
            Seen(shape, dense[number], *placed[number], flags[number]) for number, shape in enumerate(group.shapes)
        ]
        return mappings, beside, how

    def _amounts(self, group: Group) -> tuple[list[int], int, str]:
        """Return the bytes touched in each mapping (means), the VmPTE of all else, and where that is from."""
        columns = list(zip(*group.vmas.values(), strict=True))
        if all(vma.usage is not None for column in columns for vma in column):
            amounts = []
            for column in columns:
                usages = [vma.usage for vma in column if vma.usage is not None]
                # smaps counts hugetlb apart from Rss.
                amounts.append(group.mean(usage.rss + usage.hugetlb for usage in usages))
            maps = group.sample.maps
            rest = [] if maps is None else self._private_runs(maps.vmas)
            return self._whole(amounts), self.counter.bytes([Touched(rest)]), "amounts from smaps, tables from VmPTE"
        return self._whole(self._shared_out(group)), self._small(group), "amounts and tables from status"

    def _small(self, group: Group) -> int:
        """Return an estimate of the VmPTE beside the segments: a small process, and tables of its private memory."""
        anonymous = group.mean(_private(member, self.segments) for member in group.members)
        dense = [(0, anonymous)] if anonymous else []
        return self.counter.small_process() + self.counter.bytes([Touched(dense)])

    def _whole(self, amounts: list[int]) -> list[int]:
        page = self.counter.page
        return [-(-amount // page) * page for amount in amounts]

    def _shared_out(self, group: Group) -> list[int]:
        """Share the resident amounts of status out to the mappings of each kind, by their lengths."""
        total = {"shmem": 0, "file": 0, "hugetlb": 0}
        for shape in group.shapes:
            if shape.protection != "none":
                total[self.segments[shape.key].backing] += shape.length
        held = {
            "shmem": group.mean(_known(member.status.rss_shmem, member) for member in group.members),
            "file": group.mean(_known(member.status.rss_file, member) for member in group.members),
            "hugetlb": self._hugetlb(group, total["hugetlb"]),
        }
        amounts = []
        for shape in group.shapes:
            backing = self.segments[shape.key].backing
            share = min(held[backing], total[backing])
            touched = 0 if shape.protection == "none" else share * shape.length // total[backing]
            amounts.append(min(touched, shape.length))
        return amounts

    def _hugetlb(self, group: Group, mapped: int) -> int:
        """Return the hugetlb memory that is mapped; pages behind a shared PMD table are not in HugetlbPages."""
        held = group.mean(member.status.hugetlb for member in group.members)
        geometry = self.counter.geometry
        if not mapped or held >= mapped or not geometry.pmd_sharing:
            return held
        pmd = geometry.level("pmd")
        tables = max(0, group.vmpte - self._small(group)) // pmd.table_bytes
        return max(held, min(mapped, tables * pmd.span)) if mapped >= pmd.span else held

    def _private_runs(self, vmas: Sequence[Vma]) -> list[Run]:
        """Return what a process has touched beside the segments, as far as amounts tell."""
        runs: list[Run] = []
        for vma in vmas:
            usage = vma.usage
            if usage is None or self._outside(vma):
                continue
            held = min(vma.length, usage.rss + usage.swap)
            if held and vma.path == "[stack]":
                runs.append((vma.end - held, vma.end))
            elif held:
                runs.append((vma.start, vma.start + held))
        return runs


def _known(amount: int | None, member: Process) -> int:
    """Return a part of the resident memory; kernels before 4.5 tell only the sum."""
    return member.status.rss if amount is None else amount


def _private(member: Process, segments: Mapping[SegmentKey, Segment]) -> int:
    """Return the private memory of a process with what is swapped out (bytes).

    From smaps each anonymous page counts by the part that is this process's; status counts pages that a fork left
    shared in every process.
    """
    vmas = member.maps.vmas if member.maps is not None else []
    usages = [vma.usage for vma in vmas if vma.usage is not None and not (vma.shared and vma.key in segments)]
    if usages:
        total = 0
        for usage in usages:
            part = usage.anonymous * usage.pss // usage.rss if usage.rss else 0
            total += part + (usage.swap if usage.swap_pss is None else usage.swap_pss)
        return total
    status = member.status
    if status.rss_anon is None:
        return max(0, status.rss - sum(vma.length for vma in vmas if vma.shared)) + status.swap
    return status.rss_anon + status.swap
