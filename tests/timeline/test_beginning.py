"""Step 0 of a timeline is the estimate: the same figures under every policy, for examples and random workloads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

import ptcalc
from tests import strategies as make
from tests.strategies import Document
from tests.test_engine_against_reference import thorough

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


def same(workload: ptcalc.Workload) -> None:
    """Compare what both say."""
    if any(segment.per for segment in workload.segments.values()):
        with pytest.raises(ptcalc.InputError, match="which of them"):
            ptcalc.follow_timeline(workload)
        return
    without = replace(workload, events=())
    estimate, timeline = ptcalc.estimate(without), ptcalc.follow_timeline(without)
    for result, policy in zip(estimate.policies, timeline.policies, strict=True):
        step = policy.steps[0]
        where = f"{workload.name}, {result.policy}"
        assert result.page_tables.bytes == step.page_tables_bytes, where
        assert result.page_tables.used_bytes == step.used_bytes, where
        assert [(level.level, level.tables) for level in result.page_tables.levels] == [
            (level.level, level.private + level.shared + level.cached) for level in step.levels
        ], where
        assert [(each.name, each.count, each.vmpte_bytes, each.exact) for each in result.processes if each.count] == [
            (each.group, each.count, each.vmpte_bytes, each.exact) for each in step.classes
        ], where
        assert result.memory == step.memory, where
        assert result.risk.level == step.risk, where


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    same(ptcalc.load(path))


@thorough(0.2)
@given(make.workloads())
def test_random_workloads(document: Document) -> None:
    same(ptcalc.loads(make.text_of(document)))
