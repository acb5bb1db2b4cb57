"""What a workload with distributions in its file can come to: samples of it, and what they say of memory and risk.

Draw number n at a place is a function of (seed, n, path) alone: word n of numpy's Philox, whose key is a hash of seed
and path.  Neither the other places, nor the policies, nor how many samples are evaluated at once, or where, change it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from fractions import Fraction
from hashlib import blake2b
from math import sqrt
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptcalc.errors import InputError
from ptcalc.policies import policies_of
from ptcalc.result import RISK_ORDER, Assumption, Availability, RiskLevel
from ptcalc.risk import Config
from ptcalc.risk.amounts import percent
from ptcalc.scenarios.block import Block, Numbers
from ptcalc.scenarios.running import Shared, in_order
from ptcalc.scenarios.study import Study
from ptcalc.workload.distributions import LEAST, SHARE, Distribution
from ptcalc.workload.loading import build, read
from ptcalc.workload.model import Workload
from ptcalc.workload.places import place_of
from ptcalc.workload.source import Path, Positions

SAMPLES, SEED = 10_000, 1
MAX_SAMPLES = 1_000_000
MAX_SEED = (1 << 63) - 1
BLOCK = 1 << 14  # samples evaluated at once
PERCENTILES = (5, 50, 95)
CONFIDENCE = 0.95
FAIL_PROBABILITY = Fraction(5, 100)  # what a check allows of samples at its threshold or beyond
_NORMAL = 1.959963984540054  # the quantile of (1 + CONFIDENCE) / 2
_FIGURES = ("page_tables_bytes", "used_bytes", "headroom_bytes", "risk")

Ints = NDArray[np.int64]
Percentiles = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Input:
    """A number that is drawn: where it stands, how the file says it, and its median as a file would say it."""

    path: str
    distribution: str
    median: str


@dataclass(frozen=True, slots=True)
class Odds:
    """How many samples are so, their share, and the Wilson interval that holds the probability (CONFIDENCE)."""

    samples: int
    probability: float
    low: float
    high: float

    def __str__(self) -> str:
        between = f"{percent(self.low)} to {percent(self.high)}"
        return f"{percent(self.probability)} of the samples ({between} at {100 * CONFIDENCE:.0f} % confidence)"


@dataclass(frozen=True, slots=True)
class Driver:
    """An input and Spearman's rank correlation of it with headroom, -1 to 1: below 0, more of it leaves less."""

    path: str
    correlation: float


@dataclass(frozen=True, slots=True)
class PolicyOdds:
    """What the samples come to under a policy.

    ``levels`` holds the odds of each risk level; percentiles (5, 50, 95) are bytes of single samples, nearest rank;
    ``drivers`` are the inputs, the strongest first, without those that do not correlate because nothing varies.
    """

    policy: str
    availability: Availability
    levels: Mapping[str, Odds]
    page_tables_bytes: Percentiles
    used_bytes: Percentiles
    headroom_bytes: Percentiles
    drivers: tuple[Driver, ...]

    def at_least(self, level: RiskLevel) -> Odds:
        """Return the odds of a risk level or a worse one."""
        worse = RISK_ORDER[RISK_ORDER.index(level) :]
        samples = sum(odds.samples for odds in self.levels.values())
        return wilson(sum(self.levels[each].samples for each in worse), samples)

    def exceeds(self, allowed: Fraction, level: RiskLevel) -> bool:
        """Whether more than ``allowed`` of the samples (from 0 to 1) are at a risk level or beyond."""
        return self.at_least(level).samples > allowed * sum(odds.samples for odds in self.levels.values())

    def worst(self, allowed: Fraction) -> RiskLevel:
        """Return the worst level that more than ``allowed`` of the samples are at, or beyond."""
        return next((level for level in reversed(RISK_ORDER) if self.exceeds(allowed, level)), "ok")


@dataclass(frozen=True, slots=True)
class Sampled:
    """A workload, how it was sampled, and what came of it under each policy."""

    name: str
    file: str
    arch: str
    kernel: str
    samples: int
    seed: int
    inputs: tuple[Input, ...]
    policies: tuple[PolicyOdds, ...]
    assumptions: tuple[Assumption, ...]

    def policy(self, name: str) -> PolicyOdds:
        """Return the odds under one policy.  Raises KeyError for one that was not evaluated."""
        for odds in self.policies:
            if odds.policy == name:
                return odds
        raise KeyError(name)


def sample(
    workload: str | PathLike[str] | Workload,
    *,
    samples: int = SAMPLES,
    seed: int = SEED,
    policies: Sequence[str] | None = None,
    config: Config | None = None,
    choices: Mapping[str, str] | None = None,
    strict: bool = False,
    executor: Executor | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Sampled:
    """Draw a workload, or the file at a path, ``samples`` times from its distributions, and evaluate each draw.

    ``policies``, ``config`` and ``choices`` are those of `ptcalc.estimate`, ``strict`` that of `ptcalc.load`.  The
    draws are evaluated by an executor with so many workers, or here; the result does not depend on it.  ``progress``
    is told how many are done, of how many.
    Raises InputError for a workload without distributions, for whatever these two refuse, and, naming the numbers, for
    a sample that they would refuse.
    """
    if not 1 <= samples <= MAX_SAMPLES:
        raise InputError(f"{samples:,} samples", accepted=f"1 to {MAX_SAMPLES:,}")
    if not 0 <= seed <= MAX_SEED:
        raise InputError(f"seed {seed}", accepted=f"0 to {MAX_SEED}")
    settings = config or Config()
    document = workload.positions if isinstance(workload, Workload) else read(workload)
    uncertain = document.uncertain
    if not uncertain:
        raise InputError("no number of this file is a distribution", file=document.file, accepted="at least one")
    geometries = {**(workload.geometries if isinstance(workload, Workload) else {}), **settings.geometries}
    certain = Positions(document.file, document.text, document.root, overrides=document.overrides)
    study = Study(
        certain,
        policies=policies,
        figures=_FIGURES,
        config=settings,
        choices=choices,
        geometries=geometries,
        strict=strict,
    )
    try:
        drawn, found = _evaluated(_Draws(Shared(study), uncertain, seed), samples, executor, workers, progress)
    except InputError as error:
        raise _placed(error, document) from None
    base = build(certain, strict=strict, geometries=geometries)
    ranks = {document.dotted(path): _ranks(values) for path, values in drawn.items()}
    availability = {policy.name: policy.availability for policy in policies_of(base.geometry)}
    return Sampled(
        name=base.name,
        file=base.file,
        arch=base.geometry.name,
        kernel=base.kernel.text,
        samples=samples,
        seed=seed,
        inputs=tuple(
            Input(document.dotted(path), each.text, each.written(each.median)) for path, each in uncertain.items()
        ),
        policies=tuple(_odds(policy, availability[policy], figures, ranks) for policy, figures in found.items()),
        assumptions=base.assumptions,
    )


def _placed(error: InputError, document: Positions) -> InputError:
    """Return the error of a sample; if a number is refused for what it is alone, at the place that it is drawn at."""
    for path, distribution in document.uncertain.items():
        origin = error.file or ""
        if origin.startswith(f"{document.dotted(path)}="):
            error.message += f" (in a sample with {origin}, of {distribution.text})"
            error.args = (error.message,)
            node = document.find(path)[0]
            assert node is not None
            return document.at(node, error)
    return error


def draws(distribution: Distribution, path: Path, seed: int, first: int, many: int) -> Ints:
    """Return draws ``first`` to ``first + many - 1`` at a place, as `Distribution.quantiles` gives them."""
    key = blake2b(json.dumps([seed, *path]).encode(), digest_size=16).digest()
    generator = np.random.Philox(key=int.from_bytes(key, "little"), counter=first // 4)  # 4 words at each count
    words = generator.random_raw(first % 4 + many)[first % 4 :]
    return distribution.quantiles((words >> np.uint64(12)).astype(np.float64) * 2.0**-52 + LEAST)


@dataclass(frozen=True, slots=True)
class _Draws:
    """Draws first to first + many - 1 of a study's document, evaluated wherever this is called."""

    study: Shared[Study]
    uncertain: Mapping[Path, Distribution]
    seed: int

    def __call__(self, part: tuple[int, int]) -> tuple[dict[Path, Ints], dict[str, dict[str, NDArray[Any]]]]:
        """Return what is drawn at each place, and the figures under each policy, shape (many,)."""
        drawn = {path: draws(distribution, path, self.seed, *part) for path, distribution in self.uncertain.items()}
        return drawn, self.study.thing.evaluate(_block(self.uncertain, drawn))


def _evaluated(
    work: _Draws,
    samples: int,
    executor: Executor | None,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[dict[Path, Ints], dict[str, dict[str, Ints]]]:
    """Return what is drawn at each place, and the figures under each policy, shape (samples,)."""
    drawn = {path: np.empty(samples, np.int64) for path in work.uncertain}
    found = {policy: {name: np.empty(samples, np.int64) for name in _FIGURES} for policy in work.study.thing.policies}
    parts = [(first, min(BLOCK, samples - first)) for first in range(0, samples, BLOCK)]
    for (first, many), (values, by_policy) in zip(parts, in_order(work, parts, executor, workers), strict=True):
        part = slice(first, first + many)
        for path in drawn:
            drawn[path][part] = values[path]
        for policy, figures in by_policy.items():
            for name in _FIGURES:
                found[policy][name][part] = figures[name]
        if progress is not None:
            progress(part.stop, samples)
    return drawn, found


def _block(uncertain: Mapping[Path, Distribution], drawn: Mapping[Path, Ints]) -> Block:
    """Return samples as scenarios; where none of their numbers moves a mapping, all of them share one layout."""
    numbers = {}
    for path, distribution in uncertain.items():
        values = drawn[path]
        numbers[path] = Numbers(values, np.full_like(values, SHARE) if distribution.share else None)
    places = [place_of(path) for path in uncertain]
    moves = any(place is not None and place.moves for place in places)
    return Block(rows=numbers) if moves else Block(columns=numbers)


def _odds(
    policy: str, availability: Availability, figures: Mapping[str, Ints], inputs: Mapping[str, NDArray[np.float64]]
) -> PolicyOdds:
    risk, samples = figures["risk"], len(figures["risk"])
    left = _ranks(figures["headroom_bytes"])
    drivers = [Driver(path, _correlation(ranks, left)) for path, ranks in inputs.items() if ranks.any() and left.any()]
    return PolicyOdds(
        policy,
        availability,
        {level: wilson(int((risk == number).sum()), samples) for number, level in enumerate(RISK_ORDER)},
        page_tables_bytes=_percentiles(figures["page_tables_bytes"]),
        used_bytes=_percentiles(figures["used_bytes"]),
        headroom_bytes=_percentiles(figures["headroom_bytes"]),
        drivers=tuple(sorted(drivers, key=lambda driver: -abs(driver.correlation))),
    )


def wilson(hits: int, samples: int) -> Odds:
    """Return the share of hits with Wilson's score interval (E. B. Wilson, JASA 22, 1927)."""
    share, square = hits / samples, _NORMAL**2
    middle = (share + square / (2 * samples)) / (1 + square / samples)
    half = _NORMAL / (1 + square / samples) * sqrt(share * (1 - share) / samples + square / (4 * samples**2))
    # At the ends only rounding keeps it from 0 and 1.
    low, high = (middle - half if hits else 0.0), (middle + half if hits < samples else 1.0)
    return Odds(hits, share, low, high)


def _percentiles(values: Ints) -> Percentiles:
    low, middle, high = np.percentile(values, PERCENTILES, method="inverted_cdf")
    return int(low), int(middle), int(high)


def _ranks(values: Ints) -> NDArray[np.float64]:
    """Return the ranks of values less their mean; equal values have the mean of theirs."""
    _, place, many = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(many) - (many - 1) / 2)[place.reshape(-1)]
    return ranks - (len(values) + 1) / 2


def _correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    return float(left @ right / sqrt(float(left @ left) * float(right @ right)))
