"""A sweep that is written to Parquet: what memory it takes, whatever the number of its rows."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.ratio import MIB, ROOT, Ratio
from benchmarks.scenarios import WORKLOAD

LIMIT = 512 << 20
COMMAND = [sys.executable, "-P", "-m", "ptcalc", "sweep"]
AXES = (
    "processes.server.mappings.0.touch=1%..100%:log25",
    "segments.sga.size=1GiB..500GiB:{size}MiB",
    "processes.server.mappings.0.address=1536MiB..1936MiB:4MiB",
    "processes.server.count=50..5000:50",
)


def memory(step: int = 4990) -> tuple[int, int]:
    """Return how many rows a sweep has written, and the largest memory of any of its processes together (bytes)."""
    with tempfile.TemporaryDirectory() as folder:
        workload, rows = Path(folder, "workload.yaml"), Path(folder, "rows.parquet")
        workload.write_text(WORKLOAD)
        axes = [word for axis in AXES for word in ("--vary", axis.format(size=step))]
        asked = ["--columns", "page_tables_bytes,headroom_bytes,risk", "--format", "parquet", "--output", str(rows)]
        process = subprocess.Popen(
            [*COMMAND, str(workload), *axes, *asked], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        most = 0
        while process.poll() is None:
            most = max(most, _resident(process.pid))
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        if process.returncode:
            raise RuntimeError(f"the sweep ended with {process.returncode}")
        import pyarrow.parquet

        return pyarrow.parquet.read_metadata(rows).num_rows, most


def bounded() -> Ratio:
    """Memory of all processes of a sweep of ten million scenarios, against 512 MiB."""
    rows, most = memory(step=12_500)
    return Ratio(f"{rows:,} rows to Parquet: memory / the limit", most, LIMIT, 1.0, MIB)


def not_growing() -> Ratio:
    """Memory with a hundred million scenarios against that with ten million."""
    few, small = memory(step=12_500)
    many, large = memory(step=1_277)
    return Ratio(f"{many:,} rows to Parquet / {few:,}: memory", large, small, 1.1, MIB)


def _resident(root: int) -> int:
    """Return the memory of a process and all below it: what each has alone, and its part of what they share (PSS)."""
    total, pids = 0, [root]
    while pids:
        pid = pids.pop()
        try:
            pids += [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has just ended
            continue
        total += next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)
    return total
