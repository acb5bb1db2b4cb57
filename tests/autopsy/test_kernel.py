"""A real OOM kill on the running kernel, in a memory cgroup of its own, read from /dev/kmsg and examined."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ptcalc.autopsy import examine
from ptcalc.capture import oomlog

pytestmark = pytest.mark.kernel

LIMIT = 96 << 20
SIZE = 2 << 30
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A memory cgroup with a limit, of either version."""
    if os.geteuid() != 0:
        pytest.skip("making a memory cgroup and reading /dev/kmsg need root")
    if Path("/proc/sys/vm/panic_on_oom").read_text().strip() != "0":
        pytest.skip("vm.panic_on_oom is set: an OOM kill would stop the machine")
    if os.sysconf("SC_PAGE_SIZE") != 4096:
        pytest.skip("the amounts are those of pages of 4 KiB")
    if V1.is_dir():
        root, limit = V1, "memory.limit_in_bytes"
    elif "memory" in (V2 / "cgroup.subtree_control").read_text().split():
        root, limit = V2, "memory.max"
    else:
        pytest.skip("there is no memory cgroup controller")
    group = root / f"ptcalc-oom-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made: {error}")
    try:
        (group / limit).write_text(str(LIMIT))
        yield group
    finally:
        for _ in range(100):  # until the last process has left it
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.05)


@pytest.fixture
def messages() -> Iterator[int]:
    """The kernel's messages from now on."""
    try:
        file = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        pytest.skip(f"/dev/kmsg cannot be read: {error}")
    os.lseek(file, 0, os.SEEK_END)
    yield file
    os.close(file)


def drained(file: int) -> str:
    records = []
    while True:
        try:
            records.append(os.read(file, 1 << 13).decode("utf-8", "replace"))
        except BlockingIOError:
            return "".join(records)
        except BrokenPipeError:  # older ones were overwritten
            continue


def test_an_oom_kill_is_understood(cgroup: Path, messages: int) -> None:
    """Every process is in it, with the tables that each must have; it was page tables, and the model says when."""
    script = Path(__file__).with_name("provoke.py")
    result = subprocess.run(
        [sys.executable, "-I", "-S", str(script), str(cgroup), str(SIZE)], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    started = int(result.stdout)
    time.sleep(0.2)

    reports = [report for report in oomlog.read(drained(messages)) if report.cgroup == f"/{cgroup.name}"]
    report = reports[0]
    found = examine(report)

    assert report.limit == LIMIT
    assert report.kills[0].name == "ptcalc) total-v"
    # One more may have been started between the kill and the moment in which the parent saw it.
    assert started - len(report.tasks) in (0, 1)
    # 1,024 PTE tables of the memfd, and a few tables of Python itself: the last one was killed on its way there.
    full = sorted(task.page_tables or 0 for task in report.tasks)[1:]
    assert all(1024 * 4096 < tables < 1.1 * 1024 * 4096 for tables in full)
    assert found.verdict == "yes"
    assert found.estimate is not None
    assert found.estimate.policy("today").risk.max_processes == pytest.approx(len(report.tasks), abs=2)
