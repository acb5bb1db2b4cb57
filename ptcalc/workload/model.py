"""What a workload is: frozen dataclasses, one for each mapping of the file (contract section 1).

All sizes, offsets and addresses are integers, bytes.  Defaults that depend on the machine stay None and are
filled in where they are used.  `schema` says what each field accepts, `checks` what several must agree on;
both are applied by `load`, which is the way to make a workload.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, NamedTuple

from ptcalc import arch
from ptcalc.arch import Geometry, kernels
from ptcalc.errors import InputError
from ptcalc.result import Assumption
from ptcalc.workload.measured import Counters, read_counters
from ptcalc.workload.source import Path, Positions

if TYPE_CHECKING:
    from ptcalc.workload.events import Event

Sharing = Literal["allow", "never"]
Form = Literal["all", "none", "amount", "every", "ranges"]
Pattern = Literal["scattered", "contiguous", "clustered"]
Locked = Literal["no", "yes", "on_fault"]  # mlock2: VM_LOCKED, and with VM_LOCKONFAULT
SecondLevel = Literal["none", "kvm", "vfio", "kvm+vfio"]


class Range(NamedTuple):
    """A part of a mapping: where it starts and how long it is, bytes."""

    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Touch:
    """One form of ``touch``: which base pages of the mapping one process accesses.

    ``form`` tells which fields count: ``amount`` (``amount``, bytes or a share of the mapping as a Fraction,
    or ``pages``, with ``pattern``, ``cluster`` and ``overlap``), ``every`` (``step``, ``start``, ``length``),
    ``ranges``, or none of them for ``all`` and ``none``.
    """

    form: Form
    amount: int | Fraction | None = None
    pages: int | None = None
    written_pattern: Pattern | None = None
    cluster: int | None = None
    overlap: Literal["independent", "same"] = "independent"
    step: int | None = None
    start: int = 0
    length: int | None = None
    ranges: tuple[Range, ...] = ()

    @property
    def pattern(self) -> Pattern:
        """How an amount lies in the mapping; scattered if the file does not say."""
        return self.written_pattern or "scattered"

    @property
    def amount_only(self) -> bool:
        """Whether the file says how much is touched and not in which pattern."""
        return self.form == "amount" and self.written_pattern is None


EVERY_PAGE = (Touch("all"),)
NO_PAGE = (Touch("none"),)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A part of a segment as each process of a group maps it; ``length`` None is the rest of the segment."""

    segment: str
    offset: int = 0
    length: int | None = None
    address: int | None = None
    alignment: int | None = None
    placement: Literal["same", "independent"] = "same"
    map: Literal["shared", "private"] = "shared"
    protection: Literal["none", "r", "rw", "rx", "rwx"] = "rw"
    madvise: Literal["none", "hugepage", "nohugepage"] = "none"
    written_touch: tuple[Touch, ...] | None = None
    written_access: Literal["read", "write"] | None = None
    page_table_sharing: Sharing = "allow"
    softdirty: bool = False
    locked: Locked = "no"
    userfaultfd: Literal["none", "missing", "wp", "minor"] = "none"
    second_level: SecondLevel = "none"
    guest_address: int | None = None
    written_guest_touch: tuple[Touch, ...] | None = None

    @property
    def guest_touch(self) -> tuple[Touch, ...]:
        """What the guest accesses of it; if the file does not say, what the mapping touches."""
        return self.touch if self.written_guest_touch is None else self.written_guest_touch

    @property
    def touch(self) -> tuple[Touch, ...]:
        """What is touched, a union; if the file does not say, every page, with protection none no page.

        Who locks memory touches all of it (mm/gup.c:__mm_populate), as far as it may be accessed.
        """
        if self.locked == "yes" and self.protection != "none":
            return EVERY_PAGE
        if self.written_touch is None:
            return NO_PAGE if self.protection == "none" else EVERY_PAGE
        return self.written_touch

    @property
    def touch_stated(self) -> bool:
        """Whether the file says what is touched."""
        return self.written_touch is not None or self.locked == "yes"

    @property
    def access(self) -> Literal["read", "write"]:
        """How pages are touched; if the file does not say, by writes where the protection allows them."""
        return self.written_access or ("write" if "w" in self.protection else "read")


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """Processes that look alike; sizes are those of each one, ``private_cap`` that of all together."""

    count: int
    scale: Literal["proportional", "fixed"] = "proportional"
    threads: int = 1
    private: int = 0
    private_cap: int | None = None
    base_tables: int | None = None
    page_table_sharing: Sharing = "allow"
    oom_score_adj: int = 0  # /proc/PID/oom_score_adj of each one
    mappings: tuple[Mapping, ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """Memory that processes map; ``resident`` None is all for shmem and hugetlb, else touched.

    ``per`` names a group for each process of which there is one such segment; all amounts are those of one of them.
    """

    size: int
    backing: Literal["shmem", "file", "hugetlb", "private"]
    pieces: int | None = None
    page_size: int | None = None
    on_short_pool: Literal["fail", "small", "mixed"] = "fail"
    thp: Literal["never", "always", "within_size", "advise"] = "never"
    resident: str | int | None = None
    locked: bool = False
    per: str | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """The machine; None stands for a default that depends on the rest (contract section 1)."""

    memory: int
    mem_total: int | None = None
    arch: str = "x86_64"
    kernel: str | None = None
    swap: int = 0
    used: int | None = None
    hugepages: dict[int, int] | None = None
    cgroup_limit: int | None = None
    numa_nodes: int = 1


@dataclass(frozen=True, slots=True)
class Workload:
    """What the user wrote.

    ``positions`` says where each value stands, ``assumptions`` which defaults were applied that matter; ``events`` is
    what happens after the beginning, which only `ptcalc timeline` follows.
    """

    version: int
    name: str
    host: Host
    segments: dict[str, Segment]
    processes: dict[str, ProcessGroup]
    positions: Positions
    assumptions: tuple[Assumption, ...] = ()
    geometries: MappingOf[str, Geometry] = field(default_factory=dict)  # of the user's own, by name
    events: tuple[Event, ...] = ()

    @property
    def kernel(self) -> kernels.Kernel:
        """The kernel version, by default the newest known.  Raises ValueError for one that is not known."""
        return kernels.parse(self.host.kernel or kernels.NEWEST_TEXT)

    @property
    def geometry(self) -> Geometry:
        """The page tables of its architecture and kernel.  Raises UnknownArch, or ValueError for the kernel."""
        return arch.get(self.host.arch, self.geometries).at(self.kernel.version)

    @property
    def counters(self) -> Counters | None:
        """The counters of the system that the file was captured from.  Raises InputError where that is damaged."""
        return read_counters(self.positions)

    def copies(self, segment: str) -> int:
        """Return how many such segments there are: one, or one for each process of a group (a number of scenarios)."""
        per = self.segments[segment].per
        return 1 if per is None else self.processes[per].count

    @property
    def file(self) -> str:
        """Name of the file, as given."""
        return self.positions.file

    def stated(self, path: Path) -> bool:
        """Whether the value at `path` (keys and list indices) is written in the file."""
        return self.positions.stated(path)

    def error(
        self, path: Path, message: str, *, accepted: str | None = None, suggestion: str | None = None
    ) -> InputError:
        """Return an error that names the value at `path` and points at it."""
        error = InputError(f"{self.positions.dotted(path)}: {message}", accepted=accepted, suggestion=suggestion)
        return self.positions.error(path, error)
