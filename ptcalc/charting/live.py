"""The numbers from which the page's sliders compute: what of an answer does not depend on them.

The page has a twin of the engine for exact touches only (ptcalc/report/web/twin.js).  Which table is whose is decided
here, by the policies themselves: for every size at which the slider stops, each policy's rows come with the bounds
inside which tables may be shared or replaced by huge pages, and with the scope in which those live.  What remains for
the twin is arithmetic: cut runs along rows, divide by spans, count the union of intervals, multiply by process counts,
and compare with capacities.  Addresses and sizes are numbers below 2^53; the twin multiplies in BigInt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptcalc.arch.geometry import HIGHEST_ADDRESS
from ptcalc.charting.figures import CELLS, KINDS, STEPS
from ptcalc.charting.stops import Stop, around
from ptcalc.layout.touch import RANDOM, STRIDE, TouchRun, runs
from ptcalc.layout.vmas import merge
from ptcalc.policies import Outcome
from ptcalc.policies.map_shared_pt import eligible
from ptcalc.policies.residency import in_chunks
from ptcalc.risk import Config
from ptcalc.risk.capacity import host_capacity, used_estimate
from ptcalc.risk.ledger import Ledger, Line, host_mm, index_nodes
from ptcalc.risk.segments import SegmentDemand
from ptcalc.workload import Workload
from ptcalc.workload.model import Mapping, Touch

Ints = NDArray[np.int64]

SAFE = 1 << 53  # whole numbers below are exact in JavaScript
# A policy whose rule depends on what is touched, beyond which tables are.
CLASSES = "which protection or address is shared depends on what each process touches"
BLOCKED = "some processes ask for huge pages and others do not: who gets them depends on what each one touches"
GUESTS = "second-level tables of guests depend on what each guest touches"
WINDOWS = "an open choice shares other tables than those that lie wholly inside a mapping"
COPIES = "there is a segment for each process of a group: how many sharers each has depends on more than amounts"


class NotLive(Exception):
    """The twin cannot compute this; the message says why, for the reader of the report."""


def model(segment: str, stops: Sequence[Stop], here: Stop, config: Config) -> dict[str, Any]:
    """Return all that the twin needs, as values for JSON; ``here`` is the stop with the size that is written.

    A policy that the twin could not compute to the last byte has no numbers, but says ``why``.
    """
    workload = here.workload
    geometry = workload.geometry
    page = geometry.base_page
    names = list(workload.processes)
    flat = [mapping for group in workload.processes.values() for mapping in group.mappings]
    moved = [_moves(mapping, segment, workload) for mapping in flat]
    first = Ledger(here.outcomes[0], config)
    return {
        "segment": segment,
        "page": page,
        "step_most": geometry.levels[0].entries,
        "levels": [
            {
                "name": level.name, "span": min(level.span, HIGHEST_ADDRESS), "table": level.table_bytes,
                "allocation": cost.allocation, "per": cost.per_allocation, "in_use": cost.in_use,
                "charged": cost.charged, "from": int(level.name in geometry.free_tables_below),
            }
            for level, cost in zip(geometry.added_levels, here.outcomes[0].context.costs, strict=False)
        ],
        "groups": [
            {"name": name, "count": group.count, "grows": group.scale == "proportional", "cap": group.private_cap}
            for name, group in workload.processes.items()
        ],
        "mappings": [
            {"group": names.index(name), "moved": moved[number]}
            for number, name in enumerate(name for name, group in workload.processes.items() for _ in group.mappings)
        ],
        "written_exact": not any(_is_open(mapping, workload) for mapping in flat),
        "limits": {
            "ok": _fraction(config.ok_free), "warning": _fraction(config.warning_free), "pid_max": config.pid_max,
        },
        "swap": workload.host.swap,
        "cgroup": workload.host.cgroup_limit,
        "memories": [_memory(workload, size, config) for size in around(workload.host.memory, 3)],
        "lines": [_linear(line, len(names)) for line in first.lines if line.kind in ("base", "kernel", "private")],
        "used": next(line.name for line in first.lines if line.kind == "used"),
        "index": next({"name": line.name, "node": config.index_node} for line in first.lines if line.kind == "index"),
        "kinds": KINDS,
        "steps": STEPS,
        "cells": CELLS,
        "written": {"size": here.size, "memory": workload.host.memory},
        "cgroups": [] if workload.host.cgroup_limit is None else around(workload.host.cgroup_limit, 3),
        "sizes": [{"size": stop.size, "touch": _touches(stop.workload)} for stop in stops],
        "policies": [_policy(number, stops) for number in range(len(here.outcomes))],
    }  # fmt: skip


def _fraction(share: Any) -> list[int]:
    return [share.numerator, share.denominator]


def _memory(workload: Workload, size: int, config: Config) -> dict[str, int]:
    # What MemTotal is beside another amount of memory is estimated, as for a file that does not state it.
    host = workload.host if size == workload.host.memory else replace(workload.host, memory=size, mem_total=None)
    usable = sum(term.bytes for term in host_capacity(host, workload.geometry, config))
    return {"memory": size, "usable": usable, "used": used_estimate(size, config) if host.used is None else host.used}


def _is_open(mapping: Mapping, workload: Workload) -> bool:
    """Whether a mapping's touch, as written, is none that the twin computes: random, or in steps beyond a table."""
    span = workload.geometry.pmd_size
    return any(run.kind == RANDOM or (run.kind == STRIDE and run.step > span) for run in _runs_of(mapping, workload))


def _moves(mapping: Mapping, segment: str, workload: Workload) -> bool:
    """Whether the slider of the touch moves what a mapping touches: of the largest segment, and where nobody knows."""
    touched = any(touch.form != "none" for touch in mapping.touch)
    return (touched and mapping.segment == segment) or _is_open(mapping, workload)


def _touches(workload: Workload) -> list[list[Any]]:
    """Return of every mapping its offset and length in the segment, and its exact runs as written."""
    return [
        [
            mapping.offset,
            _length(mapping, workload),
            [
                [run.lo, run.hi, run.step if run.kind == STRIDE else 0]
                for run in _runs_of(mapping, workload)
                if run.kind != RANDOM
            ],
        ]
        for group in workload.processes.values()
        for mapping in group.mappings
    ]


def touched_as(touch: str, permille: int, step_most: int, page: int) -> Touch:
    """Return the touch that stands for a setting of the sliders: ``all``, ``run`` or ``spread``, and how much."""
    if touch == "all":
        return Touch("all")
    if touch == "run":
        return Touch("amount", amount=Fraction(permille, 1000), written_pattern="contiguous")
    step = min((2000 + permille) // (2 * permille), step_most)
    return Touch("every", step=step * page)


def _policy(number: int, stops: Sequence[Stop]) -> dict[str, Any]:
    first = stops[0].outcomes[number]
    entry: dict[str, Any] = {"name": first.name, "deployable": first.availability.deployable}
    try:
        return entry | {"stops": [_stop(stop.outcomes[number]) for stop in stops]}
    except NotLive as why:
        return entry | {"why": str(why)}


def _stop(outcome: Outcome) -> dict[str, Any]:
    """Return one policy with one size of the segment."""
    view, geometry = outcome.view, outcome.context.geometry
    rows, vmas = view.rows, view.vmas
    thp = view.thp()
    if thp is not None and thp.may_block.any():
        raise NotLive(BLOCKED)
    if outcome.second_levels:
        raise NotLive(GUESTS)
    if view.spread is not None:
        raise NotLive(COPIES)
    _refuse_classes(outcome)
    shift = rows.start - outcome.layout.rows.start  # into the host mm of a region
    columns = [
        rows.mapping, view.home, view.leaf_table(), rows.delta + shift, rows.seg_lo, rows.seg_hi,
        thp.huge if thp is not None else np.zeros(len(rows.group), bool),
    ]  # fmt: skip
    placed = []
    for place, level in enumerate(geometry.added_levels):
        rule = outcome.rule(view, level.name) if outcome.rule is not None else None
        rule = rule if rule is not None and rule.may.any() else None
        if rule is None and (thp is None or place):
            continue
        if rule is not None and rule.window is not None:
            raise NotLive(WINDOWS)
        whole = view.wholes(min(level.span, HIGHEST_ADDRESS), rule)
        placed.append(place)
        columns += [each[vmas.of_row] for each in (whole.first, whole.last, whole.scope, whole.shift)]
    ends = int(max(rows.end.max(initial=0), outcome.layout.rows.end.max(initial=0)))
    if ends >= SAFE or int(rows.seg_hi.max(initial=0)) >= SAFE:
        raise NotLive("addresses beyond 2^53")
    grown = [[int(each) for each in np.asarray(view.ends() > growth.above)[: view.groups]] for growth in geometry.grows]
    host = [int((view.ends()[view.groups :] > growth.above).sum()) for growth in geometry.grows]
    return {
        "placed": placed,
        "homes": view.homes,
        "rows": _packed(columns),
        "fixed": [
            [geometry.index[growth.level], mine, theirs]
            for growth, mine, theirs in zip(geometry.grows, grown, host, strict=True)
        ],
        "short": any(short.mode == "fail" for short in outcome.short_pools),
        **_memory_of(outcome),
    }


def _refuse_classes(outcome: Outcome) -> None:
    """Raise NotLive where a file has mappings of several classes of which a policy shares one."""
    if outcome.name != "map-shared-pt":
        return
    chosen = np.flatnonzero(eligible(outcome.view))
    rows = outcome.view.rows
    delta = rows.start - rows.file_offset
    classes = {(int(rows.file[at]), int(delta[at]), int(rows.protection[at])) for at in chosen}
    if len(classes) > len({file for file, _, _ in classes}):
        raise NotLive(CLASSES)


def _memory_of(outcome: Outcome) -> dict[str, Any]:
    """Return what segments, pools and the page-cache index take: whole numbers, or runs to be counted."""
    workload, geometry, plan = outcome.workload, outcome.context.geometry, outcome.layout.plan
    demand = SegmentDemand(outcome, geometry)
    found, groups = demand.memories, len(outcome.counts)
    by_touch = {number: _counted(outcome, number) for number in range(len(found))}
    segments, nodes, indexed = [], 0, []
    for number in demand.in_ledger:
        entry: dict[str, Any] = {"name": demand.label(number), "swaps": not demand.locked[number], **by_touch[number]}
        if "shared" not in entry:
            entry["const"] = demand.shared(outcome.counts, number)
        if not by_touch[number]:
            each = [[int(at == group) for at in range(groups)] for group in range(groups)]
            entry["rates"] = [demand.copies(one, number) for one in each]
        segments.append(entry)
    for number, memory in enumerate(found):
        counted = by_touch[number]
        if counted and "shared" in counted:
            small = sum(part.hi - part.lo for part in plan.segments[memory.name].parts if part.backing == "shmem")
            huge = plan.segments[memory.name].thp in ("always", "within_size")
            indexed.append([demand.in_ledger.index(number), small, int(huge)])
        else:
            nodes += index_nodes(memory.index_small_pages)
            nodes += index_nodes(memory.index_huge_pages, (geometry.thp_size // geometry.base_page).bit_length() - 1)
    pools = []
    for size in sorted({*(workload.host.hugepages or ()), *demand.pool_sizes}):
        name = f"huge pages ({geometry.huge_page_name(size)})"
        copies = [
            by_touch[number]["copies"]
            for number, memory in enumerate(found)
            if memory.huge_copies and by_touch[number] and plan.segments[memory.name].page == size
        ]
        need = sum(plan.huge_bytes().get(size, 0) for plan in plan.segments.values())
        pools.append(
            {
                "name": name, "size": size, "stated": (workload.host.hugepages or {}).get(size, 0) * size, "need": need,
                "order": (size // geometry.base_page).bit_length() - 1, "copies": copies,
            }
        )  # fmt: skip
    return {
        "segments": segments,
        "pools": pools,
        "nodes": nodes,
        "thp": [geometry.thp_size, (geometry.thp_size // geometry.base_page).bit_length() - 1],
        "indexed": indexed,
        "lines": [_linear(host_mm(outcome), groups)] if outcome.host_mm_bytes(outcome.counts) else [],
    }


def _counted(outcome: Outcome, number: int) -> dict[str, Any]:
    """Return the rows of a segment whose touched pages its memory is counted from; nothing where it is not."""
    layout, plan, geometry = (
        outcome.layout,
        list(outcome.layout.plan.segments.values())[number],
        outcome.context.geometry,
    )
    rows = layout.rows
    written = outcome.workload.segments[plan.name].resident
    word = written if written is not None else "touched" if plan.backing in ("file", "private") else "all"
    mine = rows.segment == number
    copied = mine & ~rows.shared & rows.write
    out: dict[str, Any] = {}
    if copied.any() and (plan.backing != "private" or word == "touched"):
        leaves = np.unique(rows.page[copied])
        if len(leaves) > 1:
            raise NotLive("private copies in pages of several sizes")
        # Whole chunks of advised memory are huge pages, first <= chunk < last; none where they are equal.
        vmas = merge(rows)
        huge = in_chunks(rows) & (rows.page == geometry.base_page)
        first = -(-vmas.start // geometry.thp_size)[vmas.of_row]
        last = np.where(huge, np.maximum((vmas.end // geometry.thp_size)[vmas.of_row], first), first)
        chosen = np.flatnonzero(copied)
        out["copies"] = {
            "leaf": int(leaves[0]),
            "rows": _runs(outcome, chosen, rows.delta, first, last),
        }
    mixed = len({part.backing for part in plan.parts}) > 1
    if word == "touched" and (plan.backing == "shmem" or mixed):
        if mixed or any(True for _ in _strides(outcome.workload, plan.name)):
            raise NotLive("what is touched is resident, in pages of two sizes or touched in steps of its own")
        huge = plan.thp in ("always", "within_size")
        position = rows.delta - rows.start + rows.file_offset + layout.file_position[rows.file]
        leaf = geometry.thp_size if huge else plan.page
        out["shared"] = {"leaf": leaf, "rows": _runs(outcome, np.flatnonzero(mine), position)}
    return out


def _strides(workload: Workload, segment: str) -> Iterator[TouchRun]:
    for group in workload.processes.values():
        for mapping in group.mappings:
            if mapping.segment == segment:
                yield from (run for run in _runs_of(mapping, workload) if run.kind == STRIDE)


def _runs_of(mapping: Mapping, workload: Workload) -> list[TouchRun]:
    return [
        run
        for touch in mapping.touch
        for run in runs(touch, mapping.offset, _length(mapping, workload), workload.geometry.base_page)
    ]


def _length(mapping: Mapping, workload: Workload) -> int:
    return workload.segments[mapping.segment].size - mapping.offset if mapping.length is None else mapping.length


def _runs(outcome: Outcome, chosen: Ints, delta: Ints, *more: Ints) -> list[Any]:
    rows = outcome.layout.rows
    return _packed([each[chosen] for each in (rows.mapping, delta, rows.seg_lo, rows.seg_hi, *more)])


def _linear(line: Line, groups: int) -> dict[str, Any]:
    """Return a line of the ledger that is a constant and a rate for each process, found by asking it."""
    zero = [0] * groups
    const, _ = line.amount(zero)
    rates = []
    for number in range(groups):
        one = [int(at == number) for at in range(groups)]
        size, _ = line.amount(one)
        rates.append(size - const)
    swaps = any(line.amount([1] * groups)) and line.amount([1] * groups)[1] > 0
    return {
        "name": line.name, "kind": line.kind, "const": const, "rates": rates, "swaps": swaps, "cgroup": line.in_cgroup,
        "capped": line.kind == "private",
    }  # fmt: skip


def _packed(columns: Sequence[NDArray[Any]]) -> list[Any]:
    """Return rows of whole numbers, those that go on by equal steps as [rows, first row, step]."""
    table = np.stack([np.asarray(column, np.int64) for column in columns], axis=1)
    out = []
    at = 0
    while at < len(table):
        many = 1
        step = table[at + 1] - table[at] if at + 1 < len(table) else np.zeros(table.shape[1], np.int64)
        while at + many < len(table) and (table[at + many] - table[at + many - 1] == step).all():
            many += 1
        out.append([many, table[at].tolist(), step.tolist() if many > 1 else []])
        at += many
    return out
