"""Shared tables: which sets there are, who hooks them, and what is left of those that nobody hooks any more."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from ptcalc.engine.covers import BLOCKS
from ptcalc.timeline.ground import Ground
from ptcalc.timeline.life import EACH, Key, Life
from ptcalc.timeline.tables import NO_TABLES, Count, Reach, count
from ptcalc.workload.intervals import Intervals


class SetTables(NamedTuple):
    """Tables of one set: all that exist, and those of them that some process uses."""

    there: Count
    in_use: Count


class SharedTables:
    """All sets of shared tables.

    ``hooked``: how many processes reach what in each; ``idle``: how many have reached it, and do so no longer (in a
    set whose unused tables stay).
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.hooked: dict[Key, dict[Reach, int]] = {}
        self.idle: dict[Key, dict[Reach, int]] = {}
        self._counted: dict[Key, SetTables] = {}
        self._lives: dict[Key, dict[int, tuple[Life, int]]] = {}  # who hooks tables of a set, by identity

    def change(self, life: Life, times: int) -> None:
        """Let so many processes more (or fewer) be in a state."""
        for key, reach in hooked(life):
            self._add(self.hooked, key, reach, times)
        for key, reach in left(life):
            self._add(self.idle, key, reach, times)
        for key in {key for key, _ in hooked(life)}:
            lives = self._lives.setdefault(key, {})
            now = lives.pop(id(life), (life, 0))[1] + times
            if now:
                lives[id(life)] = life, now

    def abandon(self, life: Life, times: int) -> None:
        """Keep what processes that end leave in sets whose unused tables stay."""
        for key, reach in (*hooked(life), *left(life)):
            if self._ground.unused(key) != "freed":
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

    def cut(self, key: Key, lo: int, hi: int) -> None:
        """Take tables lo <= index < hi of a set away from what is left of it."""
        reaches = self.idle.pop(key, {})
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
