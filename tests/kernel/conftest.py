"""What the kernel tests need of the machine; each need that is not met is a reason to skip, in words."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ptcalc.verify.stage import SCRIPT

from .layouts import GIB, MIB, Layout

HUGE_PAGES = 160  # of 2 MiB: what the largest layout touches, private copies included
POOL = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
THP = Path("/sys/kernel/mm/transparent_hugepage")
CGROUPS = Path("/sys/fs/cgroup/memory")

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session", autouse=True)
def kernel() -> None:
    """Skip where the kernel has another geometry, or counts VmPTE by other rules."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip(f"measures Linux on x86_64, this is {sys.platform} on {platform.machine()}")
    numbers = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
    if numbers < (5, 14):
        pytest.skip(f"kernel {os.uname().release}: measured from 5.14 on")


@pytest.fixture(autouse=True)
def turn(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let no other test of this group run beside one that reads PageTables, also not in another worker."""
    with Path("/proc/meminfo").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if "page_tables" in request.fixturenames else fcntl.LOCK_SH)
        yield


@pytest.fixture(scope="session")
def mapper() -> Iterator[subprocess.Popen[str]]:
    """The process that forks the ones under test."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def run(mapper: subprocess.Popen[str], tmp_path: Path, request: pytest.FixtureRequest) -> Run:
    """Run a layout and return the mapper's answer; skip where it is not allowed."""

    def run_layout(layout: Layout, **counter: str) -> dict[str, Any]:
        require(layout)
        if layout.needs("hugetlb"):
            request.getfixturevalue("huge_pages")
        assert mapper.stdin is not None and mapper.stdout is not None
        job = layout.job(str(tmp_path)) | counter
        if counter:  # two steps in which nothing happens: what changes there is somebody else's
            job["workers"] = [[maps, [], touches, protects, []] for maps, touches, protects in job["workers"]]
        mapper.stdin.write(json.dumps(job) + "\n")
        mapper.stdin.flush()
        answer: dict[str, Any] = json.loads(mapper.stdout.readline())
        if answer.get("denied"):
            pytest.skip(f"not permitted here: {answer['error']}")
        assert "error" not in answer, answer["error"]
        return answer

    return run_layout


def require(layout: Layout) -> None:
    """Skip if this machine's settings or memory cannot give what the layout describes."""
    available = meminfo("MemAvailable")
    if available < layout.memory + GIB:
        pytest.skip(f"needs {layout.memory // MIB} MiB and 1 GiB in reserve; {available // MIB} MiB are available")
    switch = chosen(THP / "shmem_enabled")
    if (layout.needs("memfd") or layout.needs("anonymous")) and switch in ("always", "within_size", "force"):
        pytest.skip(f"shmem_enabled is {switch}: memfd gets huge pages")
    if layout.needs("tmpfs") and switch in ("deny", "force", ""):
        pytest.skip(f"shmem_enabled is {switch or 'missing'}: mount options do not decide")
    if layout.needs("shm"):
        options = next((line.split()[3] for line in mounts() if line.split()[1] == "/dev/shm"), "")
        if not options or re.search(r"huge=(always|within_size)", options) or switch == "force":
            pytest.skip(f"/dev/shm is not a tmpfs of base pages here (options: {options or 'not mounted'})")
        space = os.statvfs("/dev/shm")
        wanted = sum(segment.size for segment in layout.segments.values() if segment.kind == "shm")
        if space.f_bavail * space.f_frsize < wanted:
            pytest.skip(f"/dev/shm has less than {wanted // MIB} MiB free")


@pytest.fixture
def huge_pages() -> Iterator[None]:
    """Have enough free 2 MiB huge pages for one test; the pool is put back to what it was in every case."""
    if not POOL.exists():
        pytest.skip("this kernel has no 2 MiB huge pages")
    with POOL.open() as lock:
        # two test processes must not count on each other's pages, nor take them for what was there before
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = int(lock.read())
        free = int(POOL.with_name("free_hugepages").read_text())
        if free < HUGE_PAGES and not os.access(POOL, os.W_OK):
            pytest.skip(f"{free} free huge pages of 2 MiB, {HUGE_PAGES} needed, and only root may add some")
        try:
            if free < HUGE_PAGES:
                POOL.write_text(str(before + HUGE_PAGES))
                free = int(POOL.with_name("free_hugepages").read_text())
            if free < HUGE_PAGES:
                pytest.skip(f"only {free} of {HUGE_PAGES} huge pages of 2 MiB to be had: memory is fragmented")
            yield
        finally:
            if int(POOL.read_text()) != before:
                POOL.write_text(str(before))


@pytest.fixture
def page_tables() -> dict[str, str]:
    """Count by PageTables of the whole machine; the keys of a mapper's job."""
    if not os.access("/proc/sys/vm/stat_refresh", os.W_OK):
        pytest.skip("only root can fold the parts of PageTables together (/proc/sys/vm/stat_refresh)")
    return {"counter": "meminfo"}


@pytest.fixture
def cgroup() -> Iterator[dict[str, str]]:
    """Count by the kernel memory of a memory cgroup of version 1; the keys of a mapper's job.

    The line `pagetables` of version 2 stands still on some kernels (6.18 and a few of its updates).
    """
    if not (CGROUPS / "memory.kmem.usage_in_bytes").exists():
        pytest.skip("no memory controller of cgroup version 1 here")
    if not os.access(CGROUPS, os.W_OK):
        pytest.skip("only root can make a memory cgroup")
    path = CGROUPS / f"ptcalc-test-{os.getpid()}"
    path.mkdir()
    try:
        yield {"counter": "cgroup", "cgroup": str(path)}
    finally:
        path.rmdir()


def meminfo(name: str) -> int:
    """One line of /proc/meminfo in bytes."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name + ":"))


def mounts() -> list[str]:
    """/proc/self/mounts: device, directory, type, options; of two on one directory the last one counts."""
    return Path("/proc/self/mounts").read_text().splitlines()[::-1]


def chosen(switch: Path) -> str:
    """The word in brackets of a sysfs switch, or nothing if this kernel lacks it."""
    found = re.search(r"\[(\w+)\]", switch.read_text()) if switch.exists() else None
    return found[1] if found else ""
