"""``ptcalc diff`` in Markdown: the comment on a merge request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ptcalc.diffing.result import FIGURES, Diff, PolicyChange
from ptcalc.report.diff_report import (
    amount,
    growths,
    headline,
    leftovers,
    legend,
    limits,
    moved_row,
    moved_titles,
    notes,
    relative,
    risk,
    side,
    unmoving,
)
from ptcalc.report.markup import escaped, paragraphs, table
from ptcalc.report.page import Column

_COLUMNS = [
    Column("policy", right=False),
    *map(Column, ("page tables", "change", "demand", "free")),
    Column("risk", right=False),
    Column("OOM after"),
]


def render(diff: Diff) -> str:
    """Return the report; what a comment has no room for is counted, not shown."""
    return paragraphs(_blocks(diff))


def _blocks(diff: Diff) -> Iterator[Sequence[str]]:
    yield ["## ptcalc diff"]
    yield [f"**{escaped(headline(diff))}**"]
    yield [f"**{escaped(growth)}**  " for growth in growths(diff)]
    yield [f"- base: {escaped(side(diff.base))}", f"- new: {escaped(side(diff.new))}"]
    if diff.policies:
        yield table(_COLUMNS, map(_row, diff.policies))
    yield [f"- {escaped(note)}" for note in notes(diff)]
    for change in diff.policies:
        yield from _moved(diff, change)
    yield [f"- {escaped(text)}" for text in unmoving(diff)]
    yield [escaped(text) for text in legend(diff)]
    if diff.unattributed:
        yield [f"What moved them is not known: {escaped(diff.unattributed)}."]
    elif not diff.edits:
        yield ["The files say the same."]


def _row(change: PolicyChange) -> list[str]:
    tables, demand, free = (change.figure(name) for name in FIGURES)
    ends = (
        f"{amount(tables.base, tables)} to {amount(tables.new, tables)}"
        if tables.change
        else amount(tables.new, tables)
    )
    noise = " (within noise)" if tables.in_noise else ""
    return [
        escaped(change.policy),
        ends,
        f"{amount(tables.change, tables, signed=True)}{relative(tables)}{noise}",
        amount(demand.change, demand, signed=True),
        amount(free.change, free, signed=True),
        escaped(risk(change).replace(" -> ", " to ")),
        limits(change).replace(" -> ", " to "),
    ]


def _moved(diff: Diff, change: PolicyChange) -> Iterator[Sequence[str]]:
    rows = [row for each in change.moved if (row := moved_row(diff, change, each))]
    rest = leftovers(diff, change)
    if not rows and not rest:
        return
    yield [f"### What moved {escaped(change.policy)}"]
    if rows:
        titles = moved_titles(diff)
        columns = [*map(Column, titles[:-1]), Column(titles[-1], right=False)]
        yield table(columns, ([escaped(str(cell)) for cell in row] for row in rows))
    yield [f"- {escaped(text)}" for text in rest]
