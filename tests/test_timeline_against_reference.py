"""The engine of events against the slow model, after every event, under every policy."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

import ptcalc
from ptcalc.timeline.result import Step
from ptcalc.workload import events as ev
from tests.event_text import described
from tests.kernel.sequences import Sequence, draw
from tests.reference.census import Census, census, conserve
from tests.reference.events import Machine
from tests.reference.policies import POLICIES
from tests.test_engine_against_reference import other_answers, thorough


def text_of(sequence: Sequence) -> str:
    """Write a sequence as a workload file."""
    document = yaml.safe_load(sequence.layout.text())
    document["host"] |= {"memory": "1 TiB", "kernel": "6.18"}
    return yaml.safe_dump(document | {"events": [described(event) for event in sequence.events]}, sort_keys=False)


def seen(step: Step) -> Census:
    """Return a step of the engine as the model has it."""
    levels = {level.level: (level.private, level.shared, level.cached) for level in step.levels}
    vmpte: Counter[tuple[str, str, int]] = Counter()
    rss: Counter[tuple[str, str, int]] = Counter()
    for one in step.classes:
        vmpte[one.group, one.label, one.vmpte_bytes] += one.count
        rss[one.group, one.label, one.rss_bytes] += one.count
    sharers = (step.sharers.least, round(step.sharers.mean, 6), step.sharers.most) if step.sharers else None
    return Census(
        levels={level: counts for level, counts in levels.items() if any(counts)},
        vmpte=+vmpte,
        rss=+rss,
        sharers=sharers,
        walks={w.segment: (w.tables_per_page, w.tables, w.entries, w.flushed) for w in step.walks},
    )


def differences(got: Census, wanted: Census, walked: Iterable[str] = ()) -> dict[str, tuple[Any, Any]]:
    """Return what differs, as (got, wanted); ``walked``: segments whose walks are compared."""
    found = {name: (getattr(got, name), getattr(wanted, name)) for name in ("levels", "vmpte", "rss", "sharers")
             if getattr(got, name) != getattr(wanted, name)}  # fmt: skip
    for name in walked:
        (mine, *more), (theirs, *others) = got.walks[name], wanted.walks[name]
        if more != others or mine != pytest.approx(theirs, abs=2e-6):
            found[name] = got.walks[name], wanted.walks[name]
    return found


def walked(workload: Any, policy: str, events: Iterable[ev.Event]) -> list[str]:
    """Return the segments whose walks both sides define in the same way after some events.

    Not those that a process maps twice: the model knows a page once in a table, and private memory by its place.  Nor
    what is left of hugetlb, where a table that is shared may become that of one process ("Known limits").
    """
    left = not all(isinstance(event.action, (ev.Start, ev.Fork, ev.TouchMore)) for event in events)
    twice = {
        one.segment
        for group in workload.processes.values()
        for one, two in itertools.permutations(group.mappings, 2)
        if one.segment == two.segment and one.offset < two.offset + two.length and two.offset < one.offset + one.length
    }
    huge = {
        name
        for name, segment in workload.segments.items()
        if segment.backing == "hugetlb" or (policy.startswith("hugetlb") and segment.backing == "shmem")
    }
    return [name for name in workload.segments if name not in twice and not (left and name in huge)]


def agree(sequence: Sequence, policies: tuple[str, ...], choices: dict[str, str] | None = None) -> None:
    """Compare every figure of every step, and what is read with what was written."""
    workload = ptcalc.loads(text_of(sequence))
    assert [(e.action, e.refault, e.at) for e in workload.events] == [
        (e.action, e.refault, e.at) for e in sequence.events
    ]
    for policy in ptcalc.follow_timeline(workload, policies=policies, choices=choices).policies:
        machine = Machine(workload, policy.policy, choices)
        for number, step in enumerate(policy.steps):
            action = workload.events[number - 1].action if number else None
            if getattr(action, "advice", "") == "collapse" and machine.regions:
                break  # the series does not say what that is in a region
            if number:
                machine.run(workload.events[number - 1])
            conserve(machine)
            compared = walked(workload, policy.policy, workload.events[:number])
            wrong = differences(seen(step), census(machine), compared)
            assert not wrong, (policy.policy, choices, number, wrong, text_of(sequence))
        for group in {process.group for process in machine.processes}:
            machine.run(ev.Event(ev.Exit(ev.Chosen(group))))
        machine.run(ev.Event(ev.Pressure()))
        assert not machine.all_tables(), "something is left when all are gone"


# Each was one that they differed in.
KNOWN = [
    ("tmpfs", 31, 8, "today"),  # a write to a private page takes the leaf away that mapped others as well
    ("tmpfs", 45, 6, "today"),  # what had lost its entry with a leaf needs a table when it is touched again
    ("tmpfs", 79, 8, "today"),  # what a leaf maps is there, whatever a registration would make of it now
    ("tmpfs", 86, 7, "today"),  # who collapses maps the huge page as a whole
    ("tmpfs", 95, 8, "today"),  # the same at the end of a VMA
    ("tmpfs", 263, 8, "today"),  # fork copies no leaf of a file
    ("tmpfs", 286, 7, "today"),  # a part of a leaf moves that was touched through the next mapping
    ("private", 13, 6, "today"),  # what was read of private memory is read again, not written
    (
        "proposals",
        12,
        6,
        "file-shared",
    ),  # of a stride only what it touches is mapped by leaves, and small pages never are
    ("proposals", 75, 4, "mshare"),  # who leaves a region has no entries until pages are touched again
    ("proposals", 95, 8, "mshare"),  # what is unmapped in a region stays so when its protection changes
    ("proposals", 95, 8, "file-shared"),  # entries that others left behind in a table that goes on
    ("proposals", 113, 2, "map-shared-pt"),  # MADV_DONTNEED takes entries of tables that the process has hooked
    ("proposals", 131, 4, "mshare"),  # a region has no leaf where it has a PTE table
]


@pytest.mark.parametrize(("kind", "seed", "length", "policy"), KNOWN)
def test_known_differences(kind: str, seed: int, length: int, policy: str) -> None:
    agree(draw(kind, seed, length), (policy,))


AS_WRITTEN = ("today", "private", "file-shared", "map-shared-pt")  # those that leave mappings where they are


@thorough(0.05)
@given(st.integers(0, 1 << 30), st.integers(1, 6))
def test_what_would_be_shared(seed: int, length: int) -> None:
    agree(draw("proposals", seed, length), POLICIES)


@thorough(0.05)
@given(st.sampled_from(["base", "private", "locked"]), st.integers(0, 1 << 30), st.integers(1, 8))
def test_what_a_kernel_can_follow(kind: str, seed: int, length: int) -> None:
    agree(draw(kind, seed, length), AS_WRITTEN)


@thorough(0.05)
@given(st.sampled_from(["hugetlb", "tracked-hugetlb", "tmpfs"]), st.integers(0, 1 << 30), st.integers(1, 6))
def test_huge_pages(kind: str, seed: int, length: int) -> None:
    agree(draw(kind, seed, length), ("today", "private", "thp"))


@thorough(0.1)
@example("proposals", 2205801, 5, {})  # a read of a VMA that a hole has cut in the page cache
@given(st.sampled_from(["proposals", "base", "locked"]), st.integers(0, 1 << 30), st.integers(1, 6), other_answers())
def test_other_answers_to_open_choices(kind: str, seed: int, length: int, choices: dict[str, str]) -> None:
    agree(draw(kind, seed, length), ("file-shared",), choices)
