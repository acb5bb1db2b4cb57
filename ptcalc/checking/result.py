"""What a check found: the frozen result that every format of `ptcalc check` renders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from ptcalc.result import Estimate, RiskLevel

# note: something to know; warning: worth a change; error: wrong.  Whether it fails the check is said beside it.
Level = Literal["note", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of problem: the code of a finding, or one of check's own (``risk``, ``budget-headroom``, …)."""

    id: str  # stable: users filter and accept by it
    title: str  # one line
    help: str  # what to do about it
    level: Level


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Somebody's word that a rule may be broken, until a day (inclusive)."""

    rule: str
    reason: str
    owner: str
    until: date
    policy: str = ""  # empty: of every policy


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that a check has to say about one file, at the value that causes it."""

    rule: str
    level: Level
    message: str
    file: str  # as it was named
    line: int  # from 1
    column: int  # from 1
    path: tuple[str | int, ...]  # of the value in the file; empty: the file as a whole
    fails: bool  # whether it makes the check fail
    fingerprint: str  # hexadecimal; of rule, policy, file and place, not of lines and figures
    policy: str = ""  # empty: not about one policy
    remedy: str = ""
    link: str = ""  # the user's own, of a budget
    accepted: Acceptance | None = None  # who accepted it; such a problem never fails


@dataclass(frozen=True, slots=True)
class FileCheck:
    """One file: its estimate and its problems, worst first.

    There is no estimate of what is no workload, as a problem says, nor of a config whose acceptances have problems.
    """

    file: str
    name: str  # of the workload; the file's where there is none
    estimate: Estimate | None
    risk: RiskLevel | None  # the worst among the judged policies
    problems: tuple[Problem, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing fails the check."""
        return not any(problem.fails for problem in self.problems)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """All files, in the order in which they were named; ``rules`` are those that problems name, by id."""

    files: tuple[FileCheck, ...]
    policies: tuple[str, ...]  # those that are judged
    fail_on: RiskLevel  # this level or a worse one fails
    rules: tuple[Rule, ...]
    version: str  # of ptcalc

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems of all files."""
        return tuple(problem for file in self.files for problem in file.problems)

    @property
    def passed(self) -> bool:
        """Whether every file passed."""
        return all(file.passed for file in self.files)
