"""OOM reports in kernel logs: what they say, and the workload that they tell of."""

from __future__ import annotations

from ptcalc.capture.oomlog.document import workload_document
from ptcalc.capture.oomlog.grouping import Group, groups
from ptcalc.capture.oomlog.reader import read, read_file, read_lines
from ptcalc.capture.oomlog.report import Kill, OomReport, Pool, Task

__all__ = [
    "Group",
    "Kill",
    "OomReport",
    "Pool",
    "Task",
    "groups",
    "read",
    "read_file",
    "read_lines",
    "workload_document",
]
