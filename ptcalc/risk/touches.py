"""Checks that evaluate the workload with other touches or pages: how sure is the answer, what is no help?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from ptcalc.errors import InputError
from ptcalc.result import RiskLevel
from ptcalc.risk.amounts import about, exact, percent
from ptcalc.risk.case import Case, Note
from ptcalc.risk.constants import KIB
from ptcalc.risk.ledger import Ledger

if TYPE_CHECKING:
    from ptcalc.policies import Outcome
    from ptcalc.workload.model import Mapping, Touch, Workload

# What a database reads and writes at random.
_BLOCK = 8 * KIB

# The share at which the host runs out is searched until it moves by less than this part of itself.
_PRECISION = 0.001
_MOST_STEPS = 40

# The part of a segment that "some huge pages" stands for.
_PART = Fraction(2, 3)


def touch_pattern(case: Case) -> Iterator[Note]:
    """The band from contiguous to scattered, where the file states only an amount."""
    if case.subject is None:
        return
    result, outcome = case.subject
    path = next(
        (
            ("processes", name, "mappings", number, "touch")
            for name, group in case.workload.processes.items()
            for number, mapping in enumerate(group.mappings)
            if any(touch.amount_only for touch in mapping.touch)
        ),
        None,
    )
    if path is None:
        return

    def in_one_run(mapping: Mapping) -> tuple[Touch, ...]:
        return tuple(
            replace(touch, written_pattern="contiguous") if touch.amount_only else touch for touch in mapping.touch
        )

    dense = _evaluate(_with_touches(case.workload, in_one_run), result.policy)
    scattered = outcome.page_tables_used(outcome.counts)
    contiguous = dense.page_tables_used(dense.counts)
    if scattered == 0 or scattered < case.config.touch_band * contiguous:
        return
    message = (
        f"only an amount is stated: page tables need {about(contiguous)} ({_level(dense, case)}) if it is"
        f" contiguous, {about(scattered)} ({_level(outcome, case)}) if it is scattered at random, as assumed"
    )
    yield Note("touch-pattern-unknown", message, path, result.policy)


def touch_limit(case: Case) -> Iterator[Note]:
    """At which share of touched memory a workload runs out that does so when all is touched."""
    name = _full_segment(case)
    if name is None or case.subject is None:
        return
    result, full = case.subject

    def room(touch: Touch) -> int:
        def touching(mapping: Mapping) -> tuple[Touch, ...]:
            return (touch,) if mapping.segment == name and _touches_all(mapping) else mapping.touch

        return _room(_evaluate(_with_touches(case.workload, touching), result.policy), case)

    path, whole = next(
        (("processes", group, "mappings", number), mapping.touch[0])
        for group, each in case.workload.processes.items()
        for number, mapping in enumerate(each.mappings)
        if mapping.segment == name and _touches_all(mapping)
    )
    nothing, everything = room(replace(whole, form="none")), _room(full, case)
    if nothing < 0 or everything >= 0:
        return
    block = max(_BLOCK, case.geometry.base_page)
    run = replace(whole, form="amount", written_pattern="contiguous")
    blocks = replace(whole, form="amount", written_pattern="clustered", cluster=block)

    # Tables that a draw hits grow with 1 - (1 - share)**slots: in that coordinate the search is over at once.
    def share(touch: Touch, slots: int) -> float:
        return _share(
            _crossing(lambda hit: room(replace(touch, amount=Fraction(_share(hit, slots)))), nothing, everything),
            slots,
        )

    at_random = percent(share(blocks, case.geometry.pmd_size // block))
    message = (
        f"all of {name} is taken to be touched; memory runs out already if each process touches {at_random}"
        f" of it in random blocks of {exact(block)}, or {percent(share(run, 1))} in one run"
    )
    yield Note("touch-limit", message, path, result.policy)


def part_pool(case: Case) -> Iterator[Note]:
    """Huge pages for a part of the segment only."""
    name = _full_segment(case)
    if name is None or case.subject is None or case.subject[0].policy != "today":
        return
    workload, page = case.workload, case.geometry.default_huge_page
    segment, host = workload.segments[name], workload.host
    helps = any(
        result.policy == f"hugetlb-{case.geometry.huge_page_name(page)}" and result.risk.level != "oom"
        for result in case.results
    )
    pools = host.hugepages or {}
    others = page in pools or page in case.subject[1].pool_need(case.subject[1].counts)
    if segment.backing != "shmem" or segment.pieces is not None or others or not helps:
        return
    part = int(segment.size * _PART) // page
    huge = replace(segment, backing="hugetlb", page_size=page, on_short_pool="mixed")
    variant = replace(
        workload,
        host=replace(host, hugepages={**pools, page: part}),
        segments={**workload.segments, name: huge},
    )
    try:
        outcome = _evaluate(variant, "today")
    except InputError:  # an address or offset that huge pages cannot have: there is no such part
        return
    if _room(outcome, case) < 0:
        tables = outcome.page_tables_used(outcome.counts)
        message = (
            f"huge pages for {about(part * page)} of the {about(segment.size)} of {name} do not help:"
            f" the page tables of the rest still need {about(tables)}"
        )
        yield Note("part-pool-no-help", message, ("segments", name), "today")


def _full_segment(case: Case) -> str | None:
    """Return the segment in base pages, touched in full, that most page tables are for; None if all fits."""
    if case.subject is None or case.subject[0].risk.level != "oom" or case.subject[1].short_pools:
        return None
    weights: dict[str, int] = {}
    for group in case.workload.processes.values():
        for mapping in group.mappings:
            segment = case.workload.segments[mapping.segment]
            if mapping.map == "shared" and segment.backing in ("shmem", "file") and _touches_all(mapping):
                length = segment.size - mapping.offset if mapping.length is None else mapping.length
                weights[mapping.segment] = weights.get(mapping.segment, 0) + group.count * length
    return max(weights, key=lambda name: weights[name]) if weights else None


def _touches_all(mapping: Mapping) -> bool:
    return len(mapping.touch) == 1 and mapping.touch[0].form == "all"


def _with_touches(workload: Workload, change: Callable[[Mapping], tuple[Touch, ...]]) -> Workload:
    """Return the workload with other touches; all else stays."""
    groups = {}
    for name, group in workload.processes.items():
        mappings = tuple(replace(mapping, written_touch=change(mapping)) for mapping in group.mappings)
        groups[name] = replace(group, mappings=mappings)
    return replace(workload, processes=groups)


def _evaluate(workload: Workload, policy: str) -> Outcome:
    from ptcalc import policies

    return policies.evaluate(workload, [policy])[0]


def _level(outcome: Outcome, case: Case) -> RiskLevel:
    ledger = Ledger(outcome, case.config)
    return ledger.level(ledger.demand(outcome.counts))


def _room(outcome: Outcome, case: Case) -> int:
    """Return the bytes that are left on the tighter boundary, swap included; negative: out of memory."""
    ledger = Ledger(outcome, case.config)
    room: int = ledger.room(ledger.demand(outcome.counts), "critical")[0]
    return room


def _share(hit: float, slots: int) -> float:
    """Return the share of slots that must be drawn so that `hit` of the tables of so many slots are hit."""
    return 1 - float((1 - hit) ** (1 / slots))


def _crossing(function: Callable[[float], float], at_zero: float, at_one: float) -> float:
    """Return where a function that falls from `at_zero` >= 0 at 0 to `at_one` < 0 at 1 crosses 0.

    Regula falsi, Illinois variant: an end that stays counts half, so that both ends close in.
    """
    low, high, above, below = 0.0, 1.0, at_zero, at_one
    found, side = 0.0, 0
    for _ in range(_MOST_STEPS):
        before, found = found, (low * below - high * above) / (below - above)
        if abs(found - before) <= _PRECISION * found:
            break
        value = function(found)
        if value >= 0:
            low, above, below, side = found, value, below / 2 if side > 0 else below, 1
        else:
            high, below, above, side = found, value, above / 2 if side < 0 else above, -1
    return found


ALL = (touch_pattern, touch_limit, part_pool)
