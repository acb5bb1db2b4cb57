"""Whether the answer of a policy keeps to a budget, and what is said where it does not."""

from __future__ import annotations

from fractions import Fraction

from ptcalc.checking.agreements import Budget
from ptcalc.checking.baseline import amount_before
from ptcalc.result import RISK_ORDER, PolicyResult
from ptcalc.risk.amounts import about, percent
from ptcalc.workload.model import Workload


def missed(budget: Budget, result: PolicyResult, workload: Workload) -> str | None:
    """Return how a policy's answer misses a budget; None if it keeps to it.

    Shares are compared exactly.  Raises InputError for a base line that is none.
    """
    fact = _fact(budget, result, workload)
    if fact is None:
        return None
    said = f"{budget.message}: {fact}" if budget.message else fact
    return f"{said} (budget at {budget.place})"


def _fact(budget: Budget, result: PolicyResult, workload: Workload) -> str | None:
    bound = budget.bound
    match budget.rule:
        case "risk":
            level = result.risk.level
            worse = RISK_ORDER.index(level) > bound
            return f"the risk is {level}, agreed is at most {RISK_ORDER[int(bound)]}" if worse else None
        case "max_processes":
            most = result.risk.max_processes
            return f"at most {most:,} processes fit, agreed are at least {bound:,}" if most < bound else None
        case "page_tables_per_process":
            group = max(result.processes, key=lambda each: each.vmpte_bytes)
            too_many = group.vmpte_bytes > bound
            tables = about(group.vmpte_bytes)
            return f"a process of {group.name} has {tables} of page tables, {_agreed(bound)}" if too_many else None
        case "headroom":
            free, whole = result.memory.headroom_bytes, result.memory.capacity_bytes
            least = _bytes(bound, whole)
            left = f"{about(free)} ({_share(free, whole)}) stay free" if free >= 0 else f"{about(-free)} are missing"
            return f"{left}, {_agreed(bound, 'at least')} free" if free < least else None
        case "page_tables":
            used, memory = result.page_tables.used_bytes, workload.host.memory
            of_memory = f" ({_share(used, memory)} of the memory)"
            too_much = used > _bytes(bound, memory)
            return f"page tables take {about(used)}{of_memory}, {_agreed(bound)}" if too_much else None
        case "growth":
            return _grown(budget, result, workload)


def _grown(budget: Budget, result: PolicyResult, workload: Workload) -> str | None:
    before = amount_before(budget, result.policy, workload.file)
    tables = budget.of == "page_tables"
    now = result.page_tables.used_bytes if tables else result.memory.demand_bytes
    if now <= before * (1 + budget.bound):
        return None
    by = f"by {_share(now - before, before)}" if before else "from nothing"
    what = "page tables have" if tables else "demand has"
    return f"{what} grown {by}, from {about(before)} to {about(now)}, {_agreed(budget.bound)}"


def _bytes(bound: int | Fraction, whole: int) -> int | Fraction:
    return bound if isinstance(bound, int) else bound * whole


def _share(part: int, whole: int) -> str:
    return percent(Fraction(part, whole)) if whole > 0 else "all"


def _agreed(bound: int | Fraction, side: str = "at most") -> str:
    return f"agreed are {side} {about(bound) if isinstance(bound, int) else percent(bound)}"
