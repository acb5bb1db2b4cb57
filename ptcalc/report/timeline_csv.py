"""``ptcalc timeline`` as CSV: one table, the first column of which says what a row is about.

A ``step`` row stands for an event and policy, a ``processes`` row for processes with one history after it, a ``walk``
row for a segment.  The columns are always the same ones; those that a row has nothing to say in are empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from ptcalc.errors import printable
from ptcalc.report.timeline_json import seconds
from ptcalc.timeline.result import PolicyTimeline, Step, Timeline

COLUMNS = (
    "row", "event", "at_seconds", "name", "policy", "state", "exact",
    # step
    "risk", "boundary", "capacity_bytes", "demand_bytes", "headroom_bytes", "page_tables_bytes", "used_bytes",
    "shared_bytes", "cached_bytes", "private_bytes",
    *(f"{level}_{what}" for level in ("pte", "pmd", "pud", "p4d", "pgd") for what in ("private", "shared", "cached")),
    "sharers_min", "sharers_mean", "sharers_max", "victim", "victim_frees_bytes", "walked_tables", "walked_entries",
    "released_bytes",
    # processes
    "group", "label", "count", "vmpte_bytes", "own_tables_bytes", "rss_bytes", "badness_pages",
    # walk
    "segment", *(f"tables_per_page_{what}" for what in ("min", "mean", "max")), "leaf_tables", "entries", "flushed",
)  # fmt: skip
# What spreadsheets would take for the start of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Row = dict[str, object]


def render(timeline: Timeline) -> str:
    """Return all steps as CSV with a line of titles; texts begin nothing that a spreadsheet would compute."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for policy in timeline.policies:
        for step in policy.steps:
            writer.writerows({key: _cell(value) for key, value in row.items()} for row in _rows(timeline, policy, step))
    return out.getvalue()


def _rows(timeline: Timeline, policy: PolicyTimeline, step: Step) -> Iterator[Row]:
    name = timeline.events[step.event - 1].name if step.event else ""
    about: Row = {
        "event": step.event,
        "at_seconds": seconds(step.at),
        "name": name,
        "policy": policy.policy,
        "state": policy.availability.state,
    }
    yield {"row": "step", **about, "exact": step.exact, **_step(step)}
    for each in step.classes:
        yield {
            "row": "processes",
            **about,
            "exact": each.exact,
            "group": each.group,
            "label": each.label,
            "count": each.count,
            "vmpte_bytes": each.vmpte_bytes,
            "own_tables_bytes": each.private_bytes,
            "rss_bytes": each.rss_bytes,
            "badness_pages": each.badness_pages,
        }
    for walk in step.walks:
        least, mean, most = walk.tables_per_page
        yield {
            "row": "walk",
            **about,
            "exact": step.exact,
            "segment": walk.segment,
            "tables_per_page_min": least,
            "tables_per_page_mean": mean,
            "tables_per_page_max": most,
            "leaf_tables": walk.tables,
            "entries": walk.entries,
            "flushed": walk.flushed,
        }


def _step(step: Step) -> Row:
    memory, victim, sharers = step.memory, step.victim, step.sharers
    found: Row = {
        "risk": step.risk,
        "boundary": memory.boundary,
        "capacity_bytes": memory.capacity_bytes,
        "demand_bytes": memory.demand_bytes,
        "headroom_bytes": memory.headroom_bytes,
        "page_tables_bytes": step.page_tables_bytes,
        "used_bytes": step.used_bytes,
        "shared_bytes": step.shared_bytes,
        "cached_bytes": step.cached_bytes,
        "private_bytes": step.private_bytes,
        "walked_tables": step.walked_tables,
        "walked_entries": step.walked_entries,
        "released_bytes": step.released_bytes,
    }
    for level in step.levels:
        found |= {
            f"{level.level}_private": level.private,
            f"{level.level}_shared": level.shared,
            f"{level.level}_cached": level.cached,
        }
    if sharers is not None:
        found |= {"sharers_min": sharers.least, "sharers_mean": sharers.mean, "sharers_max": sharers.most}
    if victim is not None:
        found |= {"victim": victim.group, "victim_frees_bytes": victim.frees_bytes}
    return found


def _cell(value: object) -> object:
    """Return a value as it stands in a cell: names harmless, whole numbers with all digits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    shown = printable(value)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
