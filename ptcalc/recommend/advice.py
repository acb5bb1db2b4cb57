"""What `recommend` answers: plain frozen data, all amounts in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ptcalc.result import Availability, PolicyResult

# The files that settings go to; each is a value of --format.
Form = Literal["sysctl", "systemd", "tmpfiles", "cmdline", "fstab", "init.ora", "postgresql.conf"]
FORMS: tuple[Form, ...] = ("sysctl", "systemd", "tmpfiles", "cmdline", "fstab", "init.ora", "postgresql.conf")
Kind = Literal["as-written", "pool", "hugetlb", "thp", "alignment", "pooling", "memory"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of a file of configuration.

    ``name`` is that of a sysctl, of a directive of a unit, of a file below /sys, of a word of the kernel command line,
    of a mount point or of a parameter.  ``value`` None: nobody but the reader knows it, and ``why`` says what it is.
    """

    form: Form
    name: str
    value: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Check:
    """Whether the rest still fits beside the huge pages of the host, and all of it in the cgroup.

    ``free_bytes`` = ``capacity_bytes`` - ``pool_bytes`` - ``rest_bytes``, on the host; ``cgroup_free_bytes`` None
    without a cgroup's limit.
    """

    capacity_bytes: int
    pool_bytes: int
    rest_bytes: int
    free_bytes: int
    cgroup_free_bytes: int | None

    @property
    def fits(self) -> bool:
        """Whether nothing needs swap."""
        return self.free_bytes >= 0 and (self.cgroup_free_bytes is None or self.cgroup_free_bytes >= 0)


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to change, evaluated by the engine: ``result`` is `today` of the changed workload.

    ``saves_bytes`` is what the host's demand falls by against the workload as written, ``saves_tables_bytes`` the part
    of it that is page tables.  Where a code has two parts (``hugetlb-2M+alignment``), ``adds_bytes`` is what the second
    one saves beyond the first.
    """

    code: str
    kind: Kind
    title: str
    result: PolicyResult
    saves_bytes: int
    saves_tables_bytes: int
    check: Check
    settings: tuple[Setting, ...]
    needs: tuple[str, ...]
    adds_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Idea:
    """What no released kernel can do, and what it would save: nothing to deploy."""

    policy: str
    title: str
    availability: Availability
    saves_bytes: int
    page_tables_bytes: int
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of the host that could refuse the segments as written: ``need`` against ``value``, in ``unit``.

    ``source`` says where ``value`` is from, ``concerns`` which memory the limit is about.
    """

    name: str
    unit: str  # bytes | pages
    need: int
    value: int
    source: str
    concerns: str

    @property
    def enough(self) -> bool:
        """Whether it lets the segments pass."""
        return self.value >= self.need


@dataclass(frozen=True, slots=True)
class Recommendations:
    """Everything `ptcalc recommend` knows about one workload; ``advice`` has the best saving first.

    ``start`` is the code to start with: the easiest setting whose saving is within 1 % of the best, ``as-written`` if
    nothing helps.  ``rejected`` are (code, reason): what was evaluated or considered and does not help.
    """

    name: str
    file: str
    arch: str
    kernel: str
    processes: int
    as_written: Advice
    start: str
    advice: tuple[Advice, ...]
    ideas: tuple[Idea, ...]
    limits: tuple[Limit, ...]
    rejected: tuple[tuple[str, str], ...]

    def find(self, code: str) -> Advice:
        """Return the advice of that code; KeyError if there is none."""
        for advice in (*self.advice, self.as_written):
            if advice.code == code:
                return advice
        raise KeyError(code)
