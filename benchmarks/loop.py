"""The arithmetic of scenarios.c once more, as a plain loop in Python: what people write first."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, expm1, inf, log1p

PAGE, MIB2, GIB = 4096, 2 << 20, 1 << 30
SPANS = (2 << 20, 1 << 30, 512 << 30)
POLICIES = ("today", "private", "hugetlb-2M", "hugetlb-1G", "thp", "file-shared", "map-shared-pt", "mshare")


def curvature(x: float, m: float) -> float:
    """Return (x) (log1p(m / x) - m / x), which cancels for large x."""
    if x < 0.5:
        return -m
    safe = max(x, 1.0)
    t = m / safe
    if t >= 0.02:
        return safe * (log1p(t) - t)
    series = 0.0
    for power in range(12, 1, -1):
        series = t * ((1.0 if power % 2 else -1.0) / power + series)
    return safe * (series * t)


def log_empty(n: int, drawn: int, held: int) -> float:
    """Return the log of the probability that a draw of some of n slots leaves so many of them alone."""
    if n - drawn - held < 0:
        return -inf
    few, many = min(drawn, held), max(drawn, held)
    if few <= 64:
        return sum(log1p(-many / (n - j)) for j in range(few))
    d = n - many - few
    b, safe = d + few, max(d, 1)
    main = few * log1p(many / b) + curvature(d + many, few) - curvature(d, few)
    root = 0.5 * log1p(few * many / (n * safe))
    tail = (1 / b - 1 / n + 1 / (d + many) - 1 / safe) / 12
    return min(-main + root + tail, 0.0)


def level(span: int, lo: int, hi: int, inside: tuple[int, int], n: int, k: int, kind: int, processes: int) -> float:
    """Return the tables of one level for pages from lo to hi; those inside are own (0), shared (1) or none (2)."""
    first, last = lo // span, (hi - 1) // span
    parts = [(first, 1), (first + 1, last - first - 1), (last, 1)]
    tables = 0.0
    for number, (at, count) in enumerate(parts):
        if count <= 0 or k == 0 or (number == 2 and last == first):
            continue
        low, high = max(at * span, lo), min((at + 1) * span, hi)
        held = (high - 1 - lo) // PAGE - (low - lo) // PAGE + 1
        within = inside[0] <= at < inside[1]
        if within and kind == 2:
            continue
        log = -inf if k == n else log_empty(n, k, held)
        if within and kind == 1:
            tables += count * -expm1(log * processes) if log > -inf else count
        else:
            tables += count * (1 - exp(log)) * processes if log < -1e-9 else count * -expm1(log) * processes
    return tables


def index_nodes(pages: int, order: int) -> int:
    """Return the xarray nodes of so many folios."""
    slots = -(-(pages << order) >> 6 * (order // 6))
    nodes = 0
    while slots:
        slots = -(-slots >> 6)
        nodes += slots
        if slots == 1:
            break
    return nodes


def scenario(size: int, pages: int, address: int, processes: int, constants: Sequence[int]) -> list[tuple[int, int]]:
    """Return (bytes of page tables, headroom) under each policy."""
    capacity, other, each, node, root = constants
    n = -(-size // PAGE)
    k = min(pages, n)
    found = []
    for policy in POLICIES:
        unit = {"hugetlb-2M": MIB2, "hugetlb-1G": GIB}.get(policy, PAGE)
        start = address - address % unit
        length = -(-size // unit) * unit
        end = start + length
        kinds, lowest = [0, 0, 0], {"hugetlb-2M": 1, "hugetlb-1G": 2}.get(policy, 0)
        if policy == "hugetlb-2M":
            kinds[1] = 1
        elif policy == "thp":
            kinds[0] = 0 if start % MIB2 else 2
        elif policy == "file-shared":
            kinds[0] = kinds[1] = int(length >= MIB2)
        elif policy == "map-shared-pt":
            kinds[0] = int(start % MIB2 == 0 and end % MIB2 == 0)
        tables = 0
        for number in range(lowest, 3):
            span = SPANS[number]
            if policy == "mshare":
                tables += round(level(span, 0, size, (0, 1 << 60), n, k, 1, processes)) * PAGE
            else:
                inside = -(-start // span), end // span
                tables += round(level(span, start, start + size, inside, n, k, kinds[number], processes)) * PAGE
        resident = -(-size // MIB2) * MIB2 if policy == "thp" else length
        if policy in ("thp", "hugetlb-2M"):
            nodes = index_nodes(resident // MIB2, 9)
        else:
            nodes = index_nodes(length // unit, 18) if unit == GIB else index_nodes(resident // PAGE, 0)
        demand = tables + resident + nodes * node + processes * each + other + (root if policy == "mshare" else 0)
        found.append((tables, capacity - demand))
    return found
