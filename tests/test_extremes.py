"""The largest inputs that are accepted, against Python integers: no figure may wrap around or lose a digit."""

from __future__ import annotations

import pytest

import ptcalc

PROCESSES = 4_194_304  # all that a kernel can have
TABLE = 4096
SPANS = {"pte": 1 << 21, "pmd": 1 << 30, "pud": 1 << 39, "p4d": 1 << 48}


def estimate(*, arch: str, address: int, size: int, touch: str) -> ptcalc.Estimate:
    """One segment, mapped by as many processes as there can be."""
    return ptcalc.estimate(
        ptcalc.loads(
            f"""
            version: 1
            name: extreme
            host: {{memory: 64 GiB, used: 0 B, arch: {arch}}}
            segments: {{s: {{size: {size}, backing: shmem, resident: touched}}}}
            processes:
              p:
                count: {PROCESSES}
                mappings: [{{segment: s, address: {address:#x}, touch: {touch}}}]
            """
        )
    )


def reached(address: int, length: int, step: int) -> dict[str, int]:
    """Tables of each level that hold address, address + step, ... (Python integers)."""
    out = {}
    for level, span in SPANS.items():
        if step <= span:
            last = address + (length - 1) // step * step
            out[level] = last // span - address // span + 1
        else:
            out[level] = -(-length // step)
    return out


@pytest.mark.parametrize(
    ("arch", "address", "size"),
    [
        ("x86_64", 1 << 46, 1 << 46),
        ("x86_64", 0x10000, (1 << 47) - 4096 - 0x10000),
        ("x86_64-la57", 1 << 55, (1 << 55) - 4096),
        ("x86_64-la57", (1 << 47) + 4096, (1 << 56) - (1 << 47) - 8192),
    ],
)
@pytest.mark.parametrize(("touch", "step"), [("all", 4096), ("{every: 3 MiB}", 3 << 20), ("{every: 5 GiB}", 5 << 30)])
def test_every_figure_equals_that_of_python_integers(arch: str, address: int, size: int, touch: str, step: int) -> None:
    if address + size > (1 << (56 if arch.endswith("la57") else 47)) - 4096:
        size -= 4096
    tables = reached(address, size, step)
    if arch == "x86_64":
        del tables["p4d"]
    else:
        # The P4D table of the low 256 TiB is there anyway.
        tables["p4d"] -= address < 1 << 48
    expected = {level: number * PROCESSES for level, number in tables.items()}

    result = estimate(arch=arch, address=address, size=size, touch=touch).policy("private")

    assert result.page_tables.exact
    assert expected == {level.level: level.tables for level in result.page_tables.levels}
    assert sum(expected.values()) * TABLE == result.page_tables.used_bytes == result.page_tables.bytes
    assert sum(tables[level] for level in ("pte", "pmd", "pud")) * TABLE == result.processes[0].vmpte_bytes
    assert result.memory.demand_bytes > result.page_tables.used_bytes
    assert result.memory.headroom_bytes == result.memory.capacity_bytes - result.memory.demand_bytes
    assert result.risk.level == "oom"


def test_a_draw_over_all_of_user_space_has_the_tables_that_it_must_have() -> None:
    """A quarter of all pages at random: every table is reached, and nothing of it is exact."""
    size = 1 << 46
    result = estimate(arch="x86_64", address=1 << 45, size=size, touch="25%").policy("private")

    assert not result.page_tables.exact
    assert result.page_tables.sd_bytes == 0
    per_process = size // SPANS["pte"] + size // SPANS["pmd"] + size // SPANS["pud"]
    assert per_process * PROCESSES * TABLE == result.page_tables.bytes
