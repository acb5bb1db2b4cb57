"""Whatever happens to a run, the machine is afterwards as it was, and the message says what happened."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import ptcalc
from ptcalc.cli.main import main
from ptcalc.errors import CannotDoHere
from ptcalc.verify import boundary, cgroups, experiment, machine, stage

ROOT = Path(__file__).parents[2]
POOL = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
PATIENCE = 20.0  # seconds for what is asynchronous by nature
MIB = 1 << 20

PLAIN = """
version: 1
host: {memory: 16 GiB}
segments: {area: {size: 1 GiB, backing: shmem, resident: 16 MiB}}
processes:
  server: {count: 3, mappings: [{segment: area, touch: {every: 2 MiB}}]}
"""
HUGE = """
version: 1
host: {memory: 16 GiB}
segments:
  area: {size: 1 GiB, backing: shmem, resident: 16 MiB}
  pages: {size: 8 MiB, backing: hugetlb, page_size: 2 MiB}
processes:
  server: {count: 3, mappings: [{segment: area, touch: {every: 2 MiB}}, {segment: pages}]}
"""
FILE = """
version: 1
host: {memory: 16 GiB}
segments: {area: {size: 64 MiB, backing: file}}
processes: {server: {count: 2, mappings: [{segment: area}]}}
"""


class Running:
    """``ptcalc verify`` as a process of its own, all of whose processes can be found again."""

    def __init__(self, path: Path, *options: str) -> None:
        self.mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ptcalc", "verify", str(path), *options],
            cwd=ROOT,
            env={**os.environ, "PTCALC_TEST": self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def left(self) -> list[int]:
        """The processes that are alive."""
        found = []
        for each in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark in (each / "environ").read_text(errors="replace"):
                    found.append(int(each.name))
            except OSError:
                continue
        return found

    def cgroups(self) -> list[Path]:
        controller = cgroups.controller()
        return list(controller.root.rglob(f"ptcalc-{self.process.pid}-*")) if controller else []

    def below(self, depth: int) -> list[int]:
        """The processes so many generations below ptcalc that map memory."""
        pids = [self.process.pid]
        for generation in range(depth):
            pids = [child for pid in pids for child in children(pid)]
            if not generation:
                pids = [pid for pid in pids if str(stage.SCRIPT) in Path(f"/proc/{pid}/cmdline").read_text()]
        return pids

    def wait_for(self, what: Callable[[], object]) -> None:
        until(lambda: what() or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.communicate()


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def until(what: Callable[[], object]) -> None:
    """Wait for what must come; the test fails if it does not."""
    patience = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < patience
        time.sleep(0.005)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "workload.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def pool() -> Iterator[int]:
    """The number of huge pages of 2 MiB before the test; it must be the same after it."""
    if not POOL.exists() or os.geteuid() != 0:
        pytest.skip("needs root and huge pages of 2 MiB")
    before = int(POOL.read_text())
    yield before
    assert int(POOL.read_text()) == before


@pytest.mark.kernel
@pytest.mark.parametrize("oom", [False, True], ids=["counters", "oom"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9), (signal.SIGTERM, -15)])
def test_nothing_is_left_when_it_is_ended(
    number: signal.Signals, code: int, oom: bool, written: Callable[[str], Path], pool: int
) -> None:
    """Also by kill -9: no process, no cgroup, and the pool as it was."""
    options = ["--oom", "--max-memory", "600M"] if oom else []
    run = Running(written(HUGE), "--allow-sysctl", *options)
    run.wait_for(lambda: len(run.below(3)) >= 3)
    assert run.cgroups()
    assert len(run.left()) >= 6

    run.process.send_signal(number)
    _, said = run.process.communicate()

    assert run.process.returncode == code
    assert "Traceback" not in said
    until(lambda: not run.left() and not run.cgroups())
    assert int(POOL.read_text()) == pool


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("depth", "said"),
    [
        (3, "a process under test died (SIGKILL)"),
        (2, "the process that starts the others died"),
        (1, "the process that maps memory was ended by somebody else"),
    ],
)
def test_a_child_dies(depth: int, said: str, written: Callable[[str], Path]) -> None:
    run = Running(written(PLAIN))
    run.wait_for(lambda: len(run.below(3)) >= 3)

    os.kill(run.below(depth)[-1], signal.SIGKILL)
    out, message = run.process.communicate()

    assert run.process.returncode == 3
    assert out == ""
    assert said in message and message.count("\n") == 1
    until(lambda: not run.left() and not run.cgroups())


@pytest.mark.kernel
def test_a_child_that_dies_is_no_boundary(written: Callable[[str], Path]) -> None:
    """A process that somebody kills is not taken for one that did not fit."""
    if os.geteuid() != 0:
        pytest.skip("making a memory cgroup needs root")
    run = Running(written(PLAIN), "--oom", "--max-memory", "900M", "--processes", "300")
    run.wait_for(lambda: len(run.below(3)) >= 20)

    os.kill(run.below(3)[5], signal.SIGKILL)
    _, message = run.process.communicate()

    assert run.process.returncode == 3
    assert "a process under test died (SIGKILL)" in message
    until(lambda: not run.left() and not run.cgroups())


@pytest.mark.kernel
def test_without_root_what_one_process_shows_is_compared(tmp_path: Path) -> None:
    """PageTables can only be folded together by root, and the report says so."""
    words = [shutil.which("setpriv") or "", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if os.geteuid() != 0 or not words[0]:
        pytest.skip("needs root, which can be given up, and setpriv")
    python = [*words, sys.executable, "-m", "ptcalc"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    again = "import ptcalc, subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    if subprocess.run([*python[:-2], "-c", again], cwd=ROOT, env=environment, capture_output=True).returncode:
        pytest.skip("others may not start this Python, or not read this checkout")

    def verify(*options: str) -> subprocess.CompletedProcess[str]:
        words = [*python, "verify", "-", *options]
        return subprocess.run(words, cwd=ROOT, env=environment, input=PLAIN, capture_output=True, text=True)

    result = verify("--format", "json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert [(figure["counter"], figure["difference_bytes"]) for figure in found["figures"]] == [("VmPTE", 0)]
    assert "PageTables: only root" in found["unmeasured"][0]

    for option in (["--counter", "cgroup"], ["--oom"]):
        result = verify(*option)
        assert result.returncode == 3
        assert "needs root" in result.stderr and result.stdout == ""


@pytest.mark.kernel
def test_huge_pages_are_not_added_unasked(
    written: Callable[[str], Path], pool: int, capsys: pytest.CaptureFixture[str]
) -> None:
    free = int(POOL.with_name("free_hugepages").read_text())
    many = written(HUGE.replace("8 MiB", f"{free + 1} GiB"))  # one page is accessed in each GiB

    assert main(["verify", str(many)]) == 3
    assert "more huge pages of 2,048 KiB are needed than are free; --allow-sysctl" in capsys.readouterr().err


@pytest.mark.kernel
@pytest.mark.usefixtures("early_readings")
def test_a_wrong_prediction_is_told(
    written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = experiment._by_group

    def wrong(*arguments: object) -> list[ptcalc.Figure]:
        return [replace(figure, expected=figure.expected + 4096) for figure in right(*arguments)]  # type: ignore[arg-type]

    monkeypatch.setattr(experiment, "_by_group", wrong)

    assert main(["verify", str(written(PLAIN))]) == 1
    out, said = capsys.readouterr()
    assert "NO. The kernel contradicts 1 figure" in out
    assert "-4,096" in out
    assert said == "ptcalc: the kernel contradicts the prediction: VmPTE of server\n"


@pytest.mark.kernel
def test_a_wrong_boundary_is_told(
    written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if os.geteuid() != 0:
        pytest.skip("making a memory cgroup needs root")
    right = boundary._most
    monkeypatch.setattr(boundary, "_most", lambda outcome, base: right(outcome, base) + 5)

    assert main(["verify", str(written(PLAIN)), "--oom", "--processes", "30", "--max-memory", "500M"]) == 1
    out, said = capsys.readouterr()
    assert "NO. Memory does not run out where ptcalc says" in out
    assert said.startswith("ptcalc: the kernel contradicts the prediction: ")


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test if a process is started."""

    def start(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", start)


@pytest.mark.usefixtures("nothing_starts")
class TestRefusedBeforehand:
    """What cannot be done is refused before a process is started."""

    def test_more_memory_than_there_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "available", lambda: 1000 * MIB)
        assert machine.budget(None) == 500 * MIB
        assert machine.budget(744 * MIB) == 744 * MIB
        with pytest.raises(CannotDoHere, match="900 MiB are asked for; 744 MiB of memory can be used"):
            ptcalc.verify_workload(ptcalc.loads(PLAIN), max_memory=900 * MIB)
        monkeypatch.setattr(machine, "available", lambda: 200 * MIB)
        with pytest.raises(CannotDoHere, match=r"^0 MiB of memory can be used"):
            ptcalc.verify_boundary(ptcalc.loads(PLAIN))

    def test_less_memory_than_is_needed(self) -> None:
        with pytest.raises(CannotDoHere, match=r"needs \d+ MiB and may take 1 MiB \(--max-memory\)"):
            ptcalc.verify_workload(ptcalc.loads(PLAIN), max_memory=MIB)
        with pytest.raises(CannotDoHere, match=r"100 processes need .*--max-memory allows 70 MiB"):
            ptcalc.verify_boundary(ptcalc.loads(PLAIN), max_memory=70 * MIB)
        with pytest.raises(CannotDoHere, match=r"a cgroup of 200 MiB and 64 MiB for the program are more than the 250"):
            ptcalc.verify_boundary(ptcalc.loads(PLAIN), limit=200 * MIB, max_memory=250 * MIB)

    def test_a_machine_that_would_stop(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        panic = tmp_path / "panic_on_oom"
        panic.write_text("2\n")
        monkeypatch.setattr(boundary, "PANIC", panic)
        with pytest.raises(CannotDoHere, match="panic_on_oom"):
            ptcalc.verify_boundary(ptcalc.loads(PLAIN))

    def test_a_machine_that_is_not_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "", "6.18.0", "", "sparc64")))
        with pytest.raises(CannotDoHere, match="page tables of sparc64 are not known"):
            ptcalc.verify_workload(ptcalc.loads(PLAIN))

    def test_another_system(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "darwin")
        with pytest.raises(CannotDoHere, match="this is darwin"):
            ptcalc.verify_workload(ptcalc.loads(PLAIN))

    @pytest.mark.parametrize(
        ("directory", "free", "said"),
        [
            ("/dev/shm", 1 << 40, "/dev/shm is a tmpfs"),
            ("/", 0, "/ has less than 65 MiB free; TMPDIR"),
        ],
    )
    def test_no_place_for_files(self, directory: str, free: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
        mounts = [("/", "ext4"), ("/dev", "devtmpfs"), ("/dev/shm", "tmpfs")]
        monkeypatch.setattr(machine, "mounts", lambda: mounts)
        monkeypatch.setattr("tempfile.gettempdir", lambda: directory)
        monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(free, 0, free))
        with pytest.raises(CannotDoHere, match=said):
            machine.directory_for(64 * MIB)


@pytest.mark.usefixtures("nothing_starts")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--processes", "0"], "--processes"),
        (["--processes", "many"], "--processes"),
        (["--scale", "0%"], "leaves nothing"),
        (["--scale", "200%"], "more than 100%"),
        (["--scale", "half"], "--scale"),
        (["--max-memory", "some"], "--max-memory"),
        (["--max-memory", "-1"], "--max-memory"),
        (["--seed", "-1"], "--seed"),
        (["--counter", "smaps"], "--counter"),
        (["--limit", "1G"], "only the cgroup of --oom has a limit"),
        (["--oom", "--limit", "0"], "--limit"),
        (["--oom", "--limit", "big"], "--limit"),
        (["--oom", "--counter", "cgroup"], "--counter"),
    ],
)
def test_wrong_options(
    options: list[str], said: str, written: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(written(PLAIN)), *options]) == 2
    out, message = capsys.readouterr()
    assert out == ""
    assert said in message


@pytest.mark.parametrize("budget", [100, 130, 200, 400])
def test_the_run_fits_what_it_may_take(budget: int) -> None:
    """Fewer processes first, then smaller sizes."""
    text = PLAIN.replace("1 GiB", "64 GiB")
    fitted = experiment.fit(ptcalc.loads(text), None, None, budget * MIB, seed=1)
    assert fitted.need <= budget * MIB
    assert fitted.script.bytes <= fitted.need
    assert (fitted.share == 1) == (budget == 400)
