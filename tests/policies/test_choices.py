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


def tables(text: str = WORKLOAD, **choices: str) -> int:
    """Tables of all processes under file-shared."""
    answers = {f"file-shared.{name}": value for name, value in choices.items()}
    estimate = ptcalc.estimate(ptcalc.loads(text), policies=["file-shared"], choices=answers)
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


ENDS = """
version: 1
name: ends
host: {memory: 64 GiB}
segments: {s: {size: 3073 MiB, backing: shmem, thp: %s}}
processes:
  writers: {count: 3, mappings: [{segment: s, address: 0x8000000000, length: %s}]}
  readers: {count: 4, mappings: [{segment: s, address: 0x8000000000, protection: r, access: read}]}
"""


@pytest.mark.parametrize(
    ("choices", "thp", "written", "expected"),
    [
        # Writers: 512 PTE tables and a PMD table for all, and one of each for the last MiB, and a PUD table.  Readers:
        # 1536 and 3 for all, and one of each for the last MiB.
        ({}, "never", "1025 MiB", 513 + 3 * 3 + 1539 + 4 * 3),
        # What the readers map ends with the file, what the writers map does not.
        ({"chunks": "file_end"}, "never", "1025 MiB", 513 + 3 * 3 + 1539 + 2 + 4),
        # The writers' set is a part of the readers'.
        ({"read_only": "rw_set"}, "never", "1025 MiB", 3 * 3 + 1539 + 4 * 3),
        ({"read_only": "rw_set", "protections": "rw"}, "never", "1025 MiB", 3 * 3 + 1539 + 4 * 3),
        # No whole PTE table lies in a GiB that is not whole, so that the answers are one ...
        ({"ragged_pmd": "private"}, "never", "1025 MiB", 513 + 3 * 3 + 1539 + 4 * 3),
        # ... but with 511 MiB more there are 256 of each writer.
        ({}, "never", "1536 MiB", 769 + 3 * 2 + 1539 + 4 * 3),
        ({"ragged_pmd": "private"}, "never", "1536 MiB", 513 + 3 * (256 + 2) + 1539 + 4 * 3),
        # Huge pages have no PTE tables but for the ends, and PMD tables are of each process.
        ({}, "always", "1025 MiB", 1 + 3 * 3 + 3 + 4 * 3),
        ({"huge_leaves": "private"}, "always", "1025 MiB", 3 * 4 + 4 * 6),
        ({"huge_leaves": "private"}, "never", "1025 MiB", 513 + 3 * 3 + 1539 + 4 * 3),
        # Who refuses huge pages has PTE tables, and no leaves.
        ({"huge_leaves": "private"}, "always", "1025 MiB, madvise: nohugepage", 513 + 3 * 3 + 4 * 6),
    ],
)
def test_which_tables_are_shared(choices: dict[str, str], thp: str, written: str, expected: int) -> None:
    assert expected == tables(ENDS % (thp, written), **choices)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (0x80C0100000, 513 + 3 * 3 + 1539 + 4 * 3),  # in the last PTE table of the readers
        (0x80C0200000, 513 + 3 * 3 + 1537 + 3 + 4 * 3),  # in the next, under the same PMD table
    ],
)
def test_a_table_that_holds_something_else_is_not_shared_at_the_end_of_a_file(address: int, expected: int) -> None:
    text = ENDS % ("never", "1025 MiB")
    text = text.replace("access: read}", f"access: read}}, {{segment: s, address: {address:#x}, length: 4 KiB}}")
    assert expected == tables(text, chunks="file_end")


def test_elsewhere_read_only_mappings_have_a_set_of_their_own() -> None:
    text = ENDS.replace("64 GiB", "64 GiB, arch: riscv64-sv48") % ("never", "1025 MiB")
    assert tables(text, read_only="rw_set") == tables(text)


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


LOCKS = """
version: 1
name: locks
host: {memory: 64 GiB}
segments: {s: {size: 1 GiB, backing: shmem}}
processes:
  plain: {count: 3, mappings: [{segment: s, address: 0x8000000000}]}
  locking: {count: 2, mappings: [{segment: s, address: 0x8000000000, touch: none, locked: %s}]}
"""


@pytest.mark.parametrize(
    ("word", "locked", "expected"),
    [
        ("true", "ignored", 512 + 1 + 5),
        ("true", "own_set", 2 * (512 + 1) + 5),  # locking has touched all of it
        ("on_fault", "own_set", 512 + 1 + 3),
        ("false", "own_set", 512 + 1 + 3),
    ],
)
def test_what_is_locked_shares_by_choice(word: str, locked: str, expected: int) -> None:
    assert expected == tables(LOCKS % word, locked=locked)


ALONE = """
version: 1
name: alone
host: {memory: 64 GiB}
segments: {s: {size: 1 GiB, backing: shmem}}
processes:
  one: {count: 1, mappings: [{segment: s, address: 0x8000000000}]}
  two: {count: 2, mappings: [{segment: s, address: 0x8000000000, protection: r, touch: {pages: 1, pattern: scattered}}]}
"""


@pytest.mark.parametrize(
    ("first_shared", "one", "two"),
    [
        ("at_once", 1, 1),  # a PUD table
        # All 512 PTE tables and the PMD table of the writer; of two readers, each has a PTE table alone if the other
        # has not drawn the same of 512, and both have the PMD table.
        ("second_mapper", 1 + 512 + 1, 1 + 511 / 512),
    ],
)
def test_who_has_a_table_alone_shows_it(first_shared: str, one: float, two: float) -> None:
    answers = {"file-shared.first_shared": first_shared, "file-shared.vmpte": "once"}
    estimate = ptcalc.estimate(ptcalc.loads(ALONE), policies=["file-shared"], choices=answers)
    first, second = estimate.policies[0].processes

    assert first.vmpte_bytes == one * TABLE and first.exact
    assert second.vmpte_bytes == round(two) * TABLE and second.exact == (first_shared == "at_once")
    assert first.marginal_bytes == one * TABLE
    if not second.exact:
        assert second.vmpte_sd_bytes == pytest.approx(TABLE * (511 / 512 / 512) ** 0.5, abs=1)
