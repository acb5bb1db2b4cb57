"""Tables counted for one process, and touches fitted to counters, against the engine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ptcalc
from ptcalc import arch
from ptcalc.arch import kernels
from ptcalc.capture.tables import Counter, Fitted, Place, Touched, fit

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
COUNTER = Counter(arch.get("x86_64"), kernels.parse("6.18"))


def engine(places: list[Place], fitted: list[Fitted]) -> int:
    """VmPTE of the same mappings by `ptcalc.estimate`."""
    mappings = []
    for number, (place, each) in enumerate(zip(places, fitted, strict=True)):
        forms = [f"{{amount: {each.dense}, pattern: contiguous}}"] if each.dense else []
        if each.every_length:
            forms.append(f"{{every: 2 MiB, start: {each.every_start}, length: {each.every_length}}}")
        touch = f"[{', '.join(forms)}]" if forms else "none"
        mappings.append(f"{{segment: s{number}, address: {place.start:#x}, touch: {touch}}}")
    segments = "".join(f"  s{n}: {{size: {place.length}, backing: shmem}}\n" for n, place in enumerate(places))
    text = (
        "version: 1\nhost: {memory: 64 GiB, kernel: '6.18'}\nsegments:\n"
        f"{segments}processes:\n  p: {{count: 1, mappings: [{', '.join(mappings)}]}}\n"
    )
    return ptcalc.estimate(ptcalc.loads(text), policies=["today"]).policy("today").processes[0].vmpte_bytes


@st.composite
def mapped(draw: st.DrawFn) -> list[Place]:
    """A few mappings, one after the other with gaps of pages, and what of them is touched."""
    at, found = 0x7F0000000000, []
    for _ in range(draw(st.integers(1, 4))):
        at += draw(st.integers(0, 3000)) * 4 * KIB
        pages = draw(st.integers(1, 40_000))
        found.append(Place(at, pages * 4 * KIB, draw(st.integers(0, pages)) * 4 * KIB))
        at += pages * 4 * KIB
    return found


@given(mapped(), st.integers(0, 2 * MIB))
def test_counts_are_those_of_the_engine(places: list[Place], wanted: int) -> None:
    """Whatever was fitted, both count the same tables; the amounts stay those that were told."""
    fitted = fit(places, wanted // 4096 * 4096, COUNTER)
    own = COUNTER.bytes(Touched(each.runs(place, COUNTER)) for place, each in zip(places, fitted, strict=True))

    assert own == engine(places, fitted)
    for place, each in zip(places, fitted, strict=True):
        sparse = -(-each.every_length // COUNTER.span)
        assert each.dense + sparse * COUNTER.page == pytest.approx(place.touched, abs=8 * KIB)


@given(mapped(), st.floats(0, 1))
def test_what_can_be_reached_is_reached(places: list[Place], share: float) -> None:
    """Between the fewest tables and the most, the fit is a table or two from what was wanted, for each mapping."""
    least = COUNTER.bytes(
        Touched(each.runs(place, COUNTER)) for place, each in zip(places, fit(places, 0, COUNTER), strict=True)
    )
    most = COUNTER.bytes(
        Touched(each.runs(place, COUNTER)) for place, each in zip(places, fit(places, GIB, COUNTER), strict=True)
    )
    wanted = least + int(share * (most - least)) // 4096 * 4096
    fitted = fit(places, wanted, COUNTER)
    found = COUNTER.bytes(Touched(each.runs(place, COUNTER)) for place, each in zip(places, fitted, strict=True))

    assert abs(found - wanted) <= len(places) * 2 * 4096


@pytest.mark.parametrize(
    ("name", "kernel", "beside", "in_page_tables"),
    [
        ("x86_64", "6.18", 48 * KIB, 52 * KIB),  # and the root
        ("x86_64", "6.12", 48 * KIB, 48 * KIB),  # the root is not counted yet
        ("x86_64", "6.1", 48 * KIB, 40 * KIB),  # nor two PUD tables
        ("x86_64", "5.4", 48 * KIB, 28 * KIB),  # nor three PMD tables
        ("x86_64-la57", "6.18", 48 * KIB, 56 * KIB),  # and the P4D table
    ],
)
def test_what_lies_beside_in_page_tables(name: str, kernel: str, beside: int, in_page_tables: int) -> None:
    """What a process's own tables add to PageTables depends on the kernel."""
    version = kernels.parse(kernel)

    assert Counter(arch.get(name).at(version.version), version).in_page_tables(beside) == in_page_tables
