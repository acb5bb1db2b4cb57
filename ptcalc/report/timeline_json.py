"""``ptcalc timeline --format json``: ``ptcalc.timeline/1``.

Bytes and tables are integers; where ``exact`` is false they are rounded expectations.  ``at_seconds`` is an integer
where the time is one.  A step's ``event`` is its place in ``events`` from 1, 0 is the beginning.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from ptcalc.report.json_report import memory_to_dict
from ptcalc.timeline.result import ClassState, LevelState, PolicyTimeline, Step, Timeline, Victim, Walk

Json = dict[str, Any]

SCHEMA = "ptcalc.timeline/1"


def to_dict(timeline: Timeline) -> Json:
    """Return `timeline` as the object that ``ptcalc timeline --format json`` prints."""
    return {
        "schema": SCHEMA,
        "workload": {
            "name": timeline.name,
            "file": timeline.file,
            "arch": timeline.arch,
            "kernel": timeline.kernel,
            "installed_bytes": timeline.installed_bytes,
            "segments": [{"name": name, "bytes": size} for name, size in timeline.segment_bytes],
        },
        "events": [
            {
                "event": number,
                "at_seconds": seconds(told.at),
                "name": told.name,
                "text": told.text,
                "location": {"line": told.line, "column": told.column},
            }
            for number, told in enumerate(timeline.events, 1)
        ],
        "policies": [_policy(policy) for policy in timeline.policies],
        "assumptions": [{"key": each.key, "value": each.value, "why": each.why} for each in timeline.assumptions],
    }


def seconds(at: Fraction) -> int | float:
    """Return a time as a number of JSON."""
    return int(at) if at.denominator == 1 else float(at)


def _policy(policy: PolicyTimeline) -> Json:
    availability = policy.availability
    return {
        "policy": policy.policy,
        "title": policy.title,
        "availability": {
            "state": availability.state,
            "since": availability.since,
            "source": availability.source,
            "as_of": availability.as_of,
        },
        "applies": list(policy.applies) or "as_written",
        "choices": [{"name": name, "value": value, "meaning": meaning} for name, value, meaning in policy.choices],
        "first_event": dict(policy.firsts),
        "bounds": [
            {
                "name": each.name,
                "value": each.value,
                "first_oom": each.first_oom,
                "worst_event": each.worst,
                "demand_bytes": each.demand_bytes,
                "headroom_bytes": each.headroom_bytes,
                "exact": each.exact,
                "why": each.meaning,
            }
            for each in policy.bounds
        ],
        "steps": [_step(step) for step in policy.steps],
    }


def _step(step: Step) -> Json:
    return {
        "event": step.event,
        "at_seconds": seconds(step.at),
        "exact": step.exact,
        "page_tables": {
            "bytes": step.page_tables_bytes,
            "used_bytes": step.used_bytes,
            "shared_bytes": step.shared_bytes,
            "cached_bytes": step.cached_bytes,
            "private_bytes": step.private_bytes,
            "levels": [_level(level) for level in step.levels],
        },
        "processes": [_class(each) for each in step.classes],
        "sharers": None
        if step.sharers is None
        else {"min": step.sharers.least, "mean": step.sharers.mean, "max": step.sharers.most},
        "memory": memory_to_dict(step.memory),
        "risk": step.risk,
        "victim": None if step.victim is None else _victim(step.victim),
        "walks": [_walk(walk) for walk in step.walks],
        "walked_tables": step.walked_tables,
        "walked_entries": step.walked_entries,
        "released_bytes": step.released_bytes,
        "notes": list(step.notes),
    }


def _level(level: LevelState) -> Json:
    return {
        "level": level.level,
        "private": level.private,
        "shared": level.shared,
        "cached": level.cached,
        "table_bytes": level.table_bytes,
    }


def _class(each: ClassState) -> Json:
    return {
        "group": each.group,
        "label": each.label,
        "count": each.count,
        "vmpte_bytes": each.vmpte_bytes,
        "private_bytes": each.private_bytes,
        "rss_bytes": each.rss_bytes,
        "badness_pages": each.badness_pages,
        "exact": each.exact,
    }


def _victim(victim: Victim) -> Json:
    return {
        "group": victim.group,
        "label": victim.label,
        "badness_pages": victim.badness_pages,
        "frees_bytes": victim.frees_bytes,
        "frees": [{"name": name, "bytes": size} for name, size in victim.frees],
    }


def _walk(walk: Walk) -> Json:
    least, mean, most = walk.tables_per_page
    return {
        "segment": walk.segment,
        "tables_per_page": {"min": least, "mean": mean, "max": most},
        "tables": walk.tables,
        "entries": walk.entries,
        "flushed": walk.flushed,
    }
