"""Defaults that were applied and that matter: listed in every report, refused by ``--strict``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from ptcalc.arch import kernels
from ptcalc.errors import MAX_COLLECTED
from ptcalc.result import Assumption
from ptcalc.workload.checks import page_of
from ptcalc.workload.model import Mapping, Segment, Workload
from ptcalc.workload.refusals import first_of
from ptcalc.workload.sizes import show_size
from ptcalc.workload.source import Path

MAX_LISTED = 4  # of one key; more are counted


class Default(NamedTuple):
    """A key that is not written, the value taken instead, and why; ``guess`` is what ``--strict`` refuses."""

    path: Path
    value: str
    why: str
    guess: bool = True


def assumptions(workload: Workload) -> tuple[Assumption, ...]:
    """Return the defaults that were applied, those of many mappings or groups counted together."""
    kinds: dict[tuple[object, ...], list[Default]] = {}
    for default in _defaults(workload):
        kind = (default.path[0], default.path[-1], default.value, default.why)
        kinds.setdefault(kind, []).append(default)
    found = []
    for (_, last, _, _), defaults in kinds.items():
        first = defaults[0]
        if len(defaults) <= MAX_LISTED:
            found += [Assumption(workload.positions.dotted(each.path), each.value, each.why) for each in defaults]
        else:
            where = "processes.*" + ".mappings[*]" * ("mappings" in first.path)
            found.append(Assumption(f"{where}.{last}", first.value, f"{first.why} ({len(defaults)} times)"))
    return tuple(found)


def refuse_guesses(workload: Workload) -> None:
    """Raise InputError, naming the keys, if a default that matters would have to be guessed."""
    guesses = list(islice((default for default in _defaults(workload) if default.guess), MAX_COLLECTED))
    if not guesses:
        return
    raise first_of(
        [
            workload.error(default.path, "is not stated, and --strict allows no guess", accepted=_how(default))
            for default in guesses
        ],
        truncated=len(guesses) == MAX_COLLECTED,
    )


def _how(default: Default) -> str:
    return f"{default.path[-1]}: a value; without --strict: {default.value}, because {default.why}"


def _defaults(workload: Workload) -> Iterator[Default]:
    host = workload.host
    if not workload.stated(("host", "arch")):
        yield Default(("host", "arch"), host.arch, "not stated; the default architecture", guess=False)
    if host.kernel is None:
        yield Default(("host", "kernel"), kernels.NEWEST_TEXT, "not stated; the newest kernel that is known")
    if host.mem_total is None:
        yield Default(("host", "mem_total"), "estimated", "not stated; memory less the page array and reserves")
    if host.used is None:
        yield Default(("host", "used"), "estimated", "not stated; what a small system takes besides this workload")
    for path, distribution in workload.positions.uncertain.items():
        why = f"the median of {distribution.text}, which ptcalc estimate samples"
        yield Default(path, distribution.written(distribution.median), why, guess=False)
    yield from _pools(workload)
    for name, group in workload.processes.items():
        path = ("processes", name)
        if not workload.stated((*path, "private")):
            yield Default((*path, "private"), "0 B", "not stated; no private memory is counted")
        if group.base_tables is None:
            why = "not stated; the page tables that a small process has, and those of its private memory"
            yield Default((*path, "base_tables"), "estimated", why)
        for number, mapping in enumerate(group.mappings):
            yield from _mapping((*path, "mappings", number), mapping, workload)


def _pools(workload: Workload) -> Iterator[Default]:
    geometry = workload.geometry
    pools = workload.host.hugepages or {}
    huge = [segment for segment in workload.segments.values() if segment.backing == "hugetlb"]
    missing = sorted({page_of(segment, geometry) for segment in huge} - set(pools))
    if missing:
        sizes = " and ".join(show_size(size) for size in missing)
        why = f"no pool of {sizes} pages is stated; as many as the segments need"
        yield Default(("host", "hugepages"), "what the segments need", why)


def _mapping(path: Path, mapping: Mapping, workload: Workload) -> Iterator[Default]:
    segment = workload.segments[mapping.segment]
    if not mapping.touch_stated and mapping.protection != "none":
        yield Default((*path, "touch"), "all", "not stated; every page is touched")
    if mapping.map == "shared" and mapping.address is None and mapping.alignment is None:
        yield Default((*path, "alignment"), _alignment(segment, workload), "neither address nor alignment is stated")
    written, whole = workload.positions.find((*path, "map"))
    if segment.backing == "private" and written is not None and whole and written.value == "shared":
        why = "map: shared is stated, but memory of backing private is always mapped private"
        yield Default((*path, "map"), "private", why, guess=False)


def _alignment(segment: Segment, workload: Workload) -> str:
    geometry = workload.geometry
    if segment.backing != "hugetlb" and segment.thp != "never":
        return f"{show_size(geometry.thp_size)}, congruent with the offset"
    return show_size(page_of(segment, geometry))
