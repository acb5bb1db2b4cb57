"""What an autopsy says of each log: the verdict, the accounts, who was killed, and what would have prevented it."""

from __future__ import annotations

from fractions import Fraction

import pytest

import ptcalc
from ptcalc.autopsy import Autopsy, examine, gravest
from ptcalc.capture import oomlog
from ptcalc.capture.oomlog import OomReport
from ptcalc.result import RISK_ORDER
from ptcalc.risk.config import Config

from .data import EXAMPLE, NAMES, read

ALL = [(name, number) for name in NAMES for number in range(len(read(name)))]
LINE = "x invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order={order}, oom_score_adj=0\n"
MEMINFO = """\
Mem-Info:
active_anon:100 inactive_anon:{anon} isolated_anon:0
 active_file:0 inactive_file:0 isolated_file:0
 mapped:1 shmem:100 pagetables:{tables}
 free:{free} free_pcp:0 free_cma:0
Node 0 hugepages_total=8 hugepages_free={pool} hugepages_surp=0 hugepages_size=2048kB
Free swap  = {swap}kB
Total swap = 4096kB
102400 pages RAM
2400 pages reserved
[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
[     77]     0    77     1000      500    40960        0             0 x
"""
KILL = "Out of memory: Killed process 77 (x) total-vm:4000kB, anon-rss:1000kB, file-rss:0kB, shmem-rss:0kB, UID:0\n"


def made(
    order: int = 0, anon: int = 80_000, tables: int = 100, free: int = 500, pool: int = 0, swap: int = 0
) -> OomReport:
    """A report on 400,000 KiB of memory made up of lines."""
    filled = MEMINFO.format(anon=anon, tables=tables, free=free, pool=pool, swap=swap)
    (report,) = oomlog.read(LINE.format(order=order) + filled + KILL)
    return report


# log, report, verdict, page tables in percent of memory
VERDICTS = [
    ("rhel7-3.10-oracle", 0, "yes", 25),
    ("linux-4.14-docker", 0, "partly", 7),
    ("linux-5.4-leak", 0, "no", 0),
    ("linux-6.1", 0, "yes", 66),
    ("linux-6.1", 2, "yes", 64),
    ("linux-6.18-cgroup1", 0, "yes", 84),
    ("arm64-16k-7.2", 0, "yes", 66),
    ("arm64-16k-7.2-lost", 0, "unknown", None),
]


@pytest.mark.parametrize(("name", "number", "verdict", "percent"), VERDICTS)
def test_verdict(name: str, number: int, verdict: str, percent: int | None) -> None:
    found = examine(read(name)[number])

    assert found.verdict == verdict
    if percent is None:
        assert found.page_tables_bytes is None
    else:
        assert found.page_tables_bytes is not None and found.memory_bytes is not None
        assert round(100 * found.page_tables_bytes / found.memory_bytes) == percent


@pytest.mark.parametrize(
    ("tables", "verdict"), [(10_000, "yes"), (9_999, "partly"), (5_000, "partly"), (4_999, "no"), (0, "no")]
)
def test_thresholds_are_those_of_the_levels(tables: int, verdict: str) -> None:
    """Of 100,000 pages `ok` leaves 10 % free and `warning` 5 %; a config moves them."""
    report = made(tables=tables)

    assert examine(report).verdict == verdict
    assert examine(report, Config(ok_free=Fraction(1, 2), warning_free=Fraction(2, 5))).verdict == "no"


@pytest.mark.parametrize(("name", "number"), ALL)
def test_accounts_add_up(name: str, number: int) -> None:
    """Each page is in one account: together they are the memory, and hardly anything is unexplained."""
    found = examine(read(name)[number])
    if not found.items:
        assert found.memory_bytes is None
        return

    assert found.memory_bytes is not None
    assert sum(item.bytes for item in found.items) == pytest.approx(found.memory_bytes, rel=0.01)
    assert sum(item.bytes for item in found.items if item.kind == "rest") < 0.06 * found.memory_bytes


@pytest.mark.parametrize(("name", "number"), ALL)
def test_groups_hold_every_process(name: str, number: int) -> None:
    found = examine(read(name)[number])

    assert sorted(task.pid for group in found.groups for task in group.tasks) == sorted(
        task.pid for task in found.report.tasks
    )
    assert sum(group.page_tables for group in found.groups) == (found.report.tables_of_tasks or 0)


def test_the_first_kill_frees_next_to_nothing() -> None:
    """The kernel kills the process with the largest RSS, whose shared memory stays."""
    (victim,) = examine(read("linux-6.1")[2]).victims

    assert (victim.kill.name, victim.tables) == ("checkpointer", 90112)
    assert victim.freed == victim.kill.anon + 90112
    assert victim.stays == victim.kill.shmem
    assert victim.kills_needed == -(-49260134 // victim.freed)


def test_what_fork_shares_is_not_freed() -> None:
    """7 MiB of private memory that all processes have from their parent come back with the last one."""
    (victim,) = examine(read("linux-6.18-cgroup1")[0]).victims

    assert victim.kill.anon > 7 << 20
    assert victim.freed < 1 << 20


def test_bytes_that_5_4_calls_kib() -> None:
    """The row of the dump is right where the line of the kill is 1,024 times too large."""
    (victim,) = examine(read("linux-5.4-leak")[0]).victims

    assert victim.tables == 62_914_560


def test_settings_of_the_oracle_case() -> None:
    """Huge pages first, exactly as many as the segment has; THP for shared memory is younger than this kernel."""
    found = examine(read("rhel7-3.10-oracle")[0])
    workload = ptcalc.loads(oomlog.workload_document(found.report))
    first, second, third, *rest = found.settings

    pages = -(-workload.segments["shared-memory"].size // (2 << 20))
    assert first.lines == (f"vm.nr_hugepages = {pages}",)
    assert 44 * 512 <= pages <= 44.2 * 512
    assert "Oracle: USE_LARGE_PAGES = ONLY, and memlock at least the size of the SGA" in first.needs
    assert second.lines == ("hugepagesz=1G hugepages=45",)
    assert third.what.startswith("thp: ")
    assert "Linux 4.8 or later; this was 3.10.0-957.el7.x86_64" in third.needs
    assert [setting.what.split(":")[0] for setting in rest] == ["at most 121 processes in place of 189", "more memory"]


def test_the_advised_count_is_safe() -> None:
    """With as many processes as advised, the level of the same workload is ok."""
    report = read("rhel7-3.10-oracle")[0]
    workload = ptcalc.loads(oomlog.workload_document(report))
    risk = ptcalc.estimate(workload, policies=["today"]).policy("today").risk

    assert any(setting.what.startswith(f"at most {risk.safe_processes} ") for setting in examine(report).settings)


@pytest.mark.parametrize(("name", "number"), ALL)
def test_only_what_can_be_deployed_is_advised(name: str, number: int) -> None:
    found = examine(read(name)[number])
    if found.estimate is None:
        assert found.no_estimate
        return
    deployable = {result.policy for result in found.estimate.policies if result.availability.deployable}
    for setting in found.settings:
        policy = setting.what.split(":")[0]
        assert policy in deployable or setting.what.startswith(("at most", "more memory", "a higher limit"))
        assert RISK_ORDER.index(setting.level) < RISK_ORDER.index("critical")


def test_nothing_is_advised_against_a_leak() -> None:
    found = examine(read("linux-5.4-leak")[0])

    assert found.settings == ()
    assert found.items[0].name == "private memory"


@pytest.mark.parametrize(
    ("report", "remark"),
    [
        (made(pool=8), "8 of 8 huge pages of 2 MiB were reserved and free"),
        (made(order=4), "16 pages were asked for together (order 4), which the kernel gives up early"),
        (made(order=2), "4 pages were asked for together (order 2), in one piece"),
        (made(order=-1), "the kill was asked for by hand"),
        (made(free=6_000), "23 MiB were free"),
        (made(swap=4096), "4 MiB of swap were free"),
        (read("linux-4.14-docker")[0], "the architecture is not in the report"),
    ],
)
def test_remarks(report: OomReport, remark: str) -> None:
    assert any(each.startswith(remark) for each in examine(report).remarks)


def test_no_remark_without_a_cause() -> None:
    report = made(order=0, free=500, pool=0, swap=0)

    assert [each for each in examine(report).remarks if "architecture" not in each] == []


def test_the_gravest_report_is_chosen() -> None:
    reports = [made(tables=100), made(tables=900), made(tables=900), read("arm64-16k-7.2-lost")[0]]

    assert gravest(reports) == 1
    assert gravest(reports[3:]) == 0


def test_library_twin() -> None:
    """`autopsy_log` examines every report of a log."""
    found: list[Autopsy] = ptcalc.autopsy_log(str(EXAMPLE))

    assert [each.verdict for each in found] == ["yes"] * 4
    with pytest.raises(ptcalc.InputError, match="no OOM report is in it"):
        ptcalc.autopsy_log("/dev/null")


@pytest.mark.parametrize(
    ("name", "number"), [("linux-6.1", 2), ("linux-6.12", 1), ("linux-7.2", 2), ("linux-6.1", 0), ("linux-7.2", 0)]
)
def test_the_model_runs_out_where_a_real_kernel_did(name: str, number: int) -> None:
    """With the watermarks of the report, the count that fits is that of the report within 3 %, or 2 processes."""
    found = examine(read(name)[number])

    assert found.estimate is not None
    fits = found.estimate.policy("today").risk.max_processes
    assert fits == pytest.approx(len(found.report.tasks), rel=0.03, abs=2)
