"""The OOM logs of the tests, by name; README.md beside them says where each is from."""

from __future__ import annotations

from pathlib import Path

from ptcalc.capture import oomlog
from ptcalc.capture.oomlog import OomReport

FOLDER = Path(__file__).parent / "logs"
EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "oom.log"
NAMES = ["linux-7.2", *sorted(path.stem for path in FOLDER.glob("*.log"))]


def path(name: str) -> Path:
    """The file of that name; one of them is an example as well."""
    return EXAMPLE if name == "linux-7.2" else FOLDER / f"{name}.log"


def read(name: str) -> list[OomReport]:
    """The reports in it."""
    return oomlog.read_file(str(path(name)))
