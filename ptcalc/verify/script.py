"""A laid-out workload as a job for the mapper, and the memory that the job takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ptcalc.errors import CannotDoHere
from ptcalc.layout.rows import BACKINGS, MADVISE, PROTECTIONS, THP, UFFD
from ptcalc.layout.touch import RANDOM
from ptcalc.verify import machine
from ptcalc.verify.accesses import Cells, Draws, addresses, as_runs

if TYPE_CHECKING:
    from ptcalc.policies import Outcome

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Operations = list[list[Any]]

KIB, MIB = 1 << 10, 1 << 20
PROCESS = 2 * MIB  # of a small process of the mapper: its kernel memory, tables and copies (1.4 MiB, measured)
INDEX = KIB  # page-cache index of a page with no neighbours: a node of the xarray and its share of those above
PROGRAM = 64 * MIB  # the mapper itself and its job
SHMEM, FILE, HUGETLB, PRIVATE = range(len(BACKINGS))


@dataclass(slots=True)
class Script:
    """What the processes do: ``maps``, ``touches`` and so on by process, each of the group in ``groups``.

    ``bytes`` is the memory that it takes, ``pages`` the huge pages by size, which are not in ``bytes``.
    """

    segments: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: list[int] = field(default_factory=list)
    maps: list[Operations] = field(default_factory=list)
    touches: list[Operations] = field(default_factory=list)
    protects: list[Operations] = field(default_factory=list)
    unmaps: list[Operations] = field(default_factory=list)
    spans: list[list[int]] = field(default_factory=list)
    slot: int = 0
    bytes: int = 0
    pages: dict[int, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def rounds(self, number: int) -> dict[str, Any]:
        """Return the job: map, touch and unmap so many times, with a pause before and after each touching."""
        steps = zip(self.maps, self.touches, self.protects, self.unmaps, strict=True)
        workers = [[maps, [], touches, protects, [], unmaps, []] * number for maps, touches, protects, unmaps in steps]
        return self.job(workers)

    def job(self, workers: list[list[Operations]]) -> dict[str, Any]:
        """Return a job of processes that do these steps."""
        return {"segments": self.segments, "workers": workers, "slot": self.slot, "spans": self.spans}

    @property
    def accesses(self) -> int:
        """How often all processes together access memory."""
        runs = [operation[1] for operations in self.touches for operation in operations]
        return sum(len(range(*each[at : at + 3])) for each in runs for at in range(0, len(each), 3))


def write(
    outcome: Outcome,
    counts: Sequence[int],
    *,
    seed: int,
    dense: Flags | None = None,
    filled: Mapping[int, int] | None = None,
) -> Script:
    """Return the script of an outcome of `today` for counts[g] processes of each group.

    One page is accessed in each table; in rows that are ``dense``, every page that the workload says.  Of shmem, what
    the processes access is in memory before they start; with ``filled``, bytes by number of a file, so much of those
    files, and nothing of the others.  Raises CannotDoHere for what this machine rules out.
    """
    return _Writer(outcome, seed, dense, filled).write(counts)


class _Writer:
    def __init__(self, outcome: Outcome, seed: int, dense: Flags | None, filled: Mapping[int, int] | None) -> None:
        self.outcome, self.seed, self.filled = outcome, seed, filled
        self.geometry = outcome.context.geometry
        self.layout = outcome.layout
        self.rows, self.runs = self.layout.rows, self.layout.runs
        leaf = outcome.view.leaf_table()
        self.span = np.array([level.span for level in self.geometry.levels])[leaf]
        if dense is not None:
            self.span = np.where(dense, self.rows.page, self.span)
        self.by_row: list[list[int]] = [[] for _ in range(len(self.rows.group))]
        for number, row in enumerate(self.runs.row):
            self.by_row[row].append(number)
        self.in_files: dict[int, list[Ints]] = {}  # accessed offsets of what processes share
        self.asked: dict[int, list[Ints]] = {}  # of those by processes that ask for huge pages
        self.same: dict[int, tuple[Ints, list[int]]] = {}  # what all processes of a group access alike
        self.script = Script(slot=self.geometry.slot)

    def write(self, counts: Sequence[int]) -> Script:
        script = self.script
        cells = Cells(self.runs, self.span[self.runs.row])
        number = 0
        for group, count in enumerate(counts):
            rows = np.flatnonzero(self.rows.group == group)
            maps = [operation for row in rows for operation in self._maps(int(row))]
            unmaps: Operations = [["munmap", *self._where(int(row))] for row in rows]
            protects: Operations = [
                ["mprotect", *self._where(int(row)), "none"] for row in rows if self._late(int(row))
            ]
            together = Draws(cells, self.seed, 0, group)
            for _ in range(count):
                script.groups.append(group)
                script.maps.append(maps)
                draws = Draws(cells, self.seed, 1, number), together
                script.touches.append([self._touch(int(row), *draws) for row in rows if self.by_row[row]])
                script.protects.append(protects)
                script.unmaps.append(unmaps)
                number += 1
        slots = sorted(
            set(
                zip(
                    (self.rows.start // script.slot).tolist(),
                    ((self.rows.end - 1) // script.slot).tolist(),
                    strict=True,
                )
            )
        )
        script.spans = [[first * script.slot, (last + 1) * script.slot] for first, last in slots]
        for file in sorted(set(self.rows.file.tolist())):
            self._segment(int(file))
        script.bytes += self.outcome.page_tables_used(counts) + number * PROCESS + PROGRAM
        return script

    def _where(self, row: int) -> list[int]:
        return [int(self.rows.start[row]), int(self.rows.end[row] - self.rows.start[row])]

    def _late(self, row: int) -> bool:
        """Whether the row is touched before access to it is taken away."""
        return PROTECTIONS[self.rows.protection[row]] == "none" and bool(self.by_row[row])

    def _maps(self, row: int) -> Operations:
        rows, where = self.rows, self._where(row)
        private = rows.backing[row] == PRIVATE
        protection = "rw" if self._late(row) else PROTECTIONS[rows.protection[row]]
        segment = None if private else str(rows.file[row])
        offset = 0 if private else int(rows.file_offset[row])
        found: Operations = [["mmap", *where, segment, protection, "shared" if rows.shared[row] else "private", offset]]
        advice = self._huge_advice(row) if private else MADVISE[rows.madvise[row]]
        if advice != "none":
            found.append(["madvise", *where, advice])
        if rows.uffd[row]:
            found.append(["userfault", *where, UFFD[rows.uffd[row]]])
        return found

    def _asks_for_huge(self, row: int) -> bool:
        """Whether private memory is to have huge pages, by what the file says of switch and advice."""
        thp, advice = THP[self.rows.thp[row]], MADVISE[self.rows.madvise[row]]
        return advice != "nohugepage" and (thp in ("always", "within_size") or (thp, advice) == ("advise", "hugepage"))

    def _huge_advice(self, row: int) -> str:
        """Return the advice with which this machine's switch gives private memory what the file says."""
        switch, advice = machine.chosen("enabled"), MADVISE[self.rows.madvise[row]]
        if self._asks_for_huge(row):
            if switch not in ("always", "madvise"):
                raise CannotDoHere(f"{machine.THP}/enabled is {switch or 'missing'}: there are no huge pages to be had")
            return "hugepage"
        return "none" if switch in ("never", "") or (switch == "madvise" and advice == "none") else "nohugepage"

    def _touch(self, row: int, alone: Draws, together: Draws) -> list[Any]:
        rows = self.rows
        found, runs = self._accessed(row, alone, together)
        leaf = int(rows.page[row])
        if rows.uffd[row] == UFFD.index("minor"):
            return ["resolve", runs, leaf]
        if not rows.shared[row] and rows.write[row]:
            self._copies(row, found)
        return ["write" if rows.write[row] else "read", runs]

    def _accessed(self, row: int, alone: Draws, together: Draws) -> tuple[Ints, list[int]]:
        """Return what a process accesses of a row, as addresses and as runs; note it for what the files hold.

        ``alone`` are draws of this process, ``together`` those that its group has in common.
        """
        if row in self.same:
            return self.same[row]
        numbers = self.by_row[row]
        runs, rows = self.runs, self.rows
        span = int(self.span[row])
        parts = [addresses(runs, number, span, together if runs.same[number] else alone) for number in numbers]
        found = parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts))
        answer = found, as_runs(found)
        if all(runs.kind[number] != RANDOM or runs.same[number] for number in numbers):
            self.same[row] = answer
        if rows.backing[row] != PRIVATE and (rows.shared[row] or not rows.write[row] or rows.backing[row] != HUGETLB):
            offsets = found - int(rows.start[row] - rows.file_offset[row])
            self.in_files.setdefault(int(rows.file[row]), []).append(offsets)
            if rows.madvise[row] == MADVISE.index("hugepage"):
                self.asked.setdefault(int(rows.file[row]), []).append(offsets)
        return answer

    def _copies(self, row: int, found: Ints) -> None:
        """Count the private copies that one process makes."""
        leaf = int(self.rows.page[row])
        if self.rows.backing[row] == PRIVATE and self._asks_for_huge(row):
            leaf = self.geometry.thp_size
        copies = len(np.unique(found // leaf))
        if self.rows.backing[row] == HUGETLB:
            self.script.pages[leaf] = self.script.pages.get(leaf, 0) + copies
        else:
            self.script.bytes += copies * leaf

    def _segment(self, file: int) -> None:
        rows = self.rows
        row = int(np.flatnonzero(rows.file == file)[0])
        backing, page, thp = int(rows.backing[row]), int(rows.page[row]), THP[rows.thp[row]]
        if backing == PRIVATE:
            return
        entry: dict[str, Any] = {"size": int(self.layout.file_size[file])}
        found = np.unique(np.concatenate(self.in_files.get(file, [np.zeros(0, np.int64)])))
        self.script.segments[str(file)] = entry
        if backing == HUGETLB:
            pages = np.unique(found // page)
            entry |= {"kind": "hugetlb", "page": page, "fill": as_runs(pages * page)}
            self.script.pages[page] = self.script.pages.get(page, 0) + len(pages)
            return
        leaf = page if thp == "never" else self.geometry.thp_size
        held = len(np.unique(found // leaf))
        if backing == FILE and thp == "never":
            entry |= {"kind": "file", "directory": machine.directory_for(held * page), "cache": as_runs(found)}
        else:
            entry |= self._in_memory(thp, backing == FILE)
            if self.filled is not None:
                found = self._filled(found, self.filled[file]) if file in self.filled else found[:0]
            entry["fill"] = as_runs(found)
            if file in self.asked and thp == "advise":
                asked = np.unique(np.concatenate(self.asked[file]))
                entry["advise"] = {"runs": as_runs(asked), "huge": leaf}
        self.script.bytes += held * (leaf + INDEX)

    def _filled(self, accessed: Ints, size: int) -> Ints:
        """Return pages of ``size`` bytes together: those that are accessed, and the first ones beside them."""
        page = self.geometry.base_page
        pages, number = np.unique(accessed // page), -(-size // page)
        if len(pages) > number:
            raise CannotDoHere("more of a segment is accessed than is resident, and nothing is swapped out here")
        others = np.setdiff1d(np.arange(number), pages, assume_unique=True)[: number - len(pages)]
        return np.asarray(np.union1d(pages, others) * page)

    def _in_memory(self, thp: str, regular: bool) -> dict[str, Any]:
        """Return the kind of a segment of shmem: on a mount of its own where the common switch says otherwise."""
        switch = machine.chosen("shmem_enabled")
        if switch == "force" or (thp != "never" and switch in ("deny", "")):
            raise CannotDoHere(
                f"shmem_enabled is {switch or 'missing'}: huge pages of shared memory are not to be chosen"
            )
        if regular:
            note = "files with huge pages are on a tmpfs here"
            self.script.notes += [] if note in self.script.notes else [note]
        if thp == "never" and switch in ("never", "deny", ""):
            return {"kind": "memfd"}
        return {"kind": "tmpfs", "huge": thp}
