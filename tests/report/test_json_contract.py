"""The JSON report against the public contract: names, order and types of its keys."""

from __future__ import annotations

from typing import Any

from ptcalc.report.json_report import explain_to_dict, to_dict
from ptcalc.result import Estimate

# The object as the contract shows it: keys in order, a list stands for objects of its one entry's shape.
CONTRACT: dict[str, Any] = {
    "schema": str,
    "workload": {"name": str, "processes": int},
    "policies": [
        {
            "policy": str,
            "availability": {"state": str, "since": str, "source": str, "as_of": str},
            "applies": (str, list),
            "page_tables": {
                "bytes": int,
                "used_bytes": int,
                "exact": bool,
                "levels": [{"level": str, "tables": int, "bytes": int}],
            },
            "processes": [{"name": str, "count": int, "vmpte_bytes": int, "exact": bool}],
            "memory": {
                "boundary": str,
                "capacity_bytes": int,
                "demand_bytes": int,
                "headroom_bytes": int,
                "items": [{"name": str, "bytes": int}],
            },
            "risk": {"level": str, "safe_processes": int, "max_processes": int, "limited_by": str},
        }
    ],
    "findings": [
        {"code": str, "severity": str, "message": str, "location": {"line": int, "column": int}},
    ],
    "assumptions": [{"key": str, "value": str, "why": str}],
}


def test_keys_are_the_contracts(case: tuple[str, Estimate]) -> None:
    """Every key of the contract is there, in its order and with its type; more may stand beside them."""
    _check(to_dict(case[1]), CONTRACT, "report")
    _check(explain_to_dict(case[1]), CONTRACT, "explanation")


def test_schemas(oracle: Estimate) -> None:
    """The report says which schema it follows."""
    assert to_dict(oracle)["schema"] == "ptcalc.estimate/1"
    assert explain_to_dict(oracle)["schema"] == "ptcalc.explain/1"


def test_spread_stands_beside_an_expectation_and_only_there(case: tuple[str, Estimate]) -> None:
    """``sd_bytes`` and ``vmpte_sd_bytes`` are given exactly where ``exact`` is false."""
    for policy in to_dict(case[1])["policies"]:
        assert ("sd_bytes" in policy["page_tables"]) is not policy["page_tables"]["exact"]
        for process in policy["processes"]:
            assert ("vmpte_sd_bytes" in process) is not process["exact"]


def test_expected_tables_are_integers_and_marked(case: tuple[str, Estimate]) -> None:
    """The arithmetic of a random touch rounds its tables and says so."""
    for policy, result in zip(explain_to_dict(case[1])["policies"], case[1].policies, strict=True):
        for level, exact in (
            (level, given)
            for shown, mapping in zip(policy["mappings"], result.mappings, strict=True)
            for level, given in zip(shown["levels"], mapping.levels, strict=True)
        ):
            assert type(level["tables"]) is int
            assert level["exact"] is isinstance(exact.tables, int)


def _check(value: object, shape: Any, where: str) -> None:
    if isinstance(shape, dict):
        assert isinstance(value, dict), where
        assert [key for key in value if key in shape] == list(shape), where
        for key, inner in shape.items():
            _check(value[key], inner, f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        for number, entry in enumerate(value):
            _check(entry, shape[0], f"{where}[{number}]")
    else:
        assert isinstance(value, shape), where
        # bool is an int to Python, not to a reader of JSON.
        assert isinstance(value, bool) is (shape is bool), where
