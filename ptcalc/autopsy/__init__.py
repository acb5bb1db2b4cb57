"""Why did memory run out: was it page tables, who held them, and what would have prevented it?

import ptcalc
for found in ptcalc.autopsy_log("examples/oom.log"):
    print(found.verdict, found.page_tables_bytes, found.memory_bytes)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ptcalc import estimation
from ptcalc.autopsy.accounts import Item, accounts
from ptcalc.autopsy.findings import remarks
from ptcalc.autopsy.settings import Setting, settings
from ptcalc.capture import oomlog
from ptcalc.capture.oomlog import Group, Kill, OomReport
from ptcalc.errors import InputError
from ptcalc.risk.config import Config
from ptcalc.workload import loads

if TYPE_CHECKING:
    from ptcalc.result import Estimate

__all__ = ["Autopsy", "Item", "Setting", "Verdict", "Victim", "autopsy_log", "examine", "gravest", "read_reports"]

Verdict = Literal["yes", "partly", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class Victim:
    """A process that was killed, in bytes.

    ``freed`` comes back: private memory, less what fork shares, and page tables when it has exited.  ``stays`` was
    shared with others.  ``tables`` None: the report does not say.  ``kills_needed`` such processes make the share of
    memory free that `ok` asks for; None if one frees nothing.
    """

    kill: Kill
    tables: int | None
    freed: int
    stays: int
    kills_needed: int | None


@dataclass(frozen=True, slots=True)
class Autopsy:
    """One OOM report examined, in bytes.

    ``verdict`` says whether it was page tables: ``yes`` if without them as much would have been free as level `ok` asks
    for, ``partly`` if as much as `warning` does.  ``estimate`` is that of the workload which the report tells of, under
    every policy; None if it tells of none, and then ``no_estimate`` says why.
    """

    report: OomReport
    verdict: Verdict
    memory_bytes: int | None
    page_tables_bytes: int | None
    page_tables_from: str
    items: tuple[Item, ...]
    groups: tuple[Group, ...]
    victims: tuple[Victim, ...]
    estimate: Estimate | None
    no_estimate: str
    settings: tuple[Setting, ...]
    remarks: tuple[str, ...]


def autopsy_log(path: str, *, config: Config | None = None) -> list[Autopsy]:
    """Examine every OOM report of a kernel log; ``-`` is standard input.

    ``config`` holds thresholds and constants (default: those of configs/default.yaml).  Raises InputError for a log
    that cannot be read or that has no OOM report.
    """
    return [examine(report, config) for report in read_reports(path)]


def read_reports(path: str) -> list[OomReport]:
    """Return the OOM reports of a log, of which there is one at least.  Raises InputError as `autopsy_log` does."""
    reports = oomlog.read_file(path)
    if not reports:
        raise InputError(
            "no OOM report is in it",
            file=path,
            accepted="a kernel log with a line `… invoked oom-killer: …`, such as that of dmesg or journalctl -k",
        )
    return reports


def gravest(reports: Sequence[OomReport]) -> int:
    """Return the index of the report in which page tables were the largest share of memory, the first of several."""

    def share(report: OomReport) -> float:
        tables, memory = report.page_tables, report.memory
        return tables[0] / memory if tables is not None and memory else -1.0

    return max(range(len(reports)), key=lambda index: (share(reports[index]), -index))


def examine(report: OomReport, config: Config | None = None) -> Autopsy:
    """Examine one OOM report."""
    config = _watermarks(report, config or Config())
    tables = report.page_tables
    verdict = _verdict(report, config)
    estimate, prevented, why = _counterfactual(report, config)
    return Autopsy(
        report=report,
        verdict=verdict,
        memory_bytes=report.memory,
        page_tables_bytes=None if tables is None else tables[0],
        page_tables_from="" if tables is None else tables[1],
        items=accounts(report),
        groups=tuple(oomlog.groups(report)),
        victims=tuple(_victim(report, kill, config) for kill in report.kills),
        estimate=estimate,
        no_estimate=why,
        settings=() if verdict == "no" else prevented,
        remarks=remarks(report),
    )


def _watermarks(report: OomReport, config: Config) -> Config:
    """Return the config with the min watermarks of the report's zones, in place of what the kernel sets at boot."""
    marks = report.meminfo.get("min")
    return config if marks is None or config.min_free is not None else replace(config, min_free=marks)


def _verdict(report: OomReport, config: Config) -> Verdict:
    tables, memory = report.page_tables, report.memory
    if tables is None or not memory:
        return "unknown"
    if tables[0] >= config.ok_free * memory:
        return "yes"
    return "partly" if tables[0] >= config.warning_free * memory else "no"


def _victim(report: OomReport, kill: Kill, config: Config) -> Victim:
    listed = next((task.page_tables for task in report.tasks if task.pid == kill.pid), None)
    # The row of the dump comes first: 5.4 and 5.5 print bytes in the line of the kill and call them kB.
    tables = kill.page_tables if listed is None else listed
    columns = all(task.anon is not None for task in report.tasks)
    own = report.own_share if columns else None
    freed = round(kill.anon * (1.0 if own is None else own)) + (tables or 0)
    wanted = config.ok_free * (report.memory or 0)
    # Before 4.5 shared memory is part of the file RSS; files that are not shared memory are dropped anyway.
    stays = kill.shmem or (kill.file if report.shmem else 0)
    return Victim(kill, tables, freed, stays, -int(-wanted // freed) if freed and wanted else None)


def _counterfactual(report: OomReport, config: Config) -> tuple[Estimate | None, tuple[Setting, ...], str]:
    """Return the estimate of the workload that a report tells of, with what would have helped, or why there is none."""
    try:
        workload = loads(oomlog.workload_document(report), name="<oom report>")
        estimate = estimation.estimate(workload, config=config)
    except InputError as error:  # a damaged report can tell of a workload that no machine has
        return None, (), error.message
    return estimate, settings(report, workload, estimate, config), ""
