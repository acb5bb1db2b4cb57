"""Everything that is there under one policy: processes with their tables, and the sets of shared tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import pairwise

from ptcalc.layout.rows import MADVISE, PROTECTIONS, THP
from ptcalc.policies.map_shared_pt import MapSharedPt
from ptcalc.policies.mshare import Mshare
from ptcalc.timeline import walking
from ptcalc.timeline.figures import Figures, figures_of, with_alone
from ptcalc.timeline.ground import HUGETLB, Ground, Piece
from ptcalc.timeline.guests import after_touch
from ptcalc.timeline.hugetlb import found
from ptcalc.timeline.leaves import leaves_of, split
from ptcalc.timeline.life import Hook, Key, Left, Life, Vma
from ptcalc.timeline.pagecache import PageCache
from ptcalc.timeline.regions import UNMAPPED, forget_unused
from ptcalc.timeline.runs import NOBODY, Run
from ptcalc.timeline.sets import SharedTables
from ptcalc.timeline.touching import touch
from ptcalc.timeline.unhooking import unhooked
from ptcalc.timeline.written import Written
from ptcalc.workload.events import Grow
from ptcalc.workload.intervals import Intervals
from ptcalc.workload.population import Cohort, Population

_FAR = 1 << 62
NO_ACCESS = PROTECTIONS.index("none")
Cohorts = list[Cohort[Life]]


@dataclass
class Growing:
    """An event of kind `grow`: when it began, and the number of its draw."""

    action: Grow
    since: Fraction
    domain: int
    reached: int = 0  # bytes


@dataclass
class World:
    """The state under one policy; `ptcalc.timeline.happening` lets events change it."""

    ground: Ground
    written: Written
    pagecache: PageCache
    population: Population[Life]
    tables: SharedTables
    growing: dict[int, Growing] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    walked_tables: int = 0
    walked_entries: int = 0
    _parted: list[tuple[Cohort[Life], Cohort[Life]]] = field(default_factory=list)  # see `part`
    _fresh: dict[tuple[int, bool], tuple[int, Life]] = field(default_factory=dict)

    # Processes.

    def arrive(self, group: str, count: int, label: str, history: int, life: Life) -> None:
        """Add processes."""
        # Of equal states one stands for all.
        self.tables.change(self.population.add(group, count, label, history, life).state, count)
        self.pagecache.bring(life, count)

    def become(self, cohort: Cohort[Life], life: Life) -> None:
        """Give processes another state."""
        if life is cohort.state:
            return
        self.tables.change(cohort.state, -cohort.count)
        self.tables.change(life, cohort.count)
        self.pagecache.bring(life, cohort.count, cohort.state)
        cohort.state = life

    def leave(self, cohorts: list[Cohort[Life]]) -> None:
        """Let processes end; what they leave in caches stays."""
        for cohort in cohorts:
            self.tables.abandon(cohort.state, cohort.count)
            self.tables.change(cohort.state, -cohort.count)
        self.population.remove(cohorts)

    def each(self, cohorts: Iterable[Cohort[Life]], change: Callable[[Life], Life]) -> None:
        """Change the state of some processes, equal ones once."""
        known: dict[int, Life] = {}
        for cohort in list(cohorts):
            old = cohort.state
            new = known.get(id(old))
            if new is None:
                new = known[id(old)] = change(old)
            self.become(cohort, new)

    def let(self, cohorts: Iterable[Cohort[Life]], change: Callable[[Life, int], Life]) -> None:
        """Change the state of some processes (one of them, and how many there are) that may find tables of others.

        Who comes to stand apart on the way, for what others have found, is one of them.
        """
        queue = list(cohorts)
        while queue:
            cohort = queue.pop(0)
            before = len(self._parted)
            self.become(cohort, change(cohort.state, cohort.count))
            queue[:0] = [part for of, part in self._parted[before:] if of is cohort or of in queue]

    def part(self, cohort: Cohort[Life], count: int) -> Cohort[Life]:
        """Let the first so many processes of a cohort stand apart from the rest; return them.

        At the end of the event they are together again, unless it has made them differ.
        """
        part = self.population.split(cohort, count)
        self._parted.append((cohort, part))
        return part

    def rejoin(self) -> None:
        """Let those who stand apart be together with those beside them, where they do not differ."""
        if not self._parted:
            return
        self._parted.clear()
        cohorts = list(self.population)
        for one, other in reversed(list(pairwise(cohorts))):
            alike = (one.group, one.label, one.history, one.age) == (other.group, other.label, other.history, other.age)
            if alike and one.state == other.state:
                self.become(other, one.state)
                self.population.join(one, other)

    def one_by_one(self, cohorts: Iterable[Cohort[Life]], lo: int, hi: int) -> Iterator[Cohort[Life]]:
        """Yield cohorts; the last process of one that shares hugetlb tables from lo to hi (as mapped) stands apart.

        It is the one that keeps what the others drop.
        """
        rows = self.ground.rows
        for cohort in list(cohorts):
            shares = any(
                hook.scope is not None and hook.scope.key.region < 0 and self.ground.unused(hook.scope.key) == "freed"
                for hooks in cohort.state.hooks
                for hook in hooks
            ) and any(rows[vma.row].backing == HUGETLB for _, _, vma in cohort.state.vmas.within(lo, hi))
            if shares and cohort.count > 1:
                yield self.part(cohort, cohort.count - 1)
            yield cohort

    # What may be accessed.

    def joined(self, vma: Vma) -> bool:
        """Tell whether a VMA shares one list of VMAs with others: a region's (mshare) or its file's (map-shared-pt)."""
        row, ground = self.ground.rows[vma.row], self.ground
        if not row.shared or not vma.allow or vma.softdirty or vma.uffd or vma.outside or vma.protection == NO_ACCESS:
            return False
        if isinstance(ground.policy, Mshare):
            return True
        common = isinstance(ground.policy, MapSharedPt) and ground.policy.choice("mprotect", ground.context) == "all"
        return common and self.shares_file(vma)

    def accessible(self, life: Life, lo: int, hi: int) -> Iterator[tuple[int, int, Vma, int]]:
        """Yield the parts from lo to hi (as mapped) that may be accessed, with their VMA and protection."""
        ground = self.ground
        for start, whole, vma in life.vmas.within(lo, hi):
            row = ground.rows[vma.row]
            end = min(whole, ground.end_of(row))
            region = ground.regions.get(row.segment)
            parts = [(start, end, vma.protection)]
            if region is not None and self.joined(vma):
                shift = ground.position(row, start) - start
                parts, reach = [], start
                for low, high, protection in region.within(start + shift, end + shift):
                    parts += [(reach, low - shift, vma.protection), (low - shift, high - shift, protection)]
                    reach = high - shift
                parts.append((reach, end, vma.protection))
            for first, last, protection in parts:
                if first < last and protection not in (NO_ACCESS, UNMAPPED):
                    yield first, last, vma, protection

    def pieces(self, life: Life, runs: Iterable[tuple[int, Run]], write: str | None = None) -> list[Piece]:
        """Return what a process may touch of some runs; ``write`` "write": only where it may write."""
        pieces = []
        for row, run in runs:
            known = self.ground.rows[row]
            for lo, hi, vma, protection in self.accessible(life, max(run.lo, known.start), min(run.hi, known.end)):
                writable = "w" in PROTECTIONS[protection]
                if write != "write" or writable:
                    pieces.append(Piece(lo, hi, vma, (run,), written=writable and write != "read"))
        return pieces

    def access(self, life: Life, runs: Iterable[tuple[int, Run]], count: int, *, write: str | None = None) -> Life:
        """Let a process touch runs as far as it may."""
        return self.reach(life, self.pieces(life, runs, write), count)

    def reach(self, life: Life, pieces: list[Piece], count: int) -> Life:
        """Let a process touch the runs of some pieces."""
        self.pagecache.decide(pieces)
        after = touch(self.ground, life, pieces, self._others(life), count, partial(found, self))
        walking.put(self, after, pieces)
        return after

    def touched(
        self, life: Life, mapping: int, runs: list[tuple[int, Run]], count: int, *, write: str | None = None
    ) -> Life:
        """Let a process touch more of a mapping, or its guest, if that is the guest's memory."""
        after = self.access(life, runs, count, write=write)
        written = list(self.ground.context.workload.processes.values())[life.group].mappings[mapping]
        return after if written.second_level == "none" else after_touch(after, tuple(runs))

    def newborn(self, group: int, *, written: bool, count: int) -> Life:
        """Return a process as it begins: it maps what the file says and touches it, or nothing but what it locks."""
        known = self._fresh.get((group, written))
        if known is not None and known[0] == self.ground.epoch:
            return known[1]
        vmas = self.written.vmas(group)
        nothing: tuple[tuple[Hook, ...], ...] = ((),) * len(self.ground.levels)
        guest = self.written.guest(group)
        life = Life(group, vmas, Intervals(), nothing, nothing, guest=guest if guest is None or written else ())
        # What the top of the mappings alone needs, and then what is touched.
        life = touch(self.ground, life, [Piece(lo, hi, vma) for lo, hi, vma in vmas], (), count)
        touched = self.written.runs(group) if written else self.written.locked_runs(group)
        self.pagecache.decide(self.pieces(life, touched))
        for reads in (True, False):
            runs = [(row, run) for row, run in touched if self.ground.rows[row].write != reads]
            life = self.access(life, runs, count, write="read" if reads else None)
        if not any(vma.rank or self.ground.rows[vma.row].thp == THP.index("advise") for _, _, vma in vmas):
            self._fresh[group, written] = self.ground.epoch, life
        return life

    def again(self, life: Life, count: int) -> Life:
        """Let a process touch again what it uses and may still access: what has lost its tables gets others."""
        leaves = leaves_of(self.ground, life)
        pieces: list[Piece] = []
        for lo, hi, _ in life.vmas:
            for first, last, vma, protection in self.accessible(life, lo, hi):
                for c, d, leaf in leaves.within(first, last):
                    for a, b, runs in () if leaf else life.used.within(c, d):
                        pieces += self._as_used(a, b, vma, runs, writable="w" in PROTECTIONS[protection])
        return self.reach(life, pieces, count)

    def _as_used(self, lo: int, hi: int, vma: Vma, runs: tuple[Run, ...], *, writable: bool) -> Iterator[Piece]:
        """Yield what is touched again: what is private is written where the process has pages of its own, else read."""
        if self.ground.rows[vma.row].shared:
            yield Piece(lo, hi, vma, runs)
            return
        for own in (False, True):
            mine = tuple(run for run in runs if (run.owner != NOBODY) == own)
            if mine:
                yield Piece(lo, hi, vma, mine, written=own and writable)

    def _others(self, life: Life) -> list[tuple[list[Piece], int]]:
        """Return what others have touched whose advice makes huge pages that this process would find."""
        ground = self.ground
        advise = THP.index("advise")
        mine = {
            ground.rows[vma.row].file
            for _, _, vma in life.vmas
            if ground.rows[vma.row].thp == advise and vma.madvise != MADVISE.index("hugepage")
        }
        if not mine:
            return []
        found = []
        for cohort in self.population:
            if cohort.state is life:
                continue
            pieces = [
                Piece(a, b, vma, runs)
                for lo, hi, vma in cohort.state.vmas
                if ground.rows[vma.row].file in mine and vma.madvise == MADVISE.index("hugepage")
                for a, b, runs in cohort.state.used.within(lo, hi)
            ]
            if pieces:
                found.append((pieces, cohort.count))
        return found

    # Of the whole machine.

    def note(self, text: str) -> None:
        """Say what an event meant here, once."""
        if text not in self.notes:
            self.notes.append(text)

    def walked(self, tables: int, entries: int) -> None:
        """Count what an event had to visit."""
        self.walked_tables += tables
        self.walked_entries += entries

    def visited(self, life: Life, count: int, lo: int = 0, hi: int = 1 << 62) -> tuple[int, int]:
        """Return the leaf tables and entries that so many processes' page tables have from lo to hi (as mapped)."""
        tables, entries = walking.own_walk(self.ground, life, lo, hi)
        return tables * count, entries * count

    def visited_once(self, segment: str, lo: int, hi: int) -> tuple[int, int]:
        """Return the distinct leaf tables and entries that map a part of a segment (offsets as written)."""
        number = list(self.ground.context.workload.segments).index(segment)
        walk = walking.walk(self, number, lo, hi)
        return walk.tables, walk.entries

    def clear(self, segment: int, lo: int, hi: int) -> None:
        """Clear the entries that shared tables have of a segment (positions as mapped)."""
        entries = self.ground.entries
        for file, start, end in self.ground.files_of(segment):
            first, last = max(lo, start), min(hi, end)
            for key in entries.sets if first < last else ():
                if key.region == segment or (key.region < 0 and key.file == file):
                    by = 0 if key.region >= 0 else key.name[-1] - start
                    entries.cut(key, first + by, last + by)
        self.ground.epoch += 1

    def end_event(self) -> None:
        """Clear the entries of the shared tables that have been freed."""
        entries = self.ground.entries
        for key in self.tables.shrunk & entries.sets:
            before = entries.changes
            entries.keep(key, self.tables.there(key), self.ground.span(key.place))
            self.ground.epoch += entries.changes != before
        self.tables.shrunk.clear()

    def settle(self) -> None:
        """Let go what lives only as long as somebody maps it."""
        forget_unused(self)

    def shares_file(self, vma: Vma) -> bool:
        """Tell whether a VMA uses the tables of its file's mm (map-shared-pt)."""
        row = self.ground.rows[vma.row]
        known = (self.ground.context.settled or {}).get(row.file)
        at = row.start + vma.moved - row.file_offset
        mine = row.shared and vma.allow and not (vma.softdirty or vma.uffd or vma.outside)
        return mine and known == (at, vma.protection)

    def segments_of(self, life: Life) -> set[int]:
        """Return the segments that a process maps."""
        known = life.figures.get("segments")
        if known is None:
            rows = self.ground.rows
            known = life.figures["segments"] = {rows[vma.row].segment for _, _, vma in life.vmas}
        return known  # type: ignore[return-value]

    def figures(self, life: Life) -> Figures:
        """Return what one process in a state shows and takes, with what it alone has of shared sets."""
        figures = figures_of(self.ground, life)
        if not self.ground.policy.adopts(self.ground.context):
            return figures
        alone = [self.tables.alone(life, place) for place in range(len(self.ground.levels))]
        return with_alone(self.ground, figures, alone)

    def members_of(self, segment: int) -> int:
        """Return how many processes are members of a segment's region."""
        rows = self.ground.rows
        return sum(
            cohort.count
            for cohort in self.population
            if any(rows[vma.row].segment == segment and self.joined(vma) for _, _, vma in cohort.state.vmas)
        )

    def regions_joined(self) -> set[int]:
        """Return the segments whose regions have members."""
        if not isinstance(self.ground.policy, Mshare):
            return set()
        return {segment for segment in range(len(self.ground.plan.segments)) if self.members_of(segment)}

    def forget_left(self, key: Key, lo: int = -_FAR, hi: int = _FAR) -> None:
        """Free the tables of a set that nobody uses, from lo to hi of its axis."""
        self.tables.cut(key, lo, hi)
        known: dict[int, Life] = {}
        for cohort in self.population:
            life = cohort.state
            if any(each.key == key for each in life.left):
                if id(life) not in known:
                    known[id(life)] = replace(life, left=_left_without(life.left, key, lo, hi), figures={})
                    self.tables.rename(life, known[id(life)])
                cohort.state = known[id(life)]


def changed(world: World, life: Life, vmas: Intervals[Vma]) -> Life:
    """Return a process with other VMAs: shared tables unhooked where they must be, and huge pages split."""
    return split(world.ground, life, unhooked(world.ground, life, vmas, world.tables))


def _left_without(left: tuple[Left, ...], key: Key, lo: int, hi: int) -> tuple[Left, ...]:
    """Return what a process has left of sets, less the tables lo <= index < hi of one."""
    out = []
    for each in left:
        if each.key != key or each.hi <= lo or each.lo >= hi:
            out.append(each)
            continue
        if each.lo < lo:
            out.append(each._replace(hi=lo))
        if each.hi > hi:
            out.append(each._replace(lo=hi))
    return tuple(out)
