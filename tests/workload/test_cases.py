"""Tables of cases: what is refused, at which place and in which words; what is accepted, and as what."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from ptcalc.errors import InputError
from ptcalc.workload import Mapping, Range, Touch, Workload, loads

CASES = Path(__file__).parent / "cases"
SMALL = (CASES / "small.yaml").read_text(encoding="utf-8")
FULL = (CASES / "full.yaml").read_text(encoding="utf-8")
REFUSED: list[dict[str, Any]] = yaml.load((CASES / "refused.yaml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
MIB, GIB = 1 << 20, 1 << 30


def changed(old: str, new: str) -> str:
    assert SMALL.count(old) == 1, f"{old!r} must stand once in small.yaml"
    return SMALL.replace(old, new)


def mapped(mapping: str) -> Mapping:
    """The first mapping of small.yaml, written as `mapping`."""
    return loads(changed("{segment: sga}", f"{{segment: sga, {mapping}}}")).processes["server"].mappings[0]


@pytest.mark.parametrize("case", REFUSED, ids=[f"{n}-{case['new'][:40]!r}" for n, case in enumerate(REFUSED)])
def test_refused(case: dict[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        loads(changed(case["old"], case["new"]), name="w.yaml")

    error = caught.value
    assert f"{error.file}:{error.line}:{error.column}" == f"w.yaml:{case['at']}"
    assert case["says"] in error.message
    assert error.accepted, "says what would be accepted"
    assert case.get("accepted", "") in error.accepted
    assert error.suggestion == case.get("suggests")
    shown = error.render().splitlines()
    assert shown[0].startswith(f"w.yaml:{case['at']}: ")
    assert shown[2].endswith("^")


def test_small_and_full_are_accepted() -> None:
    assert isinstance(loads(SMALL), Workload)
    full = loads(FULL)
    host, sga, server = full.host, full.segments["sga"], full.processes["server"]
    assert (host.memory, host.mem_total, host.kernel) == (512 * GIB, 503 * GIB, "6.18")
    assert host.hugepages == {2 * MIB: 10, GIB: 2}
    assert (host.swap, host.used, host.cgroup_limit, host.numa_nodes) == (0, 12 * GIB, 400 * GIB, 2)
    assert (sga.size, sga.pieces, sga.resident, sga.locked) == (4 * GIB, 512 * MIB, 3 * GIB, True)
    assert full.segments["pool"].on_short_pool == "mixed"
    assert (server.count, server.threads, server.private) == (15, 2, 12 * MIB)
    assert (server.private_cap, server.base_tables) == (90 * GIB, 512 << 10)
    first, second, third = server.mappings
    assert (first.offset, first.length, first.address) == (MIB, 2 * GIB, 0x60000000)
    assert first.touch == (Touch("amount", amount=Fraction(24, 100)),)
    assert (second.alignment, second.placement) == (GIB, "independent")
    assert second.touch == (
        Touch("amount", amount=Fraction(24, 100), written_pattern="clustered", cluster=MIB, overlap="same"),
        Touch("amount", pages=5000, written_pattern="scattered"),
        Touch("every", step=2 * MIB, start=4096, length=GIB),
        Touch("ranges", ranges=(Range(0, 2 * MIB), Range(GIB, GIB))),
    )
    assert third.touch == (Touch("amount", amount=MIB, written_pattern="contiguous"),)


def test_every_key_of_the_contract_has_its_default() -> None:
    workload = loads(
        "{version: 1, host: {memory: 1 GiB}, segments: {s: {size: 1M, backing: file}}, "
        "processes: {p: {count: 1, mappings: [{segment: s}]}}}",
        name="/somewhere/my file.yaml",
    )
    assert workload.name == "my file"
    host, segment, group = workload.host, workload.segments["s"], workload.processes["p"]
    assert (host.arch, host.kernel, host.mem_total, host.used) == ("x86_64", None, None, None)
    assert (host.swap, host.hugepages, host.cgroup_limit, host.numa_nodes) == (0, None, None, 1)
    assert (segment.pieces, segment.page_size, segment.on_short_pool) == (None, None, "fail")
    assert (segment.thp, segment.resident, segment.locked) == ("never", None, False)
    assert (group.scale, group.threads, group.private, group.private_cap) == ("proportional", 1, 0, None)
    assert (group.base_tables, group.page_table_sharing) == (None, "allow")
    mapping = group.mappings[0]
    assert (mapping.offset, mapping.length, mapping.address, mapping.alignment) == (0, None, None, None)
    assert (mapping.placement, mapping.map, mapping.protection) == ("same", "shared", "rw")
    assert (mapping.madvise, mapping.softdirty, mapping.userfaultfd) == ("none", False, "none")
    assert (mapping.touch, mapping.touch_stated, mapping.access) == ((Touch("all"),), False, "write")


@pytest.mark.parametrize(
    ("written", "touch", "amount_only"),
    [
        ("all", Touch("all"), False),
        ("none", Touch("none"), False),
        ("24%", Touch("amount", amount=Fraction(6, 25)), True),
        ("12.5 %", Touch("amount", amount=Fraction(1, 8)), True),
        ("100%", Touch("amount", amount=Fraction(1)), True),
        ("0%", Touch("amount", amount=Fraction(0)), True),
        ("72 MiB", Touch("amount", amount=72 * MIB), True),
        ("4096", Touch("amount", amount=4096), True),
        ("{amount: 24%}", Touch("amount", amount=Fraction(6, 25)), True),
        ("{amount: 1M, pattern: scattered}", Touch("amount", amount=MIB, written_pattern="scattered"), False),
        ("{pages: 3, overlap: same}", Touch("amount", pages=3, overlap="same"), True),
        ("{every: 5000, start: 1, length: 7}", Touch("every", step=5000, start=1, length=7), False),
        ("{ranges: [{start: 0x1000, length: 1}]}", Touch("ranges", ranges=(Range(4096, 1),)), False),
        ("[all]", Touch("all"), False),
    ],
)
def test_touch_forms(written: str, touch: Touch, amount_only: bool) -> None:
    mapping = mapped(f"touch: {written}")
    assert mapping.touch == (touch,)
    assert mapping.touch_stated
    assert mapping.touch[0].amount_only is amount_only


def test_defaults_follow_the_protection() -> None:
    none, readable, executable = (mapped(f"protection: {protection}") for protection in ("none", "r", "rwx"))
    assert (none.touch, none.access) == ((Touch("none"),), "read")
    assert (readable.touch, readable.access) == ((Touch("all"),), "read")
    assert executable.access == "write"
    assert mapped("protection: none, touch: 50%, access: write").access == "write", "before it was protected"


def test_scalars_are_read_from_their_text() -> None:
    workload = loads(
        changed("host: {", "host: {kernel: 6.10, ")
        .replace("count: 2", "count: 010")
        .replace("  server:", "  no:")
        .replace("name: small", "name: on")
    )
    assert workload.host.kernel == "6.10"
    assert workload.processes["no"].count == 10
    assert workload.name == "on"


def test_a_length_may_reach_to_the_end_of_the_last_page() -> None:
    text = SMALL.replace("size: 1 GiB", "size: 5000").replace("{segment: sga}", "{segment: sga, length: 8192}")
    assert loads(text).processes["server"].mappings[0].length == 8192
    with pytest.raises(InputError, match="reaches 1 B past"):
        loads(text.replace("8192", "8193"))


@pytest.mark.parametrize(
    ("mapping", "refused"),
    [
        ("offset: 3 MiB", False),  # the second piece starts here, mapped at 4 MiB
        ("offset: 5 MiB, length: 7 MiB", False),
        ("offset: 5 MiB, length: 8 MiB", False),  # the last piece is rounded up to 4 MiB
        ("offset: 5 MiB, length: 9 MiB", True),
        ("offset: 1 MiB", True),
    ],
)
def test_rounding_is_per_piece(mapping: str, refused: bool) -> None:
    text = changed("{segment: row}", f"{{segment: row, {mapping}}}")
    if refused:
        with pytest.raises(InputError):
            loads(text)
    else:
        loads(text)


def test_addresses_are_as_long_as_what_is_mapped() -> None:
    """Four pieces of 3 MiB in pages of 2 MiB take 16 MiB, not 12."""
    near = "{segment: row, address: 1 GiB}\n      - {segment: heap, address: 0x40e00000}"
    with pytest.raises(InputError, match="overlaps"):
        loads(changed("{segment: row}", near))
    loads(changed("{segment: row}", near.replace("0x40e00000", "0x41000000")))


def test_five_levels_have_more_addresses() -> None:
    text = changed("{segment: sga}", "{segment: sga, address: 0x8000_0000_0000}")
    with pytest.raises(InputError, match="outside user space"):
        loads(text)
    loads(text.replace("memory: 8 GiB", "memory: 8 GiB, arch: x86_64-la57"))


def test_private_memory_is_always_mapped_private() -> None:
    workload = loads(changed("{segment: heap}", "{segment: heap, map: shared}"))
    assert workload.processes["server"].mappings[2].map == "private"
    assert "processes.server.mappings[2].map" in {assumption.key for assumption in workload.assumptions}


def test_several_errors_come_in_the_order_of_the_file() -> None:
    text = changed("count: 2", "count: no").replace("memory: 8 GiB", "memory: -1")
    with pytest.raises(InputError) as caught:
        loads(text, name="w.yaml")
    assert [caught.value.line, *(error.line for error in caught.value.more)] == [3, 11]
    assert "w.yaml:11:12: processes.server.count" in caught.value.render()


def test_a_misspelt_key_is_not_also_missing() -> None:
    with pytest.raises(InputError) as caught:
        loads(changed("count: 2", "cuont: 2"))
    assert "missing" not in caught.value.render()


@pytest.mark.parametrize("mapping", ["{segmen: sga}", "{segment: sgb}", "{segment: sga, address: 4 KiB}"])
def test_of_very_many_errors_only_some_are_looked_into(mapping: str) -> None:
    many = f"{mapping}\n" + f"      - {mapping}\n" * 400
    with pytest.raises(InputError) as caught:
        loads(changed("{segment: sga}\n", many))
    assert len(caught.value.more) < 100
    shown = caught.value.render().splitlines()
    assert shown[-1] == "and many more errors"
    assert len(shown) < 40
