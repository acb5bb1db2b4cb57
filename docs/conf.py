"""The documentation as a site: Sphinx with MyST for Markdown and the theme Furo.

Nothing is fetched by whoever reads it: the theme brings its styles and uses the fonts of the system.  `./run docs`
builds it, with warnings as errors.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from ptcalc import __version__

project = "ptcalc"
author = "the authors of ptcalc"
copyright = "the authors of ptcalc, MIT licence"  # noqa: A001  # the name that Sphinx reads
version = release = __version__
language = "en"
smartquotes = False  # two hyphens before an option stay two

extensions = ["myst_parser"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "html_image"]
nitpicky = True

html_theme = "furo"
html_title = "ptcalc"
html_show_sphinx = False
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": True}
highlight_language = "text"
pygments_style = "tango"
pygments_dark_style = "monokai"

_OUTPUT = re.compile(r"^<!-- (?:output|table): ([^\n]+) -->\n```text\n", re.MULTILINE)


_FETCHED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
_NAMED = re.compile(r"\[([\w-]+\.md)\]\(((?:\.\./|howto/|reference/)?)\1\)")
# A link to Markdown of the repository that is no page of the site.
_OUTSIDE = re.compile(r"\[([^\]\n]+)\]\(\.\./([\w./-]+\.md)\)")


def _adapt(_app: Sphinx, name: str, content: list[str]) -> None:
    """Make a page of what reads well in the repository.

    The command that printed an output stands in a comment there, which tests read; here it stands above the output.  A
    link whose text is the name of a page has its title here.  In a session, lines of output may look like prompts.
    """
    text = content[0].replace("<!-- session -->\n```console\n", "```text\n")
    text = _NAMED.sub(r"[](\2\1)", text)
    text = _OUTPUT.sub(lambda found: f"```{{code-block}} text\n:caption: {found[1]}\n\n", text)
    if "/" not in name:  # below, ../ leads to pages
        text = _OUTSIDE.sub(r"\1 (`\2`)", text)
    content[0] = text


def _offline(app: Sphinx, failure: Exception | None) -> None:
    """Fail if a page would fetch anything from elsewhere."""
    for page in () if failure else Path(app.outdir).rglob("*.html"):
        found = _FETCHED.search(page.read_text(encoding="utf-8"))
        if found:
            raise ExtensionError(f"{page} is not complete in itself: {found[0]}")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _adapt)
    app.connect("build-finished", _offline)
