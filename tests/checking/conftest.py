"""What the tests of checks share: a workload whose figures are known, and a way to judge it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ptcalc import CheckResult, check

# 200 processes that touch all of 24 GiB, from a page beyond a boundary on: 12,289 PTE, 25 PMD and 1 PUD tables each.
PER_PROCESS = 12_315 * 4096
TABLES = 200 * PER_PROCESS
MEMORY = 64 << 30
WORKLOAD = """\
version: 1
name: two hundred workers
host: {memory: 64 GiB, used: 4 GiB}
segments:
  cache: {size: 24 GiB, backing: shmem}
processes:
  worker:
    count: 200
    private: 20 MiB
    mappings:
      - segment: cache
"""
TODAY = date(2027, 3, 31)

Judge = Callable[..., CheckResult]


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """Judge the workload, with more sections, in a folder of its own; other files by their names and texts."""
    monkeypatch.chdir(tmp_path)

    def judged(more: str = "", files: dict[str, str] | None = None, **options: Any) -> CheckResult:
        Path("w.yaml").write_text(WORKLOAD + more)
        for name, text in (files or {}).items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(text)
        return check(options.pop("paths", ["w.yaml"]), **{"today": TODAY, **options})

    return judged
