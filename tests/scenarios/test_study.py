"""Many scenarios at once against each of them alone, and a block against its parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ptcalc
from ptcalc import estimation, risk
from ptcalc.errors import InputError
from ptcalc.result import RISK_ORDER
from ptcalc.scenarios import study as study_of
from ptcalc.scenarios.block import Block, Numbers
from ptcalc.scenarios.figures import BOUNDARIES, FIGURES, of_group
from ptcalc.scenarios.study import Study
from ptcalc.workload.loading import build
from ptcalc.workload.places import place_of
from ptcalc.workload.source import Override, Path, Positions
from tests import strategies as make
from tests.strategies import GIB, Document
from tests.test_engine_against_reference import thorough

KIB, MIB = 1 << 10, 1 << 20


def alone(document: Positions, numbers: dict[Path, Numbers]) -> dict[str, dict[str, Any]]:
    """Return the figures of one scenario as load and estimate give them."""
    overrides = [Override(path, one.text(0), "test") for path, one in numbers.items()]
    workload = build(document.overridden(overrides))
    found = {}
    for outcome in estimation.evaluate(workload):
        result = estimation.result_of(outcome, risk.Config(), detailed=False)
        memory, level, tables = result.memory, result.risk, result.page_tables
        found[result.policy] = {
            "page_tables_bytes": tables.bytes,
            "used_bytes": tables.used_bytes,
            "exact": tables.exact,
            "boundary": BOUNDARIES.index(memory.boundary),
            "capacity_bytes": memory.capacity_bytes,
            "demand_bytes": memory.demand_bytes,
            "headroom_bytes": memory.headroom_bytes,
            "risk": RISK_ORDER.index(level.level),
            "safe_processes": level.safe_processes,
            "max_processes": level.max_processes,
            "limited_by": risk.LIMITED_BY.index(level.limited_by),
            **{of_group("vmpte_bytes", group.name): group.vmpte_bytes for group in result.processes},
        }
    return found


def agree(document: Positions, block: Block) -> None:
    """Compare all figures of all scenarios, or that both refuse one."""
    expected, refusal = [], None
    for scenario in range(len(block)):
        try:
            expected.append(alone(document, block.at(scenario)))
        except InputError as error:
            refusal = error
            break
    study = Study(document, figures=tuple(FIGURES))
    if refusal is not None:
        with pytest.raises(InputError):
            study.evaluate(block)
        return
    found = study.evaluate(block)
    for scenario, each in enumerate(expected):
        got = {
            policy: {name: column[scenario].item() for name, column in columns.items()}
            for policy, columns in found.items()
        }
        assert got == each, {document.dotted(path): one.text(0) for path, one in block.at(scenario).items()}


def leaves(node: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    """Return the values of a document with their paths."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if items is None:
        return [(path, node)]
    return [leaf for key, value in items for leaf in leaves(value, (*path, key))]


@st.composite
def blocks(draw: st.DrawFn, document: Document) -> tuple[Positions, Block]:
    """Draw numbers for up to four places of a document: near what stands there, twice and half as much, or none."""
    text = make.text_of(document)
    positions = ptcalc.loads(text).positions
    there = []
    for path, _ in leaves(document):
        place = place_of(path)
        value = None if place is None else place.number(str(positions.find(path)[0].to_plain()))  # type: ignore[union-attr]
        if place is not None and value is not None:
            there.append((path, place, value))
    if not there:
        return positions, Block()
    picked = draw(st.lists(st.sampled_from(there), min_size=1, max_size=4, unique_by=lambda leaf: leaf[0]))
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    rows: dict[Path, Numbers] = {}
    columns: dict[Path, Numbers] = {}
    for path, place, value in picked:
        into, many = (rows, height) if place.moves or draw(st.booleans()) else (columns, width)
        factors = st.sampled_from([1, 1, 1, 2, 3]) if isinstance(value, int) else st.sampled_from([1])
        shifts = st.sampled_from([0, 0, 4 * KIB, -4 * KIB, 2 * MIB, 64 * KIB] if place.unit == "bytes" else [0, 0, 1])
        numbers = [value * draw(factors) + (draw(shifts) if isinstance(value, int) else 0) for _ in range(many)]
        if draw(st.booleans()):
            numbers = [number // 2 if isinstance(number, int) else number / 2 for number in numbers]
        into[path] = Numbers.of([max(number, 0) for number in numbers])
    return positions, Block(rows, columns)


@pytest.mark.many
@thorough()
@given(st.data())
def test_scenarios_of_exact_touches(data: st.DataObject) -> None:
    """Everything that the engine knows, with other numbers at up to four places."""
    document = data.draw(make.workloads())
    agree(*data.draw(blocks(document)))


@pytest.mark.many
@thorough()
@given(st.data())
def test_scenarios_of_draws(data: st.DataObject) -> None:
    """Random touches, whose expectations have to be the same to the last bit."""
    document = data.draw(st.one_of(make.tiny_random_workloads(), make.clustered_random_workloads()))
    agree(*data.draw(blocks(document)))


@pytest.mark.many
@thorough()
@given(st.data())
def test_scenarios_of_short_pools(data: st.DataObject) -> None:
    """Pools that some scenarios find too small."""
    document = data.draw(make.short_pools())
    agree(*data.draw(blocks(document)))


SGA = """
version: 1
host: {memory: 512 GiB, used: 12 GiB}
segments: {sga: {size: 300 GiB, backing: shmem}}
processes:
  server: {count: 1500, private: 12 MiB, mappings: [{segment: sga, address: 0x60000000, touch: 10%}]}
"""
SIZE, TOUCH = ("segments", "sga", "size"), ("processes", "server", "mappings", 0, "touch")
ADDRESS, COUNT = ("processes", "server", "mappings", 0, "address"), ("processes", "server", "count")


def sga_block(rows: int, columns: int) -> tuple[Positions, Block]:
    """Return random scenarios of an SGA: size, scattered touch and address by count."""
    source = np.random.default_rng(5)
    many: dict[Path, Numbers] = {
        SIZE: Numbers(source.integers(1, 125 << 20, rows) * 4096),
        TOUCH: Numbers(source.integers(0, 10**6 + 1, rows), np.full(rows, 10**6)),
        ADDRESS: Numbers(0x60000000 + source.integers(0, 1 << 18, rows) * 4096),
    }
    counts: dict[Path, Numbers] = {COUNT: Numbers(source.integers(1, 5000, columns))}
    return ptcalc.loads(SGA).positions, Block(many, counts)


def test_parts_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bits in blocks of any size, and in scenarios of their own."""
    document, block = sga_block(700, 9)
    study = Study(document)
    whole = study.evaluate(block)

    monkeypatch.setattr(study_of, "_ROWS", 64)
    monkeypatch.setattr(study_of, "_SCENARIOS", 128)
    parts = study.evaluate(block)
    order = np.random.default_rng(1).permutation(700)[:40]
    some = study.evaluate(block.take(order, np.array([4, 2])))

    for policy, columns in whole.items():
        for name, column in columns.items():
            assert (column == parts[policy][name]).all()
            assert (column.reshape(700, 9)[np.ix_(order, np.array([4, 2]))].ravel() == some[policy][name]).all()


def test_large_numbers() -> None:
    """Beyond what 64 bits hold in between: 64 PiB times four million processes."""
    document = ptcalc.loads(SGA.replace("0x60000000", "0x0").replace("512 GiB", "1024 TiB")).positions
    block = Block({SIZE: Numbers.of([60 << 40, GIB])}, {COUNT: Numbers.of([4_000_000, 1])})
    agree(document, block)


@pytest.mark.parametrize(
    ("path", "number", "message"),
    [
        (SIZE, 0, "too small"),
        (COUNT, 0, "too small"),
        (COUNT, 5_000_000, "too large"),
        (ADDRESS, 0x60000001, "no multiple of the page size"),
        (TOUCH, 400 * GIB, "more than the mapping"),
    ],
)
def test_the_loader_has_the_last_word(path: Path, number: int, message: str) -> None:
    """A scenario that is refused is told as the loader tells it, also if it is not the first of the block."""
    document = ptcalc.loads(SGA).positions
    good = {SIZE: 300 * GIB, COUNT: 1500, ADDRESS: 0x60000000, TOUCH: GIB}[path]
    with pytest.raises(InputError, match=message):
        Study(document).evaluate(Block({path: Numbers.of([good, good, number, good])}))
