"""RSS under both answers to 6.2-k: what a process has touched, or all that its shared tables hold."""

from __future__ import annotations

from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

import ptcalc
from ptcalc.workload import events as ev
from tests.kernel.sequences import draw
from tests.reference.census import rss_of
from tests.reference.events import Machine
from tests.test_engine_against_reference import thorough
from tests.test_timeline_against_reference import text_of

MIB = 1 << 20
WORKLOAD = """
version: 1
name: resident
host: {memory: 64 GiB}
segments: {s: {size: 4 GiB, backing: shmem}}
processes:
  few: {count: 3, mappings: [{segment: s, address: 0x8000000000, touch: {ranges: [{start: 0, length: 4 KiB}]}}]}
  all: {count: 2, mappings: [{segment: s, address: 0x8000000000, touch: {ranges: [{start: 0, length: 2 GiB}]}}]}
  ragged:
    count: 1
    mappings: [{segment: s, address: 0x8000000000, length: 512 MiB, touch: {ranges: [{start: 0, length: 3 MiB}]}}]
events:
  - {punch: {segment: s, start: 1 MiB, length: 1 MiB}}
  - {exit: {group: all}}
"""


def resident(choice: str) -> list[dict[str, int]]:
    """RSS of a process of each group after each event."""
    workload = ptcalc.loads(WORKLOAD)
    found = ptcalc.follow_timeline(workload, policies=["file-shared"], choices={"file-shared.rss": choice})
    return [{one.group: one.rss_bytes for one in step.classes} for step in found.policies[0].steps]


def test_what_others_put_into_shared_tables_counts_by_choice() -> None:
    # One touched page shows the whole GiB of its PMD table; below a PMD table of one's own, 2 MiB for each PTE table.
    assert resident("hooked") == [
        {"few": 1024 * MIB, "all": 2048 * MIB, "ragged": 4 * MIB},
        {"few": 1023 * MIB, "all": 2047 * MIB, "ragged": 3 * MIB},
        {"few": 1023 * MIB, "ragged": 3 * MIB},
    ]
    assert resident("touched") == [
        {"few": 4096, "all": 2048 * MIB, "ragged": 3 * MIB},
        {"few": 4096, "all": 2047 * MIB, "ragged": 2 * MIB},
        {"few": 4096, "ragged": 2 * MIB},
    ]


# In the model pages leave all mappings of a file together, and strides are exact.
LEAVING = (ev.Madvise, ev.Munmap, ev.Mremap, ev.Punch, ev.Truncate)


@thorough(0.15)
@given(st.integers(0, 1 << 30), st.integers(1, 5), st.sampled_from(["touched", "hooked"]))
def test_the_slow_model_agrees(seed: int, length: int, choice: str) -> None:
    sequence = draw("proposals", seed, length)
    text = text_of(sequence)
    assume(not any(isinstance(event.action, LEAVING) for event in sequence.events))
    assume("every" not in text and "pattern" not in text)
    workload, choices = ptcalc.loads(text), {"file-shared.rss": choice}
    machine = Machine(workload, "file-shared", choices)
    for number, step in enumerate(
        ptcalc.follow_timeline(workload, policies=["file-shared"], choices=choices).policies[0].steps
    ):
        if number:
            machine.run(workload.events[number - 1])
        got: Counter[tuple[str, str, int]] = Counter()
        for one in step.classes:
            got[one.group, one.label, one.rss_bytes] += one.count
        wanted = Counter((each.group, each.label, rss_of(machine, each)) for each in machine.processes)
        assert +got == wanted, (number, text)
