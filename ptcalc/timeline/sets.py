"""Shared tables: which sets there are, who hooks them, and what is left of those that nobody hooks any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from ptcalc.engine.covers import BLOCKS, EXACT, RANDOM, TOUCHES
from ptcalc.timeline.ground import Ground
from ptcalc.timeline.life import EACH, Key, Life
from ptcalc.timeline.runs import Run, cells_of
from ptcalc.timeline.tables import NO_TABLES, Count, Reach, alone, count
from ptcalc.workload.intervals import Intervals


class SetTables(NamedTuple):
    """Tables of one set: all that exist, and those of them that some process uses.

    ``alone``: tables that one process of a state (by identity) has alone where that makes them its own; they are not
    among the others.
    """

    there: Count
    in_use: Count
    alone: Mapping[int, Count] = MappingProxyType({})


class SharedTables:
    """All sets of shared tables.

    ``hooked``: how many processes reach what in each; ``idle``: how many have reached it, and do so no longer (in a
    set whose unused tables stay).  ``adopted``: tables that two processes certainly had at one time, by index.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.hooked: dict[Key, dict[Reach, int]] = {}
        self.idle: dict[Key, dict[Reach, int]] = {}
        self.adopted: dict[Key, Intervals[bool]] = {}
        self.phases: set[int] = set()  # of all sets that there have been, against their files
        self.shrunk: set[Key] = set()  # those of which tables may have been freed
        self._counted: dict[Key, SetTables] = {}
        self._lives: dict[Key, dict[int, tuple[Life, int]]] = {}  # who hooks tables of a set, by identity

    def change(self, life: Life, times: int) -> None:
        """Let so many processes more (or fewer) be in a state."""
        for key, reach in hooked(life):
            self._add(self.hooked, key, reach, times)
        for key, reach in left(life):
            self._add(self.idle, key, reach, times)
        for key in {key for key, _ in hooked(life)}:
            self.phases.update(key.name[-1:])
            lives = self._lives.setdefault(key, {})
            now = lives.pop(id(life), (life, 0))[1] + times
            if now:
                lives[id(life)] = life, now
            if times > 0 and self._ground.adopts(key):
                self._adopt(key)

    def rename(self, life: Life, new: Life) -> None:
        """Let a state that hooks the same stand for another."""
        for key in {key for key, _ in hooked(life)}:
            lives = self._lives.get(key, {})
            if id(life) in lives:
                lives[id(new)] = new, lives.pop(id(life))[1]
                self._counted.pop(key, None)

    def _adopt(self, key: Key) -> None:
        """Remember which tables of a set have two users."""
        edges: dict[int, int] = {}
        for first, last, times in self._windows(key, certain=True):
            edges[first] = edges.get(first, 0) + times
            edges[last] = edges.get(last, 0) - times
        many, known = 0, self.adopted.get(key, Intervals())
        for at, after in pairwise(sorted(edges)):
            many += edges[at]
            if many > 1:
                known = known.set(at, after, True)
        self.adopted[key] = known

    def settle(self) -> None:
        """Forget of which tables two processes were users once they are gone."""
        for key, before in list(self.adopted.items()):
            left: Intervals[bool] = Intervals()
            for reach in (*self.hooked.get(key, ()), *self.idle.get(key, ())):
                for first, last in _cells(reach, self._ground.span(key.place)):
                    for lo, hi, _ in before.within(first, last):
                        left = left.set(lo, hi, True)
            self.adopted[key] = left
            self._counted.pop(key, None)

    def abandon(self, life: Life, times: int) -> None:
        """Keep what processes that end leave in sets whose unused tables stay."""
        for key, reach in hooked(life):
            for lo, hi in self.staying(key, reach.lo, reach.hi):
                self._add(self.idle, key, reach._replace(lo=lo, hi=hi), times)
        for key, reach in left(life):
            self._add(self.idle, key, reach, times)

    def leave(self, key: Key, reach: Reach, times: int) -> None:
        """Keep what processes leave that go on without it for good."""
        if self._ground.unused(key) != "freed":
            self._add(self.idle, key, reach, times)

    def _add(self, where: dict[Key, dict[Reach, int]], key: Key, reach: Reach, times: int) -> None:
        reaches = where.setdefault(key, {})
        # What others take away is no matter of how many there are of those who lose it.
        now = reaches.get(reach, 0) + times
        if now > 0:
            reaches[reach] = now
        else:
            reaches.pop(reach, None)
            self.shrunk.add(key)
            if not reaches:
                del where[key]
        self._counted.pop(key, None)

    @property
    def sets(self) -> list[Key]:
        """The sets that have tables."""
        return list(dict.fromkeys((*self.hooked, *self.idle)))

    def tables(self, key: Key) -> SetTables:
        """Return the tables of a set."""
        found = self._counted.get(key)
        if found is None:
            span = self._ground.span(key.place)
            now, before = self.hooked.get(key, {}), self.idle.get(key, {})
            in_use = count(_weighted(now), span, shared=True)
            there = in_use
            if before:
                both = dict(now)
                for reach, times in before.items():
                    both[reach] = both.get(reach, 0) + times
                there = count(_weighted(both), span, shared=True)
            if key.copy == EACH:
                in_use = there = self._of_each(key)
            if self._ground.adopts(key):
                alone = self._alone(key, span)
                in_use, there = _less(in_use, alone.present), _less(there, (*alone.present, *alone.past))
                found = self._counted[key] = SetTables(there, in_use, alone.of)
                return found
            if key.region >= 0:  # every member reaches every table of its region
                in_use = there
            found = self._counted[key] = SetTables(there, in_use)
        return found

    def _of_each(self, key: Key) -> Count:
        """Return the tables of a set of which each process has its own."""
        found, span = NO_TABLES, self._ground.span(key.place)
        for life, times in self._lives.get(key, {}).values():
            one = count({reach: 1 for each, reach in hooked(life) if each == key}, span, shared=False)
            found = found.plus(Count(one.tables * times, one.expected * times, one.exact))
        return found

    def _alone(self, key: Key, span: int) -> _Alone:
        """Return what one process has alone of a set: of those who are there, and of those who are not."""
        lives = list(self._lives.get(key, {}).values())
        owners: list[tuple[list[Reach], int]] = [
            ([reach for each, reach in hooked(life) if each == key], times) for life, times in lives
        ]
        owners += [([reach], times) for reach, times in self.idle.get(key, {}).items() if reach.role != BLOCKS]
        file = [_whole(lo, hi, span) for lo, hi, _ in self.adopted.get(key, ())]
        found = alone([*owners, (file, 1)], span)
        present = [(each, times) for each, (_, times) in zip(found, lives, strict=False)]
        past = [(each, times) for each, (_, times) in zip(found[len(lives) : -1], owners[len(lives) :], strict=True)]
        return _Alone({id(life): each for each, (life, _) in zip(found, lives, strict=False)}, present, past)

    def alone(self, life: Life, place: int) -> Count:
        """Return the tables of shared sets, at a level, that one process in a state has alone and as its own."""
        total = NO_TABLES
        for key in dict.fromkeys(key for key, _ in hooked(life)):
            if key.place == place and self._ground.adopts(key):
                total = total.plus(self.tables(key).alone.get(id(life), NO_TABLES))
        return total

    def present_alone(self, key: Key) -> list[tuple[Count, int]]:
        """Return what processes have alone of a set, with how many there are in each state."""
        known = self.tables(key).alone
        lives = self._lives.get(key, {}).values() if known else ()
        return [(known[id(life)], times) for life, times in lives]

    def lone(self, key: Key, lo: int, hi: int) -> list[tuple[int, int]]:
        """Return tables from lo to hi that one process alone has, and that no other has had."""
        own = Intervals.of(lo, hi, True)
        for first, last, many in self._shared_by(key, lo, hi):
            if many != 1:
                own = own.set(first, last, None)
        return self._never_shared(key, own)

    def vacant(self, key: Key, lo: int, hi: int) -> list[tuple[int, int]]:
        """Return the places from lo to hi in which a set has no table."""
        free = Intervals.of(lo, hi, True)
        for first, last, many in self._shared_by(key, lo, hi):
            if many:
                free = free.set(first, last, None)
        return self._never_shared(key, free)

    def _never_shared(self, key: Key, tables: Intervals[bool]) -> list[tuple[int, int]]:
        tables = tables.less(self.adopted.get(key, ()))
        for reach in self.idle.get(key, ()):
            for first, last in _cells(reach, self._ground.span(key.place)):
                tables = tables.set(first, last, None)
        return [(first, last) for first, last, _ in tables]

    def staying(self, key: Key, lo: int, hi: int) -> list[tuple[int, int]]:
        """Return tables from lo to hi that stay in their set although a process that has them lets go."""
        if self._ground.unused(key) == "freed":
            return []
        stays = Intervals.of(lo, hi, True)
        for first, last in self.lone(key, lo, hi) if self._ground.adopts(key) else ():
            stays = stays.set(first, last, None)
        return [(first, last) for first, last, _ in stays]

    def _windows(self, key: Key, *, certain: bool = False) -> Iterator[tuple[int, int, int]]:
        """Yield tables of a set with the number of processes of one state that have them, or may have them."""
        span = self._ground.span(key.place)
        for life, times in self._lives.get(key, {}).values():
            mine: Intervals[bool] = Intervals()
            for each, reach in hooked(life):
                if each == key and reach.role != BLOCKS:
                    for first, last in _cells(reach, span) if not certain or reach.run.kind != RANDOM else ():
                        mine = mine.set(first, last, True)
            for first, last, _ in mine:
                yield first, last, times

    def _shared_by(self, key: Key, lo: int, hi: int) -> Iterator[tuple[int, int, int]]:
        """Yield tables from lo to hi with the number of processes that have them or may have them."""
        edges = {lo: 0, hi: 0}
        for first, last, times in self._windows(key):
            first, last = max(first, lo), min(last, hi)
            if first < last:
                edges[first] = edges.get(first, 0) + times
                edges[last] = edges.get(last, 0) - times
        many = 0
        for at, after in pairwise(sorted(edges)):
            many += edges[at]
            yield at, after, many

    def users(self, key: Key, lo: int, hi: int) -> Iterator[tuple[int, int, int]]:
        """Yield tables from lo to hi with the number of those who may reach them: (from, to, users).

        A process that reaches a table at two addresses is two users.
        """
        edges = {lo: 0, hi: 0}
        for life, times in self._lives.get(key, {}).values():
            mine: dict[int, Intervals[bool]] = {}
            for each, reach in hooked(life):
                if each == key and reach.role != BLOCKS:
                    mine[reach.shift] = mine.get(reach.shift, Intervals()).set(reach.lo, reach.hi, True)
            for there in mine.values():
                for first, last, _ in there.within(lo, hi):
                    edges[first] = edges.get(first, 0) + times
                    edges[last] = edges.get(last, 0) - times
        places, many = sorted(edges), 0
        for at, after in pairwise(places):
            many += edges[at]
            yield at, after, many

    def there(self, key: Key) -> Intervals[bool]:
        """Return which tables of a set there are, by index; where a draw decides, those that there may be."""
        found: Intervals[bool] = Intervals()
        span = self._ground.span(key.place)
        for reach in (*self.hooked.get(key, ()), *self.idle.get(key, ())):
            if reach.role != BLOCKS:
                for lo, hi in cells_of(reach.run, span):
                    found = found.set(max(lo - reach.shift, reach.lo), min(hi - reach.shift, reach.hi), True)
        return found

    def cut(self, key: Key, lo: int, hi: int) -> None:
        """Take tables lo <= index < hi of a set away from what is left of it."""
        reaches = self.idle.pop(key, {})
        self.shrunk.add(key)
        self._counted.pop(key, None)
        for reach, times in reaches.items():
            for part in _outside(reach, lo, hi):
                self._add(self.idle, key, part, times)

    def unused_below(self, key: Key, index: int) -> float:
        """Return how many tables of a set that nobody uses lie below an index."""
        span = self._ground.span(key.place)

        def below(reaches: dict[Reach, int]) -> dict[Reach, int]:
            return {
                reach._replace(hi=min(reach.hi, index)): times for reach, times in reaches.items() if reach.lo < index
            }

        now, before = below(self.hooked.get(key, {})), below(self.idle.get(key, {}))
        both = dict(now)
        for reach, times in before.items():
            both[reach] = both.get(reach, 0) + times
        there, in_use = (count(_weighted(each), span, shared=True).value for each in (both, now))
        return there - in_use


class _Alone(NamedTuple):
    """What processes have alone: by state, and with how many there are of each."""

    of: dict[int, Count]
    present: list[tuple[Count, int]]
    past: list[tuple[Count, int]]


def _less(count: Count, parts: Iterable[tuple[Count, int]]) -> Count:
    """Return tables less those of so many processes each."""
    for each, times in parts:
        exact = count.exact and each.exact
        count = Count(count.tables - times * each.tables, count.expected - times * each.expected, exact)
    return count


def _whole(lo: int, hi: int, span: int) -> Reach:
    """Return all tables lo <= index < hi."""
    return Reach(Run(EXACT, lo * span, hi * span, 0, 0, 0, 0, True, 0), lo, hi, 0, TOUCHES)


def _cells(reach: Reach, span: int) -> Iterator[tuple[int, int]]:
    """Yield the tables that are reached, or may be; long strides as a whole."""
    for first, last in cells_of(reach.run, span):
        lo, hi = max(first - reach.shift, reach.lo), min(last - reach.shift, reach.hi)
        if lo < hi:
            yield lo, hi


def _weighted(reaches: dict[Reach, int]) -> dict[Reach, int]:
    """Return reaches with the number of those who reach; of what is taken away, that of those who take."""
    return {
        reach._replace(times=0): (reach.times if reach.role == BLOCKS else times) for reach, times in reaches.items()
    }


def _outside(reach: Reach, lo: int, hi: int) -> Iterator[Reach]:
    if reach.hi <= lo or reach.lo >= hi:
        yield reach
        return
    if reach.lo < lo:
        yield reach._replace(hi=lo)
    if reach.hi > hi:
        yield reach._replace(lo=hi)


def hooked(life: Life) -> list[tuple[Key, Reach]]:
    """Return what a process reaches of shared tables."""
    found = life.figures.get("hooked")
    if found is None:
        found = [
            (
                hook.scope.key,
                Reach(
                    hook.run,
                    hook.lo - hook.scope.shift,
                    hook.hi - hook.scope.shift,
                    hook.scope.shift,
                    hook.role,
                    hook.times,
                ),
            )
            for hooks in (*life.hooks, *life.inside)
            for hook in hooks
            if hook.scope is not None
        ]
        life.figures["hooked"] = found
    return found  # type: ignore[return-value]


def left(life: Life) -> list[tuple[Key, Reach]]:
    """Return what a process has reached, and reaches no longer."""
    return [(each.key, Reach(each.run, each.lo, each.hi, each.shift, each.role, each.times)) for each in life.left]
