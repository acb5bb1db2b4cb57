"""Captured trees against the files that they give, and what estimate makes of these.

``PTCALC_UPDATE=1 pytest tests/capture`` writes the files anew; read the diff before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import ptcalc
from ptcalc.capture import Detail, capture_system

from .trees import SCENARIOS, archive, bundle, directory

NAMES = sorted(path.stem for path in SCENARIOS.glob("*.txt"))


@pytest.fixture
def tree(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A scenario as a directory with a name that is always the same."""
    monkeypatch.chdir(tmp_path)
    directory(bundle(request.param), Path("tree"))
    return "tree"


@pytest.mark.parametrize(("tree", "name"), [(name, name) for name in NAMES], indirect=["tree"])
def test_file_is_as_recorded(tree: str, name: str) -> None:
    """What is written for a tree does not change unnoticed."""
    text = capture_system(proc_root=tree, detail="full").text
    golden = SCENARIOS / f"{name}.yaml"
    if os.environ.get("PTCALC_UPDATE"):
        golden.write_text(text, encoding="utf-8")

    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("detail", ["quick", "full"])
@pytest.mark.parametrize("tree", NAMES, indirect=True)
def test_estimate_finds_the_vmpte_of_each_group(tree: str, detail: Detail) -> None:
    """A captured file loads, and its tables are those that the tree says."""
    found = capture_system(proc_root=tree, detail=detail)
    estimate = ptcalc.estimate(found.workload())

    vmpte = [each for each in estimate.measured if each.counter == "VmPTE"]
    assert [each.name for each in vmpte] == list(found.groups)
    for each in vmpte:
        assert each.expected_bytes == pytest.approx(each.measured_bytes, rel=0.02), each.name


@pytest.mark.parametrize("mode", ["w:xz", "w:gz", "w:bz2", "w"])
def test_an_archive_gives_what_its_tree_gives(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sosreport is read in place and says the same."""
    monkeypatch.chdir(tmp_path)
    files = bundle("oracle-hugetlb-smaps")
    directory(files, Path("tree"))
    archive(files, Path("report.tar"), mode)
    before = sorted(tmp_path.rglob("*"))

    whole = capture_system(proc_root="tree", detail="full").text
    packed = capture_system(sosreport="report.tar", detail="full").text

    assert packed.splitlines()[1:] == whole.splitlines()[1:]
    assert sorted(tmp_path.rglob("*")) == before
