"""Second-level tables of guests: against the set-of-keys model, and what the ledger and the counters make of them."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ptcalc
from ptcalc import arch
from ptcalc.arch.second_level import second_level
from tests import strategies as make
from tests.reference.model import guest_tables
from tests.strategies import GIB, MIB, PAGE, Document

ASKED = os.environ.get("PTCALC_EXAMPLES")
thorough = settings(
    max_examples=int(ASKED or 25),
    deadline=None,
    derandomize=ASKED is None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@st.composite
def guests(draw: st.DrawFn) -> Document:
    """Random workloads some of whose mappings are guests' memory."""
    document: Document = draw(make.workloads(most_processes=2))
    document["host"].pop("kernel", None)
    for group in document["processes"].values():
        at, stated = 0, draw(st.booleans())
        for mapping in group["mappings"]:
            if mapping.get("protection") == "none" or draw(st.integers(0, 3)) == 0:
                continue
            mapping["second_level"] = draw(st.sampled_from(["kvm", "kvm", "kvm+vfio"]))
            segment = document["segments"][mapping["segment"]]
            length = make.length_of(mapping, segment)
            if "vfio" in mapping["second_level"] and length <= make.DENSE:
                mapping["touch"] = "all"
            else:
                mapping["second_level"] = "kvm"
                if draw(st.integers(0, 2)) == 0:
                    mapping["guest_touch"] = {"ranges": [{"start": length // 2 // PAGE * PAGE, "length": PAGE}]}
                    mapping["touch"] = [
                        *(mapping["touch"] if isinstance(mapping["touch"], list) else [mapping["touch"]]),
                        mapping["guest_touch"],
                    ]
            if stated:
                at += draw(st.sampled_from([0, 0, PAGE, MIB, 2 * MIB, GIB - 2 * MIB, GIB]))
                mapping["guest_address"] = at
                at += (length + 2 * GIB) // GIB * GIB
    return document


@thorough
@given(guests())
def test_any_guests(document: Document) -> None:
    workload = ptcalc.loads(make.text_of(document))
    for result in ptcalc.estimate(workload).policies:
        found = {(guest.name, guest.kind): guest for guest in result.second_level.guests} if result.second_level else {}
        for kind in ("kvm", "vfio"):
            for name, tables in guest_tables(workload, result.policy, kind).items():
                guest = found.get((name, kind))
                got = sum(level.tables for level in guest.levels) if guest else 0
                assert [got] * len(tables) == tables, (result.policy, name, kind, make.text_of(document))


def machine(mapping: Document, *, count: int = 1, segment: Document | None = None, **host: Any) -> str:
    """A workload of one group of emulators."""
    return make.text_of(
        {
            "version": 1,
            "name": "guests",
            "host": {"memory": "64 GiB", "used": "1 GiB", **host},
            "segments": {"ram": segment or {"size": 8 * GIB, "backing": "shmem"}},
            "processes": {"emulator": {"count": count, "mappings": [{"segment": "ram", **mapping}]}},
        }
    )


def today(text: str) -> Any:
    """The result of `today`."""
    return ptcalc.estimate(ptcalc.loads(text), policies=["today"]).policy("today")


def test_a_guest_of_8_gib_in_base_pages() -> None:
    """2 MiB per GiB: 4096 PTE tables, 8 PMD tables, a PUD table; the root is memory that SecPageTables leaves out."""
    tables = today(machine({"second_level": "kvm"}, count=3)).second_level

    assert tables.bytes == 3 * (4096 + 8 + 1) * 4096
    assert tables.used_bytes == tables.bytes + 3 * 4096
    assert tables.exact


def test_devices_given_away_cost_it_again() -> None:
    """VFIO has tables of its own for the same memory; SecPageTables has them since 6.10, roots included."""
    new, old = (today(machine({"second_level": "kvm+vfio"}, kernel=each)).second_level for each in ("6.12", "6.6"))

    assert new.bytes == 2 * 4105 * 4096 + 4096
    assert old.bytes == 4105 * 4096
    assert new.used_bytes == old.used_bytes == 2 * 4106 * 4096


def test_before_6_1_nothing_shows_them() -> None:
    tables = today(machine({"second_level": "kvm"}, kernel="5.15")).second_level

    assert (tables.bytes, tables.used_bytes) == (0, 4106 * 4096)


def test_they_count_on_the_host_and_in_the_cgroup() -> None:
    plain, guest = (
        today(machine({} if kind == "none" else {"second_level": kind}, cgroup_limit=20 * GIB, count=2))
        for kind in ("none", "kvm")
    )

    assert guest.memory.boundary == "cgroup"
    assert guest.memory.demand_bytes - plain.memory.demand_bytes == 2 * 4106 * 4096
    (item,) = (item for item in guest.memory.items if item.kind == "second_level")
    assert item.name == "second-level tables (SecPageTables)"
    assert item.swappable_bytes == 0
    assert guest.page_tables == plain.page_tables


def test_a_draw_is_an_expectation() -> None:
    """What a guest touches at random is that of the mapping: one draw, seen twice."""
    result = today(machine({"second_level": "kvm", "touch": {"pages": 3000, "pattern": "scattered"}}))
    (guest,) = result.second_level.guests

    assert not guest.exact
    assert not result.second_level.exact
    assert [level.tables for level in guest.levels] == [level.tables for level in result.page_tables.levels]
    assert guest.sd_bytes == result.page_tables.sd_bytes


@pytest.mark.parametrize(
    ("name", "end", "levels", "root"),
    [
        ("arm64-4k-va48", 64 * GIB, 2, 8192),  # 40 bits: two tables of 1 GiB entries side by side
        ("arm64-4k-va48", 8 << 40, 2, 16 * 4096),  # 43 bits: 16 of them
        ("arm64-4k-va48", 16 << 40, 3, 4096),  # 44 bits: a level more
        ("arm64-16k-va47", 64 * GIB, 1, 16 * 16384),
        ("arm64-64k-va48", 64 * GIB, 1, 65536),
        ("x86_64-la57", 64 * GIB, 3, 4096),
    ],
)
def test_levels_of_a_stage_2(name: str, end: int, levels: int, root: int) -> None:
    found = second_level(arch.get(name), "kvm", end)

    assert found is not None
    assert (len(found.levels), found.root_bytes) == (levels, root)


REFUSED = [
    ({"guest_address": 0}, "guest_address"),
    ({"guest_touch": "all"}, "guest_touch"),
    ({"second_level": "kvm", "guest_address": 4097}, "no multiple of the page size"),
    ({"second_level": "kvm", "guest_address": 1 << 48}, "beyond what a guest can address"),
    ({"second_level": "vfio", "touch": "50%"}, "pins all"),
    ({"second_level": "kvm", "protection": "none"}, "protection none"),
    ({"second_level": "kvm", "guest_touch": {"ranges": [{"start": 8 * GIB, "length": 1}]}}, "past the mapping's end"),
    ({"second_level": "xen"}, "second_level"),
]


@pytest.mark.parametrize(("mapping", "says"), REFUSED)
def test_refused(mapping: Document, says: str) -> None:
    with pytest.raises(ptcalc.InputError) as caught:
        ptcalc.loads(machine(mapping))
    assert says in str(caught.value)
    assert caught.value.line


def test_refused_where_the_tables_are_not_known() -> None:
    with pytest.raises(ptcalc.InputError, match="not known"):
        ptcalc.loads(machine({"second_level": "kvm"}, arch="s390x"))


@pytest.mark.parametrize(
    ("address", "says"), [("guest_address: 4 GiB", "same guest"), ("alignment: 2 MiB", "of this guest")]
)
def test_memory_of_one_guest_lies_apart(address: str, says: str) -> None:
    document = machine({"second_level": "kvm", "guest_address": 0})
    first = f"    - segment: ram\n      second_level: kvm\n      {address}\n"
    with pytest.raises(ptcalc.InputError, match=says):
        ptcalc.loads(document.replace("    - segment: ram\n", f"{first}    - segment: ram\n", 1))
