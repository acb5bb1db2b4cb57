"""What one process shows and takes: its own tables, VmPTE, RSS, oom_badness.  Computed once for each state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ptcalc.policies.counting import allocations_of_one
from ptcalc.timeline.ground import HUGETLB, Ground
from ptcalc.timeline.tables import Count, Reach, count

if TYPE_CHECKING:
    from ptcalc.timeline.life import Life


class Figures(NamedTuple):
    """One process: tables of its own by level, allocations they need, VmPTE, RSS."""

    own: tuple[Count, ...]
    allocations: tuple[int | float, ...]
    vmpte_bytes: int
    exact: bool
    rss_bytes: int


def figures_of(ground: Ground, life: Life) -> Figures:
    """Return the figures of a process in a state."""
    known = life.figures.get("figures")
    if known is None:
        known = life.figures["figures"] = _figures(ground, life)
    return known  # type: ignore[return-value]


def with_alone(ground: Ground, figures: Figures, alone: Sequence[Count]) -> Figures:
    """Return the figures of a process that has so many tables of shared sets, level by level, alone and as its own."""
    if not any(each.value for each in alone):
        return figures
    costs, vmpte = ground.context.costs, figures.vmpte_bytes
    own = tuple(mine.plus(more) for mine, more in zip(figures.own, alone, strict=True))
    needed = tuple(
        each if each_own is mine else allocations_of_one(cost, each_own.tables, each_own.expected, lambda: 0.0)
        for each, mine, each_own, cost in zip(figures.allocations, figures.own, own, costs, strict=False)
    )
    if _once(ground):
        for mine, now, cost in zip(figures.own, own, costs, strict=False):
            vmpte += (now.tables + round(now.expected) - mine.tables - round(mine.expected)) * cost.vmpte
    exact = figures.exact and all(each.exact for each in alone)
    return figures._replace(own=own, allocations=needed, vmpte_bytes=vmpte, exact=exact)


def _once(ground: Ground) -> bool:
    """Tell whether VmPTE shows the tables of a process's own alone."""
    policy = ground.policy
    return any(each.name == "vmpte" and policy.choice("vmpte", ground.context) == "once" for each in policy.choices)


def _figures(ground: Ground, life: Life) -> Figures:
    costs = ground.context.costs
    own, needed, vmpte, exact = [], [], life.grown, True
    once = _once(ground)
    for place, hooks in enumerate(life.hooks):
        span = ground.span(place)
        mine = {
            Reach(hook.run, hook.lo, hook.hi, 0, hook.role, hook.times): hook.times or 1
            for hook in hooks
            if hook.scope is None
        }
        fixed = life.fixed[place] if life.fixed else 0
        found = count(mine, span, shared=False)
        found = found._replace(tables=found.tables + fixed)
        own.append(found)
        needed.append(allocations_of_one(costs[place], found.tables, found.expected, lambda m=mine, s=span: _sd(m, s)))  # type: ignore[misc]
        shown = found
        if not once and any(hook.scope is not None for hook in hooks):
            every = {Reach(hook.run, hook.lo, hook.hi, 0, hook.role, hook.times): hook.times or 1 for hook in hooks}
            shown = count(every, span, shared=False)
            shown = shown._replace(tables=shown.tables + fixed)
        vmpte += (shown.tables + round(shown.expected)) * costs[place].vmpte
        exact &= shown.exact and found.exact
    return Figures(tuple(own), tuple(needed), vmpte, exact, _rss(ground, life))


def _sd(reaches: dict[Reach, int], span: int) -> float:
    from ptcalc.timeline.tables import deviation

    return deviation(reaches, span)


def _rss(ground: Ground, life: Life) -> int:
    """Return the pages in use that RSS counts, bytes: all but hugetlb's."""
    page = ground.context.geometry.base_page
    pages: dict[Reach, int] = {}
    for lo, hi, vma in life.vmas:
        if ground.rows[vma.row].backing == HUGETLB:
            continue
        for a, b, runs in life.used.within(lo, hi):
            for run in runs:
                pages[Reach(run, a // page, -(-b // page), 0, 0)] = 1
    return round(count(pages, page, shared=False).value) * page
