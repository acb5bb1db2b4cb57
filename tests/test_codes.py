"""Every code that ptcalc can show is in the documentation, with its cause and its remedy.

Codes are found in the source: the first argument of whatever makes findings, notes, reasons and rules.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ptcalc.checking.rules import RULES
from ptcalc.risk.findings import CODES, Code

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/findings.md").read_text(encoding="utf-8")
MAKERS = {"Code", "Finding", "Note", "Reason", "Rule"}
SECTIONS = dict(re.findall(r"^### `([\w-]+)`\n\n(.*?)(?=^##)", PAGE, re.DOTALL | re.MULTILINE))
# Codes of tables: the first cell of a row.
ROWS = dict(re.findall(r"^\| `([\w-]+)` \|(.*)\|$", PAGE, re.MULTILINE))


def made() -> Iterator[tuple[str, str]]:
    """Yield (code, where it is made); of a code put together from parts the constant beginning, and a star."""
    for path in sorted(ROOT.glob("ptcalc/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            codes = [*node.args[:1], *(each.value for each in node.keywords if each.arg in ("code", "id"))]
            for code in codes if name in MAKERS else ():
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                if isinstance(code, ast.Constant) and isinstance(code.value, str):
                    yield code.value, where
                elif isinstance(code, ast.JoinedStr) and isinstance(code.values[0], ast.Constant):
                    yield f"{code.values[0].value!s}*", where


def test_every_code_is_documented() -> None:
    """None is made that the page does not have."""
    known = {*SECTIONS, *ROWS}
    missing = {
        code: where
        for code, where in made()
        if not (any(each.startswith(code[:-1]) for each in known) if code.endswith("*") else code in known)
    }

    assert missing == {}


def test_no_code_is_documented_that_is_not_there() -> None:
    assert {*SECTIONS, *ROWS} - {code for code, _ in made()} == set()
    assert set(RULES) <= {*SECTIONS, *ROWS}


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.code)
def test_findings_have_cause_and_remedy(code: Code) -> None:
    """Severity and title are those of the code; cause and remedy are told in words."""
    section = SECTIONS[code.code]
    title = section.split("\n", 1)[0]

    assert title == f"**{code.severity}**: {code.title}."
    for part in ("Cause. ", "Remedy. "):
        assert re.search(rf"^{part}\S.{{8,}}", section, re.MULTILINE), part


def test_reasons_have_cause_and_remedy() -> None:
    """Four cells each, none of them empty."""
    for code, cells in ROWS.items():
        assert len([cell for cell in cells.split("|") if cell.strip()]) == 3, code
