"""The tool that measures: what it writes for a guest and reads from one.  No guest is booted here."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import ptcalc
from ptcalc import arch
from ptcalc.arch.geometry import Geometry
from tests.kernel.layouts import Group, Mapping

from . import boot, catalogue
from .catalogue import Layout, Segment
from .test_results import ENOUGH

EVERY = list(arch.known().values())


@pytest.mark.parametrize("geometry", EVERY, ids=[geometry.name for geometry in EVERY])
def test_every_geometry_has_a_catalogue(geometry: Geometry) -> None:
    layouts = catalogue.catalogue(geometry)
    assert len({layout.name for layout in layouts}) == len(layouts) >= ENOUGH
    for layout in layouts:
        workload = ptcalc.loads(layout.text(geometry.name, "7.2"))  # the loader checks addresses and sizes
        assert sum(group.count for group in workload.processes.values()) == len(layout.processes())
        assert sum(size * pages for size, pages in layout.pools().items()) <= catalogue.MOST_HUGE


def test_a_job_says_what_the_workload_says() -> None:
    mapping = Mapping("s", 0x1000_0000, 0x40_0000, offset=0x20_0000, protection="none", touch={"every": 1 << 21})
    layout = Layout("one", {"s": Segment("hugetlb", 1 << 30, page_size=1 << 21)}, {"p": Group((mapping,), 2)})
    assert layout.job(4096).splitlines() == [
        "layout one",
        "pool 2097152 2",
        "segment hugetlb 1073741824 2097152",
        "processes 2",
        "map 0 0x10000000 0x400000 0x200000 3 1",
        "write 0x10000000 0x10400000 0x200000",
        "protect 0x10000000 0x400000 0",
        "run",
    ]


def test_answers() -> None:
    lines = ["begin", "release 6.1.0-50", "page_size 4096", "huge_pages 65536", "mmu Radix", "layout a", "vmpte 1 2",
             "vmpte 3 4", "page_tables 5 6", "layout b", "skipped No such thing", "end"]  # fmt: skip
    machine, layouts = boot.answers(iter(lines))
    assert machine == {"release": "6.1.0-50", "page_size": 4096, "huge_pages": [65536], "mmu": "Radix"}
    assert layouts == {"a": {"vmpte": [[1, 2], [3, 4]], "page_tables": [5, 6]}, "b": {"skipped": "No such thing"}}
    with pytest.raises(boot.Failed, match="before its end"):
        boot.answers(iter(lines[:-1]))


def test_initramfs() -> None:
    rest, found = boot.initramfs({"init": (0o100755, b"program"), "jobs": (0o100644, b"odd")}), {}
    while rest:
        assert rest[:6] == b"070701"
        mode, size, named = (int(rest[6 + 8 * place : 14 + 8 * place], 16) for place in (1, 6, 11))
        start = -(-(110 + named) // 4) * 4
        found[rest[110 : 110 + named].decode()] = (mode, rest[start : start + size])
        rest = rest[-(-(start + size) // 4) * 4 :]
    assert found == {
        "init\0": (0o100755, b"program"),
        "jobs\0": (0o100644, b"odd"),
        "TRAILER!!!\0": (0, b""),
    }


def test_the_newest_kernel_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = (
        "linux-image-6.12.94+deb13-arm64",
        "linux-image-6.12.107+deb13-arm64",
        "linux-image-6.12.200+deb13-arm64-16k",
    )
    monkeypatch.setattr(boot, "index", lambda *_: {name: {"Package": name} for name in names})
    (machine,) = [one for one in boot.MACHINES if one.name == "arm64-4k-va48-7.2"]
    assert boot.kernel_package(machine, tmp_path, "")["Package"] == "linux-image-6.12.107+deb13-arm64"


@pytest.mark.parametrize(("arguments", "code", "said"), [([], 3, "Debian package"), (["no-such-one"], 2, "known: ")])
def test_what_is_missing_is_named(
    arguments: list[str], code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["boot", *arguments])
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(boot, "kernel_package", lambda *_: {})
    monkeypatch.setattr(boot, "kernel_image", lambda *_: Path("vmlinuz"))
    assert boot.main() == code
    assert said in capsys.readouterr().err


def test_every_machine_has_a_geometry_and_a_platform() -> None:
    for machine in boot.MACHINES:
        assert machine.arch in boot.PLATFORMS
        assert machine.name.startswith(arch.get(machine.geometry).name)
