"""Which edit moved a figure: the base evaluated with every edit alone and, of a few, with every set of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import factorial

from ptcalc import estimation, risk
from ptcalc.diffing.edits import Edited, applied, common
from ptcalc.diffing.result import FIGURES, Method, Moved
from ptcalc.errors import InputError
from ptcalc.estimation import Asked
from ptcalc.policies import Outcome
from ptcalc.workload import Workload
from ptcalc.workload.loading import build
from ptcalc.workload.source import Positions

MOST_SETS = 64  # evaluations of sets: six edits
MOST_NODES = 200_000  # values of a file, times its evaluations, that are worth the wait

Figures = tuple[int, ...]  # in the order of FIGURES
Answer = Mapping[str, Figures]  # by policy


@dataclass(slots=True)
class Evaluated:
    """The base with any of some edits applied; each set is evaluated once."""

    base: Asked
    new: Asked
    policies: Sequence[str]
    edits: list[Edited]
    known: dict[frozenset[int], Answer | None] = field(default_factory=dict)

    def answer(self, chosen: Iterable[int]) -> Answer | None:
        """Return the figures with those edits; None where they make no workload."""
        key = frozenset(chosen)
        if key not in self.known:
            self.known[key] = self._evaluate(key)
        return self.known[key]

    def _workload(self, chosen: frozenset[int]) -> Workload | None:
        before, after = self.base.workload.positions, self.new.workload.positions
        if len(chosen) == len(self.edits):
            document = Positions(after.file, after.text, after.root)
        else:
            document = applied(before, after, [self.edits[number] for number in sorted(chosen)])
        try:
            return build(document, geometries={**self.base.workload.geometries, **self.new.workload.geometries})
        except InputError:
            return None

    def _evaluate(self, chosen: frozenset[int]) -> Answer | None:
        workload, config = self._workload(chosen), self.base.config or risk.Config()
        if workload is None:
            return None
        try:
            outcomes = estimation.evaluate(workload, self.policies, self.base.choices)
        except InputError:
            return None
        return {outcome.name: _figures(outcome, config) for outcome in outcomes}

    def join_what_belongs_together(self) -> None:
        """Make one edit of those that only make sense together, the nearest ones first."""
        while len(self.edits) > 1:
            broken = next((each for each in range(len(self.edits)) if not self._workload(frozenset([each]))), None)
            if broken is None:
                return
            others = sorted(
                (place for place in range(len(self.edits)) if place != broken),
                key=lambda place: (-common(self.edits[place].path, self.edits[broken].path), place),
            )
            partner = next((each for each in others if self._workload(frozenset([broken, each]))), others[0])
            first, second = sorted((broken, partner))
            self.edits[first] = self.edits[first].joined(self.edits[second])
            del self.edits[second]
            self.known.clear()


def _figures(outcome: Outcome, config: risk.Config) -> Figures:
    memory = risk.memory(outcome, outcome.counts, config)
    used = outcome.page_tables(outcome.counts).used_bytes
    return used, memory.demand_bytes, memory.headroom_bytes


def credited(sets: Evaluated) -> tuple[Method, dict[str, list[Moved]], dict[str, Figures]]:
    """Return how edits were credited, what each moved, by policy, and what they only did together."""
    sets.join_what_belongs_together()
    many = len(sets.edits)
    whole, none = sets.answer(range(many)), sets.answer([])
    assert whole is not None and none is not None
    alone = [sets.answer([number]) for number in range(many)]
    root = sets.base.workload.positions.root
    worth_it = 2**many <= MOST_SETS and 2**many * (root.weight if root else 1) <= MOST_NODES
    shares = _shapley(sets) if worth_it else None
    moved: dict[str, list[Moved]] = {}
    together: dict[str, Figures] = {}
    for policy in sets.policies:
        each = [None if answer is None else _less(answer[policy], none[policy]) for answer in alone]
        own = shares[policy] if shares else [None] * many
        moved[policy] = [Moved(number, each[number], own[number]) for number in range(many)]
        total = _less(whole[policy], none[policy])
        together[policy] = tuple(
            total[at] - sum(one[at] for one in each if one is not None) for at in range(len(FIGURES))
        )
    return "shapley" if shares else "alone", moved, together


def _shapley(sets: Evaluated) -> dict[str, list[Figures | None]] | None:
    """Return each edit's mean effect over all orders in which edits can be made; None where a set is no workload."""
    many = len(sets.edits)
    answers = [sets.answer(number for number in range(many) if chosen >> number & 1) for chosen in range(1 << many)]
    if any(answer is None for answer in answers):
        return None
    weights = [Fraction(factorial(size) * factorial(many - size - 1), factorial(many)) for size in range(many)]
    found: dict[str, list[Figures | None]] = {}
    for policy in sets.policies:
        values = [answer[policy] for answer in answers if answer is not None]
        shares: list[list[Fraction]] = [
            [
                sum(
                    (
                        weights[chosen.bit_count()] * (values[chosen | 1 << number][at] - values[chosen][at])
                        for chosen in range(1 << many)
                        if not chosen >> number & 1
                    ),
                    Fraction(0),
                )
                for number in range(many)
            ]
            for at in range(len(FIGURES))
        ]
        columns = [_rounded(column, values[-1][at] - values[0][at]) for at, column in enumerate(shares)]
        found[policy] = list(zip(*columns, strict=True))
    return found


def _rounded(shares: Sequence[Fraction], total: int) -> list[int]:
    """Return whole bytes that add up to the total."""
    whole = [round(share) for share in shares]
    if whole:
        whole[max(range(len(whole)), key=lambda at: abs(shares[at]))] += total - sum(whole)
    return whole


def _less(one: Figures, other: Figures) -> Figures:
    return tuple(first - second for first, second in zip(one, other, strict=True))
