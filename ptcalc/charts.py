"""Charts as data: what a report draws, in whatever form it draws it.

A `Chart` says what it shows and never how: the HTML report hands it to the page's scripts, `ptcalc plot` to
matplotlib, and both make the data table and the alternative text of it.  Whole numbers throughout: bytes, counts,
places in ``classes``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["bytes", "count", "seconds", "name"]
# What a colour stands for: an item of the ledger (`LedgerItem.kind`), a level of risk, or a thing of its own.
Tone = Literal[
    "page_tables", "segment", "pool", "private", "base", "kernel", "index", "host_mm", "second_level", "used",
    "ok", "warning", "critical", "oom", "capacity", "accent", "muted",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis; ``values`` are the places on it that have data (numbers in ``unit``, or names)."""

    title: str
    unit: Unit
    values: tuple[int, ...] | tuple[str, ...] = ()
    log: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers along the first axis, one for each of its ``values``; None where there is nothing."""

    name: str
    tone: Tone
    values: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across the chart at a place of one axis, such as what there is of memory."""

    axis: Literal["x", "y"]
    at: int
    label: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart.

    ``kind``: ``bars`` (a stacked bar for each name on ``x``, amounts on ``y``), ``stack`` (areas on top of each other
    over numbers on ``x``), ``lines`` (the same not stacked), or ``heat`` (a cell for each value of ``x`` and each
    series, which stand for the values of ``y``; a cell's number is a place in ``classes``: (name, tone)).
    ``alt`` says in words what is to be seen; ``note`` what else a reader should know.
    """

    name: str
    title: str
    alt: str
    kind: Literal["bars", "stack", "lines", "heat"]
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()
    classes: tuple[tuple[str, Tone], ...] = ()
    note: str = ""
