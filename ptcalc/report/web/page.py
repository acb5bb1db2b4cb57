"""The skeleton of an HTML report: one file that needs no network, with charts, their data tables and their words.

A report makes pieces of `Html` and puts them together::

    from ptcalc.report.web import page

    body = [
        page.heading("What happens"),
        page.paragraph("Any text; ", page.strong("names"), " are escaped."),
        page.figure(chart),                                # a `ptcalc.charts.Chart`
        page.details("Every step", page.table(columns, rows)),
    ]
    html = page.document("Title", body, charts=[chart])

- Text becomes `Html` through `text`, which escapes it and shows what is not printable; every function here takes plain
  `str` as text.  Only what is `Html` already is taken as markup, and the type checker tells the two apart.
- ``charts`` of `document` are those for which the body has a `figure`, each once.  The page's script (charts.js) draws
  them with Apache ECharts; without scripts the words and the data tables are there.  A page without charts carries no
  library.
- ``data`` are values that scripts of the report's own (``scripts``: texts of files beside this one, `asset`) find as
  JSON under ``ptcalc.data(name)``.  Scripts run in strict mode, in the order given, after charts.js, which offers
  ``ptcalc.draw(chart)`` to show a changed chart in its figure, its data table included.
- The document's policy allows these scripts by their hashes and nothing else: no address is ever asked, nothing is
  evaluated, no form is sent.  The same arguments give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import Any, NewType

from ptcalc.charts import Axis, Chart, Unit
from ptcalc.errors import printable
from ptcalc.report import format as fmt
from ptcalc.report.page import Column

Html = NewType("Html", str)
ECHARTS = "echarts/echarts.min.js"


def text(content: str) -> Html:
    """Return text that HTML shows as it is; what is not printable is shown as an escape."""
    return Html(html.escape(printable(content), quote=True))


def element(name: str, *content: Html, **attributes: str | int | bool | None) -> Html:
    """Return an element of that name; attributes are text, True one without a value, None and False none.

    A trailing underscore is dropped (``class_``), other ones become hyphens (``aria_label``).
    """
    written = ""
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        written += f" {key.rstrip('_').replace('_', '-')}"
        if value is not True:
            written += f'="{text(str(value))}"'
    if name in ("input", "br", "meta"):
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{''.join(content)}</{name}>")


def joined(parts: Iterable[Html], between: str = "") -> Html:
    """Return pieces one after the other."""
    return Html(between.join(parts))


def heading(title: str, level: int = 2, **attributes: str) -> Html:
    """Return a heading."""
    return element(f"h{level}", text(title), **attributes)


def paragraph(*content: Html, class_: str | None = None) -> Html:
    """Return a paragraph."""
    return element("p", *content, class_=class_)


def strong(content: str) -> Html:
    """Return words that matter."""
    return element("strong", text(content))


def details(summary: str, *content: Html, class_: str | None = None) -> Html:
    """Return what is shown on demand."""
    return element("details", element("summary", text(summary)), *content, class_=class_)


def table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[Html]],
    *,
    caption: str = "",
    class_: str = "",
    identity: str | None = None,
) -> Html:
    """Return a table; the first cell of a row is its head.  On a narrow screen it scrolls by itself.

    With ``class_`` "cards" each row becomes a block of named values there.
    """
    head = element("tr", *(element("th", text(column.title), scope="col", class_=_side(column)) for column in columns))
    lines = []
    for row in rows:
        cells = [
            element("th", cell, scope="row", class_=_side(column))
            if at == 0
            else element("td", cell, class_=_side(column), data_label=column.title)
            for at, (column, cell) in enumerate(zip(columns, row, strict=True))
        ]
        lines.append(element("tr", *cells))
    title = [element("caption", text(caption))] if caption else []
    whole = element("table", *title, element("thead", head), element("tbody", *lines), class_=class_, id=identity)
    return element("div", whole, class_="wide", tabindex=0, role="region", aria_label=caption or "table")


def figure(chart: Chart) -> Html:
    """Return a chart with its title, its words and its data table."""
    words = element("p", text(chart.alt), class_="alt", id=f"alt-{chart.name}")
    drawing = element(
        "div", class_=f"chart {chart.kind}", id=f"chart-{chart.name}", role="img",
        aria_labelledby=f"title-{chart.name}", aria_describedby=f"alt-{chart.name}",
    )  # fmt: skip
    note = [element("p", text(chart.note), class_="note")] if chart.note else []
    title = element("h3", text(chart.title), id=f"title-{chart.name}")
    numbers = details("The numbers", data_table(chart), class_="numbers")
    return element("figure", element("figcaption", title), drawing, words, *note, numbers, id=f"figure-{chart.name}")


def data_table(chart: Chart) -> Html:
    """Return all numbers of a chart, exact ones in ``data-value``."""
    columns = [Column(chart.x.title, right=chart.x.unit != "name"), *(Column(each.name) for each in chart.series)]
    places: tuple[int | str, ...] = chart.x.values
    rows = [
        [amount(place, chart.x.unit), *(_cell(chart, series.values[at]) for series in chart.series)]
        for at, place in enumerate(places)
    ]
    marks = [
        element("li", text(f"{mark.label}: "), amount(mark.at, _axis(chart, mark.axis).unit)) for mark in chart.marks
    ]
    listed = [element("ul", *marks, class_="marks")] if marks else []
    return joined([table(columns, rows, caption=chart.title, identity=f"table-{chart.name}"), *listed])


def amount(value: int | str | None, unit: Unit) -> Html:
    """Return a number as people read it, its exact value beside it for programs."""
    if value is None:
        return text("-")
    if isinstance(value, str):
        return text(value)
    return element("span", text(shown(value, unit)), data_value=value)


def shown(value: int, unit: Unit) -> str:
    """Return a number of a unit as text."""
    return fmt.size(value) if unit == "bytes" else f"{value:,}"


def document(
    title: str,
    body: Sequence[Html],
    *,
    charts: Sequence[Chart] = (),
    data: Mapping[str, object] | None = None,
    scripts: Sequence[str] = (),
) -> str:
    """Return the whole file; see the module's docstring."""
    style = asset("page.css")
    code = [asset(ECHARTS), asset("charts.js"), *scripts] if charts else list(scripts)
    values = {"charts": [asdict(chart) for chart in charts], **(data or {})}
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, code)) or chr(39) + 'none' + chr(39)}",
            f"style-src {_hash(style)}",
            # Attributes alone: charts position their text with them.
            "style-src-attr 'unsafe-inline'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    head = [
        Html('<meta charset="utf-8">'),
        # Whatever stands before it would not be bound by it.
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        Html('<meta name="referrer" content="no-referrer">'),
        Html('<meta name="generator" content="ptcalc">'),
        element("title", text(title)),
        Html(f"<style>{style}</style>"),
    ]
    embedded = [
        Html(f'<script type="application/json" id="data-{name}">{_json(value)}</script>')
        for name, value in (values.items() if code else ())
    ]
    # A text of ours, fixed by its hash: no name from a file is in it.
    run = [Html(f"<script>{script}</script>") for script in code]
    lines = [
        Html("<!DOCTYPE html>"), Html('<html lang="en">'), Html("<head>"), *head, Html("</head>"), Html("<body>"),
        element("main", Html("\n"), joined(body, "\n"), Html("\n")), *embedded, *run, Html("</body>"), Html("</html>"),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


@cache
def asset(name: str) -> str:
    """Return the text of a file beside this module."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _axis(chart: Chart, name: str) -> Axis:
    return chart.x if name == "x" else chart.y


def _cell(chart: Chart, value: int | None) -> Html:
    if chart.kind == "heat" and value is not None:
        return element("span", text(chart.classes[value][0]), data_value=value)
    return amount(value, chart.y.unit)


def _side(column: Column) -> str | None:
    return "right" if column.right else None


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


# What could end a script element or start a comment in it, and what old scripts take for the end of a line.
_UNSAFE = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def _json(value: object) -> str:
    return json.dumps(_printable(value), ensure_ascii=False, separators=(",", ":")).translate(_UNSAFE)


def _printable(value: Any) -> Any:
    """Return the value with all its texts as `printable` shows them."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {key: _printable(each) for key, each in value.items()}
    return [_printable(each) for each in value] if isinstance(value, (list, tuple)) else value
