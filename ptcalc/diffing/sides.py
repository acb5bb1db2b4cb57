"""The two sides of a comparison: read from files, and asked the same question."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ptcalc import risk, saved
from ptcalc.errors import InputError
from ptcalc.estimation import Asked, asked_again
from ptcalc.policies import policies_of
from ptcalc.result import Estimate, Question
from ptcalc.workload import Workload, loading, loads
from ptcalc.workload.source import Override

JUDGED = ("today",)
FILES = "a workload file, a saved result, or - for standard input"
Given = str | os.PathLike[str] | Workload | Estimate


class Options(NamedTuple):
    """What is asked of both sides; what is left out is as a saved side was asked."""

    policies: Sequence[str] = ()
    config: risk.Config | None = None
    choices: Mapping[str, str] | None = None
    arch: str | None = None

    @property
    def anew(self) -> bool:
        """Whether saved results, too, have to be evaluated."""
        return self.config is not None or bool(self.choices) or self.arch is not None


class Answered(NamedTuple):
    """A side: its answer, what it was asked (None where the text of its workload is not there); was it saved?

    ``known`` are the policies that it could be asked about.
    """

    estimate: Estimate
    asked: Asked | None
    saved: bool
    known: Sequence[str]


def answered(base: Given, new: Given, options: Options) -> tuple[Answered, Answered]:
    """Return both sides; see `ptcalc.diffing.diff`."""
    if base == new == "-":
        raise InputError("both sides are standard input", accepted="it once, and a file beside it")
    sides = [_read(each, options.config) for each in (base, new)]
    template = next((each.question for each in sides if isinstance(each, Estimate)), None)
    first, second = (_answered(each, options, None if options.anew else template) for each in sides)
    return first, second


def _read(given: Given, config: risk.Config | None) -> Workload | Estimate | tuple[bytes, str]:
    """Return what was given, or the bytes of a workload file, which is not loaded before it is known how."""
    if isinstance(given, Workload | Estimate):
        return given
    data, name = saved.read_bytes(given, accepted=FILES)
    return saved.loads_result(data, name=name) if _is_result(data) else (data, name)


def _is_result(data: bytes) -> bool:
    """Whether this is JSON of ptcalc, whole or not, and no workload (which may be JSON as well)."""
    try:
        start = saved.decoded(data)[:2000].lstrip()
    except UnicodeDecodeError:
        return False
    if not start.startswith(("{", "[")):
        return False
    try:
        found = json.loads(saved.decoded(data))
    except (ValueError, RecursionError):
        return '"schema"' in start
    return not isinstance(found, dict) or "schema" in found


def _answered(side: Workload | Estimate | tuple[bytes, str], options: Options, template: Question | None) -> Answered:
    if isinstance(side, Estimate) and not options.anew:
        asked = asked_again(side) if side.source else None
        return Answered(_chosen(side, options.policies), asked, True, [each.policy for each in side.policies])
    config, choices, names = options.config, dict(options.choices or {}), options.policies
    overrides = [Override(("host", "arch"), options.arch, f"--arch {options.arch}")] if options.arch else []
    was_saved = isinstance(side, Estimate)
    if isinstance(side, Estimate):
        again = asked_again(side)
        side, config = again.workload, again.config if config is None else config
    elif template is not None:
        config = risk.loads_config(json.dumps(template.config), name="the config of the saved result")
        choices, names = dict(template.choices), names or template.policies
        overrides = [Override(*each) for each in template.overrides]
    own = config.geometries if config else {}
    if isinstance(side, Workload):
        geometries = {**side.geometries, **own}
        workload = loading.build(side.positions.overridden(overrides), geometries=geometries)
    else:
        data, name = side
        workload = loads(data, name=name, geometries=own, overrides=overrides)
    known = [policy.name for policy in policies_of(workload.geometry)]
    here = [name for name in names if name in known]
    # Policies that this architecture does not have are missing on this side.
    asked = Asked(workload, here or JUDGED if names else (), config, choices)
    estimate = asked.estimate()
    return Answered(_chosen(estimate, names), asked, was_saved, known)


def _chosen(estimate: Estimate, policies: Sequence[str]) -> Estimate:
    if not policies:
        return estimate
    return replace(estimate, policies=tuple(each for each in estimate.policies if each.policy in policies))
