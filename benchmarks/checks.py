"""Checking many files in one run, against parsing and evaluating the same files."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.ratio import Ratio, measure, process
from benchmarks.startup import SCRIPT

FILES = 500
# Another count in each file, so that no answer can be that of the file before.
WORKLOAD = """\
version: 1
name: workload {number}
host: {{memory: 512 GiB, used: 12 GiB}}
segments:
  sga: {{size: 64 GiB, backing: shmem}}
  log: {{size: 256 MiB, backing: file}}
processes:
  server:
    count: {count}
    private: 12 MiB
    mappings:
      - segment: sga
        touch: {{amount: 40%, pattern: contiguous}}
      - segment: log
  writer:
    count: 8
    scale: fixed
    private: 20 MiB
    mappings:
      - segment: sga
budgets:
  - {{rule: headroom, at_least: 10%}}
  - {{rule: page_tables, at_most: 200 GiB}}
accept:
  - {{rule: page-tables-large, reason: known, owner: operations, until: 2099-12-31}}
"""
ENGINE = """\
import os, sys
import ptcalc
for name in sorted(os.listdir(sys.argv[1])):
    ptcalc.estimate(ptcalc.load(os.path.join(sys.argv[1], name)), policies=["today"])
"""


def many_files() -> Ratio:
    """A folder of workloads, with budgets and an acceptance each, as a process of its own on both sides."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(FILES):
            text = WORKLOAD.format(number=number, count=100 + number)
            Path(folder, f"{number:03}.yaml").write_text(text)
        check = process(SCRIPT, "check", folder)
        return measure(f"check {FILES} files / parse and engine", check, process(ENGINE, folder), limit=1.5, rounds=2)
