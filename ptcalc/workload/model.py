"""What a workload is: frozen pydantic models, one for each mapping of the file (contract section 1).

Here are the keys, the types, the bounds of each value alone, and the defaults.  What several values must agree on is
in `checks`; defaults that depend on the machine stay None and are filled in where they are used.  All sizes, offsets
and addresses are integers, bytes.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    model_validator,
)

from ptcalc.errors import InputError, quote
from ptcalc.result import Assumption
from ptcalc.workload.sizes import (
    MAX_COUNT,
    kind_of,
    parse_address,
    parse_amount,
    parse_count,
    parse_share,
    parse_size,
)
from ptcalc.workload.source import Path, Positions

MAX_NAME = 100
MAX_NODES = 1024  # 1 << CONFIG_NODES_SHIFT of the largest kernels
TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
TOUCHES = "all, none, 24%, 72 GiB, {amount: …}, {pages: …}, {every: …}, {ranges: […]}, or a list of these"


def _positive(value: object) -> int:
    return parse_size(value, least=1)


def _count(value: object) -> int:
    return parse_count(value, least=1, most=MAX_COUNT)


def _nodes(value: object) -> int:
    return parse_count(value, least=1, most=MAX_NODES)


def _alignment(value: object) -> int:
    return parse_address(value, least=1, accepted="a power of two such as 2 MiB or 0x200000")


def _shown(value: object) -> str:
    return quote(value) if isinstance(value, str) else kind_of(value)


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in TRUTH:
        return TRUTH[value]
    raise InputError(f"{_shown(value)} is neither true nor false", accepted="true or false")


def _name(value: object) -> str:
    accepted = f"a text of 1 to {MAX_NAME} characters"
    if not isinstance(value, str):
        raise InputError(f"{kind_of(value)} stands here", accepted=accepted)
    if not 1 <= len(value) <= MAX_NAME:
        raise InputError(f"a name of {len(value):,} characters", accepted=accepted)
    return value


def _resident(value: object) -> str | int:
    if isinstance(value, str) and value in ("all", "touched"):
        return value
    return parse_size(value, accepted="all, touched, or a size such as 72 GiB")


def _version(value: object) -> int:
    if value in ("1", 1) and not isinstance(value, bool):
        return 1
    raise InputError(f"{_shown(value)} is no version that this ptcalc reads", accepted="1")


Size = Annotated[int, PlainValidator(parse_size)]
PositiveSize = Annotated[int, PlainValidator(_positive)]
Place = Annotated[int, PlainValidator(parse_address)]
Alignment = Annotated[int, PlainValidator(_alignment)]
Amount = Annotated[int | Fraction, PlainValidator(parse_amount)]
Whole = Annotated[int, PlainValidator(parse_count)]
Count = Annotated[int, PlainValidator(_count)]
Nodes = Annotated[int, PlainValidator(_nodes)]
Truth = Annotated[bool, PlainValidator(_truth)]
Name = Annotated[str, PlainValidator(_name)]
Resident = Annotated[str | int, PlainValidator(_resident)]
Version = Annotated[int, PlainValidator(_version)]
Sharing = Literal["allow", "never"]


class Model(BaseModel):
    """What all have in common: frozen, no unknown keys, the schema built once, with `Workload`."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Range(NamedTuple):
    """A part of a mapping: where it starts and how long it is, bytes."""

    start: Place
    length: PositiveSize


def _range(value: Any) -> Any:
    if isinstance(value, (dict, Range)):
        return value
    raise InputError(f"{_shown(value)} stands here", accepted="{start: 0, length: 2 MiB}")


class Touch(Model):
    """One form of ``touch``: which base pages of the mapping one process accesses.

    ``form`` tells which fields count: ``amount`` (``amount`` or ``pages``, with ``pattern``, ``cluster`` and
    ``overlap``), ``every`` (``step``, ``start``, ``length``), ``ranges``, or none for ``all`` and ``none``.
    """

    form: Literal["all", "none", "amount", "every", "ranges"]
    amount: Amount | None = None
    pages: Whole | None = None
    pattern: Literal["scattered", "contiguous", "clustered"] = "scattered"
    cluster: PositiveSize | None = None
    overlap: Literal["independent", "same"] = "independent"
    step: PositiveSize | None = Field(default=None, validation_alias="every")
    start: Place = 0
    length: PositiveSize | None = None
    ranges: tuple[Annotated[Range, BeforeValidator(_range)], ...] = Field(default=(), min_length=1)

    @property
    def amount_only(self) -> bool:
        """Whether the file says how much is touched and not in which pattern."""
        return self.form == "amount" and "pattern" not in self.model_fields_set

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str):
            text = value.strip()
            if text in ("all", "none"):
                return {"form": text}
            return {"form": "amount", "amount": _short(text)}
        if isinstance(value, (int, Fraction)) and not isinstance(value, bool):
            return {"form": "amount", "amount": value}
        if not isinstance(value, dict):
            if isinstance(value, Touch):
                return value
            raise InputError(f"{kind_of(value)} stands here", accepted=TOUCHES)
        if "form" in value:
            raise InputError("unknown key 'form'", accepted=TOUCHES)
        return {**value, "form": _form(value)}


# Which keys may stand beside the one that names the form.
_KEYS = {
    "amount": ("pattern", "cluster", "overlap"),
    "pages": ("pattern", "cluster", "overlap"),
    "every": ("start", "length"),
    "ranges": (),
}


def _short(text: str) -> int | Fraction:
    try:
        return parse_share(text) if text.endswith("%") else parse_size(text)
    except InputError as error:
        raise InputError(error.message, accepted=f"{error.accepted or ''}; as touch: {TOUCHES}") from None


def _form(value: dict[Any, Any]) -> str:
    """Name the form of a touch that is written as a mapping; its keys must belong together."""
    known = {*_KEYS, *(key for keys in _KEYS.values() for key in keys)}
    if not known.issuperset(value):
        return "none"  # unknown keys, which pydantic refuses by name
    leading = [key for key in _KEYS if key in value]
    if len(leading) != 1:
        found = f"{' and '.join(leading)} stand together" if leading else "a touch that does not say how much"
        raise InputError(found, accepted=f"one of {', '.join(_KEYS)}; {TOUCHES}")
    lead = leading[0]
    strange = [key for key in value if key != lead and key not in _KEYS[lead]]
    if strange:
        others = f"only {', '.join(_KEYS[lead])}" if _KEYS[lead] else "nothing else"
        raise InputError(f"{strange[0]} does not go with {lead}", accepted=f"beside {lead}: {others}")
    if lead not in ("amount", "pages"):
        return lead
    pattern = value.get("pattern", "scattered")
    if pattern == "clustered" and "cluster" not in value:
        raise InputError(
            "pattern: clustered without a cluster", accepted="cluster: 1 MiB (the size of a run) beside it"
        )
    if "cluster" in value and pattern != "clustered":
        raise InputError("a cluster without pattern: clustered", accepted="pattern: clustered beside it")
    if "overlap" in value and pattern == "contiguous":
        raise InputError(
            "overlap does not go with pattern: contiguous", accepted="overlap beside a random pattern"
        )
    return "amount"


def _touches(value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        return (value,)
    if not value:
        raise InputError("an empty list stands here", accepted=TOUCHES)
    return value


def _default_touch(data: dict[str, Any]) -> tuple[Touch, ...]:
    return (Touch.model_construct(form="none" if data.get("protection") == "none" else "all"),)


def _default_access(data: dict[str, Any]) -> str:
    return "write" if "w" in data.get("protection", "rw") else "read"


class Mapping(Model):
    """A part of a segment as each process of a group maps it.

    ``length`` None is the rest of the segment; ``touch`` and ``access`` hold their defaults if not written.
    """

    segment: Name
    offset: Place = 0
    length: PositiveSize | None = None
    address: Place | None = None
    alignment: Alignment | None = None
    placement: Literal["same", "independent"] = "same"
    map: Literal["shared", "private"] = "shared"
    protection: Literal["none", "r", "rw", "rx", "rwx"] = "rw"
    madvise: Literal["none", "hugepage", "nohugepage"] = "none"
    touch: Annotated[tuple[Touch, ...], BeforeValidator(_touches)] = Field(default_factory=_default_touch)
    access: Literal["read", "write"] = Field(default_factory=_default_access)
    page_table_sharing: Sharing = "allow"
    softdirty: Truth = False
    userfaultfd: Literal["none", "missing", "wp", "minor"] = "none"

    @property
    def touch_stated(self) -> bool:
        """Whether the file says what is touched."""
        return "touch" in self.model_fields_set


class ProcessGroup(Model):
    """Processes that look alike; sizes are those of each one, ``private_cap`` that of all together."""

    count: Count
    scale: Literal["proportional", "fixed"] = "proportional"
    threads: Count = 1
    private: Size = 0
    private_cap: PositiveSize | None = None
    base_tables: Size | None = None
    page_table_sharing: Sharing = "allow"
    mappings: tuple[Mapping, ...] = ()


class Segment(Model):
    """Memory that processes map; ``resident`` None is all for shmem and hugetlb, touched for file and private."""

    size: PositiveSize
    pieces: PositiveSize | None = None
    backing: Literal["shmem", "file", "hugetlb", "private"]
    page_size: PositiveSize | None = None
    on_short_pool: Literal["fail", "small", "mixed"] = "fail"
    thp: Literal["never", "always", "within_size", "advise"] = "never"
    resident: Resident | None = None
    locked: Truth = False


class Host(Model):
    """The machine; None stands for a default that depends on the rest (contract section 1)."""

    memory: PositiveSize
    mem_total: PositiveSize | None = None
    arch: Name = "x86_64"
    kernel: Name | None = None
    swap: Size = 0
    used: Size | None = None
    hugepages: dict[PositiveSize, Whole] | None = None
    cgroup_limit: PositiveSize | None = None
    numa_nodes: Nodes = 1


class Workload(Model):
    """What the user wrote, with all that can be checked before addresses are laid out checked by `load`."""

    version: Version
    name: Name
    host: Host
    segments: dict[Name, Segment] = Field(default_factory=dict)
    processes: dict[Name, ProcessGroup] = Field(min_length=1)

    _positions: Positions = PrivateAttr(default_factory=Positions)
    _assumptions: tuple[Assumption, ...] = PrivateAttr(default=())

    @property
    def file(self) -> str:
        """Name of the file, as given; empty for a workload made by a program."""
        return self._positions.file

    @property
    def positions(self) -> Positions:
        """Where each value stands in the file."""
        return self._positions

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """Defaults that were applied and that matter."""
        return self._assumptions

    def stated(self, path: Path) -> bool:
        """Whether the value at `path` (keys and list indices) is written in the file."""
        return self._positions.stated(path)

    def error(self, path: Path, message: str, *, accepted: str | None = None) -> InputError:
        """Return an error that points at the value at `path`."""
        return self._positions.error(path, InputError(message, accepted=accepted))
