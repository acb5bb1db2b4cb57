"""``ptcalc estimate``: what page tables cost under every policy, and whether the machine still fits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from ptcalc.cli.exports import export_options, read_exports, report
from ptcalc.cli.options import arch_option, examples, fail_probability_option, question, workload_options
from ptcalc.cli.progress import bar
from ptcalc.errors import CheckFailed
from ptcalc.report.formats import ESTIMATE, UNCERTAIN

if TYPE_CHECKING:
    from fractions import Fraction

    from ptcalc.estimation import Asked
    from ptcalc.result import Estimate, PolicyResult, RiskLevel
    from ptcalc.scenarios.uncertainty import PolicyOdds, Sampled


# Those of ptcalc.scenarios.uncertainty, which is not loaded for a help text.
MAX_SAMPLES, MAX_SEED = 1_000_000, (1 << 63) - 1


@click.command(
    "estimate",
    epilog=examples(
        "ptcalc estimate examples/oracle-sga-1500.yaml",
        "ptcalc estimate examples/oracle-sga-1500.yaml --policy today --policy hugetlb-2M --format json",
        "ptcalc estimate examples/oracle-sga-1500.yaml --policy hugetlb-2M --fail-on warning",
        "ptcalc estimate examples/oracle-sga-uncertain.yaml --samples 2000",
        "ptcalc estimate examples/oracle-sga-1500.yaml --format markdown --export json=/dev/null",
        "ptcalc estimate examples/oracle-sga-uncertain.yaml --policy hugetlb-2M --fail-on oom --fail-probability 1%",
    ),
)
@workload_options(*ESTIMATE)
@arch_option
@click.option(
    "--samples",
    type=click.IntRange(1, MAX_SAMPLES),
    help="How often a file with distributions is drawn.  [default: 10000]",
)
@click.option(
    "--seed", type=click.IntRange(0, MAX_SEED), help="Which draws: the same seed, the same ones.  [default: 1]"
)
@click.option(
    "--jobs", metavar="N", type=click.IntRange(min=1), help="Processes that evaluate draws; by default all cores."
)
@export_options
@click.option(
    "--fail-on",
    type=click.Choice(["warning", "critical", "oom"]),
    help="Exit with 1 if the risk of today, or of a chosen policy that can be deployed, is this or worse.",
)
@fail_probability_option
def command(
    workload: str,
    form: str,
    policies: tuple[str, ...],
    choices: tuple[str, ...],
    strict: bool,
    config: str | None,
    arch: str | None,
    samples: int | None,
    seed: int | None,
    jobs: int | None,
    exports: tuple[str, ...],
    force: bool,
    fail_on: RiskLevel | None,
    fail_probability: Fraction | None,
) -> None:
    """Say what page tables cost under every policy, and whether the machine still fits.

    WORKLOAD is a YAML file, or - for standard input.  Where it has distributions in place of numbers, it is drawn
    many times, and the report says how likely each risk is.
    """
    if fail_probability is not None and fail_on is None:
        raise click.UsageError("--fail-probability: --fail-on says from which risk level on")
    to_write = read_exports(exports, ESTIMATE, force=force)
    asked = question(workload, policies=policies, choices=choices, strict=strict, config=config, arch=arch)
    if asked.workload.positions.uncertain:
        _require_sampled([("--format", form), *(("--export", each) for each, _ in to_write)])
        sampled = _sample(asked, samples, seed, jobs, strict=strict)
        if fail_on is not None:
            _require_judged(sampled, policies)
        report(UNCERTAIN, form, sampled, to_write, force=force)
        if fail_on is not None:
            _check_samples(sampled, policies, fail_on, fail_probability)
        return
    of_samples = {"--samples": samples, "--seed": seed, "--jobs": jobs, "--fail-probability": fail_probability}
    for name, value in of_samples.items():
        if value is not None:
            raise click.BadParameter(
                "no number of this file is a distribution, so that nothing is drawn", param_hint=name
            )
    estimate = asked.estimate()
    if fail_on is not None:
        # Before anything is printed: a check that can judge nothing is wrong usage.
        _require_judged(estimate, policies)
    report(ESTIMATE, form, estimate, to_write, force=force)
    if fail_on is not None:
        _check(estimate, policies, fail_on)


def _require_sampled(options: Iterable[tuple[str, str]]) -> None:
    """Refuse formats that a sampled file is not reported in."""
    for option, form in options:
        if form not in UNCERTAIN:
            accepted = " or ".join(UNCERTAIN)
            raise click.BadParameter(
                f"{form}: this file has distributions, and its samples are reported as {accepted}", param_hint=option
            )


def _sample(asked: Asked, samples: int | None, seed: int | None, jobs: int | None, *, strict: bool) -> Sampled:
    from ptcalc.scenarios.running import ALONE, cores, processes
    from ptcalc.scenarios.uncertainty import SAMPLES, SEED, sample

    many = SAMPLES if samples is None else samples
    workers = jobs or (cores() if many > ALONE else 1)
    with processes(workers) as executor, bar("samples", per_second=True) as told:
        return sample(
            asked.workload,
            samples=many,
            seed=SEED if seed is None else seed,
            policies=asked.policies or None,
            config=asked.config,
            choices=asked.choices,
            strict=strict,
            executor=executor,
            workers=workers,
            progress=told,
        )


Answered = TypeVar("Answered", bound="PolicyResult | PolicyOdds")


def _judged(answers: Iterable[Answered], policies: Sequence[str]) -> list[Answered]:
    """Return the answers that --fail-on is about: of what can be deployed, and was chosen."""
    chosen = policies or ("today",)
    return [each for each in answers if each.policy in chosen and each.availability.deployable]


def _require_judged(result: Estimate | Sampled, policies: Sequence[str]) -> None:
    if not _judged(result.policies, policies):
        raise click.BadParameter(
            f"it judges policies that a mainline kernel has; {', '.join(policies)} cannot be deployed",
            param_hint="--fail-on",
        )


def _check(estimate: Estimate, policies: Sequence[str], fail_on: RiskLevel) -> None:
    from ptcalc.result import RISK_ORDER

    failed = [
        f"{result.policy} is {result.risk.level}"
        for result in _judged(estimate.policies, policies)
        if RISK_ORDER.index(result.risk.level) >= RISK_ORDER.index(fail_on)
    ]
    if failed:
        raise CheckFailed(f"the risk is at or above --fail-on {fail_on}: {', '.join(failed)}")


def _check_samples(sampled: Sampled, policies: Sequence[str], fail_on: RiskLevel, share: Fraction | None) -> None:
    from ptcalc.risk.amounts import percent
    from ptcalc.scenarios.uncertainty import FAIL_PROBABILITY

    allowed = FAIL_PROBABILITY if share is None else share
    failed = [
        f"{odds.policy} in {odds.at_least(fail_on)}"
        for odds in _judged(sampled.policies, policies)
        if odds.exceeds(allowed, fail_on)
    ]
    if failed:
        limit = f"--fail-on {fail_on} more often than allowed ({percent(allowed)})"
        raise CheckFailed(f"the risk is at or above {limit}: {', '.join(failed)}")
