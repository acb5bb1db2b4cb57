"""Thousands of random sequences of events, the engine against the slow model: a stage of its own.

PTCALC_EXAMPLES=N has N in place of every 100.  Each sequence is followed under one policy, each in its turn.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.kernel.sequences import draw
from tests.test_engine_against_reference import ANSWERS
from tests.test_timeline_against_reference import agree

pytestmark = pytest.mark.many

SHARING = ("file-shared", "map-shared-pt", "mshare")
SORTS: dict[str, tuple[int, tuple[str, ...]]] = {  # how many, under which policies
    "proposals": (700, (*SHARING, "hugetlb-2M", "file-shared", "hugetlb-1G")),
    "growing": (300, ("today", *SHARING)),
    "base": (400, ("today", "file-shared", "map-shared-pt")),
    "tmpfs": (400, ("today", "thp")),
    "private": (200, ("today",)),
    "hugetlb": (200, ("today",)),
}
TOGETHER = 20
ASKED = int(os.environ.get("PTCALC_EXAMPLES", "100"))


@pytest.mark.parametrize(
    ("kind", "first"), [(kind, n) for kind, (many, _) in SORTS.items() for n in range(0, many * ASKED // 100, TOGETHER)]
)
def test_sequences(kind: str, first: int) -> None:
    policies = SORTS[kind][1]
    for seed in range(first, first + TOGETHER):
        choices = {name: random.Random(f"{name} {seed}").choice(values) for name, values in ANSWERS.items()}
        policy = policies[seed % len(policies)]
        agree(draw(kind, seed, seed % 7 + 1), (policy,), choices if policy == "file-shared" and seed % 2 else None)
