"""Changes of VMAs, and what they take away: the second layer of the model of events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ptcalc.workload import events as ev
from tests.reference.address_space import PAGE, PMD_SIZE, SPANS, SWITCHABLE
from tests.reference.process import Piece, Process, Table
from tests.reference.touching import CHUNK, Region, Touching


class Changing(Touching):
    """What system calls that change mappings do."""

    # --- changes of a VMA

    def mprotect(self, process: Process, action: ev.Mprotect) -> None:
        """Change a protection."""
        assert not action.window
        for area, low, high in self._of_part(process, action.part):
            if self.member(area):
                self._region_part(area, low, high, action.protection)
            elif self.in_pt_class(area) and self.choices["map-shared-pt.mprotect"] == "all":
                parts = self.pt_parts.setdefault(area.file, {})
                pages = range((area.offset + low - area.va) // PAGE, -(-(area.offset + high - area.va) // PAGE))
                parts.update(dict.fromkeys(pages, action.protection))
            else:
                copies = area.locked == "yes" and not area.shared and "w" not in area.protection
                self._change(process, low, high, lambda a: replace(a, protection=action.protection))
                if copies and "w" in action.protection:  # all pages at once (mprotect_fixup)
                    calls = len(self.calls)
                    self._access(self._between(process, low, high))
                    del self.calls[calls:]

    def _of_part(self, process: Process, part: ev.Part) -> list[tuple[Piece, int, int]]:
        return list(process.pieces(part.mapping, part.start, part.start + part.length))

    def _change(
        self, process: Process, low: int, high: int, change: Callable[[Piece], Piece], drop: bool = True
    ) -> None:
        """Change a VMA.  hugetlb: `drop` says whether the tables of the range are unshared; those that a new border
        lies in always are.
        """
        old = {a.vma for a in process.areas if a.backing == "hugetlb" and a.va < high and low < a.va + a.length}
        changes = [a for a in process.areas if a.va < high and low < a.va + a.length and change(a) != a]
        if not changes:
            return
        process.change(low, high, change, self.policy)
        for start, end in old:
            if drop:
                self._unshare_hugetlb(process, max(low, start), min(high, end))
            for edge in (low, high):
                if start < edge < end and edge % SPANS["pmd"]:
                    self._unshare_hugetlb(process, edge, edge + 1)
        self._settle(process)

    def _region_part(self, area: Piece, low: int, high: int, protection: str | None) -> tuple[int, int]:
        """Change a part of a region for all (None: unmap it); return its bounds there."""
        region = self.regions[area.file[0]]
        start, end = (area.home + area.offset + at - area.va for at in (low, high))
        parts = []
        for first, last, old in region.vmas:
            parts += [(first, min(last, start), old), (max(first, end), last, old)]
            if protection is not None and max(first, start) < min(last, end):
                parts.append((max(first, start), min(last, end), protection))
        region.vmas = _joined(sorted(part for part in parts if part[0] < part[1]))
        for edge in (start, end):  # a leaf that a VMA's border lies in is gone
            if edge % PMD_SIZE and not any(first < edge < last for first, last, _ in region.vmas):
                self._drop_region_leaf(region, area, edge // PMD_SIZE * PMD_SIZE)
        if protection is None:
            for level, number in list(region.tables):
                span = SPANS[level]
                if not any(first < (number + 1) * span and number * span < last for first, last, _ in region.vmas):
                    del region.tables[level, number]
        return start, end

    def _drop_region_leaf(self, region: Region, area: Piece, at: int) -> None:
        table = region.tables.get(("pmd", at // SPANS["pmd"]))
        if table:
            table.entries.discard((area.file, (at - area.home) // PAGE, CHUNK))

    def munmap(self, process: Process, action: ev.Munmap) -> None:
        """Unmap."""
        for area, low, high in self._of_part(process, action.part):
            if self.member(area) and not action.window:
                self._region_part(area, low, high, None)
                start, end = area.offset + low - area.va, area.offset + high - area.va
                for other in self.processes:
                    if other.number in self.regions[area.file[0]].members:
                        self._forget_file(other, area.file, start, end, region=True)
                self._clear_region(area, start, end)
                continue
            self._forget(process, low, high)
            self._unmap(process, low, high)
        self._leave(process)

    def _unmap(self, process: Process, low: int, high: int) -> None:
        for edge in (low, high):
            process.split_leaf(edge)
            for area in process.areas:
                if area.backing == "hugetlb" and area.vma[0] < edge < area.vma[1] and edge % SPANS["pmd"]:
                    self._unshare_hugetlb(process, edge, edge + 1)
            process.cut(edge)
        for area in process.areas:
            if area.backing == "hugetlb" and low <= area.va < high:
                self._unshare_hugetlb(process, area.va, area.va + area.length)
        for chunk in [c for c in process.leaves if low <= c < high]:
            process.drop_leaf(chunk)
        process.areas = [a for a in process.areas if not low <= a.va < high]
        process.merge(self.policy)
        self._settle(process)

    def _forget(self, process: Process, low: int, high: int) -> None:
        """Pages at the addresses [low, high) are not in use any more."""
        for number, page in list(process.used):
            found = process.place_of(number, page)
            if found and low <= found[0].va + found[1] - found[0].offset < high:
                self._drop_page(process, number, page, *found)

    def _forget_file(
        self, process: Process, file: Any, low: int, high: int, region: bool | None, cows: bool = True
    ) -> None:
        """Pages of a file are not in use any more; `region`: those that are reached through the region alone, None:
        whichever way; `cows`: private copies as well.
        """
        for number, page in list(process.used):
            found = process.place_of(number, page)
            if not found or found[0].file != file or not low <= found[1] < high:
                continue
            if region in (None, self.member(found[0])) and (cows or (number, page) not in process.copies):
                self._drop_page(process, number, page, *found)

    def _drop_page(self, process: Process, number: int, page: int, area: Piece, place: int) -> None:
        del process.used[number, page]
        process.copies.pop((number, page), None)
        if not self.member(area):
            self._clear(process, area, place)

    def _clear_region(self, area: Piece, low: int, high: int) -> None:
        """Take away the entries of a part of a file from its region's tables."""
        for table in self.regions[area.file[0]].tables.values():
            table.entries = {e for e in table.entries if not (e[0] == area.file and low <= e[1] * PAGE < high)}

    def _clear(self, process: Process, area: Piece, place: int) -> None:
        """Take away an entry of a private table."""
        va = area.va + place - area.offset
        for level, span in SPANS.items():
            table = process.tables.get((level, va // span * span))
            if table is not None and len(table.users) == 1 and not table.kept:
                table.entries.discard((area.file, place // area.page * (area.page // PAGE), area.page // PAGE))

    def _leave(self, process: Process) -> None:
        """Note the regions that a process has no window on any more."""
        still = {a.file[0] for a in process.areas if self.member(a)}
        for name, region in self.regions.items():
            if process.number in region.members and name not in still:
                region.members.discard(process.number)
                for table in region.tables.values():
                    table.users.pop((process.number, 0), None)

    def userfaultfd(self, process: Process, action: ev.Userfaultfd) -> None:
        """Register or unregister; wp and minor leave hugetlb's sharing (hugetlb_unshare_all_pmds)."""
        self._leaving(process, action.part, action.mode != "none")
        for _, low, high in self._of_part(process, action.part):
            leaves = action.mode in ("wp", "minor")
            self._change(process, low, high, lambda a: replace(a, userfaultfd=action.mode), drop=leaves)
        self._leave(process)

    def softdirty(self, process: Process, action: ev.Softdirty) -> None:
        """Soft-dirty tracking."""
        self._leaving(process, action.part, action.on)
        for _, low, high in self._of_part(process, action.part):
            self._change(process, low, high, lambda a: replace(a, softdirty=action.on), drop=False)
        self._leave(process)

    def mlock(self, process: Process, action: ev.Mlock) -> None:
        """Lock or unlock; VMAs of hugetlb stay as they are (mlock_fixup)."""
        for area, low, high in self._of_part(process, action.part):
            if area.backing != "hugetlb":
                self._change(process, low, high, lambda a: replace(a, locked=action.locked), drop=False)

    def switch(self, process: Process, action: ev.Switch) -> None:
        """The switch of page-table sharing, of a process or of a mapping."""
        never = action.sharing == "never"
        chosen = {a.mapping for a in process.areas} if action.mapping is None else {action.mapping}
        for area in list(process.areas):
            if area.mapping in chosen and self.policy in SWITCHABLE:
                if never and self.member(area):
                    self._out(process, area.mapping)
                self._change(process, area.va, area.va + area.length, lambda a: replace(a, never=never), drop=False)
        self._leave(process)

    def _leaving(self, process: Process, part: ev.Part, asks: bool) -> None:
        """mshare: who asks for what a region does not have, leaves it with the whole mapping."""
        if asks and any(self.member(area) for area, _, _ in self._of_part(process, part)):
            self._out(process, part.mapping)

    def _out(self, process: Process, mapping: int) -> None:
        process.areas = [replace(a, left=a.left or (a.mapping == mapping and self.member(a))) for a in process.areas]

    def mremap(self, process: Process, action: ev.Mremap) -> None:
        """Move a part of one VMA: what is private goes along (mm/mremap.c:move_page_tables)."""
        found = self._of_part(process, action.part)
        assert len(found) == 1, "one VMA"
        area, low, high = found[0]
        assert not self.member(area)
        delta = action.address - low
        for edge in (low, high):
            process.cut(edge)
        if area.backing == "hugetlb":
            for edge in (low, high):
                if area.vma[0] < edge < area.vma[1] and edge % SPANS["pmd"]:
                    self._unshare_hugetlb(process, edge, edge + 1)
        for (level, first), table in process.tables.items():
            if table.lone and first < high and low < first + SPANS[level]:
                self._key_anew(table, None)
        moved = self._move_hugetlb if area.backing == "hugetlb" else self._move_tables
        process.areas = [
            replace(a, va=a.va + delta, rank=(next(self.clock),)) if low <= a.va < high else a for a in process.areas
        ]
        process.merge(self.policy)
        moved(process, low, high, delta)
        for edge in (low, high):  # the old VMA is split after the tables have moved
            process.split_leaf(edge)
        self._settle(process)

    def _move_tables(self, process: Process, low: int, high: int, delta: int) -> None:
        gib, mib = SPANS["pmd"], SPANS["pte"]
        at = low
        while at < high:
            table = process.tables.get(("pmd", at // gib * gib))
            if table is None:
                at = min(_next(at, gib), _next(at + delta, gib) - delta)
                continue
            self._make(process, at + delta, "pud")
            whole = at % gib == 0 and (at + delta) % gib == 0 and at + gib <= high
            if whole and table.key is None and ("pmd", at + delta) not in process.tables:
                self._move_pmd_table(process, at, delta)
                at += gib
                continue
            step = min(high, _next(at, mib), _next(at + delta, mib) - delta)
            self._move_pte_table(process, at, step, delta)
            at = step

    def _make(self, process: Process, address: int, lowest: str) -> None:
        """Have private tables at an address, down to a level."""
        for name in ("pud", "pmd", "pte"):
            first = address // SPANS[name] * SPANS[name]
            if (name, first) not in process.tables:
                process.hook(name, first, Table(name, None))
            if name == lowest:
                return

    def _move_pmd_table(self, process: Process, at: int, delta: int) -> None:
        """Move a PMD table with all that hangs on it."""
        end = at + SPANS["pmd"]
        for level, first in [p for p in process.tables if p == ("pmd", at) or (p[0] == "pte" and at <= p[1] < end)]:
            table = process.tables[level, first]
            if table.key is None:
                table.users.pop((process.number, first))
                del process.tables[level, first]
                process.hook(level, first + delta, table)
        for chunk in [c for c in process.leaves if at <= c < end]:
            process.leaves[chunk + delta] = process.leaves.pop(chunk)

    def _move_pte_table(self, process: Process, at: int, end: int, delta: int) -> None:
        """Move what one PTE table, or a leaf in its place, holds of [at, end): no border lies within, old or new."""
        chunk = at // PMD_SIZE * PMD_SIZE
        table = process.tables.get(("pte", chunk))
        if chunk in process.leaves:
            self._make(process, at + delta, "pmd")
            entry = process.leaves[chunk]
            process.drop_leaf(chunk)  # where it does not fit, it is split on the way, after the table for it was made
            if end - at == PMD_SIZE:
                process.leaves[at + delta] = entry
                process.tables["pmd", (at + delta) // SPANS["pmd"] * SPANS["pmd"]].entries.add(entry)
        elif table is not None and table.key is None:
            self._make(process, at + delta, "pte")
            first, last = (at - chunk) // PAGE, (end - chunk) // PAGE
            moving = {e for e in table.entries if first <= self._slot(process, e, chunk, delta) < last}
            table.entries -= moving
            process.tables["pte", (at + delta) // PMD_SIZE * PMD_SIZE].entries |= moving

    def _slot(self, process: Process, entry: tuple[Any, int, int], chunk: int, delta: int) -> int:
        """Return which entry of the PTE table at `chunk` a page had before it moved by `delta`; -1: it did not move."""
        for area in process.areas:
            place = entry[1] * PAGE
            if area.file == entry[0] and area.offset <= place < area.offset + area.length:
                was = area.va + place - area.offset - delta
                if chunk <= was < chunk + PMD_SIZE:
                    return (was - chunk) // PAGE
        return -1

    def _move_hugetlb(self, process: Process, low: int, high: int, delta: int) -> None:
        self._unshare_hugetlb(process, low, high)
        for number, page in sorted(process.used):
            found = process.place_of(number, page)
            if found is None:
                continue
            area, place = found
            was = area.va + place - area.offset - delta
            for level in ("pmd", "pud"):
                table = process.tables.get((level, was // SPANS[level] * SPANS[level]))
                entry = (area.file, place // area.page * (area.page // PAGE), area.page // PAGE)
                if low <= was < high and table and entry in table.entries:
                    table.entries.discard(entry)
                    self._touch(process, area, place, False)
                    break


def _next(at: int, unit: int) -> int:
    return (at // unit + 1) * unit


def _joined(parts: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Merge neighbours of equal protection."""
    found: list[tuple[int, int, str]] = []
    for part in parts:
        if found and found[-1][1] == part[0] and found[-1][2] == part[2]:
            found[-1] = (found[-1][0], part[1], part[2])
        else:
            found.append(part)
    return found
