"""`ptcalc check` without its command line: workloads judged by thresholds, budgets and acceptances."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from fractions import Fraction

from ptcalc import __version__, arch, estimation, risk
from ptcalc.checking import causes
from ptcalc.checking.agreements import Accepted, Agreements, Budget, read_agreements, require_policy
from ptcalc.checking.budgets import missed
from ptcalc.checking.drawn import drawn
from ptcalc.checking.files import workload_files
from ptcalc.checking.result import CheckResult, FileCheck, Problem
from ptcalc.checking.rules import EXPIRED, INVALID, LEVELS, MEDIANS, RISK, RULES, UNUSED, of_budget
from ptcalc.checking.settling import Fingerprints, Found, settled
from ptcalc.errors import InputError, quote
from ptcalc.policies import Policy, policies_of
from ptcalc.result import RISK_ORDER, Estimate, PolicyResult, RiskLevel
from ptcalc.risk.amounts import about, percent
from ptcalc.scenarios.uncertainty import FAIL_PROBABILITY, Sampled
from ptcalc.workload import loading
from ptcalc.workload.model import Workload

JUDGED = ("today",)
FAIL_ON: RiskLevel = "oom"


def check(
    files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    policies: Sequence[str] = JUDGED,
    hypothetical: bool = False,
    fail_on: RiskLevel = FAIL_ON,
    fail_probability: Fraction = FAIL_PROBABILITY,
    config: str | os.PathLike[str] | None = None,
    today: date | None = None,
) -> CheckResult:
    """Judge a workload file or several, and those below folders, under each of some policies.

    A file fails where the risk of a policy is ``fail_on`` or worse, where a budget of level error is missed, where an
    acceptance has expired (its day is before ``today``), and where it is no workload.  The risk of a file with
    distributions is the worst level that more than ``fail_probability`` of its samples are at or beyond (`sample`).
    ``config`` is the path of a config file, whose budgets and acceptances hold for every file.  Policies that no
    mainline kernel has are judged only if ``hypothetical``.

    Raises InputError for a policy that there is not or that may not be judged, a folder without workloads, and a
    config that is none; a broken workload file is a problem of the result.
    """
    policies = tuple(dict.fromkeys(policies))
    judge = _Judge(policies, hypothetical, fail_on, fail_probability, config, today or date.today())
    names = [files] if isinstance(files, str | os.PathLike) else files
    checks = [judge.file(name) for name in workload_files(map(os.fsdecode, names))]
    checks += judge.own_problems()
    named = {problem.rule for each in checks for problem in each.problems}
    rules = tuple(rule for name, rule in RULES.items() if name in named)
    return CheckResult(tuple(checks), policies, fail_on, rules, __version__)


def all_policies(config: risk.Config) -> dict[str, Policy]:
    """Return the policies of all architectures, by name."""
    geometries = [*arch.known().values(), *config.geometries.values()]
    return {policy.name: policy for geometry in geometries for policy in policies_of(geometry)}


class _Judge:
    """What holds for all files of one run."""

    def __init__(
        self,
        policies: Sequence[str],
        hypothetical: bool,
        fail_on: RiskLevel,
        fail_probability: Fraction,
        config: str | os.PathLike[str] | None,
        today: date,
    ) -> None:
        self.policies, self.hypothetical, self.fail_on, self.today = policies, hypothetical, fail_on, today
        self.fail_probability = fail_probability
        self.document = None if config is None else risk.read_document(config)
        self.config = risk.Config() if self.document is None else risk.config_of(self.document)
        known = all_policies(self.config)
        for name in policies:
            require_policy(name, known, hypothetical=hypothetical)
        self.common = Agreements()
        if self.document is not None:
            self.common = read_agreements(self.document, list(known.values()), hypothetical=hypothetical)
        self.common_used: set[int] = set()  # acceptances of the config that silence something in some file

    def file(self, name: str) -> FileCheck:
        """Judge one file."""
        try:
            document = loading.read(name)
            workload = loading.build(document, geometries=self.config.geometries)
            own = read_agreements(document, policies_of(workload.geometry), hypothetical=self.hypothetical)
            budgets = [*own.budgets, *(each for each in self.common.budgets if not _replaced(each, own.budgets))]
            estimate, sampled = self._estimate(workload, budgets)
            found = [
                *self._risks(workload, estimate, sampled),
                *_missed(workload, estimate, budgets, self.policies),
                *_findings(estimate),
                *_medians(workload),
                *self._expired(own.acceptances),
            ]
        except InputError as error:
            return _broken(loading.STDIN if name == "-" else name, error)
        used = _silencing(self._valid(own.acceptances), found)
        found += self._unused(own.acceptances, used)
        common = self._valid(self.common.acceptances)
        self.common_used |= _silencing(common, found)
        problems = settled(found, document, [*self._valid(own.acceptances), *common])
        worst = max((estimate.policy(each).risk.level for each in self.policies), key=RISK_ORDER.index)
        return FileCheck(document.file, workload.name, estimate, worst, problems)

    def own_problems(self) -> list[FileCheck]:
        """Return what is to be said of the config's own acceptances, once all files are judged."""
        if self.document is None:
            return []
        acceptances = self.common.acceptances
        found = [*self._expired(acceptances), *self._unused(acceptances, self.common_used)]
        name = self.document.file
        return [FileCheck(name, name, None, None, settled(found, self.document))] if found else []

    def _estimate(self, workload: Workload, budgets: Sequence[Budget]) -> tuple[Estimate, Sampled | None]:
        """Evaluate the judged policies, and those that budgets are about.

        The risk levels of a file with distributions are those of its samples, which are returned as well.
        """
        known = [policy.name for policy in policies_of(workload.geometry)]
        asked = dict.fromkeys([*self.policies, *(budget.policy for budget in budgets if budget.policy)])
        for name in asked:
            if name not in known:
                message = f"{quote(name)}, which is to be judged, is no policy of {workload.geometry.name}"
                raise workload.error(("host", "arch"), message, accepted=", ".join(known))
        estimate = estimation.estimate(workload, policies=list(asked), config=self.config)
        return drawn(workload, estimate, self.config, self.fail_probability)

    def _risks(self, workload: Workload, estimate: Estimate, sampled: Sampled | None) -> Iterator[Found]:
        """Yield the judged policies whose risk is not ok; those at the threshold fail."""
        for result in map(estimate.policy, self.policies):
            level, memory = result.risk.level, result.memory
            if level == "ok":
                continue
            fails = RISK_ORDER.index(level) >= RISK_ORDER.index(self.fail_on)
            path = causes.of_demand(workload, estimate, result)
            if sampled is None:
                message = (
                    f"the risk is {level}: demand is {about(memory.demand_bytes)} of {about(memory.capacity_bytes)},"
                    f" at most {result.risk.max_processes:,} processes fit, here are {estimate.processes:,}"
                )
            else:
                odds = sampled.policy(result.policy)
                worse = "" if level == RISK_ORDER[-1] else " or worse"
                agreed = percent(self.fail_probability)
                message = f"the risk is {level}{worse} in {odds.at_least(level)}, at most {agreed} may be"
                if odds.drivers:
                    path = workload.positions.resolve(odds.drivers[0].path)
            yield Found(RISK.id, "error" if fails else "warning", message, path, fails, result.policy, RISK.help)

    def _valid(self, acceptances: Sequence[Accepted]) -> list[Accepted]:
        return [each for each in acceptances if each.acceptance.until >= self.today]

    def _expired(self, acceptances: Sequence[Accepted]) -> Iterator[Found]:
        for each in acceptances:
            what = each.acceptance
            if what.until < self.today:
                message = f"{what.rule}: accepted by {what.owner} until {what.until}, which is past: {what.reason}"
                path = ("accept", each.number)
                yield Found(EXPIRED.id, EXPIRED.level, message, path, True, what.policy, EXPIRED.help)

    def _unused(self, acceptances: Sequence[Accepted], used: set[int]) -> Iterator[Found]:
        for each in self._valid(acceptances):
            if each.number not in used:
                what = each.acceptance
                message = f"{what.rule}: accepted by {what.owner}, and there is nothing to accept"
                path = ("accept", each.number)
                yield Found(UNUSED.id, UNUSED.level, message, path, False, what.policy, UNUSED.help)


def _replaced(common: Budget, own: Sequence[Budget]) -> bool:
    """Whether a workload has a budget of its own in place of one of the config."""
    return any((each.rule, each.policy, each.of) == (common.rule, common.policy, common.of) for each in own)


def _missed(
    workload: Workload, estimate: Estimate, budgets: Sequence[Budget], judged: Sequence[str]
) -> Iterator[Found]:
    for budget in budgets:
        for result in map(estimate.policy, [budget.policy] if budget.policy else judged):
            fact = missed(budget, result, workload)
            if fact is not None:
                rule, path = of_budget(budget.rule), _cause(budget, workload, estimate, result)
                fails = budget.level == "error"
                yield Found(rule.id, budget.level, fact, path, fails, result.policy, rule.help, budget.link)


def _cause(budget: Budget, workload: Workload, estimate: Estimate, result: PolicyResult) -> tuple[str | int, ...]:
    if budget.rule == "page_tables_per_process":
        return causes.of_one_process(result)
    if budget.rule == "page_tables" or (budget.rule == "growth" and budget.of == "page_tables"):
        return causes.of_tables(result)
    return causes.of_demand(workload, estimate, result)


def _findings(estimate: Estimate) -> Iterator[Found]:
    for finding in estimate.findings:
        level = LEVELS[finding.severity]
        yield Found(finding.code, level, finding.message, finding.path, policy=finding.policy, remedy=finding.remedy)


def _medians(workload: Workload) -> Iterator[Found]:
    uncertain = workload.positions.uncertain
    if uncertain:
        many = (
            f"the medians of {len(uncertain)} distributions" if len(uncertain) > 1 else "the median of a distribution"
        )
        message = f"figures other than the risk, which is that of samples, are those of {many}"
        yield Found(MEDIANS.id, MEDIANS.level, message, next(iter(uncertain)), remedy=MEDIANS.help)


def _silencing(acceptances: Sequence[Accepted], found: Sequence[Found]) -> set[int]:
    """Return which acceptances silence something, by their numbers."""
    return {each.number for each in acceptances if any(one.is_accepted_by(each.acceptance) for one in found)}


def _broken(name: str, error: InputError) -> FileCheck:
    """Return the check of a file that cannot be judged: a problem for each error."""
    prints = Fingerprints(name)
    problems = []
    for each in (error, *error.more):
        guess = f"did you mean {quote(each.suggestion)}? " if each.suggestion else ""
        problem = Problem(
            rule=INVALID.id,
            level=INVALID.level,
            message=each.message,
            file=each.file or name,
            line=each.line or 1,
            column=each.column or 1,
            path=(),
            fails=True,
            fingerprint=prints.of(INVALID.id, "", ()),
            remedy=f"{guess}accepted: {each.accepted}" if each.accepted else guess.rstrip(),
        )
        problems.append(problem)
    return FileCheck(name, name, None, None, tuple(problems))
