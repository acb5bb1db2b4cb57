"""The order of scenarios, whatever the parts that they are evaluated in."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptcalc.errors import InputError
from ptcalc.scenarios.space import Axis, Space
from ptcalc.workload.places import place_of
from ptcalc.workload.source import Path

PATHS: dict[str, Path] = {
    "host.memory": ("host", "memory"),
    "processes.p.count": ("processes", "p", "count"),
    "processes.p.private": ("processes", "p", "private"),
    "segments.s.size": ("segments", "s", "size"),
    "processes.p.mappings.0.offset": ("processes", "p", "mappings", 0, "offset"),
    "host.arch": ("host", "arch"),
    "segments.s.backing": ("segments", "s", "backing"),
}


@st.composite
def spaces(draw: st.DrawFn, *, zipped: bool) -> Space:
    """Draw up to four axes, their values in any order."""
    names = draw(st.lists(st.sampled_from(sorted(PATHS)), min_size=1, max_size=4, unique=True))
    length = draw(st.integers(1, 9))
    axes = []
    for name in names:
        many = length if zipped else draw(st.integers(1, 5))
        if place_of(PATHS[name]) is None:
            values = [draw(st.sampled_from("abc")) if zipped else "abcde"[at] for at in range(many)]
        else:
            values = [str(number * 4096) for number in draw(st.permutations(range(1, many + 1)))]
        axes.append(Axis(name, tuple(values)))
    return Space(axes, [PATHS[name] for name in names], zipped=zipped)


def combinations(space: Space) -> list[tuple[str, ...]]:
    """Return all scenarios, listed one by one: words vary slowest, and the last axis fastest."""
    values = [axis.values for axis in space.axes]
    if space.zipped:
        return list(zip(*values, strict=True))
    counted = [at for at in range(len(values)) if at not in space.words]
    order = [*space.words, *counted]
    listed = []
    for combination in product(*(values[at] for at in order)):
        by_axis = dict(zip(order, combination, strict=True))
        listed.append(tuple(by_axis[at] for at in range(len(values))))
    return listed


@given(st.data(), st.booleans(), st.integers(1, 30))
def test_parts_put_together_are_the_space(data: st.DataObject, zipped: bool, size: int) -> None:
    space = data.draw(spaces(zipped=zipped))
    expected = combinations(space)
    found: list[tuple[str, ...]] = []
    for part in space.parts(size):
        assert part.first == len(found)
        assert 1 <= len(part) <= size
        places = space.places(part)
        here = [
            tuple(axis.values[places[at][number]] for at, axis in enumerate(space.axes)) for number in range(len(part))
        ]
        block = space.block(part)
        assert len(block) == len(part)
        # What the block says of a scenario is what stands at the places.
        for number, scenario in enumerate(space.arranged(part, np.arange(len(part))).tolist()):
            numbers = {path: one.number(0) for path, one in block.at(scenario).items()}
            assert numbers == {
                path: int(here[number][at]) for at, path in enumerate(space.paths) if at not in space.words
            }
        assert all(space.variants[part.variant] == tuple(each[at] for at in space.words) for each in here)
        moving = {path for path in block.columns if (place := place_of(path)) and place.moves}
        assert not moving
        found += here
    assert found == expected
    assert len(space) == len(expected)


def test_a_large_space_is_not_listed() -> None:
    """Its parts come one after the other, and their number is what it is for its size."""
    axes = [Axis("processes.p.count", tuple(map(str, range(1, 1001)))), Axis("segments.s.size", ("1G", "2G", "3G"))]
    paths = [PATHS[axis.path] for axis in axes]
    many = [*paths, ("host", "memory"), ("host", "swap"), ("host", "used")]
    wide = Axis("host.x", tuple(map(str, range(1000))))
    space = Space([*axes, wide, wide, wide], many)

    assert len(space) == 3 * 10**12
    first = next(iter(space.parts(10_000)))
    assert len(first) == 10_000
    assert len(space.places(first)[0]) == 10_000


def test_zipped_axes_are_equally_long() -> None:
    with pytest.raises(InputError, match=r"2 values beside 3 of host\.memory"):
        Space(
            [Axis("host.memory", ("1", "2", "3")), Axis("host.swap", ("1", "2"))],
            [("host", "memory"), ("host", "swap")],
            zipped=True,
        )
