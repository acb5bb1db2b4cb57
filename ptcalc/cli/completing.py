"""What TAB offers beside commands and options: files, templates, policies and the like.

Each function is asked by click with the context, the parameter and the word as far as it is typed.  TAB is waited for:
nothing here reads a workload or imports more than the names that it offers.
"""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

TEMPLATES = ("minimal", "oracle", "postgres", "kvm", "container")


def complete_templates(_context: click.Context, _parameter: click.Parameter, word: str) -> list[CompletionItem]:
    """Offer the templates of ``ptcalc init``."""
    return [CompletionItem(name) for name in TEMPLATES if name.startswith(word)]
