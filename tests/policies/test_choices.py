"""Open choices of the policies that nobody has built: what another answer changes."""

from __future__ import annotations

import pytest

import ptcalc

TABLE = 4096
WORKLOAD = """
version: 1
name: choices
host: {memory: 64 GiB}
segments: {s: {size: 1 GiB, backing: shmem}}
processes:
  aligned: {count: 3, mappings: [{segment: s, address: 0x8000000000}]}
  shifted: {count: 2, mappings: [{segment: s, address: 0x10000001000}]}
  code: {count: 2, mappings: [{segment: s, address: 0x18000000000, protection: rx}]}
"""


def tables(**choices: str) -> int:
    """Tables of all processes under file-shared."""
    answers = {f"file-shared.{name}": value for name, value in choices.items()}
    estimate = ptcalc.estimate(ptcalc.loads(WORKLOAD), policies=["file-shared"], choices=answers)
    return estimate.policies[0].page_tables.used_bytes // TABLE


# One set of 512 PTE tables and a PMD table; a PUD table in each process.
ALIGNED = 512 + 1 + 3
# 513 PTE tables, two of them ragged, and two PMD tables and a PUD table in each process.
SHIFTED = 511 + 2 * (2 + 2 + 1)
CODE_PRIVATE = 2 * (512 + 1 + 1)


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({}, ALIGNED + SHIFTED + CODE_PRIVATE),
        ({"phases": "zero"}, ALIGNED + 2 * (513 + 2 + 1) + CODE_PRIVATE),
        ({"protections": "rw,r,rx"}, ALIGNED + SHIFTED + 512 + 1 + 2),
        ({"min_file_size": "2 GiB"}, 3 * 514 + 2 * 516 + CODE_PRIVATE),
        ({"min_mapping_size": "2 GiB"}, 3 * 514 + 2 * 516 + CODE_PRIVATE),
    ],
)
def test_each_answer_has_its_number_of_tables(choices: dict[str, str], expected: int) -> None:
    assert expected == tables(**choices)


def test_both_answers_to_the_alignment_question_are_shown() -> None:
    estimate = ptcalc.estimate(ptcalc.loads(WORKLOAD), policies=["file-shared"])

    [bound] = estimate.policies[0].bounds
    assert (bound.name, bound.value) == ("phases", "zero")
    assert bound.page_tables_bytes == tables(phases="zero") * TABLE


@pytest.mark.parametrize(("value", "shown"), [("each", 512 + 1 + 1), ("once", 1)])
def test_shared_tables_count_for_each_sharer_or_for_none(value: str, shown: int) -> None:
    answers = {"file-shared.vmpte": value}
    estimate = ptcalc.estimate(ptcalc.loads(WORKLOAD), policies=["file-shared"], choices=answers)

    assert shown * TABLE == estimate.policies[0].processes[0].vmpte_bytes


@pytest.mark.parametrize(
    "choices", [{"file-shared.phases": "two"}, {"file-shared.what": "1"}, {"file-shared.min_file_size": "much"}]
)
def test_an_answer_that_does_not_exist_is_refused(choices: dict[str, str]) -> None:
    with pytest.raises(ptcalc.InputError):
        ptcalc.estimate(ptcalc.loads(WORKLOAD), choices=choices)
