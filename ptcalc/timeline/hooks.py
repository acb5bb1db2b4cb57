"""What hooks come to together: a table that a process has is used as it is."""

from __future__ import annotations

from collections.abc import Iterable

from ptcalc.engine.covers import BLOCKS
from ptcalc.timeline.life import Hook, mode
from ptcalc.workload.intervals import Intervals


def merged(old: tuple[Hook, ...], new: Iterable[Hook]) -> tuple[Hook, ...]:
    """Return hooks with new ones: a table that the process has is used as it is, in whatever scope."""
    new = list(new)
    if not new:
        return old
    if not old:
        return tuple(new)
    hooks = list(old)
    there = mode(old)
    for hook in new:
        if hook.role == BLOCKS:
            if hook not in hooks:
                hooks.append(hook)
            continue
        known = Intervals.of(hook.lo, hook.hi, True)
        for each in old:
            # A part of the same draw reaches no other tables than those it has.
            if each.run.domain == hook.run.domain and each.run.drawn == hook.run.drawn and each.role != BLOCKS:
                known = (
                    known.set(max(each.lo, hook.lo), min(each.hi, hook.hi), None)
                    if each.lo < hook.hi and each.hi > hook.lo
                    else known
                )
        for lo, hi, _ in known:
            reach = lo
            for start, end, scope in there.within(lo, hi):
                if reach < start:
                    hooks.append(hook._replace(lo=reach, hi=start))
                hooks.append(hook._replace(lo=start, hi=end, scope=None if isinstance(scope, str) else scope))
                reach = end
            if reach < hi:
                hooks.append(hook._replace(lo=reach, hi=hi))
    return tidy(hooks)


def tidy(hooks: list[Hook]) -> tuple[Hook, ...]:
    """Join hooks that go on where others end."""
    out: list[Hook] = []
    ends: dict[tuple[object, ...], int] = {}
    for hook in sorted(hooks, key=lambda each: each.lo):
        key = (hook.run, hook.scope, hook.role, hook.times)
        at = ends.get(key)
        if at is not None and out[at].hi >= hook.lo:
            out[at] = out[at]._replace(hi=max(out[at].hi, hook.hi))
        else:
            ends[key] = len(out)
            out.append(hook)
    return tuple(out)
