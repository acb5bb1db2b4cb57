"""Results of checks made by hand, for the formats: no engine, no workload, no file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

from ptcalc.checking.result import Acceptance, CheckResult, FileCheck, Level, Problem, Rule
from ptcalc.result import Estimate
from tests.report.conftest import MIB, estimate, policy

RULES = {
    rule.id: rule
    for rule in (
        Rule("risk", "the risk is at or above the threshold", "see ptcalc recommend", "error"),
        Rule("budget-headroom", "less memory stays free than the budget asks for", "add memory", "error"),
        Rule("page-tables-large", "page tables take much of the memory", "put the segment on huge pages", "warning"),
        Rule("part-pool-no-help", "huge pages for a part do not help", "put the whole segment on huge pages", "note"),
        Rule("acceptance-expired", "an acceptance is past its day", "agree on a new day", "error"),
        Rule("invalid-workload", "the file cannot be judged", "write what would be accepted", "error"),
    )
}
WORD = Acceptance("page-tables-large", "until the move to huge pages", "dba@example.com", date(2027, 3, 31), "today")

# What would break out of a format: quotes, CDATA, workflow commands, HTML, Markdown, links of SARIF, directives of
# TAP, terminal escapes, marks of reading direction, what XML cannot hold, lone surrogates.
HOSTILE = (
    "\"'`]]> & <script>alert(1)</script> <!-- \n::error file=x,line=1::forged\r\n##[error]forged % %0A , : "
    "[link](https://example.com) | **bold** @mention #1 # SKIP \\# TODO {0}\n...\nBail out!\nok 99\n"
    "\x1b[31mred\x1b[0m\x9b2J\x07\x00\x0b \u202eesrever\u2066 \u200f \ufeff \ufffe \ud800 \udcff \U0001f600 漢字\u2028"
)
LONG = "x" * 10_000


def problem(rule: str, line: int = 1, *, level: Level | None = None, **changes: Any) -> Problem:
    """A problem of `rule`, at its own level; one of level error fails."""
    level = level or RULES[rule].level
    plain = Problem(
        rule=rule,
        level=level,
        message=f"what is wrong about {rule}",
        file="capacity/oracle.yaml",
        line=line,
        column=11,
        path=("segments", "sga", "size"),
        fails=level == "error",
        fingerprint=hashlib.sha256(f"{rule} {line}".encode()).hexdigest(),
        policy="today",
        remedy=RULES[rule].help,
    )
    return replace(plain, **changes)


def check(*files: FileCheck, policies: tuple[str, ...] = ("today",)) -> CheckResult:
    """The result of these files; its rules are those that they need."""
    named = {each.rule for file in files for each in file.problems}
    return CheckResult(files, policies, "oom", tuple(rule for rule in RULES.values() if rule.id in named), "0.1.0")


def file(name: str, *problems: Problem, made: Estimate | None = None) -> FileCheck:
    """A file of a healthy workload."""
    made = made or estimate(policy("today", tables=7 * MIB, vmpte=5 * MIB))
    return FileCheck(name, made.name, made, made.policies[0].risk.level, problems)


def passed() -> CheckResult:
    """One file, and nothing to say."""
    return check(file("capacity/oracle.yaml"))


def failed() -> CheckResult:
    """Everything that a problem can have, in three files: one fails, one is broken, one has something accepted."""
    oom = estimate(
        policy("today", tables=945_567_744_000, vmpte=630_378_496, level="oom", safe=232, most=315),
        policy("thp", tables=1_825_361_100, vmpte=2 * MIB, sd=1 * MIB),
    )
    both = estimate(policy("today", tables=7 * MIB, vmpte=5 * MIB), policy("thp", tables=7 * MIB, vmpte=5 * MIB))
    broken = "capacity/broken.yaml"
    return check(
        file(
            "./capacity/oracle.yaml",
            problem("risk", 17),
            problem("budget-headroom", 18, link="https://wiki.example.com/capacity?page=1#headroom"),
            problem("page-tables-large", 17, path=("segments", "sga", 0)),
            problem("part-pool-no-help", 12, path=(), policy="", remedy=""),
            made=oom,
        ),
        FileCheck(broken, broken, None, None, (problem("invalid-workload", 3, file=broken, path=(), policy=""),)),
        file(
            "/srv/capacity/accepted.yaml",
            problem("page-tables-large", 9, file="/srv/capacity/accepted.yaml", accepted=WORD),
            made=both,
        ),
        policies=("today", "thp"),
    )


def many() -> CheckResult:
    """More problems than GitHub shows: the errors come last."""
    warnings = [problem("page-tables-large", line) for line in range(1, 9)]
    return check(
        file("capacity/oracle.yaml", *warnings), file("b.yaml", *(problem("risk", each) for each in (1, 2, 3)))
    )


def ten() -> CheckResult:
    """As many problems as GitHub shows."""
    return check(file("capacity/oracle.yaml", *(problem("risk", line) for line in range(1, 11))))


def hostile() -> CheckResult:
    """Names that would break out of each format, everywhere."""
    word = replace(WORD, reason=HOSTILE, owner=HOSTILE)
    made = estimate(policy("today", tables=7 * MIB, vmpte=5 * MIB), name=HOSTILE, file=HOSTILE)
    name = re.sub("[\ud800\0]", "", HOSTILE)  # no name of a file has these
    link = f"https://example.com/{HOSTILE}"
    says: dict[str, Any] = {
        "message": HOSTILE,
        "file": name,
        "path": (HOSTILE, 0),
        "policy": HOSTILE,
        "remedy": HOSTILE,
        "link": link,
    }
    worst = problem("risk", **says)
    harmless = [problem("page-tables-large", **says), problem("page-tables-large", **says, accepted=word)]
    found = FileCheck(name, HOSTILE, made, "ok", (worst, *harmless))
    return check(found, replace(found, problems=tuple(harmless)))


def long() -> CheckResult:
    """Words of 10,000 characters."""
    return check(file("b.yaml", problem("risk", message=LONG, remedy="")))


def crowded() -> CheckResult:
    """Names of 10,000 characters, in more problems than a comment has room for."""
    made = estimate(policy("today", tables=7 * MIB, vmpte=5 * MIB), name=LONG, file=LONG)
    problems = [problem("risk", line, message=LONG, file=LONG, remedy=LONG) for line in range(1, 5)]
    return check(file(LONG, *problems, made=made), file("b.yaml", problem("risk", 1, file="b.yaml")))


CASES: dict[str, Callable[[], CheckResult]] = {
    "passed": passed,
    "failed": failed,
    "many": many,
    "ten": ten,
    "hostile": hostile,
    "long": long,
    "crowded": crowded,
}
