"""What `ptcalc timeline` found, frozen: one `Step` for each event and policy, the beginning as step 0.

Reports take a `Timeline` and nothing else.  Bytes and tables are integers; where ``exact`` is false they are rounded
expectations.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ptcalc.result import Assumption, Availability, Memory, RiskLevel


@dataclass(frozen=True, slots=True)
class LevelState:
    """Tables of one level: private ones of all processes, shared ones that somebody uses, cached unused ones."""

    level: str
    private: int
    shared: int
    cached: int
    table_bytes: int


@dataclass(frozen=True, slots=True)
class Sharers:
    """Processes that use one shared table: over all tables of the lowest shared level that are in use."""

    least: int
    mean: float
    most: int


@dataclass(frozen=True, slots=True)
class ClassState:
    """Processes of a group with one history, and what ONE of them shows.

    ``label``: given by an event, or empty.  ``vmpte_bytes`` as in /proc/PID/status (before its shift to kB),
    ``rss_bytes`` without hugetlb pages, ``badness_pages`` of oom_badness (mm/oom_kill.c) with its oom_score_adj.
    """

    group: str
    label: str
    count: int
    vmpte_bytes: int
    private_bytes: int  # memory in private page tables
    rss_bytes: int
    badness_pages: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Victim:
    """The process that the OOM killer would pick, and how little that frees at once (bytes, by what it is)."""

    group: str
    label: str
    badness_pages: int
    frees: tuple[tuple[str, int], ...]

    @property
    def frees_bytes(self) -> int:
        """All that its end gives back."""
        return sum(size for _, size in self.frees)


@dataclass(frozen=True, slots=True)
class Walk:
    """Cost of reaching the pages of one segment through all tables that map them (rmap, reclaim, write protection).

    ``tables_per_page``: distinct leaf tables that map one page (least, mean, most over the pages that are mapped);
    ``tables``: distinct leaf tables of the whole segment; ``entries``: entries visited to unmap or write-protect all of
    it; ``flushed``: processes whose TLBs must be flushed for it.
    """

    segment: str
    tables_per_page: tuple[int, float, int]
    tables: int
    entries: int
    flushed: int


@dataclass(frozen=True, slots=True)
class Step:
    """The state after an event under one policy.

    ``event``: its place in the list from 1, 0 is the beginning.  ``notes``: what the event meant here, where the policy
    gives it another meaning.  ``walked_tables``, ``walked_entries``: what the event itself had to visit.
    ``released_bytes``: memory that it gave back.
    """

    event: int
    at: Fraction
    levels: tuple[LevelState, ...]
    shared_bytes: int
    cached_bytes: int
    private_bytes: int
    page_tables_bytes: int  # what PageTables shows
    used_bytes: int  # memory taken: shared + cached + private
    classes: tuple[ClassState, ...]
    sharers: Sharers | None
    memory: Memory
    risk: RiskLevel
    victim: Victim | None
    walks: tuple[Walk, ...]
    exact: bool
    notes: tuple[str, ...] = ()
    walked_tables: int = 0
    walked_entries: int = 0
    released_bytes: int = 0


@dataclass(frozen=True, slots=True)
class OtherEnd:
    """Another answer to an open choice, followed through the same events: the first OOM, and the step of worst demand.

    ``worst``: place of the step with the least headroom, whose demand and headroom (bytes) stand beside it.
    """

    name: str
    value: str
    first_oom: int | None
    worst: int
    demand_bytes: int
    headroom_bytes: int
    exact: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class PolicyTimeline:
    """One policy's steps; ``firsts``: the first step at (or beyond) each level of risk, None if it never gets there."""

    policy: str
    title: str
    availability: Availability
    applies: tuple[str, ...]
    steps: tuple[Step, ...]
    firsts: tuple[tuple[RiskLevel, int | None], ...]  # warning, critical, oom
    choices: tuple[tuple[str, str, str], ...] = ()  # (name, value in force, meaning)
    bounds: tuple[OtherEnd, ...] = ()  # where the other answers to bounded choices differ


@dataclass(frozen=True, slots=True)
class Told:
    """An event as reports show it: its words, and where it stands in the file."""

    at: Fraction
    name: str
    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """All that `ptcalc timeline` knows; ``events[n]`` leads to ``steps[n + 1]``."""

    name: str
    file: str
    arch: str
    kernel: str
    installed_bytes: int
    segment_bytes: tuple[tuple[str, int], ...]
    events: tuple[Told, ...]
    policies: tuple[PolicyTimeline, ...]
    assumptions: tuple[Assumption, ...]
