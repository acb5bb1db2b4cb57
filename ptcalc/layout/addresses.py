"""Where mappings without an address go (contract section 4, Address space).

Each starts at a slot of its own, a multiple of the span of one top-level entry, plus its alignment, so that it
is aligned to that and to nothing larger and never shares a table with a neighbour by accident.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptcalc.engine.numbers import Disagreement, Number, agreed, larger
from ptcalc.layout.plan import round_up

if TYPE_CHECKING:
    from ptcalc.arch import Geometry


class NoSlotLeft(Exception):
    """The address space of a process has no part left for a mapping; ``mapping`` is its number."""

    def __init__(self, mapping: int) -> None:
        super().__init__(mapping)
        self.mapping = mapping


@dataclass(frozen=True, slots=True)
class Wish:
    """One mapping that needs an address, or has one: all in bytes.

    ``twin`` numbers the mappings of a group that want the same; ``residue`` is added to the slot.
    """

    number: int
    group: int
    segment: str
    offset: Number
    twin: int
    length: Number
    address: Number | None
    alignment: Number
    residue: Number


Run = tuple[int, int]


def place(wishes: Sequence[Wish], geometry: Geometry) -> list[Number]:
    """Return the address of every wish, in order.

    Mappings of different groups that want the same get equal addresses.  Raises NoSlotLeft where user space has no
    free run of slots, and Disagreement where scenarios do not have their mappings in the same slots.
    """
    slot = geometry.slot
    taken: dict[int, list[Run]] = {}
    stated: list[Run] = []
    addresses: list[Number] = [0] * len(wishes)
    for at, wish in enumerate(wishes):
        if wish.address is not None:
            addresses[at] = wish.address
            run = agreed(wish.address // slot), agreed((wish.address + wish.length - 1) // slot) + 1
            taken.setdefault(wish.group, []).append(run)
            stated.append(run)
    for members in _in_order(wishes):
        length = wishes[members[0]].length
        for at in members[1:]:
            length = larger(length, wishes[at].length)
        groups = {wishes[at].group for at in members}
        busy = [run for group in groups for run in taken.get(group, ())]
        wish = wishes[members[0]]
        # Away from the stated addresses of all processes where there is room: none is equal to one by accident.
        address = _first_free(busy + stated, wish, length, geometry)
        if address is None:
            address = _first_free(busy, wish, length, geometry)
        if address is None:
            raise NoSlotLeft(wish.number)
        run = agreed(address // slot), agreed((address + length - 1) // slot) + 1
        for group in groups:
            taken.setdefault(group, []).append(run)
        for at in members:
            addresses[at] = address
    return addresses


def _in_order(wishes: Sequence[Wish]) -> list[list[int]]:
    """Return the wishes without an address: those for one place together, in the order in which they get it.

    Large ones first: whether all find a place must not depend on the order of the file.
    """
    wanted = [at for at, wish in enumerate(wishes) if wish.address is None]
    if not wanted:
        return []
    columns = [[wishes[at].offset, wishes[at].alignment, wishes[at].length] for at in wanted]
    many = max(np.size(value) for column in columns for value in column)
    orders = [
        _ordered(
            [
                ((wishes[at].segment, *(_at(value, scenario) for value in column[:2]), wishes[at].twin), column, at)
                for at, column in zip(wanted, columns, strict=True)
            ],
            scenario,
        )
        for scenario in range(many if len(wanted) > 1 else 1)
    ]
    if any(order != orders[0] for order in orders):
        kinds = {str(order): number for number, order in enumerate(orders)}
        raise Disagreement(np.array([kinds[str(order)] for order in orders]))
    return orders[0]


def _ordered(wanted: list[tuple[tuple[str | int, ...], list[Number], int]], scenario: int) -> list[list[int]]:
    places: dict[tuple[str | int, ...], list[int]] = {}
    largest: dict[tuple[str | int, ...], int] = {}
    for key, (_, _, length), at in wanted:
        places.setdefault(key, []).append(at)
        largest[key] = max(largest.get(key, 0), _at(length, scenario))
    return [places[key] for key in sorted(places, key=lambda key: (-largest[key], repr(key)))]


def _at(value: Number, scenario: int) -> int:
    if isinstance(value, np.ndarray):
        return int(value.reshape(-1)[scenario if value.size > 1 else 0])
    return int(value)


def _first_free(busy: list[Run], wish: Wish, length: Number, geometry: Geometry) -> Number | None:
    """First address above slot 0 whose slots are free; slot 0 holds the program in every process."""
    slot = geometry.slot
    at = 1
    while True:
        address = _address_at(at, wish, slot)
        if agreed(address + length > geometry.task_size):
            return None
        first, last = agreed(address // slot), agreed((address + length - 1) // slot)
        clash = max((end for start, end in busy if start <= last and end > first), default=None)
        if clash is None:
            return address
        at = max(clash, at + 1)


def _address_at(at: int, wish: Wish, slot: int) -> Number:
    """Lowest address at or above slot `at` that is aligned to the wish and to nothing larger."""
    if agreed(wish.alignment < slot):
        return at * slot + wish.residue
    return round_up(larger(at * slot - wish.alignment, 0), 2 * wish.alignment) + wish.alignment
