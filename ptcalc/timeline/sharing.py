"""How many processes use one shared table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from ptcalc.engine.covers import BLOCKS
from ptcalc.timeline.life import EACH, Key, Life
from ptcalc.timeline.mapcount import NOTHING, Claim, Spread, spreads_of, tally
from ptcalc.timeline.result import Sharers
from ptcalc.timeline.sets import hooked
from ptcalc.timeline.world import World
from ptcalc.workload.intervals import Intervals


def sharers(world: World) -> Sharers | None:
    """Return the users of the tables of the lowest shared level that are in use; None if none is."""
    keys = [key for key in world.tables.sets if world.tables.tables(key).in_use.value > 0]
    if not keys:
        return None
    lowest = min(key.place for key in keys)
    keys = [key for key in keys if key.place == lowest]
    users = _users(world, [key for key in keys if key.region < 0])
    least, most, hooks, tables = math.inf, 0.0, 0.0, 0.0
    for key in keys:
        here = world.tables.tables(key).in_use.value
        if key.region >= 0:
            # Every member reaches every table of its region.
            members = float(world.members_of(key.region))
            low, high, total = members, members, here * members
        elif key.copy == EACH:
            low, high, total = 1.0, 1.0, here
        else:
            found = tally(users[key], world.ground.span(lowest)) if users[key] else NOTHING
            drawn_alone = sum(times * each.expected for each, times in world.tables.present_alone(key))
            low, high, total = found.least, found.most, found.total - drawn_alone
        least, most, hooks, tables = min(least, low), max(most, high), hooks + total, tables + here
    return Sharers(max(1, round(least)), max(hooks / tables, 1.0), max(1, round(most)))


def _users(world: World, keys: Iterable[Key]) -> dict[Key, Counter[Claim]]:
    """Return what the processes reach of some sets, with the number of those who reach the same."""
    found: dict[Key, Counter[Claim]] = {key: Counter() for key in keys}
    for cohort in world.population:
        for key, claim in _claims(world, cohort.state).items():
            if key in found and claim.spreads:
                found[key][_less_alone(world, key, claim) if world.ground.adopts(key) else claim] += cohort.count
    return found


def _less_alone(world: World, key: Key, claim: Claim) -> Claim:
    """Return what a process reaches of a set, less the tables that it certainly has alone."""
    out = []
    for each in claim.spreads:
        shared = Intervals.of(each.lo, each.hi, True)
        for lo, hi in world.tables.lone(key, each.lo, each.hi):
            shared = shared.set(lo, hi, None)
        out += [each._replace(lo=lo, hi=hi) for lo, hi, _ in shared]
    return claim._replace(spreads=tuple(out))


def _claims(world: World, life: Life) -> dict[Key, Claim]:
    """Return what a process reaches of each set; kept with the process."""
    known = life.figures.get("claims")
    if known is None:
        spreads: dict[Key, list[Spread]] = {}
        for key, reach in hooked(life):
            if reach.role != BLOCKS:
                cells = spreads_of(reach.run, reach.lo, reach.hi, reach.shift, world.ground.span(key.place))
                spreads.setdefault(key, []).extend(cells)
        known = {key: Claim(tuple(each), world.ground.span(key.place)) for key, each in spreads.items()}
        life.figures["claims"] = known
    return known  # type: ignore[return-value]
