"""What must hold after every event, whatever happens: tables are conserved, and nothing outlives its users."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

import ptcalc
from ptcalc.policies import policies_of
from ptcalc.policies.base import Context
from ptcalc.timeline.beginning import beginning
from ptcalc.timeline.happening import happen
from ptcalc.timeline.life import Key
from ptcalc.timeline.sets import hooked, left
from ptcalc.timeline.standing import Standing
from ptcalc.timeline.tables import Reach
from ptcalc.timeline.world import World
from tests.test_engine_against_reference import thorough

HEAD = """\
version: 1
name: random
host: {memory: 64 GiB, kernel: "6.18"}
segments:
  shm: {size: 6 GiB, backing: shmem, resident: touched}
  huge: {size: 4 GiB, backing: hugetlb}
  own: {size: 64 MiB, backing: private}
processes:
  a:
    count: 7
    mappings: &maps
      - {segment: shm, address: 0x100000000000, touch: [5%, {every: 3 MiB}]}
      - {segment: huge, address: 0x200000000000}
      - {segment: own, touch: {ranges: [{start: 0, length: 8 MiB}]}}
  b: {count: 0, mappings: *maps}
events:
"""


def events(seed: int, many: int) -> str:  # noqa: C901  # a case for each kind
    """Random events that nothing forbids: parts are never unmapped twice, and groups never empty."""
    rng = random.Random(seed)
    out, count = [], {"a": 7, "b": 0}
    for _ in range(many):
        group = rng.choice([name for name, there in count.items() if there])
        who = f"group: {group}, count: {rng.randint(1, count[group])}"
        segment, unit, size = rng.choice((("shm", 4 << 10, 6 << 30), ("huge", 2 << 20, 4 << 30)))
        start = rng.randrange(0, size // unit) * unit
        length = rng.randint(1, (size - start) // unit) * unit
        part = f"{who}, mapping: {segment}, start: {start}, length: {length}"
        kind = rng.choice(
            ("start", "fork", "exit", "touch", "mprotect", "dontneed", "userfaultfd", "softdirty", "sharing", "punch",
             "pressure", "collapse", "write_protect")
        )  # fmt: skip
        if kind == "start":
            more = rng.randint(1, 5)
            count["b"] += more
            out.append(f"start: {{group: b, count: {more}, touch: {rng.choice(('written', 'none'))}}}")
        elif kind == "fork":
            count["b"] += 2
            out.append(f"fork: {{group: {group}, count: 2, into: b}}")
        elif kind == "exit":
            gone = rng.randint(0, count[group] - 1)
            if gone:
                count[group] -= gone
                out.append(f"exit: {{group: {group}, count: {gone}}}")
        elif kind == "touch":
            out.append(f"touch: {{{who}, mapping: own, touch: {rng.choice(('all', '10%'))}}}")
        elif kind == "mprotect":
            out.append(f"mprotect: {{{part}, protection: {rng.choice(('none', 'r', 'rw'))}}}")
        elif kind in ("dontneed", "collapse") and not (kind == "collapse" and segment == "huge"):
            out.append(f"madvise: {{{part}, advice: {kind}}}")
        elif kind == "userfaultfd":
            out.append(f"userfaultfd: {{{part}, mode: {rng.choice(('none', 'wp', 'missing'))}}}")
        elif kind == "softdirty":
            out.append(f"softdirty: {{{part}, set: {rng.choice(('true', 'false'))}}}")
        elif kind == "sharing":
            out.append(f"sharing: {{{who}, set: {rng.choice(('allow', 'never'))}}}")
        elif kind == "punch":
            out.append(f"punch: {{segment: {segment}, start: {start}, length: {length}}}")
        elif kind == "pressure":
            out.append(f"pressure: {{{'' if rng.random() < 0.5 else 'amount: 1 MiB'}}}")
        elif kind == "write_protect":
            out.append(f"write_protect: {{segment: {segment}, set: true}}")
    ends = [f"exit: {{group: {name}}}" for name, there in count.items() if there]
    return "".join(f"  - {{{event}}}\n" for event in [*out, *ends, "pressure: {}"])


def references(world: World) -> tuple[dict[Key, dict[Reach, int]], dict[Key, dict[Reach, int]]]:
    """Who reaches what, counted from the processes."""
    now: dict[Key, dict[Reach, int]] = {}
    before: dict[Key, dict[Reach, int]] = {}
    for cohort in world.population:
        for where, found in ((now, hooked(cohort.state)), (before, left(cohort.state))):
            for key, reach in found:
                reaches = where.setdefault(key, {})
                reaches[reach] = reaches.get(reach, 0) + cohort.count
    return now, before


def conserved(world: World) -> None:
    """Check one state."""
    now, before = references(world)
    assert world.tables.hooked == now, "references are not the hooks"
    for key, reaches in before.items():
        for reach, times in reaches.items():
            assert world.tables.idle[key][reach] >= times, "what a process has left is nowhere"
    levels = Standing(world).levels
    for place, level in enumerate(levels):
        assert min(level.private, level.shared, level.cached) >= 0
        keys = [key for key in world.tables.sets if key.place == place]
        for key in keys:
            found = world.tables.tables(key)
            assert found.in_use.value <= found.there.value + 1e-6
        assert level.shared + level.cached == 0 or keys, "a shared table without a key"
    for cohort in world.population:
        assert cohort.count > 0
        for hooks in cohort.state.hooks:
            assert all(hook.lo < hook.hi for hook in hooks)


@thorough(0.2)
@given(
    st.integers(0, 1 << 32), st.sampled_from(["today", "hugetlb-2M", "thp", "file-shared", "map-shared-pt", "mshare"])
)
def test_tables_are_conserved(seed: int, name: str) -> None:
    workload = ptcalc.loads(HEAD + events(seed, 8))
    policy = next(policy for policy in policies_of(workload.geometry) if policy.name == name)
    world = beginning(policy, Context(workload, workload.geometry))
    conserved(world)
    for number, event in enumerate(workload.events, start=1):
        happen(world, event, number)
        conserved(world)

    assert not list(world.population)
    assert not world.tables.sets, "tables without processes, after pressure"
    assert all(level.private + level.shared + level.cached == 0 for level in Standing(world).levels)
