"""How many processes use one shared table."""

from __future__ import annotations

import math

from ptcalc.engine.covers import BLOCKS
from ptcalc.timeline.result import Sharers
from ptcalc.timeline.runs import covers_of
from ptcalc.timeline.tables import Reach
from ptcalc.timeline.world import World


def sharers(world: World) -> Sharers | None:
    """Return the users of the tables of the lowest shared level that are in use; None if none is."""
    keys = [key for key in world.tables.hooked if world.tables.tables(key).in_use.value > 0]
    if not keys:
        return None
    lowest = min(key.place for key in keys)
    least, most, hooks, tables = math.inf, 0.0, 0.0, 0.0
    for key in keys:
        if key.place != lowest:
            continue
        here = world.tables.tables(key).in_use.value
        if key.region >= 0:
            # Every member reaches every table of its region.
            members = world.members_of(key.region)
            low = high = float(members)
            total = here * members
        else:
            low, high, total = _spread(world.tables.hooked[key], world.ground.span(key.place))
        least, most, hooks, tables = min(least, low), max(most, high), hooks + total, tables + here
    return Sharers(max(1, round(least)), max(hooks / tables, 1.0), max(1, round(most)))


def _spread(reaches: dict[Reach, int], span: int) -> tuple[float, float, float]:
    """Return the least and most processes that reach one table, and how often all tables are reached together."""
    edges: dict[int, float] = {}
    total = 0.0
    for reach, times in reaches.items():
        if reach.role == BLOCKS:
            continue
        for cover in covers_of(reach.run, span):
            lo, hi = max(cover.lo - reach.shift, reach.lo), min(cover.hi - reach.shift, reach.hi)
            if lo >= hi:
                continue
            share = -math.expm1(cover.log_empty) * (min(1.0, span / cover.stride) if cover.stride else 1.0)
            edges[lo] = edges.get(lo, 0.0) + times * share
            edges[hi] = edges.get(hi, 0.0) - times * share
            total += times * share * (hi - lo)
    least, most, now = math.inf, 0.0, 0.0
    for at in sorted(edges)[:-1]:
        now += edges[at]
        if now > 1e-9:
            least, most = min(least, now), max(most, now)
    return least, most, total
