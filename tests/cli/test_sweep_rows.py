"""``ptcalc sweep`` over many combinations: pages, chosen rows, files, workers and interruptions."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

import ptcalc
from ptcalc.cli.main import main
from ptcalc.report import row_files
from ptcalc.scenarios.figures import FIGURES
from tests.cli.test_sweep import WORKLOAD, rows_of
from tests.scenarios.test_study import alone


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The workload of the other tests of sweep."""
    path = tmp_path / "what-if.yaml"
    path.write_text(WORKLOAD)
    return path


SGA = """\
version: 1
host: {memory: 512 GiB, used: 12 GiB}
segments: {sga: {size: 300 GiB, backing: shmem}}
processes:
  server: {count: 1500, private: 12 MiB, mappings: [{segment: sga, touch: 10%}]}
"""
GRID = ["--vary", "segments.sga.size=1GiB..5GiB:1GiB", "--vary", "processes.server.count=100..3000:100"]


def test_the_page_of_a_grid(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first rows, how many more there are, totals, and a map whose cells are those rows."""
    assert main(["sweep", str(file), *GRID, "--policy", "today"]) == 0
    page = capsys.readouterr().out
    assert main(["sweep", str(file), *GRID, "--policy", "today", "--format", "csv"]) == 0
    rows = rows_of(capsys.readouterr().out)

    assert len(rows) == 150
    assert "and 110 more rows" in page
    totals = next(line for line in page.splitlines() if re.match(r"today +\d", line)).split()[1:]
    assert totals == [str(sum(row["risk"] == level for row in rows)) for level in ("ok", "warning", "critical", "oom")]
    assert len(set(totals)) > 1
    mapped = [
        line for line in page.splitlines() if re.match(r"\d GiB +-?\d\S* +-?\d\S*  ", line) and "today" not in line
    ]
    assert len(mapped) == 5
    marks = {"ok": "", "warning": "w", "critical": "c", "oom": "#"}
    for line in mapped:
        size, cells = int(line[0]), line.split()[2:]
        risks = {
            row["processes.server.count"]: row["risk"] for row in rows if row["segments.sga.size"] == str(size << 30)
        }
        assert cells[0].lstrip("-0123456789.,") == marks[risks["100"]]
        assert cells[-1].lstrip("-0123456789.,") == marks[risks["3000"]]


@pytest.mark.many
def test_rows_of_a_large_grid_are_estimates() -> None:
    """A random sample of 500 of 48,000 grid points: every figure under every policy is that of a file that says so."""
    sizes, addresses = [f"{size}MiB" for size in range(1000, 300_000, 15_000)], range(0x60000000, 0x60200000, 0x1A000)
    touches, counts = ["none", "0.001%", "24%", "all"], range(1, 6000, 200)
    vary: dict[str, Iterable[object]] = {
        "segments.sga.size": sizes,
        "processes.server.mappings.0.address": addresses,
        "processes.server.mappings.0.touch": touches,
        "processes.server.count": counts,
    }
    scan = ptcalc.scan_workload(ptcalc.loads(SGA), vary, figures=tuple(FIGURES))
    blocks = list(scan.blocks())
    columns = {column.name: column for column in scan.columns}
    rows = {name: np.concatenate([block[name] for block in blocks]) for name in columns}

    assert len(scan) == 20 * 20 * 4 * 30 == len(rows["risk"]) / 8
    for scenario in random.Random(7).sample(range(len(scan)), 500):
        each = [rows[path][8 * scenario] for path in vary]
        size, address, touch, count = each[0], each[1], columns[list(vary)[2]].words[each[2]], each[3]
        text = SGA.replace("300 GiB", f"{size} B").replace("touch: 10%", f"touch: {touch}, address: {address}")
        estimate = alone(ptcalc.loads(text.replace("count: 1500", f"count: {count}")).positions, {})
        for at, (policy, expected) in enumerate(estimate.items()):
            row = {name: rows[name][8 * scenario + at] for name in (*expected, "policy")}
            assert columns["policy"].words[row.pop("policy")] == policy
            assert row == expected, text


def test_some_rows(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Conditions and the best ones pick from the same rows."""

    def swept(*more: str) -> list[dict[str, str]]:
        assert main(["sweep", str(file), *GRID, "--format", "csv", *more]) == 0
        return rows_of(capsys.readouterr().out)

    rows = swept()
    assert swept("--where", "risk>=critical", "--where", "policy=today") == [
        row for row in rows if row["risk"] in ("critical", "oom") and row["policy"] == "today"
    ]
    assert swept("--where", "headroom_bytes < -1 GiB", "--where", "segments.sga.size != 5 GiB") == [
        row for row in rows if int(row["headroom_bytes"]) < -(1 << 30) and row["segments.sga.size"] != str(5 << 30)
    ]
    assert (
        swept("--top", "7", "--by", "page_tables_bytes")
        == sorted(rows, key=lambda row: -int(row["page_tables_bytes"]))[:7]
    )
    assert (
        swept("--top", "3", "--by", "-headroom_bytes", "--where", "exact=true")
        == sorted((row for row in rows if row["exact"] == "true"), key=lambda row: int(row["headroom_bytes"]))[:3]
    )
    short = swept("--columns", "risk,vmpte_bytes", "--where", "used_bytes>0")
    assert list(short[0]) == [*list(rows[0])[:3], "risk", "vmpte_bytes of server"]
    assert [row["risk"] for row in short] == [row["risk"] for row in rows if row["used_bytes"] != "0"]


def test_values_side_by_side(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --zip, the n-th values of all axes, words among them."""
    axes = ["--vary", "host.arch=x86_64,s390x,s390x,x86_64", "--vary", "processes.server.count=10,20,30,40"]
    assert main(["sweep", str(file), "--zip", *axes, "--policy", "today", "--format", "csv"]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert [(row["host.arch"], row["processes.server.count"]) for row in rows] == [
        ("x86_64", "10"), ("s390x", "20"), ("s390x", "30"), ("x86_64", "40")
    ]  # fmt: skip
    for row in rows:
        text = WORKLOAD.replace("count: 10", f"count: {row['processes.server.count']}")
        text = text.replace("used: 1 GiB", f"used: 1 GiB, arch: {row['host.arch']}")
        today = ptcalc.estimate(ptcalc.loads(text)).policy("today")
        assert int(row["page_tables_bytes"]) == today.page_tables.bytes


def test_files_are_written_whole_and_only_once(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that exists stays, unless --force; an error leaves nothing behind."""
    target = tmp_path / "rows.csv"
    command = ["sweep", str(file), *GRID, "--format", "csv", "--output", str(target)]
    before = set(tmp_path.iterdir())
    assert main([*command, "--where", "nothing=1"]) == 2
    bad = ["--vary", "processes.server.mappings.1.touch.cluster=64KiB,1000"]
    assert main([*command, *bad]) == 2
    assert set(tmp_path.iterdir()) == before

    capsys.readouterr()
    assert main(command) == 0
    text = target.read_text()
    assert capsys.readouterr().out == ""
    assert main([*command, "--policy", "today"]) == 2
    assert f"{target} exists" in capsys.readouterr().err
    assert target.read_text() == text
    assert main([*command, "--policy", "today", "--force"]) == 0
    assert 0 < len(target.read_text()) < len(text)
    assert set(tmp_path.iterdir()) == {*before, target}


def test_parquet_has_the_same_rows(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers are numbers, words are words, in row groups."""
    parquet = pytest.importorskip("pyarrow.parquet")
    target = tmp_path / "rows.parquet"
    axes = [*GRID, "--vary", "processes.server.mappings.0.touch=1%..100%:log5"]
    assert main(["sweep", str(file), *axes, "--format", "parquet", "--output", str(target)]) == 0
    assert main(["sweep", str(file), *axes, "--format", "jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert parquet.read_table(target).to_pylist() == lines


def test_row_groups_hold_many_blocks(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small blocks are gathered, and the last ones are written at the end."""
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(row_files, "ROW_GROUP", 1000)
    scan = ptcalc.scan_workload(file, {"processes.server.count": "1..210:1"})
    rows = row_files.Parquet(tmp_path / "rows.parquet", scan.columns)
    for block in scan.blocks(size=50):
        rows.write(block)
    rows.close()

    found = parquet.ParquetFile(tmp_path / "rows.parquet").metadata
    assert [found.row_group(at).num_rows for at in range(found.num_row_groups)] == [1200, 480]


def test_workers_change_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows are the same bytes with one process and with three."""
    axes = [*GRID, "--vary", "processes.server.mappings.0.touch=1%..100%:log5", "--format", "csv"]
    outputs = set()
    for jobs in ("1", "3"):
        assert main(["sweep", str(file), *axes, "--jobs", jobs]) == 0
        outputs.add(capsys.readouterr().out)
    assert len(outputs) == 1


def test_interrupted_rows_are_whole(file: Path, tmp_path: Path) -> None:
    """Ctrl-C ends with 130, says how far it came, and leaves rows that are whole."""
    target = tmp_path / "rows.csv"
    axes = ["--vary", "segments.sga.size=1GiB..100GiB:4MiB", "--vary", "processes.server.count=1..3000:1"]
    words = [sys.executable, "-m", "ptcalc", "sweep", str(file), *axes, "--columns", "risk", "--format", "csv"]
    process = subprocess.Popen([*words, "--output", str(target)], stderr=subprocess.PIPE, text=True)
    while not any(each.stat().st_size > 1 << 20 for each in tmp_path.iterdir() if each.name.startswith(".rows")):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()

    assert process.returncode == 130
    found = re.search(r"interrupted after ([\d,]+) of 76,035,000 combinations; their rows are whole", said)
    assert found is not None, said
    lines = target.read_text().splitlines()
    policies = len({line.split(",")[2] for line in lines[1:100]})
    assert len(lines) - 1 == int(found[1].replace(",", "")) * policies
    assert len({line.count(",") for line in lines}) == 1
