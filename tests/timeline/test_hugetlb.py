"""hugetlb over time: who finds which of several equal PMD tables, and who keeps the last."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import ptcalc
from ptcalc.policies import policies_of
from ptcalc.policies.base import Context
from ptcalc.timeline.beginning import beginning
from ptcalc.timeline.happening import happen
from ptcalc.timeline.standing import Standing

HEAD = """
version: 1
name: equal tables
host: {memory: 64 TiB, kernel: "6.18"}
segments: {s: {size: 4 GiB, backing: hugetlb}}
processes:
  p: {count: COUNT, mappings: [{segment: s, address: 0x100000000000}]}
events:
"""
WHOLE = "start: 0, length: 4 GiB"
# "first" is the last one to have the table of all, for reading; the others have one of their own for that.
EQUAL = (
    "  - {touch: {group: p, count: 1, as: first, mapping: 0, touch: all}}\n"
    f"  - {{mprotect: {{group: p, count: REST, as: rest, {WHOLE}, protection: r}}}}\n"
    f"  - {{mprotect: {{group: p, label: first, {WHOLE}, protection: r}}}}\n"
)
REGISTERED = (
    f"  - {{userfaultfd: {{group: p, {WHOLE}, mode: wp}}}}\n  - {{userfaultfd: {{group: p, {WHOLE}, mode: none}}}}\n"
)
ASK = (
    f"  - {{madvise: {{group: p, label: rest, count: 1, as: asks, {WHOLE}, advice: dontneed}}}}\n"
    "  - {touch: {group: p, label: asks, mapping: 0, touch: all, access: read}}\n"
    f"  - {{munmap: {{group: p, label: rest, {WHOLE}}}}}\n"
)
# After each event: PMD tables as (private, shared), in terms of the number of processes n.
CASES: dict[str, tuple[str, Callable[[int], list[tuple[int, int]]]]] = {
    "one event after the other": (
        EQUAL,
        lambda n: [(0, 4), (0, 4), (0, 8), (0, 8)],
    ),
    "the last one of an event keeps the table, and the others find it": (
        f"  - {{mprotect: {{group: p, {WHOLE}, protection: r}}}}\n  - {{exit: {{group: p, count: 1}}}}\n",
        lambda n: [(0, 4), (0, 4), (0, 4)],
    ),
    "the first VMA is found": (
        EQUAL + ASK + "  - {exit: {group: p, label: first}}\n",
        lambda n: [(0, 4), (0, 4), (0, 8), (0, 8), (0, 8), (0, 8), (0, 4), (0, 4)],
    ),
    "one that was split stands behind": (
        EQUAL
        + "  - {mprotect: {group: p, label: first, start: 3 GiB, length: 1 GiB, protection: none}}\n"
        + ASK
        + "  - {exit: {group: p, label: first}}\n",
        lambda n: [(0, 4), (0, 4), (0, 8), (0, 8), (0, 8), (0, 8), (0, 8), (0, 8), (0, 4)],
    ),
    "who was registered has a table of its own, and newcomers find that of the first": (
        REGISTERED
        + "  - {start: {group: p, count: 2, as: late}}\n"
        + "  - {exit: {group: p, count: 1}}\n"
        + "  - {exit: {group: p, label: late}}\n",
        lambda n: [(0, 4), (4 * n, 0), (0, 4 * n), (0, 4 * n), (0, 4 * n), (0, 4 * (n - 1))],
    ),
    "a hole leaves the tables to the last VMA": (
        "  - {punch: {segment: s, start: 0, length: 4 GiB}}\n  - {exit: {group: p, count: REST}}\n",
        lambda n: [(0, 4), (0, 4), (0, 4)],
    ),
}


def followed(events: str, count: int) -> tuple[list[tuple[int, int]], int]:
    """PMD tables after each event, and how many states of processes there are at the end."""
    text = (HEAD + events).replace("COUNT", str(count)).replace("REST", str(count - 1))
    workload = ptcalc.loads(text)
    policy = next(policy for policy in policies_of(workload.geometry) if policy.name == "today")
    world = beginning(policy, Context(workload, workload.geometry))
    found = []
    for number, event in enumerate((None, *workload.events)):
        if event is not None:
            happen(world, event, number)
        level = Standing(world).levels[1]
        found.append((level.private, level.shared))
    return found, len(list(world.population))


@pytest.mark.parametrize("count", [3, 4, 1_000_000])
@pytest.mark.parametrize("name", CASES)
def test_tables(name: str, count: int) -> None:
    events, wanted = CASES[name]
    assert followed(events, count)[0] == wanted(count)


@pytest.mark.parametrize("name", CASES)
def test_a_million_processes_are_as_many_states_as_a_hundred(name: str) -> None:
    events, _ = CASES[name]
    assert followed(events, 1_000_000)[1] == followed(events, 100)[1] <= 4
