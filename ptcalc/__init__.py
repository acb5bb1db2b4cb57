"""How much memory do page tables cost, and when does this box run out of it?

The commands' twins::

    import ptcalc
    workload = ptcalc.load("workload.yaml")
    estimate = ptcalc.estimate(workload)
    estimate.policy("today").page_tables.bytes
    ptcalc.sweep(workload, {"host.arch": ["x86_64", "arm64-64k"]})

Everything is loaded when it is first used, so that ``import ptcalc`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ptcalc.autopsy import Autopsy, autopsy_log
    from ptcalc.capture import Capture, capture_oom_log, capture_system
    from ptcalc.checking.judging import check
    from ptcalc.checking.result import Acceptance, CheckResult, FileCheck, Problem, Rule
    from ptcalc.diffing import diff
    from ptcalc.diffing.result import Diff
    from ptcalc.errors import CannotDoHere, CheckFailed, InputError, PtcalcError
    from ptcalc.estimation import estimate
    from ptcalc.recommend import Recommendations, recommend_changes
    from ptcalc.report.formats import render
    from ptcalc.report.json_report import to_dict
    from ptcalc.result import (
        Assumption,
        Availability,
        Estimate,
        Finding,
        LedgerItem,
        LevelTables,
        MappingShare,
        Memory,
        PageTables,
        PolicyResult,
        ProcessTables,
        Question,
        Reason,
        Risk,
    )
    from ptcalc.saved import load_result, loads_result
    from ptcalc.scenarios.searching import Answer
    from ptcalc.scenarios.solving import Solution, SolvedRow, solve
    from ptcalc.scenarios.uncertainty import Sampled, sample
    from ptcalc.sweeping import Axis, Row, Scan, Sweep, scan_workload, sweep
    from ptcalc.templates import new_workload
    from ptcalc.timeline.following import follow_timeline
    from ptcalc.timeline.result import Timeline
    from ptcalc.verify import Boundary, Figure, Verification, verify_boundary, verify_workload
    from ptcalc.workload import Workload, load, loads

__version__ = "0.1.0"

_HOMES = {
    "ptcalc.autopsy": ("Autopsy", "autopsy_log"),
    "ptcalc.capture": ("Capture", "capture_oom_log", "capture_system"),
    "ptcalc.checking.judging": ("check",),
    "ptcalc.checking.result": ("Acceptance", "CheckResult", "FileCheck", "Problem", "Rule"),
    "ptcalc.diffing": ("diff",),
    "ptcalc.diffing.result": ("Diff",),
    "ptcalc.errors": ("CannotDoHere", "CheckFailed", "InputError", "PtcalcError"),
    "ptcalc.estimation": ("estimate",),
    "ptcalc.recommend": ("Recommendations", "recommend_changes"),
    "ptcalc.report.formats": ("render",),
    "ptcalc.report.json_report": ("to_dict",),
    "ptcalc.result": (
        "Assumption",
        "Availability",
        "Estimate",
        "Finding",
        "LedgerItem",
        "LevelTables",
        "MappingShare",
        "Memory",
        "PageTables",
        "PolicyResult",
        "ProcessTables",
        "Question",
        "Reason",
        "Risk",
    ),
    "ptcalc.saved": ("load_result", "loads_result"),
    "ptcalc.scenarios.searching": ("Answer",),
    "ptcalc.scenarios.solving": ("Solution", "SolvedRow", "solve"),
    "ptcalc.scenarios.uncertainty": ("Sampled", "sample"),
    "ptcalc.sweeping": ("Axis", "Row", "Scan", "Sweep", "scan_workload", "sweep"),
    "ptcalc.templates": ("new_workload",),
    "ptcalc.timeline.following": ("follow_timeline",),
    "ptcalc.timeline.result": ("Timeline",),
    "ptcalc.verify": ("Boundary", "Figure", "Verification", "verify_boundary", "verify_workload"),
    "ptcalc.workload": ("Workload", "load", "loads"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Acceptance",
    "Answer",
    "Assumption",
    "Autopsy",
    "Availability",
    "Axis",
    "Boundary",
    "CannotDoHere",
    "Capture",
    "CheckFailed",
    "CheckResult",
    "Diff",
    "Estimate",
    "Figure",
    "FileCheck",
    "Finding",
    "InputError",
    "LedgerItem",
    "LevelTables",
    "MappingShare",
    "Memory",
    "PageTables",
    "PolicyResult",
    "Problem",
    "ProcessTables",
    "PtcalcError",
    "Question",
    "Reason",
    "Recommendations",
    "Risk",
    "Row",
    "Rule",
    "Sampled",
    "Scan",
    "Solution",
    "SolvedRow",
    "Sweep",
    "Timeline",
    "Verification",
    "Workload",
    "__version__",
    "autopsy_log",
    "capture_oom_log",
    "capture_system",
    "check",
    "diff",
    "estimate",
    "follow_timeline",
    "load",
    "load_result",
    "loads",
    "loads_result",
    "new_workload",
    "recommend_changes",
    "render",
    "sample",
    "scan_workload",
    "solve",
    "sweep",
    "to_dict",
    "verify_boundary",
    "verify_workload",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'ptcalc' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
