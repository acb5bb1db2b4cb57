"""What changes for all processes or for none while time passes: rows, files, regions, and how a policy sees VMAs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ptcalc.arch import Level
from ptcalc.engine.covers import BLOCKS, RANDOM
from ptcalc.layout.plan import Plan
from ptcalc.layout.rows import BACKINGS, THP, Layout, Rows, Runs
from ptcalc.policies.base import Context, Policy
from ptcalc.policies.second_level import SecondLevels, second_levels
from ptcalc.policies.view import Sets, Sharing, SharingRule, View
from ptcalc.timeline.entries import Entries
from ptcalc.timeline.life import Hook, Key, Scope, Vma
from ptcalc.timeline.runs import Run, cells_of, runs_of
from ptcalc.workload.intervals import Intervals

HUGETLB, PRIVATE = BACKINGS.index("hugetlb"), BACKINGS.index("private")
_COLUMNS = tuple(Rows.__dataclass_fields__)
_NO_RUNS = Runs(*(np.zeros(0, bool if name == "same" else np.int64) for name in Runs.__dataclass_fields__))
_BOOLS = {"shared", "softdirty", "allow", "write"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the layout as plain numbers: see `ptcalc.layout.rows.Rows`."""

    mapping: int
    group: int
    file: int
    start: int
    end: int
    file_offset: int
    delta: int
    seg_lo: int
    seg_hi: int
    segment: int
    backing: int
    page: int
    thp: int
    shared: bool
    protection: int
    madvise: int
    uffd: int
    softdirty: bool
    allow: bool
    write: bool
    alignment: int
    locked: int

    def vma(self) -> Vma:
        """Return what it is mapped as in the file."""
        return Vma(0, 0, self.protection, self.madvise, self.uffd, self.softdirty, self.allow, locked=self.locked)


@dataclass(slots=True)
class Piece:
    """A part of a VMA that is seen as one row: addresses as mapped, and the runs that are touched in it."""

    lo: int
    hi: int
    vma: Vma
    runs: tuple[Run, ...] = ()
    written: bool | None = None  # whether what is touched is written; None: as the file says


@dataclass
class Ground:
    """One policy on one workload.

    ``huge``: of each file, where the page cache holds huge pages that the switches do not make (collapse), or
    holds none although they would ("never"); ``ends``: of each segment, where it ends now (bytes of positions as
    mapped); ``regions``: of each segment in a region or host mm, what its one list of VMAs allows now (protection,
    by position).
    ``held``: pages of hugetlb files that shared mappings have brought in, by number of the page, as far as somebody
    maps the file private.
    ``entries``: what shared sets map.
    ``epoch`` moves when new processes would find something else.
    """

    policy: Policy
    context: Context
    plan: Plan
    layout: Layout
    view: View
    rule: SharingRule | None
    rows: tuple[Row, ...]
    epoch: int = 0
    huge: dict[int, Intervals[str]] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    regions: dict[int, Intervals[int]] = field(default_factory=dict)
    held: dict[int, Intervals[bool]] = field(default_factory=dict)
    entries: Entries = field(default_factory=Entries)
    _backings: dict[int, int] = field(default_factory=dict)

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels below the root, from the PTE level up."""
        return self.context.geometry.added_levels

    @cached_property
    def second_levels(self) -> tuple[SecondLevels, ...]:
        """Second-level tables of guests, as functions of the process counts."""
        return second_levels(self.view, self.layout, self.context)

    @cached_property
    def cells(self) -> dict[int, int]:
        """Bytes of the smallest page by which each file is mapped."""
        found: dict[int, int] = {}
        for row in self.rows:
            found[row.file] = min(row.page, found.get(row.file, row.page))
        return found

    def span(self, place: int) -> int:
        """Bytes of address space of a table."""
        from ptcalc.arch.geometry import HIGHEST_ADDRESS

        return min(self.levels[place].span, HIGHEST_ADDRESS)

    def file_backing(self, file: int) -> int:
        """Return the backing of a file, by its place in BACKINGS."""
        if not self._backings:
            self._backings.update((row.file, row.backing) for row in self.rows)
        return self._backings.get(file, -1)

    def hold(self, number: int, run: Run) -> None:
        """Remember what is touched (as mapped) through a row of a hugetlb file that somebody maps private."""
        row = self.rows[number]
        if row.backing != HUGETLB or not row.shared or run.kind == RANDOM:
            return
        if all(each.shared for each in self.rows if each.file == row.file):
            return
        before = self.held.get(row.file, Intervals())
        now = before
        for lo, hi in _pages_of(row, run):
            now = now.set(lo, hi, True)
        if now != before:
            self.held[row.file] = now
            self.epoch += 1

    def holds(self, number: int, run: Run) -> bool:
        """Tell whether all pages of a run are there already (see `hold`)."""
        row = self.rows[number]
        held: Intervals[bool] = self.held.get(row.file, Intervals())
        return all(held.first_hole(lo, hi) is None for lo, hi in _pages_of(row, run))

    def unused(self, key: Key) -> str:
        """Say what happens to tables that nobody uses any more: freed, cached, or kept (by a host mm)."""
        if key.region < 0 and self.file_backing(key.file) == HUGETLB:
            return "freed"
        return self.policy.unused_tables(self.context)

    def adopts(self, key: Key) -> bool:
        """Tell whether a table of a set is a process's own until a second one comes."""
        regional = key.region >= 0 or self.file_backing(key.file) == HUGETLB
        return not regional and self.policy.adopts(self.context)

    def position(self, row: Row, address: int) -> int:
        """Return the place in its segment, as mapped, of an address at which the file maps a row."""
        return int(self.layout.file_position[row.file]) + row.file_offset + address - row.start

    def end_of(self, row: Row) -> int:
        """Return where the file of a row ends now, as an address at which the row would map that."""
        end = self.ends.get(row.segment)
        if end is None:
            return row.end
        return min(row.end, row.start - row.file_offset + end - int(self.layout.file_position[row.file]))

    def region_size(self, segment: int) -> int:
        """Return the bytes of a segment, each piece in whole pages."""
        return max(end for _, _, end in self.files_of(segment))

    def files_of(self, segment: int) -> list[tuple[int, int, int]]:
        """Return the files of a segment: (number, start, end), positions as mapped."""
        positions = self.layout.file_position.tolist()
        # Files are numbered through all segments, the first of each at position 0.
        firsts = [file for file, position in enumerate(positions) if position == 0]
        before, after = (*firsts, len(positions))[segment : segment + 2]
        return [(file, at := positions[file], at + int(self.layout.file_size[file])) for file in range(before, after)]

    def laid_out(self, kinds: Iterable[Iterable[Piece]]) -> Layout:
        """Return the layout of some processes, each with its pieces, as groups of their own."""
        columns: list[list[int]] = [[] for _ in _COLUMNS]
        runs: list[tuple[int, ...]] = []
        for group, pieces in enumerate(kinds):
            for piece in pieces:
                row = self.rows[piece.vma.row]
                for lo, hi, thp in self._by_pages(row, piece):
                    offset = row.file_offset + lo - row.start
                    vma, writes = piece.vma, row.write if piece.written is None else piece.written
                    values = (
                        row.mapping, group, row.file, lo + vma.moved, hi + vma.moved, offset, row.delta + vma.moved,
                        row.seg_lo, row.seg_hi, row.segment, row.backing, row.page, thp, row.shared, vma.protection,
                        vma.madvise, vma.uffd, vma.softdirty, vma.allow and not vma.outside, writes, row.alignment,
                        vma.locked,
                    )  # fmt: skip
                    for column, value in zip(columns, values, strict=True):
                        column.append(value)
                    number = len(columns[0]) - 1
                    for run in piece.runs:
                        part = run.cut(lo, hi)
                        if part is not None:
                            at = part.moved(vma.moved)
                            runs.append(
                                (
                                    number,
                                    at.kind,
                                    at.lo,
                                    at.hi,
                                    at.step,
                                    at.origin,
                                    at.slots,
                                    at.drawn,
                                    not at.each,
                                    at.domain,
                                )
                            )
        table = [
            np.array(column, bool if name in _BOOLS else np.int64)
            for name, column in zip(_COLUMNS, columns, strict=True)
        ]
        ran = (
            [np.array(column, np.int64) for column in zip(*runs, strict=True)] if runs else [np.zeros(0, np.int64)] * 10
        )
        ran[8] = ran[8].astype(bool)
        return Layout(
            geometry=self.context.geometry, plan=self.plan, places=(), rows=Rows(*table), runs=Runs(*ran),
            guest_runs=_NO_RUNS,
            file_size=self.layout.file_size, file_position=self.layout.file_position, groups=group + 1,
            owners=self.layout.owners,
        )  # fmt: skip

    def _by_pages(self, row: Row, piece: Piece) -> list[tuple[int, int, int]]:
        """Cut a piece where the page cache holds other pages than the switches say."""
        changed = self.huge.get(row.file)
        if not changed:
            return [(piece.lo, piece.hi, row.thp)]
        shift = row.start - row.file_offset
        out, reach = [], piece.lo
        for lo, hi, word in changed.within(piece.lo - shift, piece.hi - shift):
            out.append((reach, lo + shift, row.thp))
            out.append((lo + shift, hi + shift, THP.index(word)))
            reach = hi + shift
        out.append((reach, piece.hi, row.thp))
        return [(lo, hi, thp) for lo, hi, thp in out if lo < hi]

    def seen(self, layout: Layout, counts: tuple[int, ...]) -> tuple[View, SharingRule | None]:
        """Return a layout as the policy sees it, and what says which tables may be one."""
        context = self.context
        now = type(context)(context.workload, context.geometry, context.parameters, now=counts, settled=context.settled)
        now.__dict__["layout"] = self.layout
        view = self.policy.view(layout, now)
        return view, self.policy.sharing(view, now)


def _pages_of(row: Row, run: Run) -> Iterator[tuple[int, int]]:
    """Yield the pages of a file that a run (as mapped) reaches, by number."""
    return cells_of(run.moved(row.file_offset - row.start), row.page)


Placed = list[tuple[list[Hook], list[Hook]]]  # level by level: tables on the process's own axis, and on a region's


def hooks_of(ground: Ground, view: View, rule: SharingRule | None, groups: range) -> dict[int, Placed]:
    """Return the tables that the runs of a view need, for each of the groups."""
    runs = runs_of(view.touched)
    out: dict[int, Placed] = {group: [([], []) for _ in ground.levels] for group in groups}
    for place in range(len(ground.levels)):
        reached, sharing = view.reached(place, rule)
        level = _Level(view, place, reached.span, sharing)
        covers = reached.covers
        columns = (covers.run, covers.scope, covers.lo, covers.hi, covers.role)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for at, scope, lo, hi, role in sorted(rows, key=lambda row: (row[0], row[1], row[4], row[2])):
            for group, hook in level.hooks(runs[at], at, scope, lo, hi, role):
                if group in out:
                    regional = hook.scope is not None and hook.scope.key.region >= 0
                    _append(out[group][place][regional], hook)
    return out


class _Level:
    """One level of a view: whose tables the engine's rows are."""

    def __init__(self, view: View, place: int, span: int, sharing: Sharing | None) -> None:
        self.view, self.place, self.span = view, place, span
        self.group = view.touched.group.tolist()
        self.delta = (view.rows.start - view.rows.file_offset)[view.run_row].tolist()
        self.scopes: dict[int, dict[int, Scope]] = {}  # by number of the set, by group
        self.file_at: dict[int, int] = {}
        self.shift: list[int] = []
        if sharing is None:
            return
        sets = view.sets(sharing, span)
        self.shift = sets.shift[view.vmas.of_row[view.run_row]].tolist()
        for vma, scope in scopes_of(view, sharing, sets, place):
            row = int(view.vmas.row[vma])
            number = int(sets.scope[vma])
            self.scopes.setdefault(number, {}).setdefault(int(view.rows.group[row]), scope)
            self.file_at[number] = int(view.rows.start[row] - view.rows.file_offset[row])

    def hooks(self, run: Run, at: int, number: int, lo: int, hi: int, role: int) -> Iterator[tuple[int, Hook]]:
        """Yield the processes (groups) that have the tables of one row, as their hooks.

        Tables that others take away (role BLOCKS) are reached at the addresses of those who lose them; ``times`` is
        the group of who takes them.
        """
        view, group = self.view, self.group[at]
        if view.groups <= number < view.homes:
            # A host mm: those who touch reach its tables, each for its own processes.
            if role != BLOCKS:
                yield group, Hook(run, lo, hi, Scope(Key(self.place, (), -1, number - view.groups), 0), role)
        elif number < view.groups:
            if role == BLOCKS:
                there = run.moved(self._file_at(number, lo) - self.delta[at])
                yield number, Hook(there, lo, hi, None, role, group)
            else:
                yield number, Hook(run, lo, hi, None, role)
        elif role == BLOCKS:
            there = run.moved(self.file_at[number] - self.delta[at])
            for owner, scope in self.scopes[number].items():
                yield owner, Hook(there, lo + scope.shift, hi + scope.shift, scope, role, group)
        else:
            shift = self.shift[at]
            scope = next(iter(self.scopes[number].values()))._replace(shift=shift)
            yield group, Hook(run, lo + shift, hi + shift, scope, role)

    def _file_at(self, group: int, table: int) -> int:
        """Return the address of file offset 0 as the VMA of a group maps it that holds a table."""
        vmas, rows = self.view.vmas, self.view.rows
        for vma, row in enumerate(vmas.row.tolist()):
            if int(rows.group[row]) == group and vmas.start[vma] <= table * self.span < vmas.end[vma]:
                return int(rows.start[row] - rows.file_offset[row])
        return 0


def scopes_of(view: View, sharing: Sharing, sets: Sets, place: int) -> Iterator[tuple[int, Scope]]:
    """Yield the VMAs that may share at a level, with the sets whose tables they hook."""
    for vma in np.flatnonzero(sharing.may).tolist():
        name = (*(int(key[vma]) for key in sharing.keys), int(sets.phase[vma]))
        key = Key(place, name, int(view.rows.file[view.vmas.row[vma]]))
        yield vma, Scope(key, int(sets.shift[vma]))


def _append(hooks: list[Hook], new: Hook) -> None:
    """Append a hook, joined with the one before it where it goes on."""
    if hooks:
        last = hooks[-1]
        if last.hi == new.lo and last._replace(hi=new.hi) == new._replace(lo=last.lo):
            hooks[-1] = last._replace(hi=new.hi)
            return
    hooks.append(new)
