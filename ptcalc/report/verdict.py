"""What a report says first: does it fit, what would help most, what does not help, and how sure that is.

Derived from the `Estimate` alone, so that every format gives the same answer in the same words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ptcalc.report import format as fmt
from ptcalc.result import Estimate, PolicyResult, RiskLevel
from ptcalc.risk.best import best_deployable, subject_of

RISK_TEXT: dict[RiskLevel, str] = {"ok": "ok", "warning": "warning", "critical": "critical", "oom": "OOM"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The subject of the headline, and what would help most; ``best`` is always deployable."""

    subject: PolicyResult
    best: PolicyResult | None
    useless: tuple[PolicyResult, ...]  # where help is needed: deployable, but out of memory
    swap_is_useless: bool


def judge(estimate: Estimate) -> Verdict:
    """Return the verdict on `estimate`, which holds one policy at least."""
    subject = subject_of(estimate)
    best = best_deployable(estimate.policies)
    useless = tuple(
        result
        for result in estimate.policies
        if subject.risk.level != "ok"
        and result.availability.deployable
        and result.risk.level == "oom"
        and result not in (subject, best)
        # A counterfactual that changes nothing is no advice.
        and result.policy != "private"
    )
    memory = subject.memory
    fixed = memory.demand_bytes - sum(item.swappable_bytes for item in memory.items)
    return Verdict(subject, best, useless, subject.risk.level == "oom" and fixed > memory.capacity_bytes)


def is_exact(result: PolicyResult) -> bool:
    """Return whether every figure of `result` follows from the file without a random draw."""
    return result.page_tables.exact and all(process.exact for process in result.processes)


@dataclass(frozen=True, slots=True)
class Advice:
    """One line of advice: DO or NOT, the policy that it is about (or empty), the rest; ``good``: all is ok then."""

    label: str
    policy: str
    text: str
    good: bool = False


def headline(estimate: Estimate, result: PolicyResult) -> str:
    """Return the answer of one policy in one sentence."""
    if not result.availability.deployable:
        return _would_be(result, estimate.processes)
    with_policy = "" if result.policy == "today" else f"With {result.policy}: "
    return f"{with_policy}{_headline(result, estimate.processes)}"


def lead(estimate: Estimate, result: PolicyResult) -> str:
    """Return what stands behind the answer: what page tables take, and demand against what there is."""
    return f"{_tables_sentence(estimate, result)} {_demand_sentence(result)}"


def advice(verdict: Verdict) -> tuple[Advice, ...]:
    """Return what would help most, and what does not help."""
    subject = verdict.subject
    found = [_best(verdict)]
    if verdict.best is None:
        return tuple(found)
    if verdict.swap_is_useless:
        fixed = subject.memory.demand_bytes - sum(item.swappable_bytes for item in subject.memory.items)
        text = f"swap: {fmt.size(fixed)} of the demand, page tables among it, cannot be swapped."
        found.append(Advice("NOT", "", text))
    for result in verdict.useless:
        most = limit(result.risk.max_processes, result.risk.limited_by)
        after = f"after {most}" if result.risk.max_processes else "with however few processes"
        found.append(Advice("NOT", "", f"{result.policy}: out of memory {after}."))
    return tuple(found)


def how_sure(estimate: Estimate, subject: PolicyResult) -> str:
    """Return whether the figures are exact, and what they rest on."""
    assumed = f"; {fmt.plural(len(estimate.assumptions), 'assumption')} below" if estimate.assumptions else ""
    tables = subject.page_tables
    if is_exact(subject):
        return f"page tables are exact for what the file says{assumed}."
    spread = f" ± {fmt.size(tables.sd_bytes)}" if tables.sd_bytes else " ± less than a byte"
    expected = fmt.size(tables.used_bytes, exact=False)
    return f"an expectation over random touches: page tables {expected}{spread} (one standard deviation){assumed}."


def bounds(result: PolicyResult) -> Iterator[str]:
    """Yield the other answers to an open choice, where they make a difference, beside the one in force."""
    tables, in_force = result.page_tables, {name: value for name, value, _ in result.choices}
    for bound in result.bounds:
        if bound.page_tables_bytes == tables.bytes:
            continue
        here = fmt.size(tables.bytes, exact=tables.exact)
        there = fmt.size(bound.page_tables_bytes, exact=tables.exact)
        yield (
            f"{here} with {bound.name} = {in_force.get(bound.name, 'default')},"
            f" {there} with {bound.name} = {bound.value} ({bound.why})"
        )


def _best(verdict: Verdict) -> Advice:
    subject, best = verdict.subject, verdict.best
    if best is None:
        return Advice("DO", "", "nothing in this report can be deployed: no mainline kernel has it.")
    outcome = (
        f"{fmt.size(best.memory.headroom_bytes)} left" if best.memory.headroom_bytes >= 0 else "still too little memory"
    )
    reach = (
        f"{outcome} ({RISK_TEXT[best.risk.level]}), OOM after {limit(best.risk.max_processes, best.risk.limited_by)}"
    )
    if subject.risk.level == "ok":
        more = best.memory.headroom_bytes - subject.memory.headroom_bytes
        better = f" {best.policy} would leave {fmt.size(more)} more." if best is not subject else ""
        return Advice("DO", "", f"nothing: {subject.policy} is safe.{better}", good=True)
    if best is subject:
        return Advice("DO", "", "no policy that can be deployed is better; see the findings.")
    steps = [*([] if isinstance(best.applies, str) else best.applies), *_pools(subject, best)]
    how = f": {'; '.join(steps)}" if steps else ""
    return Advice("DO", best.policy, f"{how}. {_capital(reach)}.", good=best.risk.level == "ok")


def _pools(subject: PolicyResult, best: PolicyResult) -> list[str]:
    """Return the huge pages that `best` reserves and the subject does not."""
    has = {item.name: item.bytes for item in subject.memory.items if item.kind == "pool"}
    return [
        f"reserve {item.name}: {item.terms}"
        for item in best.memory.items
        if item.kind == "pool" and item.bytes > has.get(item.name, 0)
    ]


def _headline(result: PolicyResult, processes: int) -> str:
    risk = result.risk
    about = "" if is_exact(result) else "about "
    place = "This host" if result.memory.boundary == "host" else "This memory cgroup"
    crowd = fmt.plural(processes, "process", "processes")
    safe = f"safe: {about}{limit(risk.safe_processes, risk.safe_limited_by)}"
    room = f"({safe}; out of memory after {about}{limit(risk.max_processes, risk.limited_by)})"
    if risk.limited_by == "fixed":
        room = "(no group of processes grows)"
    match risk.level:
        case "ok":
            return f"YES. {place} carries {crowd} {room}."
        case "warning":
            return f"YES, but little is left (WARNING). {place} carries {crowd} {room}."
        case "critical":
            return f"BARELY (CRITICAL). {place} just carries {crowd} {room}."
        case "oom":
            if 0 < risk.max_processes < processes:
                first = fmt.ordinal(risk.max_processes + 1)
                return f"NO. {place} runs out of memory at {about}the {first} of {crowd} ({safe})."
            if risk.max_processes:
                return f"NO. {place} has the memory, but cannot run this workload as written: see the findings."
            return f"NO. {place} cannot carry this workload, with however few processes."


def _would_be(result: PolicyResult, processes: int) -> str:
    about = "" if is_exact(result) else "about "
    crowd = fmt.plural(processes, "process", "processes")
    return (
        f"No mainline kernel has {result.policy}. With it, the risk of {crowd}"
        f" would be {RISK_TEXT[result.risk.level]}"
        f" (safe: {about}{limit(result.risk.safe_processes, result.risk.safe_limited_by)};"
        f" out of memory after {about}{limit(result.risk.max_processes, result.risk.limited_by)})."
    )


def limit(processes: int, limited_by: str) -> str:
    """Return a largest process count; one that memory does not bind is marked as such.

    >>> limit(4_194_304, "pid_max"), limit(20, "fixed"), limit(315, "memory")
    ('>4,194,304', '-', '315')
    """
    if limited_by == "fixed":
        return "-"
    return f"{'>' if limited_by == 'pid_max' else ''}{processes:,}"


def _tables_sentence(estimate: Estimate, result: PolicyResult) -> str:
    tables, mapped = result.page_tables, sum(size for _, size in estimate.segment_bytes)
    ratio = ""
    if mapped and tables.used_bytes >= mapped:
        ratio = f", {fmt.times(tables.used_bytes, mapped)}x the {fmt.size(mapped)} that they map"
    elif mapped:
        ratio = f" for {fmt.size(mapped)} of mapped segments"
    return f"Page tables take {fmt.size(tables.used_bytes, exact=tables.exact)}{ratio}."


def _demand_sentence(result: PolicyResult) -> str:
    memory = result.memory
    unit = fmt.unit_of(memory.capacity_bytes)
    usable = "usable" if memory.boundary == "host" else "allowed"
    free = fmt.size(abs(memory.headroom_bytes))
    if memory.headroom_bytes >= 0:
        rest = f"{free} left"
    elif result.risk.level == "oom":
        rest = f"{free} too much"
    else:
        rest = f"{free} must go to swap"
    return (
        f"Demand {fmt.in_unit(memory.demand_bytes, unit, exact=result.page_tables.exact)} of"
        f" {fmt.in_unit(memory.capacity_bytes, unit)} {unit} {usable}:"
        f" {rest}."
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
