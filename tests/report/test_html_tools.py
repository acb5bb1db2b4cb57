"""The chart library that is carried along, against the package that npm has."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
from importlib import resources
from pathlib import Path

import pytest

pytestmark = [pytest.mark.tools, pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")]


def test_echarts_is_the_published_one(tmp_path: Path) -> None:
    """Every file is byte for byte that of the package of this version."""
    folder = resources.files("ptcalc.report.web") / "echarts"
    source = json.loads((folder / "SOURCE.json").read_text())
    package = f"{source['package']}@{source['version']}"
    done = subprocess.run(["npm", "pack", "--silent", package], cwd=tmp_path, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{package} cannot be fetched: {done.stderr}")

    with tarfile.open(tmp_path / done.stdout.strip()) as archive:
        for path, each in source["files"].items():
            member = archive.extractfile(f"package/{path}")
            assert member is not None
            published = member.read()
            assert published == (folder / each["file"]).read_bytes()
            assert hashlib.sha256(published).hexdigest() == each["sha256"]
