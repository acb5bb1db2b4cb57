"""``ptcalc timeline`` in Markdown: for a ticket, or the summary of a step in CI."""

from __future__ import annotations

from ptcalc.report import format as fmt
from ptcalc.report.markup import escaped, table
from ptcalc.report.page import Column
from ptcalc.report.timeline_telling import (
    after,
    answers,
    chosen,
    first_at,
    has_times,
    largest_class,
    moment,
    other_ends,
    per_page,
    risk,
    sharers,
    walk_sentences,
    walked_step,
)
from ptcalc.timeline.result import PolicyTimeline, Timeline

_EVENTS = 60


def render(timeline: Timeline) -> str:
    """Return the answer, the events, each policy step by step, and what walking costs."""
    parts = [f"## {escaped(timeline.name)}", " ".join(escaped(sentence) for sentence in answers(timeline))]
    if timeline.events:
        parts += ["### Events", "\n".join(_events(timeline))]
    parts += ["### First event at each level of risk", "\n".join(_firsts(timeline))]
    for policy in timeline.policies:
        what = "" if policy.availability.deployable else " (no mainline kernel has it: what would be)"
        parts += [f"### {escaped(policy.policy)}{what}", "\n".join(_steps(timeline, policy))]
        left = len(policy.steps) - len(chosen(policy))
        if left:
            parts.append(f"And {left:,} steps more.")
        parts += [f"- after {step.event}: {escaped(note)}" for step in chosen(policy) for note in step.notes]
    parts += _walks(timeline)
    return "\n\n".join(parts) + "\n"


def _events(timeline: Timeline) -> list[str]:
    rows = []
    for number, told in enumerate(timeline.events[:_EVENTS], 1):
        rows.append([f"{number}", moment(told.at), escaped(told.name), escaped(told.text)])
    lines = table([Column(""), Column("at"), Column("name", right=False), Column("what happens", right=False)], rows)
    left = len(timeline.events) - _EVENTS
    return [*lines, *(["", f"And {left:,} more."] if left > 0 else [])]


def _firsts(timeline: Timeline) -> list[str]:
    columns = [
        Column("policy", right=False),
        Column("state", right=False),
        *map(Column, ("warning", "critical", "OOM")),
    ]
    rows = []
    for policy in timeline.policies:
        reached = (first_at(policy, level) for level in ("warning", "critical", "oom"))
        rows.append(
            [escaped(policy.policy), policy.availability.state, *("-" if at is None else f"{at}" for at in reached)]
        )
    ends = [f"- {escaped(sentence)}" for policy in timeline.policies for sentence in other_ends(policy)]
    return [*table(columns, rows), *(["", *ends] if ends else [])]


def _steps(timeline: Timeline, policy: PolicyTimeline) -> list[str]:
    times = [Column("at")] if has_times(timeline) else []
    titles = ("tables", "shared", "cached", "private", "sharers", "VmPTE", "demand", "free")
    rows = []
    for step in chosen(policy):
        largest = largest_class(step)
        sizes = (step.used_bytes, step.shared_bytes, step.cached_bytes, step.private_bytes)
        memory = (step.memory.demand_bytes, step.memory.headroom_bytes)
        rows.append(
            [
                f"{step.event}",
                *([moment(step.at)] if times else []),
                *(fmt.size(size, exact=step.exact) for size in sizes),
                sharers(step),
                "-" if largest is None else fmt.size(largest.vmpte_bytes, exact=largest.exact),
                *(fmt.size(size, exact=step.exact) for size in memory),
                risk(policy, step),
            ]
        )
    return table([Column("after"), *times, *map(Column, titles), Column("risk", right=False)], rows)


def _walks(timeline: Timeline) -> list[str]:
    at = walked_step(timeline)
    rows = [
        [
            escaped(policy.policy), escaped(walk.segment), per_page(walk), f"{walk.tables:,}", f"{walk.entries:,}",
            f"{walk.flushed:,}",
        ]
        for policy in timeline.policies
        for walk in policy.steps[at].walks
    ]  # fmt: skip
    if not rows:
        return []
    left = (Column("policy", right=False), Column("segment", right=False))
    titles = [*left, *map(Column, ("tables of a page", "leaf tables", "entries", "TLB flushes"))]
    said = [escaped(sentence) for sentence in walk_sentences(timeline, at)]
    return [f"### Cost of walking after {escaped(after(timeline, at))}", "\n".join(table(titles, rows)), *said]
