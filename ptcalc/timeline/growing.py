"""What processes touch more and more: the same draw with more drawn, as time passes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from ptcalc.timeline.life import Hook, Life
from ptcalc.timeline.parts import mapped_length
from ptcalc.timeline.runs import Run
from ptcalc.workload.model import Touch

if TYPE_CHECKING:
    from ptcalc.timeline.world import Growing, World


def grow_to(world: World, at: Fraction) -> None:
    """Let all who grow touch what they have reached at a time (seconds)."""
    for number, growing in world.growing.items():
        amount = _amount(world, growing, at)
        if amount == growing.reached:
            continue
        growing.reached = amount
        action = growing.action
        group = world.written.group_number(action.who.group)
        touch = Touch(
            "amount", amount=amount, written_pattern=action.pattern, cluster=action.cluster, overlap=action.overlap
        )
        runs = world.written.runs_of(group, action.mapping, [touch], growing.domain)

        domain, mapping = growing.domain, action.mapping

        def grown(
            life: Life, count: int, runs: list[tuple[int, Run]] = runs, group: int = group, domain: int = domain,
            mapping: int = mapping,
        ) -> Life:  # fmt: skip
            before = _grown(life, runs, domain)
            return world.touched(before, mapping, _in_rows_of(world, runs, group, before.group), count)

        world.let([cohort for cohort in world.population if number in cohort.state.growth], grown)


def _in_rows_of(world: World, runs: list[tuple[int, Run]], group: int, of: int) -> list[tuple[int, Run]]:
    """Return runs in the rows of the group that counts the processes (children may be of another)."""
    if group == of:
        return runs
    mine = [number for number, row in enumerate(world.ground.rows) if row.group == group]
    theirs = [number for number, row in enumerate(world.ground.rows) if row.group == of]
    new = dict(zip(mine, theirs, strict=True))
    return [(new[row], run) for row, run in runs]


def _amount(world: World, growing: Growing, at: Fraction) -> int:
    action = growing.action
    group = world.ground.context.workload.processes[action.who.group]
    written = group.mappings[action.mapping]
    length = mapped_length(written, world.ground.plan.segments[written.segment])

    def of_length(amount: int | Fraction) -> Fraction:
        return Fraction(amount) if isinstance(amount, int) else amount * length

    reached = of_length(action.rate) * (at - growing.since) / 3600
    return int(min(reached, of_length(action.until), Fraction(length)))


def _grown(life: Life, runs: list[tuple[int, Run]], domain: int) -> Life:
    """Return a process whose tables are those of the draw with more drawn."""
    whole = {run.lo: run for _, run in runs}

    def grown(hook: Hook) -> Hook:
        if hook.run.domain != domain:
            return hook
        for run in whole.values():
            if run.lo <= hook.run.lo < run.hi and hook.run.kind == run.kind:
                return hook._replace(run=run.cut(hook.run.lo, max(hook.run.hi, hook.run.lo + 1)) or hook.run)
        return hook

    hooks = tuple(tuple(grown(hook) for hook in level) for level in life.hooks)
    inside = tuple(tuple(grown(hook) for hook in level) for level in life.inside)
    return replace(life, hooks=hooks, inside=inside, figures={})
