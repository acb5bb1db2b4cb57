"""A sweep on a Dask cluster: a real scheduler and two real worker processes on this machine, one of them killed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import ptcalc
from ptcalc.cli.main import main

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/oracle-sga-1500.yaml"
WAIT = 60  # seconds until something that must happen is taken not to
LARGE = [
    *("--vary", "segments.sga.size=100GiB..500GiB:500MiB"),
    *("--vary", "processes.dedicated-server.count=10..6000:10"),
    *("--policy", "today", "--policy", "hugetlb-2M"),
]
SMALL = ["--vary", "processes.dedicated-server.count=100..3000:100"]


@dataclass
class Cluster:
    """A scheduler and its workers."""

    address: str
    workers: list[subprocess.Popen[bytes]]


def until(condition: Callable[[], Any]) -> Any:
    """Wait for a condition and return what it gives."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


# Somebody's Python without ptcalc, although it is installed beside Dask.
WITHOUT = "import runpy, sys; sys.modules['ptcalc'] = None; runpy.run_module(sys.argv.pop(1), run_name='__main__')"


@contextmanager
def dask(program: str, *arguments: str, folder: Path, project: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    """Run the scheduler or a worker, where ptcalc can be imported or not; what it says is in a file of its own."""
    command = [sys.executable, *(["-m"] if project else ["-c", WITHOUT]), f"distributed.cli.dask_{program}"]
    with (folder / f"{program}-{time.monotonic_ns()}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *arguments, "--no-dashboard"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@contextmanager
def cluster(folder: Path, workers: int = 2, *, project: bool = True) -> Iterator[Cluster]:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: ./run cluster installs it")
    with ExitStack() as stack:
        scheduler_file = folder / "scheduler.json"
        options = ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(scheduler_file)]
        stack.enter_context(dask("scheduler", *options, folder=folder))
        until(lambda: scheduler_file.exists() and scheduler_file.read_text().endswith("}"))
        address = json.loads(scheduler_file.read_text())["address"]
        each = [address, "--nthreads", "1", "--no-nanny", "--local-directory", str(folder)]
        running = [stack.enter_context(dask("worker", *each, folder=folder, project=project)) for _ in range(workers)]
        with distributed.Client(address, set_as_default=False) as client:
            until(lambda: len(client.nthreads()) == workers)
        yield Cluster(address, running)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers that stay."""
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a Parquet file, or of the parts of a data set in the order of their names."""
    import pyarrow.dataset

    files = sorted(path.glob("part-*.parquet")) if path.is_dir() else [path]
    found: list[dict[str, Any]] = pyarrow.dataset.dataset(files).to_table().to_pylist()
    return found


def test_a_worker_that_is_killed_changes_nothing(tmp_path: Path) -> None:
    """No row is lost and none doubled: the rows are those of a run on this machine, in their order."""
    import pyarrow.dataset

    local, parts = tmp_path / "local.parquet", tmp_path / "parts"
    with cluster(tmp_path) as found:
        there = ["--format", "parquet", "--output", str(parts), "--scheduler", found.address]
        command = [sys.executable, "-m", "ptcalc", "sweep", str(EXAMPLE), *LARGE, *there]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as sweep:
            until(lambda: len(list(tmp_path.glob(".parts.*/part-*.parquet"))) >= 2)
            found.workers[0].kill()
            assert not parts.exists()
            out, _ = sweep.communicate(timeout=WAIT)
        assert (sweep.returncode, out) == (0, b"")
        assert found.workers[1].poll() is None
    assert main(["sweep", str(EXAMPLE), *LARGE, "--format", "parquet", "--output", str(local)]) == 0

    files = sorted(parts.glob("part-*.parquet"))
    assert len(files) > 10
    table, whole = (pyarrow.dataset.dataset(each).to_table() for each in (files, local))
    assert table.num_rows == 820 * 600 * 2
    assert table.equals(whole.cast(table.schema))
    manifest = json.loads((parts / "_manifest.json").read_text())
    assert manifest["rows"] == table.num_rows
    assert [part["file"] for part in manifest["parts"]] == [file.name for file in files]
    assert {path.name for path in parts.iterdir()} == {"_manifest.json", *(file.name for file in files)}
    assert not list(tmp_path.glob(".parts*"))


def test_conditions_hold_in_the_parts(two: Cluster, tmp_path: Path) -> None:
    """Rows are chosen where they are made, and a part may have none."""
    parts, local = tmp_path / "parts", tmp_path / "local.parquet"
    arguments = ["sweep", str(EXAMPLE), *SMALL, "--where", "risk<critical", "--format", "parquet"]
    assert main([*arguments, "--output", str(parts), "--scheduler", two.address]) == 0
    assert main([*arguments, "--output", str(local)]) == 0

    assert rows_of(parts) == rows_of(local)
    assert rows_of(parts)


@pytest.mark.parametrize("form", ["csv", "jsonl", "text"])
def test_rows_come_back(form: str, two: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    """What is written here is the same to the byte, wherever it was evaluated."""
    arguments = ["sweep", str(EXAMPLE), *SMALL, "--vary", "host.arch=x86_64,arm64-64k", "--format", form]
    assert main([*arguments, "--scheduler", two.address]) == 0
    there = capsys.readouterr().out
    assert main(arguments) == 0

    assert capsys.readouterr().out == there


def test_errors_come_back(two: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A combination that is refused is an error as it is here, and leaves nothing."""
    arguments = ["sweep", str(EXAMPLE), "--vary", "processes.dedicated-server.mappings.0.address=1536MiB,1"]
    parts = tmp_path / "parts"
    assert main([*arguments, "--scheduler", two.address, "--format", "parquet", "--output", str(parts)]) == 2
    there = capsys.readouterr().err
    assert main(arguments) == 2

    assert there == capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_only_what_ptcalc_has_written_is_replaced(
    two: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = tmp_path / "parts"
    arguments = ["sweep", str(EXAMPLE), *SMALL, "--format", "parquet", "--output", str(parts)]
    arguments += ["--scheduler", two.address]
    assert main(arguments) == 0
    before = rows_of(parts)
    assert main(arguments) == 2
    assert "--force to replace it" in capsys.readouterr().err
    assert main([*arguments, "--policy", "today", "--force"]) == 0
    assert rows_of(parts) == [row for row in before if row["policy"] == "today"]
    (parts / "_manifest.json").unlink()
    assert main([*arguments, "--force"]) == 2
    assert "is no directory that ptcalc has written" in capsys.readouterr().err


def test_an_interrupted_data_set_is_whole(tmp_path: Path) -> None:
    """Ctrl-C ends with 130, says how far it came, and leaves the parts until there."""
    parts = tmp_path / "parts"
    with cluster(tmp_path) as found:
        there = ["--format", "parquet", "--output", str(parts), "--scheduler", found.address]
        command = [sys.executable, "-m", "ptcalc", "sweep", str(EXAMPLE), *LARGE, *there]
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as sweep:
            until(lambda: len(list(tmp_path.glob(".parts.*/part-*.parquet"))) >= 2)
            sweep.send_signal(signal.SIGINT)
            _, err = sweep.communicate(timeout=WAIT)

    assert sweep.returncode == 130
    done = re.fullmatch(r"ptcalc: interrupted after ([\d,]+) of 492,000 combinations; their rows are whole\n", err)
    assert done is not None, err
    manifest = json.loads((parts / "_manifest.json").read_text())
    assert manifest["combinations"] == int(done[1].replace(",", "")) < 492_000
    assert manifest["rows"] == 2 * manifest["combinations"] == len(rows_of(parts))


def test_a_cluster_without_workers_or_ptcalc(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be done there is 3, and says what is missing."""
    arguments = ["sweep", str(EXAMPLE), *SMALL, "--format", "csv", "--scheduler"]
    with cluster(tmp_path, workers=0) as found:
        assert main([*arguments, found.address]) == 3
        assert "has no workers" in capsys.readouterr().err
    (tmp_path / "scheduler.json").unlink()
    with cluster(tmp_path, workers=1, project=False) as found:
        assert main([*arguments, found.address]) == 3
        assert f"workers at {found.address} cannot import ptcalc" in capsys.readouterr().err


def test_another_version(two: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(ptcalc, "__version__", "99.0")

    assert main(["sweep", str(EXAMPLE), *SMALL, "--scheduler", two.address]) == 3
    assert "and this is 99.0" in capsys.readouterr().err


def _answer(server: socket.socket) -> None:
    """Speak first, but not as Dask does."""
    with server.accept()[0] as connection:
        connection.sendall(b"220 mail.example ESMTP\r\n")


def test_what_is_no_scheduler(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error within seconds, and nothing is written: nobody, somebody who is silent, and somebody else."""
    output = tmp_path / "parts"
    arguments = ["sweep", str(EXAMPLE), *SMALL, "--format", "parquet", "--output", str(output), "--scheduler"]
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=_answer, args=(other,), daemon=True).start()
        with socket.create_server(("127.0.0.1", 0)) as closed:
            nobody = closed.getsockname()[1]
        cases = {
            f"tcp://127.0.0.1:{nobody}": "no scheduler answers: Connection refused",
            f"tcp://127.0.0.1:{silent.getsockname()[1]}": "no scheduler answers: timed out",
            f"tcp://127.0.0.1:{other.getsockname()[1]}": "what answers is no scheduler",
            "tcp://scheduler.invalid:8786": "no scheduler answers",
            "http://127.0.0.1:8786": "is no address of a scheduler",
            "tcp://127.0.0.1": "is no address of a scheduler",
            "tcp://[::1": "is no address of a scheduler",
            "": "is no address of a scheduler",
        }
        for address, said in cases.items():
            assert main([*arguments, address]) == 2, address
            err = capsys.readouterr().err
            assert said in err
            assert "accepted: the address of a Dask scheduler" in err
    assert list(tmp_path.iterdir()) == []
