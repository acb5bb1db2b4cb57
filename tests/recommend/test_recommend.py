"""What is recommended: each saving is that of the changed file, the best comes first, and the rest fits."""

from __future__ import annotations

from pathlib import Path

import pytest

import ptcalc
from ptcalc.recommend import Recommendations
from ptcalc.result import RISK_ORDER, PolicyResult

from .documents import GIB, MIB, codes, recommended, servers, values

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


def today(text: str) -> PolicyResult:
    return ptcalc.estimate(ptcalc.loads(text), policies=["today"]).policy("today")


def huge(mapping: str = "alignment: 1 GiB", host: str = "kernel: '6.12'") -> str:
    """The servers with their segment on huge pages already."""
    return servers(backing="hugetlb", segment="page_size: 2 MiB", mapping=mapping, host=host)


# What is recommended for a file, and the file that somebody would write who follows it.
FOLLOWED = {
    "2 MiB pages": ("hugetlb-2M", servers(), huge()),
    "1 GiB pages": ("hugetlb-1G", servers(), servers(backing="hugetlb", segment="page_size: 1 GiB")),
    "transparent huge pages": ("thp", servers(), servers(segment="thp: always")),
    "the next boundary": (
        "alignment",
        huge(mapping="address: 0x60000000"),
        huge(mapping="address: 0x80000000"),
    ),
    "independent processes": (
        "alignment",
        huge(mapping="placement: independent"),
        huge(mapping="placement: independent, alignment: 1 GiB"),
    ),
    "both": (
        "hugetlb-2M+alignment",
        servers(mapping="address: 0x60000000"),
        huge(mapping="address: 0x80000000"),
    ),
    "a pool that is too large": (
        "pool",
        huge(host="hugepages: {2 MiB: 10000}"),
        huge(host="hugepages: {2 MiB: 8192}"),
    ),
    "a pool that is too small": (
        "pool",
        servers(backing="hugetlb", segment="on_short_pool: mixed", host="hugepages: {2 MiB: 4096}"),
        servers(backing="hugetlb", host="hugepages: {2 MiB: 8192}"),
    ),
    "other pages, and the pool given back": (
        "hugetlb-1G",
        huge(host="hugepages: {2 MiB: 8192}"),
        servers(backing="hugetlb", segment="page_size: 1 GiB", host="hugepages: {2 MiB: 0}"),
    ),
}


@pytest.mark.parametrize(("code", "before", "after"), FOLLOWED.values(), ids=FOLLOWED)
def test_saving_is_that_of_the_changed_file(code: str, before: str, after: str) -> None:
    """A file that follows the advice has the figures that the advice promises."""
    advice = recommended(before).find(code)
    was, now = today(before), today(after)

    assert advice.result.page_tables == now.page_tables
    assert advice.result.risk == now.risk
    assert advice.saves_bytes == was.memory.demand_bytes - now.memory.demand_bytes
    assert advice.saves_tables_bytes == was.page_tables.used_bytes - now.page_tables.used_bytes
    assert advice.check.free_bytes == now.memory.headroom_bytes


def test_the_gain_of_a_boundary() -> None:
    """At 1.5 GiB, 16 GiB have a ragged half at either end, whose PMD tables 100 processes have for themselves."""
    found = recommended(huge(mapping="address: 0x60000000"))
    advice = found.find("alignment")

    # 15 shared and 2 x 100 own ones before, 16 shared ones afterwards; a PUD table each, before and afterwards.
    assert advice.saves_bytes == advice.adds_bytes or advice.adds_bytes is None
    assert advice.saves_tables_bytes == (15 + 200 - 16) * 4096
    assert advice.needs[0] == "sga at 0x80000000 in place of 0x60000000"


def test_adds_is_what_the_second_step_gains() -> None:
    """Of two steps, the second one's gain is told apart."""
    found = recommended(servers(mapping="address: 0x60000000"))
    both, first = found.find("hugetlb-2M+alignment"), found.find("hugetlb-2M")

    assert both.adds_bytes == both.saves_bytes - first.saves_bytes == (15 + 200 - 16) * 4096


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    """Best saving first; nothing raises the risk; the check adds up; no idea among the recommendations."""
    found = ptcalc.recommend_changes(ptcalc.load(path))
    level = RISK_ORDER.index(found.as_written.result.risk.level)

    savings = [advice.saves_bytes for advice in found.advice]
    assert savings == sorted(savings, reverse=True)
    assert all(RISK_ORDER.index(advice.result.risk.level) <= level for advice in found.advice)
    assert len(set(codes(found))) == len(codes(found))
    for advice in (*found.advice, found.as_written):
        check = advice.check
        assert check.free_bytes == check.capacity_bytes - check.pool_bytes - check.rest_bytes
        assert advice.result.availability.deployable
        assert check.fits or advice.result.risk.level == "oom"
    assert not any(idea.availability.deployable for idea in found.ideas)


def test_where_to_start() -> None:
    """1 GiB pages save most, 2 MiB pages a few MiB less and without a reboot: these are where to start."""
    found = ptcalc.recommend_changes(ptcalc.load(EXAMPLES[0].parent / "oracle-sga-1500.yaml"))

    assert codes(found)[:2] == ["hugetlb-1G", "hugetlb-2M"]
    assert found.start == "hugetlb-2M"
    assert values(found.find("hugetlb-2M"), "sysctl")[0] == ("vm.nr_hugepages", "153600")
    assert values(found.find("hugetlb-1G"), "cmdline") == [("hugepagesz", "1G"), ("hugepages", "300")]


def test_nothing_helps() -> None:
    """A file that has it all is left alone: what it needs stands there as written."""
    found = recommended(servers(backing="hugetlb", segment="page_size: 1 GiB"))

    assert found.advice == ()
    assert found.start == "as-written"
    assert values(found.find("as-written"), "cmdline") == [("hugepagesz", "1G"), ("hugepages", "16")]
    assert dict(found.rejected)["hugetlb-2M"] == "saves no page tables"
    with pytest.raises(KeyError):
        found.find("hugetlb-2M")


def test_pages_that_do_not_fit_are_rejected() -> None:
    """Rounding up to 1 GiB pages can cost more than the tables: then it is said, not recommended."""
    found = recommended(servers(size="2049 MiB", memory="3800 MiB", count=2))

    assert "hugetlb-1G" not in codes(found)
    assert "risk would be" in dict(found.rejected)["hugetlb-1G"]


def test_pool_that_is_too_short_comes_first() -> None:
    """What does not start with its pool is helped by the pages alone."""
    text = servers(backing="hugetlb", host="hugepages: {2 MiB: 10}")
    found = recommended(text)

    assert found.as_written.result.risk.level == "oom"
    assert found.find("pool").result.risk.level == "ok"
    assert values(found.find("pool"), "sysctl")[0] == ("vm.nr_hugepages", "8192")
    assert not any("pooling" in code or "memory" in code for code in codes(found))


@pytest.fixture
def crowded() -> Recommendations:
    """Private memory that does not fit, whatever the page tables."""
    return recommended(servers(size="2 GiB", memory="8 GiB", count=10_000))


def test_pooling_is_the_count_that_fits(crowded: Recommendations) -> None:
    """The count of the advice is safe, and one process more is not."""
    pooling = crowded.find("pooling")
    safe = pooling.result.processes[0].count
    text = servers(size="2 GiB", memory="8 GiB", count=safe)

    assert safe == crowded.as_written.result.risk.safe_processes
    assert values(pooling, "postgresql.conf") == [("max_connections", str(safe))]
    assert today(text).risk.level == "ok"
    assert today(text.replace(f"count: {safe}", f"count: {safe + 1}")).risk.level == "warning"
    assert today(text).memory.demand_bytes == pooling.result.memory.demand_bytes


def test_pooling_after_huge_pages(crowded: Recommendations) -> None:
    """Where huge pages do not suffice, what fits with them is told as well, and is more."""
    after = crowded.find(f"{crowded.start}+pooling")

    assert crowded.find(crowded.start).result.risk.level == "oom"
    assert after.result.risk.level == "ok"
    assert after.result.processes[0].count > crowded.find("pooling").result.processes[0].count


def test_groups_that_stay_are_not_pooled() -> None:
    """Groups of fixed size keep their count; those that grow shrink to the total that fits."""
    text = servers(size="2 GiB", memory="8 GiB", count=10_000) + (
        "  writer: {count: 7, scale: fixed, private: 1 MiB, mappings: [{segment: sga}]}\n"
        "  reader: {count: 333, private: 1 MiB, mappings: [{segment: sga}]}\n"
    )
    found = recommended(text)
    pooling = found.find("pooling")
    counts = {group.name: group.count for group in pooling.result.processes}

    assert counts["writer"] == 7
    assert sum(counts.values()) == found.as_written.result.risk.safe_processes
    assert counts["reader"] == counts["server"] * 333 // 10_000


def test_memory_is_the_least_that_is_safe() -> None:
    """One GiB less than recommended leaves too little free."""
    found = recommended(servers(size="4 GiB", memory="8 GiB", count=1000))
    title = found.find("memory").title
    installed = int(title.split(": ")[1].split()[0])

    assert today(servers(size="4 GiB", memory=f"{installed} GiB", count=1000)).risk.level == "ok"
    assert today(servers(size="4 GiB", memory=f"{installed - 1} GiB", count=1000)).risk.level != "ok"
    assert found.find("memory").saves_bytes == 0


def test_cgroup_limit_is_raised() -> None:
    """Where the container is too small and the host is not, the limit is what has to grow."""
    text = servers(memory="256 GiB", host="cgroup_limit: 17 GiB")
    title = recommended(text).find("memory").title

    assert "more for the cgroup" in title
    assert "installed" not in title
    limit = int(title.split("limit of ")[1].split()[0])
    assert today(text.replace("17 GiB", f"{limit} GiB")).risk.level == "ok"
    assert today(text.replace("17 GiB", f"{limit - 1} GiB")).risk.level == "warning"


TWO = """\
version: 1
name: two segments
host: {memory: 64 GiB, used: 1 GiB}
segments:
  large: {size: 16 GiB, backing: shmem}
  small: {size: 1025 MiB, backing: shmem}
  tiny: {size: 1 MiB, backing: shmem}
processes:
  server:
    count: 100
    private: 1 MiB
    mappings: [{segment: large}, {segment: small}, {segment: tiny}]
"""


def test_each_segment_alone() -> None:
    """All segments that hold a huge page are moved together, and each one alone; others stay."""
    found = recommended(TWO)
    together = found.find("hugetlb-2M").saves_bytes
    alone = [found.find(f"hugetlb-2M:{name}").saves_bytes for name in ("large", "small")]

    assert values(found.find("hugetlb-2M"), "sysctl")[0] == ("vm.nr_hugepages", str(8192 + 513))
    assert values(found.find("hugetlb-2M:small"), "sysctl")[0] == ("vm.nr_hugepages", "513")
    assert "hugetlb-2M:tiny" not in codes(found)
    assert together == pytest.approx(sum(alone), rel=1e-3)


def test_pages_are_rounded_once_per_piece() -> None:
    """Three pieces of 5 MiB are 9 pages, one segment of 15 MiB is 8."""
    whole = recommended(servers(size="15 MiB", backing="hugetlb"))
    pieces = recommended(servers(size="15 MiB", backing="hugetlb", segment="pieces: 5 MiB"))

    assert values(whole.as_written, "sysctl")[0] == ("vm.nr_hugepages", "8")
    assert values(pieces.as_written, "sysctl")[0] == ("vm.nr_hugepages", "9")


def test_pages_larger_than_any_piece() -> None:
    """That is the reason, and it is said."""
    found = recommended(servers(size="16 GiB", segment="pieces: 512 MiB"))

    assert "hugetlb-2M" in codes(found)
    assert dict(found.rejected)["hugetlb-1G"] == "no segment or piece holds 1 GiB"


def test_protected_segments_stay() -> None:
    """A mapping that was touched and then protected cannot be one of hugetlb: the loader refuses it."""
    text = servers(mapping="protection: none, touch: all")

    assert not any(code.startswith("hugetlb") for code in codes(recommended(text)))


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("kernel: '3.10.0-1160.el7.x86_64'", "since Linux 4.8"),
        ("arch: arm64-64k, kernel: '6.12'", "no huge pages of 512 MiB in the page cache"),
    ],
)
def test_no_thp_where_there_is_none(host: str, why: str) -> None:
    """Only what the host's own kernel can do."""
    found = recommended(servers(host=host, mapping="touch: all"))

    assert "thp" not in codes(found)
    assert why in dict(found.rejected)["thp"]


def test_addresses_meet_no_neighbour() -> None:
    """Two mappings that would meet at the next boundary are not moved onto each other."""
    text = huge(mapping="length: 2 GiB, address: 0x60000000}, {segment: sga, offset: 2 GiB, length: 2 GiB, "
                   "address: 0xe0000000")  # fmt: skip
    advice = recommended(text).find("alignment")

    assert advice.result.mappings[0].address + advice.result.mappings[0].length <= advice.result.mappings[1].address
    assert all(mapping.address % GIB == 0 for mapping in advice.result.mappings)


def test_far_too_large_for_any_machine() -> None:
    """A page-table demand of many TiB is an answer too."""
    found = recommended(servers(size="64 TiB", memory="128 TiB", count=100_000))

    assert found.find("hugetlb-2M").saves_bytes > 1024 * 1024 * GIB
    assert found.find("hugetlb-2M").check.pool_bytes == 64 * 1024 * GIB
    assert values(found.find("hugetlb-2M"), "sysctl")[0] == ("vm.nr_hugepages", str(64 * 1024 * GIB // (2 * MIB)))
