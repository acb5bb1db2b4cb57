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
    """``count`` processes of a group; ``history`` numbers what events have done to them, ``age`` orders cohorts.

    ``numbers``: those of the processes, rising, in the order in which they came.
    """

    group: str
    label: str
    history: int
    count: int
    age: int
    state: S
    numbers: tuple[range, ...]


class Population(Generic[S]):
    """All processes.  Cohorts of a group are chosen in order: untouched by any event first, then the oldest."""

    def __init__(self) -> None:
        self._groups: dict[str, list[Cohort[S]]] = {}
        self._histories: dict[Hashable, int] = {}
        self._age = 0
        self._numbers = 1
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

    def turn(self, count: int = 1) -> int:
        """Return the first of so many numbers that nothing else has, higher than all before."""
        self._numbers += count
        return self._numbers - count

    def add(self, group: str, count: int, label: str, history: int, state: S) -> Cohort[S]:
        """Add processes: to a cohort of the same label, history and state if there is one."""
        cohorts = self._groups.setdefault(group, [])
        first = self.turn(count)
        numbers = range(first, first + count)
        for cohort in cohorts:
            if cohort.label == label and cohort.history == history and cohort.state == state:
                cohort.count += count
                cohort.numbers = _joined(cohort.numbers, (numbers,))
                return cohort
        self._age += 1
        cohorts.append(Cohort(group, label, history, count, self._age, state, (numbers,)))
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
        """Return a cohort of the first so many processes of one, of its age, and chosen before it, or of another."""
        cohort.count -= count
        taken, cohort.numbers = _parted(cohort.numbers, count)
        part = Cohort(cohort.group, cohort.label, cohort.history, count, age or cohort.age, cohort.state, taken)
        cohorts = self._groups[cohort.group]
        cohorts.insert(cohorts.index(cohort), part)
        return part

    def join(self, first: Cohort[S], second: Cohort[S]) -> None:
        """Let two cohorts that nothing tells apart, and that follow one another, be one: the first."""
        first.count += second.count
        first.numbers = _joined(first.numbers, second.numbers)
        self.remove([second])

    def remove(self, cohorts: list[Cohort[S]]) -> None:
        """Let processes end."""
        for cohort in cohorts:
            self._groups[cohort.group].remove(cohort)

    def _sort(self, group: str) -> None:
        self._groups[group].sort(
            key=lambda cohort: (cohort.history not in self._plain or bool(cohort.label), cohort.age)
        )


def _joined(before: tuple[range, ...], after: tuple[range, ...]) -> tuple[range, ...]:
    if before and after and before[-1].stop == after[0].start:
        return (*before[:-1], range(before[-1].start, after[0].stop), *after[1:])
    return (*before, *after)


def _parted(numbers: tuple[range, ...], count: int) -> tuple[tuple[range, ...], tuple[range, ...]]:
    """Return the first so many of some numbers, and the others."""
    for at, each in enumerate(numbers):
        if count <= len(each):
            first, rest = each[:count], each[count:]
            return (*numbers[:at], *([first] if first else [])), (*([rest] if rest else []), *numbers[at + 1 :])
        count -= len(each)
    return numbers, ()
