"""Segments that exist once for each process of a group: against the set-of-keys model, and what they cost."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ptcalc
from ptcalc.estimation import evaluate
from ptcalc.risk.amounts import exact
from tests import strategies as make
from tests.reference.model import count, every_outcome, guest_tables, resident_touched
from tests.scenarios.test_study import agree, blocks
from tests.strategies import GIB, MIB, PAGE, Document

TABLE = 4096
ASKED = os.environ.get("PTCALC_EXAMPLES")


def thorough(share: float = 1.0) -> settings:
    """Settings of a test that runs `share` of the examples asked for."""
    return settings(
        max_examples=max(1, int(int(ASKED or 14) * share)),
        deadline=None,
        derandomize=ASKED is None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def with_copies(draw: st.DrawFn, documents: Any) -> Document:
    """A workload some of whose segments exist once for each process of a group."""
    document: Document = draw(documents)
    groups = sorted(document["processes"])
    for segment in document["segments"].values():
        if segment["backing"] != "private" and draw(st.integers(0, 2)):
            segment["per"] = draw(st.sampled_from(groups))
    return document


def close(got: float, wanted: list[int]) -> bool:
    """Whether a figure is that of all processes, or their mean, rounded at each level, where they differ."""
    slack = 0.0 if len(set(wanted)) == 1 else 2 * TABLE
    return abs(got - sum(wanted) / len(wanted)) <= slack


@thorough()
@given(with_copies(make.workloads()))
def test_any_workload(document: Document) -> None:
    workload = ptcalc.loads(make.text_of(document))
    for result in ptcalc.estimate(workload).policies:
        model, tables = count(workload, result.policy), result.page_tables
        note = f"{result.policy}\n{make.text_of(document)}"
        got = {level.level: level.tables for level in tables.levels}
        assert {name: n for name, n in got.items() if n} == {n: k for n, k in model.levels.items() if k}, note
        assert tables.used_bytes == model.used_bytes, note
        assert tables.bytes == model.page_tables_bytes, note
        for process in result.processes:
            assert close(process.vmpte_bytes, model.vmpte_bytes[process.name]), (process, note)


@thorough(0.5)
@given(with_copies(make.workloads(backings=("shmem", "file"))))
def test_what_is_resident(document: Document) -> None:
    for segment in document["segments"].values():
        segment["resident"] = "touched"
        segment.pop("thp", None)
    workload = ptcalc.loads(make.text_of(document))
    result = ptcalc.estimate(workload, policies=["today"]).policy("today")
    wanted = resident_touched(workload, "today")
    for name, segment in document["segments"].items():
        if segment["backing"] == "shmem":
            (item,) = (item for item in result.memory.items if item.name == f"{name} (shmem)")
            shared = item.terms.split(" + ")[0].removeprefix("resident ").split(" in ")[0]
            assert shared == exact(wanted[name]), make.text_of(document)


@thorough(0.2)
@given(with_copies(make.tiny_random_workloads()))
def test_random_touches(document: Document) -> None:
    """Expectation and spread over all outcomes, where there are few enough."""
    workload = ptcalc.loads(make.text_of(document))
    for result in ptcalc.estimate(workload, policies=["today", "file-shared", "mshare"]).policies:
        try:
            outcomes = every_outcome(workload, result.policy, limit=4000)
        except ValueError:
            return
        totals = [outcome.page_tables_bytes for outcome in outcomes]
        mean = sum(totals) / len(totals)
        spread = (sum((each - mean) ** 2 for each in totals) / len(totals)) ** 0.5
        assert abs(result.page_tables.bytes - mean) <= 2 * TABLE, (result.policy, make.text_of(document))
        assert abs((result.page_tables.sd_bytes or 0) - spread) <= 1 + 1e-6 * spread, (result.policy, document)


def host(guests: int, *, backends: int = 3, **segment: Any) -> str:
    """Emulators with some back ends each, on memory of 8 GiB for each guest."""
    return make.text_of(
        {
            "version": 1,
            "name": "guests",
            "host": {"memory": "1 TiB", "used": "1 GiB"},
            "segments": {"ram": {"size": 8 * GIB, "backing": "shmem", "per": "emulator", **segment}},
            "processes": {
                "emulator": {
                    "count": guests,
                    "mappings": [{"segment": "ram", "alignment": GIB, "second_level": "kvm"}],
                },
                "back-end": {"count": guests * backends, "mappings": [{"segment": "ram", "alignment": GIB}]},
            },
        }
    )


def test_forty_guests_are_forty_times_one() -> None:
    """Under every policy: tables, their second level, and memory of the segments."""
    one, forty = (ptcalc.estimate(ptcalc.loads(host(guests))) for guests in (1, 40))
    for single, many in zip(one.policies, forty.policies, strict=True):
        assert many.page_tables.used_bytes == 40 * single.page_tables.used_bytes
        assert many.second_level is not None and single.second_level is not None
        assert many.second_level.used_bytes == 40 * single.second_level.used_bytes
        for kind in ("segment", "pool", "host_mm"):
            sums = [sum(item.bytes for item in each.memory.items if item.kind == kind) for each in (single, many)]
            assert sums[1] == 40 * sums[0]
        assert [each.vmpte_bytes for each in many.processes] == [each.vmpte_bytes for each in single.processes]
    assert forty.segment_bytes == (("ram", 320 * GIB),)


def test_guests_grow_with_their_emulators() -> None:
    """More processes are more guests, each with memory of its own: 1 TiB has room for about 125 of 8 GiB."""
    today = ptcalc.estimate(ptcalc.loads(host(40)), policies=["today"]).policy("today")
    assert 4 * 120 <= today.risk.max_processes <= 4 * 127


def test_a_back_end_too_few() -> None:
    """Of 4 guests one has one back end less: tables are shared by 4 in three regions and by 3 in one."""
    text = host(4).replace("count: 12", "count: 11")
    shared = ptcalc.estimate(ptcalc.loads(text), policies=["file-shared"]).policy("file-shared")
    levels = {level.level: level.tables for level in shared.page_tables.levels}
    assert levels == {"pte": 4 * 4096, "pmd": 4 * 8, "pud": 15}


def test_many_guests_cost_what_few_do() -> None:
    """Nothing is enumerated: a million guests are as many rows as two."""
    for guests in (2, 1_000_000):
        workload = ptcalc.loads(host(guests, backends=1))
        (outcome,) = evaluate(workload, ["file-shared"])
        assert len(outcome.view.touched.lo) == 2
        found = list(outcome.footprint._all_counts(outcome.context.matrix))
        assert [(owner, copies) for owner, copies, _ in found] == [(-1, 1), (0, guests)]


def test_a_short_pool_is_dealt_out_in_equal_parts() -> None:
    text = host(4, backing="hugetlb", page_size=2 * MIB, on_short_pool="mixed").replace(
        "host:\n", f"host:\n  hugepages: {{2 MiB: {4 * 1024}}}\n"
    )
    today = ptcalc.estimate(ptcalc.loads(text), policies=["today"]).policy("today")
    levels = {level.level: level.tables for level in today.page_tables.levels}
    assert levels["pte"] == 16 * 3 * 1024  # 6 of 8 GiB in base pages, in each of 16 processes


REFUSED = [("nobody", "no group"), ("emulator", "private memory")]


@pytest.mark.parametrize(("group", "says"), REFUSED)
def test_refused(group: str, says: str) -> None:
    text = host(2, per=group, backing="shmem" if group == "nobody" else "private")
    with pytest.raises(ptcalc.InputError) as caught:
        ptcalc.loads(text)
    assert says in str(caught.value)
    assert caught.value.line


@thorough(0.3)
@given(with_copies(make.workloads(backings=("shmem", "hugetlb"))))
def test_guests(document: Document) -> None:
    """Second-level tables of guests whose memory exists in copies."""
    for group in document["processes"].values():
        for number, mapping in enumerate(group["mappings"]):
            if mapping.get("protection") != "none":
                mapping |= {"second_level": "kvm", "guest_address": number * 8 * GIB + PAGE * (number % 2)}
    workload = ptcalc.loads(make.text_of(document))
    for result in ptcalc.estimate(workload).policies:
        guests = {guest.name: guest for guest in result.second_level.guests} if result.second_level else {}
        for name, tables in guest_tables(workload, result.policy, "kvm").items():
            got = sum(level.tables for level in guests[name].levels) if name in guests else 0
            assert close(got * TABLE, [each * TABLE for each in tables]), (result.policy, make.text_of(document))


@thorough(0.25)
@given(st.data())
def test_grids_have_the_figures_of_estimates(data: st.DataObject) -> None:
    """Columns of process counts and rows of sizes, with copies that differ in number and kind."""
    document = data.draw(with_copies(make.workloads(most_groups=2)))
    for group in document["processes"].values():
        mapping = group["mappings"][0]
        if mapping.get("protection") != "none":
            mapping["second_level"] = "kvm"
    agree(*data.draw(blocks(document)))


def test_events_cannot_say_which_copy() -> None:
    with pytest.raises(ptcalc.InputError, match="which of them"):
        ptcalc.loads(host(2) + "events:\n- mark: {}\n")
