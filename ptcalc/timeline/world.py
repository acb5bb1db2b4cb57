"""Everything that is there under one policy: processes with their tables, and the sets of shared tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

from ptcalc.engine.covers import EXACT
from ptcalc.layout.rows import MADVISE, PROTECTIONS, THP
from ptcalc.layout.touch import runs as runs_of_touch
from ptcalc.policies.base import Context, Policy
from ptcalc.policies.map_shared_pt import MapSharedPt
from ptcalc.policies.mshare import Mshare
from ptcalc.timeline import walking
from ptcalc.timeline.changes import NO_ACCESS, reads_huge, touch, unhooked
from ptcalc.timeline.ground import HUGETLB, Ground, Piece, Row, hooks_of
from ptcalc.timeline.leaves import leaves_of
from ptcalc.timeline.life import Hook, Key, Left, Life, Vma
from ptcalc.timeline.parts import mapped_length
from ptcalc.timeline.regions import UNMAPPED, forget_unused
from ptcalc.timeline.runs import Run
from ptcalc.timeline.sets import SharedTables
from ptcalc.workload.events import Grow, Part
from ptcalc.workload.intervals import Intervals
from ptcalc.workload.model import Touch
from ptcalc.workload.population import WRITTEN, Cohort, Population

_FAR = 1 << 62


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
    population: Population[Life]
    tables: SharedTables
    absent: dict[int, Intervals[bool]] = field(default_factory=dict)  # pages of each segment that were punched out
    cached: dict[int, dict[Run, int]] = field(
        default_factory=dict
    )  # touched pages of segments that hold what is touched
    growing: dict[int, Growing] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    walked_tables: int = 0
    walked_entries: int = 0
    _fresh: dict[tuple[int, bool], tuple[int, Life]] = field(default_factory=dict)
    _domains: int = 0

    @classmethod
    def at_the_beginning(cls, policy: Policy, context: Context) -> World:
        """Return the state that the workload as written describes.  Raises what laying it out raises."""
        plan, _ = policy.plan(context)
        layout = context.lay_out(plan)
        if isinstance(policy, MapSharedPt):
            context.settled = {}
        view = policy.view(layout, context)
        rule = policy.sharing(view, context)
        columns = [getattr(layout.rows, name).tolist() for name in Row.__dataclass_fields__]
        rows = tuple(Row(*each) for each in zip(*columns, strict=True))
        ground = Ground(policy, context, plan, layout, view, rule, rows)
        world = cls(ground, Population(), SharedTables(ground))
        world._domains = int(layout.runs.domain.max(initial=-1)) + 1
        counts = [int(count) for count in context.counts]
        present = [number for number, count in enumerate(counts) if count]
        found = hooks_of(ground, view, rule, range(len(counts)))
        fixed = [view.reached(place, rule)[0].fixed for place in range(len(ground.levels))]
        grown = view.grown_vmpte()
        names = list(context.workload.processes)
        for row, run in [each for group in present for each in world.runs_as_written(group)]:
            ground.hold(row, run)
        for group in present:
            used: Intervals[tuple[Run, ...]] = Intervals()
            vmas = world.vmas_as_written(group)
            for row, run in world.runs_as_written(group):
                used = used.changed(run.lo, run.hi, lambda old, run=run: (*old, run), fill=(run,))  # type: ignore[misc]
                piece = Piece(run.lo, run.hi, rows[row].vma()._replace(row=row), (run,))
                if not rows[row].shared and (rows[row].write or reads_huge(ground, vmas, piece)):
                    vmas = vmas.changed(rows[row].start, rows[row].end, lambda vma: vma._replace(copied=True))
            hooks = tuple(
                tuple(hook._replace(times=counts[hook.times]) if hook.role == 1 else hook for hook in own)
                for own, _ in found[group]
            )
            inside = tuple(tuple(region) for _, region in found[group])
            life = Life(
                group, vmas, used, hooks, inside,
                fixed=tuple(0 if each is None else int(each[group]) for each in fixed), grown=int(grown[group]),
            )  # fmt: skip
            world.arrive(names[group], counts[group], "", world.population.history(WRITTEN), life)
        return world

    # Processes.

    def arrive(self, group: str, count: int, label: str, history: int, life: Life) -> None:
        """Add processes."""
        self.population.add(group, count, label, history, life)
        self.tables.change(life, count)
        self.cache(life, count)

    def become(self, cohort: Cohort[Life], life: Life) -> None:
        """Give processes another state."""
        if life is cohort.state:
            return
        self.tables.change(cohort.state, -cohort.count)
        self.tables.change(life, cohort.count)
        self.cache(life, cohort.count, cohort.state)
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

    def one_by_one(self, cohorts: Iterable[Cohort[Life]], lo: int, hi: int) -> Iterator[Cohort[Life]]:
        """Yield cohorts; the last process of one that shares hugetlb tables from lo to hi (as mapped) stands alone.

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
                last = self.population.split(cohort, 1)
                yield cohort
                yield last
            else:
                yield cohort

    def group_number(self, name: str) -> int:
        """Return the place of a group in the file."""
        return list(self.ground.context.workload.processes).index(name)

    # What groups map and touch.

    def vmas_as_written(self, group: int) -> Intervals[Vma]:
        """Return the VMAs with which a process of a group begins."""
        parts = [
            (row.start, row.end, row.vma()._replace(row=number))
            for number, row in enumerate(self.ground.rows)
            if row.group == group
        ]
        return Intervals(tuple(sorted(parts)))

    def runs_as_written(self, group: int) -> list[tuple[int, Run]]:
        """Return what a process of a group touches at its beginning, with the rows."""
        runs = self.ground.layout.runs
        out = []
        columns = (runs.kind, runs.lo, runs.hi, runs.step, runs.origin, runs.slots, runs.drawn, ~runs.same, runs.domain)
        for row, *each in zip(runs.row.tolist(), *(column.tolist() for column in columns), strict=True):
            if self.ground.rows[row].group == group:
                out.append((row, Run(*each)))
        return out

    def runs_of(
        self, group: int, mapping: int, touches: Iterable[Touch], domain: int | None = None
    ) -> list[tuple[int, Run]]:
        """Return what some forms of touch mean for a mapping, with the rows; each is a draw of its own."""
        workload = self.ground.context.workload
        written = list(workload.processes.values())[group].mappings[mapping]
        length = mapped_length(written, self.ground.plan.segments[written.segment])
        out = []
        for each in touches:
            for run in runs_of_touch(each, written.offset, length, self.ground.context.geometry.base_page):
                number = self._domains if domain is None else domain
                if domain is None:
                    self._domains += 1
                for row in self.rows_of(group, mapping):
                    known = self.ground.rows[row]
                    whole = Run(
                        run.kind, run.lo, run.hi, run.step, run.origin, run.slots, run.drawn, not run.same, number
                    )
                    part = whole.cut(known.seg_lo, known.seg_hi)
                    if part is not None:
                        out.append((row, part.moved(known.delta)))
        return out

    def rows_of(self, group: int, mapping: int) -> list[int]:
        """Return the rows of a mapping, by its place in the group's list."""
        wanted = self._mapping_number(group, mapping)
        return [number for number, row in enumerate(self.ground.rows) if row.mapping == wanted]

    def _mapping_number(self, group: int, mapping: int) -> int:
        return next(
            number
            for number, place in enumerate(self.ground.layout.places)
            if place.group == group and place.index == mapping
        )

    def window(self, group: int, part: Part) -> tuple[int, int]:
        """Return a part of a mapping as addresses at which the file maps it, widened to pages of this policy."""
        workload = self.ground.context.workload
        offset = list(workload.processes.values())[group].mappings[part.mapping].offset
        rows = [self.ground.rows[number] for number in self.rows_of(group, part.mapping)]
        lo_at, hi_at = offset + part.start, offset + part.start + part.length

        def address(at: int) -> tuple[int, Row]:
            row = next((row for row in rows if row.seg_lo <= at < row.seg_hi), rows[-1])
            return at + row.delta, row

        lo, first = address(lo_at)
        hi, last = address(hi_at - 1)
        lo -= (lo - first.start) % first.page
        hi = min(last.start - (last.start - hi - 1) // last.page * last.page, last.end)
        return max(lo, first.start), hi

    # What may be accessed.

    def joined(self, vma: Vma) -> bool:
        """Tell whether a VMA shares one list of VMAs with others: a region's (mshare) or its file's (map-shared-pt)."""
        row, ground = self.ground.rows[vma.row], self.ground
        if not row.shared or not vma.allow or vma.softdirty or vma.uffd or vma.outside or vma.protection == NO_ACCESS:
            return False
        if isinstance(ground.policy, Mshare):
            return True
        known = (ground.context.settled or {}).get(row.file)
        at = row.start + vma.moved - row.file_offset
        all_ = (
            ground.policy.choice("mprotect", ground.context) == "all"
            if isinstance(ground.policy, MapSharedPt)
            else False
        )
        return all_ and known == (at, vma.protection)

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

    def access(self, life: Life, runs: Iterable[tuple[int, Run]], count: int, *, write: str | None = None) -> Life:
        """Let a process touch runs as far as it may; ``write`` "write": only where it may write."""
        pieces = []
        for row, run in runs:
            known = self.ground.rows[row]
            for lo, hi, vma, protection in self.accessible(life, max(run.lo, known.start), min(run.hi, known.end)):
                writable = "w" in PROTECTIONS[protection]
                if write != "write" or writable:
                    pieces.append(Piece(lo, hi, vma, (run,), written=writable and write != "read"))
        return touch(self.ground, life, pieces, self._others(life), count)

    def newborn(self, group: int, *, written: bool, count: int) -> Life:
        """Return a process as it begins: it maps what the file says and touches it, or nothing."""
        known = self._fresh.get((group, written))
        if known is not None and known[0] == self.ground.epoch:
            return known[1]
        vmas = self.vmas_as_written(group)
        nothing: tuple[tuple[Hook, ...], ...] = ((),) * len(self.ground.levels)
        life = Life(group, vmas, Intervals(), nothing, nothing)
        # What the top of the mappings alone needs, and then what is touched.
        life = touch(self.ground, life, [Piece(lo, hi, vma) for lo, hi, vma in vmas], (), count)
        if written:
            for reads in (True, False):
                runs = [(row, run) for row, run in self.runs_as_written(group) if self.ground.rows[row].write != reads]
                life = self.access(life, runs, count, write="read" if reads else None)
        if not any(self.ground.rows[vma.row].thp == THP.index("advise") for _, _, vma in vmas):
            self._fresh[group, written] = self.ground.epoch, life
        return life

    def again(self, life: Life, count: int) -> Life:
        """Let a process touch again what it uses and may still access: what has lost its tables gets others."""
        leaves = leaves_of(self.ground, life)
        pieces = [
            Piece(a, b, vma, runs)
            for lo, hi, _ in life.vmas
            for first, last, vma, _ in self.accessible(life, lo, hi)
            for c, d, bare in leaves.within(first, last)
            if not bare
            for a, b, runs in life.used.within(c, d)
        ]
        return touch(self.ground, life, pieces, self._others(life), count)

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

    def next_domain(self) -> int:
        """Return the number of a new draw."""
        self._domains += 1
        return self._domains - 1

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

    def settle(self) -> None:
        """Let go what lives only as long as somebody maps it."""
        forget_unused(self)

    def shares_file(self, vma: Vma) -> bool:
        """Tell whether a VMA uses the tables of its file's mm (map-shared-pt)."""
        row = self.ground.rows[vma.row]
        known = (self.ground.context.settled or {}).get(row.file)
        at = row.start + vma.moved - row.file_offset
        return row.shared and vma.allow and not vma.softdirty and not vma.uffd and known == (at, vma.protection)

    def segments_of(self, life: Life) -> set[int]:
        """Return the segments that a process maps."""
        known = life.figures.get("segments")
        if known is None:
            rows = self.ground.rows
            known = life.figures["segments"] = {rows[vma.row].segment for _, _, vma in life.vmas}
        return known  # type: ignore[return-value]

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

    def file_numbers(self, segment: int) -> set[int]:
        """Return the numbers of a segment's files."""
        return {file for file, _, _, _ in self.files_of(segment)}

    def axis_window(self, key: Key, segment: int, lo: int, hi: int, span: int) -> tuple[int, int]:
        """Return the tables of a set that hold a part of its segment (positions), by index on the axis of the set."""
        if key.region >= 0:
            return lo // span, -(-hi // span)
        at = int(self.ground.layout.file_position[key.file])
        phase = key.name[-1]
        low, high = lo - at + phase, hi - at + phase
        return low // span, -(-high // span)

    def region_size(self, segment: int) -> int:
        """Return the bytes of a segment, each piece in whole pages."""
        return max(end for _, _, end, _ in self.files_of(segment))

    def files_of(self, segment: int) -> list[tuple[int, int, int, int]]:
        """Return the files of a segment: (number, start, end, start), positions as mapped."""
        layout = self.ground.layout
        # Files are numbered through all segments, the first of each at position 0.
        firsts = [file for file, position in enumerate(layout.file_position.tolist()) if position == 0]
        before, after = (*firsts, len(layout.file_position))[segment : segment + 2]
        return [
            (file, at := int(layout.file_position[file]), at + int(layout.file_size[file]), at)
            for file in range(before, after)
        ]

    def forget_left(self, key: Key, lo: int = -_FAR, hi: int = _FAR) -> None:
        """Free the tables of a set that nobody uses, from lo to hi of its axis."""
        self.tables.cut(key, lo, hi)
        known: dict[int, Life] = {}
        for cohort in self.population:
            life = cohort.state
            if any(each.key == key for each in life.left):
                new = known.get(id(life)) or replace(life, left=_left_without(life.left, key, lo, hi), figures={})
                known[id(life)] = cohort.state = new

    # What is in the page cache because it was touched.

    def cache(self, life: Life, count: int, before: Life | None = None) -> None:
        """Remember what processes touch of segments that hold what is touched, and fill holes that were punched."""
        rows, context = self.ground.rows, self.ground.context
        watched = self._watched | set(self.absent)
        if not watched:
            return
        known = {run.domain for _, _, runs in before.used for run in runs} if before is not None else set()
        for lo, hi, vma in life.vmas:
            row = rows[vma.row]
            if row.segment not in watched or not row.shared:
                continue
            shift = self.ground.position(row, lo) - lo
            for a, b, runs in life.used.within(lo, hi):
                for run in runs:
                    if run.domain in known and before is not None and before.used == life.used:
                        continue
                    part = run.cut(a, b)
                    if part is None:
                        continue
                    if part.kind == EXACT and row.segment in self.absent:
                        end = self.ground.ends.get(row.segment, 1 << 62)
                        low, high = part.lo + shift, min(part.hi + shift, end)
                        self.absent[row.segment] = self.absent[row.segment].set(low, high, None)
                    if row.segment in self._watched:
                        cached = self.cached.setdefault(row.segment, {})
                        at = part.moved(shift)
                        cached[at] = cached.get(at, 0) + (0 if run.domain in known and at in cached else count)
        del context

    def uncache(self, segment: int, lo: int, hi: int) -> None:
        """Let pages of a segment leave the page cache (positions as mapped)."""
        cached = self.cached.get(segment, {})
        left: dict[Run, int] = {}
        for run, count in cached.items():
            for part in (run.cut(-(1 << 62), lo), run.cut(hi, 1 << 62)):
                if part is not None:
                    left[part] = left.get(part, 0) + count
        self.cached[segment] = left

    @cached_property
    def _watched(self) -> set[int]:
        """Segments of which what is touched is in memory."""
        found = set()
        for number, (name, segment) in enumerate(self.ground.context.workload.segments.items()):
            backing = self.ground.plan.segments[name].backing
            word = segment.resident or ("touched" if backing in ("file", "private") else "all")
            if word == "touched" and backing not in ("file", "private"):
                found.add(number)
        return found


def changed(world: World, life: Life, vmas: Intervals[Vma], count: int, *, refault: bool) -> Life:
    """Return a process with other VMAs: shared tables unhooked where they must be, all that is in use touched again."""
    after = unhooked(world.ground, life, vmas, world.tables)
    return world.again(after, count) if refault else after


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
