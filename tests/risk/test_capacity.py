"""Usable memory of a host: page array, watermarks, lowmem reserve."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptcalc import arch
from ptcalc.risk.capacity import host_capacity, lowmem_reserve, min_free, used_estimate, zones
from ptcalc.risk.config import Config

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
X86 = arch.get("x86_64")


def host(memory: int, mem_total: int | None = None, nodes: int = 1) -> Any:
    return SimpleNamespace(memory=memory, mem_total=mem_total, numa_nodes=nodes)


def terms(*args: Any, config: Config | None = None) -> dict[str, int]:
    return {item.name: item.bytes for item in host_capacity(host(*args), X86, config or Config())}


def test_512_gib_leave_502() -> None:
    found = terms(512 * GIB)

    assert found == {
        "installed": 512 * GIB,
        "page array": -8 * GIB,
        "min watermarks": -91_954 * KIB,  # int_sqrt(16 * 504 GiB in kB)
        "lowmem reserve": -(501 * GIB // 256),
    }
    assert round(sum(found.values()) / GIB, 2) == 501.96


def test_a_stated_mem_total_replaces_the_page_array() -> None:
    found = terms(512 * GIB, 503 * GIB)

    assert found["not in MemTotal"] == -9 * GIB
    assert found["lowmem reserve"] == -(500 * GIB // 256)


@pytest.mark.parametrize(
    ("mem_total", "zone_count", "expected_kb"),
    [
        pytest.param(24_684_092 * KIB, 3, 67_584, id="khugepaged raises it: 2048 * 3 * 11"),
        pytest.param(504 * GIB, 3, 91_954, id="the square root is larger"),
        pytest.param(64 * TIB, 3, 262_144, id="at most 256 MiB"),
        pytest.param(504 * GIB, 10, 225_280, id="one zone for each further node"),
        pytest.param(256 * MIB, 2, 13_107, id="at most 5 % of lowmem"),
        pytest.param(MIB, 1, 128, id="at least 128 kB"),
    ],
)
def test_min_free_kbytes(mem_total: int, zone_count: int, expected_kb: int) -> None:
    assert min_free(mem_total, zone_count, 2 * MIB) == expected_kb * KIB


def test_without_thp_only_the_square_root_counts() -> None:
    assert min_free(24_684_092 * KIB, 3, 2 * MIB, thp=False) == 19_873 * KIB


@pytest.mark.parametrize(
    ("mem_total", "nodes", "count", "normal"),
    [
        (2 * GIB, 1, 2, 0),
        (3 * GIB, 1, 2, 0),
        (4 * GIB, 1, 3, GIB),
        (504 * GIB, 1, 3, 501 * GIB),
        (504 * GIB, 4, 6, 123 * GIB),
    ],
)
def test_zones(mem_total: int, nodes: int, count: int, normal: int) -> None:
    found = zones(mem_total, nodes, X86)

    assert (found.count, found.normal) == (count, normal)


def test_the_reserve_is_never_more_than_the_low_zones() -> None:
    assert lowmem_reserve(zones(4 * TIB, 1, X86), 256) == 3 * GIB
    assert lowmem_reserve(zones(4 * TIB, 1, X86), 0) == 0
    assert lowmem_reserve(zones(3 * GIB, 1, X86), 256) == 0


def test_min_free_can_be_stated() -> None:
    assert terms(512 * GIB, config=Config(min_free=GIB))["min watermarks"] == -GIB


@given(st.integers(1, 1 << 61), st.integers(1, 1024))
def test_capacity_is_never_negative_nor_more_than_memory(memory: int, nodes: int) -> None:
    items = host_capacity(host(memory, None, nodes), X86, Config())

    assert 0 <= sum(item.bytes for item in items) <= memory
    assert all(item.terms and item.source for item in items)


def test_what_is_used_is_small_on_small_hosts() -> None:
    assert used_estimate(512 * GIB, Config()) == 2 * GIB + 512 * GIB // 100
    assert used_estimate(4 * GIB, Config()) == 256 * MIB + 4 * GIB // 100
