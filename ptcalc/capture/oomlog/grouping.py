"""Processes of a report in groups that look alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ptcalc.capture.oomlog.reader import NAME
from ptcalc.capture.oomlog.report import OomReport, Task

# Processes of a name are one group as long as tables and memory differ by no more than this share, or this much.
SPREAD, NOISE = 0.25, 64 << 10


@dataclass(frozen=True, slots=True)
class Group:
    """Processes that look alike: one name (``*`` stands for digits that differ) and nearly the same memory."""

    name: str
    tasks: tuple[Task, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.tasks)

    @property
    def page_tables(self) -> int:
        """The page tables of all of them, bytes."""
        return sum(task.page_tables or 0 for task in self.tasks)

    @property
    def rss(self) -> int:
        """The resident memory of all of them, bytes; what they share counts once for each."""
        return sum(task.rss for task in self.tasks)


def groups(report: OomReport) -> list[Group]:
    """Return the processes of a report in groups that look alike, the most page tables first."""
    called: dict[str, list[Task]] = {}
    for task in report.tasks:
        called.setdefault(_pattern(task.name), []).append(task)
    found = []
    for pattern, tasks in called.items():
        for part in _alike(tasks, lambda task: task.page_tables or 0):
            for members in _alike(part, lambda task: task.rss):
                named = {task.name for task in members}
                found.append(Group(named.pop() if len(named) == 1 else pattern, tuple(members)))
    return sorted(found, key=lambda group: (-group.page_tables, -group.rss, group.name))


def together(name: str, parts: Iterable[Group]) -> Group:
    """Return several groups as one."""
    return Group(name, tuple(task for part in parts for task in part.tasks))


def _pattern(name: str) -> str:
    """Return a name without the numbers that tell processes of one kind apart (``ora_p001_db``)."""
    plain = re.sub(r"[0-9]+", "*", name)
    # A name that was cut off at the kernel's length ends somewhere else in each process.
    return plain[: plain.rindex("*") + 1] if len(name) >= NAME and "*" in plain else plain


def _alike(tasks: Sequence[Task], size: Callable[[Task], int]) -> Iterator[list[Task]]:
    """Cut tasks, by size, where they leave the reach of the first of a part; those of a part keep their order."""
    ascending = sorted(tasks, key=size)
    start = 0
    for at, task in enumerate(ascending):
        first = size(ascending[start])
        if size(task) > first + max(NOISE, first * SPREAD):
            yield ascending[start:at]
            start = at
    yield ascending[start:]
