"""Timelines: many events on many groups against as many estimates, and a storm whose size must not matter."""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import replace

import ptcalc
from benchmarks.ratio import Ratio, measure

EVENTS, GROUPS, SAMPLED = 10_000, 1000, 5
POLICY = ["file-shared"]


def _events(rng: random.Random, many: int) -> str:
    """Random events of the kinds that change tables, each on one group."""
    out = []
    for _ in range(many):
        group, at = f"g{rng.randrange(GROUPS)}", rng.randrange(60)
        part, word = f"group: {group}, start: {at} GiB, length: 1 GiB", rng.choice(("r", "rw"))
        out.append(
            rng.choice(
                (
                    f"start: {{group: {group}, count: {rng.randint(1, 20)}}}",
                    f"exit: {{group: {group}, count: 1}}",
                    f"mprotect: {{{part}, protection: {word}}}",
                    f"touch: {{group: {group}, touch: {{ranges: [{{start: {at} GiB, length: 1 GiB}}]}}}}",
                    f"madvise: {{{part}, advice: dontneed}}",
                )
            )
        )
    return "".join(f"  - {event}\n" for event in out)


def _workload(many: int) -> ptcalc.Workload:
    segments = "".join(f"  s{n}: {{size: 64 GiB, backing: shmem}}\n" for n in range(10))
    groups = "".join(
        f"  g{n}: {{count: 100, private: 1 MiB, mappings: [{{segment: s{n % 10}, address: 0x100000000000}}]}}\n"
        for n in range(GROUPS)
    )
    head = "version: 1\nname: many events\nhost: {memory: 64 TiB}\n"
    events = _events(random.Random(2022), many)
    return ptcalc.loads(f"{head}segments:\n{segments}processes:\n{groups}events:\n{events}")


def many_events(many: int = EVENTS) -> Ratio:
    """Events on a thousand groups, against the same number of estimates of the state at the end (some are measured)."""
    workload = _workload(many)
    start = time.perf_counter()
    found = ptcalc.follow_timeline(workload, policies=POLICY)
    followed = time.perf_counter() - start
    counts: dict[str, int] = {}
    for each in found.policies[0].steps[-1].classes:
        counts[each.group] = counts.get(each.group, 0) + each.count
    groups = {name: replace(group, count=counts.get(name, 0)) for name, group in workload.processes.items()}
    final = replace(workload, events=(), processes=groups)
    taken = []
    for _ in range(SAMPLED):
        start = time.perf_counter()
        ptcalc.estimate(final, policies=POLICY)
        taken.append(time.perf_counter() - start)
    name = f"{many:,} events on {GROUPS:,} groups / as many estimates"
    return Ratio(name, followed, many * statistics.median(taken), 10)


def _storm(processes: int) -> ptcalc.Workload:
    step = processes // 10
    events = "".join(f"  - start: {{group: server, count: {step}}}\n" for _ in range(10))
    return ptcalc.loads(
        "version: 1\nname: storm\nhost: {memory: 64 TiB}\nsegments: {sga: {size: 1 TiB, backing: shmem}}\n"
        "processes: {server: {count: 0, mappings: [{segment: sga, address: 0x100000000000}]}}\n"
        f"events:\n{events}"
    )


def storm() -> Ratio:
    """From none to a million processes over 1 TiB, against from none to a thousand."""
    large, small = _storm(1_000_000), _storm(1_000)
    return measure(
        "a storm of 1,000,000 / of 1,000 processes",
        lambda: ptcalc.follow_timeline(large),
        lambda: ptcalc.follow_timeline(small),
        limit=1.5,
        rounds=9,
    )
