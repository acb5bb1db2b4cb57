"""Each finding: where it appears, where it does not, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

import ptcalc
from ptcalc.risk import Config
from ptcalc.risk.findings import CODES
from tests.risk.documents import GIB, MIB, Document, found, load, sga

SERVER = "processes__server__"


def mapping(**changes: Any) -> Document:
    return {f"{SERVER}mappings": [{"segment": "sga", "address": 512 * GIB, **changes}]}


def hugetlb(size: Any = "300 GiB", **changes: Any) -> Document:
    return {"segments__sga": {"size": size, "backing": "hugetlb", **changes}}


def silent() -> Document:
    """A workload about which there is nothing to say."""
    return sga(host__memory="512 GiB", **hugetlb("100 GiB"))


CASES: list[tuple[str, Document, Document]] = [
    # code, a document that has it, one that has not
    ("page-tables-large", sga(), sga(**hugetlb())),
    ("touch-limit", sga(), sga(**mapping(touch="1%"))),
    ("part-pool-no-help", sga(), sga(processes__server__count=320)),
    (
        "hugetlb-misaligned",
        sga(**hugetlb(GIB), **mapping(address=512 * GIB + 512 * MIB)),
        sga(**hugetlb(GIB)),
    ),
    ("hugetlb-ragged-edges", sga(**hugetlb(), **mapping(address=0x60000000)), sga(**hugetlb())),
    (
        "hugetlb-addresses-differ",
        sga(**hugetlb(), **mapping(address=None, placement="independent")),
        sga(**hugetlb(), **mapping(address=None, placement="independent", alignment=GIB)),
    ),
    ("hugetlb-too-small", sga(**hugetlb(512 * MIB)), sga(**hugetlb(GIB))),
    ("hugetlb-too-small", sga(**hugetlb(pieces=512 * MIB)), sga(**hugetlb(pieces=GIB))),
    ("pool-short-fail", sga(**hugetlb(), host__hugepages={"2 MiB": 7}), sga(**hugetlb())),
    (
        "pool-short-small",
        sga(**hugetlb(on_short_pool="small"), host__hugepages={"2 MiB": 7}),
        sga(**hugetlb(on_short_pool="small"), host__hugepages={"2 MiB": 153_600}),
    ),
    (
        "pool-short-mixed",
        sga(**hugetlb(on_short_pool="mixed"), host__hugepages={"2 MiB": 7}),
        sga(**hugetlb(on_short_pool="mixed"), host__hugepages={"2 MiB": 153_600}),
    ),
    ("pool-unused", sga(host__hugepages={"1 GiB": 1}), sga(**hugetlb(), host__hugepages={"2 MiB": 153_600})),
    (
        "pool-leaves-too-little",
        sga(**hugetlb(), host__hugepages={"2 MiB": 153_600}, processes__server__private="140 MiB"),
        sga(**hugetlb(), host__hugepages={"2 MiB": 153_600}),
    ),
    ("swap-no-help", sga(host__swap="1 TiB"), sga()),
    (
        "fits-only-with-swap",
        sga(host__swap="64 GiB", processes__server__count=400),
        sga(host__swap="64 GiB", processes__server__count=300),
    ),
    ("cgroup-tighter", sga(host__cgroup_limit="400 GiB"), sga(host__cgroup_limit="600 GiB")),
    (
        "memcg-pagetables-low",
        sga(host__cgroup_limit="400 GiB", host__kernel="6.18.3"),
        sga(host__cgroup_limit="400 GiB", host__kernel="6.19"),
    ),
    (
        "tables-in-no-cgroup",
        sga(host__cgroup_limit="400 GiB", host__kernel="6.1", host__arch="s390x"),
        sga(host__cgroup_limit="400 GiB", host__kernel="6.12", host__arch="s390x"),
    ),
    ("touch-pattern-unknown", sga(**mapping(touch="24%")), sga(**mapping(touch="99%"))),
    (
        "touch-pattern-unknown",
        sga(**mapping(touch="72 GiB")),
        sga(**mapping(touch={"amount": "24%", "pattern": "scattered"})),
    ),
    ("private-not-stated", sga(processes__other={"count": 1}), sga()),
    ("used-not-stated", sga(host={"memory": "512 GiB"}), sga()),
    ("vendor-kernel", sga(host__kernel="5.14.0-427.el9.x86_64"), sga(host__kernel="6.12")),
    (
        "sharing-switch-no-effect",
        sga(**mapping(page_table_sharing="never")),
        sga(**mapping(page_table_sharing="allow")),
    ),
    ("sharing-switch-no-effect", sga(processes__server__page_table_sharing="never"), sga()),
    ("events-left-out", sga(events=[{"mark": {}}]), sga()),
]


def without_nones(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: without_nones(value) for key, value in document.items() if value is not None}
    return [without_nones(value) for value in document] if isinstance(document, list) else document


@pytest.mark.parametrize(("code", "has", "has_not"), CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)])
def test_appears_where_it_should(code: str, has: Document, has_not: Document) -> None:
    names = ("today", "hugetlb-2M") if "arch" not in has["host"] else ("today",)
    there = found(without_nones(has), *names)

    assert code in there
    assert there[code].severity == CODES[code].severity
    assert code not in found(without_nones(has_not), *names)


def test_every_code_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(CODES)


def test_codes_are_kebab_case_and_documented() -> None:
    for name, code in CODES.items():
        assert name == code.code == name.lower().replace(" ", "-").replace("_", "-")
        assert code.title and code.remedy


def test_moving_small_pieces_saves_nothing() -> None:
    document = sga(**hugetlb(pieces=512 * MIB), **mapping(address=0x60000000))

    assert "hugetlb-ragged-edges" not in found(document, "today")


def test_small_segments_in_base_pages_are_no_news() -> None:
    assert "hugetlb-too-small" not in found(sga(segments__sga__size="64 MiB"), "today", "hugetlb-2M")


def test_a_short_pool_in_use_is_no_pool_to_shrink() -> None:
    document = sga(**hugetlb(on_short_pool="mixed"), host__hugepages={"2 MiB": 102_400})

    assert "pool-short-mixed" in found(document, "today")
    assert "pool-leaves-too-little" not in found(document, "today")


def test_the_host_is_judged_where_the_cgroup_binds() -> None:
    """Pools are no demand of the cgroup, but they are taken from the host."""
    document = sga(
        **hugetlb("100 GiB"),
        host__hugepages={"2 MiB": 250_000},
        host__cgroup_limit="10 GiB",
        processes__server__private="200 MiB",
    )
    document["host"].pop("used")

    assert set(found(document, "today")) >= {"pool-leaves-too-little", "pool-unused", "used-not-stated"}


def test_nothing_to_say() -> None:
    assert found(silent()) == {}


@pytest.mark.parametrize(
    ("document", "code", "parts"),
    [
        (sga(), "page-tables-large", ["881 GiB", "172 %", "512 GiB"]),
        (sga(), "touch-limit", ["0.0835 %", "8 KiB", "19.4 %"]),
        (sga(), "part-pool-no-help", ["200 GiB", "300 GiB", "294 GiB"]),
        (sga(**mapping(touch="24%")), "touch-pattern-unknown", ["211 GiB", "881 GiB", "oom"]),
        (sga(host={"memory": "512 GiB"}), "used-not-stated", ["7.12 GiB"]),
        (sga(host__hugepages={"2 MiB": 10}), "pool-unused", ["10 of 10", "20.0 MiB"]),
        (sga(**hugetlb(), host__hugepages={"2 MiB": 7}), "pool-short-fail", ["153,600", " 7 "]),
        (sga(**hugetlb(), **mapping(address=0x60000000)), "hugetlb-ragged-edges", ["sga", "11.7 MiB"]),
        (sga(host__swap="1 TiB"), "swap-no-help", ["894 GiB", "502 GiB"]),
    ],
)
def test_messages_have_the_numbers(document: Document, code: str, parts: list[str]) -> None:
    message = found(document, "today", "hugetlb-2M")[code].message

    assert [part for part in parts if part not in message] == []


def test_the_band_changes_the_level() -> None:
    """24 % of an SGA: in one run it fits, scattered it does not by far."""
    document = sga(**mapping(touch="24%"), processes__server__count=1200)

    assert "169 GiB (critical)" in found(document)["touch-pattern-unknown"].message


def test_findings_point_at_the_line_of_the_value() -> None:
    text = "\n".join(
        [
            "version: 1",
            "name: places",
            "host:",
            "  memory: 512 GiB",
            "  used: 1 GiB",
            "  kernel: 5.14.0-427.el9.x86_64",
            "segments: {s: {size: 1 GiB, backing: shmem}}",
            "processes:",
            "  p:",
            "    count: 2",
            "    private: 0",
            "    mappings:",
            "      - {segment: s, touch: 10%}",
        ]
    )
    by_code = {finding.code: finding for finding in ptcalc.estimate(ptcalc.loads(text)).findings}

    assert (by_code["vendor-kernel"].line, by_code["vendor-kernel"].column) == (6, 11)
    assert (by_code["touch-pattern-unknown"].line, by_code["touch-pattern-unknown"].column) == (13, 29)


def test_errors_come_first() -> None:
    document = sga(**hugetlb(), host__hugepages={"2 MiB": 7, "1 GiB": 1}, host__kernel="6.8.0-45-generic")
    severities = [finding.severity for finding in ptcalc.estimate(load(document)).findings]

    assert severities == sorted(severities, key=("error", "warning", "info").index)
    assert severities[0] == "error"


def test_no_finding_calls_deployable_what_no_mainline_kernel_has() -> None:
    findings = found(sga(), "file-shared", "mshare")

    assert set(findings) == set()


def test_thresholds_are_those_of_the_config() -> None:
    assert "page-tables-large" not in found(sga(), config=Config(page_tables_share=Fraction(2)))


@pytest.mark.parametrize("change", [lambda d: d, lambda d: {**d, "segments": {}, "processes": {"p": {"count": 1}}}])
def test_few_policies_or_no_mappings_are_no_trouble(change: Callable[[Document], Document]) -> None:
    document = change(sga())

    for names in (["today"], ["thp"], ["mshare"], ["hugetlb-2M", "file-shared"]):
        found(document, *names)
