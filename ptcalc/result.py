"""The frozen result: all that computing hands to showing.

Every renderer takes an `Estimate` and nothing else.  Bytes and tables are integers; where a random
touch pattern makes a figure an expectation, ``exact`` is false and a standard deviation stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

RiskLevel = Literal["ok", "warning", "critical", "oom"]
Severity = Literal["info", "warning", "error"]

# Of results that are saved as JSON.
ESTIMATE_SCHEMA, EXPLAIN_SCHEMA = "ptcalc.estimate/1", "ptcalc.explain/1"
RISK_ORDER: tuple[RiskLevel, ...] = ("ok", "warning", "critical", "oom")


@dataclass(frozen=True, slots=True)
class Availability:
    """Who has a policy: dated data, never a judgement."""

    state: Literal["mainline", "vendor", "patches", "proposal"]
    since: str
    source: str
    as_of: str

    @property
    def deployable(self) -> bool:
        """True if a mainline kernel has it."""
        return self.state == "mainline"


@dataclass(frozen=True, slots=True)
class LevelTables:
    """Tables of one level, all processes together, a shared table once; ``bytes`` = tables x table size."""

    level: str
    tables: int
    bytes: int


@dataclass(frozen=True, slots=True)
class PageTables:
    """What the mappings of the file add to the machine.

    ``bytes`` is what PageTables in /proc/meminfo shows, ``used_bytes`` the memory really taken.
    ``sd_bytes`` is None where ``exact``.  ``memcg_bytes`` is what `pagetables` shows in the memory.stat of a cgroup
    that holds them all; None where that kernel has no such line.
    """

    bytes: int
    used_bytes: int
    exact: bool
    sd_bytes: int | None
    levels: tuple[LevelTables, ...]
    memcg_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ProcessTables:
    """VmPTE of one process of a group (bytes, before the kernel's shift to kB)."""

    name: str
    count: int
    vmpte_bytes: int
    exact: bool
    vmpte_sd_bytes: int | None
    # Tables of one process if nothing were shared, level by level (the terms of vmpte_bytes and what it leaves out).
    levels: tuple[LevelTables, ...]
    # Memory that one more process of this group adds in page tables under this policy (its private tables).
    marginal_bytes: int
    # False where no kernel defines what VmPTE shows for shared tables (file-shared, map-shared-pt).
    vmpte_defined: bool = True


@dataclass(frozen=True, slots=True)
class GuestTables:
    """Second-level tables of ONE guest of a group of processes, bytes; ``kind``: kvm, or vfio for devices given away.

    ``levels`` are those below the root; ``sd_bytes`` is None where ``exact``.
    """

    name: str
    kind: str
    count: int
    bytes: int
    exact: bool
    sd_bytes: int | None
    levels: tuple[LevelTables, ...]
    root_bytes: int


@dataclass(frozen=True, slots=True)
class SecondLevelTables:
    """Second-level tables of all guests: what SecPageTables in /proc/meminfo shows, and the memory taken, bytes."""

    bytes: int
    used_bytes: int
    exact: bool
    guests: tuple[GuestTables, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LevelArithmetic:
    """One level of one mapping, as `explain` prints it.

    ``span`` bytes of address space per table; table indices ``first``..``last`` (inclusive, VA // span) bound the
    mapping; ``tables`` of them are needed by one process for what it touches (a float is an expectation);
    ``shared`` of those may be one table with other processes; ``method`` says in words how the count was made.
    """

    level: str
    span: int
    table_bytes: int
    first: int
    last: int
    tables: int | float
    shared: int | float
    method: str


@dataclass(frozen=True, slots=True)
class Reason:
    """The first rule that keeps (a part of) a mapping from sharing, and what would change that."""

    code: str
    text: str
    remedy: str | None = None
    saves_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class MappingShare:
    """How much of one mapping is shared under a policy, and why not the rest."""

    group: str
    index: int  # place in the group's list of mappings
    segment: str
    address: int
    length: int
    address_stated: bool
    levels: tuple[LevelArithmetic, ...]
    reasons: tuple[Reason, ...]  # empty if everything that the policy shares is shared
    path: tuple[str | int, ...]  # of the mapping in the workload file


@dataclass(frozen=True, slots=True)
class LedgerItem:
    """One line of demand: name, bytes and the terms that make it (quantity x rate), with the source of the rate."""

    name: str
    bytes: int
    kind: str  # segment | pool | page_tables | second_level | index | base | kernel | private | used | host_mm
    terms: str = ""
    source: str = ""
    swappable_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """The tighter of host and cgroup."""

    boundary: Literal["host", "cgroup"]
    capacity_bytes: int
    demand_bytes: int
    headroom_bytes: int
    items: tuple[LedgerItem, ...]
    # how capacity came about: ("installed", +n), ("page array", -n), ...
    capacity_terms: tuple[LedgerItem, ...] = ()
    swap_used_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Risk:
    """`max_processes` = largest total count that is not `oom`; `safe_processes` the same for `ok`."""

    level: RiskLevel
    safe_processes: int
    max_processes: int
    limited_by: str
    safe_limited_by: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """Another answer to an open choice of a policy (for example phase 0 only)."""

    name: str
    value: str
    page_tables_bytes: int
    why: str


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """One policy's answer."""

    policy: str
    title: str
    availability: Availability
    applies: Literal["as_written"] | tuple[str, ...]
    page_tables: PageTables
    processes: tuple[ProcessTables, ...]
    memory: Memory
    risk: Risk
    mappings: tuple[MappingShare, ...]
    # what one more process of the largest proportional group costs: (item, bytes)
    one_more: tuple[tuple[str, int], ...] = ()
    choices: tuple[tuple[str, str, str], ...] = ()  # (letter or name, value in force, meaning)
    bounds: tuple[Bound, ...] = ()
    second_level: SecondLevelTables | None = None  # None: nothing in the file is a guest's memory


@dataclass(frozen=True, slots=True)
class Finding:
    """Something the reader should know; ``code`` is stable, ``path`` leads to the line in the file."""

    code: str
    severity: Severity
    message: str
    line: int
    column: int
    remedy: str = ""
    policy: str = ""  # empty: not about one policy
    path: tuple[str | int, ...] = ()  # of the value in the file; empty: the file as a whole


@dataclass(frozen=True, slots=True)
class Assumption:
    """A default that was applied: dotted key, value as text, and why."""

    key: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A counter of the captured system beside what ptcalc expects it to be, bytes.

    ``name`` is a group of processes, whose VmPTE (mean) it is, or PageTables of the whole machine.  Tables beside the
    file's mappings are in both figures.
    """

    name: str
    counter: Literal["VmPTE", "PageTables"]
    expected_bytes: int
    measured_bytes: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked beside the workload file, as text: with the file's own it gives the same answer again.

    ``policies`` is empty where all were asked for; ``choices`` are (``POLICY.NAME``, value) and ``overrides`` (path in
    the file, value in place of the one there, the option that said so).  ``config`` holds the thresholds, constants
    and own architectures in force, as a config file says them; ``version`` is that of the ptcalc that answered.
    """

    policies: tuple[str, ...] = ()
    choices: tuple[tuple[str, str], ...] = ()
    overrides: tuple[tuple[tuple[str | int, ...], str, str], ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Everything `ptcalc estimate` knows about one workload.

    ``source`` is the text of its file, verbatim; `ptcalc.estimation.asked_again` evaluates it anew.
    """

    name: str
    file: str
    processes: int
    policies: tuple[PolicyResult, ...]
    findings: tuple[Finding, ...]
    assumptions: tuple[Assumption, ...]
    arch: str = ""
    kernel: str = ""
    installed_bytes: int = 0
    segment_bytes: tuple[tuple[str, int], ...] = field(default=())
    measured: tuple[Measured, ...] = ()  # of a captured workload, evaluated as it was captured
    source: str = ""
    question: Question = Question()

    def policy(self, name: str) -> PolicyResult:
        """Return the result of policy `name`; KeyError if it was not evaluated."""
        for result in self.policies:
            if result.policy == name:
                return result
        raise KeyError(name)
