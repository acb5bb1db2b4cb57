"""The boundary experiment: as many processes fit in a memory cgroup as ptcalc predicts."""

from __future__ import annotations

from fractions import Fraction

import pytest

import ptcalc
from ptcalc.errors import CannotDoHere
from ptcalc.verify import Boundary

pytestmark = pytest.mark.kernel

MIB = 1 << 20

# name: (segments and processes of the file, limit of the cgroup in MiB)
SHAPES = {
    "dense 1 GiB, a quarter of it resident": (
        """
segments: {area: {size: 1 GiB, backing: shmem, resident: 256 MiB}}
processes: {server: {count: 40, mappings: [{segment: area}]}}
""",
        500,
    ),
    "one page in each 2 MiB of 8 GiB": (
        """
segments: {area: {size: 8 GiB, backing: shmem, resident: touched}}
processes: {server: {count: 40, mappings: [{segment: area, touch: {every: 2 MiB}}]}}
""",
        700,
    ),
    "scattered over 4 GiB": (
        """
segments: {area: {size: 4 GiB, backing: shmem, resident: 64 MiB}}
processes: {server: {count: 40, mappings: [{segment: area, touch: {pages: 1000, pattern: scattered}}]}}
""",
        500,
    ),
    "scattered, resident as far as touched": (
        """
segments: {area: {size: 1 GiB, backing: shmem, resident: touched}}
processes: {server: {count: 40, mappings: [{segment: area, touch: {pages: 300, pattern: scattered}}]}}
""",
        180,
    ),
    "private memory": (
        """
segments: {area: {size: 256 MiB, backing: shmem}}
processes: {server: {count: 40, private: 5 MiB, mappings: [{segment: area}]}}
""",
        800,
    ),
    "read-only": (
        """
segments: {area: {size: 4 GiB, backing: shmem, resident: touched}}
processes:
  reader: {count: 40, mappings: [{segment: area, protection: r, touch: {every: 1 MiB, length: 2 GiB}}]}
""",
        300,
    ),
    "private copies": (
        """
segments: {area: {size: 128 MiB, backing: shmem}}
processes: {server: {count: 40, mappings: [{segment: area, map: private, touch: 4 MiB}]}}
""",
        500,
    ),
    "two groups, one of them fixed": (
        """
segments: {area: {size: 6 GiB, backing: shmem, resident: 100 MiB}}
processes:
  writer: {count: 8, scale: fixed, mappings: [{segment: area, touch: {every: 2 MiB}}]}
  reader: {count: 40, mappings: [{segment: area, length: 3 GiB, protection: r, touch: {every: 2 MiB}}]}
""",
        600,
    ),
    "two groups that grow, at the limit that ptcalc gives": (
        """
segments: {area: {size: 3 GiB, backing: shmem, resident: touched}, own: {size: 2 MiB, backing: private}}
processes:
  writer: {count: 10, mappings: [{segment: area, touch: {every: 1 MiB}}]}
  reader: {count: 30, mappings: [{segment: area, protection: r, touch: {every: 16 MiB}}, {segment: own}]}
""",
        None,
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_as_many_fit_as_predicted(shape: str) -> None:
    body, limit = SHAPES[shape]
    found = boundary(body, limit=limit and limit * MIB)

    assert found.killed
    assert found.predicted >= 20
    assert abs(found.difference) <= max(1, 0.02 * found.predicted), found
    assert found.agrees


def boundary(body: str, *, limit: int | None = None) -> Boundary:
    """Do the experiment with a workload; skip where it cannot be done."""
    workload = ptcalc.loads("version: 1\nhost: {memory: 16 GiB}\n" + body)
    try:
        return ptcalc.verify_boundary(workload, processes=50, limit=limit, share=Fraction(1), max_memory=1000 * MIB)
    except CannotDoHere as error:
        pytest.skip(str(error))
