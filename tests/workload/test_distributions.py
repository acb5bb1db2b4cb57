"""Distributions in workload files: what they are read as, and how bad ones are refused."""

from __future__ import annotations

import numpy as np
import pytest

import ptcalc
from ptcalc.errors import InputError
from ptcalc.workload.distributions import LEAST, SHARE
from ptcalc.workload.source import Override

TEXT = """\
version: 1
host: {{memory: 64 GiB, used: 1 GiB{host}}}
segments:
  sga: {{size: 8 GiB, backing: {backing}}}
processes:
  server:
    count: {count}
    private: {private}
    mappings:
      - {{segment: sga, touch: {touch}}}
"""
FIELDS = {"host": "", "backing": "shmem", "count": "100", "private": "8 MiB", "touch": "all"}
COUNT, PRIVATE = ("processes", "server", "count"), ("processes", "server", "private")
TOUCH = ("processes", "server", "mappings", 0, "touch")


def text(**fields: str) -> str:
    return TEXT.format(**{**FIELDS, **fields})


@pytest.mark.parametrize(
    ("field", "path", "written", "median"),
    [
        ("count", COUNT, "{uniform: [100, 201]}", 150),  # half way: to the even one
        ("count", COUNT, "{uniform: [7, 7]}", 7),
        ("count", COUNT, "{triangular: [100, 100, 100]}", 100),
        ("count", COUNT, "{triangular: [0, 100, 200]}", 100),
        ("count", COUNT, "{normal: [1500, 100]}", 1500),
        ("count", COUNT, "{normal: [100, 50], min: 0, max: 200}", 100),
        ("count", COUNT, "{normal: [100, 50], min: 300}", 308),  # the tail: z where half of P(z > 4) is left is 4.16
        ("count", COUNT, "{empirical: [30, 10, 20]}", 20),
        ("count", COUNT, "{empirical: [10, 20]}", 10),
        ("private", PRIVATE, "{lognormal: [12 MiB, 0.5]}", 12 << 20),
        ("private", PRIVATE, "{uniform: [1 MiB, 3M]}", 2 << 20),
        ("touch", TOUCH, "{uniform: [10%, 60%]}", SHARE * 35 // 100),
        ("touch", TOUCH, "{uniform: [1 GiB, 3 GiB]}", 2 << 30),
        ("touch", (*TOUCH, "amount"), "{amount: {uniform: [10%, 60%]}, pattern: contiguous}", SHARE * 35 // 100),
        ("touch", (*TOUCH, 1), "[{pages: 5}, {empirical: [0.5%]}]", SHARE // 200),
        ("touch", (*TOUCH, "ranges", 0, "start"), "{ranges: [{start: {uniform: [0, 8192]}, length: 4096}]}", 4096),
    ],
)
def test_median(field: str, path: ptcalc.workload.source.Path, written: str, median: int) -> None:
    """The median stands where the distribution does, in the same unit, and is an assumption that says so."""
    workload = ptcalc.loads(text(**{field: written}))
    found = workload.positions.uncertain[path]

    assert found.median == median
    key = workload.positions.dotted(path)
    said = next(each for each in workload.assumptions if each.key == key)
    assert said.value == found.written(median)
    assert said.why.startswith(f"the median of {found.kind} [")
    fixed = ptcalc.loads(text(**{field: written}), overrides=[Override(path, said.value, "test")])
    assert fixed.positions.uncertain == {}
    assert [ptcalc.to_dict(ptcalc.estimate(each))["policies"] for each in (workload, fixed)] == [
        ptcalc.to_dict(ptcalc.estimate(fixed))["policies"]
    ] * 2


@pytest.mark.parametrize(
    "written",
    [
        "{uniform: [100, 900]}",
        "{triangular: [100, 900, 900]}",
        "{triangular: [100, 100, 900]}",
        "{normal: [500, 200], min: 100, max: 900}",
        "{lognormal: [300, 2], min: 100, max: 900}",
        "{empirical: [900, 100]}",
    ],
)
def test_bounds_are_kept(written: str) -> None:
    """The rarest draws lie within the bounds, and quantiles rise."""
    found = ptcalc.loads(text(count=written)).positions.uncertain[COUNT]
    ranks = np.array([LEAST, *np.linspace(0.01, 0.99, 99), 1 - LEAST])
    quantiles = found.quantiles(ranks)

    assert (quantiles[0], quantiles[-1]) == (100, 900)
    assert (np.diff(quantiles) >= 0).all()


def test_names_and_anchors_are_no_distributions() -> None:
    """Groups may be called normal, anchors are not read, and an alias is a number of its own at each place."""
    document = text(count="&many {uniform: [1, 9]}").replace("server:", "normal:", 1)
    document += "  uniform: {count: *many, private: 0, mappings: []}\nx-unused: {uniform: [2]}\n"
    workload = ptcalc.loads(document)

    assert list(workload.positions.uncertain) == [("processes", "normal", "count"), ("processes", "uniform", "count")]
    assert [group.count for group in workload.processes.values()] == [5, 5]


def test_overrides_replace_distributions() -> None:
    """What an option says is certain."""
    document = text(count="{uniform: [1, 9]}", touch="{amount: {uniform: [1%, 9%]}}")
    workload = ptcalc.loads(document, overrides=[Override(TOUCH, "50%", "--vary")])

    assert list(workload.positions.uncertain) == [COUNT]


@pytest.mark.parametrize(
    ("field", "written", "place", "said", "accepted"),
    [
        ("count", "{uniform: [200, 100]}", "7:28", "100 after 200: bounds are crossed", "lowest, highest"),
        ("count", "{triangular: [1, 5, 3]}", "7:32", "3 after 5: bounds are crossed", "most likely"),
        ("count", "{uniform: [-5, 5]}", "7:23", "'-5' is negative", "a whole number"),
        ("count", "{uniform: [1.5, 5]}", "7:23", "'1.5' is not understood", "a whole number"),
        ("count", "{uniform: [1, ]}", "7:22", "uniform with 1 number instead of 2", "[lowest, highest]"),
        ("count", "{uniform: [1, 2, 3]}", "7:22", "uniform with 3 numbers instead of 2", "[lowest, highest]"),
        ("count", "{uniform: 5}", "7:22", "'5' instead of a list", "[lowest, highest]"),
        ("count", "{uniform: [[1], 5]}", "7:23", "a list stands here", "a whole number"),
        ("count", "{uniform: [~, 5]}", "7:23", "empty text", "a whole number"),
        ("count", "{uniform: [1, 5], min: 2}", "7:30", "'min' does not go with uniform", "[lowest, highest]"),
        ("count", "{uniform: [1, 5], normal: [2, 1]}", "7:30", "'normal' does not go with uniform", ""),
        ("count", "{empirical: []}", "7:24", "an empty list", "[value, value"),
        ("count", "{unifrom: [1, 5]}", "7:12", "'unifrom' is no distribution", "did you mean 'uniform'"),
        ("count", "{gamma: [1, 5]}", "7:12", "'gamma' is no distribution", "uniform, triangular, normal"),
        ("count", "{normal: [100, 0]}", "7:27", "standard deviation 0", "above 0"),
        ("count", "{normal: [100, -1]}", "7:27", "'-1' is negative", ""),
        ("count", "{normal: [100, 50]}", "7:12", "reaches below 0", "min: beside it"),
        ("count", "{normal: [100, 50], min: 9, max: 5}", "7:37", "min 9 is more than max 5", "as min"),
        ("count", "{normal: [100, 5], min: 900}", "7:12", "nearly nothing", "around its middle"),
        ("private", "{lognormal: [0, 1]}", "8:27", "median 0", "above 0"),
        ("private", "{lognormal: [8 MiB, 0]}", "8:34", "sigma '0'", "above 0"),
        ("private", "{lognormal: [8 MiB, x]}", "8:34", "sigma 'x'", "above 0"),
        ("private", "{lognormal: [8 MiB, 9]}", "8:14", "reaches above what a size may be", "max:"),
        ("private", "{uniform: [10%, 20%]}", "8:25", "'10%' is not understood", ""),
        ("touch", "{uniform: [10%, 2 GiB]}", "10:47", "2 GiB beside 10%", "shares alone, or sizes alone"),
        ("touch", "{uniform: [10%, 120%]}", "10:47", "more than 100%", "0% to 100%"),
        ("touch", "{normal: [50%, 20%], min: 0%}", "10:31", "reaches above 100%", "max:"),
        ("touch", "{unifrom: [10%, 20%]}", "10:31", "'unifrom' is no distribution", "did you mean 'uniform'"),
        ("touch", "{amount: 5%, uniform: [1%, 2%]}", "10:32", "'amount' does not go with uniform", ""),
        ("backing", "{uniform: [1, 2]}", "4:31", "stands where no number does", "in place of a number"),
        ("host", ", numa_nodes: {uniform: [1, 2]}", "2:49", "stands where no number does", "in place of a number"),
        ("count", "{uniform: [0, 1]}", "7:12", "'0' is too small (the median of uniform [0, 1])", ""),
        (
            "touch",
            "8 GiB, alignment: {uniform: [4096, 8192]}",
            "10:49",
            "6 KiB is no power of two (the median of",
            "4 KiB",
        ),
    ],
)
def test_bad_distributions(field: str, written: str, place: str, said: str, accepted: str) -> None:
    """Each is refused at its place, with the value and what would be accepted."""
    with pytest.raises(InputError) as refused:
        ptcalc.loads(text(**{field: written}), name="w.yaml")

    shown = refused.value.render()
    assert shown.startswith(f"w.yaml:{place}: ")
    assert said in shown
    assert accepted in shown
    assert refused.value.exit_code == 2


def test_what_is_no_distribution_is_refused_as_before() -> None:
    """A mapping that has nothing of a distribution is a mapping."""
    with pytest.raises(InputError, match="a mapping stands here"):
        ptcalc.loads(text(count="{a: 1}"))
