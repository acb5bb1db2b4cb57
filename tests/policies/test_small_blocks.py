"""Blocks of a database on machines whose pages are larger than a block."""

from __future__ import annotations

import random
import statistics

import pytest

import ptcalc

KIB, GIB = 1 << 10, 1 << 30
WORKLOAD = """\
version: 1
host: {{memory: 64 GiB, arch: {arch}}}
segments: {{sga: {{size: 8 GiB, backing: shmem, resident: touched}}}}
processes:
  server:
    count: 1
    mappings:
      - segment: sga
        address: 0x40000000000
        touch: {{amount: {amount}, pattern: clustered, cluster: 8 KiB}}
"""


@pytest.mark.parametrize(
    ("arch", "page", "span"), [("arm64-64k", 64 * KIB, GIB // 2), ("arm64-16k", 16 * KIB, GIB // 32)]
)
@pytest.mark.parametrize("blocks", [8, 64, 512])
def test_tables_and_pages_of_blocks_at_random(arch: str, page: int, span: int, blocks: int) -> None:
    text = WORKLOAD.format(arch=arch, amount=f"{blocks * 8} KiB")
    found = ptcalc.estimate(ptcalc.loads(text), policies=["today"]).policy("today")
    rng = random.Random(blocks)
    size, block = 8 * GIB, 8 * KIB
    draws = [[at * block for at in rng.sample(range(size // block), blocks)] for _ in range(400)]

    tables = statistics.mean(len({at // span for at in draw}) for draw in draws)
    pte = {level.level: level.tables for level in found.page_tables.levels}["pte"]
    assert pte == pytest.approx(tables, abs=0.5 + 4 * 0.05 * tables**0.5)
    pages = statistics.mean(len({at // page for at in draw}) for draw in draws)
    resident = next(item.bytes for item in found.memory.items if item.kind == "segment") / page
    assert resident == pytest.approx(pages, abs=1 + 0.01 * pages)


def test_a_block_that_neither_divides_a_page_nor_holds_it() -> None:
    with pytest.raises(ptcalc.InputError, match="no multiple of the page size"):
        ptcalc.loads(WORKLOAD.format(arch="arm64-64k", amount="24 KiB").replace("cluster: 8", "cluster: 24"))
