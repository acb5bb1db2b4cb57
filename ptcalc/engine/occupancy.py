"""Probability that a draw without replacement leaves a table empty, in a form that is stable at any size.

``k`` of ``n`` slots are drawn; a table that holds ``m`` of them stays empty with probability
h(m) = C(n-m, k) / C(n, k) = (n-m)! (n-k)! / (n! (n-m-k)!), which is symmetric in m and k.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Up to this many factors the product is taken as it stands; above, Stirling's series is exact to double precision.
_FACTORS = 64


def log_empty(slots: Ints, drawn: Ints, held: Ints) -> Floats:
    """Return log h(held) for each (slots, drawn, held), shape (T,); -inf where the table cannot stay empty."""
    slots, drawn, held = np.broadcast_arrays(slots, drawn, held)
    out = np.full(slots.shape, -np.inf)
    few, many = np.minimum(drawn, held), np.maximum(drawn, held)
    possible = slots - drawn - held >= 0
    short = possible & (few <= _FACTORS)
    if short.any():
        out[short] = _product(slots[short], many[short], few[short])
    long = possible & ~short
    if long.any():
        out[long] = _stirling(slots[long].astype(float), many[long].astype(float), few[long].astype(float))
    return out


def _product(n: Ints, k: Ints, m: Ints) -> Floats:
    """Sum of log(1 - k / (n - j)) for j < m."""
    j = np.arange(_FACTORS)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.log1p(-k[:, None] / (n[:, None] - j))
    return np.asarray(np.where(j < m[:, None], terms, 0.0).sum(axis=1))


def _stirling(n: Floats, k: Floats, m: Floats) -> Floats:
    """Write log h = G(d) - G(d + m), G(x) = log((x + k)! / x!), d = n - m - k, without differences of large numbers."""
    d = n - m - k
    b = d + m
    # (x + k) log(x + k) - x log x, taken at b less at d; the part linear in m comes first and is exact.
    main = m * np.log1p(k / b) + _curvature(d + k, m) - _curvature(d, m)
    safe = np.maximum(d, 1.0)
    root = 0.5 * np.log1p(m * k / (n * safe))
    tail = (1 / b - 1 / n + 1 / (d + k) - 1 / safe) / 12
    value = -main + root + tail
    # With d near zero the series for log d! is not exact, but h is below exp(-40) there.
    return np.asarray(np.minimum(value, 0.0))


def _curvature(x: Floats, m: Floats) -> Floats:
    """Return x log(1 + m/x) - m (0 at x = 0 less m), by its series where m/x is small."""
    safe = np.maximum(x, 1.0)
    t = m / safe
    series = np.zeros_like(t)
    for power in range(12, 1, -1):
        series = t * ((-1.0) ** (power + 1) / power + series)
    small = t < 0.02
    direct = np.log1p(t) - t
    return np.asarray(np.where(x < 0.5, -m, safe * np.where(small, series * t, direct)))
