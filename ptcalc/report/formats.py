"""Which formats there are of each kind of result, and which module of this room renders each.

Nothing is imported before it is asked for: commands offer the names of formats in their help texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ptcalc.errors import InputError, nearest, quote

if TYPE_CHECKING:
    from ptcalc.report.page import Screen

# Format -> module of ptcalc.report and its function, which takes the result, and for text the screen as well.
Formats = Mapping[str, tuple[str, str]]
TEXT = "text"

ESTIMATE: Formats = {
    TEXT: ("terminal", "render"),
    "json": ("json_report", "render_estimate"),
    "markdown": ("markdown", "render"),
    "csv": ("csv_report", "render"),
    "html": ("html_report", "render"),
}
EXPLAIN: Formats = {
    TEXT: ("explain_report", "render"),
    "json": ("json_report", "render_explanation"),
}
UNCERTAIN: Formats = {
    TEXT: ("uncertainty_report", "render_text"),
    "json": ("uncertainty_report", "render_json"),
}
CHECK: Formats = {
    TEXT: ("check_report", "render_text"),
    "json": ("check_report", "render_json"),
    "sarif": ("sarif", "render"),
    "junit": ("junit", "render"),
    "github": ("github", "render"),
    "gitlab": ("gitlab", "render"),
    "markdown": ("check_markdown", "render"),
    "tap": ("tap", "render"),
}
DIFF: Formats = {
    TEXT: ("diff_report", "render_text"),
    "json": ("diff_report", "render_json"),
    "markdown": ("diff_markdown", "render"),
}
_OF = {"Estimate": ESTIMATE, "Sampled": UNCERTAIN, "CheckResult": CHECK, "Diff": DIFF}


def rendered(formats: Formats, form: str, result: Any, screen: Screen | None = None) -> str:
    """Return a result in one of its formats; text is laid out for ``screen``, by default for a file."""
    module, name = formats[form]
    render = getattr(import_module(f"ptcalc.report.{module}"), name)
    if form != TEXT:
        text: str = render(result)
        return text
    from ptcalc.report.page import Screen

    page: str = render(result, screen or Screen())
    return page


def render(result: Any, form: str = TEXT) -> str:
    """Return an `Estimate`, `Sampled`, `CheckResult` or `Diff` in a format of its command, as a file would hold it.

    Raises InputError for a format that there is not of such a result.
    """
    formats = _OF[type(result).__name__]
    if form not in formats:
        raise InputError(
            f"{quote(form)} is no format of this result",
            accepted=", ".join(formats),
            suggestion=nearest(form, formats),
        )
    return rendered(formats, form, result)
