"""Every example on the running kernel: no deterministic figure differs."""

from __future__ import annotations

from pathlib import Path

import pytest

import ptcalc
from ptcalc.errors import CannotDoHere

# Most of the time goes into waiting.
pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("early_readings")]

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
MEMORY = 120 << 20


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_kernel_says_the_same(path: Path) -> None:
    try:
        found = ptcalc.verify_workload(ptcalc.load(path), max_memory=MEMORY, allow_sysctl=True)
    except CannotDoHere as error:
        pytest.skip(str(error))

    assert found.need_bytes <= MEMORY
    assert [figure for figure in found.figures if figure.sd is None and figure.difference] == []
    assert found.contradicted == ()
    there = {name for name, group in ptcalc.load(path).processes.items() if group.count}
    assert {figure.name for figure in found.figures if figure.counter == "VmPTE"} == there
