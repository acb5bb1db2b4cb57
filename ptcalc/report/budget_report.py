"""``ptcalc budget init``: budgets as a fragment of YAML."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ptcalc.checking.margins import Proposed
from ptcalc.errors import printable
from ptcalc.result import Estimate
from ptcalc.risk.amounts import percent


def render(estimate: Estimate, budgets: Sequence[Proposed], margin: Fraction) -> str:
    """Return the section ``budgets``, with the figures of today in comments."""
    lines = [
        f"# {printable(estimate.name)} ({printable(estimate.file)}):",
        f"# today's figures, with a margin of {percent(margin)}.",
        "# For the workload file itself, or for a config file of ptcalc check.",
        "budgets:",
    ]
    for each in budgets:
        if each.value:
            entry = f"  - {{rule: {each.rule}, {each.key}: {each.value}}}"
            lines.append(f"{entry:<60}  # {each.now}")
        else:
            lines.append(f"  # no budget for {each.rule}: {each.now}")
    return "\n".join(lines) + "\n"
