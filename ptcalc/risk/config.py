"""Thresholds and constants of the risk room, and how a file sets them (``--config``).

``configs/default.yaml`` holds every key with its default and what it means; a user's file may leave keys out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ptcalc.errors import CannotDoHere, InputError, quote
from ptcalc.risk import constants

if TYPE_CHECKING:
    from ptcalc.arch import Geometry
    from ptcalc.workload.source import Positions


@dataclass(frozen=True, slots=True)
class Config:
    """What ledger, levels and findings take for granted; shares are fractions of 1, sizes bytes."""

    # levels: free share of capacity
    ok_free: Fraction = Fraction(10, 100)
    warning_free: Fraction = Fraction(5, 100)
    # findings
    page_tables_share: Fraction = Fraction(2, 100)
    touch_band: Fraction = Fraction(3, 2)
    # host
    page_struct: int = constants.PAGE_STRUCT
    min_free: int | None = None  # None: as the kernel sets it at boot
    thp_watermarks: bool = True
    lowmem_reserve_ratio: int = constants.LOWMEM_RESERVE_RATIO
    used_base: int = constants.USED_BASE
    used_base_divisor: int = constants.USED_BASE_DIVISOR
    used_share_divisor: int = constants.USED_SHARE_DIVISOR
    index_node: int = constants.XARRAY_NODE
    # process
    process_tables: int | None = None  # None: those of the architecture
    kernel_stack: int | None = None  # None: that of the architecture
    process_slab: int = constants.PROCESS_SLAB
    thread_slab: int = constants.THREAD_SLAB
    pid_max: int = constants.PID_MAX
    # architectures of the user's own, by name
    geometries: Mapping[str, Geometry] = field(default_factory=dict)


def load_config(path: str | PathLike[str]) -> Config:
    """Return the config of a YAML file; keys that it leaves out keep their defaults.

    Raises InputError (with file, line and column) for anything that is no config, and CannotDoHere without
    the permission to read it.
    """
    return config_of(read_document(path))


def loads_config(text: str, *, name: str = "<string>") -> Config:
    """Return the config of a text; see `load_config`."""
    from ptcalc.workload import source

    return config_of(source.compose(text, name))


def read_document(path: str | PathLike[str]) -> Positions:
    """Return a config file as a document; it may hold sections for others than this room.

    Raises InputError for a file that is no YAML, and CannotDoHere without the permission to read it.
    """
    from ptcalc.workload import source

    name = fspath(path)
    try:
        data = Path(name).read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, PermissionError):
            raise CannotDoHere(f"{name}: {error.strerror}") from None
        what = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be read: {what}", file=name, accepted="a config file in YAML") from None
    return source.compose(source.decode(data, name), name)


def config_of(positions: Positions) -> Config:
    """Return the config that a document holds; see `load_config`."""
    from ptcalc.workload import source

    root = positions.root
    if root is None:
        return Config()
    values: dict[str, Any] = {}
    for section, content in source.entries(positions, root, ("version", *KEYS, "geometries", *source.AGREEMENTS)):
        if section in source.AGREEMENTS:
            continue
        if section == "version":
            if content.value != "1":
                unknown = InputError("this is no version that this ptcalc reads", accepted="1")
                raise positions.at(content, unknown)
            continue
        if section == "geometries":
            from ptcalc.workload.geometries import read_geometries

            values["geometries"] = read_geometries(positions, content)
            continue
        for key, node in source.entries(positions, content, KEYS[section]):
            name_of_field, read, _ = KEYS[section][key]
            if not isinstance(node.value, str) or node.null:
                single = InputError(f"{section}.{key} is no single value", accepted="one value")
                raise positions.at(node, single)
            try:
                values[name_of_field] = read(node.value.strip())
            except InputError as error:
                raise positions.at(node, error) from None
    config = Config(**values)
    if config.warning_free > config.ok_free:
        above = InputError("levels.warning is above levels.ok", accepted="at most the share of levels.ok")
        raise positions.error(("levels", "warning"), above)
    return config


def written(config: Config, geometries: Mapping[str, Geometry] | None = None) -> dict[str, Any]:
    """Return a config as its file would say it, every key of it: plain data that `loads_config` reads back as JSON.

    ``geometries`` are further architectures of the user's own.  Of all of them those are left out that come from no
    config file.
    """
    said: dict[str, Any] = {
        section: {key: each.write(getattr(config, each.field)) for key, each in keys.items()}
        for section, keys in KEYS.items()
    }
    own = {**(geometries or {}), **config.geometries}
    said["geometries"] = {name: geometry.written for name, geometry in own.items() if geometry.written}
    return said


# Numbers beyond this mean nothing here.
_MOST = 1 << 40
_RATIO = r"(\d{1,25})/([1-9]\d{0,24})"


def _share(text: str) -> Fraction:
    from ptcalc.workload import sizes

    if re.fullmatch(_RATIO, text, re.ASCII) and Fraction(text) <= 1:
        return Fraction(text)
    return sizes.parse_share(text, accepted="a share such as 10% or 1/12")


def _percent(share: Fraction) -> str:
    return _ratio(share) if "/" in _decimal(share * 100) else f"{_decimal(share * 100)}%"


def _size(text: str) -> int:
    from ptcalc.workload import sizes

    return sizes.parse_size(text)


def _shown(size: int | None) -> str:
    from ptcalc.workload import sizes

    return "auto" if size is None else sizes.show_size(size)


def _auto_size(text: str) -> int | None:
    return None if text == "auto" else _size(text)


def _number(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        from ptcalc.workload import sizes

        return sizes.parse_count(text, least=least, most=_MOST)

    return read


def _factor(text: str) -> Fraction:
    accepted = "a number from 1 to 1000 such as 1.5 or 4/3"
    if re.fullmatch(rf"\d{{1,4}}(\.\d{{1,9}})?|{_RATIO}", text, re.ASCII) is None or not 1 <= Fraction(text) <= 1000:
        raise InputError(f"{quote(text)} is no factor", accepted=accepted)
    return Fraction(text)


def _decimal(number: Fraction) -> str:
    """Return all digits of a number, or a ratio where nine decimals are not enough."""
    scaled = number * 10**9
    if scaled.denominator != 1:
        return _ratio(number)
    whole, rest = divmod(scaled.numerator, 10**9)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")


def _ratio(number: Fraction) -> str:
    return f"{number.numerator}/{number.denominator}"


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise InputError(f"{quote(text)} is neither true nor false", accepted="true or false")
    return text == "true"


def _switched(on: bool) -> str:
    return "true" if on else "false"


class Key(NamedTuple):
    """A key of a config file: the field of `Config`, how its text is read, and how the field is written as text."""

    field: str
    read: Callable[[str], Any]
    write: Callable[[Any], str]


# section -> key -> what it is
KEYS: dict[str, dict[str, Key]] = {
    "levels": {"ok": Key("ok_free", _share, _percent), "warning": Key("warning_free", _share, _percent)},
    "findings": {
        "page_tables_share": Key("page_tables_share", _share, _percent),
        "touch_band": Key("touch_band", _factor, _decimal),
    },
    "host": {
        "page_struct": Key("page_struct", _size, _shown),
        "min_free": Key("min_free", _auto_size, _shown),
        "thp_watermarks": Key("thp_watermarks", _switch, _switched),
        "lowmem_reserve_ratio": Key("lowmem_reserve_ratio", _number(0), str),
        "used_base": Key("used_base", _size, _shown),
        "used_base_divisor": Key("used_base_divisor", _number(1), str),
        "used_share_divisor": Key("used_share_divisor", _number(1), str),
        "index_node": Key("index_node", _size, _shown),
    },
    "process": {
        "base_tables": Key("process_tables", _auto_size, _shown),
        "kernel_stack": Key("kernel_stack", _auto_size, _shown),
        "slab": Key("process_slab", _size, _shown),
        "thread_slab": Key("thread_slab", _size, _shown),
        "pid_max": Key("pid_max", _number(1), str),
    },
}
