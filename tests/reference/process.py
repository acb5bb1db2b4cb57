"""The state of the slow model over time: processes, the pieces of their mappings, and the tables that they use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

from tests.reference.address_space import PAGE, PMD_SIZE, SPANS, Area, _merge
from tests.reference.policies import Key

Place = tuple[str, int]  # level, address of the first byte that a table spans


@dataclass(frozen=True)
class Piece(Area):
    """A part of a mapping with attributes of its own.  `anon`: it has pages of its own (an anon_vma); `left`: it was
    taken out of the segment's mshare region.

    `rank`: where its VMA stands among those that begin at the same place of the file (mm/interval_tree.c).
    """

    anon: bool = False
    left: bool = False
    rank: tuple[int, ...] = ()


@dataclass(eq=False)
class Table:
    """One table.  `key`: what a file or a region keeps it under; None: it is of one process.

    A PMD table of hugetlb has the key ("hugetlb",): no file keeps it, it is found through those who use it.
    `entries`: its leaf entries, as (file, first page, pages).
    """

    level: str
    key: Key | None
    users: dict[tuple[int, int], Process] = field(
        default_factory=dict
    )  # by number of the process and where it is hooked
    entries: set[tuple[Any, int, int]] = field(default_factory=set)
    lone: bool = False  # of a file's: one process alone has had it, and it is its own so far
    below: dict[int, Table] = field(default_factory=dict)  # of a kept PMD table: PTE tables by place in its span

    @property
    def kept(self) -> bool:
        """Whether it belongs to a file or a region."""
        return self.key is not None and self.key[0] != "hugetlb" and not self.lone


@dataclass(eq=False)
class Process:
    """One process: its pieces, what it has hooked where, and what it uses.

    `leaves`: 2 MiB of page cache that it maps by a leaf in the PMD table, by address.  `used`: pages in use, by mapping
    and page of the mapping; the value says whether they were written.  `copies`: those that are private copies, with an
    object for the page of memory, which fork lets several have.
    """

    number: int
    group: str
    part: int
    label: str
    areas: list[Piece]
    clock: Iterator[int]  # numbers what is put into the trees of VMAs, of all processes
    tables: dict[Place, Table] = field(default_factory=dict)
    leaves: dict[int, tuple[Any, int, int]] = field(default_factory=dict)
    used: dict[tuple[int, int], bool] = field(default_factory=dict)
    copies: dict[tuple[int, int], object] = field(default_factory=dict)
    plain: str = ""  # how it was started, until an event is about it

    # --- pieces

    def pieces(self, mapping: int, start: int, end: int) -> Iterator[tuple[Piece, int, int]]:
        """Yield what is left of the bytes [start, end) of a mapping: (piece, first address, last address + 1).

        In memory of huge pages the range is rounded out to them.
        """
        for area in self.areas:
            if area.mapping != mapping:
                continue
            origin = area.stated - area.first_page * PAGE  # of the mapping, in the file
            low, high = max(origin + start, area.stated), min(origin + end, area.stated_end)
            low, high = low // area.page * area.page, -(-high // area.page) * area.page
            low, high = max(low, area.offset), min(high, area.offset + area.length)
            if low < high:
                yield area, area.va + low - area.offset, area.va + high - area.offset

    def place_of(self, mapping: int, page: int) -> tuple[Piece, int] | None:
        """Return the piece and the file offset of a page of a mapping; None if it is not mapped."""
        for area in self.areas:
            place = area.stated + (page - area.first_page) * PAGE
            low, high = max(area.stated, area.offset), min(area.stated_end, area.offset + area.length)
            if area.mapping == mapping and low <= place < high:
                return area, place
        return None

    def pages_of(self, area: Piece) -> tuple[int, int]:
        """Return the pages of its mapping that a piece maps: the first, and the one behind the last."""
        low, high = max(area.stated, area.offset), min(area.stated_end, area.offset + area.length)
        return area.first_page + (low - area.stated) // PAGE, area.first_page - (area.stated - high) // PAGE

    def at(self, address: int) -> Piece | None:
        """Return the piece at an address."""
        return next((a for a in self.areas if a.va <= address < a.va + a.length), None)

    def cut(self, address: int) -> None:
        """Split a VMA: a huge page of the page cache that lies across loses its leaf (vma_adjust_trans_huge)."""
        for number, area in enumerate(self.areas):
            if area.va < address < area.va + area.length:
                first = address - area.va
                after = replace(area, va=address, offset=area.offset + first, length=area.length - first)
                # Both parts are put into the tree anew, behind their equals (mm/vma.c: vma_prepare, vma_complete).
                parts = [replace(area, length=first), after]
                self.areas[number : number + 1] = [replace(part, rank=(next(self.clock),)) for part in parts]
                break

    def change(self, low: int, high: int, change: Callable[[Piece], Piece], policy: str) -> bool:
        """Change the pieces in [low, high) where that makes a difference; the VMAs follow.  True: something changed."""
        differs = [a for a in self.areas if a.va < high and low < a.va + a.length and change(a) != a]
        for area in differs:
            for edge in (max(low, area.va), min(high, area.va + area.length)):
                if area.vma[0] < edge < area.vma[1]:
                    self.cut(edge)
                    self.split_leaf(edge)
        self.areas = [change(a) if low <= a.va < high else a for a in self.areas]
        self.merge(policy)
        return bool(differs)

    def split_leaf(self, edge: int) -> None:
        """A leaf that an edge lies in is gone."""
        if edge % PMD_SIZE:
            self.drop_leaf(edge // PMD_SIZE * PMD_SIZE)

    def drop_leaf(self, chunk: int) -> None:
        """Clear a leaf entry."""
        entry = self.leaves.pop(chunk, None)
        table = self.tables.get(("pmd", chunk // SPANS["pmd"] * SPANS["pmd"]))
        if entry and table and not table.kept:
            table.entries.discard(entry)

    def merge(self, policy: str) -> None:
        """Give every piece the bounds of its VMA; pages of one's own are a matter of the VMA, not of the piece."""
        self.areas.sort(key=lambda a: a.va)
        merged: list[Piece] = []
        anon = set()
        for area in _merge(list(self.areas), policy):
            assert isinstance(area, Piece)
            anon |= {area.vma} if area.anon else set()
            last = merged[-1] if merged else None
            if last and last.vma == area.vma and last.mapping == area.mapping and last.stated == area.stated:
                merged[-1] = replace(last, length=last.length + area.length)  # what an event cut is one again
            else:
                merged.append(area)
        self.areas = [replace(a, anon=a.vma in anon) for a in merged]

    # --- tables

    def hook(self, level: str, first: int, table: Table) -> None:
        """Use a table."""
        self.tables[level, first] = table
        table.users[self.number, first] = self
        above = self.tables.get(("pmd", first // SPANS["pmd"] * SPANS["pmd"]))
        if level == "pte" and above is not None and (above.kept or above.lone):
            above.below[first % SPANS["pmd"]] = table

    def unhook(self, level: str, first: int) -> None:
        """Let go of a table, and of all that is reached through it."""
        span = SPANS[level]
        for place in [
            p for p in self.tables if p == (level, first) or (SPANS[p[0]] < span and first <= p[1] < first + span)
        ]:
            self.tables.pop(place).users.pop((self.number, place[1]))
        if level != "pte":
            for chunk in [c for c in self.leaves if first <= c < first + span]:
                del self.leaves[chunk]

    def mapped(self, first: int, span: int) -> bool:
        """Whether a VMA is in a span."""
        return any(a.va < first + span and first < a.va + a.length for a in self.areas)


def piece_of(area: Area) -> Piece:
    """Return the piece that a whole mapping is at first."""
    return Piece(**{f.name: getattr(area, f.name) for f in fields(area)})
