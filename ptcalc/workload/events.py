"""What happens over time: the entries of `events` in a workload file, one dataclass for each kind.

Frozen and plain, as `ptcalc.workload.model`: sizes, offsets and addresses are bytes, times are seconds since the
beginning.  docs/timeline.md says what each event means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from ptcalc.workload.model import Locked, Pattern, Sharing, Touch
from ptcalc.workload.source import Path

Protection = Literal["none", "r", "rw", "rx", "rwx"]
Advice = Literal["dontneed", "free", "cold", "pageout", "collapse", "hugepage", "nohugepage"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The processes that an event is about: ``count`` of a group (None: all), or those of a ``label``.

    ``name`` (key ``as``) labels them for later events; empty: no label.
    """

    group: str
    count: int | None = None
    label: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a mapping: its place in the group's list, and the bytes start <= offset < start + length of it."""

    mapping: int
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Start:
    """New processes, which touch what the file says unless ``touch`` is "none"."""

    who: Chosen
    touch: Literal["written", "none"] = "written"


@dataclass(frozen=True, slots=True)
class Fork:
    """Children of one process of the group; ``who.count`` is their number, ``into`` the group that counts them."""

    who: Chosen
    into: str


@dataclass(frozen=True, slots=True)
class Exit:
    """Processes end."""

    who: Chosen


@dataclass(frozen=True, slots=True)
class TouchMore:
    """Pages of a mapping are accessed; ``access`` None: by writes where the protection allows them."""

    who: Chosen
    mapping: int
    touch: tuple[Touch, ...]
    access: Literal["read", "write"] | None = None


@dataclass(frozen=True, slots=True)
class Grow:
    """From here on ``rate`` more (bytes, or a share of the mapping) is touched in each hour, up to ``until``."""

    who: Chosen
    mapping: int
    rate: int | Fraction
    until: int | Fraction
    pattern: Pattern = "contiguous"
    cluster: int | None = None
    overlap: Literal["independent", "same"] = "independent"


@dataclass(frozen=True, slots=True)
class Mprotect:
    """A part changes its protection; ``window``: the mshare window itself is meant."""

    who: Chosen
    part: Part
    protection: Protection
    window: bool = False


@dataclass(frozen=True, slots=True)
class Munmap:
    """A part is unmapped."""

    who: Chosen
    part: Part
    window: bool = False


@dataclass(frozen=True, slots=True)
class Mremap:
    """A part is moved to an address."""

    who: Chosen
    part: Part
    address: int
    window: bool = False


@dataclass(frozen=True, slots=True)
class Madvise:
    """Advice is given for a part."""

    who: Chosen
    part: Part
    advice: Advice


@dataclass(frozen=True, slots=True)
class Punch:
    """A hole is punched into a segment (fallocate(FALLOC_FL_PUNCH_HOLE), MADV_REMOVE)."""

    segment: str
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Truncate:
    """A segment becomes ``size`` bytes short."""

    segment: str
    size: int


@dataclass(frozen=True, slots=True)
class Userfaultfd:
    """A part is registered with userfaultfd; ``mode`` "none": unregistered."""

    who: Chosen
    part: Part
    mode: Literal["none", "missing", "wp", "minor"]


@dataclass(frozen=True, slots=True)
class Softdirty:
    """Soft-dirty tracking of a part begins or ends."""

    who: Chosen
    part: Part
    on: bool


@dataclass(frozen=True, slots=True)
class Mlock:
    """A part is locked in memory, which touches all of it (``on_fault``: does not), or is no longer."""

    who: Chosen
    part: Part
    locked: Locked


@dataclass(frozen=True, slots=True)
class Switch:
    """Page-table sharing is switched for processes (``mapping`` None) or for one of their mappings."""

    who: Chosen
    mapping: int | None
    sharing: Sharing


@dataclass(frozen=True, slots=True)
class WriteProtect:
    """Pages of a segment become read-only, or writable again, at the level of the file system."""

    segment: str
    start: int
    length: int
    on: bool


@dataclass(frozen=True, slots=True)
class Pressure:
    """Memory pressure; ``amount`` bytes are wanted, None: as much as there is."""

    amount: int | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Nothing happens but the passing of time."""


Action = (
    Start | Fork | Exit | TouchMore | Grow | Mprotect | Munmap | Mremap | Madvise | Punch | Truncate | Userfaultfd
    | Softdirty | Mlock | Switch | WriteProtect | Pressure | Mark
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the list: what happens, when (seconds), and where it stands in the file.

    ``refault``: pages that lose their tables as a side effect and are still accessible are touched again at once.
    """

    action: Action
    at: Fraction = field(default=Fraction(0))
    name: str = ""
    refault: bool = True
    path: Path = ()
