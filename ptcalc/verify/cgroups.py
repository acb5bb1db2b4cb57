"""Memory cgroups, version 1 and 2: what room the one we are in has, and one of our own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ptcalc.errors import CannotDoHere
from ptcalc.verify.stage import Keeper

LIMIT = {1: "memory.limit_in_bytes", 2: "memory.max"}
USAGE = {1: "memory.usage_in_bytes", 2: "memory.current"}
EVENTS = {1: "memory.oom_control", 2: "memory.events"}


@dataclass(frozen=True, slots=True)
class Controller:
    """Where the memory controller is: its version, the root of its hierarchy, and the cgroup that we are in."""

    version: int
    root: Path
    own: Path

    def ancestors(self) -> Iterator[Path]:
        """Yield our cgroup and those above it."""
        yield self.own
        if self.own != self.root:
            for path in self.own.parents:
                yield path
                if path == self.root:
                    return


def controller() -> Controller | None:
    """Return the memory controller; None where no hierarchy has it."""
    mounts = [line.split() for line in _lines("/proc/self/mounts")]
    members = {parts[1]: parts[2] for line in _lines("/proc/self/cgroup") if len(parts := line.split(":", 2)) == 3}
    for _, where, kind, options, *_ in mounts:
        root = Path(where)
        if kind == "cgroup" and "memory" in options.split(","):
            path = next((path for names, path in members.items() if "memory" in names.split(",")), "/")
            return Controller(1, root, _inside(root, path))
        if kind == "cgroup2" and "memory" in _words(root / "cgroup.controllers"):
            return Controller(2, root, _inside(root, members.get("", "/")))
    return None


def rooms() -> Iterator[int]:
    """Yield the bytes that each limited cgroup around us has left."""
    found = controller()
    for path in found.ancestors() if found else ():
        limit, usage = _number(path / LIMIT[found.version]), _number(path / USAGE[found.version])  # type: ignore[union-attr]
        if limit is not None and usage is not None:
            yield max(limit - usage, 0)


class OwnCgroup:
    """A memory cgroup for the processes of a run; ``keeper`` removes it."""

    def __init__(self, keeper: Keeper) -> None:
        """Raises CannotDoHere where none can be made."""
        found = controller()
        if found is None:
            raise CannotDoHere("no cgroup hierarchy has the memory controller here")
        self.version = found.version
        parent = found.own
        if found.version == 2:
            # A cgroup with processes in it cannot hand the controller on; one above it may do so already.
            handing_on = [path for path in found.ancestors() if "memory" in _words(path / "cgroup.subtree_control")]
            if not handing_on:
                raise CannotDoHere("no cgroup above this one hands the memory controller on (cgroup.subtree_control)")
            parent = handing_on[0]
        name = next(
            f"ptcalc-{os.getpid()}-{n}" for n in range(1 << 20) if not (parent / f"ptcalc-{os.getpid()}-{n}").exists()
        )
        self.path = parent / name
        try:
            keeper.mkdir(self.path)
        except OSError as error:
            raise CannotDoHere(f"a memory cgroup cannot be made in {parent}: {error.strerror}; needs root") from None

    def limit(self, size: int) -> None:
        """Set the limit (bytes), which swap does not soften."""
        (self.path / LIMIT[self.version]).write_text(str(size))
        for name, value in {1: (("memory.swappiness", "0"),), 2: (("memory.swap.max", "0"),)}[self.version]:
            with suppress(OSError):  # a kernel without swap has no such file
                (self.path / name).write_text(value)

    @property
    def usage(self) -> Path:
        """The file that says how much it holds."""
        return self.path / USAGE[self.version]

    @property
    def events(self) -> Path:
        """The file that says how often the OOM killer has acted in it."""
        return self.path / EVENTS[self.version]


def _inside(root: Path, path: str) -> Path:
    """Return a cgroup as it is seen here; the root where a namespace hides it."""
    found = root / path.lstrip("/")
    return found if ".." not in found.parts and found.is_dir() else root


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(str(path))).split()
