"""What can be solved for: the steps of a value at some places of a workload."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, get_args

from ptcalc.errors import InputError, nearest, quote
from ptcalc.risk import LIMITED_BY
from ptcalc.scenarios.block import Ints, Numbers
from ptcalc.workload.checks import page_of
from ptcalc.workload.model import Workload
from ptcalc.workload.sizes import MAX_COUNT, SIZE_LIMIT
from ptcalc.workload.source import Path

Wanted = Literal["processes", "size", "memory", "touch"]
Value = int | Fraction

WANTED: tuple[Wanted, ...] = get_args(Wanted)
# What binds: as `limited_by` of the contract; a pool of huge pages, the loader; nothing at all.
BINDS = (*LIMITED_BY, "pool", "refused", "nothing")
PID_MAX, POOL, REFUSED, NOTHING = (BINDS.index(name) for name in ("pid_max", "pool", "refused", "nothing"))
MIB = 1 << 20
MOST_MEMORY = 4 << 50  # bytes: what five levels of x86_64 can address
TOUCH_STEPS = 100_000  # of 0.001 % each


@dataclass(frozen=True, slots=True)
class Scale:
    """The steps of a value at some places.  ``rising``: a larger value needs more; ``strides``: spans in steps.

    The search turns steps round where the least value is wanted, so that more steps need more.
    """

    paths: tuple[Path, ...]
    unit: int | Fraction
    first: int
    last: int
    stated: int  # the loader takes this one
    strides: tuple[int, ...]  # the last is 1
    rising: bool = True
    usable: Fraction | None = None  # mem_total / memory, of the second path
    refusal: int = REFUSED  # why the loader refuses what lies beyond

    def value(self, step: int) -> Value:
        """Return what a step stands for."""
        value: Value = self.turned(step) * self.unit
        return value

    def turned(self, step: Any) -> Any:
        """Return a step the other way round, if larger values need less."""
        return step if self.rising else self.first + self.last - step

    def numbers(self, steps: Ints) -> dict[Path, Numbers]:
        """Return what stands at the places, for each of some steps."""
        numbers = [self.value(step) for step in steps.tolist()]
        found = dict.fromkeys(self.paths, Numbers.of(numbers))
        if self.usable is not None:
            found[self.paths[1]] = Numbers.of([int(number * self.usable) for number in numbers])
        return found


def scale_of(base: Workload, wanted: Wanted, group: str | None, segment: str | None) -> Scale | None:
    """Return the steps of what is wanted; None for the processes of all groups, which are not one number."""
    if wanted not in WANTED:
        raise InputError(f"{quote(wanted)} cannot be solved for", accepted=", ".join(WANTED))
    if group is not None:
        if wanted not in ("processes", "touch"):
            raise InputError(f"a group has no {wanted} of its own", accepted="a group with processes or touch")
        _one_of(group, base.processes, "group of processes")
    if segment is not None and wanted not in ("size", "touch"):
        raise InputError(f"a segment has no {wanted} of its own", accepted="a segment with size or touch")
    if wanted == "memory":
        return _memory(base)
    if wanted == "processes":
        if group is None:
            return None
        path: Path = ("processes", group, "count")
        return Scale((path,), 1, 1, MAX_COUNT, base.processes[group].count, (64, 1), refusal=PID_MAX)
    if segment is None:
        if len(base.segments) != 1:
            what = "there are several segments" if base.segments else "there is no segment"
            raise InputError(f"{what}: say which", accepted=f"--segment with one of {', '.join(base.segments)}")
        (segment,) = base.segments
    _one_of(segment, base.segments, "segment")
    if wanted == "size":
        return _size(base, segment)
    mappings = [
        (("processes", name, "mappings", at), each)
        for name, one in base.processes.items()
        for at, each in enumerate(one.mappings)
        if each.segment == segment and group in (None, name)
    ]
    if not mappings:
        whose = "no process" if group is None else quote(group)
        having = [name for name, one in base.processes.items() if any(m.segment == segment for m in one.mappings)]
        raise InputError(f"{whose} does not map {quote(segment)}", accepted=", ".join(having) or "a mapped segment")
    paths = tuple(_touch(base, path) for path, _ in mappings)
    return Scale(paths, Fraction(1, TOUCH_STEPS), 0, TOUCH_STEPS, TOUCH_STEPS, (128, 1))


def _size(base: Workload, segment: str) -> Scale:
    page = page_of(base.segments[segment], base.geometry)
    spans = {max(1, level.span // page) for level in base.geometry.levels[:2]}
    last = min(base.geometry.task_size, SIZE_LIMIT - 1) // page
    strides = tuple(sorted({*(span for span in spans if span <= last), 1}, reverse=True))
    path: Path = ("segments", segment, "size")
    return Scale((path,), page, 1, last, -(-base.segments[segment].size // page), strides)


def _memory(base: Workload) -> Scale:
    host = base.host
    limit, total = host.cgroup_limit, host.mem_total
    paths: tuple[Path, ...] = (("host", "memory" if limit is None else "cgroup_limit"),)
    usable = None
    if limit is None and total is not None:
        paths, usable = (*paths, ("host", "mem_total")), Fraction(total, host.memory)
    stated = min(-(-(host.memory if limit is None else limit) // MIB), MOST_MEMORY // MIB)
    return Scale(paths, MIB, 1, MOST_MEMORY // MIB, stated, (256, 1), False, usable)


def _touch(base: Workload, mapping: Path) -> Path:
    """Return where the amount that a mapping's touch says stands, or would stand."""
    path = (*mapping, "touch")
    group, at = str(mapping[1]), int(mapping[3])
    forms = base.processes[group].mappings[at].touch
    form = forms[0]
    if len(forms) > 1 or form.form not in ("all", "none", "amount") or form.pages is not None:
        raise base.error(
            path,
            "this says which pages are touched, not how much of the mapping",
            accepted="all, a share such as 24%, or {amount: 24%, pattern: contiguous}",
        )
    document = base.positions
    if not document.stated(path):
        return path
    for step in (0, "amount"):
        node = document.find(path)[0]
        if node is not None and isinstance(node.value, list if step == 0 else dict):
            path = (*path, step)
    return path


def _one_of(name: str, known: Iterable[str], what: str) -> None:
    if name not in (names := list(known)):
        guess = nearest(name, names)
        raise InputError(f"{quote(name)} is no {what}", accepted=", ".join(names) or "there is none", suggestion=guess)
