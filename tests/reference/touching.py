"""Processes and what they touch: the first layer of the model of events."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ptcalc.workload import events as ev
from tests.reference.address_space import PAGE, PMD_SIZE, SPANS, lay_out, writes
from tests.reference.model import _best_classes, _touched_places
from tests.reference.policies import Key, Rules, makes_huge, map_shared_pt_class, mshare_member
from tests.reference.process import Piece, Process, Table, piece_of
from tests.reference.touch import Pick, is_random, touched_pages

LEVELS = ("pte", "pmd", "pud", "p4d")
CHUNK = PMD_SIZE // PAGE
DEFAULTS = {
    "file-shared.unused": "until_pressure",  # or last_user
    "file-shared.first_shared": "at_once",  # or second_mapper
    "map-shared-pt.mprotect": "all",  # or unshare
    "today.pt_reclaim": "",  # yes or no; empty: what the kernel has
}
Chooser = Callable[..., Pick]  # from what tells a draw from others to how it is drawn
Access = tuple[Process, Piece, int, int, bool]  # process, piece, file offset, page of the mapping, by a write


@dataclass
class Growing:
    """Processes that touch more and more since an event (its number), and how many pages they have come to."""

    number: int
    since: Fraction
    action: ev.Grow
    processes: list[Process]
    pages: int = 0


@dataclass
class Region:
    """The mshare region of a segment: its host mm's tables, and which parts of it have which protection."""

    tables: dict[tuple[str, int], Table]
    vmas: list[tuple[int, int, str]]  # start, end, protection
    members: set[int]  # processes


class Touching:
    """The state of a workload under a policy, and the rules by which processes get tables.

    `in_turn`: whether hugetlb pages are in memory from the touch on that brings them, not from the event on.
    """

    in_turn = False

    def __init__(
        self, workload: Any, policy: str, choices: dict[str, str] | None = None, chooser: Chooser | None = None
    ) -> None:
        self.workload, self.policy, self.chooser = workload, policy, chooser
        self.choices = DEFAULTS | (choices or {})
        self.layout = lay_out(workload, policy)
        self.rules = Rules(policy, five_levels=workload.host.arch == "x86_64-la57", choices=self.choices)
        self.processes: list[Process] = []
        self.born = self.parts = 0
        self.clock = itertools.count(1)
        self.cache: dict[Key, Table] = {}  # tables that a file keeps
        self.broken: set[tuple[Any, int]] = set()  # chunks that a hole has left small pages of
        self.held: dict[tuple[Any, int], set[int]] = {}  # pages in memory by chunk of a file
        self.ends: dict[tuple[str, int], int] = {}  # files that were truncated: (segment, piece) -> end
        self.regions: dict[str, Region] = {}
        self.pt_parts: dict[Any, dict[int, str]] = {}  # map-shared-pt: file -> page -> protection that all have
        self.growing: list[Growing] = []
        self.happened = 0  # events
        self.calls: list[tuple[Any, ...]] = []  # what processes do, as system calls: (process, call, arguments...)
        self._last: tuple[Any, Any] = (None, None)
        self._settings()
        started = [p for name, group in workload.processes.items() for p in self._create(name, group.count, "")]
        self._access(self._written(started))
        self._seal(started)

    def _settings(self) -> None:
        """What holds for the whole time: who shares under map-shared-pt, which regions may have huge pages."""
        places = _touched_places(self.workload, self.layout, self.chooser)
        for areas in self.layout.values():
            self.rules.region_huge.update(a.file[0] for a in areas if mshare_member(a) and a.madvise != "nohugepage")
        if self.policy == "map-shared-pt":
            for (name, _, number), found in places.items():
                area = self.layout[name][number]
                self.rules.huge.update((area.file, at // PMD_SIZE) for at in found if makes_huge(area, at))
            self.rules.pt_class = _best_classes(self.workload, self.rules, self.layout, places)
            self.rules.huge.clear()
            for areas in self.layout.values():  # nobody there yet: the first mapping that qualifies
                for area in areas:
                    mine = map_shared_pt_class(area)
                    if mine is not None:
                        self.rules.pt_class.setdefault(area.file, mine)

    # --- processes

    def _create(self, group: str, count: int, label: str, kind: str = "written") -> list[Process]:
        """Make processes; those that no event is about are one part, whenever they started."""
        plain = [p.part for p in self.processes if p.group == group and p.plain == kind and not label]
        part = plain[0] if plain else self.parts + 1
        self.parts = max(self.parts, part)
        found = []
        for _ in range(count):
            self.born += 1
            areas = [replace(piece_of(area), rank=(next(self.clock),)) for area in self.layout[group]]
            process = Process(self.born, group, part, label, areas, self.clock)
            process.plain = "" if label else kind
            found.append(process)
            process.merge(self.policy)
            self.calls.append((process.number, "start", sorted(process.areas, key=lambda area: area.rank)))
        self.processes += found
        for process in found:
            self._join(process)
        return found

    def _seal(self, processes: list[Process]) -> None:
        """Take access away where the file says so: until now it was there, for the touch."""
        for process in processes:
            for area in process.areas:
                if area.protection == "none":
                    self.calls.append((process.number, "mprotect", area.va, area.length, "none"))

    def _join(self, process: Process) -> None:
        """Map the regions (mshare), which exist from their first member on."""
        for area in process.areas:
            if self.member(area):
                name = area.file[0]
                region = self.regions.setdefault(name, Region({}, self._inside(name), set()))
                region.members.add(process.number)

    def _inside(self, segment: str) -> list[tuple[int, int, str]]:
        """VMAs of a region: one for each file."""
        files = {a.file: (a.home, a.home + a.file_size, "rw") for areas in self.layout.values() for a in areas}
        return sorted(span for file, span in files.items() if file[0] == segment)

    def fitting(self, who: ev.Chosen) -> list[Process]:
        """Return those whom a group and a label name, in the order in which a count takes them."""
        fit = [p for p in self.processes if p.group == who.group and (not who.label or p.label == who.label)]
        return sorted(fit, key=lambda p: (not p.plain, p.part, p.number))

    def choose(self, who: ev.Chosen) -> list[Process]:
        """Return the processes that an event is about; those that it splits off are a part of their own."""
        fit = self.fitting(who)
        chosen = fit if who.count is None else fit[: who.count]
        assert who.count is None or len(chosen) == who.count, "more processes than there are"
        split: dict[int, int] = {}
        for part in dict.fromkeys(p.part for p in chosen):
            whole = [p for p in self.processes if p.part == part]
            if any(p not in chosen for p in whole):
                self.parts += 1
                split[part] = self.parts
        for process in chosen:
            process.plain = ""
            process.part = split.get(process.part, process.part)
            process.label = who.name or process.label
        return chosen

    # --- touching

    def _written(self, processes: list[Process], only_locked: bool = False) -> Iterator[Access]:
        """What the file says of the beginning; where there is no protection, it was touched before that was taken."""
        for process in processes:
            group = self.workload.processes[process.group]
            for number, mapping in enumerate(group.mappings):
                if only_locked and mapping.locked != "yes":
                    continue
                pages = self._pages(process, mapping, mapping.touch, process.group, number)
                write = writes(mapping, self.workload.segments[mapping.segment])
                yield from self._reach(process, number, dict.fromkeys(pages, write), early=True)

    def _pages(self, process: Process, mapping: Any, touches: Iterable[Any], *event: object) -> set[int]:
        """Return what some forms of touch of an event mean for a process; `overlap: same` is one draw for all."""
        whole = self.workload.segments[mapping.segment].size - mapping.offset
        length = whole if mapping.length is None else mapping.length
        pages: set[int] = set()
        for place, touch in enumerate(touches):
            mine = () if touch.overlap == "same" else (process.number,)
            pick = self.chooser(*event, place, *mine) if self.chooser and is_random(touch) else None
            pages |= touched_pages(touch, offset=mapping.offset, length=length, pick=pick)
        return pages

    def _more(self, processes: list[Process], number: int, touches: Any, access: str | None) -> Iterator[Access]:
        for process in processes:
            mapping = self.workload.processes[process.group].mappings[number]
            pages = self._pages(process, mapping, touches, self.happened)
            yield from self._reach(process, number, dict.fromkeys(pages, access != "read"))

    def _all_of(self, process: Process, part: ev.Part) -> Iterator[Access]:
        """Every page of a part, written where that may be (mm/gup.c:__mm_populate)."""
        pages = range(part.start // PAGE, -(-(part.start + part.length) // PAGE))
        yield from self._reach(process, part.mapping, dict.fromkeys(pages, True))

    def _between(self, process: Process, low: int, high: int) -> Iterator[Access]:
        """Every page from one address to another, written."""
        for area in process.areas:
            first = max(low, area.va) - area.va + area.offset
            last = min(high, area.va + area.length) - area.va + area.offset
            pages = range((first - area.stated) // PAGE, -(-(last - area.stated) // PAGE))
            yield from self._reach(process, area.mapping, {area.first_page + page: True for page in pages})

    def _in_use(self, processes: list[Process]) -> Iterator[Access]:
        for process in processes:
            for (number, page), written in sorted(process.used.items()):
                yield from self._reach(process, number, {page: written})

    def _reach(self, process: Process, number: int, pages: dict[int, bool], early: bool = False) -> Iterator[Access]:
        """Yield those of the pages that the process can access."""
        for page, write in sorted(pages.items()):
            found = process.place_of(number, page)
            if found is None:
                continue
            area, place = found
            if place >= self.ends.get(area.file[:2], place + 1):
                continue
            protection = self._protection(area, place)
            common = self.member(area) or self.in_pt_class(area)
            if early and not (common and protection == "none"):
                yield process, area, place, page, write
            elif protection != "none":
                yield process, area, place, page, write and "w" in protection

    def _protection(self, area: Piece, place: int) -> str:
        if self.member(area):
            region = self.regions[area.file[0]]
            inside = [p for low, high, p in region.vmas if low <= area.home + place < high]
            return inside[0] if inside else "none"
        if self.in_pt_class(area):
            return self.pt_parts.get(area.file, {}).get(place // PAGE, area.protection)
        return area.protection

    def _access(self, accesses: Iterable[Access], again: bool = False) -> None:
        """Touch pages: first what is brought into memory, by huge pages if any of those who touch make it so.

        `again`: what a process uses already; it reads what it had written, and copies nothing.
        """
        accesses = list(accesses)
        fresh = {(area.file, at // PMD_SIZE) for _, area, at, _, _ in accesses
                 if not self.held.get((area.file, at // PMD_SIZE))}  # fmt: skip
        self.decide(fresh, accesses)
        for _, area, at, _, _ in accesses:
            chunk = (area.file, at // PMD_SIZE)
            held = self.held.setdefault(chunk, set())
            first = at // PMD_SIZE * CHUNK
            if area.backing in ("shmem", "file"):
                held.update(range(first, first + CHUNK) if chunk in self.rules.huge else [at // PAGE])
            elif area.backing == "hugetlb" and area.shared and not self.in_turn:
                held.update(range(first, first + CHUNK))
        self._call_touches([(*access[:4], access[4] and (access[1].shared or not again)) for access in accesses])
        for process, area, at, page, write in accesses:
            pages = [(area.mapping, page)]
            if write and not area.shared and not again:
                pages = self._copied_with(process, area, at, page)
                for each in pages:
                    self._copy_page(process, *each)
            for each in pages:
                process.used[each] = process.used.get(each, False) or write
                found = process.place_of(*each)
                assert found is not None
                if self.member(area):
                    self._touch_region(process, *found)
                else:
                    self._touch(process, *found, write)

    def _copied_with(self, process: Process, area: Piece, place: int, page: int) -> list[tuple[int, int]]:
        """Return the pages (mapping and number) that come with a written one: anonymous memory by a huge page, if a
        whole one fits and no table with pages of one's own is there.
        """
        chunk = (area.va + place - area.offset) // PMD_SIZE * PMD_SIZE
        if area.backing == "private" and self._asks_huge(area, chunk):
            mapped = [(a, va) for va in range(chunk, chunk + PMD_SIZE, PAGE) if (a := process.at(va))]
            pages = [(a.mapping, a.first_page + (a.offset + va - a.va - a.stated) // PAGE) for a, va in mapped]
            here = [each for each in pages if each in process.used]
            if ("pte", chunk) not in process.tables or (here and not any(each in process.copies for each in pages)):
                return pages
        return [(area.mapping, page)]

    def _copy_page(self, process: Process, mapping: int, page: int) -> None:
        """Give a process a page of its own, unless it has one."""
        mine = process.copies.get((mapping, page))
        others = (p for p in self.processes if p is not process)
        if mine is None or any(p.copies.get((mapping, page)) is mine for p in others):
            process.copies[mapping, page] = object()

    def decide(self, fresh: set[Any], accesses: list[Access]) -> None:
        """Say which of the chunks that are brought into memory are huge pages."""
        for _, area, at, _, _ in accesses:
            if (area.file, at // PMD_SIZE) in fresh - self.broken and makes_huge(area, at):
                self.rules.huge.add((area.file, at // PMD_SIZE))

    def _call_touches(self, accesses: list[Access]) -> None:
        for process, group in itertools.groupby(accesses, key=lambda access: access[0]):
            touches = [(area.va + at - area.offset, write, area.page if area.userfaultfd == "minor" else 0)
                       for _, area, at, _, write in group]  # fmt: skip
            self.calls.append((process.number, "touch", touches))

    def _touch(self, process: Process, area: Piece, place: int, write: bool) -> None:
        va = area.va + place - area.offset
        chunk = va // PMD_SIZE * PMD_SIZE
        if not area.shared and not area.anon and (write or self._makes_anon(area, chunk, place)):
            process.areas = [replace(a, anon=a.anon or a.vma == area.vma) for a in process.areas]
        seen = self._seen(area, write)
        if not area.shared and write:
            process.drop_leaf(chunk)  # written pages are copied one by one
        names = self.rules.levels(seen, place, va)
        if chunk in process.leaves:
            names = names[names.index("pmd") :]
        elif ("pte", chunk) in process.tables and area.backing != "hugetlb":
            names = ["pte", "pmd", "pud"] + ["p4d"] * self.rules.five_levels
        lowest = None
        for level in reversed(names):
            first = va // SPANS[level] * SPANS[level]
            if level == "p4d" and (area.canonical or first == 0):
                continue
            lowest = process.tables.get((level, first)) or self._missing(process, seen, level, first)
        assert lowest is not None
        if area.backing in ("shmem", "file") and names[0] == "pmd":
            process.leaves[chunk] = (area.file, place // PMD_SIZE * CHUNK, CHUNK)
            lowest.entries.add(process.leaves[chunk])
        else:
            lowest.entries.add((area.file, place // area.page * (area.page // PAGE), area.page // PAGE))

    def _seen(self, area: Piece, write: bool) -> Any:
        """Return a piece as one that is written, or read; of many touches in a row the last one is at hand."""
        if self._last[0] is not area or self._last[1].writes != write:
            self._last = area, area if area.writes == write else replace(area, writes=write)
        return self._last[1]

    def _makes_anon(self, area: Piece, chunk: int, place: int) -> bool:
        """Whether a read makes an anon_vma: reading private memory by a huge page does, by a small one does not
        (mm/huge_memory.c:do_huge_pmd_anonymous_page); reading a hugetlb page that the file does not have does, too
        (mm/hugetlb.c:hugetlb_no_page).
        """
        if area.backing == "hugetlb":
            first = place // area.page * area.page // PMD_SIZE
            return not any(self.held.get((area.file, first + n)) for n in range(area.page // PMD_SIZE))
        return area.backing == "private" and self._asks_huge(area, chunk)

    def _asks_huge(self, area: Piece, chunk: int) -> bool:
        """Whether anonymous memory would come by a huge page."""
        asks = area.thp in ("always", "within_size") or (area.thp == "advise" and area.madvise == "hugepage")
        inside = area.vma[0] <= chunk and chunk + PMD_SIZE <= area.vma[1]
        return asks and area.madvise != "nohugepage" and inside

    def _missing(self, process: Process, area: Piece, level: str, first: int) -> Table:
        """Make a table, or hook the one that others have."""
        key = self.rules.share(area, level, first)
        table = None
        if key is not None and key[0] == "hugetlb":
            table = self._partner(process, area, first, key)
        elif key is not None:
            table = self.cache.get(key)
            if table is not None and table.lone and not table.users:
                table = None  # gone with the one who had it
            elif table is not None and any(number != process.number for number, _ in table.users):
                table.lone = False
        if table is None:
            own = ("hugetlb",) if area.backing == "hugetlb" and level == "pmd" else None
            first_alone = self.choices["file-shared.first_shared"] == "second_mapper"
            table = Table(level, own or key, lone=first_alone and key is not None and key[0] == "file")
            if key is not None and (table.kept or table.lone):
                self.cache[key] = table
        process.hook(level, first, table)
        return table

    def _partner(self, mine: Process, area: Piece, first: int, key: Key) -> Table | None:
        """Return the table of the first VMA of the file that has one there, with the flags and residue of this VMA
        (mm/hugetlb.c: huge_pmd_share, page_table_shareable).
        """
        for other, seen in self.mappers(area.file):
            there = seen.va + first - area.va + area.offset - seen.offset
            if (other is mine and seen.va == area.va) or there % SPANS["pmd"]:
                continue
            table = other.tables.get(("pmd", there))
            if table is not None and self.rules.share(seen, "pmd", there) == key:
                return table
        return None

    def mappers(self, file: Any) -> list[tuple[Process, Piece]]:
        """Return the VMAs of a file in the order of the kernel's tree: by where they begin in the file, then as they
        were put in, a child's right behind its parent's (mm/interval_tree.c, kernel/fork.c: dup_mmap).
        """
        found = [(process, area) for process in self.processes for area in process.areas if area.file == file]
        return sorted(found, key=lambda each: (each[1].offset, each[1].rank))

    def _touch_region(self, process: Process, area: Piece, place: int) -> None:
        region = self.regions[area.file[0]]
        at = area.home + place
        names = ["pte", "pmd", "pud"]
        chunk = place // PMD_SIZE
        if area.backing == "hugetlb":
            names = names[1:] if area.page == PMD_SIZE else names[2:]
        elif ("pte", at // SPANS["pte"]) not in region.tables and self._region_leaf(region, area, chunk):
            names = names[1:]
        for level in reversed(names):
            number = at // SPANS[level]
            table = region.tables.setdefault((level, number), Table(level, ("mshare", area.file[0], level, number)))
            table.users[process.number, 0] = process
        huge = names[0] == "pmd" and area.backing != "hugetlb"
        size = CHUNK if huge else area.page // PAGE
        table.entries.add((area.file, place // PAGE // size * size, size))

    def _region_leaf(self, region: Region, area: Piece, chunk: int) -> bool:
        """Whether the host mm maps a chunk by a PMD leaf: whole, inside one VMA, congruent."""
        low, high = area.home + chunk * PMD_SIZE, area.home + (chunk + 1) * PMD_SIZE
        inside = any(start <= low and high <= end for start, end, _ in region.vmas)
        return (area.home % PMD_SIZE == 0 and inside and (area.file, chunk) in self.rules.huge
                and area.file[0] in self.rules.region_huge)  # fmt: skip

    # --- who shares what

    def member(self, area: Piece) -> bool:
        """Whether a piece is a window on a region."""
        return self.policy == "mshare" and not area.left and mshare_member(area)

    def in_pt_class(self, area: Piece) -> bool:
        """Whether a piece shares under map-shared-pt."""
        mine = map_shared_pt_class(area) if self.policy == "map-shared-pt" else None
        return mine is not None and self.rules.pt_class.get(area.file) == mine

    def _settle(self, process: Process) -> None:
        """Rule 2: let go of shared tables that are not wholly inside a VMA with their key any more; free private ones
        that no VMA is left in.
        """
        for (level, first), table in list(process.tables.items()):
            if process.tables.get((level, first)) is not table:
                continue
            area = process.at(first)
            if table.lone:
                self._key_anew(table, None if area is None else self.rules.share(area, level, first))
            if table.kept:
                if area is None or self.rules.share(area, level, first) != table.key:
                    process.unhook(level, first)
            elif not process.mapped(first, SPANS[level]):
                process.unhook(level, first)

    def _key_anew(self, table: Table, key: Key | None) -> None:
        """Let others find a table of one process under another key, if there is none; else they never do."""
        if key == table.key:
            return
        if table.key is not None and self.cache.get(table.key) is table:
            del self.cache[table.key]
        table.key = None if key in self.cache else key
        table.lone = table.key is not None
        if table.key is not None:
            self.cache[table.key] = table

    def _unshare_hugetlb(self, process: Process, low: int, high: int) -> None:
        """Drop hugetlb's shared tables in a range; the last user's stays and is its own (huge_pmd_unshare)."""
        for (level, first), table in list(process.tables.items()):
            if level == "pmd" and first < high and low < first + SPANS["pmd"] and len(table.users) > 1:
                process.unhook(level, first)

    def _tidy(self) -> None:
        """Free what nobody keeps."""
        for key, table in list(self.cache.items()):
            if table.users:
                continue
            if table.lone:
                del self.cache[key]
                continue
            if key[0] == "file" and self.choices["file-shared.unused"] == "last_user":
                del self.cache[key]
            if key[0] == "map-shared-pt" and not any(a.file == key[1] for p in self.processes for a in p.areas):
                del self.cache[key]
        for name, region in list(self.regions.items()):
            if not region.members:
                del self.regions[name]

    def all_tables(self) -> list[Table]:
        """Return every table that exists, once."""
        found = [t for p in self.processes for t in p.tables.values()]
        found += list(self.cache.values()) + [t for r in self.regions.values() for t in r.tables.values()]
        return list({id(table): table for table in found}.values())
