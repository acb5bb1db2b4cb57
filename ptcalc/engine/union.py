"""Counting distinct tables: the union of covers, scope by scope, without enumerating tables.

Scopes in which every cover is a certain interval are counted by one sweep.  The others are cut into sections
(runs of tables that the same covers reach), whose tables are then alike: an `Atoms` row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptcalc.engine.covers import BLOCKS, Covers
from ptcalc.engine.numbers import distinct

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Atoms:
    """A rows of alike tables: ``count`` of them from index ``lo`` in ``scope``; P (atom, cover) pairs."""

    scope: Ints
    lo: Ints
    hi: Ints
    count: Ints
    pair_atom: Ints
    pair_cover: Ints


def certain_union(covers: Covers, scopes: int) -> tuple[Ints, Covers]:
    """Count the tables that only certain intervals reach, and return the covers that need more than that.

    Covers fall into clusters that do not overlap each other; a cluster of certain intervals alone is counted by one
    sweep.  Returns distinct tables per scope, shape (scopes,), and the covers of all other clusters.
    """
    counted = np.zeros(scopes, np.int64)
    if len(covers.scope) == 0:
        return counted, covers
    order = sorting(covers.scope, covers.lo)
    scope, lo, hi = covers.scope[order], covers.lo[order], covers.hi[order]
    seen = _reach_before(scope, lo, hi)
    fresh = np.maximum(hi - np.maximum(lo, seen), 0)
    difficult = (covers.log_empty > -np.inf) | (covers.stride > 0) | (covers.role == BLOCKS)
    rest = np.zeros(len(scope), bool)
    if difficult.any():
        opens = lo >= seen
        starts = np.flatnonzero(opens)
        mixed = np.logical_or.reduceat(difficult[order], starts)[np.cumsum(opens) - 1]
        fresh[mixed] = 0
        rest[order] = mixed
    firsts = np.flatnonzero(np.r_[True, scope[1:] != scope[:-1]])
    counted[scope[firsts]] = np.add.reduceat(fresh, firsts)
    return counted, covers.take(rest)


def _reach_before(scope: Ints, lo: Ints, hi: Ints) -> Ints:
    """Return the furthest end of the intervals before each one in its scope; for the first, no more than its start."""
    width = int(hi.max()) - int(lo.min()) + 1
    seen = lo.copy()
    if width * (int(scope.max()) + 2) < 1 << 62:
        # Scopes are moved apart, so that one running maximum serves all.
        apart = scope * width
        seen[1:] = np.maximum.accumulate(hi + apart)[:-1] - apart[1:]
    else:
        for part in np.split(np.arange(len(lo)), np.flatnonzero(np.diff(scope)) + 1):
            seen[part[1:]] = np.maximum.accumulate(hi[part])[:-1]
    return seen


def sorting(scope: Ints, lo: Ints) -> Ints | slice:
    """Return what puts rows in order of scope, and of lo within each: an index array, or all where they are."""
    if len(lo) < 2:
        return slice(None)
    low = int(lo.min())
    width = int(lo.max()) - low + 1
    if width * (int(scope.max()) + 1) >= 1 << 62:
        return np.lexsort((lo, scope))
    # One key sorts several times faster than two.
    key = scope * width + (lo - low)
    return slice(None) if bool((key[1:] >= key[:-1]).all()) else np.argsort(key)


def atoms(covers: Covers, span: int) -> Atoms:
    """Cut the covers into sections of alike tables of `span` bytes."""
    many = len(covers.scope)
    scope = np.concatenate([covers.scope, covers.scope])
    edge = np.concatenate([covers.lo, covers.hi])
    order = sorting(scope, edge)
    scope, edge = scope[order], edge[order]
    new = np.ones(len(edge), bool)
    new[1:] = (scope[1:] != scope[:-1]) | (edge[1:] != edge[:-1])
    at = np.empty(len(edge), np.int64)
    at[order] = np.cumsum(new) - 1
    scope, edge = scope[new], edge[new]
    first, last = at[:many], at[many:]
    reach = last - first
    pair_cover = np.repeat(np.arange(many), reach)
    pair_section = np.arange(len(pair_cover)) - np.repeat(np.cumsum(reach) - reach, reach) + first[pair_cover]
    end = np.append(edge[1:], 0)
    strided = covers.stride[pair_cover] > 0
    if not strided.any():
        used = np.zeros(len(edge), bool)
        used[pair_section] = True
        number = np.cumsum(used) - 1
        lo, hi = edge[used], end[used]
        return Atoms(scope[used], lo, hi, hi - lo, number[pair_section], pair_cover)
    return _split_strides(covers, span, scope, edge, end, pair_section, pair_cover, strided)


def _split_strides(
    covers: Covers, span: int, scope: Ints, edge: Ints, end: Ints, section: Ints, cover: Ints, strided: Flags
) -> Atoms:
    """Split each section into the tables that its strides hit and those that they do not."""
    order = np.argsort(section, kind="stable")
    section, cover, strided = section[order], cover[order], strided[order]
    starts = np.flatnonzero(np.r_[True, section[1:] != section[:-1]])
    out: list[tuple[int, int, list[int]]] = []  # (section, tables, pairs)
    for start, stop in zip(starts, np.append(starts[1:], len(section)), strict=True):
        here = int(section[start])
        pairs = range(int(start), int(stop))
        always = [pair for pair in pairs if not strided[pair]]
        patterns: dict[tuple[int, int], list[int]] = {}
        for pair in pairs:
            if strided[pair]:
                step = int(covers.stride[cover[pair]])
                patterns.setdefault((int(covers.anchor[cover[pair]]) % step, step), []).append(pair)
        for hit, tables in _classes(list(patterns), int(edge[here]), int(end[here]), span):
            members = always + [pair for key in hit for pair in patterns[key]]
            if tables and members:
                out.append((here, tables, members))
    sections = np.array([here for here, _, _ in out], np.int64)
    lengths = np.array([len(members) for _, _, members in out], np.int64)
    pairs_flat = np.array([pair for _, _, members in out for pair in members], np.int64)
    return Atoms(
        scope=scope[sections],
        lo=edge[sections],
        hi=end[sections],
        count=np.array([tables for _, tables, _ in out], np.int64),
        pair_atom=np.repeat(np.arange(len(out)), lengths),
        pair_cover=cover[pairs_flat],
    )


def _classes(
    patterns: list[tuple[int, int]], lo: int, hi: int, span: int
) -> list[tuple[tuple[tuple[int, int], ...], int]]:
    """Return (patterns that hit, tables) for the tables lo <= index < hi, by which patterns hit them."""
    hits = [_hits(pattern, lo, hi, span) for pattern in patterns]
    if not patterns:
        return [((), hi - lo)]
    if len(patterns) == 1:
        return [((patterns[0],), hits[0]), ((), hi - lo - hits[0])]
    counts: dict[tuple[tuple[int, int], ...], int] = {}
    # Several strides in one section: which tables they have in common has no closed form, so that their tables are
    # listed, a bounded number at a time.
    chunks = max(1, -(-sum(hits) // _CHUNK))
    width = -(-(hi - lo) // chunks)
    for low in range(lo, hi, width):
        high = min(hi, low + width)
        tables = [_tables(pattern, low, high, span) for pattern in patterns]
        every = distinct(np.concatenate(tables))
        member = np.stack([np.isin(every, part) for part in tables])
        signatures, number = np.unique(member, axis=1, return_counts=True)
        for signature, count in zip(signatures.T, number, strict=True):
            key = tuple(pattern for pattern, hit in zip(patterns, signature, strict=True) if hit)
            counts[key] = counts.get(key, 0) + int(count)
    return [*counts.items(), ((), hi - lo - sum(counts.values()))]


def _hits(pattern: tuple[int, int], lo: int, hi: int, span: int) -> int:
    """Return the number of steps anchor + j * step that lie in tables lo <= index < hi (step > span: one each)."""
    anchor, step = pattern
    return -(-(hi * span - anchor) // step) - -(-(lo * span - anchor) // step)


def _tables(pattern: tuple[int, int], lo: int, hi: int, span: int) -> Ints:
    anchor, step = pattern
    first = -(-(lo * span - anchor) // step)
    return (anchor + step * np.arange(first, first + _hits(pattern, lo, hi, span))) // span
