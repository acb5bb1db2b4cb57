"""The sections ``budgets`` and ``accept``: what is wrong is said at its place, and spoils only its own file."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ptcalc
from ptcalc import InputError
from ptcalc.checking.agreements import MAX_AGREEMENTS, BudgetRule, read_agreements
from ptcalc.checking.judging import all_policies
from ptcalc.checking.rules import ACCEPTABLE, RULES
from ptcalc.risk import Config
from ptcalc.workload.source import compose
from tests.checking.conftest import TODAY, WORKLOAD, Judge

ROOT = Path(__file__).parents[2]
DOCUMENT, DEFAULT = ROOT / "docs" / "check.md", ROOT / "configs" / "default.yaml"
GOOD = "reason: known, owner: dba"
DAY = f"until: {TODAY}"


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("budgets: 5", (12, 10), "budgets is no list"),
        ("budgets: {rule: risk}", (12, 10), "budgets is no list"),
        ("budgets:\n", (12, 9), "budgets is no list"),
        ("budgets: [5]", (12, 11), "'5' stands here"),
        ("budgets: [[]]", (12, 11), "a list stands here"),
        ("budgets: [~]", (12, 11), "no value stands here"),
        ("budgets: [{at_most: ok}]", (12, 11), "key 'rule' is missing"),
        ("budgets: [{rule: page_table, at_most: 1}]", (12, 18), "did you mean 'page_tables'?"),
        ("budgets: [{rule: [risk], at_most: ok}]", (12, 18), "rule: a list"),
        ("budgets: [{rule: risk}]", (12, 11), "key 'at_most' is missing"),
        ("budgets: [{rule: risk, at_most: fine}]", (12, 33), "accepted: ok, warning, critical, oom"),
        ("budgets: [{rule: risk, at_least: ok}]", (12, 24), "did you mean 'at_most'?"),
        ("budgets: [{rule: risk, at_most: ok, of: demand}]", (12, 37), "unknown key 'of'"),
        ("budgets: [{rule: headroom, at_least: 5 GX}]", (12, 38), "'GX' is no unit"),
        ("budgets: [{rule: headroom, at_least: 101%}]", (12, 38), "more than 100%"),
        ("budgets: [{rule: page_tables, at_most: -1}]", (12, 40), "negative"),
        ("budgets: [{rule: page_tables, at_most: 1.5}]", (12, 40), "decimals but no unit"),
        ("budgets: [{rule: page_tables_per_process, at_most: 5%}]", (12, 52), "'5%' is not understood"),
        ("budgets: [{rule: max_processes, at_least: 5 GiB}]", (12, 43), "a whole number"),
        ("budgets: [{rule: growth, at_most: 5, baseline: b}]", (12, 35), "'5' is no growth"),
        ("budgets: [{rule: growth, at_most: 5%}]", (12, 11), "key 'baseline' is missing"),
        ("budgets: [{rule: growth, at_most: 5%, baseline: b, of: ram}]", (12, 56), "page_tables, demand"),
        ("budgets: [{rule: risk, at_most: ok, level: fatal}]", (12, 44), "accepted: error, warn"),
        ("budgets: [{rule: risk, at_most: ok, policy: tody}]", (12, 45), "did you mean 'today'?"),
        ("budgets: [{rule: risk, at_most: ok, policy: mshare}]", (12, 45), "no mainline kernel (state: patches)"),
        ("budgets: [{rule: risk, at_most: ok, link: 'javascript:alert(1)'}]", (12, 43), "is no link"),
        ("budgets: [{rule: risk, at_most: ok, message: }]", (12, 46), "message: no value"),
        (f"budgets: [{{rule: risk, at_most: ok, message: {'x' * 1001}}}]", (12, 46), "1,001 characters"),
        (f"budgets: [{', '.join(['1'] * (MAX_AGREEMENTS + 1))}]", (12, 10), "1,001 entries"),
        (f"accept: [{{rule: budget-headrom, {GOOD}, {DAY}}}]", (12, 17), "did you mean 'budget-headroom'?"),
        (f"accept: [{{rule: acceptance-expired, {GOOD}, {DAY}}}]", (12, 17), "none of the words accepted"),
        (f"accept: [{{rule: risk, {GOOD}}}]", (12, 10), "key 'until' is missing"),
        (f"accept: [{{rule: risk, owner: dba, {DAY}}}]", (12, 10), "key 'reason' is missing"),
        (f"accept: [{{rule: risk, reason: known, {DAY}}}]", (12, 10), "key 'owner' is missing"),
        (f"accept: [{{rule: risk, {GOOD}, until: 2027-02-30}}]", (12, 57), "'2027-02-30' is no day"),
        (f"accept: [{{rule: risk, {GOOD}, until: soon}}]", (12, 57), "'soon' is no day"),
        (f"accept: [{{rule: risk, {GOOD}, {DAY}, since: 2027-01-01}}]", (12, 69), "unknown key 'since'"),
        (f"accept: [{{rule: risk, {GOOD}, {DAY}, policy: huge}}]", (12, 77), "'huge' is no policy"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(judge: Judge, text: str, place: tuple[int, int], said: str) -> None:
    """In a workload it spoils that file alone; in a config, the whole run."""
    wrong, right = judge(f"{text}\n", {"right.yaml": WORKLOAD}, paths=["w.yaml", "right.yaml"]).files
    (problem,) = wrong.problems

    assert problem.rule == "invalid-workload"
    assert problem.fails
    assert (problem.line, problem.column) == place
    assert said in f"{problem.message}; {problem.remedy}"
    assert wrong.estimate is None
    assert right.passed

    with pytest.raises(InputError) as caught:
        judge("", {"config.yaml": "#\n" * 11 + text}, config="config.yaml")
    assert f"config.yaml:{place[0]}:{place[1]}: " in caught.value.render()


def test_an_acceptance_silences_until_its_day(judge: Judge) -> None:
    """The last day counts; on the next one the check fails with the name of what was accepted."""
    text = f"budgets: [{{rule: headroom, at_least: 90%}}]\naccept: [{{rule: budget-headroom, {GOOD}, {DAY}}}]\n"
    before, after = judge(text), judge(text, today=TODAY + timedelta(days=1))

    (budget,) = [problem for problem in before.problems if problem.rule == "budget-headroom"]
    assert before.passed
    assert budget.accepted is not None
    assert (budget.accepted.owner, budget.accepted.reason, budget.accepted.until) == ("dba", "known", TODAY)
    assert not budget.fails

    failing = [problem for problem in after.problems if problem.fails]
    assert [problem.rule for problem in failing] == ["budget-headroom", "acceptance-expired"]
    assert failing[1].message.startswith(f"budget-headroom: accepted by dba until {TODAY}")
    assert failing[1].line == 13
    assert not any(problem.accepted for problem in after.problems)


@pytest.mark.parametrize(("policy", "silenced"), [("", {"today", "private"}), ("private", {"private"})])
def test_an_acceptance_may_be_about_one_policy(judge: Judge, policy: str, silenced: set[str]) -> None:
    entry = f"{{rule: budget-headroom, {GOOD}, {DAY}{f', policy: {policy}' if policy else ''}}}"
    result = judge(f"budgets: [{{rule: headroom, at_least: 90%}}]\naccept: [{entry}]\n", policies=["today", "private"])

    assert {problem.policy for problem in result.problems if problem.accepted} == silenced
    assert result.passed == (len(silenced) == 2)


def test_the_risk_can_be_accepted(judge: Judge) -> None:
    """It is somebody's word, with a reason and a day, as of every other rule."""
    small = {"w2.yaml": WORKLOAD.replace("64 GiB", "32 GiB") + f"accept: [{{rule: risk, {GOOD}, {DAY}}}]\n"}
    result = judge("", small, paths=["w2.yaml"])

    assert result.files[0].risk == "oom"
    assert result.passed


def test_an_acceptance_of_nothing_is_a_note(judge: Judge) -> None:
    result = judge(f"accept: [{{rule: pool-unused, {GOOD}, {DAY}}}]\n")
    (note,) = [problem for problem in result.problems if problem.rule == "acceptance-unused"]

    assert (note.level, note.fails, note.line) == ("note", False, 12)
    assert result.passed


def test_acceptances_of_a_config_are_told_of_once(judge: Judge) -> None:
    """One that silences something in any file is used; the others, and the expired ones, are the config's problems."""
    config = f"""\
accept:
  - {{rule: page-tables-large, {GOOD}, {DAY}}}
  - {{rule: pool-unused, {GOOD}, {DAY}}}
  - {{rule: swap-no-help, {GOOD}, until: 2020-01-01}}
"""
    little = WORKLOAD.replace("24 GiB", "4 MiB")
    result = judge("", {"c.yaml": config, "little.yaml": little}, paths=["little.yaml", "w.yaml"], config="c.yaml")
    *_, own = result.files

    assert (own.file, own.risk, own.estimate) == ("c.yaml", None, None)
    assert [(each.rule, each.line, each.fails) for each in own.problems] == [
        ("acceptance-expired", 4, True),
        ("acceptance-unused", 3, False),
    ]
    assert [each.rule for each in result.files[1].problems if each.accepted] == ["page-tables-large"]
    assert not result.passed


def test_every_rule_can_be_named() -> None:
    assert all(RULES[name].help and RULES[name].title for name in RULES)
    assert set(RULES) - set(ACCEPTABLE) == {"invalid-workload", "acceptance-expired", "acceptance-unused"}


def _documented() -> list[str]:
    """What the documents show of the sections, and what the default config has in its comments."""
    blocks = re.findall(r"^```yaml\n((?:budgets|accept):.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    comments = re.findall(r"^#   (.*)$", DEFAULT.read_text().partition("docs/check.md")[2], re.MULTILINE)
    return [*blocks, "\n".join(comments)]


@pytest.mark.parametrize("text", _documented())
def test_what_documents_show_is_accepted(text: str) -> None:
    found = read_agreements(compose(text, "check.md"), list(all_policies(Config()).values()), hypothetical=False)

    assert found.budgets or found.acceptances


def test_every_rule_of_a_budget_is_documented() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `at_", DOCUMENT.read_text(), re.MULTILINE)

    assert rows == list(get_args(BudgetRule))


def test_other_commands_read_past_them() -> None:
    """They are no part of the workload."""
    texts = (WORKLOAD, WORKLOAD + "budgets: []\naccept: []\n")
    plain, agreed = (replace(ptcalc.estimate(ptcalc.loads(text)), source="") for text in texts)

    assert plain == agreed


_TEXTS = (
    st.sampled_from(["risk", "growth", "headroom", "5%", "1 GiB", "today", "ok", "2027-01-01", "", "~"]) | st.text()
)
_KEYS = st.sampled_from(["rule", "at_most", "at_least", "level", "policy", "baseline", "owner", "until", "reason"])
_VALUES = st.recursive(_TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner), max_leaves=8)


@given(st.sampled_from(["budgets", "accept"]), _VALUES | st.lists(st.dictionaries(_KEYS, _TEXTS, min_size=2)))
def test_nothing_but_an_error_comes_of_nonsense(section: str, value: object) -> None:
    """And the error has a place, and says what would be accepted."""
    error = _refusal(f"{section}: {json.dumps(value)}")

    if error is not None:
        assert error.file == "a.yaml"
        assert error.accepted


def _refusal(text: str) -> InputError | None:
    try:
        read_agreements(compose(text, "a.yaml"), [], hypothetical=True)
    except InputError as error:
        return error
    return None
