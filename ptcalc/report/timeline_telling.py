"""What the reports of a timeline say, whatever their format: when memory runs out, who is killed, what walking costs.

Derived from the `Timeline` alone.  A policy that no mainline kernel has is told of as what would be.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ptcalc.report import format as fmt
from ptcalc.report.verdict import RISK_TEXT
from ptcalc.result import RISK_ORDER, RiskLevel
from ptcalc.timeline.result import ClassState, PolicyTimeline, Step, Timeline, Walk

# Steps of one policy that people are shown; formats for programs have all.
STEPS = 40


def moment(at: Fraction) -> str:
    """Return a time since the beginning as people write it.

    >>> moment(Fraction(0)), moment(Fraction(90)), moment(Fraction(8 * 3600 + 1800)), moment(Fraction(2 * 86400))
    ('0', '90 s', '8 h 30 min', '2 d')
    """
    if at == 0:
        return "0"
    if at < 120 or at.denominator != 1:
        return f"{float(at):,.6g} s"
    days, rest = divmod(int(at), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    return " ".join(f"{amount:,} {unit}" for amount, unit in parts if amount)


def after(timeline: Timeline, event: int) -> str:
    """Return which event that is: its number, its name if it has one, and when it happens."""
    if event == 0:
        return "the beginning"
    told = timeline.events[event - 1]
    what = f"event {event}" + (f", {told.name}" if told.name else f" ({told.text})")
    return f"{what}, at {moment(told.at)}" if told.at else what


def has_times(timeline: Timeline) -> bool:
    """Whether any event has a time of its own."""
    return any(told.at for told in timeline.events)


def subject_of(timeline: Timeline) -> PolicyTimeline:
    """Return the policy that the report is about first: today, else the first that can be deployed, else the first."""
    return next(
        (each for each in timeline.policies if each.policy == "today"),
        next((each for each in timeline.policies if each.availability.deployable), timeline.policies[0]),
    )


def first_at(policy: PolicyTimeline, level: RiskLevel) -> int | None:
    """Return the first step at a level of risk or beyond it; None if there is none."""
    return dict(policy.firsts).get(level)


def worst(policy: PolicyTimeline) -> Step:
    """Return the step with the highest risk, and of those the one with the least headroom."""
    return max(policy.steps, key=lambda step: (RISK_ORDER.index(step.risk), -step.memory.headroom_bytes, -step.event))


def other_ends(policy: PolicyTimeline) -> list[str]:
    """Return how far a policy moves with other answers to its open choices, where that makes a difference."""
    low, in_force = (
        min(policy.steps, key=lambda step: step.memory.headroom_bytes),
        {name: value for name, value, _ in policy.choices},
    )
    here = _end(first_at(policy, "oom"), low.memory.demand_bytes, low.event, exact=low.exact)
    return [
        f"{policy.policy}: {here} with {each.name} = {in_force[each.name]},"
        f" {_end(each.first_oom, each.demand_bytes, each.worst, exact=each.exact)} with {each.name} = {each.value}"
        f" ({each.meaning})"
        for each in policy.bounds
    ]


def _end(first_oom: int | None, demand_bytes: int, worst_event: int, *, exact: bool) -> str:
    """Return when memory runs out, and the largest demand."""
    runs_out = (
        "no OOM" if first_oom is None else "OOM at the start" if first_oom == 0 else f"OOM at event {first_oom:,}"
    )
    where = "at the start" if worst_event == 0 else f"after event {worst_event:,}"
    return f"{runs_out}, demand at most {fmt.size(demand_bytes, exact=exact)} {where}"


def answers(timeline: Timeline) -> list[str]:
    """Return the answer in a few sentences: which policy runs out first and when, who is killed, what does better."""
    deployable = [each for each in timeline.policies if each.availability.deployable]
    subject = subject_of(timeline)
    found = [_course(timeline, subject)]
    found += victim_sentences(timeline, subject)
    others = [each for each in deployable if each is not subject and each.policy != "private"]
    early = [each for each in others if _order(each) < _order(subject)]
    if early:
        found.append(_course(timeline, min(early, key=_order)))
    better = [each for each in others if _order(each) > _order(subject)]
    if better:
        found.append(_course(timeline, max(better, key=lambda each: (_order(each), worst(each).memory.headroom_bytes))))
    elif others and _order(subject) < _NEVER:
        found.append("No other policy that can be deployed lasts longer.")
    return found


_NEVER = (1, 0, 0)
_WORST_FIRST: tuple[RiskLevel, ...] = ("oom", "critical", "warning")


def _order(policy: PolicyTimeline) -> tuple[int, int, int]:
    """Return what sorts policies by how soon they are in trouble: OOM first, then critical, then warning."""
    for rank, level in enumerate(_WORST_FIRST):
        step = first_at(policy, level)
        if step is not None:
            return (0, rank, step)
    return _NEVER


def _course(timeline: Timeline, policy: PolicyTimeline) -> str:
    """Return how one policy fares, in one sentence."""
    would = not policy.availability.deployable
    for level in _WORST_FIRST:
        step = first_at(policy, level)
        if step is None:
            continue
        does = {
            ("oom", False): "runs out of memory",
            ("oom", True): "would run out of memory",
            ("critical", False): "becomes critical",
            ("critical", True): "would become critical",
            ("warning", False): "leaves little (warning)",
            ("warning", True): "would leave little (warning)",
        }[level, would]
        text = f"{policy.policy} {does} {'from' if step == 0 else 'at'} {after(timeline, policy.steps[step].event)}"
        return f"{text}: {demand(policy.steps[step])}."
    low = worst(policy)
    stays = "would stay ok" if would else "stays ok"
    left = fmt.size(low.memory.headroom_bytes)
    return f"{policy.policy} {stays} throughout; the least that is left is {left}, after {after(timeline, low.event)}."


def demand(step: Step) -> str:
    """Return demand against what there is."""
    memory = step.memory
    unit = fmt.unit_of(memory.capacity_bytes)
    free = fmt.size(abs(memory.headroom_bytes))
    rest = f"{free} left" if memory.headroom_bytes >= 0 else f"{free} too much"
    usable = "usable" if memory.boundary == "host" else "allowed"
    need = fmt.in_unit(memory.demand_bytes, unit, exact=step.exact)
    return f"demand {need} of {fmt.in_unit(memory.capacity_bytes, unit)} {unit} {usable}, {rest}"


def victim_sentences(timeline: Timeline, policy: PolicyTimeline) -> list[str]:
    """Return whom the OOM killer would pick where a policy first runs out of memory, and how little that frees."""
    at = first_at(policy, "oom")
    step = policy.steps[at] if at is not None else None
    if step is None or step.victim is None:
        return []
    victim = step.victim
    freed = ", ".join(f"{fmt.size(size)} {what}" for what, size in victim.frees if size)
    missing = -step.memory.headroom_bytes
    share = f" of the {fmt.size(missing)} that are missing" if missing > 0 else ""
    gives = f"which gives back {fmt.size(victim.frees_bytes)}{share}" + (f" ({freed})" if freed else "")
    return [f"The kernel would kill a process of {of_class(victim.group, victim.label)}, {gives}."]


def of_class(group: str, label: str) -> str:
    """Return the name of processes with one history."""
    return f"{group} ({label})" if label else group


def chosen(policy: PolicyTimeline, most: int = STEPS) -> list[Step]:
    """Return the steps that people are shown: all, or the ends, changes of risk, the worst, and some between."""
    steps = policy.steps
    if len(steps) <= most:
        return list(steps)
    places = {0, len(steps) - 1, worst(policy).event}
    changes = [at for at in range(1, len(steps)) if steps[at].risk != steps[at - 1].risk]
    places |= set(changes[: most // 2])
    spare = most - len(places)
    places |= {len(steps) * number // (spare + 1) for number in range(1, spare + 1)}
    return [steps[at] for at in sorted(places)]


def tables_at(step: Step, level: str) -> int:
    """Return all tables of a level: private, shared and cached."""
    return sum(each.private + each.shared + each.cached for each in step.levels if each.level == level)


def levels_of(policies: Sequence[PolicyTimeline]) -> list[str]:
    """Return the levels of which any step has tables, from the leaf up."""
    seen: dict[str, bool] = {}
    for policy in policies:
        for step in policy.steps:
            for level in step.levels:
                seen[level.level] = seen.get(level.level, False) or bool(level.private + level.shared + level.cached)
    return [level for level, any_ in seen.items() if any_]


def largest_class(step: Step) -> ClassState | None:
    """Return the processes of whom one has the largest VmPTE; None where nobody is left."""
    return max(step.classes, key=lambda each: each.vmpte_bytes, default=None)


def sharers(step: Step) -> str:
    """Return how many processes use a shared table: least, mean and most."""
    found = step.sharers
    return "-" if found is None else _spread(found.least, found.mean, found.most)


def _spread(least: int, mean: float, most: int) -> str:
    """Return least, mean and most, or the one number that they are."""
    if least == most:
        return f"{least:,}"
    return f"{least:,}/{f'{mean:,.0f}' if mean >= 100 else f'{mean:.3g}'}/{most:,}"


def walked_step(timeline: Timeline) -> int:
    """Return the step at which walking costs most under the policy that the report is about."""
    steps = subject_of(timeline).steps
    return max(range(len(steps)), key=lambda at: (sum(walk.entries for walk in steps[at].walks), -at))


def per_page(walk: Walk) -> str:
    """Return how many leaf tables map a page: one number, or least, mean and most."""
    return _spread(*walk.tables_per_page)


def walk_sentences(timeline: Timeline, at: int) -> list[str]:
    """Return how much fewer tables are walked where tables are shared: the second promise of sharing, in numbers."""
    subject = subject_of(timeline)
    if not subject.steps[at].walks:
        return []
    found = []
    for policy in timeline.policies:
        if policy is subject or policy.policy == "private":
            continue
        walks = {walk.segment: walk for walk in policy.steps[at].walks}
        for base in subject.steps[at].walks:
            other = walks.get(base.segment)
            if other is None or other.entries >= base.entries or other.entries == 0:
                continue
            visits = "would visit" if not policy.availability.deployable else "visits"
            tables = fmt.plural(other.tables, "leaf table")
            found.append(
                f"{policy.policy} {visits} {other.entries:,} entries in {tables} to unmap all of {base.segment},"
                f" {subject.policy} {base.entries:,} in {base.tables:,}:"
                f" {fmt.times(base.entries, other.entries)} times fewer."
            )
    return found


def risk(policy: PolicyTimeline, step: Step) -> str:
    """Return the risk of a step in words."""
    return RISK_TEXT[step.risk] if policy.availability.deployable else f"would be {RISK_TEXT[step.risk]}"
