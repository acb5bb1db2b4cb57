"""What an estimate keeps of its question is enough to ask it again, with the same answer."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ptcalc
from ptcalc import risk
from ptcalc.estimation import asked_again
from ptcalc.workload.source import Override

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
GEOMETRIES = """
levels: {ok: 12.5%, warning: 1/12}
process: {slab: 64 KiB}
geometries:
  big-stacks: {like: x86_64, kernel_stack: 64 KiB}
  bigger-stacks: {like: big-stacks, kernel_stack: 128 KiB, pmd_sharing: never}
"""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_answered_alike(path: Path) -> None:
    """The text alone gives the estimate again, to the last finding."""
    estimate = ptcalc.estimate(ptcalc.load(path))

    assert estimate.source == path.read_text()
    assert asked_again(estimate).estimate() == estimate


def test_options_are_kept() -> None:
    """Policies, choices, another machine, thresholds and architectures of the user's own are asked for again."""
    config = risk.loads_config(GEOMETRIES)
    workload = ptcalc.load(
        ROOT / "examples/mixed-sga-reporting.yaml",
        geometries=config.geometries,
        overrides=[Override(("host", "arch"), "bigger-stacks", "--arch bigger-stacks")],
    )
    estimate = ptcalc.estimate(
        workload, policies=["file-shared", "today"], config=config, choices={"file-shared.phases": "zero"}
    )

    again = asked_again(estimate)

    assert again.config == config
    assert again.workload.geometry == config.geometries["bigger-stacks"]
    assert again.estimate() == estimate
    assert estimate != ptcalc.estimate(workload, policies=["file-shared", "today"], config=config)


def test_without_the_text_nothing_can_be_asked() -> None:
    """An estimate of a ptcalc that did not keep it says so."""
    estimate = replace(ptcalc.estimate(ptcalc.load(EXAMPLES[0])), source="")

    with pytest.raises(ptcalc.InputError, match="the text of the workload is not there"):
        asked_again(estimate)


def test_a_text_that_was_damaged_is_not_taken_for_the_file() -> None:
    estimate = replace(ptcalc.estimate(ptcalc.load(EXAMPLES[0])), source="version: [")

    with pytest.raises(ptcalc.InputError) as refused:
        asked_again(estimate)
    assert "(in the text that was saved)" in refused.value.render()


SHARES = st.fractions(min_value=0, max_value=1, max_denominator=10**9)
SIZES = st.integers(0, 1 << 50)
CONFIGS = st.builds(
    risk.Config,
    ok_free=SHARES.map(lambda share: max(share, Fraction(5, 100))),
    page_tables_share=SHARES,
    touch_band=st.fractions(min_value=1, max_value=1000, max_denominator=10**9),
    min_free=st.none() | SIZES,
    thp_watermarks=st.booleans(),
    lowmem_reserve_ratio=st.integers(0, 1 << 40),
    used_base_divisor=st.integers(1, 1 << 40),
    index_node=SIZES,
    process_tables=st.none() | SIZES,
    pid_max=st.integers(1, 1 << 40),
)


@given(CONFIGS)
def test_configs_read_back_as_they_were(config: risk.Config) -> None:
    """Whatever a config holds can be written, to the last digit."""
    assert risk.loads_config(json.dumps(risk.written(config))) == config
