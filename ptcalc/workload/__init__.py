"""What the user wrote: the workload file, read into frozen models, with the place of every value."""

from __future__ import annotations

from ptcalc.workload.loading import load, loads
from ptcalc.workload.model import Host, Mapping, ProcessGroup, Range, Segment, Touch, Workload

__all__ = ["Host", "Mapping", "ProcessGroup", "Range", "Segment", "Touch", "Workload", "load", "loads"]
