"""Charts as pictures: PNG and SVG of every kind, the same bytes for the same chart, names as text."""

from __future__ import annotations

import io
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import ptcalc
from ptcalc.charting import charts_of
from ptcalc.charts import Axis, Chart, Mark, Series
from ptcalc.cli.main import main
from ptcalc.report import plot

EXAMPLES = Path(__file__).parents[2] / "examples"
HOSTILE = ("$x^{2}$ <b>&amp;", "\u202egnirts", "]]>", "x" * 10_000)


def picture(chart: Chart, form: str) -> bytes:
    file = io.BytesIO()
    plot.save(chart, file, "svg" if form == "svg" else "png")
    return file.getvalue()


@pytest.fixture(scope="module")
def charts() -> tuple[Chart, ...]:
    return charts_of(ptcalc.estimate(ptcalc.load(EXAMPLES / "oracle-sga-1500.yaml")), sliders=False).charts


@pytest.mark.parametrize("name", ["policies", "tables", "demand", "risk"])
def test_every_chart_in_both_forms(charts: tuple[Chart, ...], name: str) -> None:
    """A picture of its form and of some size, with no date in it: the same bytes again."""
    chart = next(each for each in charts if each.name == name)
    png, svg = picture(chart, "png"), picture(chart, "svg")

    assert png.startswith(b"\x89PNG\r\n\x1a\n") and len(png) > 10_000
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert b"<dc:date>" not in svg
    assert (png, svg) == (picture(chart, "png"), picture(chart, "svg"))


@pytest.mark.parametrize("kind", ["bars", "stack", "lines", "heat"])
def test_hostile_names(kind: str) -> None:
    """A dollar sign starts no formula, an angle bracket no element; what is long is cut."""
    names = kind == "bars"
    chart = Chart(
        "hostile", HOSTILE[3], "", "heat" if kind == "heat" else "bars" if names else "lines",
        Axis(HOSTILE[0], "name" if names else "count", HOSTILE if names else (1, 2, 3, 4)), Axis(HOSTILE[1], "bytes"),
        tuple(Series(each, "segment", (0, 1, 2, None)) for each in HOSTILE),
        (Mark("y", 2, HOSTILE[0], "capacity"),), (("ok", "ok"), ("warning", "warning"), ("OOM", "oom")),
    )  # fmt: skip
    if kind == "stack":
        chart = Chart(**{**{key: getattr(chart, key) for key in Chart.__slots__}, "kind": "stack"})
    svg = picture(chart, "svg")
    assert b"<b>" not in svg
    assert ET.fromstring(svg) is not None


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From a workload and from its saved result the same picture; nothing is replaced unasked."""
    workload, saved = str(EXAMPLES / "oracle-sga-1500.yaml"), tmp_path / "result.json"
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    assert main(["estimate", workload, "--format", "json"]) == 0
    saved.write_text(capsys.readouterr().out)

    assert main(["plot", workload, "--chart", "demand", "--output", str(first)]) == 0
    assert main(["plot", str(saved), "--chart", "demand", "--output", str(second)]) == 0
    assert first.read_bytes() == second.read_bytes()

    assert main(["plot", workload, "--chart", "risk", "--output", str(first)]) == 2
    assert "exists" in capsys.readouterr().err
    assert first.read_bytes() == second.read_bytes()
    assert main(["plot", workload, "--chart", "risk", "--output", str(first), "--force"]) == 0
    assert first.read_bytes() != second.read_bytes()
    assert main(["plot", workload, "--chart", "risk", "--output", str(tmp_path / "a.gif")]) == 2
    assert ".png nor in .svg" in capsys.readouterr().err
    assert main(["plot", str(saved), "--policy", "today", "--chart", "risk", "--output", str(tmp_path / "c.png")]) == 2
    assert "a saved result" in capsys.readouterr().err


def test_without_matplotlib(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3, what would install it, and no file."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    target = tmp_path / "a.png"
    workload = str(EXAMPLES / "oracle-sga-1500.yaml")
    assert main(["plot", workload, "--chart", "policies", "--output", str(target)]) == 3
    assert "pip install 'ptcalc[plot]'" in capsys.readouterr().err
    assert not target.exists()
