"""What to change: settings of a released kernel, evaluated one by one, the best saving first.

Every candidate is a changed workload that the engine evaluates anew; nothing is ever applied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ptcalc import estimation
from ptcalc.errors import InputError
from ptcalc.policies import Outcome, policies_of
from ptcalc.recommend import candidates, growing, limits
from ptcalc.recommend.advice import FORMS, Advice, Check, Form, Idea, Limit, Recommendations, Setting
from ptcalc.recommend.candidates import Candidate
from ptcalc.recommend.settings import pool_pages, settings
from ptcalc.result import RISK_ORDER, PolicyResult
from ptcalc.risk import Config, Ledger
from ptcalc.risk.amounts import about, exact
from ptcalc.workload import Workload

__all__ = [
    "FORMS", "Advice", "Check", "Form", "Idea", "Limit", "Recommendations", "Setting", "recommend_changes",
]  # fmt: skip

TODAY = "today"
# An alignment is worth an administrator's time if it gains a 20th of the page tables.
WORTH = 20
# Savings that differ by less than a 100th are the same to an administrator.
NEAR = 100


@dataclass(frozen=True, slots=True)
class _Judged:
    """A candidate and what the engine says of it."""

    candidate: Candidate
    outcome: Outcome
    result: PolicyResult
    ledger: Ledger
    demand: int  # on the host, bytes


def recommend_changes(
    workload: Workload,
    *,
    config: Config | None = None,
    host_limits: Mapping[str, str] | None = None,
    shm_group: int | None = None,
) -> Recommendations:
    """Return what to change in a workload's machine and programs, the best saving first.

    ``config`` holds thresholds and constants; ``host_limits`` what the host allows now, where that is not what its
    kernel starts with (``{"kernel.shmmax": "64 GiB", "kernel.shmall": "16777216", "/dev/shm": "100 GiB", "memlock":
    "unlimited"}``); ``shm_group`` is the number of the group that may use huge pages.  Raises InputError for a limit
    that is none, and for what `ptcalc.estimate` refuses.
    """
    question = _Question(workload, config or Config(), limits.read(host_limits or {}), shm_group)
    return question.answer()


class _Question:
    """One workload, and what is known about its host."""

    def __init__(self, workload: Workload, config: Config, stated: dict[str, int], shm_group: int | None) -> None:
        self.workload, self.config, self.stated, self.shm_group = workload, config, stated, shm_group
        self.rejected: dict[str, str] = {}
        self.before = self.judge(Candidate("as-written", "as-written", "as written", workload))

    def answer(self) -> Recommendations:
        """Evaluate everything."""
        workload, before = self.workload, self.before
        settled = [before, *self.judged(self.simple())]
        moved = [*self.judged(self.aligned(settled))]
        useful = [found for found in settled[1:] if self.helps(found)]
        alone = next((found for found in moved if found.candidate.first is None), before)
        useful += [found for found in moved if self.gains(found, settled, alone)]
        useful.sort(key=self.rank)
        # What remains, where no setting makes it safe: fewer processes, or more memory.
        start = self.easiest(useful)
        for base in (before,) if start is None else (before, start):
            useful += self.judged(self.last_resorts(base))
        useful.sort(key=self.rank)
        start = start or self.easiest(useful)
        known = {found.candidate: found for found in (*settled, *moved)}
        return Recommendations(
            name=workload.name,
            file=workload.file,
            arch=workload.geometry.name,
            kernel=workload.kernel.text,
            processes=sum(before.outcome.counts),
            as_written=self.advice(before, known),
            start="as-written" if start is None else start.candidate.code,
            advice=tuple(self.advice(found, known) for found in useful),
            ideas=self.ideas(),
            limits=limits.limits(workload, before.outcome.layout.plan, self.stated),
            rejected=tuple(self.rejected.items()),
        )

    def judge(self, candidate: Candidate) -> _Judged:
        """Evaluate a candidate as `today`."""
        (outcome,) = estimation.evaluate(candidate.workload, [TODAY])
        result = estimation.result_of(outcome, self.config)
        ledger = Ledger(outcome, self.config)
        return _Judged(candidate, outcome, result, ledger, ledger.demand(outcome.counts).host)

    def judged(self, found: Iterator[Candidate]) -> Iterator[_Judged]:
        """Evaluate candidates; those that cannot be laid out are rejected."""
        for candidate in found:
            try:
                yield self.judge(candidate)
            except InputError as error:
                self.rejected[candidate.code] = error.message

    def simple(self) -> Iterator[Candidate]:
        """Yield the changes of settings."""
        yield from candidates.pools(self.workload)
        yield from candidates.hugetlb(self.workload)
        yield from candidates.thp(self.workload)
        geometry = self.workload.geometry
        for page in candidates.too_large(self.workload):
            self.rejected[f"hugetlb-{geometry.huge_page_name(page)}"] = f"no segment or piece holds {exact(page)}"
        if not geometry.has_file_thp:
            self.rejected["thp"] = f"{geometry.name} has no huge pages of {exact(geometry.thp_size)} in the page cache"
        elif self.workload.kernel.version < candidates.SHMEM_THP_SINCE:
            self.rejected["thp"] = "shared memory has transparent huge pages since Linux 4.8"

    def aligned(self, settled: list[_Judged]) -> Iterator[Candidate]:
        """Yield the same with mappings at boundaries, as written and where huge pages are mapped by PMD entries."""
        leaf = self.workload.geometry.pmd_size
        for found in settled:
            if found.candidate.kind in ("as-written", "thp", "pool") or (
                found.candidate.kind == "hugetlb" and found.candidate.page == leaf and ":" not in found.candidate.code
            ):
                for then in candidates.alignment(found.candidate.workload, found.outcome.layout):
                    yield found.candidate.followed_by(then)

    def last_resorts(self, base: _Judged) -> Iterator[Candidate]:
        """Yield fewer processes and more memory for a workload that is not safe."""
        if base.result.risk.level == "ok":
            return
        if any(short.mode == "fail" for short in base.outcome.short_pools):
            return  # it does not start, with however few processes and however much memory
        safe = base.result.risk.safe_processes
        if 0 < safe < sum(base.outcome.counts):
            yield base.candidate.followed_by(candidates.pooling(base.candidate.workload, safe))
        elif not safe:
            code = base.candidate.followed_by(candidates.pooling(base.candidate.workload, 0)).code
            self.rejected[code] = "with however few processes little memory is left"
        more = growing.more_memory(base.outcome, self.config)
        if more is not None:
            yield base.candidate.followed_by(more)

    def helps(self, found: _Judged) -> bool:
        """Whether a change saves memory or lowers the risk, and leaves the rest fitting at least as well."""
        code, now, was = found.candidate.code, found.result, self.before.result
        worse = RISK_ORDER.index(now.risk.level) - RISK_ORDER.index(was.risk.level)
        saved = self.before.demand - found.demand
        tables = was.page_tables.used_bytes - now.page_tables.used_bytes
        if worse > 0:
            self.rejected[code] = f"the risk would be {now.risk.level}, and is {was.risk.level} as written"
        elif (
            worse < 0
            or (self.before.outcome.short_pools and not found.outcome.short_pools)
            or (saved > 0 and (tables > 0 or found.candidate.kind == "pool"))
        ):
            return True
        elif tables <= 0:
            self.rejected[code] = "saves no page tables"
        else:
            self.rejected[code] = f"saves {about(tables)} of page tables and costs {about(tables - saved)} elsewhere"
        return False

    def gains(self, found: _Judged, settled: list[_Judged], alone: _Judged) -> bool:
        """Whether moved mappings gain enough beyond the change that they go with, and this beyond them ``alone``."""
        first = found.candidate.first or self.before.candidate
        base = next(each for each in settled if each.candidate is first)
        gain = base.demand - found.demand
        if gain <= 0 or gain * WORTH < base.result.page_tables.used_bytes:
            self.rejected[found.candidate.code] = f"gains {about(max(gain, 0))}"
            return False
        if found is not alone and found.demand >= alone.demand:
            self.rejected[found.candidate.code] = f"saves no more than {alone.candidate.code} alone"
            return False
        return self.helps(found)

    def rank(self, found: _Judged) -> tuple[int, int]:
        """Best saving first; of equal ones that with the lower risk afterwards."""
        return found.demand, RISK_ORDER.index(found.result.risk.level)

    def easiest(self, useful: list[_Judged]) -> _Judged | None:
        """Return the easiest of the changes with the lowest risk and a saving near the best of these."""
        if not useful:
            return None
        lowest = min(RISK_ORDER.index(found.result.risk.level) for found in useful)
        safest = [found for found in useful if RISK_ORDER.index(found.result.risk.level) == lowest]
        best = self.before.demand - min(found.demand for found in safest)
        near = [found for found in safest if NEAR * (self.before.demand - found.demand) >= (NEAR - 1) * best]
        return min(near, key=lambda found: (found.candidate.effort, found.demand))

    def advice(self, found: _Judged, known: Mapping[Candidate, _Judged]) -> Advice:
        """Return a judged candidate as it is reported."""
        candidate, outcome = found.candidate, found.outcome
        was = limits.limits(candidate.workload, outcome.layout.plan, self.stated)
        base = None if candidate.first is None else known[candidate.first]
        former = self.workload.host.hugepages or {}
        lines = settings(candidate.kinds, outcome, was, self.shm_group, former)
        tables = self.before.result.page_tables.used_bytes - found.result.page_tables.used_bytes
        return Advice(
            code=candidate.code,
            kind=candidate.kind,
            title=candidate.title,
            result=found.result,
            saves_bytes=self.before.demand - found.demand,
            saves_tables_bytes=tables,
            check=_check(found),
            settings=lines,
            needs=candidate.needs + self.further_needs(found),
            adds_bytes=None if base is None else base.demand - found.demand,
        )

    def further_needs(self, found: _Judged) -> tuple[str, ...]:
        """Return what huge pages need beside settings."""
        pages = pool_pages(found.outcome)
        geometry = self.workload.geometry
        if not pages:
            return ()
        needs = [
            f"{place.segment} in {place.group_name} at {place.address:#x}, a multiple of {exact(found.candidate.page)}"
            for place in found.outcome.layout.places
            if place.lowered
        ][:4]
        if any(size > geometry.pmd_size for size in pages):
            needs.append("a processor with pages of that size, and a reboot: the kernel command line reserves them")
        if any(size <= geometry.pmd_size for size in pages):
            needs.append("a reservation soon after boot: HugePages_Total tells whether the kernel found them all")
        if self.workload.host.cgroup_limit is not None:
            units = ", ".join(f"{exact(count * size)} of {exact(size)} pages" for size, count in pages.items())
            needs.append(f"a hugetlb limit of its cgroup that allows {units}")
        return tuple(needs)

    def ideas(self) -> tuple[Idea, ...]:
        """Return the policies that no mainline kernel has, the best saving first."""
        names = [policy.name for policy in policies_of(self.workload.geometry) if not policy.availability.deployable]
        found = []
        for outcome in estimation.evaluate(self.workload, names):
            demand = Ledger(outcome, self.config).demand(outcome.counts).host
            tables = outcome.page_tables_used(outcome.counts)
            changes = () if isinstance(outcome.applies, str) else outcome.applies
            found.append(
                Idea(outcome.name, outcome.title, outcome.availability, self.before.demand - demand, tables, changes)
            )
        return tuple(sorted((idea for idea in found if idea.saves_bytes > 0), key=lambda idea: -idea.saves_bytes))


def _check(found: _Judged) -> Check:
    outcome, ledger = found.outcome, found.ledger
    demand = ledger.demand(outcome.counts)
    pools = sum(line.amount(outcome.counts)[0] for line in ledger.lines if line.kind == "pool")
    capacity, limit = ledger.capacity["host"], ledger.capacity.get("cgroup")
    return Check(
        capacity_bytes=capacity,
        pool_bytes=pools,
        rest_bytes=demand.host - pools,
        free_bytes=capacity - demand.host,
        cgroup_free_bytes=None if limit is None else limit - demand.cgroup,
    )
