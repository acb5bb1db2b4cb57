"""Which process the OOM killer would pick, and how little its end gives back (mm/oom_kill.c:oom_badness)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ptcalc.engine.numbers import Number
from ptcalc.risk.config import Config
from ptcalc.risk.ledger import process_costs
from ptcalc.timeline.copies import freed_by_one
from ptcalc.timeline.resident import rss_of
from ptcalc.timeline.result import ClassState, Victim
from ptcalc.timeline.world import World

EXEMPT = -1000


def classes(
    world: World, counts: Sequence[Number], capacity: int, config: Config
) -> tuple[tuple[ClassState, ...], Victim | None]:
    """Return what one process of each class shows, and the one that would be killed; ``capacity``: memory in bytes.

    Shared pages count in full for each process that has them; hugetlb pages and the tables of mshare regions for none.
    """
    context = world.ground.context
    geometry, workload = context.geometry, context.workload
    base, kernel = process_costs(workload, geometry, config)
    page = geometry.base_page
    total = (capacity + workload.host.swap) // page
    numbers = {name: number for number, name in enumerate(workload.processes)}
    costs = context.costs
    alike: dict[tuple[int, ClassState], int] = {}  # how many have one history and show the same
    most, worst = 0, None
    for cohort in world.population:
        group = workload.processes[cohort.group]
        number = numbers[cohort.group]
        figures, rss = world.figures(cohort.state), rss_of(world, cohort.state)
        private = group.private
        if group.private_cap is not None:
            private = min(private, group.private_cap // max(int(counts[number]), 1))
        own = sum(round(each) * cost.allocation for each, cost in zip(figures.allocations, costs, strict=False))
        points = (rss + private) // page + (figures.vmpte_bytes + base[number]) // page
        points += group.oom_score_adj * (total // 1000)
        exempt = group.oom_score_adj == EXEMPT
        one = ClassState(
            cohort.group, cohort.label, 1, figures.vmpte_bytes, own, rss, 0 if exempt else points, figures.exact
        )
        alike[cohort.history, one] = alike.get((cohort.history, one), 0) + cohort.count
        if not exempt and (worst is None or points > most):
            most, worst = points, (cohort, private, own)
    states = tuple(one if many == 1 else replace(one, count=many) for (_, one), many in alike.items())
    if worst is None:
        return states, None
    cohort, private, own = worst
    number = numbers[cohort.group]
    frees = (
        ("private memory", private),
        ("private copies of segments", freed_by_one(world.ground, list(world.population), cohort)),
        ("page tables of its own", own),
        ("base tables", int(base[number])),
        ("kernel stacks and slab", int(kernel[number])),
    )
    return states, Victim(cohort.group, cohort.label, most, tuple(each for each in frees if each[1]))
