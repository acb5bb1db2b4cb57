"""What is one VMA: neighbours that go on in the same file with the same attributes (mm/vma.c: vma_merge)."""

from __future__ import annotations

from ptcalc.policies.map_shared_pt import MapSharedPt
from ptcalc.timeline.ground import Ground
from ptcalc.timeline.life import Vma
from ptcalc.workload.intervals import Intervals


def bounds_of(ground: Ground, vmas: Intervals[Vma]) -> dict[int, tuple[int, int]]:
    """Return, by where each part begins (as mapped), the bounds (addresses of now) of the VMA that it is in."""
    switched = ground.policy.switched
    joined: list[tuple[int, int, tuple[object, ...], list[int]]] = []
    for a, b, vma in sorted(vmas, key=lambda part: part[0] + part[2].moved):
        row, lo, hi = ground.rows[vma.row], a + vma.moved, b + vma.moved
        flags = vma._replace(row=0, moved=0, copied=True, outside=False, allow=vma.allow if switched else True)
        alike = row.file, row.start - row.file_offset + vma.moved, row.shared, flags
        if joined and joined[-1][1:3] == (lo, alike):  # of hugetlb, no two VMAs of a process have one rank
            joined[-1] = (joined[-1][0], hi, alike, [*joined[-1][3], a])
        else:
            joined.append((lo, hi, alike, [a]))
    return {a: (lo, hi) for lo, hi, _, parts in joined for a in parts}


def copied_whole(ground: Ground, vmas: Intervals[Vma]) -> Intervals[Vma]:
    """Mark VMAs as a whole where a part has private pages: they have one anon_vma."""
    if not any(vma.copied for _, _, vma in vmas):
        return vmas
    bounds = bounds_of(ground, vmas)
    copied = {bounds[a] for a, _, vma in vmas if vma.copied}
    for a, b, vma in vmas:
        if not vma.copied and bounds[a] in copied:
            vmas = vmas.set(a, b, vma._replace(copied=True))
    return vmas


def settled(ground: Ground, vmas: Intervals[Vma]) -> Intervals[Vma]:
    """Return VMAs with what follows from their bounds: private pages, and who may share under MAP_SHARED_PT."""
    vmas = copied_whole(ground, vmas)
    if isinstance(ground.policy, MapSharedPt):
        unit = ground.context.geometry.pmd_size
        bounds = bounds_of(ground, vmas)
        for a, b, vma in vmas:
            vmas = vmas.set(a, b, vma._replace(outside=any(edge % unit for edge in bounds[a])))
    return vmas
