"""The experiment: a scaled workload is run, and every counter is put beside what ptcalc says of it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from ptcalc import estimation
from ptcalc.errors import CannotDoHere
from ptcalc.verify import machine, script
from ptcalc.verify.cgroups import OwnCgroup
from ptcalc.verify.result import Figure, Verification
from ptcalc.verify.scaling import one_by_one, scaled, unfolded
from ptcalc.verify.stage import Keeper, Stage
from ptcalc.workload.loading import build
from ptcalc.workload.source import Override

if TYPE_CHECKING:
    from ptcalc.capture.host import Host
    from ptcalc.policies import Outcome
    from ptcalc.workload.model import ProcessGroup, Workload

TotalCounter = Literal["page-tables", "cgroup"]

PROCESSES = 4  # of each group, if nobody says how many
HALVINGS = 20
ROUNDS, ATTEMPTS = 2, 8  # a total is read in so many rounds of a run, and in so many runs
STILL = 8  # readings in a row before it is believed: freed tables leave late
CLEAR, CERTAIN = 2, 8  # by how many readings a value leads to be believed: one that was expected, another one
STEPS = 7  # of a round, see `Script.rounds`
SLAB = 256 << 10  # what slab may add to the kernel memory of a cgroup


@dataclass(frozen=True, slots=True)
class Fitted:
    """A workload that fits the memory at hand, as an outcome of `today` and as a script."""

    workload: Workload
    origin: dict[str, str]  # group that runs -> group of the file
    outcome: Outcome
    script: script.Script
    share: Fraction
    need: int


def verify_workload(
    workload: Workload,
    *,
    processes: int | None = None,
    share: Fraction | None = None,
    max_memory: int | None = None,
    allow_sysctl: bool = False,
    counter: TotalCounter = "page-tables",
    seed: int = 1,
) -> Verification:
    """Map a workload on the running kernel and compare the kernel's counters with the prediction of `today`.

    ``processes``: at most so many of each group (default: `PROCESSES`, fewer where memory is short); ``share``: all
    sizes times this (default: 1, less where memory is short); ``max_memory``: what the run may take, bytes (default:
    half of what is at hand).  ``allow_sysctl`` lets it enlarge pools of huge pages for the run; they are put back in
    every case.  ``counter`` is where the tables of all processes are read; ``seed`` decides random touches.

    Raises CannotDoHere, with what is missing, where the run cannot be made, and InputError where the workload cannot
    be had on this machine's architecture.
    """
    host = machine.running()
    here, notes = on_this_machine(workload, host)
    budget = machine.budget(max_memory)
    fitted = fit(here, processes, share, budget, seed)
    notes += fitted.script.notes
    with Keeper() as keeper, Stage() as stage:  # what was changed is put back when no process is left
        machine.take_turns(keeper, alone=True)
        machine.have_huge_pages(fitted.script.pages, keeper, allow=allow_sysctl)
        vmpte, totals, unmeasured = _run(stage, keeper, fitted, counter)
    written = {name: group.count for name, group in workload.processes.items()}
    ran = Counter(fitted.origin[list(fitted.workload.processes)[group]] for group in fitted.script.groups)
    return Verification(
        name=workload.name,
        file=workload.file,
        arch=host.geometry.name,
        kernel=host.kernel.text,
        processes=tuple((name, written[name], ran[name]) for name in written),
        share=fitted.share,
        need_bytes=fitted.need,
        budget_bytes=budget,
        figures=(*_by_group(fitted, vmpte), *_in_total(fitted, counter, totals)),
        levels=fitted.outcome.page_tables(fitted.outcome.counts).levels,
        notes=tuple(notes),
        unmeasured=unmeasured,
    )


def on_this_machine(workload: Workload, host: Host) -> tuple[Workload, list[str]]:
    """Return the workload as it would be on this machine, and what had to change for that."""
    notes = []
    written = workload.geometry.name
    name, kernel = host.geometry.name, host.kernel.text
    if written != name:
        notes.append(f"the file is about {written}; this machine is {name}")
    changes = [Override(("host", "arch"), name, "this machine"), Override(("host", "kernel"), kernel, "this machine")]
    here = build(workload.positions.overridden(changes), geometries=workload.geometries)
    tracked = [name for name, group in here.processes.items() if any(mapping.softdirty for mapping in group.mappings)]
    if tracked:
        notes.append(
            f"softdirty is left out (it changes no figure but which huge pages are shared): {', '.join(tracked)}"
        )
        groups = {
            name: replace(group, mappings=tuple(replace(mapping, softdirty=False) for mapping in group.mappings))
            for name, group in here.processes.items()
        }
        here = replace(here, processes=groups)
    if any(mapping.locked != "no" for group in here.processes.values() for mapping in group.mappings):
        notes.append("memory is touched as if it were locked, and not locked, which needs a limit of its own")
        here = replace(here, processes={name: _unlocked(group) for name, group in here.processes.items()})
    if any(mapping.second_level != "none" for group in here.processes.values() for mapping in group.mappings):
        notes.append("guests are left out: no virtual machine is started, and second-level tables are not compared")
        here = replace(here, processes={name: _without_guests(group) for name, group in here.processes.items()})
    return here, notes


def _unlocked(group: ProcessGroup) -> ProcessGroup:
    plain = (replace(mapping, locked="no", written_touch=mapping.touch) for mapping in group.mappings)
    return replace(group, mappings=tuple(plain))


def _without_guests(group: ProcessGroup) -> ProcessGroup:
    plain = (
        replace(mapping, second_level="none", guest_address=None, written_guest_touch=None)
        for mapping in group.mappings
    )
    return replace(group, mappings=tuple(plain))


def fit(workload: Workload, processes: int | None, share: Fraction | None, budget: int, seed: int) -> Fitted:
    """Return the largest version of a workload that takes no more memory than ``budget`` (bytes).

    Fewer processes come first: one is enough to see its tables, two what is shared.  Raises CannotDoHere where nothing
    that was asked for fits.
    """
    most = [processes] if processes is not None else [PROCESSES, 2, 1]
    need = 0
    for each in shares_of(share):
        for number in most:
            counts = {name: min(group.count, number) for name, group in workload.processes.items()}
            smaller, origin, outcome = outcome_of(scaled(workload, each, counts))
            # All that is accessed takes less than the tables for it do, and those are known at once.
            need = outcome.page_tables_used(outcome.counts)
            if need > budget:
                continue
            written = script.write(outcome, outcome.counts, seed=seed)
            missing = machine.short_of(written.pages)
            need = written.bytes + sum(size * count for size, count in missing.items())
            if need <= budget:
                return Fitted(smaller, origin, outcome, written, each, need)
    raise CannotDoHere(
        f"the run needs {need >> 20:,} MiB and may take {budget >> 20:,} MiB (--max-memory); a smaller --scale or fewer"
        " --processes need less"
    )


def shares_of(share: Fraction | None) -> list[Fraction]:
    """Return the factors of all sizes to try: the one that is asked for, or 1 and its halves."""
    return [share] if share is not None else [Fraction(1, 1 << n) for n in range(HALVINGS + 1)]


def outcome_of(workload: Workload) -> tuple[Workload, dict[str, str], Outcome]:
    """Return the workload as it is run, which group each of its groups was, and what `today` makes of it."""
    workload, dealt = unfolded(workload)
    (outcome,) = estimation.evaluate(workload, ["today"])
    where = {(place.group_name, place.index): place.address for place in outcome.layout.places}
    apart, origin = one_by_one(workload, where)
    if apart is not workload and apart.processes.keys() != workload.processes.keys():
        (outcome,) = estimation.evaluate(apart, ["today"])
    return apart, {name: dealt[group] for name, group in origin.items()}, outcome


def _run(
    stage: Stage, keeper: Keeper, fitted: Fitted, counter: TotalCounter
) -> tuple[list[list[int]], list[int], tuple[str, ...]]:
    """Return what each process got in VmPTE, by round, and all in the counter, or why that was not read."""
    job = fitted.script.rounds(ROUNDS)
    unmeasured: list[str] = []
    cgroup = None
    try:
        cgroup = OwnCgroup(keeper)
        cgroup.limit(fitted.script.bytes + fitted.script.bytes // 2)  # a cap, should the estimate be wrong
        job["cgroup"] = str(cgroup.path)
    except (CannotDoHere, OSError) as error:
        if counter == "cgroup":
            raise CannotDoHere(str(error)) from None
    if counter == "cgroup":
        assert cgroup is not None
        job["counter"] = {1: "cgroup", 2: "memory.stat"}[cgroup.version]
    elif _may_fold():
        job["counter"] = "meminfo"
    else:
        unmeasured.append(f"PageTables: only root can fold its per-CPU parts together ({machine.STAT_REFRESH})")
    job["still"] = STILL
    vmpte: list[list[int]] = []
    seen: Counter[int] = Counter()
    for _ in range(ATTEMPTS):
        answer = stage.do(job)
        vmpte = vmpte or _added(answer["vmpte"])
        if "counter" not in job:
            return vmpte, [], tuple(unmeasured)
        seen.update(_changes(answer["charged"]))
        totals = [value for value, _ in seen.most_common(1)]
        lead = _lead(seen)
        # What others on the machine do can look like a difference, but hardly like what is expected.
        if lead >= CERTAIN or (lead >= CLEAR and all(each.agrees for each in _in_total(fitted, counter, totals))):
            return vmpte, totals, ()
    found = ", ".join(f"{value:,}" for value, _ in seen.most_common(3)) or "none"
    return vmpte, [], (f"{counter}: others on this machine leave no clear reading (bytes added: {found})",)


def _may_fold() -> bool:
    with suppress(OSError):
        machine.STAT_REFRESH.write_text("1")
        return True
    return False


def _added(readings: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return by process what each round added to VmPTE, until all was touched and protected."""
    return [[values[at + 4] - values[at] for at in range(0, len(values) - 1, STEPS)] for values in readings]


def _changes(charged: Sequence[int]) -> list[int]:
    """Return by how much a counter grew with each touching and fell with each unmapping, where it was quiet around."""
    found = []
    for at in range(0, len(charged) - 1, STEPS):
        _, mapped, quiet, _, touched, still, unmapped, after = charged[at : at + STEPS + 1]
        if touched == still:
            found += [touched - quiet] if mapped == quiet else []
            found += [still - unmapped] if unmapped == after else []
    return found


def _lead(seen: Counter[int]) -> int:
    """By how many the most frequent reading leads."""
    first, second = [*(count for _, count in seen.most_common(2)), 0, 0][:2]
    return first - second


def _by_group(fitted: Fitted, vmpte: Sequence[Sequence[int]]) -> list[Figure]:
    """Return VmPTE of the processes of each group of the file.  Of several rounds the first one counts."""
    half = sum(level.content_bytes for level in fitted.workload.geometry.levels[:-1]) // 2
    expected = {each.name: each for each in fitted.outcome.processes()}
    names = list(fitted.workload.processes)
    figures = []
    for name in dict.fromkeys(fitted.origin.values()):
        members = [each for each in names if fitted.origin[each] == name]
        values = [
            (values[0], expected[names[group]])
            for group, values in zip(fitted.script.groups, vmpte, strict=True)
            if names[group] in members
        ]
        by_expected: dict[int, list[int]] = {}
        for value, process in values:
            by_expected.setdefault(process.vmpte_bytes, []).append(value)
        # Where chance is less than a byte, there is none.
        sd = max(expected[each].vmpte_sd_bytes or 0 for each in members) or None
        figures += [
            Figure("VmPTE", name, len(read), size, min(read), round(statistics.fmean(read)), max(read), sd, half)
            for size, read in by_expected.items()
        ]
    return figures


def _in_total(fitted: Fitted, counter: TotalCounter, totals: Sequence[int]) -> list[Figure]:
    """Return the total of all processes, if it was read."""
    counts = fitted.outcome.counts
    tables = fitted.outcome.page_tables(counts)
    expected, name, sd, slack = tables.bytes, "PageTables", tables.sd_bytes or None, 0
    if counter == "cgroup":
        expected, name = fitted.outcome.page_tables_used(counts, charged=True), "cgroup kernel memory"
        sd, slack = sd or 0, SLAB
    if sd is not None:
        slack += sum(counts) * sum(level.table_bytes for level in fitted.workload.geometry.levels[:-1]) // 2
    return [Figure(name, "", sum(counts), expected, total, total, total, sd, slack) for total in totals]
