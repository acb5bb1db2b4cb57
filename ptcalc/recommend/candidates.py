"""Changed workloads: what an administrator can do about page tables on a released kernel.

A candidate is a workload with other segments, mappings, counts or memory; the engine evaluates it like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from ptcalc.layout.plan import mapped_shared
from ptcalc.layout.rows import Layout
from ptcalc.recommend.advice import Kind
from ptcalc.risk.amounts import exact
from ptcalc.workload import Mapping, Segment, Workload

# Transparent huge pages of shmem: mm/shmem.c, commit 5a6e75f8110c (4.8).
SHMEM_THP_SINCE = (4, 8)
# A setting; a setting and a restart, one more for a reboot; pages that may not come; a change of programs; of the
# machine.
EFFORT: dict[Kind, int] = {
    "as-written": 0, "pool": 0, "hugetlb": 1, "thp": 3, "alignment": 10, "pooling": 20, "memory": 30,
}  # fmt: skip
# Of so many segments each one alone is a candidate; of more, all together.
MAX_ALONE = 8


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A change: what it is called, and the workload with it; ``page`` is the size of its huge pages (bytes).

    ``needs`` is what has to be done beside its settings, ``first`` the change that
    goes before it.
    """

    code: str
    kind: Kind
    title: str
    workload: Workload
    page: int = 0
    needs: tuple[str, ...] = ()
    first: Candidate | None = None

    @property
    def kinds(self) -> frozenset[Kind]:
        """What it and the change before it are."""
        return frozenset({self.kind} if self.first is None else {self.kind, self.first.kind})

    @property
    def effort(self) -> int:
        """How hard it is: a number to order by."""
        if self.first is not None:
            return self.first.effort + EFFORT[self.kind]
        reboot = self.kind == "hugetlb" and self.page > self.workload.geometry.pmd_size
        return EFFORT[self.kind] + reboot

    def followed_by(self, then: Candidate) -> Candidate:
        """Return both changes as one: `then` was made from this candidate's workload."""
        if self.kind == "as-written":
            return then
        return replace(
            then,
            code=f"{self.code}+{then.code}",
            title=f"{self.title}; {then.title}",
            page=self.page,
            needs=self.needs + then.needs,
            first=self,
        )


def pools(workload: Workload) -> Iterator[Candidate]:
    """Reserve exactly the huge pages that the segments need."""
    if workload.host.hugepages is not None:
        fitted = replace(workload, host=replace(workload.host, hugepages=None))
        yield Candidate("pool", "pool", "reserve exactly the huge pages that the segments need", fitted)


def hugetlb(workload: Workload) -> Iterator[Candidate]:
    """Move segments to hugetlb pages: all of them for each size, and each alone to those of the default size.

    Pieces smaller than the page stay where they are.  The default size comes first: it is the easiest to reserve.
    """
    geometry = workload.geometry
    default = geometry.default_huge_page
    for page in sorted(geometry.huge_pages, key=lambda size: (size != default, size)):
        movable = _movable(workload, page)
        if not movable:
            continue
        code, unit = f"hugetlb-{geometry.huge_page_name(page)}", exact(page)
        yield _moved(workload, movable, page, code, f"put {_listed(movable)} on huge pages of {unit}")
        if page == default and 1 < len(movable) <= MAX_ALONE:
            for name in movable:
                yield _moved(workload, (name,), page, f"{code}:{name}", f"put {name} alone on huge pages of {unit}")


def thp(workload: Workload) -> Iterator[Candidate]:
    """Switch transparent huge pages on for shmem."""
    geometry = workload.geometry
    if not geometry.has_file_thp or workload.kernel.version < SHMEM_THP_SINCE:
        return
    shared = mapped_shared(workload)
    names = tuple(
        name
        for name, segment in workload.segments.items()
        if segment.backing == "shmem"
        and segment.thp != "always"
        and name in shared
        and _piece(segment) >= geometry.thp_size
    )
    if names:
        segments = workload.segments | {name: replace(workload.segments[name], thp="always") for name in names}
        title = f"transparent huge pages of {exact(geometry.thp_size)} for {_listed(names)}"
        needs = (
            "a best case: the kernel uses base pages where it finds no free memory in pieces of that size",
            f"a restart of what maps {_listed(names)}: pages that are there already stay small",
        )
        yield Candidate("thp", "thp", title, replace(workload, segments=segments), geometry.thp_size, needs)


def alignment(workload: Workload, layout: Layout) -> Iterator[Candidate]:
    """Move every mapping to where a PMD table begins (an entry of a PUD table, on most architectures).

    A stated address goes up to the next boundary; where that would meet a neighbour, and where no address is stated,
    mappings get an alignment instead.
    """
    geometry = workload.geometry
    span = geometry.level("pmd").span if geometry.levels[-1].name != "pmd" and "pmd" in geometry.index else (
        geometry.pmd_size
    )  # fmt: skip
    unit = exact(span)
    wanted: dict[tuple[str, int], tuple[Mapping, int, int]] = {}
    for place in layout.places:
        mapping, segment = place.mapping, workload.segments[place.segment]
        rest = mapping.offset % _piece(segment) % geometry.thp_size if segment.backing != "hugetlb" else 0
        goal = -(-(place.address - rest) // span) * span + rest
        agree = mapping.placement == "independent" and (mapping.alignment or 0) < span
        if goal != place.address or agree:
            wanted[place.group_name, place.index] = (mapping, goal, rest)
    if not wanted:
        return
    stated = all(mapping.address is not None for mapping, _, _ in wanted.values()) and _apart(layout, wanted)

    def moved(key: tuple[str, int], mapping: Mapping) -> Mapping:
        if key not in wanted:
            return mapping
        _, goal, rest = wanted[key]
        if stated:
            return replace(mapping, address=goal)
        return replace(mapping, address=None, alignment=None if rest else span)

    if stated:
        goals = dict.fromkeys((mapping.segment, mapping.address or 0, goal) for mapping, goal, _ in wanted.values())
        needs = [f"{name} at {goal:#x} in place of {old:#x}" for name, old, goal in list(goals)[:4]]
        needs += [f"and {len(goals) - 4} mappings more, at multiples of {unit}"] if len(goals) > 4 else []
    else:
        needs = [f"a hint to mmap or shmat, or a larger mapping to cut it from, at a multiple of {unit}"]
    groups = {
        name: replace(
            group, mappings=tuple(moved((name, at), mapping) for at, mapping in enumerate(group.mappings))
        )
        for name, group in workload.processes.items()
    }  # fmt: skip
    names = tuple(dict.fromkeys(mapping.segment for mapping, _, _ in wanted.values()))
    title = f"map {_listed(names)} at multiples of {unit}"
    yield Candidate("alignment", "alignment", title, replace(workload, processes=groups), needs=tuple(needs))


def pooling(workload: Workload, total: int) -> Candidate:
    """Fewer processes, so many in all: those groups that grow shrink in proportion."""
    groups = workload.processes
    whole = 1 << 60

    def at(factor: int) -> dict[str, int]:
        return {
            name: group.count * factor // whole if group.scale == "proportional" else group.count
            for name, group in groups.items()
        }

    counts = at(_last(whole, lambda factor: sum(at(factor).values()) <= total))
    changed = {name: replace(group, count=counts[name]) for name, group in groups.items()}
    fewer = ", ".join(
        f"{name} {group.count:,} to {counts[name]:,}" for name, group in list(groups.items())[:4]
        if counts[name] != group.count
    )  # fmt: skip
    return Candidate(
        "pooling", "pooling", f"no more than {total:,} processes", replace(workload, processes=changed),
        needs=(f"fewer processes: {fewer}", "a pool of connections (PgBouncer; Oracle shared servers or DRCP)"),
    )  # fmt: skip


def _last(end: int, holds: Callable[[int], bool]) -> int:
    """Return the largest number up to `end` for which `holds`, which is true for 0 and, once false, stays so."""
    low, high = 0, end + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _movable(workload: Workload, page: int) -> tuple[str, ...]:
    shared = mapped_shared(workload)
    # Tables of hugetlb with protection none are dropped by its sharers one by one: the loader refuses such mappings.
    dropped = {
        mapping.segment
        for group in workload.processes.values()
        for mapping in group.mappings
        if mapping.protection == "none" and any(touch.form != "none" for touch in mapping.touch)
    }
    default = workload.geometry.default_huge_page
    return tuple(
        name
        for name, segment in workload.segments.items()
        if _piece(segment) >= page
        and name not in dropped
        and (
            (segment.backing == "shmem" and name in shared)
            or (segment.backing == "hugetlb" and (segment.page_size or default) != page)
        )
    )


def too_large(workload: Workload) -> Iterator[int]:
    """Yield the sizes of huge pages that are larger than any piece of shared memory."""
    largest = max(
        (_piece(segment) for segment in workload.segments.values() if segment.backing in ("shmem", "hugetlb")),
        default=None,
    )
    if largest is not None:
        yield from (page for page in sorted(workload.geometry.huge_pages) if page > largest)


def _moved(workload: Workload, names: tuple[str, ...], page: int, code: str, title: str) -> Candidate:
    """Return the candidate that moves segments to hugetlb; pools of any size become what the segments need."""
    new = {
        name: replace(
            workload.segments[name], backing="hugetlb", page_size=page, thp="never", on_short_pool="fail"
        )
        for name in names
    }  # fmt: skip
    changed = replace(workload, segments=workload.segments | new, host=replace(workload.host, hugepages=None))
    return Candidate(code, "hugetlb", title, changed, page, (f"a restart of what maps {_listed(names)}",))


def _apart(layout: Layout, wanted: dict[tuple[str, int], tuple[Mapping, int, int]]) -> bool:
    """Return whether all mappings fit at their new addresses, none over another one of its process."""
    runs: dict[int, list[tuple[int, int]]] = {}
    for place in layout.places:
        _, start, _ = wanted.get((place.group_name, place.index), (None, place.address, 0))
        runs.setdefault(place.group, []).append((start, start + place.length))
    for found in runs.values():
        found.sort()
        if any(end > start for (_, end), (start, _) in pairwise(found)):
            return False
        if found[-1][1] > layout.geometry.task_size:
            return False
    return True


def _piece(segment: Segment) -> int:
    return min(segment.pieces or segment.size, segment.size)


def _listed(names: tuple[str, ...]) -> str:
    """Return at most three names, and how many more there are."""
    more = f" and {len(names) - 3} segments more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
