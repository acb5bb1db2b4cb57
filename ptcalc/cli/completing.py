"""What TAB offers beside commands, options and fixed words: files, templates, policies, architectures, paths.

What a parameter takes is told by its name or its metavar, so that new commands are completed as well.  TAB is waited
for: nothing here imports more than the names that it offers, and no error is worth a message.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import click
from click.shell_completion import CompletionItem

TEMPLATES = ("minimal", "oracle", "postgres", "kvm", "container")
# As `ptcalc.policies.policies_of` orders them; those of huge pages are x86_64's.
BEFORE, AFTER = ("today", "private"), ("thp", "file-shared", "map-shared-pt", "mshare")
HUGE: tuple[str, ...] = ("hugetlb-2M", "hugetlb-1G")
MAX_BYTES = 1 << 20  # of a workload file whose paths are offered
MAX_PATHS = 2000

Completer = Callable[[click.Parameter, click.Context, str], list[CompletionItem]]


def complete(command: click.Command) -> None:
    """Let TAB know what the parameters of a command, and of those below it, take."""
    for parameter in command.params:
        name = str(parameter.name)
        completer = _BY_NAME.get(f"{command.name} {name}") or _BY_NAME.get(name)
        completer = completer or _BY_METAVAR.get(parameter.metavar or "")
        if completer is not None and not isinstance(parameter.type, click.Choice):
            parameter.shell_complete = partial(completer, parameter)  # type: ignore[method-assign]
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        complete(below)


def _files(_parameter: click.Parameter, _context: click.Context, word: str) -> list[CompletionItem]:
    return [CompletionItem(word, type="file")]


def _directories(_parameter: click.Parameter, _context: click.Context, word: str) -> list[CompletionItem]:
    return [CompletionItem(word, type="dir")]


def _beginning(word: str, names: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(word)]


def _templates(_parameter: click.Parameter, _context: click.Context, word: str) -> list[CompletionItem]:
    return _beginning(word, TEMPLATES)


def _architectures(_parameter: click.Parameter, _context: click.Context, word: str) -> list[CompletionItem]:
    from ptcalc import arch

    return _beginning(word, arch.names())


def _policies(_parameter: click.Parameter, context: click.Context, word: str) -> list[CompletionItem]:
    """Offer the policies of the architecture on the command line, by default of x86_64."""
    huge = HUGE
    if context.params.get("arch"):
        from ptcalc import arch

        try:
            geometry = arch.get(context.params["arch"])
        except arch.UnknownArch:
            return []
        huge = tuple(f"hugetlb-{geometry.huge_page_name(size)}" for size in geometry.huge_pages)
    return _beginning(word, (*BEFORE, *huge, *AFTER))


def _varied(_parameter: click.Parameter, context: click.Context, word: str) -> list[CompletionItem]:
    """Offer the values of the workload on the command line, as the beginning of ``PATH=VALUES``."""
    from pathlib import Path

    # Where the option still lacks its value, click has not told the arguments apart.
    words = [str(context.params.get("workload") or ""), *context.args]
    name = next((each for each in words if each and Path(each).is_file()), None)
    try:
        with open(name or os.devnull, encoding="utf-8") as file:
            text = file.read(MAX_BYTES)
    except (OSError, ValueError):
        return []
    paths = dict.fromkeys(("host.arch", *_scalars(text)))
    return _beginning(word, (f"{path}=" for path in list(paths)[:MAX_PATHS]))


def _scalars(text: str) -> Iterator[str]:
    """Yield the dotted paths of single values, as far as a text is YAML, from its events and without recursion."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    steps: list[int | str | None] = []  # of each open list or mapping: an index, a key, or none yet
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.CollectionEndEvent):
                steps.pop()
            elif isinstance(event, yaml.NodeEvent):
                if steps and steps[-1] is None:
                    if not isinstance(event, yaml.ScalarEvent):
                        return  # a key that is a list or a mapping: no workload
                    steps[-1] = event.value
                    continue
                if isinstance(event, yaml.CollectionStartEvent):
                    steps.append(0 if isinstance(event, yaml.SequenceStartEvent) else None)
                    continue
                if isinstance(event, yaml.ScalarEvent) and steps[:1] not in (["version"], ["name"]):
                    yield ".".join(map(_step, steps))
            if steps:
                # A value has ended: the next key of its mapping, or the next place of its list.
                steps[-1] = steps[-1] + 1 if isinstance(steps[-1], int) else None
    except (yaml.YAMLError, ValueError, OverflowError):
        return


def _step(step: int | str | None) -> str:
    text = str(step)
    return text if text.replace("-", "").replace("_", "").isalnum() else f"'{text}'"


_BY_NAME: dict[str, Completer] = {
    "template": _templates,
    "policies": _policies,
    "policy": _policies,
    "arch": _architectures,
    "show name": _architectures,
    "axes": _varied,
    "vary": _varied,
}
_BY_METAVAR: dict[str, Completer] = {
    "WORKLOAD": _files,
    "FILE": _files,
    "FILE...": _files,
    "LOG": _files,
    "PATH=VALUES": _varied,
    "DIR": _directories,
}
