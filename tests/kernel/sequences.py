"""Random sequences of events that the running kernel can follow, from a seed.

Each is a layout and a list of events.  The slow model (`tests/reference`) goes along while they are drawn, so that only
what is possible is drawn: what is mapped, what may be accessed, where room is.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import ptcalc
from ptcalc.workload import events as ev
from ptcalc.workload.model import Range
from ptcalc.workload.model import Touch as TouchForm
from tests.reference.census import conserve, vmpte_of
from tests.reference.events import Machine
from tests.reference.policies import makes_huge
from tests.reference.process import Piece, Process
from tests.reference.touching import Access

from .layouts import BASE, GIB, MIB, PAGE, SLOT, Group, Layout, Mapping, Segment

MOST = 8  # processes at a time
HUGE = 2 * MIB


@dataclass
class Sequence:
    """A layout, the events, and per step (0 is the beginning) the calls and VmPTE of every process."""

    layout: Layout
    events: list[ev.Event] = field(default_factory=list)
    steps: list[list[tuple[Any, ...]]] = field(default_factory=list)
    vmpte: list[dict[int, int]] = field(default_factory=list)
    tables: list[int] = field(default_factory=list)  # of all processes together

    def note(self, machine: Machine) -> None:
        """Write down what a model has come to."""
        self.steps.append(machine.calls)
        machine.calls = []
        conserve(machine)
        self.vmpte.append({p.number: vmpte_of(machine, p) for p in machine.processes})
        self.tables.append(len(machine.all_tables()))

    def take(self, machine: Machine, event: ev.Event) -> None:
        """Let an event happen."""
        self.events.append(event)
        machine.run(event)
        self.note(machine)

    def shows(self, step: int, readings: dict[str, int]) -> bool:
        """Whether VmPTE of each process reads as predicted."""
        return {int(process): size for process, size in readings.items()} == self.vmpte[step]


def base_pages(rng: random.Random) -> Layout:
    """Segments of all kinds in base pages, mapped beside one another across borders of tables."""
    kinds = ("memfd", "memfd", "private", "anonymous", "file", "memfd")
    segments = {}
    for name in "abc"[: rng.randint(1, 3)]:
        kind = rng.choice(kinds)
        segments[name] = Segment(kind, rng.randrange(300, 2600) * PAGE, fill=kind == "file")
    groups = {}
    for name in "xy"[: rng.randint(1, 2)]:
        row = []
        address = BASE + rng.choice((0, GIB, SLOT)) + rng.choice((-1, 0, 1)) * rng.choice((PAGE, MIB, 2 * MIB, 3 * MIB))
        for _ in range(rng.randint(1, 4)):
            chosen = rng.choice(sorted(segments))
            size = segments[chosen].size
            offset = 0 if segments[chosen].kind == "private" else rng.choice((0, 0, PAGE, MIB))
            length = min(size - offset, rng.choice((size, size, MIB, 2 * MIB, 5 * PAGE)))
            row.append(any_mapping(rng, segments[chosen], chosen, address, length, offset))
            address += length + rng.choice((0, 0, 0, PAGE, MIB, 2 * MIB))
        groups[name] = Group(tuple(row), rng.choice((1, 2, 3)))
    return of("base", segments, groups)


def any_mapping(
    rng: random.Random, segment: Segment, name: str, address: int, length: int, offset: int, **more: Any
) -> Mapping:
    """Draw the attributes of a mapping."""
    private = segment.kind == "private" or rng.random() < 0.2
    return Mapping(
        name,
        address,
        length,
        offset=offset,
        touch=rng.choice(("all", "none", {"every": 3 * PAGE}, {"every": HUGE}, {"pages": 3, "pattern": "contiguous"})),
        map="private" if private else "shared",
        protection=rng.choice(("rw", "rw", "rw", "r")),
        access=rng.choice((None, None, "read")),
        **more,
    )


def huge_tmpfs(rng: random.Random) -> Layout:
    """A tmpfs with huge pages."""
    size = rng.choice((6 * MIB, 8 * MIB, 7 * MIB + PAGE))
    groups = {}
    for name in "xy"[: rng.randint(1, 2)]:
        row = []
        address = BASE + rng.choice((0, GIB - 2 * MIB)) + rng.choice((0, 0, 0, MIB, PAGE))
        cut = rng.choice((size, size, 4 * MIB, 3 * MIB, 2 * MIB + PAGE))
        for start, end in ((0, cut), (cut, size)):
            if start < end:
                segment = Segment("tmpfs", size)
                row.append(any_mapping(rng, segment, "s", address + start, end - start, start))
        groups[name] = Group(tuple(row), rng.choice((1, 2, 3)))
    return of("tmpfs", {"s": Segment("tmpfs", size, huge="always", fill=rng.random() < 0.7)}, groups)


def huge_private(rng: random.Random) -> Layout:
    """Private memory with huge pages."""
    size = rng.choice((6 * MIB, 5 * MIB, 4 * MIB + PAGE))
    segment = Segment("private", size, huge="always")
    shifts = (0, 0, MIB, PAGE)
    mappings = tuple(
        any_mapping(rng, segment, "s", BASE + n * 8 * MIB + rng.choice(shifts), size, 0, madvise="hugepage")
        for n in range(rng.randint(1, 2))
    )
    return of("private", {"s": segment}, {"x": Group(mappings, rng.choice((1, 2)))})


def hugetlb(rng: random.Random) -> Layout:
    """Huge pages whose PMD tables processes share: few pages of large mappings."""
    groups = {}
    for name in "xyz"[: rng.randint(1, 3)]:
        row = []
        for slot in rng.sample(range(3), rng.choice((1, 1, 2))):
            half = rng.choice((0, 0, 0, 1, 2))
            length = rng.randint(1, 8 - half) * 512 * MIB
            address = BASE + slot * SLOT + half * 512 * MIB + rng.choice((0, 0, 0, 0, 512 * MIB, 2 * MIB))
            row.append(
                Mapping(
                    "s",
                    address,
                    length,
                    offset=half * 512 * MIB,
                    touch=rng.choice(({"every": 512 * MIB}, {"every": GIB}, "none")),
                    map=rng.choice(("shared", "shared", "shared", "shared", "private")),
                    protection=rng.choice(("rw", "rw", "rw", "r")),
                )
            )
        groups[name] = Group(tuple(row), rng.choice((1, 2, 3)))
    return of("hugetlb", {"s": Segment("hugetlb", 4 * GIB)}, groups)


def of(name: str, segments: dict[str, Segment], groups: dict[str, Group]) -> Layout:
    """A layout of those segments that are mapped."""
    used = {m.segment for group in groups.values() for m in group.mappings}
    return Layout(name, {n: s for n, s in segments.items() if n in used}, groups)


def proposals(rng: random.Random) -> Layout:
    """Memory that proposals would share: whole tables and ragged ones, with equal and other addresses."""
    size = rng.choice((2 * MIB, 4 * MIB, 6 * MIB, 5 * MIB + PAGE))
    groups = {}
    for name in "xyz"[: rng.randint(1, 3)]:
        offset = rng.choice((0, 0, 0, 2 * MIB, PAGE)) if size > 2 * MIB else 0
        address = BASE + offset + rng.choice((0, 0, 0, GIB - 2 * MIB, PAGE, 2 * MIB))
        touch = rng.choice(("all", "none", {"every": HUGE}, {"pages": 3, "pattern": "contiguous"}))
        kind = rng.choice(("shared", "shared", "shared", "private"))
        mapping = Mapping("s", address, size - offset, offset, touch, kind, rng.choice(("rw", "rw", "r")))
        groups[name] = Group((mapping,), rng.choice((1, 2, 3)))
    if rng.random() < 0.3:  # a whole GiB, few pages of it
        mapping = Mapping("s", BASE, GIB + 4 * MIB, 0, {"every": 256 * MIB}, "shared", "rw")
        groups["x"] = Group((mapping,), 2)
        size = GIB + 4 * MIB
    return of("proposals", {"s": Segment("memfd", size)}, groups)


KINDS: dict[str, tuple[Callable[[random.Random], Layout], str]] = {
    "base": (
        base_pages,
        "touch touch touch mprotect munmap dontneed cold pageout free mremap fork exit start punch truncate collapse",
    ),
    "tmpfs": (
        huge_tmpfs,
        "touch touch mprotect munmap dontneed mremap fork exit start punch truncate collapse nohugepage userfault",
    ),
    "locked": (
        base_pages,
        "touch mlock mlock mlock mprotect mprotect munmap dontneed cold pageout mremap fork exit start punch truncate",
    ),
    "private": (
        huge_private,
        "touch touch mprotect munmap dontneed free cold mremap fork exit start nohugepage hugepage collapse",
    ),
    # Never mremap of hugetlb: where the new place can share PMD tables, 6.18 locks itself up for ever, and all who read
    # the process in /proc (mm/hugetlb.c: move_hugetlb_page_tables holds i_mmap_lock_write, and huge_pte_alloc ->
    # huge_pmd_share takes it to read).  The rule for it is read in the source, and not measured.
    "hugetlb": (
        hugetlb,
        (
            "touch touch touch mprotect mprotect munmap dontneed fork exit start userfault nohugepage hugepage "
            "punch truncate"
        ),
    ),
}


# Those that no kernel can follow, or not this one: switches of proposals, soft-dirty, pressure, mremap of hugetlb, and
# registration for missing pages, which nobody brings.
BEYOND = {
    "proposals": (
        proposals,
        "touch touch mprotect munmap dontneed fork exit start punch collapse userfault softdirty sharing pressure",
    ),
    "tracked-hugetlb": (
        hugetlb,
        "touch touch mprotect munmap dontneed fork exit start userfault missing softdirty nohugepage punch mremap",
    ),
    "growing": (proposals, "grow grow touch mark mark fork exit start mprotect munmap dontneed punch sharing pressure"),
}


class Kernel(Machine):
    """The model under `today` where it depends on who comes first: whose fault brings 2 MiB of a file into memory
    decides whether they are a huge page, by its advice and by how its VMA lies (mm/shmem.c: shmem_suitable_orders).
    What a workload file says is the best case: one of those who touch is enough.
    """

    in_turn = True

    def __init__(self, workload: Any, layout: Layout) -> None:
        self.filled = {name for name, segment in layout.segments.items() if segment.kind == "tmpfs" and segment.fill}
        super().__init__(workload, "today")

    def _settings(self) -> None:
        super()._settings()
        for areas in self.layout.values():
            for area in areas:
                if area.file[0] in self.filled:
                    for chunk in range(-(-area.file_size // HUGE)):
                        self.rules.huge.add((area.file, chunk))
                        self.held[area.file, chunk] = set(range(chunk * 512, chunk * 512 + 512))

    def _touch(self, process: Process, area: Piece, place: int, write: bool) -> None:
        super()._touch(process, area, place, write)
        if area.backing == "hugetlb" and area.shared:
            chunk = place // HUGE
            self.held[area.file, chunk] = set(range(chunk * 512, chunk * 512 + 512))

    def decide(self, fresh: set[Any], accesses: list[Access]) -> None:
        """Let the first one decide."""
        for _, area, at, _, _ in accesses:
            if (area.file, at // HUGE) in fresh:
                fresh.discard((area.file, at // HUGE))
                va = (area.va + at - area.offset) // HUGE * HUGE
                inside = area.vma[0] <= va and va + HUGE <= area.vma[1]
                if makes_huge(area, at) and (area.va - area.offset) % HUGE == 0 and inside:
                    self.rules.huge.add((area.file, at // HUGE))


class Drawing:
    """Draws one sequence."""

    def __init__(self, kind: str, seed: int, length: int = 10) -> None:
        self.rng = random.Random(f"{kind} {seed}")
        make, names = (KINDS | BEYOND)[kind]
        layout = make(self.rng)
        self.page = HUGE if "hugetlb" in kind else PAGE
        self.kind, self.names = kind, names.split()
        self.workload = ptcalc.loads(layout.text())
        self.machine = Machine(self.workload, "today") if kind in BEYOND else Kernel(self.workload, layout)
        self.sequence = Sequence(layout)
        self.room = self.at = 0
        self.sequence.note(self.machine)
        for _ in range(length):
            self._draw()

    def _draw(self) -> None:
        tries = (getattr(self, "draw_" + self.rng.choice(self.names))() for _ in range(20))
        action = next((action for action in tries if action is not None), None)
        if action is not None:
            self.at += self.rng.choice((0, 2, 60, 600)) if "grow" in self.names else 0
            self.take(ev.Event(action, Fraction(self.at), refault=self.rng.random() < 0.7))

    def take(self, event: ev.Event) -> None:
        """Let an event happen."""
        self.sequence.take(self.machine, event)

    def who(self, most: int | None = None) -> tuple[ev.Chosen, list[Process]] | None:
        """Draw some processes of a group; return them as an event names them, and as they are."""
        rng = self.rng
        alive = self.machine.processes
        if not alive:
            return None
        group = rng.choice(sorted({p.group for p in alive}))
        fit = self.machine.fitting(ev.Chosen(group))
        labels = sorted({p.label for p in fit if p.label})
        label = rng.choice(labels) if labels and rng.random() < 0.5 else ""
        fit = [p for p in fit if not label or p.label == label]
        count = rng.choice((None, 1, 1, rng.randint(1, len(fit))))
        name = rng.choice(("", "", "", "odd", "other"))
        return ev.Chosen(group, count, label, name), fit if count is None else fit[:count]

    def part(self, group: str) -> ev.Part:
        """Draw a part of a mapping, with its edges near those of tables."""
        rng = self.rng
        number = rng.randrange(len(self.workload.processes[group].mappings))
        mapping = self.workload.processes[group].mappings[number]
        assert mapping.length is not None and mapping.address is not None
        pages = mapping.length // self.page
        big = (GIB if self.page == HUGE else HUGE) // self.page
        into = (mapping.address // self.page) % big
        edges = sorted({0, pages, *(e - into for e in range(0, pages + 2 * big, big) if 0 <= e - into <= pages)})
        start = rng.choice((0, rng.randrange(pages), rng.choice(edges)))
        end = rng.choice((pages, rng.randint(1, pages), rng.choice(edges), start + 1))
        start, end = min(start, end), max(start, end)
        start = min(start, pages - 1)
        return ev.Part(number, start * self.page, max(1, min(end, pages) - start) * self.page)

    def chosen(self) -> tuple[ev.Chosen, list[Process], ev.Part] | None:
        """Draw processes and a part that all of them still have."""
        found = self.who()
        if found is None:
            return None
        part = self.part(found[0].group)
        for process in found[1]:
            pieces = process.pieces(part.mapping, part.start, part.start + part.length)
            if sum(high - low for _, low, high in pieces) < part.length:
                return None
        return found[0], found[1], part

    def pieces(self, processes: list[Process], part: ev.Part) -> list[Piece]:
        return [a for p in processes for a, _, _ in p.pieces(part.mapping, part.start, part.start + part.length)]

    def draw_touch(self) -> Any:
        found = self.chosen()
        if found is None:
            return None
        who, processes, part = found
        if self.page == HUGE:
            pages = [part.start, max(part.start, part.start + part.length - HUGE)]
            ranges = tuple(Range(start, PAGE) for start in sorted(set(pages)))
        else:
            ranges = (Range(part.start, min(part.length, 3 * MIB)),)
        for process in processes:
            for start, length in ranges:
                for page in range(start // PAGE, -(-(start + length) // PAGE)):
                    place = process.place_of(part.mapping, page)
                    if place is None or place[0].protection == "none":
                        return None
                    if place[1] >= self.machine.ends.get(place[0].file[:2], place[1] + 1):
                        return None
        return ev.TouchMore(
            who, part.mapping, (TouchForm("ranges", ranges=ranges),), self.rng.choice((None, None, "read"))
        )

    def draw_mprotect(self) -> Any:
        found = self.chosen()
        if found is None:
            return None
        protections = ("r", "rw", "rw", "none")
        return ev.Mprotect(found[0], found[2], self.rng.choice(protections))  # type: ignore[arg-type]

    def draw_munmap(self) -> Any:
        found = self.chosen()
        return None if found is None else ev.Munmap(found[0], found[2])

    def advice(self, advice: Any) -> Any:
        found = self.chosen()
        return None if found is None else ev.Madvise(found[0], found[2], advice)

    def draw_dontneed(self) -> Any:
        return self.of_unlocked(self.advice("dontneed"))

    def of_unlocked(self, event: Any) -> Any:
        """Leave out what fails for locked memory."""
        locked = event and any(a.locked != "no" for a in self.pieces(self.machine.fitting(event.who), event.part))
        return None if locked else event

    def draw_mlock(self) -> Any:
        found = self.chosen()
        if found is None or self.machine.ends or any(a.protection == "none" for a in self.pieces(found[1], found[2])):
            return None
        locked = self.rng.choice(("yes", "yes", "on_fault", "no"))
        return ev.Mlock(found[0], found[2], locked)  # type: ignore[arg-type]

    def draw_cold(self) -> Any:
        found = self.chosen()
        if found is None or any(a.backing == "hugetlb" for a in self.pieces(found[1], found[2])):
            return None
        return self.of_unlocked(ev.Madvise(found[0], found[2], "cold"))

    def draw_pageout(self) -> Any:
        found = self.chosen()
        if found is None or any(a.backing == "file" or self._huge(a) for a in self.pieces(found[1], found[2])):
            return None
        return self.of_unlocked(ev.Madvise(found[0], found[2], "pageout"))

    def draw_free(self) -> Any:
        found = self.chosen()
        if found is None or any(a.backing != "private" for a in self.pieces(found[1], found[2])):
            return None
        return ev.Madvise(found[0], found[2], "free")

    def _huge(self, area: Piece) -> bool:
        return any(chunk[0] == area.file for chunk in self.machine.rules.huge)

    def draw_nohugepage(self) -> Any:
        return self.advice("nohugepage")

    def draw_hugepage(self) -> Any:
        return self.advice("hugepage")

    def draw_collapse(self) -> Any:
        found = self.chosen()
        if found is None:
            return None
        pieces = self.pieces(found[1], found[2])
        if any(
            a.backing not in ("shmem", "private") or a.userfaultfd != "none" or a.madvise == "nohugepage"
            for a in pieces
        ):
            return None
        start, end = found[2].start, found[2].start + found[2].length
        for process in found[1]:
            for area, low, high in process.pieces(found[2].mapping, start, end):
                for place in range(area.offset + low - area.va, area.offset + high - area.va, PAGE):
                    if area.backing == "shmem" and not self.machine.held.get((area.file, place // HUGE)):
                        return None
                    if place >= self.machine.ends.get(area.file[:2], 1 << 62) // HUGE * HUGE:
                        return None
        return ev.Madvise(found[0], found[2], "collapse")

    def draw_userfault(self) -> Any:
        found = self.chosen()
        if found is None:
            return None
        pieces = self.pieces(found[1], found[2])
        if any(a.backing == "file" for a in pieces):
            return None
        registered = {a.userfaultfd for a in pieces}
        if registered == {"none"}:
            modes = ("wp", "minor") if all(a.shared for a in pieces) else ("wp",)
            return ev.Userfaultfd(found[0], found[2], self.rng.choice(modes))  # type: ignore[arg-type]
        return ev.Userfaultfd(found[0], found[2], "none") if "none" not in registered else None

    def draw_missing(self) -> Any:
        found = self.chosen()
        if found is None:
            return None
        registered = {a.userfaultfd for a in self.pieces(found[1], found[2])}
        return ev.Userfaultfd(found[0], found[2], "missing") if registered == {"none"} else None

    def draw_mremap(self) -> Any:
        found = self.chosen()
        if found is None or (self.page == HUGE and self.kind not in BEYOND):  # hugetlb: see KINDS
            return None
        who, processes, part = found
        start, end = part.start, part.start + part.length
        lows = set()
        for process in processes:
            pieces = list(process.pieces(part.mapping, start, end))
            if len(pieces) != 1 or pieces[0][0].userfaultfd != "none":
                return None
            lows.add(pieces[0][1])
        rng = self.rng
        self.room += 1
        residue = rng.choice((0, 0, min(lows), min(lows), PAGE, MIB, 2 * MIB)) % GIB // self.page * self.page
        return ev.Mremap(who, part, BASE + (8 + self.room) * SLOT + rng.choice((0, GIB)) + residue)

    def draw_softdirty(self) -> Any:
        found = self.chosen()
        return None if found is None else ev.Softdirty(found[0], found[2], self.rng.random() < 0.6)

    def draw_sharing(self) -> Any:
        found = self.who()
        if found is None:
            return None
        return ev.Switch(found[0], self.rng.choice((None, 0)), self.rng.choice(("never", "allow")))

    def draw_pressure(self) -> Any:
        return ev.Pressure(self.rng.choice((None, None, PAGE)))

    def _accessible(self, process: Process, part: ev.Part) -> bool:
        pieces = self.pieces([process], part)
        return bool(pieces) and all(area.protection != "none" for area in pieces)

    def draw_grow(self) -> Any:
        found = self.who()
        if found is None:
            return None
        number = self.rng.randrange(len(self.workload.processes[found[0].group].mappings))
        length = self.workload.processes[found[0].group].mappings[number].length
        assert length is not None
        part = ev.Part(number, 0, length)
        if any(not self._accessible(process, part) for process in found[1]):
            return None
        # Whole pages at every whole second.
        return ev.Grow(
            found[0], number, 3600 * PAGE * self.rng.choice((1, 3)), min(length, self.rng.choice((MIB, 3 * MIB)))
        )

    def draw_mark(self) -> Any:
        return ev.Mark()

    def draw_fork(self) -> Any:
        found = self.who()
        if found is None or len(self.machine.processes) >= MOST:
            return None
        who = found[0]
        return ev.Fork(ev.Chosen(who.group, self.rng.randint(1, 2), who.label, who.name), who.group)

    def draw_start(self) -> Any:
        group = self.rng.choice(sorted(self.workload.processes))
        if len(self.machine.processes) >= MOST or self.machine.ends:
            return None
        return ev.Start(ev.Chosen(group, 1, "", self.rng.choice(("", "late"))), self.rng.choice(("written", "none")))

    def draw_exit(self) -> Any:
        found = self.who()
        if found is None or (len(found[1]) == len(self.machine.processes) and self.rng.random() < 0.8):
            return None
        return ev.Exit(ev.Chosen(found[0].group, found[0].count, found[0].label))

    def _segment(self) -> str | None:
        kinds = ("memfd", "tmpfs", "hugetlb", "anonymous")
        fit = [n for n, s in self.sequence.layout.segments.items() if s.kind in kinds]
        return self.rng.choice(fit) if fit else None

    def draw_punch(self) -> Any:
        name = self._segment()
        if name is None:
            return None
        pages = self.workload.segments[name].size // self.page
        start = self.rng.choice((0, self.rng.randrange(pages), pages // 2))
        length = self.rng.choice((1, pages - start, self.rng.randint(1, pages - start)))
        if name and self.machine.ends:
            return None
        return ev.Punch(name, start * self.page, min(length, pages - start) * self.page)

    def draw_truncate(self) -> Any:
        name = self._segment()
        if name is None or self.machine.ends or self.rng.random() < 0.5:
            return None
        size = self.workload.segments[name].size
        return ev.Truncate(name, self.rng.randrange(1, size // self.page) * self.page)


def draw(kind: str, seed: int, length: int = 10) -> Sequence:
    """Draw a sequence."""
    return Drawing(kind, seed, length).sequence


def job(sequence: Sequence, directory: str) -> dict[str, Any]:
    """Write a sequence as a job for the replayer."""
    segments: dict[str, dict[str, Any]] = {}
    for name, segment in sequence.layout.segments.items():
        if segment.kind == "private":
            continue
        segments[name] = {"kind": segment.kind, "size": segment.size, "huge": segment.huge}
        segments[name] |= {"page": HUGE} if segment.kind == "hugetlb" else {}
        segments[name] |= {"directory": directory, "fill": [0, segment.size, PAGE]} if segment.fill else {}
    spans: set[tuple[int, int]] = set()
    steps = []
    for calls in sequence.steps:
        step = []
        for process, name, *arguments in calls:
            if name == "start":
                for area in arguments[0]:
                    spans.add((area.va, area.length))
                maps = [call for area in arguments[0] for call in _maps(area)]
                step.append([process, "start", maps])
            elif name == "touch":
                step.append([process, "touch", _touches(arguments[0])])
            elif name == "userfaultfd" and arguments[2] == "none":
                step.append([process, "unregister", *arguments[:2]])
            elif name in ("punch", "truncate"):
                step.append([0, name, arguments[0][0], *arguments[1:]])
            else:
                if name == "mremap":
                    spans.add((arguments[2], arguments[1]))
                step.append([process, {"madvise": "advise", "userfaultfd": "userfault"}.get(name, name), *arguments])
        steps.append(step)
    return {"segments": segments, "steps": steps, "spans": sorted(spans)}


def _maps(area: Piece) -> list[list[Any]]:
    private = area.backing == "private"
    kind = "shared" if area.shared else "private"
    protection = "rw" if area.protection == "none" else area.protection
    segment = None if private else area.file[0]
    calls: list[list[Any]] = [["mmap", area.va, area.length, segment, protection, kind, 0 if private else area.offset]]
    if area.madvise != "none":
        calls.append(["advise", area.va, area.length, area.madvise])
    if area.userfaultfd != "none":
        calls.append(["userfault", area.va, area.length, area.userfaultfd])
    return calls


def _touches(touches: list[tuple[int, bool, int]]) -> list[list[Any]]:
    """Join addresses to runs, in their order."""
    found: list[list[Any]] = []
    for address, write, page in touches:
        how = "resolve" if page else "write" if write else "read"
        last = found[-1] if found else None
        if last and last[0] == how and last[2] == page and last[1][-2] == address and last[1][-1] == PAGE:
            last[1][-2] += PAGE
        elif last and last[0] == how and last[2] == page:
            last[1] += [address, address + PAGE, PAGE]
        else:
            found.append([how, [address, address + PAGE, PAGE], page])
    return found
