"""Which places of a workload file hold numbers, and which of those move mappings.

Scenarios that differ only in numbers that move no mapping (processes, memory of the host, private memory) share a
layout: what is touched of which segment is worked out once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from ptcalc.errors import InputError
from ptcalc.workload.sizes import parse_address, parse_amount, parse_count, parse_size
from ptcalc.workload.source import Path

ANY = "*"


@dataclass(frozen=True, slots=True)
class Place:
    """A place that holds a number: how it is read, in which unit it is, and whether it moves mappings.

    ``unit``: ``bytes``, ``count`` (a whole number), or ``amount`` (bytes, or a share of the mapping).
    """

    unit: str
    read: Callable[[object], int | Fraction]
    moves: bool

    def number(self, text: str) -> int | Fraction | None:
        """Return what a text says here; None where it is no number (a word such as all, or nonsense)."""
        try:
            return self.read(text)
        except InputError:
            return None


_SIZE = Place("bytes", parse_size, False)
_COUNT = Place("count", parse_count, False)
_MOVING_SIZE = Place("bytes", parse_size, True)
_ADDRESS = Place("bytes", parse_address, True)
_MOVING_COUNT = Place("count", parse_count, True)
_AMOUNT = Place("amount", parse_amount, True)

_TOUCH = ("processes", ANY, "mappings", ANY, "touch")
_TOUCH_KEYS = {
    "amount": _AMOUNT,
    "pages": _MOVING_COUNT,
    "cluster": _MOVING_SIZE,
    "every": _MOVING_SIZE,
    "start": _ADDRESS,
    "length": _MOVING_SIZE,
}
_PLACES: dict[Path, Place] = {
    **{("host", key): _SIZE for key in ("memory", "mem_total", "swap", "used", "cgroup_limit")},
    ("host", "hugepages", ANY): _MOVING_COUNT,
    ("segments", ANY, "size"): _MOVING_SIZE,
    ("segments", ANY, "pieces"): _MOVING_SIZE,
    ("segments", ANY, "resident"): _SIZE,
    ("processes", ANY, "count"): _COUNT,
    ("processes", ANY, "threads"): _COUNT,
    **{("processes", ANY, key): _SIZE for key in ("private", "private_cap", "base_tables")},
    ("processes", ANY, "mappings", ANY, "offset"): _ADDRESS,
    ("processes", ANY, "mappings", ANY, "length"): _MOVING_SIZE,
    ("processes", ANY, "mappings", ANY, "address"): _ADDRESS,
    ("processes", ANY, "mappings", ANY, "alignment"): _ADDRESS,
    ("processes", ANY, "mappings", ANY, "guest_address"): _ADDRESS,
    _TOUCH: _AMOUNT,
    (*_TOUCH, ANY): _AMOUNT,
    **{(*_TOUCH, key): place for key, place in _TOUCH_KEYS.items()},
    **{(*_TOUCH, ANY, key): place for key, place in _TOUCH_KEYS.items()},
    (*_TOUCH, "ranges", ANY, "start"): _ADDRESS,
    (*_TOUCH, "ranges", ANY, "length"): _MOVING_SIZE,
    (*_TOUCH, ANY, "ranges", ANY, "start"): _ADDRESS,
    (*_TOUCH, ANY, "ranges", ANY, "length"): _MOVING_SIZE,
}


def place_of(path: Path) -> Place | None:
    """Return what the place at a path (keys and list indices) holds; None where that is no number."""
    # Names of segments, groups and page sizes stand in front; further behind, anything may only be a place in a list.
    for pattern, place in _PLACES.items():
        if len(pattern) == len(path) and all(
            (at <= 2 or isinstance(key, int)) if want == ANY else want == key
            for at, (want, key) in enumerate(zip(pattern, path, strict=True))
        ):
            return place
    return None
