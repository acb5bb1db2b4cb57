"""What is judged: files and folders, policies, levels; what fails, and what stays the same from run to run."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from ptcalc import CheckResult, InputError, check, loads, sample
from tests.checking.conftest import WORKLOAD, Judge

ROOT = Path(__file__).parents[2]
SMALL = WORKLOAD.replace("64 GiB", "32 GiB")


@pytest.mark.parametrize(
    ("memory", "risk", "fails"),
    [
        ("64 GiB", "ok", set()),
        ("46 GiB", "warning", {"warning"}),
        ("44 GiB", "critical", {"warning", "critical"}),
        ("32 GiB", "oom", {"warning", "critical", "oom"}),
    ],
)
@pytest.mark.parametrize("fail_on", ["warning", "critical", "oom"])
def test_threshold(judge: Judge, memory: str, risk: str, fails: set[str], fail_on: str) -> None:
    """A risk below the threshold is said as well, but fails nothing."""
    result = judge("", {"a.yaml": WORKLOAD.replace("64 GiB", memory)}, paths=["a.yaml"], fail_on=fail_on)
    said = [problem for problem in result.problems if problem.rule == "risk"]

    assert result.files[0].risk == risk
    assert result.passed == (fail_on not in fails)
    assert [problem.level for problem in said] == ([] if risk == "ok" else ["error" if fail_on in fails else "warning"])


def test_the_worst_file_decides(judge: Judge) -> None:
    """Each is judged, also after one that is broken; they come in the order in which they were named."""
    files = {"b.yaml": SMALL, "broken.yaml": "version: 1\nprocesses: {\n", "c.yaml": WORKLOAD}
    result = judge("", files, paths=["broken.yaml", "b.yaml", "c.yaml"])

    assert [file.file for file in result.files] == ["broken.yaml", "b.yaml", "c.yaml"]
    assert [file.passed for file in result.files] == [False, False, True]
    assert not result.passed


def test_every_error_of_a_broken_file_is_a_problem(judge: Judge) -> None:
    text = WORKLOAD.replace("24 GiB", "24 GX").replace("count: 200", "cuont: 200")
    problems = judge("", {"a.yaml": text}, paths=["a.yaml"]).problems

    assert [(each.line, each.rule, each.fails) for each in problems] == [
        (5, "invalid-workload", True),
        (8, "invalid-workload", True),
    ]
    assert len({each.fingerprint for each in problems}) == 2


def test_folders_are_searched(judge: Judge) -> None:
    """Workloads at any depth, sorted, broken ones too; no other YAML, no hidden files, nothing twice."""
    files = {
        "d/z.yaml": WORKLOAD, "d/a/b/c.yml": WORKLOAD, "d/broken.yaml": "segments: {\n", "d/.git/x.yaml": WORKLOAD,
        "d/.hidden.yaml": WORKLOAD, "d/ci.yaml": "jobs: {}\n", "d/notes.txt": WORKLOAD, "d/compose.yaml": "services:\n",
    }  # fmt: skip
    result = judge("", files, paths=["d/z.yaml", "./d", "d"])

    assert [file.file for file in result.files] == ["d/z.yaml", "d/a/b/c.yml", "d/broken.yaml"]


def test_a_folder_without_a_workload(judge: Judge) -> None:
    with pytest.raises(InputError, match="no workload in this folder"):
        judge("", {"d/ci.yaml": "jobs: {}\n"}, paths=["d"])


@pytest.mark.parametrize(
    ("policies", "said"),
    [(["tody"], "'tody' is no policy"), (["today", "mshare"], "'mshare' is in no mainline kernel (state: patches)")],
)
def test_policies_that_are_not_judged(judge: Judge, policies: list[str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        judge("", policies=policies)

    assert said in str(caught.value)


def test_hypothetical_policies_are_judged_on_demand(judge: Judge) -> None:
    result = judge("", policies=["mshare", "mshare"], hypothetical=True)

    assert result.policies == ("mshare",)
    assert [each.policy for each in result.files[0].estimate.policies] == ["mshare"]  # type: ignore[union-attr]


def test_a_policy_that_an_architecture_lacks(judge: Judge) -> None:
    """It is an error of that file alone, and points at its architecture."""
    arm = WORKLOAD.replace("used: 4 GiB", "used: 4 GiB, arch: arm64-64k")
    lacks, has = judge("", {"arm.yaml": arm}, paths=["arm.yaml", "w.yaml"], policies=["hugetlb-1G"]).files

    assert [(each.rule, each.line, each.column) for each in lacks.problems] == [("invalid-workload", 3, 43)]
    assert "hugetlb-512M" in lacks.problems[0].remedy
    assert has.passed


def test_only_what_is_judged_is_evaluated(judge: Judge) -> None:
    assert [each.policy for each in judge("").files[0].estimate.policies] == ["today"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("used: 4 GiB", "used: 40 GiB"), 3),  # the rest of the machine
        (("private: 20 MiB", "private: 300 MiB"), 9),
        (("count: 200", "count: 2000"), 8),  # page tables
        (("24 GiB, backing: shmem", "62 GiB, backing: hugetlb"), 5),
    ],
)
def test_the_risk_points_at_what_most_of_the_demand_is(judge: Judge, change: tuple[str, str], line: int) -> None:
    result = judge("", {"a.yaml": WORKLOAD.replace(*change)}, paths=["a.yaml"])
    (risk,) = [problem for problem in result.problems if problem.rule == "risk"]

    assert risk.line == line
    assert risk.level == "error"


def prints(result: CheckResult) -> dict[tuple[str, str], str]:
    return {(each.rule, each.message.partition("(")[0]): each.fingerprint for each in result.problems}


def test_fingerprints_survive_unrelated_edits(judge: Judge) -> None:
    """Lines, comments, sections, figures, other mappings: nothing but rule, policy, file and place makes them."""
    budgets = "budgets:\n  - {rule: page_tables, at_most: 1 GiB}\n  - {rule: page_tables, at_most: 2 GiB}\n"
    before = judge(budgets)
    edited = (
        "# a comment\n\n"
        + WORKLOAD.replace("count: 200", "count: 210")
        .replace("segments:", "segments:\n  other: {size: 4 MiB, backing: file}")
        .replace("mappings:", "mappings:\n      - segment: other")
        + budgets.replace("2 GiB", "3 GiB")
    )
    Path("w.yaml").write_text(edited)
    after = check([Path.cwd() / "w.yaml"])

    fingerprints = [each.fingerprint for each in before.problems]
    assert sorted(fingerprints) == sorted(each.fingerprint for each in after.problems)
    assert len(set(fingerprints)) == len(fingerprints) == 3
    assert all(len(each) == 32 and int(each, 16) for each in fingerprints)


def test_fingerprints_tell_files_and_policies_apart(judge: Judge) -> None:
    result = judge("", {"a.yaml": SMALL, "b.yaml": SMALL}, paths=["a.yaml", "b.yaml"], policies=["today", "private"])
    risks = [problem.fingerprint for problem in result.problems if problem.rule == "risk"]

    assert len(set(risks)) == len(risks) == 4


def test_a_mapping_keeps_its_fingerprint_when_another_comes_before_it(judge: Judge) -> None:
    mappings = "      - segment: cache\n"
    text = WORKLOAD.replace("64 GiB", "42 GiB")
    more = text.replace(mappings, f"      - {{segment: cache, touch: none}}\n{mappings}")

    def limit(text: str) -> list[tuple[tuple[str | int, ...], str]]:
        problems = judge("", {"a.yaml": text}, paths=["a.yaml"]).problems
        return [(each.path, each.fingerprint) for each in problems if each.rule == "touch-limit"]

    (before,), (after,) = limit(text), limit(more)
    assert (before[0][-1], after[0][-1]) == (0, 1)
    assert before[1] == after[1]


def test_files_with_distributions_are_judged_by_samples(judge: Judge) -> None:
    """The risk is what more than the allowed samples reach, at the number that drives it; the rest are medians."""
    text = WORKLOAD.replace("count: 200", "count: {triangular: [100, 200, 300]}").replace("64 GiB", "46 GiB")
    text += "budgets: [{rule: risk, at_most: warning}]\n"
    odds = sample(loads(text), policies=["today"]).policy("today")
    for share in (Fraction(0), Fraction(5, 100), Fraction(1, 2)):
        result = judge("", {"a.yaml": text}, paths=["a.yaml"], fail_probability=share)
        [file] = result.files
        rules = {problem.rule: problem for problem in file.problems}

        assert file.risk == odds.worst(share)
        assert rules["risk"].fails == (file.risk == "oom")
        assert str(odds.at_least(odds.worst(share))) in rules["risk"].message
        assert ("budget-risk" in rules) == (file.risk in ("critical", "oom"))
        assert (rules["risk"].line, rules["medians-judged"].line) == (8, 8)
        assert rules["medians-judged"].level == "note"
    assert odds.worst(Fraction(0)) != odds.worst(Fraction(1, 2))


def test_a_draw_that_cannot_be_makes_a_broken_file(judge: Judge) -> None:
    text = WORKLOAD.replace("size: 24 GiB", "size: {uniform: [1 GiB, 24 GiB]}")
    text = text.replace("- segment: cache", "- {segment: cache, length: 2 GiB}")
    result = judge("", {"a.yaml": text}, paths=["a.yaml"])

    assert [problem.rule for problem in result.problems] == ["invalid-workload"]


def test_the_worst_comes_first(judge: Judge) -> None:
    order = {"error": 0, "warning": 1, "note": 2}
    result = check(ROOT / "examples")

    for file in result.files:
        levels = [(not each.fails, order[each.level]) for each in file.problems]
        assert levels == sorted(levels)
    assert {rule.id for rule in result.rules} == {problem.rule for problem in result.problems}
