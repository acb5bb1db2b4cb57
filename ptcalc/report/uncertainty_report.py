"""``ptcalc estimate`` of a file with distributions, as text and as JSON (``ptcalc.uncertain/1``)."""

from __future__ import annotations

from typing import Any

from ptcalc.report import format as fmt
from ptcalc.report import json_report
from ptcalc.report.page import Cell, Column, Page, Screen
from ptcalc.report.terminal import RISK_STYLE
from ptcalc.result import RISK_ORDER
from ptcalc.scenarios.uncertainty import CONFIDENCE, PERCENTILES, Odds, Percentiles, PolicyOdds, Sampled

SCHEMA = "ptcalc.uncertain/1"
NAMES = tuple(f"p{each}" for each in PERCENTILES)
POOM, INTERVAL, DRIVEN = "P(OOM)", f"{100 * CONFIDENCE:.0f} %", "driven by"

Json = dict[str, Any]


def render_text(sampled: Sampled, screen: Screen) -> str:
    """Return the report for `screen`; where that is narrow, without the columns that matter least."""
    page = Page(screen)
    page.say((sampled.name, "bold"))
    machine = f"{sampled.arch} kernel {sampled.kernel}"
    drawn = f"{fmt.plural(sampled.samples, 'sample')}, seed {sampled.seed}"
    page.say((f"{sampled.file}, {machine}, {drawn}", "dim"))
    page.blank()
    subject = next((odds for odds in sampled.policies if odds.policy == "today"), sampled.policies[0])
    _answer(page, subject, sampled)
    page.blank()
    _risks(page, sampled)
    _memory(page, sampled)
    _inputs(page, subject, sampled)
    if sampled.assumptions:
        page.heading("ASSUMED, because the file does not say")
        for assumption in sampled.assumptions:
            page.say(f"{assumption.value} ({assumption.why})", label=f"{assumption.key}: ")
    return page.text()


def _answer(page: Page, subject: PolicyOdds, sampled: Sampled) -> None:
    odds = subject.levels["oom"]
    bounds = f"{_percent(odds.low)} to {_percent(odds.high)} % at {INTERVAL} confidence"
    style = "bold green" if not odds.samples else "bold yellow" if odds.high < 0.5 else "bold red"
    condition = "" if subject.policy == "today" else f" with {subject.policy}"
    page.say((f"Out of memory in {_percent(odds.probability)} % of the samples{condition} ({bounds}).", style))
    if subject.drivers:
        first = subject.drivers[0]
        share = f"rank correlation with what is left: {first.correlation:+.2f}"
        page.say(f"{first.path} drives it most ({share}).")
    else:
        page.say("Nothing that is drawn changes what is left.")


def _risks(page: Page, sampled: Sampled) -> None:
    levels = [level for level in RISK_ORDER if level != "oom"]
    columns = [
        Column("RISK, % of samples", right=False),
        Column(POOM),
        Column(INTERVAL, right=False),
        *(Column(level) for level in levels),
        Column(DRIVEN, right=False),
    ]
    rows: list[list[Cell]] = []
    for odds in sampled.policies:
        oom = odds.levels["oom"]
        share: Cell = _percent(oom.probability)
        if odds.availability.deployable and oom.samples:
            share = (_percent(oom.probability), RISK_STYLE["oom"])
        first = odds.drivers[0] if odds.drivers else None
        rows.append(
            [
                odds.policy if odds.availability.deployable else f"{odds.policy}*",
                share,
                f"{_percent(oom.low)} to {_percent(oom.high)}",
                *(_percent(odds.levels[level].probability) for level in levels),
                f"{first.path} ({first.correlation:+.2f})" if first else "-",
            ]
        )
    page.table(columns, rows, leave_out=[(DRIVEN,), (DRIVEN, *levels)], title="RISK, % of samples")
    others = {odds.policy: odds.availability for odds in sampled.policies if not odds.availability.deployable}
    if others:
        as_of = max(availability.as_of for availability in others.values())
        page.say(f"*: in no mainline kernel as of {as_of}.")
    page.say(f"{POOM}: how many run out of memory; {INTERVAL}: Wilson's interval of its probability.")


def _memory(page: Page, sampled: Sampled) -> None:
    page.heading(f"MEMORY, percentiles {', '.join(map(str, PERCENTILES))} of the samples")
    columns = [
        Column("", right=False),
        *(Column(f"{'tables ' if name == NAMES[0] else ''}{name}") for name in NAMES),
        *(Column(f"{'left ' if name == NAMES[0] else ''}{name}") for name in NAMES),
    ]
    rows: list[list[Cell]] = [
        [odds.policy, *map(fmt.size, odds.used_bytes), *map(fmt.size, odds.headroom_bytes)] for odds in sampled.policies
    ]
    page.table(columns, rows)
    page.say("tables: the memory that page tables take; left: headroom of the tighter of host and cgroup.")


def _inputs(page: Page, subject: PolicyOdds, sampled: Sampled) -> None:
    page.heading(f"DRAWN, the strongest first ({subject.policy})")
    place = {driver.path: number for number, driver in enumerate(subject.drivers)}
    known = {driver.path: driver.correlation for driver in subject.drivers}
    rows: list[list[Cell]] = [
        [each.path, each.distribution, each.median, f"{known[each.path]:+.2f}" if each.path in known else "-"]
        for each in sorted(sampled.inputs, key=lambda each: place.get(each.path, len(place)))
    ]
    columns = [Column("", right=False), Column("", right=False), Column("median"), Column("correlation")]
    page.table(columns, rows)
    page.say("correlation: of ranks, with what is left; below 0, more of it leaves less.")


def _percent(share: float) -> str:
    """Return a share in per cent, with what digits a small one has; none at all is 0, and all is 100."""
    percent = 100 * share
    if percent in (0, 100):
        return f"{percent:.0f}"
    digits = 1 if 0.95 <= percent <= 99.05 else 3
    # What is nearly none or nearly all is not rounded to that.
    return f"{min(max(percent, 10**-digits), 100 - 10**-digits):.{digits}f}"


def render_json(sampled: Sampled) -> str:
    """Return the report for programs."""
    return json_report.render(to_dict(sampled))


def to_dict(sampled: Sampled) -> Json:
    """Return what ``ptcalc estimate --format json`` prints of a file with distributions; bytes are integers."""
    return {
        "schema": SCHEMA,
        "workload": {"name": sampled.name, "file": sampled.file, "arch": sampled.arch, "kernel": sampled.kernel},
        "samples": sampled.samples,
        "seed": sampled.seed,
        "confidence": CONFIDENCE,
        "inputs": [
            {"path": each.path, "distribution": each.distribution, "median": each.median} for each in sampled.inputs
        ],
        "policies": [_policy(odds) for odds in sampled.policies],
        "assumptions": [{"key": each.key, "value": each.value, "why": each.why} for each in sampled.assumptions],
    }


def _policy(odds: PolicyOdds) -> Json:
    availability = odds.availability
    return {
        "policy": odds.policy,
        "availability": {
            "state": availability.state,
            "since": availability.since,
            "source": availability.source,
            "as_of": availability.as_of,
        },
        "risk": {level: _odds(each) for level, each in odds.levels.items()},
        "page_tables": {"bytes": _percentiles(odds.page_tables_bytes), "used_bytes": _percentiles(odds.used_bytes)},
        "headroom_bytes": _percentiles(odds.headroom_bytes),
        "drivers": [{"path": each.path, "rank_correlation": round(each.correlation, 6)} for each in odds.drivers],
    }


def _odds(odds: Odds) -> Json:
    shares = {"probability": odds.probability, "low": odds.low, "high": odds.high}
    return {"samples": odds.samples} | {name: round(share, 9) for name, share in shares.items()}


def _percentiles(values: Percentiles) -> Json:
    return dict(zip(NAMES, values, strict=True))
