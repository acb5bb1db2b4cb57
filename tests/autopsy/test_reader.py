"""OOM reports of several kernel generations, and what the reader makes of them."""

from __future__ import annotations

import re

import pytest

from ptcalc.capture import oomlog
from ptcalc.errors import InputError

from .data import path as log
from .data import read

KIB = 1 << 10


# log, report, line, cgroup, kernel, machine, page, memory, tables, processes, (pid, name) killed
REPORTS = [
    ("rhel7-3.10-oracle", 0, 3, None, "3.10.0-957.el7.x86_64", "x86_64", 4, 65913480, 16641280, 189,
     (2721, "oracle_2721_db")),
    ("linux-4.14-docker", 0, 3, "/docker/3f1c9a0e5b7d", "4.14.336", None, 4, 4951040, 341180, 43, (5200, "postgres")),
    ("linux-5.4-leak", 0, 3, None, "5.4.0-150-generic", "x86_64", 4, 32952708, 67536, 15, (3021, "java")),
    ("linux-6.1", 0, 1, "/db", "6.1.0-50-cloud-amd64", "x86_64", 4, 163840, 108116, 23, (84, "checkpointer")),
    ("linux-6.1", 1, 93, "/db", "6.1.0-50-cloud-amd64", "x86_64", 4, 163840, 108072, 22, (105, "postgres")),
    ("linux-6.1", 2, 185, None, "6.1.0-50-cloud-amd64", "x86_64", 4, 481056, 305984, 60, (107, "checkpointer")),
    ("linux-6.1", 3, 303, None, "6.1.0-50-cloud-amd64", "x86_64", 4, 481056, 307428, 59, (164, "postgres")),
    ("linux-6.12", 1, 124, None, "6.12.107+deb13-cloud-amd64", "x86_64", 4, 475584, 298276, 58, (164, "checkpointer")),
    ("linux-7.2", 2, 276, None, "7.2.13+deb14-cloud-amd64", "x86_64", 4, 471912, 290948, 56, (124, "checkpointer")),
    ("linux-6.18-cgroup1", 0, 1, "/ptcalc-oom", "6.18.44-fc-v657", "x86_64", 4, 131072, 109928, 31,
     (29902, "checkpointer")),
    ("arm64-16k-7.2", 0, 1, "/db", "7.2.13+deb14-arm64-16k", "aarch64", 16, 163840, 108256, 24, (98, "checkpointer")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "number", "line", "cgroup", "kernel", "machine", "page", "memory", "tables", "processes", "killed"),
    REPORTS,
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_report(
    name: str,
    number: int,
    line: int,
    cgroup: str | None,
    kernel: str,
    machine: str | None,
    page: int,
    memory: int,
    tables: int,
    processes: int,
    killed: tuple[int, str],
) -> None:
    """Each log says where it happened, how much memory there was, and who was killed; amounts are KiB here."""
    report = read(name)[number]

    assert (report.line, report.cgroup, report.kernel, report.machine) == (line, cgroup, kernel, machine)
    assert report.page == page * KIB
    assert report.memory == memory * KIB
    assert report.page_tables is not None
    assert report.page_tables[0] == tables * KIB
    assert len(report.tasks) == processes
    assert (report.kills[0].pid, report.kills[0].name) == killed
    assert report.notes == ()


@pytest.mark.parametrize(
    ("name", "reports"),
    [("linux-6.1", 4), ("linux-6.12", 3), ("linux-7.2", 4), ("linux-6.18-cgroup1", 3), ("arm64-16k-7.2", 2)],
)
def test_all_reports_of_a_log_are_found(name: str, reports: int) -> None:
    assert len(read(name)) == reports


@pytest.mark.parametrize("name", ["linux-6.12", "linux-7.2", "arm64-16k-7.2", "linux-6.18-cgroup1"])
def test_rss_is_the_sum_of_its_columns(name: str) -> None:
    """Kernels that print three columns of RSS print their sum as well."""
    for report in read(name):
        for task in report.tasks:
            assert task.anon is not None and task.file is not None and task.shmem is not None
            assert task.rss == task.anon + task.file + task.shmem


def test_columns_of_old_kernels() -> None:
    """nr_ptes and nr_pmds are tables, and the RSS is one."""
    postgres = next(task for task in read("linux-4.14-docker")[0].tasks if task.pid == 5200)
    oracle = next(task for task in read("rhel7-3.10-oracle")[0].tasks if task.pid == 2721)

    assert postgres.page_tables == (2110 + 9) * 4096
    assert oracle.page_tables is not None and 22572 * 4096 <= oracle.page_tables <= 22578 * 4096
    assert (postgres.anon, postgres.shmem) == (None, None)


def test_threads_count_once() -> None:
    """Before 5.3 a cgroup's dump has a line for each thread."""
    assert [task.pid for task in read("linux-4.14-docker")[0].tasks if task.name == "java"] == [5300]


def test_hostile_names() -> None:
    """Names that look like parts of a report, with a line break in one, change nothing else."""
    report = read("linux-6.1")[2]

    names = {task.name for task in report.tasks}
    assert {"a) total-vm:1kB", "]  5  5 5 (evil", "x"} < names
    assert report.meminfo["pagetables"] == 76496 * 4096


def test_names_in_the_kill_line() -> None:
    """Whatever stands in the parentheses is the name, line breaks and all."""
    tail = "total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:28kB oom_score_adj:0"
    for name in ("a) total-vm:1kB", "x\nMem-Info:", "(", ")", "Killed process", "1\n2\n3\n4\n5\n6\n7\n8"):
        (report,) = oomlog.read(f"Out of memory: Killed process 7 ({name}) {tail}\n")

        assert [(kill.pid, kill.name, kill.page_tables) for kill in report.kills] == [(7, name, 28 * KIB)]


@pytest.mark.parametrize(
    "line",
    [
        "Killed process 7 (x) vsz:8kB, anon-rss:4kB, file-rss:0kB",  # 2.6.33
        "Killed process 7, UID 26, (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB",  # RHEL 6
        "Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB",  # 3.10
        "Killed process 7 (x), UID 26, total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB",  # RHEL 7.9
        "Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB",  # 4.5
        "Memory cgroup out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB",
        "Out of memory (oom_kill_allocating_task): Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB",
        "Out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB, UID:26",
    ],
)
def test_kill_lines(line: str) -> None:
    """The line of a kill, as kernels have printed it."""
    (report,) = oomlog.read(f"[    1.000000] {line}\n")

    assert [(kill.pid, kill.name, kill.total_vm, kill.anon) for kill in report.kills] == [(7, "x", 8 * KIB, 4 * KIB)]


@pytest.mark.parametrize(
    "line",
    [
        "Out of memory and no killable processes...",
        "Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled",
        "Kernel panic - not syncing: System is deadlocked on memory",
    ],
)
def test_nothing_was_killed(line: str) -> None:
    start = "x invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"

    assert oomlog.read(f"{start}{line}\n")[0].notes[-1] == "the kernel found nothing to kill, or was told to panic"
    assert oomlog.read(start)[0].notes[-1] == "the log ends before a process is killed"


def prefixed(text: str, style: str) -> str:
    """The same log as another program shows it."""
    lines = []
    for number, line in enumerate(text.splitlines()):
        found = re.match(r"\[ *(\d+\.\d+)\] ", line)
        if found is None:
            # The second line of a message: only journalctl, dmesg and the console have such.
            lines.append(line)
            continue
        stamp, rest = found[1], line[found.end() :]
        lines.append(
            {
                "journal": f"Nov 23 06:38:28 db1 kernel: {rest}",
                "iso": f"2026-11-23T06:38:28.123456+01:00 db1 kernel: [{stamp:>12}] {rest}",
                "monotonic": f"[{stamp:>12}] db1 kernel: {rest}",
                "caller": f"[{stamp:>12}][  T{number % 97:04}] {rest}",
                "human": f"[Mon Nov 23 06:38:28 2026] {rest}",
                "decoded": f"kern  :info  : [{stamp:>12}] {rest}",
                "raw": f"<6>[{stamp:>12}] {rest}",
                "kmsg": f"6,{number},{int(float(stamp) * 1e6)},-;{rest}",
                "none": rest,
                "crlf": f"{line}\r",
            }[style]
        )
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", ["linux-6.1", "linux-7.2", "linux-6.18-cgroup1"])
@pytest.mark.parametrize(
    "style", ["journal", "iso", "monotonic", "caller", "human", "decoded", "raw", "kmsg", "none", "crlf"]
)
def test_prefixes_make_no_difference(name: str, style: str) -> None:
    text = log(name).read_text()
    plain = oomlog.read(text)
    shown = oomlog.read(prefixed(text, style))

    assert [(r.tasks, r.kills, r.meminfo, r.stats, r.pools, r.notes) for r in shown] == [
        (r.tasks, r.kills, r.meminfo, r.stats, r.pools, r.notes) for r in plain
    ]


def test_other_programs_say_nothing_of_the_kernel() -> None:
    """Whoever may write to syslog cannot forge a report."""
    lines = [
        "Nov 23 06:38:28 db1 mallory[77]: postgres invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0",
        "Nov 23 06:38:28 db1 mallory: Out of memory: Killed process 1 (init) total-vm:1kB, anon-rss:1kB, file-rss:0kB",
        "mallory says: Out of memory: Killed process 1 (init) total-vm:1kB, anon-rss:1kB, file-rss:0kB",
    ]

    assert oomlog.read("\n".join(lines)) == []


def test_rsyslog_escapes() -> None:
    """rsyslog writes line breaks inside a message as #012."""
    text = (
        "Nov 1 00:00:00 a kernel: x invoked oom-killer: gfp_mask=0x0, order=0\n"
        "Nov  1 00:00:00 a kernel: Mem-Info:\n"
        "Nov  1 00:00:00 a kernel: active_anon:1 inactive_anon:2#012 mapped:1 shmem:3 pagetables:4\n"
        "Nov  1 00:00:00 a kernel: 100 pages RAM\n"
        "Nov  1 00:00:00 a kernel: Out of memory: Killed process 5 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB\n"
    )
    (report,) = oomlog.read(text)

    assert report.meminfo["pagetables"] == 4 * 4096
    assert report.ram == 100 * 4096


def test_every_cut_is_told() -> None:
    """Wherever a log ends, and wherever it begins, there is a report with a note, or none at all."""
    lines = log("linux-6.12").read_text().splitlines(keepends=True)
    whole = oomlog.read("".join(lines[:124]))[0]
    for cut in range(1, 121):
        for text in ("".join(lines[:cut]), "".join(lines[cut:122])):
            for report in oomlog.read(text):
                assert report.notes or len(report.tasks) == len(whole.tasks)


def test_torn_lines() -> None:
    """A line that lost its middle is left out, and that is said."""
    text = log("linux-6.1").read_text().replace("787193     6766    90112        0", "787193     67")
    report = oomlog.read(text)[0]

    assert len(report.tasks) == 22
    assert report.notes == (
        "1 lines of the dump are torn: they are left out",
        "process 84, which was killed, is not in the dump: processes are missing",
    )


def test_lost_messages() -> None:
    """A real log in which messages were lost, from its middle on."""
    notes = [note for report in read("arm64-16k-7.2-lost") for note in report.notes]

    assert "messages were lost while it was printed: processes may be missing" in notes
    assert "the beginning of the report is not in the log" in notes
    assert "237 processes are listed without the line that names the columns: they are left out" in notes


@pytest.mark.parametrize("text", ["", "\n", "\0" * 5000, "hello\n" * 1000, "[  pid  ]\nMem-Info:\n", "[ 1] 2 3\n"])
def test_no_report(text: str) -> None:
    assert oomlog.read(text) == []


def test_too_many_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oomlog.reader, "MAX_REPORTS", 3)
    start = "x invoked oom-killer: gfp_mask=0x0, order=0\n"

    assert len(oomlog.read(start * 3)) == 3
    with pytest.raises(InputError, match="more than 3 OOM reports"):
        oomlog.read(start * 4)


def test_an_endless_file_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oomlog.reader, "MAX_BYTES", 1 << 20)

    with pytest.raises(InputError, match="larger than"):
        oomlog.read_file("/dev/zero")


@pytest.mark.parametrize("path", ["/nonexistent/log", "/", "bad\0name"])
def test_unreadable(path: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        oomlog.read_file(path)


def test_groups() -> None:
    """Names that differ in numbers are one group; the same name with other tables is another."""
    found = {(group.name, group.count) for group in oomlog.groups(read("rhel7-3.10-oracle")[0])}

    assert {("oracle_*_db", 180), ("ora_dbw*_db*", 4), ("ora_lgwr_db1", 1)} < found
    assert [(group.name, group.count) for group in oomlog.groups(read("linux-6.12")[1])][:3] == [
        ("postgres", 43),
        ("reporter", 10),
        ("postgres", 1),
    ]
