"""Captures of the running kernel: QEMU and a second process on one memory, ASLR, hugetlb, and who may not look."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import ptcalc
from ptcalc.capture import Detail, capture_system, tree

pytestmark = pytest.mark.kernel

MIB = 1 << 20
GUEST = 256 * MIB

# Maps the file of its first argument, touches it in steps of its second one, says so and waits.
MAPPER = """\
import mmap, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
memory = mmap.mmap(file, os.fstat(file).st_size)
for at in range(0, len(memory), int(sys.argv[2])):
    memory[at] = 1
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def linux() -> None:
    """Skip where nothing can be captured."""
    if sys.platform != "linux":
        pytest.skip(f"captures Linux, this is {sys.platform}")


@pytest.fixture
def mappers() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are ended after the test."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def mapper(started: list[subprocess.Popen[str]], path: str, step: int) -> int:
    """Start a process that maps a file and return its pid once it has touched it."""
    command = [sys.executable, "-I", "-S", "-c", MAPPER, path, str(step)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    started.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process.pid


def settled(pid: int) -> int:
    """RssShmem in bytes, once memory has stood still for a moment."""
    before, after = [""], amounts(pid)
    while before != after:
        time.sleep(0.3)
        before, after = after, amounts(pid)
    return int(next(line for line in after if line.startswith("RssShmem")).split()[1]) << 10


def amounts(pid: int) -> list[str]:
    """The lines of status about memory."""
    return re.findall(r"^(?:Vm|Rss).*$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)


def check(found_groups: dict[str, tuple[int, ...]], text: str, within: float) -> None:
    """What estimate expects of each group is near what was measured."""
    estimate = ptcalc.estimate(ptcalc.loads(text), policies=["today"])
    vmpte = [each for each in estimate.measured if each.counter == "VmPTE"]
    assert {each.name for each in vmpte} == set(found_groups)
    for each in vmpte:
        assert each.expected_bytes == pytest.approx(each.measured_bytes, rel=within, abs=8 << 10), text


# Sleeps uninterruptibly, as whoever has called vfork does until the child lets go; the child ends with its input.
SLEEPER = """\
import ctypes, os, sys
print("ready", flush=True)
if ctypes.CDLL(None).vfork() == 0:
    os.read(0, 1)
    os._exit(0)
"""


def asleep(started: list[subprocess.Popen[str]]) -> int:
    """Start a process, and return its pid once it sleeps uninterruptibly."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", SLEEPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    started.append(process)
    for _ in range(200):
        if "State:\tD" in Path(f"/proc/{process.pid}/status").read_text():
            return process.pid
        time.sleep(0.02)
    pytest.skip("vfork does not wait uninterruptibly here")


@pytest.mark.parametrize("answers", [True, False])
def test_a_process_that_hangs_in_the_kernel(
    answers: bool, mappers: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that sleeps is read; one whose files do not answer (its address space is locked) is said, and counted."""
    pid = asleep(mappers)
    never = threading.Event()
    whole = tree.Live._read

    def read(self: tree.Live, number: int, name: str) -> bytes:
        if not answers and (number, name) != (pid, "status") and number == pid:
            never.wait()
        return whole(self, number, name)

    monkeypatch.setattr(tree.Live, "_read", read)
    monkeypatch.setattr(tree, "PATIENCE", 0.05)
    try:
        found = capture_system(pids=[pid])
    finally:
        never.set()

    silent = [note for note in found.missing if "without an answer" in note]
    assert bool(silent) is not answers, found.missing
    assert [pid] == [each for pids in found.groups.values() for each in pids]


@pytest.mark.parametrize("detail", ["quick", "full", "pages"])
def test_qemu_and_a_second_process(detail: Detail, mappers: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    """A guest's memory that is shared is one segment with two groups."""
    emulator = shutil.which("qemu-system-x86_64")
    if emulator is None:
        pytest.skip("needs qemu-system-x86_64")
    log = tmp_path / "log"
    with log.open("w") as errors:
        guest = subprocess.Popen(
            [
                emulator, "-accel", "tcg,tb-size=32", "-nodefaults", "-display", "none", "-S", "-m", f"{GUEST >> 20}M",
                "-object", f"memory-backend-memfd,id=ram,size={GUEST >> 20}M,share=on,prealloc=on",
                "-machine", "q35,memory-backend=ram",
            ],
            stdin=subprocess.DEVNULL, stderr=errors, text=True,
        )  # fmt: skip
    mappers.append(guest)
    path = ""
    for _ in range(200):
        if guest.poll() is not None:
            pytest.skip(f"QEMU does not run here: {log.read_text()[:200]}")
        for link in Path(f"/proc/{guest.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed since
                if "memory-backend-memfd" in str(link.readlink()):
                    path = str(link)
        if path and settled(guest.pid) >= GUEST:
            break
        time.sleep(0.05)
    other = mapper(mappers, path, 4096)

    found = capture_system(pids=[guest.pid, other], detail=detail)

    workload = found.workload()
    assert sorted(found.groups.values()) == sorted([(guest.pid,), (other,)])
    (segment,) = workload.segments
    assert "memory-backend-memfd" in segment
    assert workload.segments[segment].size == GUEST
    # Only root may follow /proc/PID/map_files to the file, which says how much of it is there.
    assert workload.segments[segment].resident == (GUEST if os.geteuid() == 0 else "touched")
    assert [mapping.segment for group in workload.processes.values() for mapping in group.mappings] == [segment] * 2
    check(dict(found.groups), found.text, 0.02)


@pytest.mark.parametrize("detail", ["quick", "full", "pages"])
@pytest.mark.parametrize("step", [4096, MIB, 8 * MIB])
def test_processes_with_addresses_of_their_own_are_one_group(
    detail: Detail, step: int, mappers: list[subprocess.Popen[str]]
) -> None:
    """ASLR splits no group, and touches are told as far as the detail goes."""
    if not Path("/dev/shm").is_dir():
        pytest.skip("needs /dev/shm")
    path = Path(f"/dev/shm/ptcalc-test-{os.getpid()}")
    path.write_bytes(b"")
    try:
        os.truncate(path, 64 * MIB)
        pids = [mapper(mappers, str(path), step) for _ in range(4)]
        found = capture_system(pids=pids, detail=detail)
    finally:
        path.unlink()

    assert list(found.groups.values()) == [tuple(sorted(pids))]
    workload = found.workload()
    assert list(workload.segments) == [path.name]
    assert workload.segments[path.name].backing == "shmem"
    check(dict(found.groups), found.text, 0.03 if detail == "pages" else 0.02)


def test_ended_processes_are_counted(mappers: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    """A process that is gone is named."""
    path = tmp_path / "file"
    path.write_bytes(bytes(2 * MIB))
    pids = [mapper(mappers, str(path), 4096) for _ in range(2)]
    os.kill(pids[0], signal.SIGKILL)
    mappers[0].wait()

    found = capture_system(pids=pids)

    assert list(found.groups.values()) == [(pids[1],)]
    assert found.workload().segments["file"].backing == "file"
    assert any(str(pids[0]) in note for note in found.missing)


@pytest.fixture
def huge_pages() -> Iterator[None]:
    """Have 8 free huge pages of 2 MiB; the pool is put back to what it was."""
    pool = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
    if not os.access(pool, os.W_OK):
        pytest.skip("needs root and huge pages of 2 MiB")
    with pool.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever else changes the pool for a while locks it as well
        before, free = int(lock.read()), pool.with_name("free_hugepages")
        if int(free.read_text()) >= 8:
            yield
            return
        try:
            pool.write_text(str(before + 8))
            if int(free.read_text()) < 8:
                pytest.skip("no 8 huge pages of 2 MiB are to be had")
            yield
        finally:
            pool.write_text(str(before))


@pytest.mark.usefixtures("huge_pages")
def test_hugetlb_is_known_by_its_page_size(mappers: list[subprocess.Popen[str]]) -> None:
    """Memory of hugetlb is told from other memory without a file."""
    file = os.memfd_create("huge", os.MFD_HUGETLB | os.MFD_HUGE_2MB)
    try:
        os.ftruncate(file, 16 * MIB)
        memory = mmap.mmap(file, 16 * MIB)
        memory[0] = 1
        found = capture_system(pids=[mapper(mappers, f"/proc/{os.getpid()}/fd/{file}", 2 * MIB)])
        memory.close()
    finally:
        os.close(file)

    (segment,) = found.workload().segments.values()
    assert (segment.backing, segment.page_size, segment.size) == ("hugetlb", 2 * MIB, 16 * MIB)


def test_unprivileged_users_see_their_own(mappers: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    """Without permission to look into others, those are counted by their status."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv, to become another user")
    path = tmp_path / "file"
    path.write_bytes(bytes(2 * MIB))
    pid = mapper(mappers, str(path), 4096)
    code = f"import ptcalc; found = ptcalc.capture_system(pids=[{pid}]); print(found.missing); print(found.text)"
    root = Path(__file__).parents[2]
    run = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-P", "-c", code],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    if "PermissionError" in run.stderr or "ModuleNotFoundError" in run.stderr:
        pytest.skip("another user cannot read this checkout")

    assert run.returncode == 0, run.stderr
    assert "may not be looked into" in run.stdout
    assert ptcalc.loads(run.stdout.split("\n", 1)[1]).processes
