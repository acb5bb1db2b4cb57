"""What ``ptcalc verify`` found, for people and as JSON (``ptcalc.verify/1``, with --oom ``ptcalc.verify-oom/1``).

Bytes are exact in both.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from ptcalc.report import format as fmt
from ptcalc.report.page import Cell, Column, Page, Screen
from ptcalc.verify.result import Boundary, Figure, Verification

SCHEMA = "ptcalc.verify/1"
BOUNDARY_SCHEMA = "ptcalc.verify-oom/1"

_COLUMNS = (
    Column("counter", right=False),
    Column("of", right=False),
    Column("processes"),
    Column("expected"),
    Column("measured"),
    Column("difference"),
)
_ITEMS = (Column("in the cgroup with these processes", right=False), Column("bytes"))


def render(found: Verification, screen: Screen) -> str:
    """Return the verdict, the table of counters, what the total consists of, and how it was measured."""
    page = _page(found, screen)
    wrong = found.contradicted
    if wrong:
        page.say(
            (f"NO. The kernel contradicts {fmt.plural(len(wrong), 'figure')} of {len(found.figures)}.", "bold red")
        )
    else:
        page.say((_agreement(found), "bold green"))
    page.say(_run(found))
    page.blank()
    page.table(_COLUMNS, [_row(figure) for figure in found.figures], leave_out=[("processes",)])
    if found.levels:
        levels = ", ".join(f"{each.level.upper()} {fmt.tables(each.tables)}" for each in found.levels)
        page.say(f"Tables expected, all processes, a shared one once: {levels}.")
    for note in (*found.unmeasured, *found.notes):
        page.say(note, label="! ")
    return page.text()


def to_dict(found: Verification) -> dict[str, Any]:
    """Return what ``ptcalc verify --format json`` prints."""
    return {
        "schema": SCHEMA,
        **_about(found),
        "agrees": not found.contradicted,
        "scale": str(found.share),
        "need_bytes": found.need_bytes,
        "budget_bytes": found.budget_bytes,
        "processes": [{"name": name, "written": written, "ran": ran} for name, written, ran in found.processes],
        "figures": [
            {
                "counter": figure.counter,
                "group": figure.name or None,
                "processes": figure.processes,
                "expected_bytes": figure.expected,
                "exact": figure.sd is None,
                "sd_bytes": figure.sd,
                "measured_bytes": figure.mean,
                "measured_low_bytes": figure.low,
                "measured_high_bytes": figure.high,
                "difference_bytes": figure.difference,
                "agrees": figure.agrees,
            }
            for figure in found.figures
        ],
        "levels": [{"level": each.level, "tables": each.tables, "bytes": each.bytes} for each in found.levels],
        "unmeasured": list(found.unmeasured),
        "notes": list(found.notes),
    }


def render_boundary(found: Boundary, screen: Screen) -> str:
    """Return the verdict, what the prediction consists of, and how the processes were counted."""
    page = _page(found, screen)
    said = f"{found.predicted:,} processes were predicted, {found.fitted:,} fitted"
    if found.agrees:
        page.say((f"YES. Memory runs out where ptcalc says: {said}.", "bold green"))
    elif found.killed:
        page.say((f"NO. Memory does not run out where ptcalc says: {said}.", "bold red"))
    else:
        page.say((f"NO. The OOM killer did not act: {said}.", "bold red"))
    page.say(
        f"A memory cgroup with a limit of {fmt.size(found.limit_bytes)}, {_sizes(found.share)}. Each process took"
        f" {fmt.size(found.base_bytes)} beside the workload, which was measured beforehand."
    )
    page.blank()
    rows: list[list[Cell]] = [[item.name, f"{item.bytes:,}"] for item in found.items]
    rows.append(["all of it, by ptcalc", f"{found.demand_bytes:,}"])
    rows.append([f"held with {found.fitted:,} processes, by the kernel", f"{found.held_bytes:,}"])
    page.table(_ITEMS, rows)
    if len(found.processes) > 1:
        page.say("Predicted by group: " + ", ".join(f"{name} {number:,}" for name, _, number in found.processes) + ".")
    for note in found.notes:
        page.say(note, label="! ")
    return page.text()


def boundary_to_dict(found: Boundary) -> dict[str, Any]:
    """Return what ``ptcalc verify --oom --format json`` prints."""
    return {
        "schema": BOUNDARY_SCHEMA,
        **_about(found),
        "agrees": found.agrees,
        "scale": str(found.share),
        "processes": [
            {"name": name, "written": written, "predicted": number} for name, written, number in found.processes
        ],
        "boundary": {
            "limit_bytes": found.limit_bytes,
            "base_bytes": found.base_bytes,
            "predicted_processes": found.predicted,
            "fitted_processes": found.fitted,
            "difference": found.difference,
            "allowed_difference": found.allowed,
            "oom_killed": found.killed,
            "predicted_bytes": found.demand_bytes,
            "held_bytes": found.held_bytes,
            "items": [{"name": item.name, "bytes": item.bytes} for item in found.items],
        },
        "notes": list(found.notes),
    }


def _page(found: Verification | Boundary, screen: Screen) -> Page:
    page = Page(screen)
    page.say((found.name, "bold"))
    page.say((f"{found.file}, on this machine: {found.arch}, kernel {found.kernel}", "dim"))
    page.blank()
    return page


def _about(found: Verification | Boundary) -> dict[str, Any]:
    return {
        "workload": {"name": found.name, "file": found.file},
        "machine": {"arch": found.arch, "kernel": found.kernel},
    }


def _agreement(found: Verification) -> str:
    if any(figure.sd is not None for figure in found.figures):
        exact = all(figure.sd is not None for figure in found.figures)
        rest = "" if exact else "to the byte, and of random touches "
        return f"YES. The kernel says the same: {rest}as near as chance allows."
    return "YES. The kernel says the same, to the byte."


def _run(found: Verification) -> str:
    ran, written = sum(each[2] for each in found.processes), sum(each[1] for each in found.processes)
    return (
        f"{ran:,} of {fmt.plural(written, 'process', 'processes')}, {_sizes(found.share)}, one page accessed in each"
        f" table. The run needed up to {fmt.size(found.need_bytes)} of memory."
    )


def _sizes(share: Fraction) -> str:
    if share == 1:
        return "sizes as written"
    return f"all sizes times {share if share.numerator == 1 else format(float(share), '.4g')}"


def _row(figure: Figure) -> list[Cell]:
    measured = f"{figure.mean:,}"
    if figure.low != figure.high:
        measured = f"{figure.low:,} to {figure.high:,}"
    expected = f"{figure.expected:,}" if figure.sd is None else f"{figure.expected:,} ± {figure.sd:,}"
    difference: Cell = f"{figure.difference:+,}" if figure.difference else "0"
    if not figure.agrees:
        difference = (str(difference), "bold red")
    return [figure.counter, figure.name or "all", f"{figure.processes:,}", expected, measured, difference]
