"""Second-level tables over time: of all that guests have ever touched."""

from __future__ import annotations

import pytest

import ptcalc

HEAD = """
version: 1
name: guests
host: {memory: 64 GiB}
segments: {ram: {size: 8 GiB, backing: shmem}}
processes:
  vm:
    count: 1
    mappings:
      - {segment: ram, address: 0x8000000000, touch: {ranges: [{start: 0, length: 1 GiB}]}, second_level: kvm}
  back: {count: 1, mappings: [{segment: ram, address: 0x8000000000, touch: all}]}
events:
"""
TABLE = 4096


def one(gib: int) -> int:
    """Tables of a guest that has touched the first so many GiB: PTE, PMD and PUD tables, and the root."""
    return (512 * gib + gib + 1 if gib else 0) + 1


CASES = {
    "a touch is that of the guest": (
        "touch: {group: vm, mapping: 0, touch: {ranges: [{start: 0, length: 4 GiB}]}}", one(4)),
    "what the host takes leaves tables": (
        "madvise: {group: vm, mapping: 0, start: 0, length: 8 GiB, advice: dontneed}", one(4)),
    "two more that have touched nothing": ("start: {group: vm, count: 2, touch: none}", one(4) + 2 * one(0)),
    "another as written": ("start: {group: vm, count: 1}", one(4) + 2 * one(0) + one(1)),
    "a back end is no guest": ("touch: {group: back, mapping: 0, touch: all}", one(4) + 2 * one(0) + one(1)),
    "a child has no guest": ("fork: {group: vm, count: 3}", one(4) + 2 * one(0) + one(1)),
    "the guests grow": ("grow: {group: vm, mapping: 0, rate: 2 GiB, until: 100%, pattern: contiguous}",
                        one(4) + 2 * one(0) + one(1)),
    "an hour later": ("mark: {}", one(4) + 2 * one(2) + one(2)),
    "a day later": ("mark: {}", 4 * one(8)),
}  # fmt: skip
TIMES = {"an hour later": "1 h", "a day later": "25 h"}


@pytest.fixture(scope="module")
def found() -> dict[str, int]:
    """Second-level tables after each event."""
    lines = []
    for name, (event, _) in CASES.items():
        at = f"at: {TIMES[name]}, " if name in TIMES else ""
        lines.append(f"  - {{{at}name: {name!r}, {event}}}\n".replace('"', ""))
    workload = ptcalc.loads(HEAD + "".join(lines))
    steps = ptcalc.follow_timeline(workload, policies=["today"]).policies[0].steps
    sizes = [sum(item.bytes for item in step.memory.items if item.kind == "second_level") for step in steps]
    assert sizes[0] == one(1) * TABLE
    return dict(zip(CASES, sizes[1:], strict=True))


@pytest.mark.parametrize("name", CASES)
def test_tables_of_guests(name: str, found: dict[str, int]) -> None:
    assert found[name] == CASES[name][1] * TABLE
