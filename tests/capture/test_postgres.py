"""A real PostgreSQL, captured and estimated: VmPTE and PageTables as the kernel counts them.

Memory: 512 MiB of shared buffers, filled, and 20 backends that each scan them all.  `tests/capture/postgres.py` runs
larger ones.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import ptcalc
from ptcalc.capture import Detail, capture_system

from .postgres import DETAILS, MIB, NotHere, Server, page_tables, running, vmpte

pytestmark = pytest.mark.kernel

BUFFERS, BACKENDS = 512, 20


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of that size; skips where there can be none."""
    try:
        with running(BUFFERS, BACKENDS) as found:
            yield found
    except NotHere as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("detail", DETAILS)
def test_each_backend_within_2_percent(server: Server, detail: Detail) -> None:
    """What `estimate` expects of each captured backend is what the kernel shows."""
    found = capture_system(detail=detail)
    measured = {pid: vmpte(pid) for pid in server.backends}
    estimate = ptcalc.estimate(found.workload(), policies=["today"])

    group_of = {pid: name for name, pids in found.groups.items() for pid in pids}
    expected = {each.name: each.expected_bytes for each in estimate.measured}
    for pid, value in measured.items():
        assert value > BUFFERS * MIB * 8 // 10 // 512, "a backend did not touch the buffers"
        assert expected[group_of[pid]] == pytest.approx(value, rel=0.02), (pid, found.text)


@pytest.mark.parametrize("detail", DETAILS)
def test_page_tables_within_3_percent(server: Server, detail: Detail) -> None:
    """The whole machine's as well; what else starts and ends on it disturbs, hence three readings at most."""
    for _ in range(3):
        tables = page_tables(capture_system(detail=detail))
        expected = tables.expected_bytes + server.unexplained
        if expected == pytest.approx(tables.measured_bytes, rel=0.03):
            break

    assert expected == pytest.approx(tables.measured_bytes, rel=0.03)
