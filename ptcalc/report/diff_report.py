"""``ptcalc diff`` as text and as JSON (``ptcalc.diff/1``)."""

from __future__ import annotations

from typing import Any

from ptcalc.diffing.result import FIGURES, SCHEMA, Diff, Edit, Figure, Moved, PolicyChange, Side
from ptcalc.report import format as fmt
from ptcalc.report import json_report
from ptcalc.report.page import Cell, Column, Page, Screen
from ptcalc.report.terminal import RISK_STYLE
from ptcalc.report.verdict import RISK_TEXT

Json = dict[str, Any]
_PROCESSES = ("safe", "max")
NAMES = {
    "page_tables": "page tables",
    "page_tables_counter": "PageTables",
    "vmpte": "VmPTE",
    "demand": "demand",
    "capacity": "usable",
    "headroom": "free",
    "safe": "safe",
    "max": "OOM after",
}


def render_text(diff: Diff, screen: Screen = Screen()) -> str:  # noqa: B008  # it is frozen
    """Return the report for people: the answer, the policies with the biggest mover first, and what moved them."""
    page = Page(screen)
    page.say((headline(diff), "bold"))
    for growth in growths(diff):
        page.say((growth, "bold red" if diff.failed else "bold green"))
    page.say(side(diff.base), label=("base  ", "dim"))
    page.say(side(diff.new), label=("new   ", "dim"))
    if diff.policies:
        page.heading("POLICIES, the biggest mover first")
        columns = [Column("policy", right=False), *map(Column, ("page tables", "change", "demand", "free"))]
        columns += [Column("risk", right=False), Column("OOM after", right=False)]
        page.table(columns, [_row(change) for change in diff.policies], leave_out=(("demand",), ("demand", "free")))
        for note in notes(diff):
            page.say(note)
    for change in diff.policies:
        _moved(page, diff, change)
    for number, text in enumerate([*unmoving(diff), *legend(diff)]):
        if not number:
            page.blank()
        page.say(text)
    if diff.unattributed:
        page.blank()
        page.say(f"What moved them is not known: {diff.unattributed}.")
    elif not diff.edits:
        page.blank()
        page.say("The files say the same.")
    return page.text()


def headline(diff: Diff) -> str:
    """Return the biggest change in one sentence."""
    if diff.same:
        return "No figure differs."
    if not diff.policies:
        return "No policy is on both sides."
    change = diff.policies[0]
    figure = change.figure("page_tables")
    if not figure.change:
        figure = change.figure("demand")
    about = "" if change.availability.deployable else ", which no mainline kernel has"
    if not figure.change:
        return f"Page tables and demand stay as they are; limits differ, most under {change.policy}{about}."
    verb = "grow" if figure.change > 0 else "shrink"
    what = "Page tables" if figure.name == "page_tables" else "Page tables stay; demand"
    verb = verb if what == "Page tables" else f"{verb}s"
    return f"{what} {verb} by {amount(abs(figure.change), figure)}{relative(figure)} under {change.policy}{about}."


def growths(diff: Diff) -> list[str]:
    """Return what was found of the growth that is allowed, a sentence for each policy."""
    return [
        f"{'FAILED' if each.failed else 'PASSED'}: {NAMES[each.of]} of {each.policy}"
        f" {fmt.size(each.base)} -> {fmt.size(each.new)}, {100 * each.allowed:g} % more are allowed"
        for each in diff.growth
    ]


def side(side: Side) -> str:
    """Return what one side is."""
    machine = f"{side.arch} kernel {side.kernel}" if side.arch else ""
    kind = "saved result" if side.saved else ""
    return ", ".join(
        filter(None, (side.file, side.name, machine, fmt.plural(side.processes, "process", "processes"), kind))
    )


def notes(diff: Diff) -> list[str]:
    """Return what is to be known beside the table of policies."""
    found = []
    noisy = [change.policy for change in diff.policies if change.figure("page_tables").in_noise]
    if noisy:
        found.append(
            f"within noise (two standard deviations of random touches): {', '.join(noisy)};"
            " two runs of the same workload may differ as much."
        )
    for policies, where in ((diff.only_base, "base"), (diff.only_new, "new")):
        if policies:
            found.append(f"only in {where}: {', '.join(policies)}.")
    others = [change for change in diff.policies if not change.availability.deployable]
    if others:
        as_of = max(change.availability.as_of for change in others)
        names = ", ".join(change.policy for change in others)
        found.append(f"in no mainline kernel as of {as_of}: {names}.")
    return found


def amount(value: int, figure: Figure, *, signed: bool = False) -> str:
    """Return a value of a figure: bytes with a unit, processes as they are."""
    if not value:
        return "0"
    sign = "+" if signed and value > 0 else ""
    if figure.name in _PROCESSES:
        return f"{sign}{value:,}"
    return f"{'' if figure.sd is None else '~'}{sign}{fmt.size(value)}"


def relative(figure: Figure) -> str:
    """Return the change in per cent, in brackets; nothing where there was nothing."""
    share = figure.relative
    return "" if not share else f" ({100 * share:+,.1f} %)"


def risk(change: PolicyChange) -> str:
    """Return the risk of both sides, once where it stays."""
    before, after = (RISK_TEXT[level] for level in change.risk)
    would = "" if change.availability.deployable else "would be "
    return f"{would}{after}" if before == after else f"{would}{before} -> {after}"


def limits(change: PolicyChange) -> str:
    """Return the largest counts of processes of both sides, once where they stay."""
    figure = change.figure("max")
    before, after = (
        f"{value:,}" if by != "fixed" else "-" for value, by in zip(_ends(figure), change.limited_by, strict=True)
    )
    return after if before == after else f"{before} -> {after}"


def _ends(figure: Figure) -> tuple[int, int]:
    return figure.base, figure.new


def _row(change: PolicyChange) -> list[Cell]:
    tables, demand, free = (change.figure(name) for name in FIGURES)
    level = change.risk[1]
    return [
        change.policy,
        f"{amount(tables.base, tables)} -> {amount(tables.new, tables)}"
        if tables.change
        else amount(tables.new, tables),
        f"{amount(tables.change, tables, signed=True)}{relative(tables)}" + (" ~" if tables.in_noise else ""),
        amount(demand.change, demand, signed=True),
        amount(free.change, free, signed=True),
        (risk(change), RISK_STYLE[level]) if change.availability.deployable else risk(change),
        limits(change),
    ]


def _moved(page: Page, diff: Diff, change: PolicyChange) -> None:
    rows = [row for each in change.moved if (row := moved_row(diff, change, each))]
    rest = leftovers(diff, change)
    if not rows and not rest:
        return
    page.heading(f"WHAT MOVED {change.policy}")
    if rows:
        titles = moved_titles(diff)
        out = tuple(title for title in titles if "alone" in title)
        page.table([*map(Column, titles[:-1]), Column(titles[-1], right=False)], rows, leave_out=(out,))
    for text in rest:
        page.say(text)


def moved_titles(diff: Diff) -> tuple[str, ...]:
    """Return the titles of `moved_row`."""
    figures = ("page tables", "demand")
    alone = tuple(f"{name} alone" for name in figures) if _divided(diff) else ()
    return (*figures, *alone, "edit")


def _divided(diff: Diff) -> bool:
    """Whether what an edit is credited with may be another figure than what it does alone."""
    return diff.method == "shapley" and len(diff.edits) > 1


def legend(diff: Diff) -> list[str]:
    """Return what the figures of `moved_row` mean, where there is more than one edit."""
    if len(diff.edits) < 2:
        return []
    if _divided(diff):
        return [
            "An edit is credited with its mean effect over all orders of making the edits; alone: with no other edit."
        ]
    return ["Each edit is made alone, with no other: there are too many to evaluate all sets of them."]


def moved_row(diff: Diff, change: PolicyChange, moved: Moved) -> list[Cell] | None:
    """Return what an edit moved, with its place; None where it moved nothing."""
    values = moved.share or moved.alone
    if values is None or not (any(values) or any(moved.alone or ())):
        return None
    shown = [values, moved.alone] if _divided(diff) else [values]
    figures = [change.figure(name) for name in FIGURES[:2]]
    cells: list[Cell] = [
        "-" if each is None else amount(each[at], figure, signed=True)
        for each in shown
        for at, figure in enumerate(figures)
    ]
    return [*cells, said(diff.edits[moved.edit])]


def said(edit: Edit) -> str:
    """Return what was edited, and where."""
    paths = edit.paths[0] + (f" and {len(edit.paths) - 1} more" if len(edit.paths) > 1 else "")
    place = f"{edit.file}:{edit.line}:{edit.column}" if edit.line else edit.file
    if edit.before and edit.after:
        what = f"{edit.before} -> {edit.after}"
    elif edit.after:
        what = f"new: {edit.after}"
    elif edit.before:
        what = f"gone: {edit.before}"
    else:
        what = "several values"
    return f"{paths}: {what} ({place})"


def unmoving(diff: Diff) -> list[str]:
    """Return the edits that move nothing under any policy, in sentences."""
    moving = {
        each.edit
        for change in diff.policies
        for each in change.moved
        if any(each.alone or ()) or any(each.share or ()) or each.alone is each.share is None
    }
    return [f"moves nothing: {said(edit)}" for place, edit in enumerate(diff.edits) if place not in moving]


def leftovers(diff: Diff, change: PolicyChange) -> list[str]:
    """Return what no edit moved alone, in sentences."""
    found = []
    tables = change.figure("page_tables")
    if any(change.together):
        names = ("page tables", "demand")
        parts = [
            f"{name} {amount(each, tables, signed=True)}"
            for name, each in zip(names, change.together, strict=False)
            if each
        ]
        held = "; divided between them above" if diff.method == "shapley" else ""
        if parts:
            found.append(f"edits together, beyond what each does alone: {', '.join(parts)}{held}.")
    if any(change.elsewhere):
        moved = amount(change.elsewhere[0] or change.elsewhere[1], tables, signed=True)
        found.append(f"not by an edit: {moved}; another version of ptcalc computed the saved result.")
    return found


def render_json(diff: Diff) -> str:
    """Return the report for programs; bytes are integers."""
    return json_report.render(to_dict(diff))


def to_dict(diff: Diff) -> Json:
    """Return what ``ptcalc diff --format json`` prints."""
    return {
        "schema": SCHEMA,
        "base": _side(diff.base),
        "new": _side(diff.new),
        "same": diff.same,
        "failed": diff.failed,
        "growth": [
            {
                "policy": each.policy,
                "of": each.of,
                "base_bytes": each.base,
                "new_bytes": each.new,
                "allowed": each.allowed,
                "failed": each.failed,
            }
            for each in diff.growth
        ],
        "policies": [_policy(diff, change) for change in diff.policies],
        "only_base": list(diff.only_base),
        "only_new": list(diff.only_new),
        "method": diff.method,
        "unattributed": diff.unattributed,
        "edits": [_edit(edit) for edit in diff.edits],
    }


def _side(side: Side) -> Json:
    return {
        "file": side.file,
        "name": side.name,
        "arch": side.arch,
        "kernel": side.kernel,
        "processes": side.processes,
        "saved": side.saved,
    }


def _policy(diff: Diff, change: PolicyChange) -> Json:
    return {
        "policy": change.policy,
        "state": change.availability.state,
        "risk": {"base": change.risk[0], "new": change.risk[1]},
        "limited_by": {"base": change.limited_by[0], "new": change.limited_by[1]},
        **{_key(figure): _figure(figure) for figure in change.figures},
        "moved": [
            {"edit": each.edit, "alone": _named(each.alone), "share": _named(each.share)} for each in change.moved
        ],
        "together": _named(change.together) if diff.method != "none" else None,
        "elsewhere": _named(change.elsewhere) if diff.method != "none" else None,
    }


def _key(figure: Figure) -> str:
    return f"{figure.name}_processes" if figure.name in _PROCESSES else f"{figure.name}_bytes"


def _figure(figure: Figure) -> Json:
    share = figure.relative
    found: Json = {
        "base": figure.base,
        "new": figure.new,
        "change": figure.change,
        "relative": None if share is None else round(share, 9),
        "exact": figure.sd is None,
    }
    if figure.sd is not None:
        found |= {"sd": figure.sd, "in_noise": figure.in_noise}
    return found


def _named(values: tuple[int, ...] | None) -> Json | None:
    return None if values is None else {f"{name}_bytes": each for name, each in zip(FIGURES, values, strict=True)}


def _edit(edit: Edit) -> Json:
    return {
        "paths": list(edit.paths),
        "before": edit.before,
        "after": edit.after,
        "location": {"file": edit.file, "line": edit.line, "column": edit.column},
    }
