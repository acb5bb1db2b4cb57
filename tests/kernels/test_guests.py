"""Second-level tables and page tables against what hosts were measured to count (`guests.py` measures)."""

from __future__ import annotations

import json

import pytest

import ptcalc

from .guests import PAGE, RESULTS

RECORDS = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}


@pytest.mark.parametrize("name", RECORDS)
def test_every_guest_as_measured(name: str) -> None:
    """SecPageTables, its line in memory.stat and VmPTE of the monitor, to the byte."""
    for layout in RECORDS[name]["layouts"]:
        result = ptcalc.estimate(ptcalc.loads(layout["workload"]), policies=["today"]).policy("today")
        tables = result.second_level.bytes if result.second_level else 0
        _, before, after = layout["sec_page_tables"]
        assert (after - before) * PAGE == tables, layout["name"]
        _, before, after = layout["memcg_sec_pagetables"]
        assert after - before == tables, layout["name"]
        ((before, after),) = layout["vmpte"]
        assert (after - before) << 10 == result.processes[0].vmpte_bytes, layout["name"]


@pytest.mark.parametrize("name", RECORDS)
def test_a_root_is_not_counted(name: str) -> None:
    """A guest whose code lies in one page has three tables beside its root, and the counter shows three."""
    for layout in RECORDS[name]["layouts"]:
        fresh, idle, _ = layout["sec_page_tables"]
        assert idle - fresh == 3, layout["name"]
        assert layout["left"] == [fresh], layout["name"]


def test_enough_was_measured() -> None:
    assert len(RECORDS) >= 2
    assert all(len(record["layouts"]) >= 30 for record in RECORDS.values())
