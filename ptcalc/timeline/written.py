"""What the file says of groups, in terms of the layout: VMAs, touched runs, parts of mappings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from ptcalc.layout.rows import Runs
from ptcalc.layout.touch import runs as runs_of_touch
from ptcalc.timeline.ground import HUGETLB, Ground, Row
from ptcalc.timeline.life import Touched, Vma
from ptcalc.timeline.parts import mapped_length
from ptcalc.timeline.runs import Run
from ptcalc.timeline.vmas import settled
from ptcalc.workload.events import Part
from ptcalc.workload.intervals import Intervals
from ptcalc.workload.model import Touch


@dataclass
class Written:
    """The groups of a workload as written; ``domains``: how many draws there have been."""

    ground: Ground
    domains: int

    @classmethod
    def on(cls, ground: Ground) -> Written:
        """Return what is written, before any event has drawn."""
        return cls(ground, int(ground.layout.runs.domain.max(initial=-1)) + 1)

    def next_domain(self) -> int:
        """Return the number of a new draw."""
        self.domains += 1
        return self.domains - 1

    def group_number(self, name: str) -> int:
        """Return the place of a group in the file."""
        return list(self.ground.context.workload.processes).index(name)

    def vmas(self, group: int) -> Intervals[Vma]:
        """Return the VMAs with which a process of a group begins."""
        parts = [
            (row.start, row.end, row.vma()._replace(row=number, rank=(1, number) if row.backing == HUGETLB else ()))
            for number, row in enumerate(self.ground.rows)
            if row.group == group
        ]
        return settled(self.ground, Intervals(tuple(sorted(parts))))

    def runs(self, group: int) -> list[tuple[int, Run]]:
        """Return what a process of a group touches at its beginning, with the rows."""
        return self._in_group(self.ground.layout.runs, group)

    def _in_group(self, runs: Runs, group: int) -> list[tuple[int, Run]]:
        out = []
        columns = (runs.kind, runs.lo, runs.hi, runs.step, runs.origin, runs.slots, runs.drawn, ~runs.same, runs.domain)
        for row, *each in zip(runs.row.tolist(), *(column.tolist() for column in columns), strict=True):
            if self.ground.rows[row].group == group:
                out.append((row, Run(*each)))
        return out

    def guest(self, group: int) -> Touched | None:
        """Return what the guest of a process of a group has touched at its beginning; None if it has no guest."""
        return self._guests.get(group)

    @cached_property
    def _guests(self) -> dict[int, Touched]:
        groups = {place.group for place in self.ground.layout.places if place.guest is not None}
        return {group: tuple(self._in_group(self.ground.layout.guest_runs, group)) for group in groups}

    def locked_runs(self, group: int) -> list[tuple[int, Run]]:
        """Return those that locking touches, whatever the process does."""
        rows, places = self.ground.rows, self.ground.layout.places
        return [(row, run) for row, run in self.runs(group) if places[rows[row].mapping].mapping.locked == "yes"]

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
                number = self.next_domain() if domain is None else domain
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
        places = enumerate(self.ground.layout.places)
        wanted = next(number for number, place in places if (place.group, place.index) == (group, mapping))
        return [number for number, row in enumerate(self.ground.rows) if row.mapping == wanted]

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
