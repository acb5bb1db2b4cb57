"""Timelines made by hand for the renderers: no engine, no workload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ptcalc.result import RISK_ORDER, Assumption, Availability, LedgerItem, Memory, RiskLevel
from ptcalc.timeline.result import (
    ClassState,
    LevelState,
    PolicyTimeline,
    Sharers,
    Step,
    Timeline,
    Told,
    Victim,
    Walk,
)

KIB, MIB, GIB = 2**10, 2**20, 2**30
MAINLINE = Availability("mainline", "2.6.20", "mm/hugetlb.c", "2026-11")
PROPOSAL = Availability("proposal", "", "linux-mm, 2022-07-18", "2026-11")
HOSTILE = "=cmd()|[red]x[/] \x1b[31mred\x1b[0m\r\nNO \u202eesrever | <b>&\"' 漢字 \ud800"
TABLE = 4096
OTHER, CAPACITY = 331 * GIB, 502 * GIB


def step(
    event: int,
    *,
    private: int,
    shared: int = 0,
    cached: int = 0,
    count: int = 1500,
    at: Fraction = Fraction(0),
    classes: tuple[tuple[str, str, int], ...] = (),
    sharers: Sharers | None = None,
    exact: bool = True,
    **changes: Any,
) -> Step:
    """A state with so many PTE tables of each kind (and one PUD table for each process), all else in proportion."""
    used = (private + shared + cached + count) * TABLE
    demand = OTHER + used - cached * TABLE
    free = CAPACITY - demand
    risk: RiskLevel = "ok" if free > CAPACITY // 10 else "warning" if free > CAPACITY // 20 else "critical"
    risk = "oom" if free < 0 else risk
    each = (private + shared) // max(count, 1) * TABLE
    entries = (private + shared) * 512
    made = Step(
        event=event,
        at=at,
        levels=(LevelState("pte", private, shared, cached, TABLE), LevelState("pud", count, 0, 0, TABLE)),
        shared_bytes=shared * TABLE,
        cached_bytes=cached * TABLE,
        private_bytes=(private + count) * TABLE,
        page_tables_bytes=used,
        used_bytes=used,
        classes=tuple(
            ClassState(group, label, many, each, private // max(count, 1) * TABLE, 72 * GIB, 18_900_000, exact)
            for group, label, many in classes or (("dedicated-server", "", count),)
        ),
        sharers=sharers,
        memory=Memory("host", CAPACITY, demand, free, (LedgerItem("page tables", used, "page_tables"),)),
        risk=risk,
        victim=Victim("dedicated-server", "", 18_900_000, (("private memory", 12 * MIB), ("page tables", each)))
        if risk == "oom"
        else None,
        walks=(
            Walk(
                "sga",
                (1, private / 153_600 + bool(shared), max(count, 1)) if not shared else (1, 1.25, 2),
                private + shared,
                entries,
                count,
            ),
        ),
        exact=exact,
    )
    return replace(made, **changes)


def firsts(steps: tuple[Step, ...]) -> tuple[tuple[RiskLevel, int | None], ...]:
    """The first step at each level or beyond it."""
    order = RISK_ORDER.index
    return tuple(
        (level, next((at for at, each in enumerate(steps) if order(each.risk) >= order(level)), None))
        for level in RISK_ORDER[1:]
    )


def policy(name: str, *steps: Step, availability: Availability = MAINLINE, **changes: Any) -> PolicyTimeline:
    """A policy with its steps."""
    made = PolicyTimeline(name, f"the title of {name}", availability, (), steps, firsts(steps))
    return replace(made, **changes)


def timeline(policies: tuple[PolicyTimeline, ...], events: tuple[Told, ...], **changes: Any) -> Timeline:
    """A timeline of an SGA of 300 GiB."""
    made = Timeline(
        name="Connection storm",
        file="storm.yaml",
        arch="x86_64",
        kernel="6.18",
        installed_bytes=512 * GIB,
        segment_bytes=(("sga", 300 * GIB),),
        events=events,
        policies=policies,
        assumptions=(Assumption("host.swap", "0 B", "the usual setting of a database host"),),
    )
    return replace(made, **changes)


HOUR = Fraction(3600)
EVENTS = (
    Told(Fraction(0), "storm", "1,450 processes of dedicated-server start", 30, 5),
    Told(8 * HOUR, "reports begin", "50 of dedicated-server make 64 GiB of sga read-only", 31, 5),
    Told(9 * HOUR + 1800, "", "50 of dedicated-server (readers) exit", 34, 5),
    Told(9 * HOUR + 1830, "", "memory pressure", 36, 5),
)
TIMES = (Fraction(0), *(told.at for told in EVENTS))


def storm() -> Timeline:
    """Out of memory today in the storm; sharing keeps a second set for the readers, then caches it, then drops it."""
    readers = (("dedicated-server", "", 1450), ("dedicated-server", "readers", 50))
    today = [
        step(0, private=50 * 153_600, count=50),
        step(1, private=1500 * 153_600),
        step(2, private=1500 * 153_600, classes=readers),
        step(3, private=1450 * 153_600, count=1450),
        step(4, private=1450 * 153_600, count=1450),
    ]
    shared = [
        step(0, private=0, shared=153_600, count=50, sharers=Sharers(50, 50.0, 50)),
        step(1, private=0, shared=153_600, sharers=Sharers(1500, 1500.0, 1500)),
        step(
            2, private=0, shared=153_600 + 32_768, classes=readers, sharers=Sharers(50, 1246.4, 1500),
            notes=("50 processes unhook 32,768 tables each; a second set is made, once",), walked_tables=32_768,
        ),
        step(3, private=0, shared=153_600, cached=32_768, count=1450, sharers=Sharers(1450, 1450.0, 1450)),
        step(4, private=0, shared=153_600, count=1450, sharers=Sharers(1450, 1450.0, 1450), released_bytes=128 * MIB),
    ]  # fmt: skip
    huge = [step(number, private=300, count=50 if number == 0 else 1500) for number in range(5)]

    def dated(steps: list[Step]) -> tuple[Step, ...]:
        return tuple(replace(each, at=at) for each, at in zip(steps, TIMES, strict=True))

    return timeline(
        (
            policy("today", *dated(today)),
            policy("hugetlb-2M", *dated(huge), applies=("back sga with 2M hugetlb pages",)),
            policy(
                "file-shared", *dated(shared), availability=PROPOSAL,
                choices=(("unused", "until_pressure", "6.2-f: how long unused tables are cached"),),
            ),
        ),
        EVENTS,
    )  # fmt: skip


def calm() -> Timeline:
    """Nothing ever gets tight, and draws make figures expectations."""
    return timeline(
        (
            policy("today", *(step(at, private=1000 * at, count=10, exact=at == 0) for at in range(3))),
            policy("private", *(step(at, private=1000 * at, count=10, exact=at == 0) for at in range(3))),
        ),
        tuple(Told(Fraction(0), "", "10 of dedicated-server touch more", 0, 0) for _ in range(2)),
        name="A calm day",
        assumptions=(),
    )


def long() -> Timeline:
    """More steps than a screen or a chart has room for, up and beyond what there is."""
    many = 1000
    grows = tuple(step(at, private=at * 61_440, count=at, at=at * Fraction(1, 3)) for at in range(many + 1))
    shared = tuple(step(at, private=0, shared=153_600, count=at, at=at * Fraction(1, 3)) for at in range(many + 1))
    events = tuple(Told(at * Fraction(1, 3), "", "a process of server starts", at, 1) for at in range(1, many + 1))
    return timeline((policy("today", *grows), policy("mshare", *shared, availability=PROPOSAL)), events)


def hostile() -> Timeline:
    """Names that would break out of each format."""
    plain = (
        step(0, private=0, count=0, classes=((HOSTILE, HOSTILE, 0),)),
        step(1, private=1500 * 153_600, notes=(HOSTILE,), classes=((HOSTILE, HOSTILE, 1500),)),
    )
    steps = tuple(
        replace(
            each,
            walks=tuple(replace(walk, segment=HOSTILE) for walk in each.walks),
            victim=each.victim and Victim(HOSTILE, HOSTILE, 1, ((HOSTILE, 1),)),
        )
        for each in plain
    )
    return timeline(
        (policy("today", *steps, applies=(HOSTILE,), choices=((HOSTILE, HOSTILE, HOSTILE),)),),
        (Told(Fraction(0), HOSTILE, HOSTILE, 1, 1),),
        name=HOSTILE,
        file=HOSTILE,
        assumptions=(Assumption(HOSTILE, HOSTILE, HOSTILE),),
    )


def what_ifs() -> Timeline:
    """Nothing that can be deployed was asked for, and nothing happens."""
    return timeline((policy("file-shared", step(0, private=1500 * 153_600), availability=PROPOSAL),), ())


CASES: dict[str, Callable[[], Timeline]] = {
    "storm": storm,
    "calm": calm,
    "long": long,
    "hostile": hostile,
    "what-ifs": what_ifs,
}
