"""The counters of the system that a workload was captured from, kept in the file below ``x-measured``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ptcalc.errors import InputError, quote
from ptcalc.workload.sizes import parse_size
from ptcalc.workload.source import Node, Positions, entries

KEY = "x-measured"
SCHEMA = "ptcalc.capture/1"


class Counter(NamedTuple):
    """A counter as it read (bytes), and the part of it that no mapping of the file explains."""

    measured: int
    beside: int


@dataclass(frozen=True, slots=True)
class Counters:
    """What the kernel of ``arch`` showed: PageTables, if all processes are in the file, and VmPTE by group (means)."""

    arch: str
    page_tables: Counter | None
    processes: Mapping[str, Counter]


def read_counters(positions: Positions) -> Counters | None:
    """Return what stands below ``x-measured``; None where nothing does, or something that is not of ptcalc's schema.

    Raises InputError, at its place, for a value that is none.
    """
    root, whole = positions.find((KEY,))
    if root is None or not whole or not isinstance(root.value, dict):
        return None
    if "schema" not in root.value or root.value["schema"][1].value != SCHEMA:
        return None
    known = dict(entries(positions, root, ("schema", "arch", "page_tables", "processes")))
    arch = known["arch"].value if "arch" in known else ""
    page_tables = _counter(positions, known["page_tables"]) if "page_tables" in known else None
    groups = dict(entries(positions, known["processes"], None)) if "processes" in known else {}
    processes = {name: _counter(positions, node) for name, node in groups.items()}
    return Counters(arch if isinstance(arch, str) else "", page_tables, processes)


def _counter(positions: Positions, node: Node) -> Counter:
    found = dict(entries(positions, node, Counter._fields))
    values = []
    for key in Counter._fields:
        if key not in found:
            raise positions.at(node, InputError(f"{quote(key)} is missing", accepted="{measured: …, beside: …}"))
        try:
            values.append(parse_size(found[key].value))
        except InputError as error:
            raise positions.at(found[key], error) from None
    return Counter(*values)
