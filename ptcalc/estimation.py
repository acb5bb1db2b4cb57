"""From a workload to an estimate: the one place where the rooms are called one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ptcalc import __version__, policies, risk
from ptcalc.errors import InputError, quote
from ptcalc.layout.rows import MAX_ROWS, NoSlotLeft, TooManyRows
from ptcalc.result import Estimate, Measured, PolicyResult, Question
from ptcalc.workload import loads
from ptcalc.workload.sizes import parse_size
from ptcalc.workload.source import Override

if TYPE_CHECKING:
    from ptcalc.policies import Outcome, Policy
    from ptcalc.risk import Config
    from ptcalc.workload import Workload


class Asked(NamedTuple):
    """A workload, and what is asked of it: the parameters of `estimate`; no policies are all."""

    workload: Workload
    policies: Sequence[str]
    config: Config | None
    choices: Mapping[str, str]

    def estimate(self) -> Estimate:
        """Return the estimate; raises what `estimate` raises."""
        return estimate(self.workload, policies=self.policies or None, config=self.config, choices=self.choices)


def asked_again(answer: Estimate) -> Asked:
    """Return the workload of an estimate, read again from its text, and what was asked of it.

    Its estimate is the same as the first one, if this ptcalc is of the same version.  Raises InputError for an estimate
    without its text, and where the text or the config is none that this ptcalc reads.
    """
    if not answer.source:
        raise InputError("the text of the workload is not there", file=answer.file, accepted="a result that has it")
    question = answer.question
    config = risk.loads_config(json.dumps(question.config), name=f"the config of {answer.file}")
    overrides = [Override(*each) for each in question.overrides]
    try:
        workload = loads(answer.source, name=answer.file, geometries=config.geometries, overrides=overrides)
    except InputError as error:
        error.message += " (in the text that was saved)"
        raise
    return Asked(workload, question.policies, config, dict(question.choices))


def estimate(
    workload: Workload,
    *,
    policies: Sequence[str] | None = None,
    config: Config | None = None,
    choices: Mapping[str, str] | None = None,
) -> Estimate:
    """Estimate page tables, memory and risk of a workload under each policy.

    ``policies`` names some (default: all, in the order of contract section 2); ``config`` holds thresholds and
    constants (default: those of configs/default.yaml); ``choices`` answers open questions of a policy
    (``{"file-shared.phases": "zero"}``).  Raises InputError for a policy or choice that does not exist, and for a
    workload whose mappings find no place in the address space.
    """
    outcomes = evaluate(workload, policies, choices)
    settings = config or risk.Config()
    results = tuple(result_of(outcome, settings) for outcome in outcomes)
    return Estimate(
        name=workload.name,
        file=workload.file,
        processes=sum(group.count for group in workload.processes.values()),
        policies=results,
        findings=tuple(risk.findings(workload, results, outcomes, settings)),
        assumptions=workload.assumptions,
        arch=workload.geometry.name,
        kernel=workload.kernel.text,
        installed_bytes=workload.host.memory,
        segment_bytes=tuple(
            (name, segment.size * workload.copies(name)) for name, segment in workload.segments.items()
        ),
        measured=_measured(workload, results),
        source=workload.positions.text,
        question=Question(
            policies=tuple(policies or ()),
            choices=tuple((choices or {}).items()),
            overrides=workload.positions.overrides,
            config=risk.written(settings, workload.geometries),
            version=__version__,
        ),
    )


def _measured(workload: Workload, results: Sequence[PolicyResult]) -> tuple[Measured, ...]:
    """Return the counters of a captured workload beside those of `today`, as long as the file is about that machine."""
    counters = workload.counters
    today = next((result for result in results if result.policy == "today"), None)
    if counters is None or today is None or counters.arch != workload.host.arch:
        return ()
    found = [
        Measured(each.name, "VmPTE", each.vmpte_bytes + known.beside, known.measured, each.exact)
        for each in today.processes
        if (known := counters.processes.get(each.name)) is not None
    ]
    whole = counters.page_tables
    if whole is not None:
        tables = today.page_tables
        found.append(Measured("", "PageTables", tables.bytes + whole.beside, whole.measured, tables.exact))
    return tuple(found)


def evaluate(
    workload: Workload, names: Sequence[str] | None = None, choices: Mapping[str, str] | None = None
) -> list[Outcome]:
    """Evaluate the policies, without ledger and risk; errors point into the workload file.

    Raises InputError for a policy or choice that does not exist, for mappings that find no place in the address
    space, and for more pieces than ptcalc evaluates.
    """
    check_names(workload, names, choices)
    with placing(workload):
        return policies.evaluate(workload, names, choices)


@contextmanager
def placing(workload: Workload) -> Iterator[None]:
    """Let errors of laying mappings out point into the workload file."""
    try:
        yield
        return
    except NoSlotLeft as error:
        message, accepted = (
            "no part of the address space is left for this mapping",
            "fewer or smaller mappings in a process",
        )
        place = error.mapping
    except TooManyRows as error:
        message, accepted = (
            "the pieces of the mappings are too many",
            f"at most {MAX_ROWS} pieces in all mappings together",
        )
        place = error.mapping
    path = [
        ("processes", name, "mappings", index)
        for name, group in workload.processes.items()
        for index in range(len(group.mappings))
    ][place]
    raise workload.positions.error(path, InputError(message, accepted=accepted))


def check_names(
    workload: Workload, names: Sequence[str] | None = None, choices: Mapping[str, str] | None = None
) -> None:
    """Raise InputError for a policy or choice that does not exist on the workload's architecture."""
    known = policies.policies_of(workload.geometry)
    for name in names or ():
        if name not in {policy.name for policy in known}:
            raise InputError(f"{quote(name)} is no policy", accepted=", ".join(policy.name for policy in known))
    for key, value in (choices or {}).items():
        _check_choice(known, key, value)


def _check_choice(known: Sequence[Policy], key: str, value: str) -> None:
    open_ = {f"{policy.name}.{choice.name}": choice for policy in known for choice in policy.choices}
    if key not in open_:
        raise InputError(f"{quote(key)} is no open choice of a policy", accepted=", ".join(open_))
    if open_[key].accepted and value not in open_[key].accepted:
        raise InputError(f"{quote(value)} is no value of {key}", accepted=", ".join(open_[key].accepted))
    if not open_[key].accepted:
        parse_size(value)


def result_of(outcome: Outcome, config: Config, *, detailed: bool = True) -> PolicyResult:
    """Return the answer of one evaluated policy; if not ``detailed``, without ledger lines, mappings and bounds."""
    memory, level, one_more = risk.assess(outcome, config)
    if not detailed:
        memory = replace(memory, items=(), capacity_terms=())
    return PolicyResult(
        policy=outcome.name,
        title=outcome.title,
        availability=outcome.availability,
        applies=outcome.applies,
        page_tables=outcome.page_tables(outcome.counts),
        processes=outcome.processes(),
        memory=memory,
        risk=level,
        mappings=outcome.mappings if detailed else (),
        one_more=one_more,
        choices=outcome.choices,
        bounds=outcome.bounds if detailed else (),
        second_level=outcome.second_level(outcome.counts),
    )
