"""From the entries of `events` to checked `Event`s: the file's processes are followed, mapping by mapping.

Each event is checked against what those before it have left: how many processes there are, which parts of their
mappings are mapped, and with which protection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NoReturn

from ptcalc.arch import Geometry
from ptcalc.errors import MAX_COLLECTED, nearest, quote
from ptcalc.workload import events as kinds
from ptcalc.workload.checks import Problem, extent, page_of, touch_problems
from ptcalc.workload.events import Action, Chosen, Event, Part
from ptcalc.workload.intervals import Intervals
from ptcalc.workload.model import Mapping, ProcessGroup, Segment, Workload
from ptcalc.workload.population import UNTOUCHED, WRITTEN, Cohort, Population
from ptcalc.workload.refusals import first_of
from ptcalc.workload.sizes import MAX_COUNT, show_size
from ptcalc.workload.source import Path

# What a cohort's mappings allow: for each of them, the protection of each part; unmapped parts have none.
Mapped = tuple[Intervals[str], ...]


class _Refused(Exception):
    """One problem of an event; what it would have done is left out."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


def read_events(entries: list[dict[str, Any]], workload: Workload) -> tuple[Event, ...]:
    """Return the events of a file.  Raises InputError, with the places, for those that cannot happen."""
    reader = _Reader(workload)
    events, problems = [], []
    refuse_copies(workload)
    for number, entry in enumerate(entries):
        try:
            events.append(reader.read(number, entry))
        except _Refused as refused:
            problems.append(refused.problem)
            if len(problems) == MAX_COLLECTED:
                break
    if problems:
        raise first_of(
            [
                workload.error(path, message, accepted=accepted, suggestion=suggestion)
                for path, message, accepted, suggestion in problems
            ],
            truncated=len(problems) == MAX_COLLECTED,
        )
    return tuple(events)


def refuse_copies(workload: Workload) -> None:
    """Raise InputError for a segment of which there are many: no event can say which of them it is about."""
    for name, segment in workload.segments.items():
        if segment.per is not None:
            what = "a segment for each process of a group: which of them an event is about cannot be said"
            accepted = "over time, a file without per; elsewhere, one without events"
            raise workload.error(("segments", name, "per"), what, accepted=accepted)


def _refuse(path: Path, message: str, accepted: str | None = None, suggestion: str | None = None) -> NoReturn:
    raise _Refused(Problem(path, message, accepted, suggestion))


@dataclass(frozen=True, slots=True)
class _Named:
    """A mapping that an event names: its place in the group's list, and how much of it there is (bytes)."""

    number: int
    mapping: Mapping
    segment: Segment
    page: int
    end: int


class _Reader:
    """Follows the processes while the entries are read, in order."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.geometry: Geometry = workload.geometry
        self.now = Fraction(0)
        self.sizes = {name: segment.size for name, segment in workload.segments.items()}
        self.population: Population[Mapped] = Population()
        self.fresh = {name: self._as_written(group) for name, group in workload.processes.items()}
        for name, group in workload.processes.items():
            if group.count:
                self._add(name, group.count, "", self.population.history(WRITTEN))

    def _as_written(self, group: ProcessGroup) -> Mapped:
        return tuple(
            Intervals.of(0, self._end(mapping, self.workload.segments[mapping.segment]), mapping.protection)
            for mapping in group.mappings
        )

    def _end(self, mapping: Mapping, segment: Segment) -> int:
        length = extent(mapping, segment, self.geometry).length
        return -(-length // self.geometry.base_page) * self.geometry.base_page

    def _add(self, group: str, count: int, label: str, history: int) -> Cohort[Mapped]:
        return self.population.add(group, count, label, history, self.fresh[group])

    def read(self, number: int, entry: dict[str, Any]) -> Event:
        """Return one event, after which the processes are as it leaves them."""
        path: Path = ("events", number)
        at = entry.get("at", self.now)
        if at < self.now:
            before = f"{float(self.now):g} s"
            _refuse((*path, "at"), f"{float(at):g} s, but the event before it is at {before}", f"{before} or later")
        self.now = at
        (what,) = [key for key in entry if key not in ("at", "name", "refault")]
        action = getattr(self, f"_{what}")((*path, what), entry[what], number + 1)
        return Event(action, at, entry.get("name", ""), entry.get("refault", True), path)

    # Who.

    def _who(self, path: Path, keys: dict[str, Any], *, count: bool = True) -> Chosen:
        """Return the processes that an event is about, of which there must be so many."""
        group = keys["group"]
        if group not in self.workload.processes:
            _refuse((*path, "group"), f"there is no group {quote(group)}", *_known(group, self.workload.processes))
        label = keys.get("label", "")
        labels = self.population.labels(group)
        if label and label not in labels:
            _refuse(
                (*path, "label"), f"no processes of {quote(group)} are labelled {quote(label)}", *_known(label, labels)
            )
        who = Chosen(group, keys.get("count"), label, keys.get("as", ""))
        there = self.population.available(who)
        of = f"{quote(group)} labelled {quote(label)}" if label else quote(group)
        if not there:
            _refuse(
                (*path, "group"), f"there are no processes of {of} at this time", "an earlier event that starts some"
            )
        if count and who.count is not None and who.count > there:
            _refuse((*path, "count"), f"{who.count:,} processes, but there are {there:,} of {of}", f"at most {there:,}")
        return who

    def _starting(self, path: Path, group: str, count: int) -> None:
        """Refuse more processes than there can be."""
        room = MAX_COUNT - sum(cohort.count for cohort in self.population)
        if count > room:
            what = f"{count:,} more processes are more than a system can have"
            _refuse((*path, "count"), what, f"at most {room:,} ({MAX_COUNT:,} in all: pid_max)")

    def _start(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        group = keys["group"]
        if group not in self.workload.processes:
            _refuse((*path, "group"), f"there is no group {quote(group)}", *_known(group, self.workload.processes))
        self._starting(path, group, keys["count"])
        touch = keys.get("touch", "written")
        begin = WRITTEN if touch == "written" else UNTOUCHED
        label = keys.get("as", "")
        self._add(group, keys["count"], label, self.population.history(begin))
        return kinds.Start(Chosen(group, keys["count"], "", label), touch)

    def _fork(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        who = self._who(path, keys, count=False)
        into = keys.get("into", who.group)
        groups = self.workload.processes
        if into not in groups:
            _refuse((*path, "into"), f"there is no group {quote(into)}", *_known(into, groups))
        if groups[into].mappings != groups[who.group].mappings:
            what = f"the mappings of {quote(into)} are not those of {quote(who.group)}, which a child has"
            _refuse((*path, "into"), what, "a group with the same mappings (an alias of YAML)")
        self._starting(path, into, keys["count"])
        parent = self.population.of(who.group, who.label)[0]
        history = self.population.history((parent.history, "fork"))
        self.population.add(into, keys["count"], who.name, history, parent.state)
        return kinds.Fork(who, into)

    def _exit(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        who = self._who(path, keys)
        self.population.remove(self.population.choose(who, event))
        return kinds.Exit(who)

    # What of them.

    def _named(self, path: Path, keys: dict[str, Any], group: str) -> _Named:
        mappings = self.workload.processes[group].mappings
        names = [mapping.segment for mapping in mappings]
        text = keys.get("mapping")
        if not mappings:
            _refuse((*path, "group"), f"{quote(group)} maps nothing", "a group with mappings")
        if text is None and len(mappings) > 1:
            _refuse(path, f"{quote(group)} has {len(mappings)} mappings", f"mapping: {_choice(names)}")
        if text is None:
            number = 0
        elif text in names:
            number = names.index(text)
            if names.count(text) > 1:
                places = [str(at) for at, name in enumerate(names) if name == text]
                what = f"{quote(group)} maps {quote(text)} {len(places)} times"
                _refuse((*path, "mapping"), what, f"its place in the list: {', '.join(places)}")
        elif text.isascii() and text.isdigit() and len(text) < 9 and int(text) < len(names):
            number = int(text)
        else:
            what = f"{quote(group)} has no mapping {quote(text)}"
            _refuse((*path, "mapping"), what, _choice(names), nearest(text, names))
        mapping = mappings[number]
        segment = self.workload.segments[mapping.segment]
        return _Named(number, mapping, segment, page_of(segment, self.geometry), self._end(mapping, segment))

    def _part(self, path: Path, keys: dict[str, Any], named: _Named) -> Part:
        """Return the part of a mapping that an event is about, whole base pages of it."""
        start = keys.get("start", 0)
        base = self.geometry.base_page
        # hugetlb VMAs are only split between huge pages (mm/hugetlb.c:hugetlb_vm_op_split).
        page = named.page if named.segment.backing == "hugetlb" else base
        if start >= named.end:
            what = f"{show_size(start)} is outside the mapping"
            _refuse((*path, "start"), what, f"less than {show_size(named.end)}")
        if start % page:
            below = start - start % page
            near = [show_size(each) for each in (below, below + page) if each < named.end]
            what = f"{show_size(start)} is no multiple of the page size, {show_size(page)}"
            _refuse((*path, "start"), what, " or ".join(near))
        length = keys.get("length", named.end - start)
        end = start + -(-length // base) * base
        if end > named.end:
            what = f"reaches {show_size(end - named.end)} past the mapping's end"
            _refuse((*path, "length"), what, f"at most {show_size(named.end - start)}")
        if end % page and end != named.end:
            near = [show_size(each) for each in (length - end % page, length - end % page + page) if each > 0]
            what = f"ends within a huge page of {show_size(page)}"
            _refuse((*path, "length"), what, " or ".join(near))
        return Part(named.number, start, end - start)

    def _about(self, path: Path, keys: dict[str, Any]) -> tuple[Chosen, _Named, Part]:
        """Return processes and a part that is mapped in all of them."""
        who = self._who(path, keys)
        named = self._named(path, keys, who.group)
        part = self._part(path, keys, named)
        for cohort in self._chosen(who):
            mapped = cohort.state[part.mapping]
            if not mapped:
                _refuse((*path, "group"), "all of the mapping has been unmapped before", "a mapping that is there")
            # Without a part, all is meant that is still mapped.
            hole = mapped.first_hole(part.start, part.start + part.length)
            if hole is not None and ("start" in keys or "length" in keys):
                what = f"{show_size(hole)} of the mapping has been unmapped before"
                _refuse((*path, "start" if "start" in keys else "length"), what, "a part that is mapped")
        return who, named, part

    def _chosen(self, who: Chosen) -> Iterator[Cohort[Mapped]]:
        """Yield the cohorts from which the processes are chosen."""
        left = who.count
        for cohort in self.population.of(who.group, who.label):
            if left is not None and left <= 0:
                return
            yield cohort
            left = None if left is None else left - cohort.count

    def _change(self, who: Chosen, event: int, part: Part, protection: str | None) -> None:
        for cohort in self.population.choose(who, event):
            changed = list(cohort.state)
            old = changed[part.mapping]
            changed[part.mapping] = old.changed(part.start, part.start + part.length, lambda _: protection)
            cohort.state = tuple(changed)

    def _touch(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        who = self._who(path, keys)
        named = self._named(path, keys, who.group)
        for number, touch in enumerate(keys["touch"]):
            length = extent(named.mapping, named.segment, self.geometry).length
            for problem in touch_problems((*path, "touch", number), touch, length, self.geometry.base_page):
                raise _Refused(problem)
        access = keys.get("access")
        for cohort in self._chosen(who):
            self._accessible(path, keys, named, cohort.state[named.number], access)
        self._change_nothing(who, event)
        return kinds.TouchMore(who, named.number, keys["touch"], access)

    def _accessible(
        self, path: Path, keys: dict[str, Any], named: _Named, parts: Intervals[str], access: str | None
    ) -> None:
        """Refuse to touch what is unmapped or may not be accessed in this way."""

        def allows(protection: str | None) -> bool:
            return protection not in (None, "none") and (access != "write" or "w" in str(protection))

        end = self._file_end(named)
        open_ = [(lo, min(hi, end)) for lo, hi, protection in parts if allows(protection) and lo < end]
        if not open_:
            kind = f"{access} " if access else ""
            what = f"nothing of the mapping may be {'written' if access == 'write' else 'accessed'} at this time"
            _refuse(path, what, f"a mapping whose protection allows {kind}access")
        for number, touch in enumerate(keys["touch"]):
            for at, each in enumerate(touch.ranges):
                if not any(lo <= each.start and each.start + each.length <= hi for lo, hi in _joined(open_)):
                    what = "a part of this range is unmapped, past the end of the file, or may not be accessed so"
                    where = (*path, "touch", number, "ranges", at)
                    listed = " and ".join(f"{show_size(lo)} to {show_size(hi)}" for lo, hi in _joined(open_)[:4])
                    _refuse(where, what, f"ranges within {listed}")

    def _file_end(self, named: _Named) -> int:
        """Return where the file ends in the coordinates of a mapping, whole pages."""
        left = self.sizes[named.mapping.segment] - named.mapping.offset
        return -(-left // named.page) * named.page

    def _change_nothing(self, who: Chosen, event: int) -> None:
        self.population.choose(who, event)

    def _grow(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        who = self._who(path, keys)
        named = self._named(path, keys, who.group)
        pattern = keys.get("pattern", "contiguous")
        if not keys["rate"]:
            _refuse((*path, "rate"), "nothing more is touched", "more than 0 in each hour")
        if pattern == "clustered" and "cluster" not in keys:
            _refuse((*path, "pattern"), "pattern: clustered without a cluster", "cluster: 1 MiB, the size of a run")
        if "cluster" in keys and pattern != "clustered":
            _refuse((*path, "cluster"), "a cluster without pattern: clustered", "pattern: clustered beside it")
        if "overlap" in keys and pattern == "contiguous":
            _refuse((*path, "overlap"), "overlap does not go with pattern: contiguous", "a random pattern")
        if isinstance(keys["until"], int) and keys["until"] > named.end:
            what = f"{show_size(keys['until'])} is more than the mapping"
            _refuse((*path, "until"), what, f"100%, or at most {show_size(named.end)}")
        base, cluster = self.geometry.base_page, keys.get("cluster")
        if cluster is not None and cluster % base and base % cluster:
            _refuse(
                (*path, "cluster"),
                f"{show_size(cluster)} is no multiple of the page size",
                f"a multiple of {show_size(base)}",
            )
        for cohort in self._chosen(who):
            self._accessible(path, {"touch": ()}, named, cohort.state[named.number], None)
        self._change_nothing(who, event)
        overlap = keys.get("overlap", "independent")
        return kinds.Grow(who, named.number, keys["rate"], keys["until"], pattern, cluster, overlap)

    def _mprotect(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        who, _, part = self._about(path, keys)
        self._change(who, event, part, keys["protection"])
        return kinds.Mprotect(who, part, keys["protection"], keys.get("of") == "window")

    def _munmap(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        who, _, part = self._about(path, keys)
        self._change(who, event, part, None)
        return kinds.Munmap(who, part, keys.get("of") == "window")

    def _mremap(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        who, named, part = self._about(path, keys)
        address, page = keys["address"], named.page
        limit = self.geometry.task_size - part.length
        if address % page:
            below = address - address % page
            accepted = f"{below:#x} or {below + page:#x}"
            _refuse((*path, "address"), f"{address:#x} is no multiple of the page size, {show_size(page)}", accepted)
        if address > limit:
            what = f"{address:#x} to {address + part.length:#x} is outside user space of {self.geometry.name}"
            _refuse((*path, "address"), what, f"at most {max(limit, 0):#x} for this length")
        self._change_nothing(who, event)
        return kinds.Mremap(who, part, address, keys.get("of") == "window")

    def _madvise(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        who, named, part = self._about(path, keys)
        advice, backing = keys["advice"], named.segment.backing
        # mm/madvise.c: madvise_free_single_vma, can_madv_lru_vma; mm/khugepaged.c: hugepage_madvise, madvise_collapse.
        if advice == "free" and backing != "private":
            _refuse(
                (*path, "advice"),
                f"free is for anonymous memory, this is {backing}",
                "dontneed, or a segment of backing private",
            )
        # hugepage and nohugepage change the flags of any VMA (6.18), for which hugetlb looks when it shares tables.
        if backing == "hugetlb" and advice not in ("dontneed", "hugepage", "nohugepage"):
            _refuse((*path, "advice"), f"hugetlb memory takes no advice {advice}", "dontneed, hugepage or nohugepage")
        self._change_nothing(who, event)
        return kinds.Madvise(who, part, advice)

    def _userfaultfd(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        who, _, part = self._about(path, keys)
        self._change_nothing(who, event)
        return kinds.Userfaultfd(who, part, keys["mode"])

    def _softdirty(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        who, _, part = self._about(path, keys)
        self._change_nothing(who, event)
        return kinds.Softdirty(who, part, keys["set"])

    def _mlock(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        who, _, part = self._about(path, keys)
        self._change_nothing(who, event)
        return kinds.Mlock(who, part, keys["set"])

    def _sharing(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        who = self._who(path, keys)
        number = None if "mapping" not in keys else self._named(path, keys, who.group).number
        self._change_nothing(who, event)
        return kinds.Switch(who, number, keys["set"])

    # What of a segment.

    def _segment(self, path: Path, keys: dict[str, Any]) -> Segment:
        name = keys["segment"]
        segments = self.workload.segments
        if name not in segments:
            _refuse((*path, "segment"), f"there is no segment {quote(name)}", *_known(name, segments))
        if segments[name].backing == "private":
            what = f"{quote(name)} is private memory, which has no file"
            _refuse((*path, "segment"), what, "a segment of backing shmem, file or hugetlb")
        return segments[name]

    def _in_segment(self, path: Path, keys: dict[str, Any]) -> tuple[int, int]:
        segment = self._segment(path, keys)
        size, base = self.sizes[keys["segment"]], self.geometry.base_page
        start = keys.get("start", 0)
        if start >= size:
            _refuse(
                (*path, "start"), f"{show_size(start)} is past the end of the segment", f"less than {show_size(size)}"
            )
        if start % base:
            _refuse(
                (*path, "start"),
                f"{show_size(start)} is no multiple of the page size, {show_size(base)}",
                f"a multiple of {show_size(base)}",
            )
        length = keys.get("length", size - start)
        end = -(-segment.size // page_of(segment, self.geometry)) * page_of(segment, self.geometry)
        if start + length > end:
            what = f"reaches {show_size(start + length - end)} past the end of the segment"
            _refuse((*path, "length"), what, f"at most {show_size(end - start)}")
        return start, length

    def _punch(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        start, length = self._in_segment(path, keys)
        return kinds.Punch(keys["segment"], start, length)

    def _truncate(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        self._segment(path, keys)
        name, size = keys["segment"], keys["size"]
        if size >= self.sizes[name]:
            what = f"{show_size(size)} is not shorter than the segment"
            _refuse((*path, "size"), what, f"less than {show_size(self.sizes[name])}")
        self.sizes[name] = size
        return kinds.Truncate(name, size)

    def _write_protect(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        start, length = self._in_segment(path, keys)
        return kinds.WriteProtect(keys["segment"], start, length, keys["set"])

    def _pressure(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        return kinds.Pressure(keys.get("amount"))

    def _mark(self, path: Path, keys: dict[str, Any], event: int) -> Action:
        return kinds.Mark()


def _known(name: str, names: Any) -> tuple[str, str | None]:
    known = tuple(names)
    listed = ", ".join(quote(each) for each in known[:20]) + (", …" if len(known) > 20 else "")
    return listed or "none: no earlier event labels any", nearest(name, known)


def _choice(names: list[str]) -> str:
    shown = [quote(name) for name in dict.fromkeys(names) if names.count(name) == 1]
    listed = ", ".join(shown[:20]) + (", …" if len(shown) > 20 else "")
    numbers = f"a number from 0 to {len(names) - 1}"
    return f"{listed}, or {numbers}" if listed else numbers


def _joined(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return parts with those that touch each other as one."""
    out: list[tuple[int, int]] = []
    for lo, hi in parts:
        if out and out[-1][1] == lo:
            out[-1] = (out[-1][0], hi)
        else:
            out.append((lo, hi))
    return out
