"""From a workload with events to a `Timeline`: each policy is followed from the beginning, event by event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ptcalc import estimation, policies, risk
from ptcalc.policies.base import Context, Policy
from ptcalc.result import RISK_ORDER, RiskLevel
from ptcalc.risk import Config, Ledger
from ptcalc.timeline import walking
from ptcalc.timeline.beginning import beginning
from ptcalc.timeline.happening import happen
from ptcalc.timeline.result import ClassState, LevelState, OtherEnd, PolicyTimeline, Step, Timeline, Told, Walk
from ptcalc.timeline.sharing import sharers
from ptcalc.timeline.standing import Standing
from ptcalc.timeline.telling import told
from ptcalc.timeline.victim import classes
from ptcalc.timeline.world import World
from ptcalc.workload import Workload
from ptcalc.workload.event_reading import refuse_copies


def follow_timeline(
    workload: Workload,
    *,
    policies: Sequence[str] | None = None,
    config: Config | None = None,
    choices: Mapping[str, str] | None = None,
) -> Timeline:
    """Follow a workload through its events under each policy.

    The parameters are those of `ptcalc.estimate`; ``choices`` may also answer what has an effect only over time
    (`ptcalc timeline --choices` lists all).  Raises InputError for a policy or choice that does not exist, for
    mappings that find no place, and, at the event, for what a policy refuses.
    """
    estimation.check_names(workload, policies, choices)
    refuse_copies(workload)
    settings = config or risk.Config()
    with estimation.placing(workload):
        followed = tuple(
            _between_ends(policy, Context(workload, workload.geometry, dict(choices or {})), settings)
            for policy in _known(workload)
            if policies is None or policy.name in policies
        )
    positions = workload.positions
    return Timeline(
        name=workload.name,
        file=workload.file,
        arch=workload.geometry.name,
        kernel=workload.kernel.text,
        installed_bytes=workload.host.memory,
        segment_bytes=tuple((name, segment.size) for name, segment in workload.segments.items()),
        events=tuple(
            Told(event.at, event.name, told(event, workload), *positions.of(event.path)) for event in workload.events
        ),
        policies=followed,
        assumptions=workload.assumptions,
    )


def _known(workload: Workload) -> tuple[Policy, ...]:
    return policies.policies_of(workload.geometry)


def _between_ends(policy: Policy, context: Context, config: Config) -> PolicyTimeline:
    """Follow a policy, and see how far it moves with other answers to what is shown between bounds."""
    here, phases = _follow(policy, context, config)
    shown = [(step.memory.demand_bytes, step.risk) for step in here.steps]
    ends = []
    for choice in policy.choices:
        for value in choice.accepted if choice.bounded else ():
            # Phase 0 only, or a set for each: that comes to the same where there is no other.
            alike = choice.name == "phases" and value == "zero" and phases <= {0}
            if alike or value == policy.choice(choice.name, context):
                continue
            other, _ = _follow(policy, context.choosing(f"{policy.name}.{choice.name}", value), config)
            if [(step.memory.demand_bytes, step.risk) for step in other.steps] != shown:
                worst = min(other.steps, key=lambda step: step.memory.headroom_bytes)
                ends.append(
                    OtherEnd(
                        choice.name, value, dict(other.firsts)["oom"], worst.event, worst.memory.demand_bytes,
                        worst.memory.headroom_bytes, worst.exact, choice.meaning,
                    )
                )  # fmt: skip
    return replace(here, bounds=tuple(ends))


def _follow(policy: Policy, context: Context, config: Config) -> tuple[PolicyTimeline, set[int]]:
    """Return the steps of a policy, and in which phases it had sets of shared tables."""
    world = beginning(policy, context)
    _, changes = policy.plan(context)
    applies = (*changes, *policy.changes(world.ground.layout, world.ground.view, replace(context, settled=None)))
    follower = _Follower(world, config)
    steps = [follower.step(0)]
    for number, event in enumerate(context.workload.events, start=1):
        world.notes, world.walked_tables, world.walked_entries = [], 0, 0
        happen(world, event, number)
        steps.append(follower.step(number))
    order = {level: at for at, level in enumerate(RISK_ORDER)}
    firsts: list[tuple[RiskLevel, int | None]] = [
        (level, next((step.event for step in steps if order[step.risk] >= order[level]), None))
        for level in RISK_ORDER[1:]
    ]
    found = PolicyTimeline(
        policy=policy.name,
        title=policy.title,
        availability=policy.availability,
        applies=applies,
        steps=tuple(steps),
        firsts=tuple(firsts),
        choices=tuple((choice.name, policy.choice(choice.name, context), choice.meaning) for choice in policy.choices),
    )
    return found, world.tables.phases


class _Follower:
    """Looks at a world after each event; what has not changed since the last look is kept."""

    def __init__(self, world: World, config: Config) -> None:
        self.world, self.config = world, config
        self._before = 0
        self._walks: dict[int, tuple[list[object], Walk]] = {}
        self._classes: dict[ClassState, ClassState] = {}  # most stay as they are from step to step

    def step(self, number: int) -> Step:
        """Return the state after an event."""
        world, config = self.world, self.config
        standing = Standing(world)
        levels = standing.levels
        ledger = Ledger(standing, config)
        counts = standing.counts
        memory = ledger.memory(counts)
        level = ledger.level(ledger.demand(counts))
        if any(short.mode == "fail" for short in world.ground.plan.short_pools):
            level = "oom"
        host = world.ground.context.workload.host
        capacity = memory.capacity_bytes if memory.boundary == "cgroup" else host.mem_total or host.memory
        states, victim = classes(world, counts, capacity, config)
        used = sum(each.private_bytes + each.shared_bytes + each.cached_bytes for each in levels)
        events = world.ground.context.workload.events
        step = Step(
            event=number,
            at=events[number - 1].at if number else 0,  # type: ignore[arg-type]
            levels=tuple(
                LevelState(level.name, now.private, now.shared, now.cached, level.table_bytes)
                for level, now in zip(world.ground.levels, levels, strict=True)
                if now.private or now.shared or now.cached
            ),
            shared_bytes=sum(each.shared_bytes for each in levels),
            cached_bytes=sum(each.cached_bytes for each in levels),
            private_bytes=sum(each.private_bytes for each in levels),
            page_tables_bytes=sum(each.shown_bytes for each in levels),
            used_bytes=used,
            classes=tuple(self._classes.setdefault(each, each) for each in states),
            sharers=sharers(world),
            memory=memory,
            risk=level,
            victim=victim,
            walks=tuple(self._walk(segment, name) for segment, name in enumerate(world.ground.plan.segments)),
            exact=all(each.exact for each in states) and self._sets_exact(),
            notes=tuple(world.notes),
            walked_tables=world.walked_tables,
            walked_entries=world.walked_entries,
            released_bytes=max(0, self._before - used),
        )
        self._before = used
        return step

    def _sets_exact(self) -> bool:
        tables = self.world.tables
        return all(tables.tables(key).there.exact for key in tables.sets)

    def _walk(self, segment: int, name: str) -> Walk:
        world = self.world
        mine = [each for each in world.population if segment in world.segments_of(each.state)]
        # The states themselves: another may come to stand where one was that is gone.
        mark = [world.ground.entries.changes, *((each.state, each.count) for each in mine)]
        known = self._walks.get(segment)
        if known is not None and known[0] == mark:
            return known[1]
        found = walking.walk(world, segment)
        walk = Walk(name, found.per_page, found.tables, found.entries, found.flushed)
        self._walks[segment] = mark, walk
        return walk
