"""SARIF 2.1.0 (OASIS), the form in which code scanning takes results.

Names of files are URIs relative to ``%SRCROOT%``: the folder in which ptcalc was called, in CI the checkout.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from ptcalc.checking.result import CheckResult, Problem, Rule
from ptcalc.errors import printable
from ptcalc.report import json_report
from ptcalc.report.problems import lines, relative

Json = dict[str, Any]

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"


def render(result: CheckResult) -> str:
    """Return the log: one run, with a rule for each kind of problem and a result for each problem."""
    numbers = {rule.id: number for number, rule in enumerate(result.rules)}
    run = {
        "tool": {
            "driver": {
                "name": "ptcalc",
                "version": result.version,
                "semanticVersion": result.version,
                "rules": [_rule(rule) for rule in result.rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": "The folder in which ptcalc was called."}}},
        "results": [_result(problem, numbers[problem.rule]) for problem in result.problems],
    }
    return json_report.render({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(rule: Rule) -> Json:
    return {
        "id": rule.id,
        "name": rule.id.title().replace("-", ""),
        "shortDescription": {"text": _text(rule.title)},
        "fullDescription": {"text": _text(rule.title)},
        "help": {"text": _text(rule.help)},
        "defaultConfiguration": {"level": rule.level},
    }


def _result(problem: Problem, number: int) -> Json:
    return {
        "ruleId": problem.rule,
        "ruleIndex": number,
        "level": problem.level,
        "message": {"text": _text("\n".join(lines(problem)))},
        "locations": [{"physicalLocation": _location(problem)}],
        # GitHub knows no other name for what makes two results one.
        "partialFingerprints": {"ptcalc/v1": problem.fingerprint, "primaryLocationLineHash": problem.fingerprint},
        # Where one result has suppressions, those without have to say so.
        "suppressions": _suppressions(problem),
        "properties": {"policy": printable(problem.policy), "fails": problem.fails},
    }


def _location(problem: Problem) -> Json:
    return {
        "artifactLocation": _artifact(problem.file),
        "region": {"startLine": problem.line, "startColumn": problem.column},
    }


def _artifact(file: str) -> Json:
    # Bytes of a name that are no UTF-8 stay the bytes that they are.
    uri = quote(relative(file), safe="/", errors="surrogateescape")
    return {"uri": f"file://{uri}"} if uri.startswith("/") else {"uri": uri, "uriBaseId": ROOT}


def _suppressions(problem: Problem) -> list[Json]:
    accepted = problem.accepted
    if accepted is None:
        return []
    word = f"{accepted.reason} ({accepted.owner}, until {accepted.until})"
    return [{"kind": "external", "status": "accepted", "justification": printable(word)}]


def _text(text: str) -> str:
    """Return text in which no name can be a link, which messages of SARIF may have: ``[text](target)``."""
    return re.sub(r"(\\*)\](?=\()", r"\1\1\\]", text)
