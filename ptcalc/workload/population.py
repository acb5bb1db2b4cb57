"""Which processes there are: groups as cohorts, so many processes with one history and one state.

The state is whatever is followed over time (an immutable value, compared by ``==``); which cohorts an event falls on
depends on nothing but the events, so that all policies speak of the same processes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from ptcalc.workload.events import Chosen

S = TypeVar("S")

WRITTEN, UNTOUCHED = "written", "untouched"  # how processes begin


@dataclass(slots=True, eq=False)
class Cohort(Generic[S]):
    """``count`` processes of a group; ``history`` numbers what events have done to them, ``age`` orders cohorts."""

    group: str
    label: str
    history: int
    count: int
    age: int
    state: S


class Population(Generic[S]):
    """All processes.  Cohorts of a group are chosen in order: untouched by any event first, then the oldest."""

    def __init__(self) -> None:
        self._groups: dict[str, list[Cohort[S]]] = {}
        self._histories: dict[Hashable, int] = {}
        self._age = 0
        self._plain = {self.history(WRITTEN), self.history(UNTOUCHED)}

    def __iter__(self) -> Iterator[Cohort[S]]:
        for cohorts in self._groups.values():
            yield from cohorts

    def history(self, begin: Hashable) -> int:
        """Return the number of the history that begins so."""
        return self._histories.setdefault(begin, len(self._histories))

    def of(self, group: str, label: str = "") -> list[Cohort[S]]:
        """Return the cohorts of a group (with a label) in the order in which they are chosen."""
        return [cohort for cohort in self._groups.get(group, ()) if not label or cohort.label == label]

    def labels(self, group: str) -> tuple[str, ...]:
        """Return the labels that cohorts of a group have."""
        return tuple(dict.fromkeys(cohort.label for cohort in self._groups.get(group, ()) if cohort.label))

    def add(self, group: str, count: int, label: str, history: int, state: S) -> Cohort[S]:
        """Add processes: to a cohort of the same label, history and state if there is one."""
        cohorts = self._groups.setdefault(group, [])
        for cohort in cohorts:
            if cohort.label == label and cohort.history == history and cohort.state == state:
                cohort.count += count
                return cohort
        self._age += 1
        cohorts.append(Cohort(group, label, history, count, self._age, state))
        self._sort(group)
        return cohorts[-1] if cohorts[-1].age == self._age else next(each for each in cohorts if each.age == self._age)

    def available(self, who: Chosen) -> int:
        """Return how many processes the choice is made from."""
        return sum(cohort.count for cohort in self.of(who.group, who.label))

    def choose(self, who: Chosen, event: int) -> list[Cohort[S]]:
        """Return cohorts with the processes that an event is about: they leave those that it is not about.

        Raises ValueError where there are not so many.
        """
        chosen = list(self._parted(who, event))
        for age in {cohort.age for cohort in chosen}:
            # Cohorts of one age are one part of the group: if only some of it are chosen, these are the younger part.
            if any(cohort.age == age and cohort not in chosen for cohort in self._groups[who.group]):
                self._age += 1
                for cohort in chosen:
                    cohort.age = self._age if cohort.age == age else cohort.age
        for cohort in chosen:
            cohort.history = self.history((cohort.history, event))
            cohort.label = who.name or cohort.label
        self._sort(who.group)
        return chosen

    def _parted(self, who: Chosen, event: int) -> Iterator[Cohort[S]]:
        left = self.available(who) if who.count is None else who.count
        if left > self.available(who):
            raise ValueError(f"{left} of {self.available(who)} processes")
        for cohort in self.of(who.group, who.label):
            if not left:
                return
            taken = min(left, cohort.count)
            left -= taken
            if taken == cohort.count:
                yield cohort
                continue
            self._age += 1
            yield self.split(cohort, taken, self._age)

    def split(self, cohort: Cohort[S], count: int, age: int | None = None) -> Cohort[S]:
        """Return a cohort of so many of the processes of one, of its age, and chosen after it, or of another."""
        cohort.count -= count
        part = Cohort(cohort.group, cohort.label, cohort.history, count, age or cohort.age, cohort.state)
        cohorts = self._groups[cohort.group]
        cohorts.insert(cohorts.index(cohort) + 1, part)
        return part

    def remove(self, cohorts: list[Cohort[S]]) -> None:
        """Let processes end."""
        for cohort in cohorts:
            self._groups[cohort.group].remove(cohort)

    def _sort(self, group: str) -> None:
        self._groups[group].sort(
            key=lambda cohort: (cohort.history not in self._plain or bool(cohort.label), cohort.age)
        )
