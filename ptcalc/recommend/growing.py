"""How much more memory would be safe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ptcalc.policies import Outcome
from ptcalc.policies.base import Context
from ptcalc.recommend.candidates import Candidate
from ptcalc.risk import Config, Ledger
from ptcalc.risk.amounts import exact
from ptcalc.risk.capacity import used_estimate
from ptcalc.workload import Workload
from ptcalc.workload.model import Host
from ptcalc.workload.sizes import SIZE_LIMIT

STEP = 1 << 30  # memory is bought, and limits are set, in whole GiB


def more_memory(outcome: Outcome, config: Config) -> Candidate | None:
    """Return the least memory, and the least limit of the cgroup, with which the risk is ok; None if none is enough.

    Tables do not depend on memory, so that only the ledger is made anew for each amount.
    """
    workload, geometry = outcome.workload, outcome.context.geometry
    host = workload.host
    if host.used is None:  # an estimate that grows with memory, where nothing else does
        host = replace(host, used=used_estimate(host.memory, config))
    most = (SIZE_LIMIT - 1 - host.memory) // STEP

    def safe(changed: Host) -> bool:
        context = Context(replace(workload, host=changed), geometry, outcome.context.parameters)
        ledger = Ledger(replace(outcome, context=context), config)
        return ledger.level(ledger.demand(outcome.counts)) == "ok"

    def larger(steps: int) -> Host:
        more = steps * STEP
        total = None
        if host.mem_total is not None:
            total = host.mem_total + more - more // geometry.base_page * config.page_struct
        return replace(host, memory=host.memory + more, mem_total=total)

    steps = _least(lambda steps: safe(replace(larger(steps), cgroup_limit=None)), most)
    if steps is None:
        return None
    found, parts = larger(steps), []
    if steps:
        parts.append(f"{exact(steps * STEP)} more memory: {exact(found.memory)} installed")
    if host.cgroup_limit is not None:
        limit = host.cgroup_limit
        raised = _least(lambda steps: safe(replace(found, cgroup_limit=limit + steps * STEP)), most)
        if raised is None:
            return None
        if raised:
            found = replace(found, cgroup_limit=limit + raised * STEP)
            parts.append(f"{exact(raised * STEP)} more for the cgroup: a limit of {exact(limit + raised * STEP)}")
    changed: Workload = replace(workload, host=found)
    return Candidate("memory", "memory", "; ".join(parts), changed)


def _least(enough: Callable[[int], bool], most: int) -> int | None:
    """Return the least number from 0 to `most` that is enough; None if none is."""
    high = 1
    while not enough(min(high, most)):
        if high >= most:
            return None
        high *= 2
    low, high = -1, min(high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
