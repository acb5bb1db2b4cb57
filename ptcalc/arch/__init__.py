"""Page-table geometry of the architectures that ptcalc knows, and the counter rules of kernel versions."""

from __future__ import annotations

from collections.abc import Mapping

from ptcalc.arch import arm64, loongarch, powerpc, riscv, s390, x86
from ptcalc.arch.geometry import Geometry, GeometryError, Level

__all__ = ["Geometry", "GeometryError", "Level", "UnknownArch", "get", "known", "names"]

_MODULES = (x86, arm64, riscv, powerpc, s390, loongarch)
_KNOWN: dict[str, Geometry] = {geometry.name: geometry for module in _MODULES for geometry in module.GEOMETRIES}
_ALIASES: dict[str, Geometry] = {alias: geometry for geometry in _KNOWN.values() for alias in geometry.aliases}


class UnknownArch(KeyError):
    """No architecture of that name; the message lists the known ones."""

    def __str__(self) -> str:
        return f"unknown architecture {self.args[0]!r}; known: {', '.join(names())}"


def known() -> Mapping[str, Geometry]:
    """Return the architectures that ptcalc comes with, by name, without their aliases."""
    return dict(_KNOWN)


def names() -> tuple[str, ...]:
    """Return the names and aliases of all known architectures."""
    return (*_KNOWN, *_ALIASES)


def get(name: str, custom: Mapping[str, Geometry] | None = None) -> Geometry:
    """Return the geometry of that name or alias; those of ``custom`` come first.  UnknownArch lists the known ones."""
    for where in (custom or {}, _KNOWN, _ALIASES):
        if name in where:
            return where[name]
    raise UnknownArch(name)
