"""All open choices of the policies as a table: names, defaults, values, meaning (kernel-facts 6.2, a to l)."""

from __future__ import annotations

from ptcalc import arch
from ptcalc.policies import policies_of
from ptcalc.policies.base import Choice


def all_choices(arch_name: str = "x86_64") -> list[tuple[str, Choice]]:
    """Return every choice with its full name, POLICY.NAME, in the order of the policies."""
    return [
        (f"{policy.name}.{choice.name}", choice)
        for policy in policies_of(arch.get(arch_name))
        for choice in policy.choices
    ]


def listed() -> str:
    """Return the choices as text for people."""
    lines = ["Open choices (--choice POLICY.NAME=VALUE; the default comes first):", ""]
    for name, choice in all_choices():
        values = [choice.default, *(value for value in choice.accepted if value != choice.default)]
        shown = " | ".join(values) if choice.accepted else f"{choice.default} (any size)"
        lines += [f"  {name} = {shown}", f"      {choice.meaning}"]
        if choice.over_time:
            lines.append("      (has an effect only over time: ptcalc timeline)")
    return "\n".join(lines) + "\n"
