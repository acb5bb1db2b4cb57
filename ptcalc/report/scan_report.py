"""Many scenarios for people: the first rows, how many end at which risk level, and a heat map of two axes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ptcalc.report import format as fmt
from ptcalc.report.page import Cell, Column, Page, Screen
from ptcalc.report.sweep_report import not_mainline
from ptcalc.report.terminal import RISK_STYLE
from ptcalc.report.verdict import RISK_TEXT
from ptcalc.result import RISK_ORDER
from ptcalc.scenarios.scan import Scan
from ptcalc.scenarios.selecting import Column as RowColumn
from ptcalc.scenarios.selecting import Rows

ROWS = 40  # of a table that people are shown
TALL, WIDE = 24, 12  # cells of a heat map; of longer axes, values that lie evenly between their ends
MARKS = {"ok": "", "warning": "w", "critical": "c", "oom": "#"}
# Columns of rows that stand in tables under shorter titles, in this order.
TITLES = {
    "used_bytes": "tables",
    "page_tables_bytes": "PageTables",
    "demand_bytes": "demand",
    "headroom_bytes": "free",
    "risk": "risk",
    "safe_processes": "safe",
    "max_processes": "OOM after",
}


class Summary:
    """What is kept of all rows while they pass by, in memory that does not grow with them."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._columns = {column.name: column for column in scan.columns}
        self.first: list[Rows] = []
        self.rows = 0
        self.levels = np.zeros((len(scan.policies), len(RISK_ORDER)), np.int64)
        self.heat = _Heat.of(scan)

    def passing(self, blocks: Iterable[Rows]) -> Iterator[Rows]:
        """Return the blocks as they are, after a look at them."""
        for rows in blocks:
            self.levels += np.bincount(
                rows["policy"].astype(np.int64) * len(RISK_ORDER) + rows["risk"], minlength=self.levels.size
            ).reshape(self.levels.shape)
            if self.heat is not None:
                self.heat.add(rows)
            yield rows

    def keep(self, rows: Rows) -> None:
        """Remember the first rows that are shown."""
        many = len(rows["policy"]) if rows else 0
        room = ROWS - min(self.rows, ROWS)
        if room and many:
            self.first.append({name: column[:room] for name, column in rows.items()})
        self.rows += many


class _Heat:
    """Risk and headroom over two axes under one policy."""

    def __init__(self, scan: Scan, axes: tuple[RowColumn, RowColumn], values: tuple[Any, Any], shown: Any) -> None:
        self.axes = axes
        self.values = values  # those in the map, as rows have them
        self.shown = shown  # as they were given
        self.policy = 0
        size = (len(values[0]), len(values[1]))
        self.risk = np.full(size, -1)
        self.headroom = np.zeros(size, np.int64)

    @classmethod
    def of(cls, scan: Scan) -> _Heat | None:
        """Return an empty map where there are two axes, both of numbers, that are combined."""
        if len(scan.axes) != 2 or scan.space.zipped or scan.space.words:
            return None
        values, shown = [], []
        for at, many in ((0, TALL), (1, WIDE)):
            all_ = scan.values(at)
            if len(all_) < 2:
                return None
            picked = np.unique(np.linspace(0, len(all_) - 1, min(many, len(all_))).round().astype(np.int64))
            values.append(all_[picked])
            shown.append([scan.axes[at].values[place] for place in picked])
        columns = scan.columns
        return cls(scan, (columns[0], columns[1]), (values[0], values[1]), shown)

    def add(self, rows: Rows) -> None:
        places, keep = [], rows["policy"] == self.policy
        for column, values in zip(self.axes, self.values, strict=True):
            order = np.argsort(values, kind="stable")
            at = np.minimum(np.searchsorted(values[order], rows[column.name]), len(values) - 1)
            keep = keep & (values[order][at] == rows[column.name])
            places.append(order[at])
        where = places[0][keep], places[1][keep]
        self.risk[where] = rows["risk"][keep]
        self.headroom[where] = rows["headroom_bytes"][keep]


def render(scan: Scan, summary: Summary, screen: Screen, shown: Sequence[str], *, chosen: bool) -> str:
    """Return the report with the columns ``shown``; ``chosen``: its rows are some of all, by conditions or the best."""
    page = Page(screen)
    page.say((scan.name, "bold"))
    axes = ", ".join(axis.path for axis in scan.axes)
    page.say((f"{scan.file}: {fmt.plural(len(scan), 'combination')} of {axes}", "dim"))
    page.blank()
    columns, rows = table(scan, summary.first, shown)
    if rows:
        page.table(columns, rows, leave_out=[("safe",), ("safe", "PageTables"), ("safe", "PageTables", "demand")])
    else:
        page.say("No row meets the conditions.")
    if summary.rows > ROWS:
        more = f"and {summary.rows - ROWS:,} more rows: --format csv --output FILE has all of them"
        page.say(more + ("" if chosen else "; --where and --top choose"))
    _totals(page, scan, summary)
    if summary.heat is not None:
        _map(page, scan, summary.heat)
    _refusals(page, scan)
    note = not_mainline(scan.availability)
    if note:
        page.blank()
        page.say(note)
    return page.text()


def table(scan: Scan, blocks: Sequence[Rows], shown: Sequence[str]) -> tuple[list[Column], list[list[Cell]]]:
    """Return rows as people read them: values as they were given, sizes in units."""
    named = {column.name: column for column in scan.columns}
    vmpte = [name for name in named if name.startswith("vmpte_bytes of ")]
    kept = [name for name in (*TITLES, *vmpte) if name in shown]
    if (
        "used_bytes" in kept
        and "page_tables_bytes" in kept
        and all((rows["used_bytes"] == rows["page_tables_bytes"]).all() for rows in blocks)
    ):
        kept.remove("page_tables_bytes")
    columns = [
        *(Column(axis.path.rsplit(".", 1)[-1] if _short(scan) else axis.path, right=False) for axis in scan.axes),
        Column("policy", right=False),
        *(Column(TITLES.get(name, name.replace("vmpte_bytes of", "VmPTE")), right=name != "risk") for name in kept),
    ]
    found: list[list[Cell]] = []
    for rows in blocks:
        for at in range(len(rows["policy"])):
            exact = bool(rows["exact"][at]) if "exact" in rows else True
            cells: list[Cell] = [_given(scan, number, rows[axis.path][at]) for number, axis in enumerate(scan.axes)]
            policy = scan.policies[int(rows["policy"][at])]
            deployable = scan.availability[policy].deployable
            figures = (_cell(named[name], int(rows[name][at]), exact, deployable=deployable) for name in kept)
            found.append([*cells, policy, *figures])
    return columns, found


def _short(scan: Scan) -> bool:
    """Whether the last steps of the paths tell the axes apart."""
    last = [axis.path.rsplit(".", 1)[-1] for axis in scan.axes]
    return len(set(last)) == len(last) and not any(each.isdecimal() for each in last)


def _given(scan: Scan, axis: int, value: Any) -> str:
    """Return a value of an axis as it was given."""
    return scan.axes[axis].values[int(np.flatnonzero(scan.values(axis) == value)[0])]


def _cell(column: RowColumn, value: int, exact: bool, *, deployable: bool) -> Cell:
    if column.name == "risk":
        level = RISK_ORDER[value]
        return (RISK_TEXT[level], RISK_STYLE[level]) if deployable else f"would be {RISK_TEXT[level]}"
    if column.kind == "bytes":
        return fmt.size(value, exact=exact)
    return f"{value:,}"


def _totals(page: Page, scan: Scan, summary: Summary) -> None:
    page.heading("HOW MANY OF ALL COMBINATIONS ARE")
    columns = [Column("policy", right=False), *(Column(RISK_TEXT[level]) for level in RISK_ORDER)]
    rows: list[list[Cell]] = [
        [policy, *(f"{int(many):,}" for many in summary.levels[number])] for number, policy in enumerate(scan.policies)
    ]
    page.table(columns, rows)


def _map(page: Page, scan: Scan, heat: _Heat) -> None:
    # Most cells have whole digits in it.
    unit = fmt.unit_of(int(np.quantile(np.abs(heat.headroom), 0.1)))
    page.heading(f"FREE MEMORY UNDER {scan.policies[heat.policy]}, {unit}; w WARNING, c CRITICAL, # OUT OF MEMORY")
    page.say(f"down: {heat.axes[0].name}; across: {heat.axes[1].name}")
    columns = [Column(""), *(Column(value) for value in heat.shown[1])]
    rows: list[list[Cell]] = []
    for line, value in enumerate(heat.shown[0]):
        risks, rooms = heat.risk[line].tolist(), heat.headroom[line].tolist()
        rows.append([value, *(_heat_cell(risk, room, unit) for risk, room in zip(risks, rooms, strict=True))])
    page.table(columns, rows)
    if len(scan.policies) > 1:
        page.say("--policy shows another one.")


def _heat_cell(risk: int, headroom: int, unit: str) -> Cell:
    if risk < 0:
        return "-"
    level = RISK_ORDER[risk]
    number = fmt.in_unit(headroom, unit)
    return f"{number}{MARKS[level] or ' '}", RISK_STYLE[level]


def _refusals(page: Page, scan: Scan) -> None:
    if not scan.refusals:
        return
    page.heading("NOT POSSIBLE")
    for refusal in scan.refusals[:ROWS]:
        what = ", ".join(f"{path}={value}" for path, value in refusal.values)
        page.say(refusal.why, label=f"{what}{', ' + refusal.policy if refusal.policy else ''}: ")
    if len(scan.refusals) > ROWS:
        page.say(f"and {len(scan.refusals) - ROWS:,} more")
