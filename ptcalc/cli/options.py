"""Options that several commands have, and the checks that need the workload."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ptcalc.errors import InputError, nearest, printable, quote

if TYPE_CHECKING:
    from fractions import Fraction

    from ptcalc.cli.main import Settings
    from ptcalc.estimation import Asked

Command = TypeVar("Command", bound=Callable[..., Any])


def _debug(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:
    settings: Settings | None = ctx.find_root().obj
    if asked and settings is not None:
        settings.debug = True


def examples(*commands: str) -> str:
    """Return an epilog that shows `commands`, each on a line of its own that click does not wrap."""
    return "\n".join(("\b", "Example:" if len(commands) == 1 else "Examples:", *(f"  {each}" for each in commands)))


def format_option(*forms: str) -> Callable[[Command], Command]:
    """Return a decorator that adds ``--format`` with these forms, the first of which is the default."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(forms),
        default=forms[0],
        show_default=True,
        help="For people, or for programs.",
    )


def debug_option(command: Command) -> Command:
    """Add ``--debug``."""
    return click.option(
        "--debug",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_debug,
        help="Show the details of a defect of ptcalc.",
    )(command)


def arch_option(command: Command) -> Command:
    """Add ``--arch``, for a workload on another machine than its file says."""
    return click.option("--arch", metavar="NAME", help="In place of the file's host.arch; see ptcalc arch list.")(
        command
    )


def _probability(_ctx: click.Context, _option: click.Parameter, text: str | None) -> Fraction | None:
    if text is None:
        return None
    from ptcalc.workload.sizes import parse_share

    with named("--fail-probability"):
        return parse_share(text, accepted="a share of the samples, such as 5% or 0.1%")


def fail_probability_option(command: Command) -> Command:
    """Add ``--fail-probability``, what ``--fail-on`` allows of the samples of a file with distributions."""
    return click.option(
        "--fail-probability",
        metavar="SHARE",
        callback=_probability,
        help="Of a file with distributions: let --fail-on fail if more of the samples than this are at its level or"
        " beyond; 0% for any.  [default: 5%]",
    )(command)


def workload_options(*forms: str) -> Callable[[Command], Command]:
    """Return a decorator that adds WORKLOAD and the options of every command that evaluates one.

    Without ``forms`` there is no ``--format``.
    """

    def decorate(command: Command) -> Command:
        options: tuple[Callable[[Command], Command], ...] = (
            click.argument("workload", metavar="WORKLOAD"),
            *([format_option(*forms)] if forms else []),
            click.option(
                "--policy",
                "policies",
                metavar="NAME",
                multiple=True,
                help="Only this policy; may be repeated.",
            ),
            click.option(
                "--choice",
                "choices",
                metavar="POLICY.NAME=VALUE",
                multiple=True,
                help="Settle an open choice of a policy; may be repeated.",
            ),
            click.option("--strict", is_flag=True, help="Refuse to guess a default that matters."),
            click.option("--config", metavar="FILE", help="Thresholds and constants, see configs/default.yaml."),
            debug_option,
        )
        for add in reversed(options):
            command = add(command)
        return command

    return decorate


def question(
    workload: str,
    *,
    policies: Sequence[str],
    choices: Sequence[str],
    strict: bool,
    config: str | None,
    arch: str | None,
) -> Asked:
    """Load `workload` and return what the options ask of it.

    Raises click.BadParameter for a policy or choice that does not exist, and what `ptcalc.load` and the loader of the
    config raise.
    """
    answers = read_answers(choices)
    import ptcalc
    from ptcalc import risk
    from ptcalc.estimation import Asked
    from ptcalc.policies import policies_of
    from ptcalc.workload.source import Override

    settings = None if config is None else risk.load_config(config)
    loaded = ptcalc.load(
        workload,
        strict=strict,
        geometries=settings.geometries if settings else None,
        overrides=() if arch is None else [Override(("host", "arch"), arch, f"--arch {arch}")],
    )
    known = {policy.name: policy for policy in policies_of(loaded.geometry)}
    for name in policies:
        require(name, known, "policy", "--policy")
    for key, value in answers.items():
        policy, _, name = key.partition(".")
        require(policy, policies or known, "evaluated policy" if policies else "policy", "--choice")
        open_choices = {choice.name: choice for choice in known[policy].choices}
        require(name, open_choices, f"choice of {policy}", "--choice")
        if open_choices[name].accepted:
            require(value, open_choices[name].accepted, f"value of {key}", "--choice")
    return Asked(loaded, policies, settings, answers)


def require(name: str, known: Collection[str], what: str, option: str) -> None:
    """Raise click.BadParameter, with the nearest of the known names, unless ``name`` is one of them."""
    if name not in known:
        accepted = f"accepted: {', '.join(known)}" if known else "there is none"
        guess = nearest(name, known)
        typo = f"did you mean {quote(guess)}? " if guess else ""
        raise click.BadParameter(f"{quote(name)} is no {what}; {typo}{accepted}", param_hint=option)


@contextmanager
def named(option: str) -> Iterator[None]:
    """Say which option a refused value belongs to."""
    try:
        yield
    except InputError as error:
        guess = f"; did you mean {error.suggestion}?" if error.suggestion else ""
        raise click.BadParameter(f"{error.message}{guess}; accepted: {error.accepted}", param_hint=option) from None


def read_answers(choices: Sequence[str], evaluated: Sequence[str] = ()) -> dict[str, str]:
    """Return ``POLICY.NAME=VALUE`` texts as ``POLICY.NAME`` -> value.

    Raises click.BadParameter for other texts, and for policies that are not among the ``evaluated`` ones, if any are.
    """
    answers: dict[str, str] = {}
    for choice in choices:
        key, _, value = choice.partition("=")
        if not (value and all(key.partition("."))):
            raise click.BadParameter(
                f"'{printable(choice)}' is not of the form POLICY.NAME=VALUE", param_hint="--choice"
            )
        if answers.setdefault(key, value) != value:
            raise click.BadParameter(f"{printable(key)} is given two values", param_hint="--choice")
        if evaluated:
            require(key.partition(".")[0], evaluated, "evaluated policy", "--choice")
    return answers


def read_axes(axes: tuple[str, ...]) -> dict[str, str]:
    """Return ``PATH=VALUES`` texts as path -> values; a name that holds ``=`` stands in single quotes."""
    vary: dict[str, str] = {}
    for axis in axes:
        parts = re.fullmatch(r"((?:'[^']*'|[^=])+)=(.*)", axis, re.DOTALL)
        if parts is None:
            raise click.BadParameter(f"'{printable(axis)}' is not of the form PATH=VALUES", param_hint="--vary")
        path, values = parts.groups()
        if path in vary:
            raise click.BadParameter(f"{printable(path)} is given twice", param_hint="--vary")
        vary[path] = values
    return vary
