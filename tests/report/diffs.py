"""Comparisons made by hand, for the renderers."""

from __future__ import annotations

from collections.abc import Callable

from ptcalc.diffing.result import Diff, Edit, Figure, Growth, Moved, PolicyChange, Side
from ptcalc.result import RiskLevel
from tests.report.conftest import GIB, MAINLINE, MARKUP, PROPOSAL


def change(
    name: str,
    base: int,
    new: int,
    *moved: Moved,
    risk: tuple[RiskLevel, RiskLevel] = ("ok", "ok"),
    sd: int | None = None,
) -> PolicyChange:
    return PolicyChange(
        policy=name,
        availability=PROPOSAL if name == "file-shared" else MAINLINE,
        risk=risk,
        limited_by=("memory", "memory"),
        figures=(
            Figure("page_tables", base, new, sd),
            Figure("page_tables_counter", base, new, sd),
            Figure("vmpte", base // 100, new // 100, sd and sd // 100),
            Figure("demand", base + 300 * GIB, new + 320 * GIB, sd),
            Figure("capacity", 502 * GIB, 502 * GIB),
            Figure("headroom", 202 * GIB - base, 182 * GIB - new, sd),
            Figure("safe", 100, 90),
            Figure("max", 150, 140),
        ),
        moved=moved,
        together=(GIB, 2 * GIB, -2 * GIB) if moved else (0, 0, 0),
        elsewhere=(0, 0, 0),
    )


def side(name: str, *, saved: bool = False) -> Side:
    return Side(f"{name}.yaml", "an SGA", "x86_64", "6.18", 1500, saved)


def grown() -> Diff:
    """Two edits, a policy that fails its bound, one that no mainline kernel has, and some on one side only."""
    first = Moved(0, (20 * GIB, 25 * GIB, -25 * GIB), (21 * GIB, 26 * GIB, -26 * GIB))
    second = Moved(1, None, (0, -GIB, GIB))
    return Diff(
        base=side("base", saved=True),
        new=side("new"),
        policies=(
            change("today", 100 * GIB, 121 * GIB, first, second, risk=("warning", "oom")),
            change(
                "file-shared", 2 * GIB, 3 * GIB, Moved(0, (GIB, GIB, -GIB), (GIB, GIB, -GIB)), risk=("ok", "warning")
            ),
        ),
        only_base=("hugetlb-1G",),
        only_new=("hugetlb-512M", "hugetlb-16G"),
        edits=(
            Edit(("processes.server.count",), "1500", "1800", "new.yaml", 12, 9),
            Edit(("segments.log", "processes.server.mappings[+log]"), "", "", "new.yaml", 7, 3),
            Edit(("host.swap",), "1 GiB", "", "base.yaml", 4, 3),
        ),
        method="shapley",
        unattributed="",
        growth=(Growth("today", "page_tables", 100 * GIB, 121 * GIB, 0.05, True),),
    )


def noisy() -> Diff:
    """Expectations, and edits too many to try all sets of them."""
    return Diff(
        base=side("base"),
        new=side("new"),
        policies=(change("today", 100 * GIB, 100 * GIB + 5000, Moved(0, (5000, 5000, -5000), None), sd=4000),),
        only_base=(),
        only_new=(),
        edits=(Edit(("host.arch",), "x86_64", "arm64", "--arch arm64", 0, 0),),
        method="alone",
        unattributed="",
        growth=(Growth("today", "demand", 100 * GIB, 100 * GIB + 5000, 0.05, False),),
    )


def unknown() -> Diff:
    """No text, so that no edit is known; and nothing on both sides."""
    return Diff(
        side("base", saved=True), side("new"), (), ("thp",), ("today",), (), "none", "no policy is on both sides", ()
    )


def named(name: str) -> Diff:
    """A comparison in which all that comes from files is a name."""
    first = change("today", GIB, 2 * GIB, Moved(0, (GIB, GIB, -GIB), (GIB, GIB, -GIB)))
    where = Side(name, name, name, name, 1, False)
    edit = Edit((name, name), name, name, name, 1, 1)
    return Diff(where, where, (first,), (name,), (name,), (edit,), "shapley", name, ())


DIFFS: dict[str, Callable[[], Diff]] = {
    "grown": grown,
    "noisy": noisy,
    "unknown": unknown,
    "hostile": lambda: named("[bold red]x[/] \x1b[31mred\x1b[0m\x07\r\nNO. \u202eesrever\u2066 \ud800 漢字 \x9b2J"),
    "markup": lambda: named(MARKUP),
    "long": lambda: named("x<" * 5_000),
}
