"""A layout as the policies see it: VMAs, what they touch, and which chunks are transparent huge pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ptcalc.arch import Geometry, Level
from ptcalc.arch.geometry import HIGHEST_ADDRESS
from ptcalc.engine.covers import BLOCKS, FIRM, RANDOM, TOUCHES, Covers, Touched, compact, covers
from ptcalc.engine.footprint import Footprint, LevelCovers
from ptcalc.engine.numbers import distinct
from ptcalc.engine.spread import Spread
from ptcalc.engine.union import sorting
from ptcalc.layout.rows import BACKINGS, MADVISE, THP, UFFD, Layout, Rows, Runs
from ptcalc.layout.vmas import Vmas, merge

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

SHMEM, FILE, HUGETLB, PRIVATE = range(len(BACKINGS))
_FAR = 1 << 62  # beyond every table


@dataclass(frozen=True, slots=True, eq=False)
class Sharing:
    """Which whole tables inside each VMA may be one (shape (V,)).

    Equal ``keys`` and equal phase of the address
    against the file, which is what makes the entries of two mappings equal.

    ``window``: the addresses between which whole tables may be one, lo <= address < hi, where that is not the VMA.
    """

    may: Flags
    keys: tuple[Ints, ...]
    window: tuple[Ints, Ints] | None = None


SharingRule = Callable[["View", str], Sharing | None]


@dataclass(frozen=True, eq=False)
class View:
    """Rows, VMAs and touched runs.

    ``home`` (shape (R,)) is the scope in which a row's unshared tables live:
    its group, or a scope of its own from ``groups`` on (tables that all who map them share, as in a host mm).
    """

    geometry: Geometry
    groups: int  # of all layouts together
    rows: Rows
    vmas: Vmas
    touched: Touched
    run_row: Ints
    home: Ints
    homes: int
    file_size: Ints
    layouts: int = 1
    spread: Spread | None = None
    # Levels at which nothing is shared, by their place: policies with the same view count them once.
    _unshared: dict[int, LevelCovers] = field(init=False, default_factory=dict, repr=False)
    _found: dict[int, Covers] = field(init=False, default_factory=dict, repr=False)

    @classmethod
    def of(cls, layout: Layout) -> View:
        """Return the view of a layout in which every process has its own tables."""
        groups = layout.groups * layout.layouts
        return cls(
            geometry=layout.geometry,
            groups=groups,
            rows=layout.rows,
            vmas=merge(layout.rows),
            touched=touched_by(layout.runs, layout),
            run_row=layout.runs.row,
            home=layout.rows.group,
            homes=groups,
            file_size=layout.file_size,
            layouts=layout.layouts,
            spread=spread_of(layout.runs.row, layout),
        ).in_order()

    def in_order(self) -> View:
        """Return it with its runs in order of address: so are tables of every level then, without being sorted."""
        order = sorting(self.run_home, self.touched.lo)
        if isinstance(order, slice):
            return self
        spread = self.spread and self.spread.take(order)
        return replace(self, touched=self.touched.take(order), run_row=self.run_row[order], spread=spread)

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels whose tables are counted, from the leaf up."""
        return self.geometry.added_levels

    def attribute(self, name: str) -> Ints:
        """Return a column of the rows for each VMA, shape (V,)."""
        column: Ints = getattr(self.rows, name)[self.vmas.row]
        return column

    def delta(self) -> Ints:
        """Return the address of file offset 0 as each VMA maps it, shape (V,)."""
        return np.asarray((self.rows.start - self.rows.file_offset)[self.vmas.row])

    @cached_property
    def run_home(self) -> Ints:
        """The home of each run's row, shape (T,)."""
        return self.home[self.run_row]

    @cached_property
    def run_vma(self) -> Ints:
        """The VMA of each run's row, shape (T,)."""
        return self.vmas.of_row[self.run_row]

    @cached_property
    def by_mapping(self) -> View:
        """The same with every mapping in a process of its own, and in one scope for all of its tables."""
        mapping = self.rows.mapping
        many = int(mapping.max(initial=-1)) + 1
        touched = replace(self.touched, group=mapping[self.run_row])
        return replace(self, groups=many, touched=touched, spread=None, home=mapping, homes=many)

    def leaf_table(self) -> Ints:
        """Return the place (0 = pte) of the level whose table holds each row's leaves, shape (R,)."""
        geometry = self.geometry
        out = np.zeros(len(self.rows.page), np.int64)
        huge = self.rows.backing == HUGETLB
        for size, name in geometry.huge_pages.items():
            out[huge & (self.rows.page == size)] = geometry.index[name]
        return out

    def footprint(self, sharing: SharingRule | None = None, *, adopting: bool = False) -> Footprint:
        """Count tables at every level below the root; `sharing` says which may be one.

        ``adopting``: they are a process's own until a second one comes, but for those of hugetlb.
        """
        levels = [self.reached(place, sharing)[0] for place in range(len(self.levels))]
        scopes = [self._sets_of_files(level) for level in levels] if adopting else ()
        return Footprint(levels, self.touched, self.groups, self.layouts, self.spread, scopes)

    def _sets_of_files(self, level: LevelCovers) -> Flags:
        """Return the scopes that are sets of shared tables, but for those of hugetlb."""
        huge = self.rows.backing[self.run_row[level.covers.run]] == HUGETLB
        sets = np.arange(len(level.family)) >= self.homes
        sets[level.covers.scope[huge]] = False
        return sets

    def reached(self, place: int, sharing: SharingRule | None) -> tuple[LevelCovers, Sharing | None]:
        """Return the tables that the runs reach at the level of that place, and what says which of them may be one."""
        level = self.levels[place]
        rule = sharing(self, level.name) if sharing is not None else None
        if rule is not None:
            _, _, low, high = self._ends(min(level.span, HIGHEST_ADDRESS), rule)
            rule = replace(rule, may=rule.may & (low < high))
            if rule.may.any():
                return self._level(place, level, rule), rule
        if place not in self._unshared:
            self._unshared[place] = self._level(place, level, None)
        return self._unshared[place], None

    def sets(self, rule: Sharing, span: int) -> Sets:
        """Return the scopes in which the VMAs that may share at a level have their tables."""
        delta = self.delta()
        phase = delta % span
        families = _number(rule.keys, rule.may)
        scopes = _number((families, phase), rule.may)
        return Sets(families, np.where(rule.may, self.homes + scopes, -1), np.where(rule.may, delta // span, 0), phase)

    def grown_vmpte(self) -> Ints:
        """Return what VmPTE counts more in each home whose root has grown, shape (homes,): old roots."""
        extra = np.zeros(self.homes, np.int64)
        for growth in self.geometry.grows:
            extra += growth.vmpte_bytes * (self.ends() > growth.above)
        return extra

    def ends(self) -> Ints:
        """Return the end of the highest mapping of each home, shape (homes,): it decides where its root is."""
        ends = np.zeros(self.homes, np.int64)
        np.maximum.at(ends, self.home, self.rows.end)
        return ends

    def _covers(self, place: int, name: str, span: int) -> Covers:
        """Return the tables that the runs reach at a level, each in the scope of its row's home."""
        here = self.leaf_table() <= place
        if here.all():
            found = covers(self.touched, span)
        else:
            chosen = np.flatnonzero(here[self.run_row])
            found = covers(self.touched.take(chosen), span)
            found = replace(found, run=chosen[found.run])
        found = replace(found, scope=self.run_home[found.run])
        if name in self.geometry.free_tables_below:
            # Every process has the table of the low addresses anyway: the first.
            found = found.clipped(np.int64(1), np.int64(1 << 62))  # type: ignore[arg-type]
        return found

    def _level(self, place: int, level: Level, rule: Sharing | None) -> LevelCovers:
        name, span = level.name, min(level.span, HIGHEST_ADDRESS)
        grown = [growth.above for growth in self.geometry.grows if growth.level == name]
        fixed = np.asarray(self.ends() > grown[0], np.int64) if grown else None
        if place not in self._found:
            self._found[place] = self._covers(place, name, span)
        found = self._found[place]
        family = np.arange(self.homes)
        origin = np.zeros(self.homes, np.int64)
        thp = self.thp() if place == 0 else None
        if rule is None and thp is None:
            return LevelCovers(name, span, found, family, origin, np.zeros(self.homes, bool), fixed)
        whole = self.wholes(span, rule)
        scope, shift, first, last = whole.scope, whole.shift, whole.first, whole.last
        family, origin = whole.family, whole.origin
        parts = []
        if rule is not None and thp is None:
            # VMAs that share nothing are left as they are.
            cut = rule.may[self.run_vma[found.run]]
            if not cut.all():
                parts, found = [found.take(~cut)], found.take(cut)
        vma = self.run_vma[found.run]
        edges = [found.clipped(np.int64(-(1 << 62)), first[vma]), found.clipped(last[vma], np.int64(1 << 62))]  # type: ignore[arg-type]
        inside = found.clipped(first[vma], last[vma])
        if thp is not None:
            inside = inside.take(~thp.huge[self.run_row[inside.run]])
            # In a set of tables that is shared, those who refuse huge pages need them beside those who do not.
            keeps = ~thp.may_block[self.run_row[inside.run]]
            inside = replace(inside, role=np.where(keeps, FIRM, TOUCHES).astype(np.int8))
        if rule is None or rule.window is None:
            vma = self.run_vma[inside.run]
            parts += [*edges, inside.moved(scope[vma], shift[vma], span)]
        else:
            # Beyond whole chunks there are no huge pages that take a table away.
            firm = [replace(edge, role=np.full(len(edge.run), FIRM, np.int8)) for edge in edges]
            parts += [part for each in (*(firm if thp else edges), inside) for part in self._split(each, whole, span)]
        if thp is not None and thp.may_block.any():
            parts += self._blocks(thp, whole, span)
        by_file = np.arange(len(family)) >= self.homes
        return LevelCovers(name, span, Covers.concatenate(parts), family, origin, by_file, fixed)

    def wholes(self, span: int, rule: Sharing | None) -> Wholes:
        """Return where the tables of `span` bytes live that lie wholly inside a VMA.

        Only they can be shared or be replaced by a huge page; the others live in the home of their row.
        """
        first, last, low, high = self._ends(span, rule)
        scope = self.home[self.vmas.row]
        shift = np.zeros(len(scope), np.int64)
        family = np.arange(self.homes)
        origin = np.zeros(self.homes, np.int64)
        if rule is not None:
            sets, may = self.sets(rule, span), rule.may
            scope = np.where(may, sets.scope, scope)
            shift = sets.shift
            shared = int(sets.scope.max()) + 1 - self.homes
            more_family, more_origin = np.zeros(shared, np.int64), np.zeros(shared, np.int64)
            more_family[scope[may] - self.homes] = self.homes + sets.family[may]
            more_origin[scope[may] - self.homes] = -sets.phase[may]
            family, origin = np.concatenate([family, more_family]), np.concatenate([origin, more_origin])
        return Wholes(first, last, low, high, scope, shift, family, origin)

    def _ends(self, span: int, rule: Sharing | None) -> tuple[Ints, Ints, Ints, Ints]:
        """Return between which tables of `span` bytes a VMA has whole ones, and which may be one; see `Wholes`."""
        first = -(-self.vmas.start // span)
        last = np.maximum(self.vmas.end // span, first)
        if rule is None or rule.window is None:
            return first, last, first, last
        low = np.where(rule.may, -(-rule.window[0] // span), first)
        return first, last, low, np.where(rule.may, np.maximum(rule.window[1] // span, low), last)

    def _split(self, found: Covers, whole: Wholes, span: int) -> list[Covers]:
        """Return tables as those in the home of their row, and those in the sets of shared tables."""

        def part(lo: Ints, hi: Ints) -> Covers:
            return found.clipped(lo, hi)

        vma = self.run_vma[found.run]
        far = np.full(len(vma), 1 << 62)
        shared = part(whole.low[vma], whole.high[vma])
        moved = self.run_vma[shared.run]
        shared = shared.moved(whole.scope[moved], whole.shift[moved], span)
        return [part(-far, whole.low[vma]), part(whole.high[vma], far), shared]

    def thp(self) -> Thp | None:
        """Return which rows find huge pages in the chunks inside their VMA; None if no segment has any."""
        rows = self.rows
        if self.geometry.thp_keeps_tables:
            return None
        switched = (rows.thp != THP.index("never")) & ((rows.backing == SHMEM) | (rows.backing == FILE))
        if not switched.any():
            return None
        refused = rows.madvise == MADVISE.index("nohugepage")
        asked = rows.madvise == MADVISE.index("hugepage")
        advising = switched & ~refused & ((rows.thp != THP.index("advise")) | asked)
        congruent = (rows.start - rows.file_offset) % self.geometry.thp_size == 0
        # A write to a private mapping copies a base page, so that its chunk is mapped by a PTE table
        # (mm/memory.c:do_cow_fault, wp_page_copy).
        # userfaultfd minor faults resolve base page by base page (measured on 6.18); missing and wp do not matter.
        minor = rows.uffd == UFFD.index("minor")
        # A host mm has one VMA for all its members: it refuses huge pages only if all of them do.
        willing = np.zeros(self.homes, bool)
        willing[self.home[~refused]] = True
        refusing = np.where(self.home >= self.groups, ~willing[self.home], refused)
        may = switched & congruent & ~refusing & ~minor & (rows.shared | ~rows.write)
        return Thp(
            huge=may & advising,
            may_block=may & ~advising,
            advising=advising[self.run_row],
        )

    def _blocks(self, thp: Thp, whole: Wholes, span: int) -> list[Covers]:
        """Return where advising processes make chunks huge under the VMAs of those that do not advise."""
        rows, vmas = self.rows, self.vmas
        scope, shift, first, last = whole.scope, whole.shift, whole.first, whole.last
        # In the coordinates of the file, whatever the address at which the adviser maps it.
        shifted = (rows.start - rows.file_offset)[self.run_row]
        touched = self.touched
        in_file = Touched(
            touched.kind, touched.lo - shifted, touched.hi - shifted, touched.step, touched.origin - shifted,
            touched.slots, touched.drawn, touched.each, touched.domain, touched.group, touched.base,
        )  # fmt: skip
        chosen = np.flatnonzero(thp.advising)
        made = covers(in_file.take(chosen), span)
        made_run = chosen[made.run]
        file_of = rows.file[self.run_row[made_run]]
        blocked = np.zeros(len(vmas.row), bool)
        blocked[vmas.of_row[thp.may_block]] = True
        parts: list[Covers] = []
        seen: set[tuple[int, int]] = set()
        for vma in np.flatnonzero(blocked):
            here = np.flatnonzero(file_of == rows.file[vmas.row[vma]])
            axis, file = int(scope[vma]), int(rows.file[vmas.row[vma]])
            low, high = int(first[vma]), int(last[vma])
            # Beside whole chunks, a home holds the tables of ragged ends, which are never huge.
            places = [(axis, int(shift[vma]), low, high)]
            if axis >= self.homes:
                home, ends = int(self.home[vmas.row[vma]]), (int(whole.low[vma]), int(whole.high[vma]))
                places = [(axis, int(shift[vma]), -_FAR, _FAR), (home, 0, low, ends[0]), (home, 0, ends[1], high)]
            if axis >= self.groups and (axis, file) in seen:
                del places[0]
            seen.add((axis, file))
            part, many = made.take(here), len(here)
            for axis, start, lo, hi in places:
                if lo >= hi:
                    continue
                to_axis = int(self.delta()[vma]) // span - start
                moved = Covers(
                    made_run[here], np.full(many, axis), part.lo + to_axis, part.hi + to_axis, part.log_empty,
                    part.held, np.where(part.stride > 0, part.anchor + to_axis * span, 0), part.stride,
                    np.full(many, BLOCKS, np.int8),
                )  # fmt: skip
                parts.append(moved.clipped(np.int64(lo), np.int64(hi)))  # type: ignore[arg-type]
        return parts


@dataclass(frozen=True, slots=True, eq=False)
class Wholes:
    """The tables of one level that lie wholly inside a VMA: first <= index < last, shape (V,).

    Those with low <= index < high live in ``scope``, a home or a set of shared tables, whose table 0 is table ``shift``
    of the VMA's addresses; where a policy shares less or more than what is whole, the others are in the row's home.
    ``family`` and ``origin`` of the scopes are those of `LevelCovers`.
    """

    first: Ints
    last: Ints
    low: Ints
    high: Ints
    scope: Ints
    shift: Ints
    family: Ints
    origin: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Sets:
    """Where VMAs have shared tables, shape (V,): -1 or 0 for those that may not share.

    ``family`` numbers the keys; ``scope`` the keys with their ``phase``, from `View.homes` on; ``shift`` is the index
    of the VMA's table that is table 0 of the scope.
    """

    family: Ints
    scope: Ints
    shift: Ints
    phase: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Thp:
    """Which chunks are transparent huge pages.

    ``huge``, shape (R,): rows whose whole touched chunks are huge; ``may_block``, shape (R,): rows whose chunks are
    huge if somebody else makes them so; ``advising``, shape (T,): runs that do.
    """

    huge: Flags
    may_block: Flags
    advising: Flags


def spread_of(run_row: Ints, layout: Layout) -> Spread | None:
    """Return which of the runs on these rows lie in segments with copies; None if no segment has any."""
    owners = tuple(int(owner) for owner in distinct(layout.owners[layout.owners >= 0]))
    if not owners:
        return None
    segments = layout.rows.segment % len(layout.owners)
    owner = layout.owners[segments]
    mappers = np.zeros((len(owners), layout.groups), bool)
    for number, group in enumerate(owners):
        mappers[number, layout.rows.group[owner == group] % layout.groups] = True
    kind = np.where(owner < 0, -1, np.searchsorted(owners, owner))
    return Spread(kind[run_row], owners, mappers)


def touched_by(runs: Runs, layout: Layout) -> Touched:
    """Return the runs of a layout as the engine takes them."""
    draws = runs.kind == RANDOM
    return Touched(
        kind=compact(runs.kind),
        lo=runs.lo,
        hi=runs.hi,
        step=compact(runs.step),
        origin=compact(runs.origin),
        slots=compact(np.where(draws, runs.slots, 0)),
        drawn=compact(np.where(draws, runs.drawn, 0)),
        each=compact(~runs.same),
        domain=runs.domain,
        group=layout.rows.group[runs.row],
        base=(layout.rows.start - layout.rows.file_offset)[runs.row],
    )


def _number(keys: tuple[Ints, ...], may: Flags) -> Ints:
    """Number the distinct keys of the VMAs that may share, shape (V,); -1 elsewhere."""
    out = np.full(len(may), -1, np.int64)
    code = np.zeros(int(may.sum()), np.int64)
    for key in keys:
        part = key[may]
        low = int(part.min())
        width = int(part.max()) - low + 1
        if width == 1:
            continue  # tells nothing apart
        if int(code.max()) >= (1 << 62) // width:
            code = np.unique(code, return_inverse=True)[1]
        if int(code.max()) >= (1 << 62) // width:
            values, part = np.unique(part, return_inverse=True)
            low, width = 0, len(values)
        code = code * width + (part - low)
    out[may] = np.unique(code, return_inverse=True)[1] if code.any() else 0
    return out


__all__ = ["FILE", "HUGETLB", "PRIVATE", "SHMEM", "Sharing", "SharingRule", "View"]
