"""The boundary experiment: processes are started in a memory cgroup until its OOM killer acts, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ptcalc import estimation, risk
from ptcalc.errors import CannotDoHere
from ptcalc.layout.plan import round_up
from ptcalc.risk import Config, Ledger
from ptcalc.verify import machine, script
from ptcalc.verify.cgroups import OwnCgroup
from ptcalc.verify.experiment import on_this_machine, shares_of
from ptcalc.verify.result import Boundary
from ptcalc.verify.scaling import scaled
from ptcalc.verify.stage import Keeper, Stage

if TYPE_CHECKING:
    from ptcalc.policies import Outcome
    from ptcalc.workload import Workload
    from ptcalc.workload.model import ProcessGroup, Segment

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PROCESSES = 100  # that the limit is for, if nobody says how many
MEMORY = 2 * GIB  # taken at most, if nobody says how much
MOST = 1000  # processes that are ever started
ACCESSES = 1 << 23  # of all processes together, some seconds
# What a process of the mapper takes beside the mappings, from and to: it is measured, but only after the limit is set.
BASE, LEAST = 3 * MIB // 2, 256 * KIB
PANIC = Path("/proc/sys/vm/panic_on_oom")


@dataclass(frozen=True, slots=True)
class Planned:
    """An experiment that fits the memory at hand: ``order`` are the groups of the processes as they are started."""

    outcome: Outcome
    share: Fraction
    limit: int
    order: list[tuple[Fraction, int]]
    script: script.Script

    def job(self) -> dict[str, Any]:
        """Return the job: every process maps, touches, protects and fills its private memory at once."""
        script_ = self.script
        groups = list(self.outcome.workload.processes.values())
        page = self.outcome.context.geometry.base_page
        workers = []
        for number, group in enumerate(script_.groups):
            own = [["own", -(-groups[group].private // page)]] if groups[group].private else []
            workers.append([[*script_.maps[number], *script_.touches[number], *script_.protects[number], *own]])
        of_group = {
            group: iter(np.flatnonzero(np.array(script_.groups) == group).tolist()) for group in range(len(groups))
        }
        order = [next(of_group[group]) for _, group in self.order]
        return script_.job(workers) | {"order": order}


def verify_boundary(
    workload: Workload,
    *,
    processes: int | None = None,
    share: Fraction | None = None,
    limit: int | None = None,
    max_memory: int | None = None,
    allow_sysctl: bool = False,
    seed: int = 1,
) -> Boundary:
    """Start processes of a workload in a memory cgroup until its OOM killer acts, and compare with the prediction.

    ``processes``: for how many of them the experiment is scaled (default: `PROCESSES`); ``share``: all sizes times
    this (default: as large as fits); ``limit``: of the cgroup, bytes (default: what ptcalc says that so many processes
    need); ``max_memory``: what the run may take (default: half of what is at hand, at most `MEMORY`).
    ``allow_sysctl`` and ``seed`` as in `verify_workload`.

    The prediction is `max_processes` of `today`.  One figure in it is measured beforehand: what a process of the
    experiment takes that maps all and accesses nothing.

    Raises CannotDoHere, with what is missing, where the run cannot be made, and InputError where the workload cannot
    be had on this machine's architecture.
    """
    with suppress(OSError):
        if PANIC.read_text().strip() == "2":
            raise CannotDoHere("vm.panic_on_oom is 2: an OOM kill in a cgroup would stop this machine")
    host = machine.running()
    here, notes = on_this_machine(workload, host)
    budget = machine.budget(max_memory)
    if max_memory is None:
        budget = min(budget, MEMORY)
    planned = plan(here, notes, processes or PROCESSES, share, limit, budget, seed)
    with Keeper() as keeper, Stage() as stage:
        machine.take_turns(keeper, alone=False)
        machine.have_huge_pages(planned.script.pages, keeper, allow=allow_sysctl)
        empty, base = _measured_base(stage, keeper, planned, budget)
        predicted = _most(planned.outcome, base)
        if not 0 < predicted < len(planned.order):
            raise CannotDoHere(
                f"a cgroup of {planned.limit >> 20:,} MiB bears {predicted:,} processes: only 1 to"
                f" {len(planned.order) - 1:,} can be counted; another --limit or --scale helps"
            )
        answer = _started(stage, OwnCgroup(keeper), planned.job(), planned.limit + empty)
    held = answer["usage"]
    counts = Counter(group for _, group in planned.order[:predicted])
    demand = risk.memory(planned.outcome, [counts[at] for at in range(len(here.processes))], _config(base))
    return Boundary(
        name=workload.name,
        file=workload.file,
        arch=host.geometry.name,
        kernel=host.kernel.text,
        processes=tuple((name, group.count, counts[at]) for at, (name, group) in enumerate(workload.processes.items())),
        share=planned.share,
        limit_bytes=planned.limit,
        base_bytes=base,
        items=tuple(
            replace(item, name="processes beside that (measured)") if item.kind == "kernel" else item
            for item in demand.items
            if item.bytes
        ),
        held_bytes=held[-1] - empty,
        predicted=predicted,
        fitted=_whole(planned.order, len(held) - 1),
        killed=answer["killed"],
        notes=(*notes, *planned.script.notes),
    )


def plan(
    workload: Workload,
    notes: list[str],
    processes: int,
    share: Fraction | None,
    limit: int | None,
    budget: int,
    seed: int,
) -> Planned:
    """Return the experiment with the largest sizes at which ``processes`` fit the limit, and that the budget (bytes).

    Raises CannotDoHere where there is none.
    """
    if limit is not None and limit + script.PROGRAM > budget:
        raise CannotDoHere(
            f"a cgroup of {limit >> 20:,} MiB and {script.PROGRAM >> 20} MiB for the program are more than the"
            f" {budget >> 20:,} MiB that the run may take (--max-memory)"
        )
    written = {name: group.count for name, group in workload.processes.items()}
    total = sum(written.values())
    if not total:
        raise CannotDoHere("the workload has no process that could be started")
    counts = {name: count and max(1, count * min(processes, total) // total) for name, count in written.items()}
    here = _for_cgroup(workload, notes)
    why = ""
    for each in shares_of(share):
        smaller = scaled(here, each, counts)
        (outcome,) = estimation.evaluate(smaller, ["today"])
        wanted = Counter(group for _, group in starting_order(outcome, processes))
        need = Ledger(outcome, _config(BASE)).demand([wanted[group] for group in range(len(counts))]).cgroup
        size = limit or round_up(need, MIB)
        if (share is None and need > size) or size + script.PROGRAM > budget:
            room = min(size, budget - script.PROGRAM)
            why = f"{processes:,} processes need {need >> 20:,} MiB, and the cgroup may have {room >> 20:,} MiB"
            continue
        (outcome,) = estimation.evaluate(replace(smaller, host=replace(smaller.host, cgroup_limit=size)), ["today"])
        most = _most(outcome, LEAST)
        order = starting_order(outcome, min(most + most // 10 + 10, MOST))
        wanted = Counter(group for _, group in order)
        written_ = script.write(
            outcome, [wanted[group] for group in range(len(counts))], seed=seed, **_resident(outcome)
        )
        pools = sum(size * count for size, count in machine.short_of(written_.pages).items())
        if size + script.PROGRAM + pools > budget:
            why = f"{pools >> 20:,} MiB of huge pages are needed beside a cgroup of {size >> 20:,} MiB"
        elif written_.accesses > ACCESSES:
            why = f"{written_.accesses:,} accesses are too many"
        else:
            return Planned(outcome, each, size, order, written_)
    raise CannotDoHere(
        f"{why} (--max-memory allows {budget >> 20:,} MiB); a smaller --scale or fewer --processes need less"
    )


def starting_order(outcome: Outcome, number: int) -> list[tuple[Fraction, int]]:
    """Return (factor, group) of the first so many processes: fixed groups, then all others in proportion.

    A process stands behind the factor of growth with which its group has it (contract section 3, max_processes).
    """
    groups = list(outcome.workload.processes.values())
    found = [(Fraction(0), at) for at, group in enumerate(groups) if group.scale == "fixed" for _ in range(group.count)]
    growing = [(at, group.count) for at, group in enumerate(groups) if group.scale == "proportional" and group.count]
    found += sorted((Fraction(k, count), at) for at, count in growing for k in range(1, number + 1))
    return found[:number]


def _whole(order: Sequence[tuple[Fraction, int]], fitted: int) -> int:
    """Return how many of those that fitted are there when all groups have grown alike."""
    while 0 < fitted < len(order) and order[fitted][0] == order[fitted - 1][0]:
        fitted -= 1
    return fitted


def _for_cgroup(workload: Workload, notes: list[str]) -> Workload:
    """Return the workload with what the experiment can have: one thread, all in the cgroup, which alone is short."""
    if any(
        mapping.placement == "independent" and workload.segments[mapping.segment].backing == "hugetlb"
        for group in workload.processes.values()
        for mapping in group.mappings
    ):
        raise CannotDoHere("processes with huge pages at independent addresses cannot be started one by one")
    if any(segment.per is not None for segment in workload.segments.values()):
        raise CannotDoHere("segments that exist once for each process of a group cannot be filled one by one")

    def alone(name: str, group: ProcessGroup) -> ProcessGroup:
        if group.threads > 1 or group.private_cap is not None:
            notes.append(f"{name}: threads and private_cap are left out, each process is started with one thread")
        return replace(group, threads=1, private_cap=None, base_tables=None)

    def here(name: str, segment: Segment) -> Segment:
        if segment.backing != "private" or segment.resident in (None, "touched"):
            return segment
        notes.append(f"{name}: what is touched is resident, and nothing else")
        return replace(segment, resident="touched")

    return replace(
        workload,
        # Whether the machine has the memory is decided beforehand: only the cgroup may bind.
        host=replace(workload.host, memory=1 << 50, mem_total=1 << 50, swap=0, used=0, cgroup_limit=None),
        segments={name: here(name, segment) for name, segment in workload.segments.items()},
        processes={name: alone(name, group) for name, group in workload.processes.items()},
    )


def _config(base: int) -> Config:
    """Return the constants of a process that takes ``base`` bytes before it maps anything."""
    return Config(process_tables=0, kernel_stack=0, process_slab=base)


def _most(outcome: Outcome, base: int) -> int:
    return risk.assess(outcome, _config(base))[1].max_processes


def _resident(outcome: Outcome) -> dict[str, Any]:
    """Return what `script.write` must know: rows whose pages take memory one by one, and what is there anyway."""
    rows, layout = outcome.layout.rows, outcome.layout
    segments = list(outcome.workload.segments.values())
    touched = np.array([segment.resident == "touched" for segment in segments], bool)
    dense = (rows.backing == script.PRIVATE) | (~rows.shared & rows.write)
    dense |= (rows.backing == script.SHMEM) & touched[rows.segment]
    filled = {}
    for row in np.flatnonzero((rows.backing == script.SHMEM) & ~touched[rows.segment]):
        file, resident = int(rows.file[row]), segments[rows.segment[row]].resident
        size = int(layout.file_size[file])
        if isinstance(resident, int):
            size = min(size, max(resident - int(layout.file_position[file]), 0))
        filled[file] = size
    return {"dense": dense, "filled": filled}


def _measured_base(stage: Stage, keeper: Keeper, planned: Planned, budget: int) -> tuple[int, int]:
    """Return what the cgroup holds without a process under test, and what one takes that accesses nothing (bytes)."""
    job = planned.job() | {"idle": True}
    job["order"] = job["order"][:PROCESSES]
    held = _started(stage, OwnCgroup(keeper), job, budget)["usage"]
    return held[0], (held[-1] - held[0]) // (len(held) - 1)


def _started(stage: Stage, cgroup: OwnCgroup, job: dict[str, Any], limit: int) -> dict[str, Any]:
    """Do a job in a cgroup with that limit (bytes)."""
    try:
        cgroup.limit(limit)
    except OSError as error:
        raise CannotDoHere(f"the limit of {cgroup.path} cannot be set: {error.strerror}") from None
    if "oom_kill_disable 1" in cgroup.events.read_text():
        raise CannotDoHere(f"memory cgroups here do not kill (oom_kill_disable in {cgroup.events})")
    return stage.do(job | {"cgroup": str(cgroup.path), "usage": str(cgroup.usage), "events": str(cgroup.events)})
