"""``ptcalc timeline`` as one HTML file: the answer, charts over the events, every step and what walking costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ptcalc.charts import Axis, Chart, Mark, Series, Tone
from ptcalc.report import format as fmt
from ptcalc.report.page import Column
from ptcalc.report.timeline_telling import (
    after,
    answers,
    chosen,
    first_at,
    has_times,
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
from ptcalc.report.web import page
from ptcalc.report.web.page import Html, element, text
from ptcalc.result import RISK_ORDER
from ptcalc.timeline.result import PolicyTimeline, Step, Timeline

POINTS = 400  # of a chart; of more steps the worst of several
_TONES: tuple[Tone, ...] = (
    "page_tables", "base", "pool", "segment", "private", "accent", "host_mm", "second_level", "index",
)  # fmt: skip


def render(timeline: Timeline) -> str:
    """Return the report on `timeline` as an HTML file; the same argument gives the same bytes."""
    shown = [_demand(timeline), _tables(timeline)]
    body = [
        _header(timeline),
        page.heading("Demand after each event"),
        page.figure(shown[0]),
        page.heading("Page tables after each event"),
        page.figure(shown[1]),
        page.heading("First event at each level of risk"),
        _firsts(timeline),
        *[element("p", text(sentence)) for policy in timeline.policies for sentence in other_ends(policy)],
        page.heading("What happens"),
        _events(timeline),
        *_walks(timeline),
        page.heading("Step by step"),
        *(_policy(timeline, policy) for policy in timeline.policies),
        *_assumptions(timeline),
    ]
    return page.document(timeline.name, body, charts=shown)


def _header(timeline: Timeline) -> Html:
    subject = subject_of(timeline)
    machine = [timeline.file, timeline.arch, f"kernel {timeline.kernel}" if timeline.kernel else ""]
    level = max((step.risk for step in subject.steps), key=RISK_ORDER.index)
    first, *rest = answers(timeline)
    return element(
        "header",
        page.heading(timeline.name, 1),
        page.paragraph(text(", ".join(part for part in machine if part)), class_="dim"),
        page.paragraph(text(first), class_=f"answer {level}" if subject.availability.deployable else "answer"),
        *(page.paragraph(text(sentence), class_="lead") for sentence in rest),
    )


def _named(policy: PolicyTimeline) -> str:
    return policy.policy if policy.availability.deployable else f"{policy.policy} *"


def _places(timeline: Timeline) -> list[Sequence[int]]:
    """Return the steps that stand behind each point of a chart."""
    many = len(timeline.events) + 1
    width = -(-many // POINTS)
    return [range(at, min(at + width, many)) for at in range(0, many, width)]


def _demand(timeline: Timeline) -> Chart:
    usable = Mark("y", subject_of(timeline).steps[0].memory.capacity_bytes, "usable", "capacity")
    return _chart(
        timeline, "demand", "Demand over the events", "memory",
        lambda step: step.memory.demand_bytes, (usable,), " ".join(answers(timeline)),
    )  # fmt: skip


def _tables(timeline: Timeline) -> Chart:
    alt = " ".join(
        f"{_named(policy)}: at most {fmt.size(max(step.used_bytes for step in policy.steps))}."
        for policy in timeline.policies
    )
    return _chart(
        timeline,
        "tables",
        "Memory in page tables over the events",
        "page tables",
        lambda step: step.used_bytes,
        (),
        alt,
    )


def _chart(
    timeline: Timeline,
    name: str,
    title: str,
    axis: str,
    value: Callable[[Step], int],
    marks: tuple[Mark, ...],
    alt: str,
) -> Chart:
    places = _places(timeline)
    series = []
    for number, policy in enumerate(timeline.policies):
        values = tuple(max(value(policy.steps[at]) for at in place) for place in places)
        series.append(Series(_named(policy), _TONES[number % len(_TONES)], values))
    hypothetical = [each for each in timeline.policies if not each.availability.deployable]
    note = "" if not hypothetical else "With *: no mainline kernel has it, what would be."
    return Chart(
        name=name, title=title, alt=alt, kind="lines",
        x=Axis("event", "count", tuple(place[0] for place in places)), y=Axis(axis, "bytes"),
        series=tuple(series), marks=marks, note=note,
    )  # fmt: skip


def _cells(*words: str) -> list[Html]:
    return [text(word) for word in words]


def _firsts(timeline: Timeline) -> Html:
    columns = [
        Column("policy", right=False),
        *map(Column, ("warning", "critical", "OOM")),
        Column("who has it", right=False),
    ]
    rows = []
    for policy in timeline.policies:
        reached = [first_at(policy, level) for level in ("warning", "critical", "oom")]
        rows.append(
            _cells(_named(policy), *("-" if at is None else f"{at:,}" for at in reached), policy.availability.state)
        )
    return page.table(columns, rows)


def _events(timeline: Timeline) -> Html:
    columns = [
        Column("event"),
        Column("at"),
        Column("name", right=False),
        Column("what happens", right=False),
        Column("line"),
    ]
    rows = [
        _cells(f"{number:,}", moment(told.at), told.name, told.text, f"{told.line}" if told.line else "")
        for number, told in enumerate(timeline.events, 1)
    ]
    return page.table(columns, rows)


def _policy(timeline: Timeline, policy: PolicyTimeline) -> Html:
    levels = levels_of([policy])
    times = [Column("at")] if has_times(timeline) else []
    titles = ("tables", "shared", "cached", "private", "sharers", "demand", "free")
    columns = [Column("after"), *times, *map(Column, levels), *map(Column, titles), Column("risk", right=False)]
    steps = chosen(policy, POINTS)
    rows, classes, notes = [], [], []
    for step in steps:
        rows.append(_step(policy, step, levels, times=bool(times)))
        for each in step.classes:
            sizes = (each.vmpte_bytes, each.private_bytes, each.rss_bytes)
            classes.append(
                _cells(
                    f"{step.event:,}", of_class(each.group, each.label), f"{each.count:,}",
                    *(fmt.size(size, exact=each.exact) for size in sizes), f"{each.badness_pages:,}",
                )
            )  # fmt: skip
        notes += [element("li", text(f"after {step.event}: {note}")) for note in step.notes]
    left = len(policy.steps) - len(steps)
    more = (
        [page.paragraph(text(f"And {left:,} steps more: the JSON and CSV reports have all of them."))] if left else []
    )
    what = (
        policy.title if policy.availability.deployable else f"{policy.title}; no mainline kernel has it: what would be"
    )
    kinds = [
        Column("after"), Column("processes", right=False),
        *map(Column, ("count", "VmPTE", "own tables", "RSS", "badness")),
    ]  # fmt: skip
    return page.details(
        f"{policy.policy}: {what}",
        page.table(columns, rows, caption=f"{policy.policy}, step by step"),
        *more,
        page.table(kinds, classes, caption="One process of each kind"),
        *([element("ul", *notes)] if notes else []),
    )


def _step(policy: PolicyTimeline, step: Step, levels: Sequence[str], *, times: bool) -> list[Html]:
    sizes = (step.used_bytes, step.shared_bytes, step.cached_bytes, step.private_bytes)
    memory = (step.memory.demand_bytes, step.memory.headroom_bytes)
    return _cells(
        f"{step.event:,}",
        *([moment(step.at)] if times else []),
        *(f"{tables_at(step, level):,}" for level in levels),
        *(fmt.size(size, exact=step.exact) for size in sizes),
        sharers(step),
        *(fmt.size(size, exact=step.exact) for size in memory),
        risk(policy, step),
    )


def _walks(timeline: Timeline) -> list[Html]:
    at = walked_step(timeline)
    rows = [
        _cells(
            _named(policy), walk.segment, per_page(walk), f"{walk.tables:,}", f"{walk.entries:,}", f"{walk.flushed:,}"
        )
        for policy in timeline.policies
        for walk in policy.steps[at].walks
    ]
    if not rows:
        return []
    left = (Column("policy", right=False), Column("segment", right=False))
    columns = [*left, *map(Column, ("tables of a page", "leaf tables", "entries", "TLB flushes"))]
    said = [page.paragraph(text(sentence)) for sentence in walk_sentences(timeline, at)]
    return [page.heading(f"Cost of walking after {after(timeline, at)}"), page.table(columns, rows), *said]


def _assumptions(timeline: Timeline) -> list[Html]:
    if not timeline.assumptions:
        return []
    items = [
        element("li", page.strong(each.key), text(f": {each.value} ({each.why})")) for each in timeline.assumptions
    ]
    return [page.heading("Assumed, because the file does not say"), element("ul", *items)]
