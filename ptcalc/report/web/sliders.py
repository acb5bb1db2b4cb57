"""The sliders of an estimate: their controls, and the figures to which they go back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ptcalc.report import format as fmt
from ptcalc.report.verdict import RISK_TEXT, headline, limit
from ptcalc.report.web import page
from ptcalc.report.web.page import Html, element, text
from ptcalc.result import Estimate, PolicyResult
from ptcalc.risk.best import subject_of

if TYPE_CHECKING:
    from ptcalc.charting import Charts

TOUCHES = (
    ("written", "as described"),
    ("all", "all of it"),
    ("run", "a share, in one dense run"),
    ("spread", "a share, spread evenly"),
)


def section(estimate: Estimate, charts: Charts) -> list[Html]:
    """Return the panel with the sliders, which the page's script shows; or why there is none."""
    live = charts.live
    if live is None:
        return [page.heading("Other numbers"), page.paragraph(text(charts.why), class_="note")] if charts.why else []
    top = max((group for group in live["groups"] if group["grows"]), key=lambda group: group["count"], default=None)
    others = sum(group["grows"] for group in live["groups"]) > 1
    controls = []
    if top is not None and top["count"]:
        label = f"Processes of {top['name']}" + (", the others in proportion" if others else "")
        most = min(4 * top["count"], live["limits"]["pid_max"])
        controls.append(
            _control(
                "processes", label,
                element("input", type="range", id="in-processes", min=1, max=max(most, 2), aria_label=label),
                element(
                    "input", type="number", id="in-processes-number", min=1, max=live["limits"]["pid_max"],
                    inputmode="numeric", aria_label=label,
                ),
            )
        )  # fmt: skip
    controls.append(_range("size", f"Size of {live['segment']}", len(live["sizes"]) - 1))
    options = [element("option", text(name), value=value) for value, name in TOUCHES]
    moved = sum(mapping["moved"] for mapping in live["mappings"])
    which = "" if moved == len(live["mappings"]) else f" ({moved} of {len(live['mappings'])} mappings)"
    controls.append(
        _control(
            "touch", f"What each process touches{which}", element("select", *options, id="in-touch"), label="in-touch"
        )
    )
    controls.append(_range("share", "Touched share", 1000, least=1))
    controls.append(_range("memory", "Memory of the host", len(live["memories"]) - 1))
    if live["cgroup"] is not None:
        controls.append(_range("cgroup", "Limit of the memory cgroup", len(live["cgroups"]) - 1))
    notes = [f"{policy['name']} is left out: {policy['why']}." for policy in live["policies"] if "why" in policy]
    random = element(
        "p",
        text(
            "This workload touches memory at random, and the sliders compute exact touches only: choose above how what"
            " is touched lies. The figures as described are the engine's."
        ),
        class_="note", id="live-random", hidden=True,
    )  # fmt: skip
    panel = element(
        "div",
        element("div", *controls, class_="grid"),
        random,
        element(
            "p", text(headline(estimate, subject_of(estimate))), class_=_tone(estimate), id="live-answer", role="status"
        ),
        element("p", id="live-advice"),
        element("button", text("Back to the file"), type="button", id="live-reset"),
        class_="sliders",
    )
    intro = "Move a slider: the answer here, and the table and charts below, are computed anew, to the byte."
    return [
        element(
            "section",
            page.heading("What if"),
            page.paragraph(text(intro), class_="dim"),
            panel,
            *(page.paragraph(text(note), class_="note") for note in notes),
            id="live",
            hidden=True,
        )
    ]


def data(estimate: Estimate, charts: Charts) -> dict[str, Any] | None:
    """Return what the page's scripts need for the sliders; None if there are none."""
    if charts.live is None:
        return None
    subject = subject_of(estimate)
    return {
        **charts.live,
        "subject": estimate.policies.index(subject),
        "written": {
            **charts.live["written"],
            "answer": headline(estimate, subject),
            "tone": _tone(estimate),
            "rows": [[list(cell) for cell in cells(result)] for result in estimate.policies],
        },
    }


def cells(result: PolicyResult) -> Iterator[tuple[str, str, int | str, str]]:
    """Yield the figures of a policy that sliders change: name, text, exact value, tone."""
    memory, risk, sure = result.memory, result.risk, result.page_tables.exact
    yield "tables", fmt.size(result.page_tables.used_bytes, exact=sure), result.page_tables.used_bytes, ""
    yield "demand", fmt.size(memory.demand_bytes, exact=sure), memory.demand_bytes, ""
    yield "free", fmt.size(memory.headroom_bytes, exact=sure), memory.headroom_bytes, ""
    if result.availability.deployable:
        yield "risk", RISK_TEXT[risk.level], risk.level, risk.level
    else:
        yield "risk", f"would be {RISK_TEXT[risk.level]}", risk.level, ""
    yield "safe", limit(risk.safe_processes, risk.safe_limited_by), risk.safe_processes, ""
    yield "most", limit(risk.max_processes, risk.limited_by), risk.max_processes, ""


def _tone(estimate: Estimate) -> str:
    subject = subject_of(estimate)
    return f"live {subject.risk.level}" if subject.availability.deployable else "live"


def _range(name: str, label: str, most: int, least: int = 0) -> Html:
    slider = element("input", type="range", id=f"in-{name}", min=least, max=most, aria_label=label)
    return _control(name, label, slider, element("output", id=f"out-{name}", for_=f"in-{name}"))


def _control(name: str, title: str, *inside: Html, label: str | None = None) -> Html:
    words = element("label", text(title), for_=label or f"in-{name}")
    return element("div", words, element("div", *inside, class_="row"))
