"""Files that exist once for each process of a group, as the memory of guests does once for each emulator.

Processes of other groups that map them are spread evenly: of a group with c processes over n copies, process i uses
copy i mod n, so that c mod n copies have one process more than the rest.  Copies with equal numbers of processes of
every group are alike: there are at most as many kinds of copies as groups that map them, and one more, whatever n is.
What one copy of a kind needs is evaluated once, and counts as often as there are such copies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Which runs lie in files with copies.

    ``kind``, shape (T,): of each run the place of its file's owner in ``owners`` (groups within a layout), or -1 where
    the file exists once.  ``mappers``, shape (O, G): which groups map files of each owner.
    """

    kind: Ints
    owners: tuple[int, ...]
    mappers: Flags

    def take(self, which: Flags | Ints) -> Spread:
        """Return what is left with the chosen runs."""
        return Spread(self.kind[which], self.owners, self.mappers)

    def bank(self, group: Ints, groups: int) -> Ints:
        """Return the row of the matrix of `banks` that holds how many processes make each run, shape (T,)."""
        return np.asarray(group + (1 + self.kind) * groups)

    def banks(self, counts: Ints, layouts: int) -> Ints:
        """Return process counts with those of one copy below, owner by owner: shape ((1 + O) * L * G, C).

        The copy is one of the first kind there is.
        """
        parts = [counts]
        for number in range(len(self.owners)):
            _, each = next(self.copies(number, counts, layouts))
            parts.append(each)
        return np.concatenate(parts)

    def copies(self, number: int, counts: Ints, layouts: int) -> Iterator[tuple[Ints, Ints]]:
        """Yield the kinds of copies of an owner's files: how many there are (L, C), processes of one (L * G, C)."""
        every = counts.reshape(layouts, -1, counts.shape[1])
        many = every[:, self.owners[number]]
        over = np.maximum(many, 1)[:, None]
        mine = (self.mappers[number][None, :, None]) & (many > 0)[:, None]
        least, more = np.where(mine, every // over, 0), np.where(mine, every % over, 0)
        # Copies below more[g] have one process more of group g.
        edges = np.sort(more, axis=1)
        edges = np.concatenate([np.zeros_like(many)[:, None], edges, many[:, None]], axis=1)
        empty = True
        for low, high in zip(np.moveaxis(edges, 1, 0)[:-1], np.moveaxis(edges, 1, 0)[1:], strict=True):
            if (high > low).any():
                empty = False
                yield high - low, (least + (more > low[:, None])).reshape(counts.shape)
        if empty:
            yield np.zeros_like(many), np.zeros_like(counts)
