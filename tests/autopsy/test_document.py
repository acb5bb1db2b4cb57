"""The workload that an OOM report tells of: it loads, and its figures are those of the kernel."""

from __future__ import annotations

import pytest

import ptcalc
from ptcalc.capture import oomlog
from ptcalc.errors import InputError

from .data import NAMES, read

WHOLE = [
    (name, number)
    for name in NAMES
    for number, report in enumerate(read(name))
    if report.memory is not None and report.tasks
]


def document(name: str, number: int) -> tuple[oomlog.OomReport, str]:
    report = read(name)[number]
    return report, oomlog.workload_document(report)


@pytest.mark.parametrize(("name", "number"), WHOLE)
def test_the_model_finds_what_the_kernel_counted(name: str, number: int) -> None:
    """Page tables within 2 %, and today's demand within 10 % of the memory that ran out."""
    report, text = document(name, number)
    workload = ptcalc.loads(text, strict=report.cgroup is None)
    estimate = ptcalc.estimate(workload, policies=["today"])

    assert report.tables_of_tasks is not None and report.memory is not None
    assert estimate.processes == len(report.tasks)
    modelled = sum(each.expected_bytes * workload.processes[each.name].count for each in estimate.measured if each.name)
    assert modelled == pytest.approx(report.tables_of_tasks, rel=0.02)
    memory = estimate.policy("today").memory
    assert memory.boundary == ("host" if report.cgroup is None else "cgroup")
    assert memory.demand_bytes == pytest.approx(report.memory, rel=0.1)


# log, report, processes that ran when memory ran out
FIRST = [("linux-6.1", 0), ("linux-6.12", 0), ("linux-7.2", 0), ("linux-6.18-cgroup1", 0), ("arm64-16k-7.2", 0),
         ("linux-6.1", 2), ("linux-6.12", 1), ("linux-7.2", 2), ("rhel7-3.10-oracle", 0),
         ("linux-4.14-docker", 0)]  # fmt: skip


@pytest.mark.parametrize(("name", "number"), FIRST)
def test_the_model_runs_out_where_the_kernel_did(name: str, number: int) -> None:
    """The largest count that fits, as it is estimated from the report, is that of the report within 10 %."""
    report, text = document(name, number)
    risk = ptcalc.estimate(ptcalc.loads(text), policies=["today"]).policy("today").risk

    assert risk.max_processes == pytest.approx(len(report.tasks), rel=0.1)


def test_segment_is_the_one_that_was_mapped() -> None:
    """In the logs of real kernels it was 3 GiB, 2 GiB and 12 GiB."""
    for name, size in (("linux-6.1", 3 << 30), ("linux-7.2", 3 << 30), ("linux-6.18-cgroup1", 2 << 30),
                       ("arm64-16k-7.2", 12 << 30)):  # fmt: skip
        _, text = document(name, 0)

        assert ptcalc.loads(text).segments["shared-memory"].size == pytest.approx(size, rel=0.02)


def test_memory_that_fork_shares_counts_once() -> None:
    """Forked processes have 7 MiB each in the dump; together they were charged less than 1 MiB."""
    report, text = document("linux-6.18-cgroup1", 0)
    groups = ptcalc.loads(text).processes.values()

    assert sum(task.anon or 0 for task in report.tasks) > 200 << 20
    assert sum(group.count * group.private for group in groups) < 1 << 20


def test_no_segment_without_shared_memory() -> None:
    """A program that leaks is that, and no segment is invented."""
    _, text = document("linux-5.4-leak", 0)

    assert "shared-memory" not in {name for name in ptcalc.loads(text).segments if name.startswith("shared")}
    assert "No process had shared memory worth a segment." in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x invoked oom-killer: gfp_mask=0x0, order=0\n", "lists no page tables"),
        (
            (
                "[ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name\n"
                "[    7]     0     7      100       50   1       0             0 old\n"
            ),
            "lists no page tables",
        ),
        (
            (
                "[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name\n"
                "[    7]     0     7      100       50       9        0             0 lost\n"
            ),
            "does not say how much memory",
        ),
    ],
)
def test_what_tells_of_no_workload(text: str, message: str) -> None:
    (report,) = oomlog.read(text)

    with pytest.raises(InputError, match=message):
        oomlog.workload_document(report)
