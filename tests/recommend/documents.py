"""Workloads for the tests of recommend, and what they have in common."""

from __future__ import annotations

import ptcalc
from ptcalc.recommend import Advice, Recommendations

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

# 100 servers that touch all of a segment.
SERVERS = """\
version: 1
name: servers
host: {{memory: {memory}, used: 1 GiB, {host}}}
segments:
  sga: {{size: {size}, backing: {backing}, {segment}}}
processes:
  server:
    count: {count}
    private: 1 MiB
    base_tables: 100 KiB
    mappings: [{{segment: sga, {mapping}}}]
"""


def servers(
    *,
    size: str = "16 GiB",
    memory: str = "64 GiB",
    backing: str = "shmem",
    host: str = "kernel: '6.12'",
    segment: str = "locked: false",
    mapping: str = "alignment: 1 GiB",
    count: int = 100,
) -> str:
    """A workload of one group and one segment."""
    return SERVERS.format(
        size=size, memory=memory, backing=backing, host=host, segment=segment, mapping=mapping, count=count
    )


def recommended(text: str, **keywords: object) -> Recommendations:
    """What `recommend_changes` says of a workload."""
    return ptcalc.recommend_changes(ptcalc.loads(text), **keywords)  # type: ignore[arg-type]


def codes(found: Recommendations) -> list[str]:
    """The codes, best saving first."""
    return [advice.code for advice in found.advice]


def values(advice: Advice, form: str) -> list[tuple[str, str | None]]:
    """The settings of one file as (name, value)."""
    return [(each.name, each.value) for each in advice.settings if each.form == form]
