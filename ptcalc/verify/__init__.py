"""A workload on the running kernel: scaled to the machine, mapped for real, its counters beside the prediction."""

from __future__ import annotations

from ptcalc.verify.boundary import verify_boundary
from ptcalc.verify.experiment import verify_workload
from ptcalc.verify.result import Boundary, Figure, Verification

__all__ = ["Boundary", "Figure", "Verification", "verify_boundary", "verify_workload"]
