"""From what was found to problems: who accepted it, what tells it from all others, and the order."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ptcalc.checking.agreements import Accepted
from ptcalc.checking.result import Acceptance, Level, Problem
from ptcalc.workload.source import Positions

Path = tuple[str | int, ...]

_WORST_FIRST: tuple[Level, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Found:
    """Something to say about the value at a path; all else as in `Problem`."""

    rule: str
    level: Level
    message: str
    path: Path
    fails: bool = False
    policy: str = ""
    remedy: str = ""
    link: str = ""

    def is_accepted_by(self, acceptance: Acceptance) -> bool:
        """Whether somebody has accepted this."""
        return acceptance.rule == self.rule and acceptance.policy in ("", self.policy)


def settled(found: Iterable[Found], positions: Positions, accepted: Sequence[Accepted] = ()) -> tuple[Problem, ...]:
    """Return problems at their places in a document, worst first; an accepted one does not fail."""
    prints = Fingerprints(positions.file)
    problems = []
    for each in found:
        acceptance = next((one.acceptance for one in accepted if each.is_accepted_by(one.acceptance)), None)
        line, column = positions.of(each.path)
        problem = Problem(
            rule=each.rule,
            level=each.level,
            message=each.message,
            file=positions.file,
            line=line,
            column=column,
            path=each.path,
            fails=each.fails and acceptance is None,
            fingerprint=prints.of(each.rule, each.policy, _steady(each.path, positions)),
            policy=each.policy,
            remedy=each.remedy,
            link=each.link,
            accepted=acceptance,
        )
        problems.append(problem)
    return tuple(sorted(problems, key=_badness))


def _steady(path: Path, positions: Positions) -> Path:
    """Return a path in which entries of lists go by what they are about, which others before them do not change."""
    steps: list[str | int] = []
    for at, step in enumerate(path):
        node, whole = positions.find(path[: at + 1])
        if isinstance(step, int) and whole and node is not None and isinstance(node.value, dict):
            about = next((node.value[key][1].value for key in ("segment", "rule") if key in node.value), None)
            step = about if isinstance(about, str) else step
        steps.append(step)
    return tuple(steps)


def _badness(problem: Problem) -> tuple[bool, bool, int]:
    return not problem.fails, problem.accepted is not None, _WORST_FIRST.index(problem.level)


class Fingerprints:
    """What tells the problems of one file apart, whatever lines and figures become of it."""

    def __init__(self, file: str) -> None:
        self._file = os.path.relpath(file)
        self._seen: Counter[str] = Counter()

    def of(self, rule: str, policy: str, path: Path) -> str:
        """Return the fingerprint of a problem, hexadecimal.

        Where there are several of one rule, policy and path (two budgets, say), they are numbered.
        """
        key = json.dumps([self._file, rule, policy, path])
        self._seen[key] += 1
        number = self._seen[key]
        text = key if number == 1 else f"{key} {number}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]
