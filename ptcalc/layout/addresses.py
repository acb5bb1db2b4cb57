"""Where mappings without an address go (contract section 4, Address space).

Each starts at a slot of its own, a multiple of the span of one top-level entry, plus its alignment, so that it
is aligned to that and to nothing larger and never shares a table with a neighbour by accident.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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

    ``key`` is equal for mappings of different groups that get equal addresses; ``residue`` is added to the slot.
    """

    number: int
    group: int
    key: tuple[object, ...] | None
    length: int
    address: int | None
    alignment: int
    residue: int


def place(wishes: Sequence[Wish], geometry: Geometry) -> list[int]:
    """Return the address of every wish, in order.

    Raises NoSlotLeft where user space has no free run of slots.
    """
    slot = geometry.slot
    taken: dict[int, list[tuple[int, int]]] = {}
    stated: list[tuple[int, int]] = []
    wanted: dict[tuple[object, ...], list[Wish]] = {}
    addresses = [0] * len(wishes)
    for at, wish in enumerate(wishes):
        if wish.address is None:
            assert wish.key is not None
            wanted.setdefault(wish.key, []).append(wish)
        else:
            addresses[at] = wish.address
            first, last = wish.address // slot, (wish.address + wish.length - 1) // slot
            taken.setdefault(wish.group, []).append((first, last + 1))
            stated.append((first, last + 1))
    where = {id(wish): at for at, wish in enumerate(wishes)}
    # Large ones first: whether all find a place must not depend on the order of the file.
    for key in sorted(wanted, key=lambda key: (-max(wish.length for wish in wanted[key]), repr(key))):
        members = wanted[key]
        length = max(wish.length for wish in members)
        groups = {wish.group for wish in members}
        busy = [run for group in groups for run in taken.get(group, ())]
        # Away from the stated addresses of all processes where there is room: none is equal to one by accident.
        address = _first_free(busy + stated, members[0], length, geometry)
        if address is None:
            address = _first_free(busy, members[0], length, geometry)
        if address is None:
            raise NoSlotLeft(members[0].number)
        run = (address // slot, (address + length - 1) // slot + 1)
        for group in groups:
            taken.setdefault(group, []).append(run)
        for wish in members:
            addresses[where[id(wish)]] = address
    return addresses


def _first_free(busy: list[tuple[int, int]], wish: Wish, length: int, geometry: Geometry) -> int | None:
    """First address above slot 0 whose slots are free; slot 0 holds the program in every process."""
    slot = geometry.slot
    at = 1
    while True:
        address = _address_at(at, wish, slot)
        if address + length > geometry.task_size:
            return None
        first, last = address // slot, (address + length - 1) // slot
        clash = max((end for start, end in busy if start <= last and end > first), default=None)
        if clash is None:
            return address
        at = max(clash, at + 1)


def _address_at(at: int, wish: Wish, slot: int) -> int:
    """Lowest address at or above slot `at` that is aligned to the wish and to nothing larger."""
    if wish.alignment < slot:
        return at * slot + wish.residue
    return round_up(max(at * slot - wish.alignment, 0), 2 * wish.alignment) + wish.alignment
