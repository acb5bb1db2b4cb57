"""The worked cases of docs/timeline.md: 1500 processes map 300 GiB, and some of them change their minds."""

from __future__ import annotations

import pytest

import ptcalc
from ptcalc.timeline.result import Step

HEAD = """\
version: 1
name: worked
host: {memory: 512 GiB, used: 12 GiB}
segments:
  sga: {size: 300 GiB, backing: shmem}
processes:
  server:
    count: 1500
    private: 12 MiB
    mappings: [{segment: sga, address: 0x100000000000}]
events:
"""
PTE, PMD = 153_600, 300  # of 300 GiB: one for each 2 MiB, one for each GiB
READ_ONLY = "  - mprotect: {group: server, count: 50, as: readers, start: 0, length: 64 GiB, protection: r}\n"
BACK = "  - mprotect: {group: server, label: readers, start: 0, length: 64 GiB, protection: rw}\n"
ONE_PAGE = "  - mprotect: {group: server, count: 1, as: one, start: 5 GiB, length: 4 KiB, protection: r}\n"


def follow(policy: str, *events: str, **choices: str) -> list[Step]:
    """The steps of the case under one policy."""
    workload = ptcalc.loads(HEAD + "".join(events or ["  - mark: {}\n"]))
    named = {f"{policy}.{name}": value for name, value in choices.items()}
    return list(ptcalc.follow_timeline(workload, policies=[policy], choices=named).policies[0].steps)


def levels(step: Step) -> dict[str, tuple[int, int, int]]:
    """Tables by level: private, shared in use, cached unused."""
    return {level.level: (level.private, level.shared, level.cached) for level in step.levels}


def test_a_second_set_appears_once_is_cached_and_shrunk() -> None:
    beginning, readers, back, after = follow("file-shared", READ_ONLY, BACK, "  - pressure: {}\n")

    assert levels(beginning) == {"pte": (0, PTE, 0), "pmd": (0, PMD, 0), "pud": (1500, 0, 0)}
    # 64 GiB read-only: 32,768 PTE tables and 64 PMD tables, once for all 50.
    assert levels(readers) == {"pte": (0, PTE + 32_768, 0), "pmd": (0, PMD + 64, 0), "pud": (1500, 0, 0)}
    assert levels(back) == {"pte": (0, PTE, 32_768), "pmd": (0, PMD, 64), "pud": (1500, 0, 0)}
    assert back.cached_bytes == (32_768 + 64) * 4096
    assert back.memory.demand_bytes == beginning.memory.demand_bytes, "what nobody uses is given back when needed"
    assert levels(after) == levels(beginning)
    assert after.released_bytes == back.cached_bytes
    (plain, labelled) = readers.classes
    assert (plain.count, plain.label, labelled.count, labelled.label) == (1450, "", 50, "readers")
    assert readers.sharers is not None
    assert (readers.sharers.least, readers.sharers.most) == (50, 1500)


def test_tables_go_with_the_last_user_where_that_is_chosen() -> None:
    steps = follow("file-shared", READ_ONLY, BACK, unused="last_user")

    assert [step.cached_bytes for step in steps] == [0, 0, 0]


def test_soft_dirty_makes_private_copies() -> None:
    _, after = follow("file-shared", "  - softdirty: {group: server, count: 10, set: true}\n")

    assert levels(after) == {"pte": (10 * PTE, PTE, 0), "pmd": (10 * PMD, PMD, 0), "pud": (1500, 0, 0)}


@pytest.mark.parametrize(
    ("policy", "expected", "notes"),
    [
        ("today", {"pte": (1500 * PTE, 0, 0), "pmd": (1500 * PMD, 0, 0), "pud": (1500, 0, 0)}, ()),
        # One PMD table of its own for the GiB that is split; the part is a huge page, which cannot be split.
        ("hugetlb-2M", {"pmd": (1, PMD, 0), "pud": (1500, 0, 0)}, ("the part is widened to whole huge pages",)),
        # The GiB's PMD table and the 2 MiB's PTE table are its own; the other 511 PTE tables it hooks from the set.
        ("file-shared", {"pte": (1, PTE, 0), "pmd": (1, PMD, 0), "pud": (1500, 0, 0)}, ()),
        (
            "mshare",
            {"pte": (0, PTE, 0), "pmd": (0, PMD, 0), "pud": (0, 1, 0)},
            ("the mapping is common to all who share it: its protection changes for all of them",),
        ),
        (
            "map-shared-pt",
            {"pte": (0, PTE, 0), "pmd": (1500 * PMD, 0, 0), "pud": (1500, 0, 0)},
            ("the mapping is common to all who share it: its protection changes for all of them",),
        ),
    ],
)
def test_one_page_of_one_process(
    policy: str, expected: dict[str, tuple[int, int, int]], notes: tuple[str, ...]
) -> None:
    after = follow(policy, ONE_PAGE)[1]

    assert levels(after) == expected
    assert after.notes == notes


def test_map_shared_pt_may_unshare() -> None:
    """The 5 GiB before the page are whole 2 MiB and stay shared; the VMA behind it begins 4 KiB late: its own."""
    after = follow("map-shared-pt", ONE_PAGE, mprotect="unshare")[1]

    assert levels(after)["pte"] == (PTE - 2560, PTE, 0)


def test_write_protection_by_the_file_system_walks_each_table_once() -> None:
    event = "  - write_protect: {segment: sga, start: 0, length: 64 GiB, set: true}\n"
    today, shared = (follow(policy, event) for policy in ("today", "file-shared"))

    assert levels(today[1]) == levels(today[0])
    assert (today[1].walked_tables, shared[1].walked_tables) == (1500 * 32_768, 32_768)
    assert shared[1].walked_entries == 32_768 * 512
    assert (today[0].walks[0].tables_per_page, shared[0].walks[0].tables_per_page) == (
        (1500, 1500.0, 1500),
        (1, 1.0, 1),
    )


def test_the_window_of_a_region_is_not_protected() -> None:
    event = "  - mprotect: {group: server, count: 1, start: 0, length: 4 KiB, protection: r, of: window}\n"
    with pytest.raises(ptcalc.InputError, match=r"mprotect of the window of an mshare region is refused") as caught:
        follow("mshare", event)

    assert (caught.value.line, caught.value.column) == (12, 5)
    follow("today", event)


def test_nothing_is_left() -> None:
    for policy in ("today", "hugetlb-2M", "thp", "file-shared", "map-shared-pt", "mshare"):
        last = follow(policy, READ_ONLY, "  - exit: {group: server}\n", "  - pressure: {}\n")[-1]
        assert (last.levels, last.used_bytes, last.classes, last.victim) == ((), 0, (), None), policy


def test_the_victim_is_who_has_most_and_frees_little() -> None:
    victim = follow("today")[0].victim
    assert victim is not None

    assert dict(victim.frees)["page tables of its own"] == (PTE + PMD + 1) * 4096
    # 300 GiB of shared pages count in full: RSS, private memory, VmPTE and a small process's tables.
    assert victim.badness_pages > 300 << 18
    assert victim.frees_bytes < 1 << 30
