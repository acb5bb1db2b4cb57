"""What the tests of the command line share: a small workload, and ways to run the command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]

WORKLOAD = """\
version: 1
name: two small groups
host: {memory: 8 GiB, used: 1 GiB}
segments:
  sga: {size: 1 GiB, backing: shmem}
processes:
  server:
    count: 10
    private: 1 MiB
    mappings: [{segment: sga}]
  reporter:
    count: 2
    scale: fixed
    private: 1 MiB
    mappings: [{segment: sga, protection: r, touch: 10%}]
"""


@pytest.fixture
def workload(tmp_path: Path) -> Path:
    """A workload file that fits its host with ease."""
    path = tmp_path / "small.yaml"
    path.write_text(WORKLOAD)
    return path


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """The same on a host that is too small."""
    path = tmp_path / "crowded.yaml"
    path.write_text(WORKLOAD.replace("8 GiB", "2 GiB"))
    return path


@pytest.fixture
def run() -> Run:
    """Run ``python -m ptcalc`` with some arguments as a process of its own; keywords go to subprocess.run."""

    def command(*arguments: object, **keywords: object) -> subprocess.CompletedProcess[bytes]:
        environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS")}
        environment.update(keywords.pop("env", {}))  # type: ignore[call-overload]
        streams = {} if "stdout" in keywords else {"capture_output": True}
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [sys.executable, "-m", "ptcalc", *map(str, arguments)],
            env=environment,
            timeout=60,
            check=False,
            **streams,
            **keywords,
        )

    return command
