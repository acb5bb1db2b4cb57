"""`hugetlb-2M`, `hugetlb-1G`, ...: what if every shareable segment were in hugetlb pages of that size?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ptcalc.arch import Geometry
from ptcalc.layout.plan import Plan, moved_to_hugetlb
from ptcalc.layout.rows import Layout
from ptcalc.policies.base import AS_OF, Choice, Context
from ptcalc.policies.today import Today
from ptcalc.policies.view import View
from ptcalc.result import Availability


@dataclass(frozen=True)
class Hugetlb(Today):
    """Shmem segments that are mapped shared, and hugetlb of another size, moved to pages of `page` bytes."""

    choices: ClassVar[tuple[Choice, ...]] = ()
    page: int = 0
    page_name: str = ""

    def plan(self, context: Context) -> tuple[Plan, tuple[str, ...]]:
        """Move the segments; the pool becomes what they need."""
        plan, moved = moved_to_hugetlb(context.plan, context.workload, self.page)
        return plan, tuple(f"back {name} with {self.page_name} hugetlb pages" for name in moved)

    def changes(self, layout: Layout, view: View, context: Context) -> tuple[str, ...]:
        """Addresses are multiples of the huge page."""
        unit = self.page_name
        return tuple(
            f"lower the address of {place.segment} in {place.group_name} to {place.address:#x}, a multiple of {unit}"
            for place in layout.places
            if place.lowered
        )


def hugetlb_policies(geometry: Geometry) -> tuple[Hugetlb, ...]:
    """Return one policy for each hugetlb size of the architecture, the smallest first."""
    return tuple(
        Hugetlb(
            name=f"hugetlb-{geometry.huge_page_name(size)}",
            title=f"segments on {geometry.huge_page_name(size)} hugetlb pages",
            availability=Availability(
                "mainline", "2.6.20" if size == geometry.default_huge_page else "2.6.27", "mm/hugetlb.c", AS_OF
            ),
            page=size,
            page_name=geometry.huge_page_name(size),
        )
        for size in sorted(geometry.huge_pages)
    )
