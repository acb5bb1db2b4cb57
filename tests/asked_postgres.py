"""A real PostgreSQL that says what it computes.

`postgres -C` computes without starting a server, so that any size of shared_buffers can be asked for.
"""

from __future__ import annotations

import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Postgres:
    """A cluster of files to ask."""

    binary: Path
    data: Path

    def ask(self, name: str, *settings: str) -> str:
        """The value of a parameter under settings."""
        words = [word for setting in settings for word in ("-c", setting)]
        asked = subprocess.run(
            ["runuser", "-u", "postgres", "--", str(self.binary), "-D", str(self.data), *words, "-C", name],
            cwd=self.data, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return asked.stdout.strip()


@contextmanager
def asked() -> Iterator[Postgres]:
    """Give PostgreSQL of the distribution's package; skips where there is none, or nobody to run it as."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    binaries = [path for path in binaries if int(path.parts[4]) >= 15]
    if not binaries:
        pytest.skip("no PostgreSQL 15 or newer below /usr/lib/postgresql: install postgresql")
    if shutil.which("runuser") is None or subprocess.run(["runuser", "-u", "postgres", "true"]).returncode:
        pytest.skip("needs root and a user postgres, because a server does not run as root")
    user = pwd.getpwnam("postgres")
    folder = Path(tempfile.mkdtemp(prefix="ptcalc-postgres-"))
    try:
        shutil.chown(folder, user.pw_uid, user.pw_gid)
        initdb = [binaries[-1].with_name("initdb"), "-D", folder / "data", "-A", "trust", "--no-sync"]
        subprocess.run(
            ["runuser", "-u", "postgres", "--", *map(str, initdb)],
            cwd=folder, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        yield Postgres(binaries[-1], folder / "data")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
