"""The saved result of a check has every format that the check itself has, to the byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ptcalc import InputError
from ptcalc.checking.result import CheckResult
from ptcalc.checking.saved import check_of
from ptcalc.report.formats import CHECK, render
from tests.report.checks import CASES


def read(result: CheckResult, **changes: Any) -> CheckResult:
    return check_of(json.loads(render(result, "json")) | changes, "saved.json")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("form", CHECK)
def test_every_format(name: str, form: str) -> None:
    """Hostile names, acceptances, broken files and all."""
    result = CASES[name]()

    assert render(read(result), form) == render(result, form)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"files": None}, "files: null stands here"),
        ({"fail_on": "never"}, "fail_on: 'never' stands here"),
        ({"policies": ["today", "mshare"]}, "a file lacks the figures of a judged policy"),
        ({"files": [{"file": "a", "name": "a", "risk": "ok", "policies": [{}], "problems": []}]}, "policy: is missing"),
        ({"rules": [{"id": 1}]}, "rules[0].id: 1 stands here"),
    ],
)
def test_damage_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        read(CASES["failed"](), **changes)

    assert said in refused.value.render()
    assert "ptcalc check --format json" in refused.value.render() or refused.value.accepted
