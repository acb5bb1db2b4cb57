"""What is solved for against a scan of every value, each estimated by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ptcalc
from ptcalc import estimation, risk
from ptcalc.errors import InputError
from ptcalc.result import RISK_ORDER
from ptcalc.scenarios import searching, solving
from ptcalc.scenarios.scales import MOST_MEMORY
from ptcalc.scenarios.searching import Answer, Target
from ptcalc.scenarios.solving import Solution, solve
from ptcalc.workload.loading import build
from ptcalc.workload.source import Override, Path, Positions

KIB, MIB, PAGE = 1 << 10, 1 << 20, 4096
EXAMPLES = FilePath(__file__).parents[2] / "examples"
POLICIES = ("today", "private", "hugetlb-2M", "hugetlb-1G", "thp", "file-shared", "map-shared-pt", "mshare")


def level(document: Positions, numbers: dict[Path, object], policy: str) -> str:
    """The risk level of one scenario as `load` and `estimate` give it; refused where they refuse it."""
    overrides = [Override(path, str(text), "test") for path, text in numbers.items()]
    try:
        (outcome,) = estimation.evaluate(build(document.overridden(overrides)), [policy])
    except InputError:
        return "refused"
    return estimation.result_of(outcome, risk.Config(), detailed=False).risk.level


def meets(found: str, target: Target) -> bool:
    return found in RISK_ORDER[: RISK_ORDER.index(target) + 1]


def is_last(
    answer: Answer, document: Positions, path: Path, values: Iterable[int], target: Target, step: int = 1
) -> None:
    """The last of some values that meets the target, and the next one beside it."""
    levels = {value: level(document, {path: value}, answer.policy) for value in values}
    passing = [value for value, each in levels.items() if meets(each, target)]
    assert answer.value == (passing[-1] if passing else None), answer.policy
    if answer.value is not None:
        assert answer.fails_at == answer.value + step
    assert isinstance(answer.fails_at, int)
    assert levels[answer.fails_at] == (answer.level or "refused")


def only(found: Solution) -> tuple[Answer, ...]:
    (row,) = found.rows
    return row.answers


SMALL = """
version: 1
host: {{memory: {memory}, used: 1 MiB, arch: {arch}{host}}}
segments: {{heap: {{size: {size}, backing: {backing}, thp: {thp}}}, other: {{size: 4 MiB, backing: shmem}}}}
processes:
  server:
    count: {count}
    private: {private}
    mappings: [{{segment: heap, touch: {touch}, alignment: {alignment}}}]
  helper: {{count: {helpers}, scale: {scale}, mappings: [{{segment: other}}, {{segment: heap, touch: none}}]}}
"""
PLAIN: dict[str, object] = {
    "memory": "64 MiB",
    "arch": "x86_64",
    "host": "",
    "size": "2 MiB",
    "backing": "shmem",
    "thp": "never",
    "count": 20,
    "private": "16 KiB",
    "touch": "all",
    "alignment": "2 MiB",
    "helpers": 3,
    "scale": "proportional",
}


def small(**given: object) -> ptcalc.Workload:
    return ptcalc.loads(SMALL.format(**{**PLAIN, **given}))


TOUCHES = ("all", "30%", "{amount: 50%, pattern: contiguous}", "{every: 2 MiB}", "{pages: 1, pattern: scattered}")
variations = st.fixed_dictionaries(
    {
        "memory": st.integers(20, 160).map(lambda mib: f"{mib} MiB"),
        "host": st.sampled_from(["", ", swap: 8 MiB", ", cgroup_limit: 30 MiB", ", hugepages: {2 MiB: 6}"]),
        "size": st.integers(1, 4000).map(lambda pages: pages * PAGE),
        "backing": st.sampled_from(["shmem", "file", "private"]),
        "thp": st.sampled_from(["never", "always", "within_size"]),
        "count": st.integers(1, 60),
        "private": st.sampled_from(["0 B", "16 KiB", "1 MiB"]),
        "touch": st.sampled_from(TOUCHES),
        "helpers": st.integers(1, 9),
        "scale": st.sampled_from(["proportional", "fixed"]),
    }
)
targets: st.SearchStrategy[Target] = st.sampled_from(solving.TARGETS)


@settings(deadline=None, max_examples=25)
@given(variations, targets)
def test_processes_are_those_of_estimate(given: dict[str, Any], target: Target) -> None:
    """All groups in proportion: exactly max_processes and safe_processes."""
    workload = small(**given)
    found = only(solve(workload, "processes", target=target))

    for answer, result in zip(found, ptcalc.estimate(workload).policies, strict=True):
        assert answer.policy == result.policy
        if target == "ok":
            assert (answer.value, answer.limited_by) == (result.risk.safe_processes, result.risk.safe_limited_by)
        if target == "critical":
            assert (answer.value, answer.limited_by) == (result.risk.max_processes, result.risk.limited_by)
        assert answer.level is not None and not meets(answer.level, target)
        assert isinstance(answer.fails_at, int) and answer.value is not None
        assert answer.fails_at > answer.value or not answer.value


@pytest.mark.many
@settings(deadline=None, max_examples=8)
@given(variations, targets, st.sampled_from(POLICIES))
def test_one_group_against_a_scan(given: dict[str, Any], target: Target, policy: str) -> None:
    workload = small(**given)
    (answer,) = only(solve(workload, "processes", group="server", target=target, policies=[policy]))

    end = (answer.value or 0) + 50
    assert isinstance(end, int)
    values = range(1, end) if end < 400 else range(end - 100, end)
    is_last(answer, workload.positions, ("processes", "server", "count"), values, target)


@pytest.mark.many
@settings(deadline=None, max_examples=8)
@given(variations, targets, st.sampled_from(POLICIES))
def test_memory_against_a_scan(given: dict[str, Any], target: Target, policy: str) -> None:
    """The least memory, or the least cgroup limit where there is one."""
    workload = small(**given)
    found = solve(workload, "memory", target=target, policies=[policy])
    (answer,) = only(found)

    key = "cgroup_limit" if workload.host.cgroup_limit else "memory"
    assert found.places == (f"host.{key}",)
    path, values = ("host", key), range(250 * MIB, 0, -MIB)
    if answer.value is not None and answer.value > 200 * MIB:
        values = range(int(answer.value) + 100 * MIB, int(answer.value) - 100 * MIB, -MIB)
    if answer.value is None:
        assert not any(meets(level(workload.positions, {path: value}, policy), target) for value in values[::10])
    else:
        is_last(answer, workload.positions, path, values, target, -MIB)


@pytest.mark.many
@settings(deadline=None, max_examples=4)
@given(variations, targets, st.sampled_from(POLICIES))
def test_size_against_a_scan(given: dict[str, Any], target: Target, policy: str) -> None:
    """A span of a PTE table beyond the answer: page by page around it and where spans end, else each 5th."""
    workload = small(**given)
    (answer,) = only(solve(workload, "size", segment="heap", target=target, policies=[policy]))

    last = int(answer.value or PAGE) // PAGE
    pages = range(max(1, last - 20) if last > 600 else 1, last + 530)
    some = [page for page in pages if abs(page - last) < 20 or page % 512 in (0, 1, 511) or page % 5 == 0]
    is_last(answer, workload.positions, ("segments", "heap", "size"), [n * PAGE for n in some], target, PAGE)


# What becomes cheaper where a chunk is full: a table of each of many processes goes away.
TEETH: list[tuple[dict[str, Any], str]] = [
    ({"thp": "always"}, "today"),
    ({}, "thp"),
    ({"alignment": "1 GiB"}, "map-shared-pt"),
]


@pytest.mark.many
@pytest.mark.parametrize(("given", "policy"), TEETH, ids=[policy for _, policy in TEETH])
def test_size_where_a_larger_one_needs_less(given: dict[str, Any], policy: str) -> None:
    """The answer is the last of all, though some below it fail."""
    workload = small(memory="3 GiB", scale="fixed", count=2000, private="0 B", **given)
    (answer,) = only(solve(workload, "size", segment="heap", target="critical", policies=[policy]))
    assert isinstance(answer.value, int)

    pages = (*range(-1200, -8, 12), *range(-8, 600))
    values = [answer.value + number * PAGE for number in pages]
    is_last(answer, workload.positions, ("segments", "heap", "size"), values, "critical", PAGE)
    path: Path = ("segments", "heap", "size")
    assert "oom" in [level(workload.positions, {path: value}, policy) for value in values[:100]]


@pytest.mark.parametrize("policy", ["today", "hugetlb-2M", "file-shared"])
def test_touch_against_a_scan(policy: str) -> None:
    """Every step around the answer, and the ends."""
    workload = small(touch="{amount: 10%, pattern: contiguous}", size="1 GiB", count=60, memory="1200 MiB")
    found = solve(workload, "touch", segment="heap", group="server", target="critical", policies=[policy])
    (answer,) = only(found)

    assert found.places == ("processes.server.mappings[0].touch.amount",)
    path = ("processes", "server", "mappings", 0, "touch", "amount")
    if policy != "today":
        assert (answer.value, answer.limited_by, answer.fails_at) == (1, "nothing", None)
        assert meets(level(workload.positions, {path: "100%"}, policy), "critical")
        return
    assert isinstance(answer.value, Fraction) and answer.fails_at == answer.value + Fraction(1, 100_000)
    last = int(answer.value * 100_000)
    for step in (0, *range(0, last, 5000), *range(last - 3, last + 200), 100_000):
        text = f"{step // 1000}.{step % 1000:03d}%"
        assert meets(level(workload.positions, {path: text}, policy), "critical") == (step <= last), text


def test_touch_of_all_mappings_of_a_segment() -> None:
    """Where nothing is stated, and in lists of one."""
    text = """
version: 1
host: {memory: 4 GiB, used: 0}
segments: {s: {size: 1 GiB, backing: shmem}}
processes:
  a: {count: 100, mappings: [{segment: s}]}
  b: {count: 900, mappings: [{segment: s, touch: 5%}, {segment: s, touch: [{amount: 1%, pattern: contiguous}]}]}
"""
    workload = ptcalc.loads(text)
    found = solve(workload, "touch", policies=["today"], target="critical")
    mappings = [(group, number) for group, number in (("a", 0), ("b", 0), ("b", 1))]
    ends = ["", "", "[0].amount"]
    assert found.places == tuple(
        f"processes.{group}.mappings[{number}].touch{end}" for (group, number), end in zip(mappings, ends, strict=True)
    )
    (answer,) = only(found)
    assert answer.value is not None and answer.fails_at is not None
    levels = [_touched(workload.positions, value) for value in (answer.value, answer.fails_at)]
    assert levels == ["critical", "oom"]


def _touched(document: Positions, share: int | Fraction) -> str:
    text = f"{float(share * 100):.3f}%"
    b: Path = ("processes", "b", "mappings")
    paths: list[Path] = [("processes", "a", "mappings", 0, "touch"), (*b, 0, "touch"), (*b, 1, "touch", 0, "amount")]
    return level(document, dict.fromkeys(paths, text), "today")


def test_mem_total_moves_with_memory() -> None:
    """In proportion; the loader would refuse more of it than memory."""
    workload = small(host=", mem_total: 60 MiB")
    (answer,) = only(solve(workload, "memory", policies=["today"]))

    assert isinstance(answer.value, int) and isinstance(answer.fails_at, int)
    for memory, found in ((answer.value, "ok"), (answer.fails_at, answer.level)):
        numbers: dict[Path, object] = {("host", "memory"): memory, ("host", "mem_total"): memory * 60 // 64}
        assert level(workload.positions, numbers, "today") == found


def test_a_curve_is_its_points() -> None:
    """Numbers and words varied: each row is the answer of a file in which they stand."""
    vary: dict[str, str | Sequence[str]] = {
        "segments.heap.thp": "never,always",
        "segments.heap.size": "1 MiB..9 MiB:2 MiB",
        "processes.helper.count": ["2", "7"],
    }
    for wanted, group in (("processes", None), ("processes", "server"), ("memory", None)):
        found = solve(small(), wanted, group=group, vary=vary, policies=["today", "mshare"])  # type: ignore[arg-type]

        assert [row.values for row in found.rows] == [
            (thp, size, count)
            for thp in ("never", "always")
            for size in ("1 MiB", "3 MiB", "5 MiB", "7 MiB", "9 MiB")
            for count in ("2", "7")
        ]
        for row in found.rows:
            thp, size, helpers = row.values
            alone = small(thp=thp, size=size, helpers=helpers)
            assert only(solve(alone, wanted, group=group, policies=["today", "mshare"])) == row.answers  # type: ignore[arg-type]


def test_combinations_have_answers_of_their_own_at_the_ends() -> None:
    """In one search: nothing meets the target, the loader stops it, and numbers in between."""
    found = solve(
        small(scale="fixed"),
        "processes",
        group="server",
        vary={"host.memory": "2 MiB,32 MiB,64 MiB,4 TiB", "processes.helper.count": "3,4194000"},
        policies=["hugetlb-2M"],
    )
    answers = {row.values: row.answers[0] for row in found.rows}
    assert answers["2 MiB", "3"].value is None
    assert (answers["2 MiB", "3"].fails_at, answers["2 MiB", "3"].level) == (1, "oom")
    assert answers["4 TiB", "3"].value == 4_194_301
    assert answers["4 TiB", "3"].limited_by == "pid_max"
    assert answers["4 TiB", "3"].why == "more than pid_max, 4,194,304 processes"
    assert answers["4 TiB", "4194000"].value == 304
    values = [answers[memory, "3"].value for memory in ("32 MiB", "64 MiB")]
    assert values[0] < values[1]  # type: ignore[operator]


def test_pid_max_of_the_config_binds() -> None:
    config = risk.Config(pid_max=50)
    for group, value in (("server", 47), (None, 50)):
        workload = small(memory="4 GiB", scale="fixed")
        (answer,) = only(solve(workload, "processes", group=group, config=config, policies=["today"]))

        assert (answer.value, answer.limited_by, answer.fails_at, answer.level) == (value, "pid_max", value + 1, None)
        assert answer.why == "more than pid_max, 50 processes"


def test_groups_that_all_stay() -> None:
    workload = ptcalc.loads(
        SMALL.format(**{**PLAIN, "scale": "fixed"}).replace("count: 20", "count: 20\n    scale: fixed")
    )
    (answer,) = only(solve(workload, "processes", policies=["today"]))

    assert (answer.value, answer.limited_by, answer.fails_at) == (23, "fixed", None)


def test_the_address_space_ends_a_size() -> None:
    """File pages cost no memory that cannot be given back, and untouched ones no tables."""
    workload = small(backing="file", touch="none")
    (answer,) = only(solve(workload, "size", segment="heap", policies=["today"]))

    assert isinstance(answer.value, int) and isinstance(answer.fails_at, int)
    path = ("segments", "heap", "size")
    assert answer.limited_by == "refused"
    assert level(workload.positions, {path: answer.value}, "today") == "ok"
    assert level(workload.positions, {path: answer.fails_at}, "today") == "refused"
    assert "address space" in answer.why


def test_what_the_loader_refuses_below_is_no_answer() -> None:
    """A length that is stated is the least size; that fails already."""
    text = SMALL.format(**{**PLAIN, "size": "64 MiB"}).replace("touch: all,", "touch: all, length: 48 MiB,")
    (answer,) = only(solve(ptcalc.loads(text), "size", segment="heap", policies=["today"]))

    assert (answer.value, answer.fails_at, answer.level) == (None, 48 * MIB, "critical")


def test_a_pool_that_fails_binds() -> None:
    """A segment that gets no huge pages does not start, however much memory is free."""
    text = """
version: 1
host: {memory: 4 GiB, used: 0, hugepages: {2 MiB: 100}}
segments: {s: {size: 20 MiB, backing: hugetlb}}
processes: {p: {count: 2, mappings: [{segment: s}]}}
"""
    (answer,) = only(solve(ptcalc.loads(text), "size", policies=["today"]))

    assert (answer.value, answer.fails_at) == (200 * MIB, 202 * MIB)
    assert (answer.limited_by, answer.level) == ("pool", "oom")


def test_the_host_can_make_every_limit_useless() -> None:
    """A cgroup limit is solved for, and the host is what lacks memory."""
    workload = small(memory="20 MiB", host=", cgroup_limit: 10 MiB", size="30 MiB")
    (answer,) = only(solve(workload, "memory", policies=["today"]))

    assert (answer.value, answer.limited_by, answer.fails_at) == (None, "memory", MOST_MEMORY)


@pytest.mark.parametrize("trials", [1, 2, 5])
def test_the_number_of_trials_changes_nothing(trials: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def both() -> tuple[Solution, Solution]:
        policies = ["today", "thp"]
        return solve(small(), "size", segment="heap", policies=policies), solve(small(), "memory", policies=policies)

    expected = both()
    monkeypatch.setattr(searching, "TRIALS", trials)
    assert both() == expected


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"wanted": "time"}, "'time' cannot be solved for"),
    ({"wanted": "size"}, "there are several segments: say which"),
    ({"wanted": "size", "segment": "haep"}, "'haep' is no segment"),
    ({"wanted": "processes", "group": "sever"}, "'sever' is no group of processes"),
    ({"wanted": "touch", "segment": "other", "group": "server"}, "'server' does not map 'other'"),
    ({"wanted": "memory", "group": "server"}, "a group has no memory of its own"),
    ({"wanted": "processes", "segment": "heap"}, "a segment has no processes of its own"),
    ({"wanted": "memory", "policies": ["todai"]}, "'todai' is no policy"),
    ({"wanted": "memory", "vary": {"host.memory": "1 GiB,2 GiB"}}, "host.memory is what is solved for"),
    ({"wanted": "size", "segment": "heap", "vary": {"segments.heap.size": "1 MiB"}}, "is what is solved for"),
    ({"wanted": "memory", "vary": {"segments.heap.size": "1", "segments.'heap'.size": "2"}}, "is varied already"),
    ({"wanted": "memory", "vary": {"host.swap": []}}, "no value"),
    ({"wanted": "memory", "vary": {"host.swap": "5..1:1"}}, "runs downwards"),
    ({"wanted": "memory", "vary": {"host.swap": "1 parsec"}}, "'parsec' is no unit"),
    ({"wanted": "memory", "vary": {"processes.nobody.count": "1"}}, "there is no 'nobody'"),
    (
        {"wanted": "memory", "vary": {"processes.server.count": "1..99:1", "host.swap": "1..999:1"}},
        "98,901 combinations",
    ),
    ({"wanted": "processes", "vary": {"processes.server.count": "1,4194304"}}, "processes"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        solve(small(), **given)


@pytest.mark.parametrize("touch", ["{every: 2 MiB}", "[1%, 2%]", "{pages: 5, pattern: scattered}"])
def test_touches_that_are_no_amount(touch: str) -> None:
    with pytest.raises(InputError, match="not how much of the mapping") as caught:
        solve(small(touch=touch), "touch", segment="heap")
    assert caught.value.line == 9


@pytest.mark.parametrize("name", ["oracle-sga-1500", "container-cgroup", "mixed-sga-reporting"])
def test_examples(name: str) -> None:
    """The estimate of each, in one line of the answer."""
    workload = ptcalc.load(EXAMPLES / f"{name}.yaml")
    found = only(solve(workload, "processes", target="critical"))

    assert [answer.value for answer in found] == [
        result.risk.max_processes for result in ptcalc.estimate(workload).policies
    ]
    assert np.all([answer.fails_at is not None for answer in found])
