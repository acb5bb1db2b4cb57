"""Memory of private copies: fork leaves pages common until somebody writes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ptcalc
from ptcalc.policies import policies_of
from ptcalc.policies.base import Context
from ptcalc.timeline.beginning import beginning
from ptcalc.timeline.copies import freed_by_one
from ptcalc.timeline.happening import happen
from ptcalc.timeline.standing import Standing
from tests.kernel.sequences import draw
from tests.reference.census import copies_of
from tests.reference.events import Machine
from tests.test_engine_against_reference import thorough
from tests.test_timeline_against_reference import text_of

MIB = 1 << 20
HEAD = """
version: 1
name: copies
host: {memory: 64 GiB}
segments: {heap: {size: 1 GiB, backing: private, thp: THP}}
processes:
  parent:
    count: 1
    mappings: &m [{segment: heap, address: 0x8000000000, touch: {ranges: [{start: 0, length: 100 MiB}]}}]
  child: {count: 0, mappings: *m}
events:
  - {fork: {group: parent, count: 10, into: child}}
"""
WRITE = "  - {touch: {group: GROUP, mapping: 0, touch: {ranges: [{start: 0, length: 30 MiB}]}}}\n"


def worlds(text: str) -> list[Any]:
    """The private copies of all segments after each event."""
    workload = ptcalc.loads(text)
    policy = next(policy for policy in policies_of(workload.geometry) if policy.name == "today")
    world = beginning(policy, Context(workload, workload.geometry))
    found = [sum(Standing(world).copies())]
    for number, event in enumerate(workload.events, start=1):
        happen(world, event, number)
        found.append(sum(Standing(world).copies()))
    return found


CASES = {
    # One of ten writes 30 MiB: a second copy of them. All ten do: one each, and the parent's. The parent too: its own.
    "who writes has a copy": (
        (WRITE.replace("GROUP", "child, count: 1"), WRITE.replace("GROUP", "child"), WRITE.replace("GROUP", "parent")),
        (100, 100, 130, 400, 400),
    ),
    "the parent goes": (("  - {exit: {group: parent}}\n", "  - {exit: {group: child}}\n"), (100, 100, 100, 0)),
    "all have written, nobody has the first ones": (
        (WRITE.replace("GROUP", "child"), "  - {exit: {group: parent}}\n"),
        (100, 100, 400, 370),
    ),
    "a child's own pages are common with its own children": (
        (WRITE.replace("GROUP", "child, count: 1, as: a"), "  - {fork: {group: child, label: a, count: 5}}\n"),
        (100, 100, 130, 130),
    ),
    "unmapped by all": (
        (
            "  - {munmap: {group: child, start: 0, length: 50 MiB}}\n",
            "  - {munmap: {group: parent, start: 0, length: 50 MiB}}\n",
        ),
        (100, 100, 100, 50),
    ),
}


@pytest.mark.parametrize("thp", ["never", "always"])
@pytest.mark.parametrize("name", CASES)
def test_cases(name: str, thp: str) -> None:
    events, wanted = CASES[name]
    assert worlds(HEAD.replace("THP", thp) + "".join(events)) == [size * MIB for size in wanted]


def test_what_a_draw_writes_is_expected() -> None:
    # Each of ten writes a tenth of the pages, 10 MiB.
    write = "  - {touch: {group: child, mapping: 0, touch: {pages: 2560, pattern: scattered}}}\n"
    text = HEAD.replace("THP", "never").replace("1 GiB", "100 MiB")
    found = worlds(text + write + "  - {exit: {group: parent}}\n")
    # What all ten have written is a tenth to the tenth of it: the rest of the parent's is still there.
    assert found[1:] == [100 * MIB, 200 * MIB, 200 * MIB]


def test_what_the_end_of_a_process_frees() -> None:
    workload = ptcalc.loads(HEAD.replace("THP", "never") + WRITE.replace("GROUP", "child, count: 1, as: writer"))
    policy = next(policy for policy in policies_of(workload.geometry) if policy.name == "today")
    world = beginning(policy, Context(workload, workload.geometry))
    assert [freed_by_one(world.ground, list(world.population), one) for one in world.population] == [100 * MIB]
    for number, event in enumerate(workload.events, start=1):
        happen(world, event, number)
    cohorts = list(world.population)
    frees = {(one.group, one.label): freed_by_one(world.ground, cohorts, one) for one in cohorts}
    assert frees == {("parent", ""): 0, ("child", ""): 0, ("child", "writer"): 30 * MIB}


@thorough(0.2)
@given(st.sampled_from(["base", "private"]), st.integers(0, 1 << 30), st.integers(1, 8))
def test_copies_are_those_of_the_model(kind: str, seed: int, length: int) -> None:
    """Page by page."""
    agree(kind, seed, length)


def agree(kind: str, seed: int, length: int) -> None:
    """Compare after every event."""
    text = text_of(draw(kind, seed, length))
    workload = ptcalc.loads(text)
    policy = next(policy for policy in policies_of(workload.geometry) if policy.name == "today")
    world = beginning(policy, Context(workload, workload.geometry))
    machine = Machine(workload, "today")
    for number, event in enumerate((None, *workload.events)):
        if event is not None:
            happen(world, event, number)
            machine.run(event)
        got = dict(zip(workload.segments, Standing(world).copies(), strict=True))
        wanted = copies_of(machine)
        assert {name: size for name, size in got.items() if size} == wanted, (number, got, wanted, text)
