"""An event in words, as reports show it."""

from __future__ import annotations

from ptcalc.errors import printable
from ptcalc.workload import events as kinds
from ptcalc.workload.events import Chosen, Event, Part
from ptcalc.workload.model import Touch, Workload
from ptcalc.workload.sizes import show_size


def told(event: Event, workload: Workload) -> str:
    """Return what happens, in one line of harmless text."""
    return printable(_words(event, workload))


def _words(event: Event, workload: Workload) -> str:  # noqa: C901  # a case for each kind
    action = event.action
    match action:
        case kinds.Start(who, touch):
            return f"start {who.count:,} {who.group}" + (" that touch nothing yet" if touch == "none" else "")
        case kinds.Fork(who, into):
            return f"fork {who.count:,} {into} from {who.label or who.group}"
        case kinds.Exit(who):
            return f"exit {_who(who)}"
        case kinds.TouchMore(who, mapping, touch):
            return f"{_who(who)} touch {', '.join(map(_touch, touch))} of {_name(who, mapping, workload)}"
        case kinds.Grow(who, mapping, rate, until):
            return (
                f"{_who(who)} grow by {_amount(rate)} an hour up to {_amount(until)} of {_name(who, mapping, workload)}"
            )
        case kinds.Mprotect(who, part, protection):
            return f"{_who(who)} mprotect {_part(who, part, workload)} to {protection}"
        case kinds.Munmap(who, part):
            return f"{_who(who)} munmap {_part(who, part, workload)}"
        case kinds.Mremap(who, part, address):
            return f"{_who(who)} mremap {_part(who, part, workload)} to {address:#x}"
        case kinds.Madvise(who, part, advice):
            return f"{_who(who)} madvise {_part(who, part, workload)} {advice}"
        case kinds.Punch(segment, start, length):
            return f"punch {show_size(length)} at {show_size(start)} out of {segment}"
        case kinds.Truncate(segment, size):
            return f"truncate {segment} to {show_size(size)}"
        case kinds.Userfaultfd(who, part, mode):
            what = "unregister from userfaultfd" if mode == "none" else f"register with userfaultfd {mode}"
            return f"{_who(who)} {what}: {_part(who, part, workload)}"
        case kinds.Softdirty(who, part, on):
            return f"{_who(who)} soft-dirty {'on' if on else 'off'}: {_part(who, part, workload)}"
        case kinds.Mlock(who, part, locked):
            what = {"no": "munlock", "yes": "mlock", "on_fault": "mlock on fault"}[locked]
            return f"{_who(who)} {what} {_part(who, part, workload)}"
        case kinds.Switch(who, mapping, sharing):
            where = "" if mapping is None else f" for {_name(who, mapping, workload)}"
            return f"{_who(who)} page-table sharing {sharing}{where}"
        case kinds.WriteProtect(segment, start, length, on):
            what = "write-protect" if on else "write-enable"
            return f"{what} {show_size(length)} at {show_size(start)} of {segment} in the file system"
        case kinds.Pressure(amount):
            return "memory pressure" + ("" if amount is None else f" for {show_size(amount)}")
        case kinds.Mark():
            return "mark"


def _who(who: Chosen) -> str:
    many = "all" if who.count is None else f"{who.count:,}"
    return f"{many} {who.group}" + (f" ({who.label})" if who.label else "")


def _name(who: Chosen, mapping: int, workload: Workload) -> str:
    return workload.processes[who.group].mappings[mapping].segment


def _part(who: Chosen, part: Part, workload: Workload) -> str:
    return f"{show_size(part.length)} at {show_size(part.start)} of {_name(who, part.mapping, workload)}"


def _amount(amount: object) -> str:
    return show_size(amount) if isinstance(amount, int) else f"{float(amount) * 100:g}%"  # type: ignore[arg-type]


def _touch(touch: Touch) -> str:
    if touch.form == "amount":
        much = f"{touch.pages:,} pages" if touch.pages is not None else _amount(touch.amount)
        return f"{much} {touch.pattern}"
    if touch.form == "every":
        return f"every {show_size(touch.step or 0)}"
    if touch.form == "ranges":
        return " and ".join(f"{show_size(length)} at {show_size(start)}" for start, length in touch.ranges[:3])
    return touch.form
