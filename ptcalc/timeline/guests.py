"""Second-level tables over time: of all that a guest has ever touched.

A touch of memory that is a guest's is one of the guest's.  Its tables stay until it ends: what the host takes away only
clears entries (arch/x86/kvm/mmu/tdp_mmu.c:kvm_tdp_mmu_unmap_gfn_range zaps leaves).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ptcalc.engine.numbers import Number
from ptcalc.layout.rows import Runs
from ptcalc.policies.second_level import SecondLevels, second_levels
from ptcalc.timeline.life import Life, Touched
from ptcalc.timeline.runs import columns_of

if TYPE_CHECKING:
    from ptcalc.timeline.world import World


@dataclass
class GuestsNow:
    """Second-level tables of one kind, of guests that have touched this and that (``parts``, with their counts)."""

    kind: str
    parts: list[tuple[SecondLevels, tuple[int, ...]]]

    def used(self, counts: Sequence[Number]) -> Number:
        """Return the bytes that they take, roots included; ``counts`` are those of now."""
        return sum(found.used(many) for found, many in self.parts)

    @property
    def source(self) -> str:
        """Where the rule comes from."""
        return self.parts[0][0].source


def guests_now(world: World) -> tuple[GuestsNow, ...]:
    """Return the second-level tables of all guests that there are, by kind."""
    ground = world.ground
    alike: dict[Touched | None, Counter[int]] = {}
    kept: dict[Touched | None, Life] = {}
    for cohort in world.population:
        life = cohort.state
        if life.guest is not None:
            # None: what the file says; these are counted together, as an estimate counts them.
            what = None if life.guest == world.written.guest(life.group) else life.guest
            alike.setdefault(what, Counter())[life.group] += cohort.count
            kept.setdefault(what, life)
    found: dict[str, list[tuple[SecondLevels, tuple[int, ...]]]] = {}
    for what, groups in alike.items():
        counts = tuple(groups[group] for group in range(len(ground.context.workload.processes)))
        for each in _second_levels(world, kept[what]) if what is not None else ground.second_levels:
            found.setdefault(each.kind, []).append((each, counts))
    return tuple(GuestsNow(kind, parts) for kind, parts in found.items())


def after_touch(life: Life, runs: Touched) -> Life:
    """Return a process whose guest has touched more: one run of a draw for another of it."""
    if life.guest is None:
        return life
    drawn = {run.domain for _, run in runs}
    return replace(life, guest=(*(each for each in life.guest if each[1].domain not in drawn), *runs))


def _second_levels(world: World, life: Life) -> tuple[SecondLevels, ...]:
    """Return the second-level tables where guests have touched what one has; kept with it."""
    known = life.figures.get("second_levels")
    if known is None:
        ground = world.ground
        touched = life.guest or ()
        row = np.array([row for row, _ in touched], np.int64)
        kind, lo, hi, step, origin, slots, drawn, each, domain, _ = columns_of([run for _, run in touched])
        runs = Runs(row, kind, lo, hi, step, origin, slots, drawn, ~each.astype(bool), domain)
        layout = replace(ground.layout, guest_runs=runs)
        known = life.figures["second_levels"] = second_levels(ground.view, layout, ground.context)
    return known  # type: ignore[return-value]
