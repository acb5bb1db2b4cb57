"""Samples of a workload: the draws, against exact quantiles, and what they say of risk, against what is known."""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

import ptcalc
from ptcalc.errors import InputError
from ptcalc.result import RISK_ORDER
from ptcalc.scenarios import uncertainty
from ptcalc.scenarios.running import processes
from ptcalc.scenarios.uncertainty import draws, wilson
from ptcalc.workload.distributions import Distribution

EXAMPLES = Path(__file__).parents[2] / "examples"
MANY = 20_000
TEXT = """\
version: 1
host: {{memory: {memory}, mem_total: 8 GiB, used: {used}}}
segments:
  sga: {{size: {size}, backing: shmem}}
processes:
  server:
    count: {count}
    private: {private}
    base_tables: 0
    mappings: [{{segment: sga, touch: {touch}}}]
"""
FIELDS = {"memory": "8 GiB", "used": "0", "size": "1 GiB", "count": "1", "private": "0", "touch": "all"}


def text(**fields: str) -> str:
    return TEXT.format(**{**FIELDS, **fields})


def sample(samples: int = 1000, seed: int = 1, **fields: str) -> ptcalc.Sampled:
    return ptcalc.sample(ptcalc.loads(text(**fields)), samples=samples, seed=seed)


@pytest.mark.parametrize(
    ("distribution", "exact"),
    [
        (Distribution("uniform", (0, 10**6), "", "count"), lambda rank: rank * 10**6),
        (
            Distribution("triangular", (0, 250_000, 10**6), "", "count"),
            lambda rank: 10**6 * (sqrt(rank / 4) if rank < 0.25 else 1 - sqrt((1 - rank) * 0.75)),
        ),
        (Distribution("normal", (10**6, 10**5), "", "count"), NormalDist(10**6, 10**5).inv_cdf),
        (
            Distribution("normal", (0, 10**6), "", "count", least=0),
            lambda rank: NormalDist(0, 10**6).inv_cdf(0.5 + rank / 2),
        ),
        (
            Distribution("lognormal", (10**6, 0.5), "", "count"),
            lambda rank: 10**6 * np.exp(0.5 * NormalDist().inv_cdf(rank)),
        ),
    ],
    ids=lambda each: each.kind if isinstance(each, Distribution) else "",
)
def test_draws_have_the_quantiles(distribution: Distribution, exact: object) -> None:
    """The part of the draws below each exact quantile is its rank, within four standard deviations."""
    assert callable(exact)
    found = draws(distribution, ("host", "used"), 1, 0, MANY)

    for rank in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99):
        below = (found < exact(rank)).mean()
        assert abs(below - rank) < 4 * sqrt(rank * (1 - rank) / MANY), rank


def test_empirical_draws_are_the_values() -> None:
    found = draws(Distribution("empirical", (1, 5, 5, 9), "", "count"), ("host", "used"), 1, 0, MANY)
    values, many = np.unique(found, return_counts=True)

    assert values.tolist() == [1, 5, 9]
    assert many / MANY == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


def test_draws_depend_on_seed_number_and_place_alone() -> None:
    """Any part of the draws is what the whole has there; other seeds and places have others."""
    uniform = Distribution("uniform", (0, 1 << 40), "", "bytes")
    path = ("processes", "server", "private")
    whole = draws(uniform, path, 7, 0, 1000)

    for first, many in ((0, 1), (1, 2), (3, 5), (4, 4), (998, 2), (501, 301)):
        assert draws(uniform, path, 7, first, many).tolist() == whole[first : first + many].tolist()
    for other in (draws(uniform, path, 8, 0, 1000), draws(uniform, ("host", "used"), 7, 0, 1000)):
        assert not (other == whole).any()
        assert abs(np.corrcoef(other, whole)[0, 1]) < 0.13  # four standard deviations


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 20])
def test_blocks_change_nothing(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = EXAMPLES / "oracle-sga-uncertain.yaml"
    whole = ptcalc.sample(path, samples=70)
    monkeypatch.setattr(uncertainty, "BLOCK", block)

    assert ptcalc.sample(path, samples=70) == whole


def test_workers_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that finish in any order give what one gives; the errors of samples arrive with their place."""
    path = EXAMPLES / "oracle-sga-uncertain.yaml"
    monkeypatch.setattr(uncertainty, "BLOCK", 50)
    told: list[tuple[int, int]] = []
    with processes(2) as executor:
        found = ptcalc.sample(path, samples=330, executor=executor, workers=2, progress=lambda *done: told.append(done))
        with pytest.raises(InputError, match="in a sample with") as caught:
            ptcalc.sample(ptcalc.loads(text(count="{uniform: [0, 9]}")), samples=330, executor=executor, workers=2)

    assert found == ptcalc.sample(path, samples=330)
    assert told == [(50, 330), (100, 330), (150, 330), (200, 330), (250, 330), (300, 330), (330, 330)]
    assert caught.value.line == 7


def test_other_places_and_policies_change_no_draw() -> None:
    """A second distribution leaves the draws of the first as they are, and so does asking for fewer policies."""
    one = sample(used="{uniform: [0, 8 GiB]}")
    two = sample(used="{uniform: [0, 8 GiB]}", private="{uniform: [0, 0]}")
    few = ptcalc.sample(ptcalc.loads(text(used="{uniform: [0, 8 GiB]}")), samples=1000, policies=["today"])

    assert one.policies == two.policies
    assert few.policies == (one.policy("today"),)


def test_probability_is_the_one_known() -> None:
    """What is free without ``used`` is a number; ``used`` is uniform up to twice that: half of all samples run out."""
    free = ptcalc.estimate(ptcalc.loads(text())).policy("today").memory.headroom_bytes
    found = sample(10_000, used=f"{{uniform: [0, {2 * free}]}}").policy("today")
    oom = found.levels["oom"]

    assert oom.low < 0.5 < oom.high
    assert sum(odds.samples for odds in found.levels.values()) == 10_000
    assert found.headroom_bytes == pytest.approx((-0.9 * free, 0, 0.9 * free), abs=0.03 * free)
    assert [each.path for each in found.drivers] == ["host.used"]
    assert found.drivers[0].correlation == pytest.approx(-1)


@pytest.mark.parametrize(
    "fields",
    [
        {"count": "{uniform: [40, 40]}", "private": "{empirical: [32 MiB]}"},
        {"touch": "{triangular: [24%, 24%, 24%]}", "count": "40"},
        {"touch": "{amount: {uniform: [20%, 20%]}, pattern: contiguous}"},
        {"memory": "{empirical: [8 GiB, 8 GiB]}", "size": "{uniform: [2 GiB, 2 GiB]}"},
    ],
)
def test_degenerate_distributions_are_the_estimate(fields: dict[str, str]) -> None:
    """Where only one number can be drawn, all samples are the estimate, and nothing drives the risk."""
    estimate = ptcalc.estimate(ptcalc.loads(text(**fields)))
    sampled = sample(samples=50, seed=1, **fields)

    for result in estimate.policies:
        found = sampled.policy(result.policy)
        assert found.page_tables_bytes == (result.page_tables.bytes,) * 3
        assert found.used_bytes == (result.page_tables.used_bytes,) * 3
        assert found.headroom_bytes == (result.memory.headroom_bytes,) * 3
        assert {level: odds.samples for level, odds in found.levels.items()} == {
            level: 50 * (level == result.risk.level) for level in RISK_ORDER
        }
        assert found.drivers == ()


def test_drivers_are_ordered_by_what_they_do() -> None:
    """Ten times the spread is the stronger driver; what nothing depends on correlates with nothing."""
    found = sample(
        4000,
        used="{uniform: [0, 1 GiB]}",
        private="{uniform: [0, 100 MiB]}",
        size="{empirical: [1 GiB, 1 GiB]}",
        count="{empirical: [1]}",
    ).policy("today")

    assert [each.path for each in found.drivers] == ["host.used", "processes.server.private"]
    assert found.drivers[0].correlation < -0.98
    assert -0.2 < found.drivers[1].correlation < -0.05


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([1, 2, 3, 4, 5], [5, 6, 7, 8, 7], 0.8207826816681233),  # scipy.stats.spearmanr, from its documentation
        ([1, 2, 3], [9, 4, 1], -1.0),
        ([1, 1, 2, 2], [1, 2, 1, 2], 0.0),
    ],
)
def test_rank_correlation(left: list[int], right: list[int], expected: float) -> None:
    ranks = [uncertainty._ranks(np.array(each)) for each in (left, right)]

    assert uncertainty._correlation(*ranks) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("hits", "samples", "low", "high"),
    [
        (0, 10, 0.0, 0.2775327998628892),
        (1, 10, 0.0178762092, 0.4041500271),
        (15, 50, 0.1910365, 0.4375042),
        (10, 10, 1 - 0.2775327998628892, 1.0),
    ],
)
def test_wilson(hits: int, samples: int, low: float, high: float) -> None:
    """Values of statsmodels' proportion_confint."""
    found = wilson(hits, samples)

    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-6)
    assert found.low <= found.probability <= found.high


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"size": "{uniform: [1 GiB, 3 GiB]}", "touch": "1536 MiB"}, "(with segments.sga.size="),
        ({"count": "{uniform: [0, 5]}"}, "(in a sample with processes.server.count=0, of uniform [0, 5])"),
        ({"memory": "{uniform: [7 GiB, 11 GiB]}"}, "(with host.memory="),
    ],
)
def test_impossible_samples_are_refused(fields: dict[str, str], said: str) -> None:
    """A sample that the loader refuses ends it, with the numbers, though the medians are fine."""
    ptcalc.loads(text(**fields))

    with pytest.raises(InputError) as refused:
        sample(samples=1000, seed=1, **fields)
    assert refused.value.render().startswith("<string>:")
    assert said in refused.value.render()


@pytest.mark.parametrize("arguments", [{"samples": 0}, {"samples": 10**9}, {"seed": -1}, {"policies": ["tody"]}])
def test_bad_arguments(arguments: dict[str, object]) -> None:
    workload = ptcalc.loads(text(count="{uniform: [1, 5]}"))

    with pytest.raises(InputError):
        ptcalc.sample(workload, **arguments)  # type: ignore[arg-type]


def test_certain_workload_is_refused() -> None:
    with pytest.raises(InputError, match="is a distribution"):
        ptcalc.sample(ptcalc.loads(text()))
