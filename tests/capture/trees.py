"""Fake /proc trees: from a bundle of files in one text, as a directory or as an archive."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path

SCENARIOS = Path(__file__).parent / "scenarios"


def bundle(name: str) -> dict[str, bytes]:
    """The files of a scenario by path; a line ``==> PATH <==`` starts each, as `head` writes it."""
    text = (SCENARIOS / f"{name}.txt").read_bytes()
    parts = re.split(rb"^==> (.+) <==\n", text, flags=re.MULTILINE)
    files = dict(zip(parts[1::2], parts[2::2], strict=True))
    return {path.decode(): data for path, data in files.items()}


def directory(files: Mapping[str, bytes], where: Path) -> Path:
    """Write the files below a directory."""
    for path, data in files.items():
        target = where / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return where


def archive(
    files: Mapping[str, bytes], where: Path, mode: str = "w:xz", top: str = "sosreport-db1-2026-11-23/"
) -> Path:
    """Write the files as a tar archive."""
    with tarfile.open(where, mode) as tar:  # type: ignore[call-overload]
        for path, data in files.items():
            member = tarfile.TarInfo(top + path)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return where
