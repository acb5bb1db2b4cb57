"""The judge of events: the set-of-keys model with time, page by page and process by process.

It is derived from docs/timeline.md, the kernel's rules and the proposals alone.  Every process is one, every page that
it touches is looked at, and every table is an object with the list of those who have hooked it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ptcalc.workload import events as ev
from ptcalc.workload.model import Touch
from tests.reference.address_space import PAGE, PMD_SIZE, SPANS, SWITCHABLE, Area
from tests.reference.changing import Changing
from tests.reference.model import version_of
from tests.reference.process import Piece, Process, Table
from tests.reference.touching import CHUNK, LEVELS, Growing


class Machine(Changing):
    """The state of a workload under a policy; `run` makes it go on."""

    # --- events

    def run(self, event: ev.Event) -> None:
        """Let one event happen."""
        self._grow(event.at)
        self.happened += 1
        action = event.action
        if isinstance(action, ev.Start):
            started = self._create(action.who.group, action.who.count or 0, action.who.name, action.touch)
            self._access(self._written(started, only_locked=action.touch == "none"))
            self._seal(started)
        elif isinstance(action, ev.Fork):
            self.fork(action)
        elif isinstance(action, (ev.Punch, ev.Truncate)):
            self.punch(action)
        elif isinstance(action, ev.Pressure):
            self.pressure(action.amount)
        elif isinstance(action, ev.Grow):
            self.growing.append(Growing(self.happened, event.at, action, self.choose(action.who)))
        elif not isinstance(action, (ev.WriteProtect, ev.Mark)):
            self._of_processes(action, event.refault)
        self._tidy()

    def _of_processes(self, action: Any, refault: bool) -> None:
        chosen = self.choose(action.who)
        if isinstance(action, ev.Exit):
            for process in chosen:
                self.calls.append((process.number, "exit"))
                self.exit(process)
            return
        if isinstance(action, ev.TouchMore):
            self._access(self._more(chosen, action.mapping, action.touch, action.access))
            return
        had = {p.number: self._mapped_by(p) for p in self.processes}
        if isinstance(action, ev.Madvise) and action.advice == "collapse":
            self.collapse(chosen, action.part)
        else:
            for process in chosen:
                self._call_change(process, action)
                self._change_of(process, action)
            if isinstance(action, ev.Mlock) and action.locked == "yes":
                calls = len(self.calls)
                self._access(access for process in chosen for access in self._all_of(process, action.part))
                del self.calls[calls:]  # the call itself touches them
        side_effect = isinstance(action, (ev.Mprotect, ev.Userfaultfd, ev.Softdirty, ev.Mlock, ev.Mremap))
        side_effect |= isinstance(action, ev.Switch) and self.policy in SWITCHABLE  # elsewhere it is no switch at all
        if refault and (side_effect or (isinstance(action, ev.Madvise) and action.advice == "collapse")):
            lost = [p for p in self.processes if p in chosen or had[p.number] - self._mapped_by(p)]
            self._access(self._in_use(lost), again=True)

    def _mapped_by(self, process: Process) -> set[Any]:
        """What a process reaches pages by: tables, leaves, tables of its regions."""
        regions = [(name, r) for name, r in self.regions.items() if process.number in r.members]
        inside = {(name, *place) for name, region in regions for place in region.tables}
        return set(process.tables) | set(process.leaves) | inside

    def _change_of(self, process: Process, action: Any) -> None:
        doing: dict[type, Callable[[Process, Any], None]] = {
            ev.Mprotect: self.mprotect,
            ev.Munmap: self.munmap,
            ev.Mremap: self.mremap,
            ev.Madvise: self.madvise,
            ev.Userfaultfd: self.userfaultfd,
            ev.Softdirty: self.softdirty,
            ev.Mlock: self.mlock,
            ev.Switch: self.switch,
        }
        doing[type(action)](process, action)

    def _call_change(self, process: Process, action: Any) -> None:
        """Note the system calls of an action, one for each stretch of addresses."""
        if isinstance(action, ev.Switch):
            return
        names = {ev.Mprotect: "protection", ev.Mremap: "address", ev.Madvise: "advice", ev.Userfaultfd: "mode"}
        names |= {ev.Softdirty: "on", ev.Mlock: "locked"}
        more = [getattr(action, names[type(action)])] if type(action) in names else []
        stretches: list[list[int]] = []
        for _, low, high in self._of_part(process, action.part):
            if stretches and stretches[-1][1] == low:
                stretches[-1][1] = high
            else:
                stretches.append([low, high])
        for low, high in stretches:
            self.calls.append((process.number, type(action).__name__.lower(), low, high - low, *more))

    # --- advice

    def madvise(self, process: Process, action: ev.Madvise) -> None:
        """Give advice other than collapse."""
        for area, low, high in self._of_part(process, action.part):
            if action.advice in ("hugepage", "nohugepage"):
                if not self.member(area):
                    self._change(process, low, high, lambda a: replace(a, madvise=action.advice), drop=False)
            elif action.advice == "dontneed":
                self._dontneed(process, area, low, high)
            elif action.advice in ("free", "pageout"):
                self._forget(process, low, high)
                if self.member(area):
                    self._clear_region(area, area.offset + low - area.va, area.offset + high - area.va)

    def _dontneed(self, process: Process, area: Piece, low: int, high: int) -> None:
        start, end = area.offset + low - area.va, area.offset + high - area.va
        if self.member(area):
            self._dontneed_inside(area, start, end)
            return
        for (level, first), table in list(process.tables.items()):
            if process.tables.get((level, first)) is not table or not (first < high and low < first + SPANS[level]):
                continue
            if table.lone:
                continue
            if table.key is not None and table.key[0] == "file":
                process.unhook(level, first)
            elif table.key is not None and table.key[0] == "map-shared-pt":
                for other in list(table.users.values()):
                    self._forget(other, max(low, first), min(high, first + SPANS[level]))
                table.entries = {e for e in table.entries if not (e[0] == area.file and start <= e[1] * PAGE < end)}
        if area.backing == "hugetlb":
            self._unshare_hugetlb(process, low, high)
        self._forget(process, low, high)
        for chunk in [c for c in process.leaves if c < high and low < c + PMD_SIZE]:
            process.drop_leaf(chunk)
        for level, first in list(process.tables) if self.reclaims() else ():
            inside = max(low, area.vma[0]) <= first and first + SPANS["pte"] <= min(high, area.vma[1])
            if (
                level == "pte"
                and inside
                and (process.tables[level, first].key is None or process.tables[level, first].lone)
            ):
                process.unhook(level, first)

    def _dontneed_inside(self, area: Piece, start: int, end: int) -> None:
        """The same inside a region, for all its members."""
        region = self.regions[area.file[0]]
        for other in self.processes:
            if other.number in region.members:
                self._forget_file(other, area.file, start, end, region=True)
        self._clear_region(area, start, end)
        for level, number in list(region.tables) if self.reclaims() else ():
            first = number * SPANS["pte"]
            if level == "pte" and area.home + start <= first and first + SPANS["pte"] <= area.home + end:
                del region.tables[level, number]

    def reclaims(self) -> bool:
        """Whether MADV_DONTNEED frees PTE tables (CONFIG_PT_RECLAIM)."""
        chosen = self.choices["today.pt_reclaim"]
        return chosen == "yes" or (not chosen and version_of(self.workload) >= (6, 14))

    def collapse(self, chosen: list[Process], part: ev.Part) -> None:
        """Make huge pages of what is in memory; whoever maps them whole loses the PTE tables (retract_page_tables)."""
        for process in chosen:
            self._call_change(process, ev.Madvise(ev.Chosen(process.group), part, "collapse"))
            for area, low, high in self._of_part(process, part):
                if area.backing not in ("shmem", "file"):
                    continue
                if self.member(area):
                    start = area.home + area.offset + low - area.va
                    for at in range(-(-start // PMD_SIZE) * PMD_SIZE, start + high - low - PMD_SIZE + 1, PMD_SIZE):
                        self._collapse(process, area, at - area.home, area.home % PMD_SIZE == 0)
                    continue
                allowed = area.madvise != "nohugepage" and (area.va - area.offset) % PMD_SIZE == 0
                for chunk in range(-(-low // PMD_SIZE) * PMD_SIZE, high - PMD_SIZE + 1, PMD_SIZE):
                    self._collapse(process, area, area.offset + chunk - area.va, allowed)

    def _collapse(self, process: Process, area: Piece, place: int, allowed: bool) -> None:
        chunk = (area.file, place // PMD_SIZE)
        if not allowed:
            return
        already = chunk in self.rules.huge
        self.rules.huge.add(chunk)
        self.held[chunk] = set(range(place // PAGE, place // PAGE + CHUNK))
        for other in [process] if already else list(self.processes):
            for seen in other.areas:
                va = seen.va + place - seen.offset
                congruent = (seen.va - seen.offset) % PMD_SIZE == 0
                whole = seen.vma[0] <= va and va + PMD_SIZE <= seen.vma[1]
                here = seen.file == area.file and seen.va <= va < seen.va + seen.length
                if self.member(seen):
                    continue
                if here and congruent and whole and not seen.anon and seen.userfaultfd != "wp":
                    table = other.tables.get(("pte", va))
                    if table is not None:
                        other.unhook("pte", va)
                    if other is process and va not in other.leaves:
                        self._map_whole(other, seen.file, va)
        for key, table in list(self.cache.items()):
            if (
                table.level == "pte"
                and key[1] == area.file
                and (key[-1] == place if key[0] == "file" else not table.users)
            ):
                del self.cache[key]
        region = self.regions.get(area.file[0])
        if region and area.home % PMD_SIZE == 0 and self._region_leaf(region, area, place // PMD_SIZE):
            region.tables.pop(("pte", (area.home + place) // PMD_SIZE), None)

    def _map_whole(self, process: Process, file: Any, va: int) -> None:
        """Map a huge page, all of it, as a touch of every page would (mm/khugepaged.c:set_huge_pmd)."""
        for area in process.areas:
            low, high = max(va, area.va), min(va + PMD_SIZE, area.va + area.length)
            for at in range(low, high, PAGE) if area.file == file else ():
                place = area.offset + at - area.va
                process.used.setdefault((area.mapping, area.first_page + (place - area.stated) // PAGE), False)
                self._touch(process, area, place, False)

    # --- others

    def fork(self, action: ev.Fork) -> None:
        """Children of one process; they get the tables under mappings with private pages (copy_page_range)."""
        who = action.who
        parent = self.fitting(who)[0]
        self.parts += 1
        for _ in range(who.count or 0):
            self.born += 1
            areas = [replace(a, group=action.into, rank=(*a.rank, -next(self.clock))) for a in parent.areas]
            child = Process(self.born, action.into, self.parts, who.name, areas, self.clock)
            self.processes.append(child)
            self.calls.append((parent.number, "fork", child.number))
            self._join(child)
            copied = [a for a in parent.areas if not a.shared and a.anon]
            child.areas = [replace(a, userfaultfd="none", locked="no") for a in child.areas]
            child.merge(self.policy)
            for area in copied:
                self._copy(parent, child, area)

    def _copy(self, parent: Process, child: Process, area: Piece) -> None:
        for level, first in parent.tables:
            here = area.va < first + SPANS[level] and first < area.va + area.length
            if here and self._walked(parent, area, level, first) and (level, first) not in child.tables:
                child.hook(level, first, Table(level, None))
        for (number, page), written in parent.used.items():
            found = parent.place_of(number, page)
            if found and found[0] is area:
                va = area.va + found[1] - area.offset
                entry = (area.file, found[1] // area.page * (area.page // PAGE), area.page // PAGE)
                for level, span in SPANS.items():
                    table = parent.tables.get((level, va // span * span))
                    if table and entry in table.entries:
                        child.tables[level, va // span * span].entries.add(entry)
                        child.used[number, page] = written
                        if (number, page) in parent.copies:
                            child.copies[number, page] = parent.copies[number, page]
                        break

    def _walked(self, process: Process, area: Piece, level: str, first: int) -> bool:
        """Whether fork makes a table for that of the parent: of hugetlb, only those above tables with leaves
        (mm/hugetlb.c: copy_hugetlb_page_range).
        """
        if area.backing != "hugetlb" or area.page != PMD_SIZE or level == "pmd":
            return True
        low, high = max(first, area.va), min(first + SPANS[level], area.va + area.length)
        return any(name == "pmd" and at < high and low < at + SPANS[name] for name, at in process.tables)

    def exit(self, process: Process) -> None:
        """End."""
        for level, first in list(process.tables):
            table = process.tables.get((level, first))
            if table:
                process.unhook(level, first)
        process.areas = []
        self._leave(process)
        self.processes.remove(process)

    def punch(self, action: Any) -> None:
        """Pages leave a segment, and the entries of all who map them."""
        segment = self.workload.segments[action.segment]
        piece = segment.pieces or segment.size
        if isinstance(action, ev.Truncate):
            low, high = action.size, max(action.size, segment.size)
        else:
            low, high = action.start, action.start + action.length
        files = {a.file: a for areas in self.layout.values() for a in areas if a.file[0] == action.segment}
        for file, area in files.items():
            start, end = max(low - file[1] * piece, 0), min(high - file[1] * piece, area.file_size)
            if area.backing == "hugetlb":  # whole pages inside the hole (hugetlbfs_punch_hole)
                start = -(-start // area.page) * area.page
                end = area.file_size if high >= segment.size else end // area.page * area.page
            if isinstance(action, ev.Truncate):
                if start < area.file_size:
                    self.ends[file[:2]] = -(-start // area.page) * area.page
                end = area.file_size
            if start < end:
                self.calls.append((0, "punch" if isinstance(action, ev.Punch) else "truncate", file, start, end))
                # mm/shmem.c:shmem_fallocate leaves what is copied (even_cows is 0); truncation and hugetlb do not.
                self._remove(area, start, end, isinstance(action, ev.Truncate) or area.backing == "hugetlb")

    def _remove(self, area: Area, start: int, end: int, cows: bool) -> None:
        if area.backing == "shmem" and self.workload.segments[area.file[0]].resident in (None, "all"):
            # READING: all of it is in memory, so that what a hole leaves of a huge page is small pages.
            edges = {at // PMD_SIZE for at in (start, end) if at % PMD_SIZE and at < area.file_size}
            self.broken.update((area.file, chunk) for chunk in edges)
        for (file, chunk), held in self.held.items():
            first, last = chunk * PMD_SIZE, (chunk + 1) * PMD_SIZE
            if file == area.file and first < end and start < last:
                self.held[file, chunk] = {
                    page for page in held if not (start <= page * PAGE and (page + 1) * PAGE <= end)
                }
                self.rules.huge.discard((file, chunk))
        for process in list(self.processes):
            self._forget_file(process, area.file, start, end, None, cows)
            for chunk, (file, page, _) in list(process.leaves.items()):
                if file == area.file and page * PAGE < end and start < page * PAGE + PMD_SIZE:
                    process.drop_leaf(chunk)
        if area.backing == "hugetlb":  # hugetlb_vmdelete_list
            for process, seen in self.mappers(area.file):
                low, high = (seen.va + at - seen.offset for at in (start, end))
                low, high = max(low, seen.va), min(high, seen.va + seen.length)
                if low < high:
                    self._unshare_hugetlb(process, low, high)
        stay = set() if cows else {(p.number, place) for p in self.processes for place in self._copied(p, area.file)}
        for table in self.all_tables():
            owner = next((number for number, _ in table.users), 0) if table.key is None else 0
            mine = {e for e in table.entries if e[0] == area.file and (owner, e[1]) not in stay}
            table.entries -= {e for e in mine if e[1] * PAGE < end and start < (e[1] + e[2]) * PAGE}

    def _copied(self, process: Process, file: Any) -> Iterator[int]:
        """Yield the pages of a file that a process has copies of."""
        for number, page in process.copies:
            found = process.place_of(number, page)
            if found and found[0].file == file:
                yield found[1] // PAGE

    def pressure(self, amount: int | None) -> None:
        """Reclaim: the file's unused tables go (the shrinker)."""
        unused = [k for k, table in self.cache.items() if not table.users and k[0] == "file"]
        for key in sorted(unused, key=lambda k: LEVELS.index(self.cache[k].level)):  # what hangs on others first
            if amount is None or amount > 0:
                del self.cache[key]
                amount = None if amount is None else amount - PAGE

    def _grow(self, now: Fraction) -> None:
        """Let time pass."""
        for each in self.growing:
            action, before = each.action, each.pages
            for process in each.processes:
                if process not in self.processes:
                    continue
                mapping = self.workload.processes[process.group].mappings[action.mapping]
                whole = self.workload.segments[mapping.segment].size - mapping.offset
                length = whole if mapping.length is None else mapping.length
                sizes = [v * length if isinstance(v, Fraction) else Fraction(v) for v in (action.rate, action.until)]
                each.pages = int(-(-min(sizes[0] * (now - each.since) / 3600, *sizes[1:], length) // PAGE))
                if each.pages != before:  # they touch all of it again, and more
                    touch = Touch(
                        "amount", pages=each.pages, written_pattern=action.pattern, cluster=action.cluster,
                        overlap=action.overlap,
                    )  # fmt: skip
                    pages = self._pages(process, mapping, (touch,), "grow", each.number)
                    self._access(self._reach(process, action.mapping, dict.fromkeys(pages, True)))
