"""`ptcalc diff` without its command line: two workloads, or results that were saved, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from operator import itemgetter

from ptcalc import risk
from ptcalc.diffing.credit import Evaluated, credited
from ptcalc.diffing.edits import edits_between, shown
from ptcalc.diffing.result import (
    FIGURES,
    Diff,
    Edit,
    Figure,
    Growth,
    Method,
    Moved,
    Name,
    PolicyChange,
    Side,
    deviation,
)
from ptcalc.diffing.sides import JUDGED, Answered, Given, Options, answered
from ptcalc.errors import InputError, nearest, quote
from ptcalc.result import PolicyResult

_NOTHING = (0,) * len(FIGURES)


def diff(
    base: Given,
    new: Given,
    *,
    policies: Sequence[str] = (),
    config: risk.Config | None = None,
    choices: Mapping[str, str] | None = None,
    arch: str | None = None,
    allowed_growth: Fraction | None = None,
    growth_of: Name = "page_tables",
) -> Diff:
    """Compare two workloads, or the files at two paths: workloads, or results that were saved as JSON.

    With ``config``, ``choices`` or ``arch`` both sides are evaluated with them; without, a workload is asked what the
    saved result on the other side was asked, and saved results are taken as they are.  ``allowed_growth`` (a share of
    the base) judges ``page_tables`` or ``demand`` of ``policies``, by default of `today`.

    Raises InputError for what `load` and `load_result` refuse, for a policy that neither side has or that is judged and
    missing on one, and for a saved result that is to be evaluated anew and has no text of its workload.
    """
    sides = answered(base, new, Options(tuple(policies), config, choices, arch))
    names = [[each.policy for each in side.estimate.policies] for side in sides]
    both = [name for name in names[0] if name in names[1]]
    _require_known(policies, [*sides[0].known, *sides[1].known])
    why = _why_not(*sides) if both else "no policy is on both sides"
    edits: tuple[Edit, ...] = ()
    method: Method = "none"
    moved: dict[str, list[Moved]] = {}
    together: dict[str, tuple[int, ...]] = {}
    elsewhere: dict[str, tuple[int, ...]] = {}
    if not why and sides[0].asked and sides[1].asked:
        documents = [side.asked.workload.positions for side in sides if side.asked]
        sets = Evaluated(sides[0].asked, sides[1].asked, both, edits_between(*documents))
        method, moved, together = credited(sets)
        edits = tuple(shown(each, *documents) for each in sets.edits)
        elsewhere = {name: _elsewhere(sets, name, *sides) for name in both}
    changes = [
        _change(name, *sides, moved.get(name, []), together.get(name, _NOTHING), elsewhere.get(name, _NOTHING))
        for name in both
    ]
    return Diff(
        base=_side(sides[0]),
        new=_side(sides[1]),
        policies=tuple(sorted(changes, key=lambda change: change.size, reverse=True)),
        only_base=tuple(name for name in names[0] if name not in both),
        only_new=tuple(name for name in names[1] if name not in both),
        edits=edits,
        method=method,
        unattributed=why,
        growth=()
        if allowed_growth is None
        else tuple(_growth(changes, name, growth_of, allowed_growth) for name in policies or JUDGED),
    )


def _require_known(policies: Sequence[str], known: Sequence[str]) -> None:
    for name in policies:
        if name not in known:
            accepted = ", ".join(dict.fromkeys(known))
            raise InputError(
                f"{quote(name)} is no policy of either side", accepted=accepted, suggestion=nearest(name, known)
            )


def _why_not(base: Answered, new: Answered) -> str:
    """Return why nothing can be said about what moved the figures; empty where it can."""
    for side in (base, new):
        if side.asked is None:
            return f"{side.estimate.file} was saved without the text of its workload"
    questions = base.estimate.question, new.estimate.question
    if questions[0].config != questions[1].config:
        return "the two were asked with different thresholds or constants"
    if dict(questions[0].choices) != dict(questions[1].choices):
        return "the two were asked with different choices"
    return ""


def _side(side: Answered) -> Side:
    estimate = side.estimate
    events = any(finding.code == "events-left-out" for finding in estimate.findings)
    return Side(estimate.file, estimate.name, estimate.arch, estimate.kernel, estimate.processes, side.saved, events)


def _figures(result: PolicyResult) -> tuple[int, ...]:
    return result.page_tables.used_bytes, result.memory.demand_bytes, result.memory.headroom_bytes


def _elsewhere(sets: Evaluated, name: str, base: Answered, new: Answered) -> tuple[int, ...]:
    """Return what saved figures differ by from those of this ptcalc."""
    whole, none = sets.answer(range(len(sets.edits))), sets.answer([])
    assert whole is not None and none is not None
    said = zip(_figures(new.estimate.policy(name)), _figures(base.estimate.policy(name)), strict=True)
    computed = zip(whole[name], none[name], strict=True)
    return tuple(one - two - (three - four) for (one, two), (three, four) in zip(said, computed, strict=True))


def _change(
    name: str,
    base: Answered,
    new: Answered,
    moved: Sequence[Moved],
    together: tuple[int, ...],
    elsewhere: tuple[int, ...],
) -> PolicyChange:
    before, after = base.estimate.policy(name), new.estimate.policy(name)
    sd = deviation(before.page_tables.sd_bytes, after.page_tables.sd_bytes)
    figures = (
        Figure("page_tables", before.page_tables.used_bytes, after.page_tables.used_bytes, sd),
        Figure("page_tables_counter", before.page_tables.bytes, after.page_tables.bytes, sd),
        _vmpte(before, after),
        Figure("demand", before.memory.demand_bytes, after.memory.demand_bytes, sd),
        Figure("capacity", before.memory.capacity_bytes, after.memory.capacity_bytes),
        Figure("headroom", before.memory.headroom_bytes, after.memory.headroom_bytes, sd),
        Figure("safe", before.risk.safe_processes, after.risk.safe_processes),
        Figure("max", before.risk.max_processes, after.risk.max_processes),
    )
    return PolicyChange(
        policy=name,
        availability=after.availability,
        risk=(before.risk.level, after.risk.level),
        limited_by=(before.risk.limited_by, after.risk.limited_by),
        figures=figures,
        moved=tuple(sorted(moved, key=_weight, reverse=True)),
        together=together,
        elsewhere=elsewhere,
    )


def _weight(moved: Moved) -> tuple[int, ...]:
    """How much an edit moved: page tables, then demand, then headroom."""
    return tuple(abs(each) for each in moved.share or moved.alone or _NOTHING)


def _vmpte(before: PolicyResult, after: PolicyResult) -> Figure:
    """Return VmPTE of one process of the group where it is largest."""
    first, second = (
        max(
            ((each.vmpte_bytes, each.vmpte_sd_bytes) for each in result.processes), default=(0, None), key=itemgetter(0)
        )
        for result in (before, after)
    )
    return Figure("vmpte", first[0], second[0], deviation(first[1], second[1]))


def _growth(changes: Sequence[PolicyChange], name: str, of: Name, allowed: Fraction) -> Growth:
    change = next((each for each in changes if each.policy == name), None)
    if change is None:
        raise InputError(
            f"growth under {quote(name)} cannot be judged: it is not on both sides",
            accepted=", ".join(each.policy for each in changes) or "files that have a policy in common",
        )
    figure = change.figure(of)
    return Growth(name, of, figure.base, figure.new, float(allowed), figure.new > figure.base * (1 + allowed))
