"""The occupancy formula against exact fractions, from single pages to 128 TiB."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptcalc.engine.occupancy import log_empty


def exact(slots: int, drawn: int, held: int) -> Fraction:
    """h = C(n-m, k) / C(n, k) as a product of min(m, k) fractions."""
    few, many = sorted((drawn, held))
    value = Fraction(1)
    for j in range(few):
        value *= Fraction(max(slots - many - j, 0), slots - j)
    return value


def computed(slots: int, drawn: int, held: int) -> float:
    return float(log_empty(np.array([slots]), np.array([drawn]), np.array([held]))[0])


@given(st.integers(1, 600), st.data())
def test_small_draws_equal_the_exact_fraction(slots: int, data: st.DataObject) -> None:
    drawn = data.draw(st.integers(0, slots))
    held = data.draw(st.integers(0, slots))

    expected = exact(slots, drawn, held)

    if expected == 0:
        assert computed(slots, drawn, held) == -math.inf
    else:
        assert math.exp(computed(slots, drawn, held)) == pytest.approx(float(expected), rel=1e-10, abs=1e-18)


@pytest.mark.parametrize(
    ("slots", "drawn", "held"),
    [
        (128 << 28, 1, 512),  # one page of 128 TiB
        (128 << 28, 1 << 20, 512),
        (128 << 28, 77_777_777, 300),
        (128 << 28, 1000, 262_144),
        (78_643_200, 18_874_368, 512),  # 24 % of 300 GiB
        (78_643_200, 100, 512),
        (1 << 20, 1 << 19, 65),
    ],
)
def test_large_draws_equal_the_exact_product(slots: int, drawn: int, held: int) -> None:
    few, many = sorted((drawn, held))
    logs = math.fsum(math.log1p(-many / (slots - j)) for j in range(few))

    assert computed(slots, drawn, held) == pytest.approx(logs, rel=1e-10)


def test_a_draw_that_cannot_miss_a_table_is_certain() -> None:
    assert computed(1024, 513, 512) == -math.inf
    assert computed(1024, 512, 512) > -math.inf
