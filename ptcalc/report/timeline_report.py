"""``ptcalc timeline`` as text: the answer, what happens, a chart of demand, each step, and what walking costs."""

from __future__ import annotations

from collections.abc import Sequence

from ptcalc.report import format as fmt
from ptcalc.report.page import Cell, Column, Page, Screen
from ptcalc.report.terminal import RISK_STYLE
from ptcalc.report.timeline_telling import (
    after,
    answers,
    chosen,
    first_at,
    has_times,
    largest_class,
    levels_of,
    moment,
    of_class,
    other_ends,
    per_page,
    risk,
    sharers,
    subject_of,
    tables_at,
    walk_sentences,
    walked_step,
)
from ptcalc.result import RISK_ORDER
from ptcalc.timeline.result import ClassState, PolicyTimeline, Step, Timeline

# A chart's cells; more steps than that are drawn by the worst of several in each cell.
CELLS = 60
# Eighths of what there is; a cell of its own stands for more.
_BARS = "▁▂▃▄▅▆▇█"
_BEYOND = "▶"
EVENTS = 60  # that are listed
SHARERS, CACHED, SHARED = "sharers", "cached", "shared"


def render(timeline: Timeline, screen: Screen) -> str:
    """Return the report on `timeline` as text for `screen`."""
    page = Page(screen)
    page.say((timeline.name, "bold"))
    machine = [timeline.file, timeline.arch, f"kernel {timeline.kernel}" if timeline.kernel else ""]
    page.say((", ".join(part for part in machine if part), "dim"))
    page.blank()
    _answers(page, timeline)
    _events(page, timeline)
    _chart(page, timeline)
    _firsts(page, timeline)
    for policy in timeline.policies:
        _policy(page, timeline, policy)
    _walks(page, timeline)
    _choices(page, timeline)
    _assumptions(page, timeline)
    return page.text()


def _answers(page: Page, timeline: Timeline) -> None:
    subject = subject_of(timeline)
    first, *rest = answers(timeline)
    level = max((step.risk for step in subject.steps), key=RISK_ORDER.index)
    page.say((first, RISK_STYLE[level] if subject.availability.deployable else ""))
    for sentence in rest:
        page.say(sentence)


def _events(page: Page, timeline: Timeline) -> None:
    if not timeline.events:
        return
    page.heading("EVENTS")
    listed = timeline.events[:EVENTS]
    wide = max(len(moment(told.at)) for told in listed) if has_times(timeline) else 0
    for number, told in enumerate(listed, 1):
        when = f"  {moment(told.at):>{wide}}" if wide else ""
        what = f"{told.name}: {told.text}" if told.name else told.text
        page.say(what, label=f"{number:>{len(str(len(listed)))}}{when}  ")
    if len(timeline.events) > EVENTS:
        page.say(f"and {len(timeline.events) - EVENTS:,} more: the JSON and CSV reports have all of them")


def _chart(page: Page, timeline: Timeline) -> None:
    """Draw the demand of every policy over the steps, in eighths of what there is."""
    rows: list[list[Cell]] = []
    for policy in timeline.policies:
        cells = _cells(policy.steps)
        drawn = "".join(_bar(step) for step in cells)
        peak = max(policy.steps, key=lambda step: step.memory.demand_bytes - step.memory.capacity_bytes)
        style = RISK_STYLE[max((step.risk for step in policy.steps), key=RISK_ORDER.index)]
        most = fmt.percent(peak.memory.demand_bytes, peak.memory.capacity_bytes)
        rows.append([policy.policy, (drawn, style if policy.availability.deployable else "dim"), most])
    many = len(timeline.events) + 1
    each = f", the worst of {-(-many // CELLS)} in each place" if many > CELLS else ""
    page.heading(
        f"DEMAND after each event{each}: {_BARS[0]} to {_BARS[-1]} in eighths of memory, {_BEYOND} more than there is"
    )
    page.table([Column("policy", right=False), Column("", right=False), Column("at most")], rows)


def _cells(steps: Sequence[Step]) -> list[Step]:
    """Return a step for each cell of a chart: of several, the one with the least headroom."""
    width = -(-len(steps) // CELLS)
    groups = [steps[at : at + width] for at in range(0, len(steps), width)]
    return [min(group, key=lambda step: step.memory.headroom_bytes) for group in groups]


def _bar(step: Step) -> str:
    memory = step.memory
    if memory.demand_bytes > memory.capacity_bytes:
        return _BEYOND
    return _BARS[max(0, -(-memory.demand_bytes * len(_BARS) // max(memory.capacity_bytes, 1)) - 1)]


def _firsts(page: Page, timeline: Timeline) -> None:
    """Show the first event at which each policy reaches each level of risk."""
    for deployable, title in ((True, "CAN BE DEPLOYED"), (False, "NO MAINLINE KERNEL YET")):
        policies = [each for each in timeline.policies if each.availability.deployable == deployable]
        if not policies:
            continue
        if not deployable:
            title += f" (as of {max(each.availability.as_of for each in policies)}): figures of what would be"
        page.heading(f"{title}; first event at each level of risk")
        state = [] if deployable else [Column("state", right=False)]
        columns = [Column("policy", right=False), *state, *map(Column, ("warning", "critical", "OOM", "worst free"))]
        rows: list[list[Cell]] = []
        for policy in policies:
            low = min(policy.steps, key=lambda step: step.memory.headroom_bytes)
            rows.append(
                [
                    (policy.policy, "bold") if deployable else policy.policy,
                    *([] if deployable else [policy.availability.state]),
                    *(_number(first_at(policy, level)) for level in ("warning", "critical", "oom")),
                    fmt.size(low.memory.headroom_bytes, exact=low.exact),
                ]
            )
        page.table(columns, rows)
        for policy in policies:
            if policy.applies:
                verb = "needs" if deployable else "would need"
                page.say("; ".join(policy.applies), label=f"{policy.policy} {verb}: ")
            for sentence in other_ends(policy):
                page.say(sentence)


def _number(step: int | None) -> str:
    return "-" if step is None else "start" if step == 0 else f"{step:,}"


def _policy(page: Page, timeline: Timeline, policy: PolicyTimeline) -> None:
    deployable = policy.availability.deployable
    what = policy.title if deployable else f"{policy.title}; no mainline kernel has it, what would be"
    page.blank()
    page.say((policy.policy, "bold"), f": {what}")
    steps = chosen(policy)
    unit = fmt.unit_of(max(step.memory.capacity_bytes for step in policy.steps))
    levels = levels_of([policy])
    some_shared = any(step.shared_bytes for step in policy.steps)
    some_cached = any(step.cached_bytes for step in policy.steps)
    times = has_times(timeline)
    columns = [
        Column("after"),
        *([Column("at")] if times else []),
        *map(Column, levels),
        Column("tables"),
        *([Column(SHARED)] if some_shared else []),
        *([Column(CACHED)] if some_cached else []),
        *([Column("private"), Column(SHARERS)] if some_shared else []),
        Column("VmPTE"),
        Column(f"demand {unit}"),
        Column(f"free {unit}"),
        Column("risk", right=False),
    ]
    rows: list[list[Cell]] = []
    for step in steps:
        level: Cell = (risk(policy, step), RISK_STYLE[step.risk]) if deployable else risk(policy, step)
        largest = largest_class(step)
        size = [fmt.size(each, exact=step.exact) for each in (step.shared_bytes, step.cached_bytes, step.private_bytes)]
        rows.append(
            [
                _number(step.event),
                *([moment(step.at)] if times else []),
                *(fmt.tables(tables_at(step, name)) for name in levels),
                fmt.size(step.used_bytes, exact=step.exact),
                *([size[0]] if some_shared else []),
                *([size[1]] if some_cached else []),
                *([size[2], sharers(step)] if some_shared else []),
                "-" if largest is None else fmt.size(largest.vmpte_bytes, exact=largest.exact),
                fmt.in_unit(step.memory.demand_bytes, unit, exact=step.exact),
                fmt.in_unit(step.memory.headroom_bytes, unit, exact=step.exact),
                level,
            ]
        )
    above = tuple(levels)
    page.table(
        columns, rows, indent=2,
        leave_out=[above, (*above, SHARERS), (*above, SHARERS, "private"), (*above, SHARERS, "private", "at", "VmPTE")],
    )  # fmt: skip
    if len(steps) < len(policy.steps):
        left = len(policy.steps) - len(steps)
        page.say(f"and {left:,} steps more: the JSON and CSV reports have all of them", indent=2)
    _classes(page, policy, steps)
    for step in steps:
        for note in step.notes:
            page.say(note, label=f"after {_number(step.event)}: ", indent=2)


def _classes(page: Page, policy: PolicyTimeline, steps: Sequence[Step]) -> None:
    """Show one process of each group and history, at the steps where it differs from what was shown before."""
    if all(len(step.classes) <= 1 for step in steps):
        return
    shown: dict[tuple[str, str], ClassState] = {}
    rows: list[list[Cell]] = []
    for step in steps:
        for each in step.classes:
            key = (each.group, each.label)
            if shown.get(key) == each:
                continue
            shown[key] = each
            sizes = (each.vmpte_bytes, each.private_bytes, each.rss_bytes)
            rows.append(
                [
                    of_class(*key),
                    _number(step.event),
                    f"{each.count:,}",
                    *(fmt.size(size, exact=each.exact) for size in sizes),
                    f"{each.badness_pages:,}",
                ]
            )
    page.blank()
    page.say(("one process of each kind, where it changes", "dim"), indent=2)
    columns = [
        Column("processes", right=False),
        *map(Column, ("after", "count", "VmPTE", "own tables", "RSS", "badness")),
    ]
    page.table(columns, rows, indent=2, leave_out=[("badness",), ("badness", "RSS"), ("badness", "RSS", "own tables")])


def _walks(page: Page, timeline: Timeline) -> None:
    """Show what it costs to reach the pages of each segment through all tables that map them."""
    at = walked_step(timeline)
    rows: list[list[Cell]] = [
        [policy.policy, walk.segment, per_page(walk), f"{walk.tables:,}", f"{walk.entries:,}", f"{walk.flushed:,}"]
        for policy in timeline.policies
        for walk in policy.steps[at].walks
    ]
    if not rows:
        return
    page.heading(f"COST OF WALKING (rmap, reclaim, write protection) after {after(timeline, at)}")
    columns = [
        Column("policy", right=False),
        Column("segment", right=False),
        Column("tables of a page"),
        Column("leaf tables"),
        Column("entries"),
        Column("TLB flushes"),
    ]
    page.table(columns, rows, leave_out=[("segment",)] if len({row[1] for row in rows}) == 1 else ())
    for sentence in walk_sentences(timeline, at):
        page.say(sentence)


def _choices(page: Page, timeline: Timeline) -> None:
    open_ = [(policy, choice) for policy in timeline.policies for choice in policy.choices]
    if not open_:
        return
    page.heading("OPEN CHOICES in force")
    for policy, (name, value, meaning) in open_:
        page.say(meaning, label=f"{policy.policy}.{name} = {value}: ")


def _assumptions(page: Page, timeline: Timeline) -> None:
    if not timeline.assumptions:
        return
    page.heading("ASSUMED, because the file does not say")
    for assumption in timeline.assumptions:
        page.say(f"{assumption.value} ({assumption.why})", label=f"{assumption.key}: ")
