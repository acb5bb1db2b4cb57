"""The engine against the slow set-of-keys model, on random workloads, under every policy.

PTCALC_EXAMPLES raises the number of workloads per test and makes them new in every run; without it they are
the same.
"""

from __future__ import annotations

import os
import statistics
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import ptcalc
from tests import strategies as make
from tests.reference.model import Counted, count, every_outcome, monte_carlo
from tests.reference.policies import POLICIES
from tests.strategies import GIB, MIB, Document

TABLE = 4096


def thorough(share: float = 1.0) -> settings:
    """Settings of a test that runs `share` of the examples asked for."""
    asked = os.environ.get("PTCALC_EXAMPLES")
    return settings(
        max_examples=max(1, int(int(asked or 100) * share)),
        deadline=None,
        derandomize=asked is None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def both(document: Document, policy: str) -> tuple[Any, Counted]:
    """Return what the engine and what the model say."""
    workload = ptcalc.loads(make.text_of(document))
    return ptcalc.estimate(workload, policies=[policy]).policy(policy), count(workload, policy)


def agree(document: Document, policies: tuple[str, ...] = POLICIES, choices: dict[str, str] | None = None) -> None:
    """Compare every figure of every policy."""
    workload = ptcalc.loads(make.text_of(document))
    estimate = ptcalc.estimate(workload, policies=list(policies), choices=choices)
    assert [result.policy for result in estimate.policies] == list(policies)
    for result in estimate.policies:
        model = count(workload, result.policy, choices=choices)
        tables = result.page_tables
        note = f"{result.policy} {choices}\n{make.text_of(document)}"
        got = {level.level: level.tables for level in tables.levels}
        assert {name: n for name, n in got.items() if n} == {n: k for n, k in model.levels.items() if k}, note
        assert tables.used_bytes == model.used_bytes, note
        assert tables.bytes == model.page_tables_bytes, note
        assert tables.exact and not tables.sd_bytes, note
        for process in result.processes:
            assert [process.vmpte_bytes] * process.count == model.vmpte_bytes[process.name], (
                process.name,
                note,
            )
            assert process.exact, note


@thorough()
@given(make.workloads())
def test_any_workload(document: Document) -> None:
    agree(document)


@thorough()
@given(make.workloads(explicit=True, most_groups=2, most_processes=3))
def test_neighbours_at_stated_addresses(document: Document) -> None:
    agree(document)


@thorough()
@given(make.workloads(backings=("hugetlb",)))
def test_hugetlb(document: Document) -> None:
    agree(document)


ANSWERS = {
    "file-shared.chunks": ["whole", "file_end"],
    "file-shared.read_only": ["own_set", "rw_set"],
    "file-shared.ragged_pmd": ["share_ptes", "private"],
    "file-shared.huge_leaves": ["shared", "private"],
    "file-shared.locked": ["ignored", "own_set"],
    "file-shared.first_shared": ["at_once", "second_mapper"],
    "file-shared.vmpte": ["each", "once"],
}  # to what the proposal leaves open, of which the model knows both


def other_answers() -> st.SearchStrategy[dict[str, str]]:
    """Draw answers to what the proposal leaves open."""
    return st.fixed_dictionaries({name: st.sampled_from(values) for name, values in ANSWERS.items()})


def refusing_beside_willing() -> Document:
    """One who refuses huge pages, in a shared set with one who would have them and touches nothing."""
    refuses = {"segment": "s0", "madvise": "nohugepage", "touch": {"ranges": [{"start": 0, "length": 1}]}}
    advises = {"segment": "s0", "map": "private", "madvise": "hugepage", "touch": refuses["touch"]}
    return {
        "version": 1,
        "host": {"memory": "1 TiB"},
        "segments": {"s0": {"backing": "shmem", "thp": "advise", "size": 2 * MIB}},
        "processes": {
            "g0": {"count": 1, "mappings": [{"segment": "s0", "touch": "none"}]},
            "g1": {"count": 1, "mappings": [refuses, advises]},
        },
    }


@thorough()
@example(refusing_beside_willing())
@given(make.workloads(backings=("shmem", "file")))
def test_page_cache(document: Document) -> None:
    agree(document)


@thorough()
@given(make.workloads(backings=("shmem", "file", "hugetlb")), other_answers())
def test_other_answers_to_open_choices(document: Document, choices: dict[str, str]) -> None:
    agree(document, ("file-shared",), choices)


@thorough(0.5)
@given(make.short_pools())
def test_short_huge_page_pools(document: Document) -> None:
    agree(document)


def one_mapping(segment: Document, mapping: Document, processes: int = 1) -> Document:
    """A workload of one segment and one group with one mapping."""
    return {
        "version": 1,
        "name": "one",
        "host": {"memory": 1 << 40},
        "segments": {"s": segment},
        "processes": {"g": {"count": processes, "mappings": [{"segment": "s", **mapping}]}},
    }


THP_FILE = {"size": 128 * MIB, "backing": "file", "thp": "always"}
# Tables measured on a live 6.18 kernel (kernel-facts 4.2, 4.4, 9.3), so that the judge is judged too.
MEASURED = [
    ({"size": 512 * MIB, "backing": "shmem"}, {"address": 512 * GIB}, 258),
    ({"size": 512 * MIB, "backing": "shmem"}, {"address": 512 * GIB + MIB}, 259),
    ({"size": 512 * MIB, "backing": "shmem"}, {"address": 512 * GIB, "touch": {"every": 2 * MIB}}, 258),
    (THP_FILE, {"address": 512 * GIB}, 2),
    (THP_FILE, {"address": 512 * GIB + MIB}, 67),
    (THP_FILE, {"address": 512 * GIB, "offset": MIB}, 66),
    (THP_FILE, {"address": 512 * GIB + MIB, "offset": MIB}, 3),
    ({**THP_FILE, "thp": "within_size"}, {"address": 512 * GIB}, 2),
    ({**THP_FILE, "thp": "advise"}, {"address": 512 * GIB}, 66),
    ({"size": 256 * MIB, "backing": "private", "thp": "always"}, {"address": 512 * GIB}, 130),
]


@pytest.mark.parametrize(("segment", "mapping", "tables"), MEASURED)
def test_both_give_what_was_measured(segment: Document, mapping: Document, tables: int) -> None:
    result, model = both(one_mapping(segment, mapping), "today")
    assert model.used_bytes == tables * TABLE
    assert result.page_tables.used_bytes == tables * TABLE
    assert result.processes[0].vmpte_bytes == tables * TABLE == model.vmpte_bytes["g"][0]


# --- random touches: expectation and standard deviation -------------------------------------------


def near(got: float, wanted: float, slack: float) -> bool:
    """True if two figures differ by at most `slack`."""
    return abs(got - wanted) <= slack


def random_agrees(
    document: Document, policies: tuple[str, ...] = POLICIES, choices: dict[str, str] | None = None
) -> None:
    """Compare expectation and standard deviation with the exact ones over all outcomes."""
    workload = ptcalc.loads(make.text_of(document))
    estimate = ptcalc.estimate(workload, policies=list(policies), choices=choices)
    for result in estimate.policies:
        outcomes = every_outcome(workload, result.policy, choices=choices)
        note = f"{result.policy}\n{make.text_of(document)}"
        for level in result.page_tables.levels:
            mean = statistics.fmean(outcome.levels[level.level] for outcome in outcomes)
            assert near(level.tables, mean, 0.5 + 1e-6), (level, mean, note)
        sd = statistics.pstdev([float(outcome.page_tables_bytes) for outcome in outcomes])
        assert near(result.page_tables.sd_bytes or 0, sd, 1 + 1e-6 * sd), (
            result.page_tables.sd_bytes,
            sd,
            note,
        )
        assert sd == 0 or not result.page_tables.exact, note
        for process in result.processes:
            each = [float(outcome.vmpte_bytes[process.name][0]) for outcome in outcomes]
            assert near(process.vmpte_bytes, statistics.fmean(each), 1.5 * TABLE + 1), (process, note)
            wide = statistics.pstdev(each)
            assert near(process.vmpte_sd_bytes or 0, wide, 1 + 1e-6 * wide), (process, wide, note)


@thorough(0.15)
@given(make.tiny_random_workloads())
def test_every_outcome_of_few_pages(document: Document) -> None:
    random_agrees(document)


@thorough(0.04)
@given(make.clustered_random_workloads())
def test_every_outcome_of_few_clusters(document: Document) -> None:
    random_agrees(document)


ALONE = {"file-shared.vmpte": "once", "file-shared.first_shared": "second_mapper"}


@thorough(0.1)
@given(make.tiny_random_workloads())
def test_every_outcome_of_who_is_alone(document: Document) -> None:
    random_agrees(document, ("file-shared",), ALONE)


@thorough(0.2)
@given(make.clustered_random_workloads())
def test_every_outcome_of_who_is_alone_with_clusters(document: Document) -> None:
    random_agrees(document, ("file-shared",), ALONE)


MANY = [
    one_mapping({"size": 64 * MIB, "backing": "shmem"}, {"touch": {"pages": 40, "pattern": "scattered"}}, 3),
    one_mapping({"size": 3 * GIB, "backing": "hugetlb"}, {"touch": {"pages": 3, "pattern": "scattered"}}, 2),
    one_mapping(
        {"size": 24 * MIB, "backing": "shmem"},
        {"offset": MIB, "touch": [{"pages": 6, "pattern": "scattered"}, {"every": 8 * MIB}]},
        2,
    ),
    one_mapping(
        {"size": 32 * MIB, "backing": "file"},
        {"touch": {"amount": "10%", "pattern": "clustered", "cluster": "64 KiB", "overlap": "same"}},
        3,
    ),
    one_mapping(
        {"size": 16 * MIB, "backing": "shmem"},
        {
            "address": GIB - 5 * MIB,
            "touch": {"amount": "1 MiB", "pattern": "clustered", "cluster": "128 KiB"},
        },
        2,
    ),
]


@pytest.mark.parametrize("document", MANY)
@pytest.mark.parametrize("policy", [name for name in POLICIES if name != "thp"])
def test_many_draws(document: Document, policy: str) -> None:
    """Monte Carlo with a seed: the mean within five standard errors, the spread within a quarter."""
    workload = ptcalc.loads(make.text_of(document))
    result = ptcalc.estimate(workload, policies=[policy]).policy(policy)
    draws = [float(counted.page_tables_bytes) for counted in monte_carlo(workload, policy, 120, seed=1)]
    mean, sd = statistics.fmean(draws), statistics.stdev(draws)
    assert near(result.page_tables.bytes, mean, 5 * sd / len(draws) ** 0.5 + 1.5 * TABLE)
    assert near(result.page_tables.sd_bytes or 0, sd, 0.25 * sd + 1)
