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


def test_who_is_alone_has_tables_of_its_own_until_somebody_comes() -> None:
    only = "  - exit: {group: server, count: 1499}\n"
    few = "  - madvise: {group: server, start: 0, length: 300 GiB, advice: dontneed}\n"
    both = ("  - start: {group: server, count: 1, touch: none}\n", only, few, "  - pressure: {}\n")
    again = "  - touch: {group: server, count: 1, as: first, touch: all}\n"
    comes = "  - touch: {group: server, touch: {ranges: [{start: 0, length: 2 MiB}]}}\n"
    goes = "  - exit: {group: server, label: first}\n"
    chosen = {"first_shared": "second_mapper"}
    steps = follow("file-shared", *both, again, comes, goes, **chosen)

    assert levels(steps[0]) == {"pte": (0, PTE, 0), "pmd": (0, PMD, 0), "pud": (1500, 0, 0)}
    # Two are left, which have dropped all; what the cache had is given back.
    assert "pte" not in levels(steps[4])
    assert levels(steps[5])["pte"] == (PTE, 0, 0) and levels(steps[5])["pmd"] == (PMD, 0, 0)
    assert levels(steps[6])["pte"] == (PTE - 1, 1, 0) and levels(steps[6])["pmd"] == (PMD - 1, 1, 0)
    assert levels(steps[7])["pte"] == (0, 1, 0) and levels(steps[7])["pmd"] == (0, 1, 0)
    shown = follow("file-shared", *both, again, comes, goes, vmpte="once", **chosen)
    first = next(each for each in shown[6].classes if each.label == "first")
    assert first.vmpte_bytes == (PTE - 1 + PMD - 1 + 1) * 4096  # and its PUD table
    assert next(each for each in steps[6].classes if each.label == "first").vmpte_bytes == (PTE + PMD + 1) * 4096


def test_locking_touches_all_of_a_part() -> None:
    free = "  - madvise: {group: server, start: 0, length: 300 GiB, advice: dontneed}\n"
    lock = "  - mlock: {group: server, count: 1, as: locked, start: 0, length: 1 GiB, set: true}\n"
    fault = "  - mlock: {group: server, count: 1, as: later, start: 0, length: 1 GiB, set: on_fault}\n"
    freed, locked, later = (levels(step) for step in follow("today", free, lock, fault)[1:])

    assert locked["pte"][0] == freed.get("pte", (0, 0, 0))[0] + 512
    assert later == locked
    message = "dontneed of locked memory fails"
    with pytest.raises(ptcalc.InputError, match=message):
        follow("today", lock, "  - madvise: {group: server, label: locked, advice: dontneed}\n")
    follow("today", lock, lock.replace("true", "false").replace("count: 1, as", "label"), free)


def test_locked_memory_has_a_set_of_its_own_by_choice() -> None:
    lock = "  - mlock: {group: server, count: 10, start: 0, length: 64 GiB, set: on_fault}\n"
    ignored, apart = (follow("file-shared", lock, locked=value)[1] for value in ("ignored", "own_set"))

    # Where it is split in two, both parts are whole tables.
    assert levels(ignored)["pte"] == (0, PTE, 0)
    assert levels(apart)["pte"] == (0, PTE + 32_768, 0) and levels(apart)["pmd"] == (0, PMD + 64, 0)


def test_the_other_end_of_a_choice() -> None:
    apart = HEAD.replace("0x100000000000", "0x100000100000")
    workload = ptcalc.loads(apart + "  - exit: {group: server, count: 1400}\n")
    (policy,) = ptcalc.follow_timeline(workload, policies=["file-shared"]).policies
    other = {"file-shared.phases": "zero"}
    (zero,) = ptcalc.follow_timeline(workload, policies=["file-shared"], choices=other).policies
    (bound,) = policy.bounds

    assert (bound.name, bound.value, bound.worst) == ("phases", "zero", 0)
    assert bound.demand_bytes == zero.steps[0].memory.demand_bytes > policy.steps[0].memory.demand_bytes
    assert (bound.first_oom, dict(zero.firsts)["oom"], dict(policy.firsts)["oom"]) == (0, 0, None)
    assert [each.value for each in zero.bounds] == ["every"]
