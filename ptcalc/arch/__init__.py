"""Page-table geometry of the architectures that ptcalc knows, and the counter rules of kernel versions."""

from __future__ import annotations

from ptcalc.arch import x86
from ptcalc.arch.geometry import Geometry, GeometryError, Level

__all__ = ["Geometry", "GeometryError", "Level", "UnknownArch", "get", "names"]

_KNOWN: dict[str, Geometry] = {geometry.name: geometry for geometry in x86.GEOMETRIES}


class UnknownArch(KeyError):
    """No architecture of that name; the message lists the known ones."""

    def __str__(self) -> str:
        return f"unknown architecture {self.args[0]!r}; known: {', '.join(names())}"


def names() -> tuple[str, ...]:
    """Return the names of all known architectures."""
    return tuple(_KNOWN)


def get(name: str) -> Geometry:
    """Return the geometry of that name; UnknownArch lists the known ones."""
    try:
        return _KNOWN[name]
    except KeyError:
        raise UnknownArch(name) from None
