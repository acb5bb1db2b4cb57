"""The state of processes with one history: VMAs, the pages that they use, the tables that they have.

Immutable: what an event leaves is another value.  VMAs and pages lie on the axis of the addresses at which the file
maps them; a VMA that was moved says by how much.  Hooks lie on the addresses of now.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ptcalc.engine.covers import BLOCKS
from ptcalc.timeline.runs import Run
from ptcalc.workload.intervals import Intervals


class Vma(NamedTuple):
    """Attributes of a part of a mapping; ``row`` is its row in the layout, in whose terms numbers are.

    ``copied``: has private pages (an anon_vma).  ``outside``: has left what its policy shares by joining (mshare), or
    does not fit there (MAP_SHARED_PT).
    ``rank``, of hugetlb: where it stands among the VMAs that begin at one place of the file (see
    `ptcalc.timeline.hugetlb`); no two of a process are equal, so that what was split is never merged again.
    """

    row: int
    moved: int
    protection: int
    madvise: int
    uffd: int
    softdirty: bool
    allow: bool
    copied: bool = False
    outside: bool = False
    locked: int = 0  # by its place in `layout.rows.LOCKED`
    rank: tuple[int, ...] = ()


EACH = -1


class Key(NamedTuple):
    """Which set of shared tables: level, what policies tell sets apart by, and the file it is of (-1: a region).

    ``copy`` tells equal tables of hugetlb apart, whose ``name`` says how they were made and not how they are found now;
    EACH: tables that others may find, of which each process that hooks the set has one by itself.
    """

    place: int
    name: tuple[int, ...]
    file: int
    region: int = -1  # segment of the region whose host mm has the tables
    copy: int = 0


class Scope(NamedTuple):
    """A set of shared tables as one VMA hooks it: its table 0 is table ``shift`` of the process."""

    key: Key
    shift: int


class Hook(NamedTuple):
    """Tables lo <= index < hi (by address) that a run reaches; ``scope`` None: the process's own.

    ``times``: for role BLOCKS, how many processes of another kind took them away.
    """

    run: Run
    lo: int
    hi: int
    scope: Scope | None
    role: int
    times: int = 0


class Left(NamedTuple):
    """Tables of a set that a process has used and may use again: lo and hi on the axis of the set."""

    key: Key
    run: Run
    lo: int
    hi: int
    shift: int
    role: int
    times: int = 0


Touched = tuple[tuple[int, Run], ...]  # runs with the rows that they lie in
Hooks = tuple[tuple[Hook, ...], ...]  # level by level, from the PTE level up


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """``used``: runs of pages that are in use, by address as mapped; ``fixed``: tables that exist whatever is touched.

    ``unmapped``: pages in use that have lost their entry, with a table or a leaf, until they are touched again.

    ``guest``: what the guest has touched whose memory it maps; None if there is no guest.

    ``inside``: what it reaches in regions, level by level, on the regions' axes.  ``figures`` keeps what was computed.
    """

    group: int
    vmas: Intervals[Vma]
    used: Intervals[tuple[Run, ...]]
    hooks: Hooks
    inside: Hooks = ()
    left: tuple[Left, ...] = ()
    growth: tuple[int, ...] = ()  # numbers of the events since which it touches more and more
    fixed: tuple[int, ...] = ()
    grown: int = 0
    unmapped: Intervals[bool] = field(default_factory=Intervals)
    guest: Touched | None = None
    figures: dict[str, object] = field(default_factory=dict, compare=False, repr=False)

    def __eq__(self, other: object) -> bool:
        """Tell whether nothing can tell the two apart."""
        if self is other:
            return True
        if not isinstance(other, Life):
            return NotImplemented
        return (self.group, self.vmas, self.used, self.unmapped, self.left, self.growth, self.fixed, self.guest) == (
            other.group,
            other.vmas,
            other.used,
            other.unmapped,
            other.left,
            other.growth,
            other.fixed,
            other.guest,
        ) and all(map(_alike, (*self.hooks, *self.inside), (*other.hooks, *other.inside)))

    def __hash__(self) -> int:
        return hash((self.group, self.vmas))


def _alike(mine: tuple[Hook, ...], theirs: tuple[Hook, ...]) -> bool:
    return mine == theirs or set(mine) == set(theirs)


def mode(hooks: tuple[Hook, ...]) -> Intervals[Scope | str]:
    """Return in which scope a process has tables, by index; "own" where they are its own."""
    found: Intervals[Scope | str] = Intervals()
    for hook in hooks:
        if hook.role != BLOCKS:
            value = hook.scope or "own"
            found = found.changed(hook.lo, hook.hi, lambda old: old, fill=value)
    return found


def without(hooks: tuple[Hook, ...], lo: int, hi: int) -> tuple[Hook, ...]:
    """Return the hooks less the tables lo <= index < hi."""
    out = []
    for hook in hooks:
        if hook.hi <= lo or hook.lo >= hi:
            out.append(hook)
            continue
        if hook.lo < lo:
            out.append(hook._replace(hi=lo))
        if hook.hi > hi:
            out.append(hook._replace(lo=hi))
    return tuple(out)
