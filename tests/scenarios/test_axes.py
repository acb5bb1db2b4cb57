"""Values of an axis: what texts mean, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptcalc.errors import InputError
from ptcalc.scenarios.axes import parse_values
from ptcalc.workload.source import Path

COUNT: Path = ("processes", "p", "count")
SIZE: Path = ("segments", "s", "size")
TOUCH: Path = ("processes", "p", "mappings", 0, "touch", "amount")
ARCH: Path = ("host", "arch")


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (COUNT, "1", ["1"]),
        (COUNT, "3, 1 ,2", ["3", "1", "2"]),
        (COUNT, "100..400:100", ["100", "200", "300", "400"]),
        (COUNT, "1..10:4", ["1", "5", "9"]),
        (COUNT, "7..7:1", ["7"]),
        (COUNT, "1..2:lin5", ["1", "2"]),
        (COUNT, "1..1000:log4", ["1", "10", "100", "1000"]),
        (COUNT, "5,1..3:1,2", ["5", "1", "2", "3", "2"]),
        (SIZE, "100GiB..200GiB:50GiB", ["100 GiB", "150 GiB", "200 GiB"]),
        (SIZE, "1K..3K:1024", ["1 KiB", "2 KiB", "3 KiB"]),
        (TOUCH, "10%..30%:10%", ["10%", "20%", "30%"]),
        (TOUCH, "0.001%..100%:log6", ["0.001%", "0.01%", "0.1%", "1%", "10%", "100%"]),
        (TOUCH, "0%..1%:lin3", ["0%", "0.5%", "1%"]),
        (TOUCH, "1 GiB..3 GiB:lin3", ["1 GiB", "2 GiB", "3 GiB"]),
        (ARCH, "x86_64,arm64-64k", ["x86_64", "arm64-64k"]),
        (ARCH, '"a,b","c..d:1"', ["a,b", "c..d:1"]),
    ],
)
def test_values(path: Path, text: str, expected: list[str]) -> None:
    assert list(parse_values(text, path)) == expected


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        (COUNT, "", None),
        (COUNT, "1,,2", "stands where a value should be"),
        (COUNT, "1,", "last comma"),
        (COUNT, "1..5", "does not say in which steps"),
        (COUNT, "5..1:1", "runs downwards"),
        (COUNT, "1..5:0", "no step"),
        (COUNT, "1..5:log1", "1 values"),
        (COUNT, "0..5:log3", "cannot start at 0"),
        (COUNT, "1..x:1", "'x'"),
        (COUNT, "1..4000000:1", "more than 1,000,000 values"),
        (SIZE, "1GiB..2GiB:1parsec", "'parsec' is no unit"),
        (TOUCH, "1%..5 GiB:1%", "from a share to a size"),
        (TOUCH, "1%..5%:1", "no step"),
        (ARCH, "a..c:1", "no numbers stand at this place"),
    ],
)
def test_refused(path: Path, text: str, message: str | None) -> None:
    if message is None:
        assert parse_values(text, path) == ()
        return
    with pytest.raises(InputError, match=message):
        parse_values(text, path)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**5))
def test_steps_are_those_of_python(low: int, more: int, step: int) -> None:
    found = parse_values(f"{low}..{low + more}:{step}", COUNT)

    assert [int(value) for value in found] == list(range(low, low + more + 1, step))


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(2, 50), st.sampled_from(["lin", "log"]))
def test_spaced_values_rise_from_end_to_end(low: int, more: int, many: int, kind: str) -> None:
    found = [int(value) for value in parse_values(f"{low}..{low + more}:{kind}{many}", COUNT)]

    assert found == sorted(set(found))
    assert (found[0], found[-1]) == (low, low + more)
    assert len(found) <= many
