"""Which places of a workload file hold numbers: what `ptcalc.workload.places` says, for scenarios."""

from __future__ import annotations

from ptcalc.workload.places import Place, place_of

__all__ = ["Place", "place_of"]
