"""Events as a workload file has them, from what they are."""

from __future__ import annotations

from typing import Any

from ptcalc.workload import events as ev

NAMES: dict[type, str] = {
    ev.Start: "start", ev.Fork: "fork", ev.Exit: "exit", ev.TouchMore: "touch", ev.Mprotect: "mprotect",
    ev.Munmap: "munmap", ev.Mremap: "mremap", ev.Madvise: "madvise", ev.Punch: "punch", ev.Truncate: "truncate",
    ev.Userfaultfd: "userfaultfd", ev.Softdirty: "softdirty", ev.Mlock: "mlock", ev.Switch: "sharing",
    ev.WriteProtect: "write_protect", ev.Pressure: "pressure", ev.Mark: "mark",
    ev.Grow: "grow",
}  # fmt: skip
KEYS = {"on": "set", "sharing": "set", "locked": "set"}  # where the file has another word
TRUTHS = {"yes": True, "no": False}
PLAIN = ("protection", "address", "advice", "segment", "start", "length", "size", "mode", "into", "amount", "access",
         "rate", "until")  # fmt: skip


def described(event: ev.Event) -> dict[str, Any]:
    """Return the entry of an event; touches are ranges."""
    action: Any = event.action
    inside: dict[str, Any] = {}
    if (who := getattr(action, "who", None)) is not None:
        inside |= {"group": who.group}
        inside |= {} if who.count is None else {"count": who.count}
        inside |= ({"label": who.label} if who.label else {}) | ({"as": who.name} if who.name else {})
    if (part := getattr(action, "part", None)) is not None:
        inside |= {"mapping": part.mapping, "start": part.start, "length": part.length}
    if getattr(action, "mapping", None) is not None:
        inside["mapping"] = action.mapping
    if isinstance(action, ev.TouchMore):
        ranges = [{"start": r.start, "length": r.length} for touch in action.touch for r in touch.ranges]
        inside["touch"] = {"ranges": ranges}
    elif isinstance(action, ev.Start):
        inside["touch"] = action.touch
    for key in (*PLAIN, *KEYS):
        value = getattr(action, key, None)
        if value is not None:
            inside[KEYS.get(key, key)] = TRUTHS.get(value, value) if key == "locked" else value
    entry: dict[str, Any] = {NAMES[type(action)]: inside}
    entry |= {"at": f"{event.at} s"} if event.at else {}
    return entry if event.refault else entry | {"refault": False}
