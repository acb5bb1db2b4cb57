"""Two workloads side by side: what differs, which edit moved it, and what is refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ptcalc
from ptcalc import Diff, InputError, diff, risk
from ptcalc.diffing.edits import MOST
from ptcalc.report.formats import DIFF, render

MANY = int(os.environ.get("PTCALC_EXAMPLES", "8"))
WORKLOAD = """\
version: 1
name: two groups
host: {memory: 64 GiB, used: 4 GiB}
segments:
  cache:
    size: 24 GiB
    backing: shmem
processes:
  worker:
    count: 200
    private: 20 MiB
    mappings:
      - segment: cache
  reader:
    count: 10
    private: 1 MiB
    mappings:
      - {segment: cache, protection: r, touch: {amount: 10%, pattern: scattered}}
"""


def compared(*edits: tuple[str, str], base: str = WORKLOAD, policies: tuple[str, ...] = ("today",)) -> Diff:
    text = base
    for old, new in edits:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    return diff(ptcalc.loads(base, name="base.yaml"), ptcalc.loads(text, name="new.yaml"), policies=policies)


def used(text: str, policy: str = "today") -> int:
    return ptcalc.estimate(ptcalc.loads(text)).policy(policy).page_tables.used_bytes


def test_one_edit_moves_all_of_it() -> None:
    """Its line is named, and both figures are those of the estimates."""
    found = compared(("count: 200", "count: 300"))
    (change,) = found.policies
    (edit,) = found.edits
    (moved,) = change.moved
    figure = change.figure("page_tables")

    assert (edit.paths, edit.before, edit.after) == (("processes.worker.count",), "200", "300")
    assert (edit.file, edit.line, edit.column) == ("new.yaml", 10, 12)
    assert (figure.base, figure.new) == (used(WORKLOAD), used(WORKLOAD.replace("count: 200", "count: 300")))
    assert moved.alone == moved.share
    assert moved.share is not None and moved.share[0] == figure.change
    assert not any(change.together) and not any(change.elsewhere)
    assert found.method == "shapley" and not found.same


def test_the_last_edit_of_two_that_interact_is_not_to_blame() -> None:
    """Both orders count the same; what they only do together is divided, and said."""
    count, size = ("count: 200", "count: 400"), ("size: 24 GiB", "size: 48 GiB")
    found = compared(count, size)
    (change,) = found.policies
    by_edit = {found.edits[moved.edit].paths[0]: moved for moved in change.moved}
    more, larger = by_edit["processes.worker.count"], by_edit["segments.cache.size"]
    base, both = used(WORKLOAD), change.figure("page_tables").new
    one = used(WORKLOAD.replace(*count)) - base
    other = used(WORKLOAD.replace(*size)) - base

    assert more.alone and more.share and larger.alone and larger.share
    assert (more.alone[0], larger.alone[0]) == (one, other)
    assert change.together[0] == both - base - one - other > 0
    assert abs(more.share[0] - (one + both - base - other) / 2) <= 1
    assert more.share[0] + larger.share[0] == both - base
    assert change.moved[0] is max(change.moved, key=lambda moved: moved.share or ())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("size: 24 GiB", "size: 24576 MiB"),
        ("name: two groups", "name: another name"),
        ("version: 1\n", "version: 1\nx-notes: [a, b]\nbudgets: []\n"),
        ("    size: 24 GiB\n    backing: shmem", "    backing: shmem  # comment\n    size: 24 GiB"),
        ("    count: 200", "    count: 0200"),
    ],
)
def test_other_words_are_no_edits(old: str, new: str) -> None:
    found = compared((old, new))

    assert found.edits == () and found.same
    assert "No figure differs" in render(found)


def test_an_edit_that_moves_nothing_is_named_as_that() -> None:
    found = compared(("count: 200", "count: 200\n    page_table_sharing: allow"))

    assert found.same
    assert "moves nothing: processes.worker.page_table_sharing: new: allow (new.yaml:11:5)" in render(found)


@pytest.mark.parametrize(
    ("old", "new", "paths", "before", "after", "place"),
    [
        ("    private: 20 MiB\n", "", "processes.worker.private", "20 MiB", "", ("base.yaml", 11, 5)),
        (
            "      - segment: cache\n",
            "      - segment: cache\n      - {segment: cache, length: 1 GiB}\n",
            "processes.worker.mappings[+cache]", "", "{segment: cache, length: 1 GiB}", ("new.yaml", 14, 9),
        ),
        (
            "{amount: 10%, pattern: scattered}", "all", "processes.reader.mappings[0].touch",
            "{amount: 10%, pattern: scattered}", "all", ("new.yaml", 18, 48),
        ),
        ("amount: 10%", "amount: 1%", "processes.reader.mappings[0].touch.amount", "10%", "1%", ("new.yaml", 18, 57)),
        ("used: 4 GiB", "used: 4 GiB, swap: 1 GiB", "host.swap", "", "1 GiB", ("new.yaml", 3, 37)),
    ],
)  # fmt: skip
def test_what_is_new_gone_or_changed(
    old: str, new: str, paths: str, before: str, after: str, place: tuple[str, int, int]
) -> None:
    (edit,) = compared((old, new)).edits

    assert (edit.paths, edit.before, edit.after) == ((paths,), before, after)
    assert (edit.file, edit.line, edit.column) == place


def test_edits_that_only_make_sense_together_are_one() -> None:
    """A segment and the mapping of it; a touch of another form. The count beside them stays an edit of its own."""
    found = compared(
        ("  cache:\n", "  log: {size: 1 GiB, backing: file}\n  cache:\n"),
        ("      - segment: cache\n", "      - segment: cache\n      - segment: log\n"),
        ("    count: 10\n", "    count: 11\n"),
    )
    paths = sorted(edit.paths for edit in found.edits)

    assert paths == [("processes.reader.count",), ("segments.log", "processes.worker.mappings[+log]")]
    assert sum(moved.share[0] for moved in found.policies[0].moved if moved.share) == (
        found.policies[0].figure("page_tables").change
    )


def test_what_an_anchor_says_for_many_is_one_edit() -> None:
    base = WORKLOAD.replace("private: 20 MiB", "private: &own 20 MiB").replace("private: 1 MiB", "private: *own")
    found = compared(("20 MiB", "30 MiB"), base=base)
    (edit,) = found.edits

    assert edit.paths == ("processes.worker.private", "processes.reader.private")
    assert edit.after == "30 MiB"


def test_many_edits_are_made_alone() -> None:
    """With more than six there is no time for every set of them; what they do together is still said."""
    groups = "".join(
        f"  g{number}: {{count: 5, private: 1 MiB, mappings: [{{segment: cache}}]}}\n" for number in range(9)
    )
    base = WORKLOAD + groups
    found = compared(*((f"g{number}: {{count: 5", f"g{number}: {{count: 6") for number in range(9)), base=base)
    (change,) = found.policies

    assert found.method == "alone"
    assert len(found.edits) == 9
    assert all(moved.share is None and moved.alone and moved.alone[0] > 0 for moved in change.moved)
    assert sum(moved.alone[0] for moved in change.moved if moved.alone) + change.together[0] == (
        change.figure("page_tables").change
    )


def test_more_edits_than_anybody_reads_are_told_apart_by_their_groups() -> None:
    many = MOST // 2 + 1
    groups = "".join(
        f"  g{number}: {{count: 5, private: 1 MiB, mappings: [{{segment: cache}}]}}\n" for number in range(many)
    )
    edits = [(f"g{number}: {{count: 5, private: 1", f"g{number}: {{count: 6, private: 2") for number in range(many)]
    found = compared(*edits, base=WORKLOAD + groups)

    assert len(found.edits) == many
    assert {len(edit.paths) for edit in found.edits} == {2}
    assert {(edit.before, edit.after) for edit in found.edits} == {("", "")}


def test_policies_of_one_architecture_alone() -> None:
    found = compared(("memory: 64 GiB", "memory: 64 GiB, arch: arm64-64k"), policies=())

    assert "hugetlb-1G" in found.only_base and "hugetlb-512M" in found.only_new
    assert {change.policy for change in found.policies} >= {"today", "thp", "mshare"}
    assert found.edits[0].paths == ("host.arch",)
    assert "only in base: hugetlb-1G" in render(found)


def test_noise() -> None:
    """A touch that differs by a few pages is lost in the randomness of two runs; the double is not."""
    few = WORKLOAD.replace("amount: 10%", "pages: 1000")
    near = compared(("pages: 1000", "pages: 1001"), base=few)
    far = compared(("pages: 1000", "pages: 2000"), base=few)

    assert near.policies[0].figure("page_tables").in_noise
    assert "within noise" in render(near, "markdown")
    assert not far.policies[0].figure("page_tables").in_noise


@pytest.mark.parametrize(("count", "allowed", "failed"), [(210, "5", False), (211, "5", True), (100, "0", False)])
def test_growth(count: int, allowed: str, failed: bool) -> None:
    """By the bound is allowed, one process more is not (the reader's tables are left out here)."""
    base = WORKLOAD.partition("  reader")[0]
    new = base.replace("count: 200", f"count: {count}")
    found = diff(ptcalc.loads(base), ptcalc.loads(new), allowed_growth=Fraction(int(allowed), 100))

    assert found.failed is failed
    assert [growth.policy for growth in found.growth] == ["today"]


def test_growth_needs_the_policy_on_both_sides() -> None:
    sides = [
        ptcalc.loads(WORKLOAD),
        ptcalc.loads(WORKLOAD.replace("memory: 64 GiB", "memory: 64 GiB, arch: arm64-64k")),
    ]

    with pytest.raises(InputError, match="'hugetlb-1G' cannot be judged: it is not on both sides"):
        diff(*sides, policies=["today", "hugetlb-1G"], allowed_growth=Fraction(0))
    with pytest.raises(InputError, match="'toady' is no policy of either side") as refused:
        diff(*sides, policies=["toady"])
    assert refused.value.suggestion == "today"


def saved(tmp_path: Path, text: str, name: str = "saved.json", **options: Any) -> Path:
    estimate = ptcalc.estimate(ptcalc.loads(text, name="then.yaml"), **options)
    path = tmp_path / name
    path.write_text(ptcalc.render(estimate, "json"))
    return path


def test_a_saved_result_is_asked_no_more_and_says_what_is_asked(tmp_path: Path) -> None:
    """The workload beside it gets its policies, thresholds and choices."""
    config = risk.loads_config("levels: {ok: 60%}")
    options: dict[str, Any] = {
        "policies": ["today", "file-shared"],
        "config": config,
        "choices": {"file-shared.phases": "zero"},
    }
    base = saved(tmp_path, WORKLOAD, **options)
    new = tmp_path / "new.yaml"
    new.write_text(WORKLOAD.replace("count: 200", "count: 300"))

    found = diff(base, new)

    assert [change.policy for change in found.policies] == ["today", "file-shared"]
    assert found.base.saved and not found.new.saved
    assert found.edits[0].paths == ("processes.worker.count",)
    assert found.policies[0].risk[1] == "warning" or found.policies[0].risk[1] == "critical"
    assert diff(new, base).policies[0].figure("demand").change == -found.policies[0].figure("demand").change
    assert diff(base, base).same


def test_what_another_ptcalc_computed_is_no_edit(tmp_path: Path) -> None:
    base = saved(tmp_path, WORKLOAD)
    content = json.loads(base.read_text())
    content["policies"][0]["page_tables"]["used_bytes"] -= 1 << 30
    content["policies"][0]["memory"]["demand_bytes"] -= 1 << 30
    content["policies"][0]["memory"]["headroom_bytes"] += 1 << 30
    base.write_text(json.dumps(content))
    new = tmp_path / "new.yaml"
    new.write_text(WORKLOAD)

    change = diff(base, new).policies[0]

    assert change.elsewhere == (1 << 30, 1 << 30, -(1 << 30))
    assert "not by an edit: ~+1.00 GiB; another version of ptcalc" in render(diff(base, new))


def test_without_the_text_no_edit_is_known(tmp_path: Path) -> None:
    base = saved(tmp_path, WORKLOAD)
    content = json.loads(base.read_text())
    del content["workload"]["text"]
    base.write_text(json.dumps(content))
    new = tmp_path / "new.yaml"
    new.write_text(WORKLOAD.replace("count: 200", "count: 300"))

    found = diff(base, new)

    assert found.method == "none"
    assert "What moved them is not known: then.yaml was saved without the text" in render(found)
    with pytest.raises(InputError, match="the text of the workload is not there"):
        diff(base, new, arch="arm64")


def test_results_that_were_asked_differently(tmp_path: Path) -> None:
    sides = [
        saved(tmp_path, WORKLOAD, f"{number}.json", config=risk.loads_config(f"levels: {{ok: {number}%}}"))
        for number in (20, 30)
    ]

    assert diff(*sides).unattributed == "the two were asked with different thresholds or constants"
    assert diff(*sides, config=risk.Config()).unattributed == ""


def test_libraries_give_what_they_have() -> None:
    estimate = ptcalc.estimate(ptcalc.loads(WORKLOAD))

    assert diff(estimate, ptcalc.loads(WORKLOAD)).same
    assert diff(estimate, replace(estimate, source="")).unattributed


EDITS = [
    ("count: 200", "count: 350"),
    ("size: 24 GiB", "size: 30 GiB"),
    ("private: 20 MiB", "private: 4 MiB"),
    ("amount: 10%", "amount: 2%"),
    ("memory: 64 GiB", "memory: 96 GiB"),
    ("backing: shmem", "backing: shmem\n    thp: always"),
]


@settings(max_examples=MANY)
@given(
    st.lists(st.sampled_from(EDITS), unique=True, min_size=1), st.sampled_from(["today", "file-shared", "hugetlb-2M"])
)
def test_credits_add_up(edits: list[tuple[str, str]], policy: str) -> None:
    """Whatever the edits: shares are the whole change, and alone plus together is it as well."""
    found = compared(*edits, policies=(policy,))
    (change,) = found.policies

    assert len(found.edits) == len(edits)
    for at, name in enumerate(("page_tables", "demand", "headroom")):
        whole = change.figure(name).change  # type: ignore[arg-type]
        assert sum(moved.share[at] for moved in change.moved if moved.share) == whole
        assert sum(moved.alone[at] for moved in change.moved if moved.alone) + change.together[at] == whole
    assert all(render(found, form) for form in DIFF)
