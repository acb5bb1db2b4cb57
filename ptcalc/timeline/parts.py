"""Lengths of mappings under a plan."""

from __future__ import annotations

from ptcalc.layout.plan import SegmentPlan
from ptcalc.workload.model import Mapping


def mapped_length(mapping: Mapping, segment: SegmentPlan) -> int:
    """Return the length of a mapping as written, or the rest of its segment, bytes."""
    return int(segment.size - mapping.offset if mapping.length is None else mapping.length)
