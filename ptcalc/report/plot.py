"""Charts as pictures, PNG or SVG, with matplotlib (the `plot` extra); the same chart gives the same bytes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import IO, TYPE_CHECKING, Any, Literal

from ptcalc.charts import Axis, Chart, Mark, Unit
from ptcalc.errors import CannotDoHere, printable
from ptcalc.report.web.page import asset, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INSTALL = "matplotlib is not installed: pip install 'ptcalc[plot]' installs it"
_LONGEST = 40  # characters of a name in a picture
# A scale that shows what is beyond capacity, but no more of it than this many times.
_MOST_CAPACITIES = 4

_SETTINGS = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib
    "font.size": 9,
    "text.parse_math": False,  # a dollar sign in a name is one
    "svg.fonttype": "path",
    "svg.hashsalt": "ptcalc",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def save(chart: Chart, file: IO[bytes], form: Literal["png", "svg"], *, width: int = 1200, height: int = 675) -> None:
    """Draw a chart into a file; ``width`` and ``height`` in pixels (of SVG: 1/100 inch).

    Raises CannotDoHere where matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise CannotDoHere(INSTALL) from None
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a box stands for it
        figure = Figure(figsize=(width / 100, height / 100), dpi=100, layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(_short(chart.title, 100), loc="left", fontsize=11, fontweight="bold", pad=12)
        _DRAWN[chart.kind](chart, axes)
        if chart.note:
            figure.text(0.01, -0.04, chart.note, fontsize=8, color=_tone("dim"))
        # No date and no version: the same chart gives the same bytes.
        metadata = {"Date": None, "Creator": "ptcalc"} if form == "svg" else {"Software": None}
        figure.savefig(file, format=form, metadata=metadata, bbox_inches="tight", pad_inches=0.15)


def _bars(chart: Chart, axes: Axes) -> None:
    names = [_short(str(name)) for name in chart.x.values]
    places = range(len(names))
    before = [0.0] * len(names)
    for series in chart.series:
        values = [float(value or 0) for value in series.values]
        axes.barh(places, values, left=before if not chart.y.log else 1, height=0.62, color=_tone(series.tone),
                  label=_short(series.name))  # fmt: skip
        before = [left + value for left, value in zip(before, values, strict=True)]
    axes.set_yticks(list(places), names)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    most = max([*before, *(mark.at for mark in chart.marks), 1])
    _amounts(chart.y, axes, axes.xaxis, axes.set_xlim, most)
    for mark in chart.marks:
        axes.axvline(mark.at, color=_tone(mark.tone), linewidth=1.3)
        axes.text(mark.at, -0.65, _short(mark.label), ha="center", va="bottom", fontsize=8, color=_tone(mark.tone))
    if len(chart.series) > 1:
        _legend(axes)


def _areas(chart: Chart, axes: Axes) -> None:
    at = [float(value) for value in chart.x.values]
    series = [[float(value) if value is not None else float("nan") for value in each.values] for each in chart.series]
    if chart.kind == "stack":
        axes.stackplot(
            at, series, colors=[_tone(each.tone) for each in chart.series],
            labels=[_short(each.name) for each in chart.series], linewidth=0,
        )  # fmt: skip
        most = max((sum(column) for column in zip(*series, strict=True)), default=1)
    else:
        for values, each in zip(series, chart.series, strict=True):
            axes.plot(at, values, color=_tone(each.tone), label=_short(each.name), linewidth=1.6)
        most = max((value for values in series for value in values if value == value), default=1)
    capacities = [mark.at for mark in chart.marks if mark.axis == "y"]
    most = max([min([most, *(size * _MOST_CAPACITIES for size in capacities)]), *capacities, 1])
    _amounts(chart.y, axes, axes.yaxis, axes.set_ylim, most)
    axes.set_xlim(min(at), max(at))
    axes.set_xlabel(_short(chart.x.title), color=_tone("dim"))
    axes.xaxis.set_major_formatter(_formatter(chart.x.unit))
    for mark in chart.marks:
        _mark(mark, axes, max(at))
    if len(chart.series) > 1:
        _legend(axes)


def _mark(mark: Mark, axes: Axes, last: float) -> None:
    colour, label = _tone("dim" if mark.tone == "muted" else mark.tone), _short(mark.label)
    if mark.axis == "y":
        across = axes.get_yaxis_transform()
        axes.axhline(mark.at, color=colour, linewidth=1.3)
        axes.text(0.005, mark.at, label, transform=across, va="bottom", fontsize=8, color=colour)
    elif mark.at <= last:
        up, side = axes.get_xaxis_transform(), "left" if mark.at < last / 12 else "right"
        axes.axvline(mark.at, color=colour, linewidth=1, linestyle="--")
        axes.text(mark.at, 0.98, label, transform=up, rotation=90, ha=side, va="top", fontsize=8, color=colour)


def _heat(chart: Chart, axes: Axes) -> None:
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    cells = [[float(value if value is not None else -1) for value in series.values] for series in chart.series]
    colours = [_tone(f"fill-{tone}") for _, tone in chart.classes]
    axes.pcolormesh(
        cells, cmap=ListedColormap(colours), vmin=-0.5, vmax=len(colours) - 0.5, edgecolors=_tone("paper"), linewidth=1
    )
    signs = {"warning": "·", "critical": "×", "oom": "●"}
    for row, series in enumerate(chart.series):
        for column, value in enumerate(series.values):
            if value is not None:
                sign = signs.get(chart.classes[value][1], "")
                axes.text(column + 0.5, row + 0.5, sign, ha="center", va="center", fontsize=8, color=_tone("ink"))
    axes.set_xticks(
        [place + 0.5 for place in range(len(chart.x.values))], [tick(int(v), chart.x.unit) for v in chart.x.values]
    )
    axes.set_yticks(
        [place + 0.5 for place in range(len(chart.series))], [_short(series.name) for series in chart.series]
    )
    axes.tick_params(length=0)
    axes.set_xlabel(_short(chart.x.title), color=_tone("dim"))
    axes.set_ylabel(_short(chart.y.title), color=_tone("dim"))
    for spine in axes.spines.values():
        spine.set_visible(False)
    patches = [
        Patch(color=colour, label=f"{name} {signs.get(tone, '')}".strip())
        for (name, tone), colour in zip(chart.classes, colours, strict=True)
    ]
    _legend(axes, patches)


_DRAWN: dict[str, Callable[[Chart, Axes], None]] = {"bars": _bars, "stack": _areas, "lines": _areas, "heat": _heat}


def _amounts(axis: Axis, axes: Axes, ticks: Any, limits: Callable[[float, float], Any], most: float) -> None:
    """Give the axis of the amounts round ticks: multiples or powers of powers of two for bytes."""
    from matplotlib.ticker import FixedLocator

    base = 1024 if axis.unit == "bytes" else 10
    if axis.log:
        power = 0
        while base**power < most:
            power += 1
        (axes.set_xscale if ticks is axes.xaxis else axes.set_yscale)("log", base=base)
        limits(1, base**power)
        ticks.set_major_locator(FixedLocator([base**each for each in range(power + 1)]))
        ticks.minorticks_off()
    elif axis.unit == "bytes":
        step = 1
        while most / step > 6:
            step *= 2
        places = list(range(0, int(most) + step, step))
        limits(0, max(most * 1.02, 1))
        ticks.set_major_locator(FixedLocator(places))
    else:
        limits(0, most * 1.05)
    ticks.set_major_formatter(_formatter(axis.unit))
    axes.set_axisbelow(True)
    ticks.grid(True, color=_tone("rule"), linewidth=0.8)


def _formatter(unit: Unit) -> Any:
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: tick(round(value), unit))


def tick(value: int, unit: Unit) -> str:
    """Return a number for an axis: without zeros at its end.

    >>> tick(2**30, "bytes"), tick(3 * 2**29, "bytes"), tick(1500, "count")
    ('1 GiB', '1.5 GiB', '1,500')
    """
    text = shown(value, unit)
    number, _, name = text.partition(" ")
    return f"{number.rstrip('0').rstrip('.')} {name}" if "." in number else text


def _legend(axes: Axes, handles: Sequence[Any] | None = None) -> None:
    given = handles if handles is not None else axes.get_legend_handles_labels()[0]
    axes.figure.legend(handles=given, loc="outside lower left", ncols=5, frameon=False, fontsize=8)


def _short(text: str, most: int = _LONGEST) -> str:
    text = printable(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


@cache
def _tones() -> dict[str, str]:
    """The colours of the page in a light room: those before its first other scheme."""
    light = asset("page.css").partition("@media")[0]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))


def _tone(name: str) -> str:
    return _tones()[name]
