"""The state with which a timeline begins: the workload as written."""

from __future__ import annotations

from ptcalc.engine.covers import BLOCKS
from ptcalc.policies.base import Context, Policy
from ptcalc.policies.map_shared_pt import MapSharedPt
from ptcalc.timeline import walking
from ptcalc.timeline.anonymous import in_memory, reads_huge, using
from ptcalc.timeline.ground import Ground, Piece, Row, hooks_of
from ptcalc.timeline.life import Hooks, Life
from ptcalc.timeline.pagecache import PageCache
from ptcalc.timeline.runs import Run
from ptcalc.timeline.sets import SharedTables
from ptcalc.timeline.vmas import copied_whole
from ptcalc.timeline.world import World
from ptcalc.timeline.written import Written
from ptcalc.workload.intervals import Intervals
from ptcalc.workload.population import WRITTEN, Population


def beginning(policy: Policy, context: Context) -> World:
    """Return the state that the workload as written describes.  Raises what laying it out raises."""
    plan, _ = policy.plan(context)
    layout = context.lay_out(plan)
    if isinstance(policy, MapSharedPt):
        context.settled = {}
    view = policy.view(layout, context)
    rule = policy.sharing(view, context)
    columns = [getattr(layout.rows, name).tolist() for name in Row.__dataclass_fields__]
    rows = tuple(Row(*each) for each in zip(*columns, strict=True))
    ground = Ground(policy, context, plan, layout, view, rule, rows)
    written = Written.on(ground)
    world = World(ground, written, PageCache(ground), Population(), SharedTables(ground))
    counts = [int(count) for count in context.counts]
    present = [number for number, count in enumerate(counts) if count]
    found = hooks_of(ground, view, rule, range(len(counts)))
    fixed = [view.reached(place, rule)[0].fixed for place in range(len(ground.levels))]
    grown = view.grown_vmpte()
    names = list(context.workload.processes)
    touched = [
        Piece(run.lo, run.hi, rows[row].vma()._replace(row=row), (run,))
        for group in present
        for row, run in written.runs(group)
    ]
    world.pagecache.decide(touched)
    for piece in touched:
        ground.hold(piece.vma.row, *piece.runs)
    for group in present:
        used: Intervals[tuple[Run, ...]] = Intervals()
        vmas = written.vmas(group)
        nothing: Hooks = ((),) * len(ground.levels)
        life = Life(group, vmas, used, nothing, nothing)
        for row, run in written.runs(group):
            piece = Piece(run.lo, run.hi, rows[row].vma()._replace(row=row), (run,))
            for each in in_memory(ground, life, piece, run):
                used = using(used, each)
            if not rows[row].shared and (rows[row].write or reads_huge(ground, vmas, piece)):
                vmas = vmas.changed(rows[row].start, rows[row].end, lambda vma: vma._replace(copied=True))
        vmas = copied_whole(ground, vmas)
        hooks = tuple(
            tuple(hook._replace(times=counts[hook.times]) if hook.role == BLOCKS else hook for hook in own)
            for own, _ in found[group]
        )
        inside = tuple(tuple(region) for _, region in found[group])
        life = Life(
            group, vmas, used, hooks, inside,
            fixed=tuple(0 if each is None else int(each[group]) for each in fixed), grown=int(grown[group]),
            guest=written.guest(group),
        )  # fmt: skip
        world.arrive(names[group], counts[group], "", world.population.history(WRITTEN), life)
        walking.put(world, life, [Piece(run.lo, run.hi, rows[row].vma(), (run,)) for row, run in written.runs(group)])
    return world
