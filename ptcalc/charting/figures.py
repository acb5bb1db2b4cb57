"""The charts of an estimate, from its figures and, for what it does not hold, from the policies' outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ptcalc.charts import Axis, Chart, Mark, Series, Tone
from ptcalc.result import RISK_ORDER, Estimate, LedgerItem, Memory, PolicyResult
from ptcalc.risk.amounts import about

# Kinds of the ledger's lines in the order in which charts stack them, and what they are called together.
KINDS: tuple[tuple[Tone, str], ...] = (
    ("segment", "segments"),
    ("pool", "huge pages"),
    ("used", "everything else"),
    ("index", "page-cache index"),
    ("host_mm", "mshare host mm"),
    ("kernel", "kernel stacks and slab"),
    ("base", "base tables"),
    ("private", "private memory"),
    ("second_level", "second-level tables"),
    ("page_tables", "page tables"),
)
LEVELS: tuple[tuple[str, Tone], ...] = (("ok", "ok"), ("warning", "warning"), ("critical", "critical"), ("OOM", "oom"))
STEPS, CELLS = 40, 12


def policies_chart(estimate: Estimate) -> Chart:
    """Return the demand of every policy side by side, what it consists of, and what there is."""
    results = estimate.policies
    capacities = dict.fromkeys((result.memory.boundary, result.memory.capacity_bytes) for result in results)
    return Chart(
        name="policies",
        title="Demand under each policy",
        alt=". ".join(
            f"Of {about(size)} {_usable(boundary)}: "
            + ", ".join(
                f"{result.policy} {about(result.memory.demand_bytes)}"
                for result in results
                if (result.memory.boundary, result.memory.capacity_bytes) == (boundary, size)
            )
            for boundary, size in capacities
        )
        + ".",
        kind="bars",
        x=Axis("policy", "name", tuple(_labelled(result) for result in results)),
        y=Axis("demand", "bytes"),
        series=_by_kind([result.memory.items for result in results]),
        marks=tuple(Mark("y", size, _usable(boundary), "capacity") for boundary, size in capacities),
        note=_HYPOTHETICAL if any(not result.availability.deployable for result in results) else "",
    )


_HYPOTHETICAL = "* No mainline kernel has this policy: what would be."


def tables_chart(estimate: Estimate) -> Chart:
    """Return the memory that page tables take under every policy, on a logarithmic axis."""
    results = estimate.policies
    return Chart(
        name="tables",
        title="Page tables under each policy",
        alt="; ".join(
            f"{result.policy} {about(result.page_tables.used_bytes)}" for result in results
        ) + ".",
        kind="bars",
        x=Axis("policy", "name", tuple(_labelled(result) for result in results)),
        y=Axis("memory taken", "bytes", log=True),
        series=(Series("page tables", "page_tables", tuple(result.page_tables.used_bytes for result in results)),),
        note="The axis is logarithmic: each step is 1,024 times the one before.",
    )  # fmt: skip


def demand_chart(
    estimate: Estimate, result: PolicyResult, counts: Sequence[int], grows: Sequence[bool],
    memory: Callable[[Sequence[int]], Memory],
) -> Chart | None:  # fmt: skip
    """Return the demand of one policy over the number of processes; None where no group of processes grows.

    ``memory`` is its ledger for any counts; ``counts`` are those of the file.
    """
    top = top_count(counts, grows)
    if not top:
        return None
    most = steps_most(top, sum(counts), result.risk.max_processes)
    ledgers = [memory(grown(counts, grows, most * step // STEPS)) for step in range(STEPS + 1)]
    totals = tuple(sum(grown(counts, grows, most * step // STEPS)) for step in range(STEPS + 1))
    here = memory(counts)
    marks = [Mark("y", here.capacity_bytes, _usable(here.boundary), "capacity")]
    marks += [Mark("x", sum(counts), "as described", "muted")]
    ends = [each for each in estimate.policies if each.risk.limited_by in ("memory", "cgroup")]
    for most_here in sorted({each.risk.max_processes for each in ends}):
        those = [each for each in ends if each.risk.max_processes == most_here]
        tone: Tone = "oom" if any(each.availability.deployable for each in those) else "muted"
        names = ", ".join(_labelled(each) for each in those)
        marks.append(Mark("x", most_here, f"{names}: OOM after {most_here:,}", tone))
    return Chart(
        name="demand",
        title=f"Demand over the number of processes ({result.policy})",
        alt=f"At {sum(counts):,} processes the demand is {about(here.demand_bytes)} of"
        f" {about(here.capacity_bytes)} {_usable(here.boundary)}. "
        + ("; ".join(f"{each.policy}: out of memory after {each.risk.max_processes:,}" for each in ends) or "No limit")
        + ".",
        kind="stack",
        x=Axis("processes", "count", totals),
        y=Axis("demand", "bytes"),
        series=_by_kind([ledger.items for ledger in ledgers]),
        marks=tuple(marks),
        note="Lines mark after how many processes memory runs out under each policy; the numbers have those beyond.",
    )


def risk_chart(
    segment: str, policy: str, sizes: Sequence[int], totals: Sequence[int], levels: Sequence[Sequence[str]]
) -> Chart:
    """Return the level of risk for each size of a segment and number of processes: ``levels[count][size]``."""
    worst = [sum(level == "oom" for level in row) for row in levels]
    return Chart(
        name="risk",
        title=f"Risk over the size of {segment} and the number of processes ({policy})",
        alt=f"Of {len(sizes) * len(totals)} combinations, {sum(worst)} run out of memory and"
        f" {sum(level == 'ok' for row in levels for level in row)} are ok.",
        kind="heat",
        x=Axis(f"size of {segment}", "bytes", tuple(sizes)),
        y=Axis("processes", "count"),
        series=tuple(
            Series(f"{total:,}", "muted", tuple(RISK_ORDER.index(level) for level in row))
            for total, row in zip(totals, levels, strict=True)
        ),
        classes=LEVELS,
    )


def top_count(counts: Sequence[int], grows: Sequence[bool]) -> int:
    """Return the count of the largest group that grows; 0 if none does."""
    return max((count for count, grow in zip(counts, grows, strict=True) if grow), default=0)


def grown(counts: Sequence[int], grows: Sequence[bool], step: int) -> list[int]:
    """Return the counts where the largest group that grows has `step` processes, and the others in proportion."""
    top = top_count(counts, grows)
    return [count * step // top if grow else count for count, grow in zip(counts, grows, strict=True)]


def steps_most(top: int, total: int, most: int) -> int:
    """Return the count of the largest growing group at which charts end: beyond the written one and its limit."""
    reach = most * top // total if total else top
    return min(max(-(-reach * 23 // 20), -(-top * 3 // 2), 4), 4 * top + 4)


def picked(sizes: Sequence[int], written: int) -> list[int]:
    """Return a few of many sizes for the heat map, evenly, the one that is written among them."""
    if len(sizes) <= CELLS:
        return list(sizes)
    places = {(len(sizes) - 1) * number // (CELLS - 1) for number in range(CELLS)}
    here = list(sizes).index(written)
    places.discard(min(places - {0, len(sizes) - 1}, key=lambda place: (abs(place - here), place)))
    return [sizes[place] for place in sorted(places | {here})]


def _labelled(result: PolicyResult) -> str:
    return result.policy if result.availability.deployable else f"{result.policy} *"


def _usable(boundary: str) -> str:
    return "usable" if boundary == "host" else "cgroup limit"


def _by_kind(ledgers: Sequence[Sequence[LedgerItem]]) -> tuple[Series, ...]:
    return tuple(_kinds(ledgers))


def _kinds(ledgers: Sequence[Sequence[LedgerItem]]) -> Iterator[Series]:
    for kind, name in KINDS:
        values = tuple(sum(item.bytes for item in items if item.kind == kind) for items in ledgers)
        if any(values):
            yield Series(name, kind, values)


__all__ = ["CELLS", "KINDS", "LEVELS", "STEPS", "demand_chart", "grown", "picked", "policies_chart", "risk_chart"]
