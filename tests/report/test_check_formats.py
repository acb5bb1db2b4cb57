"""The formats of a check: golden files, published schemas, readers that others wrote, and grammars as documented."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest
import xmlschema
import yaml
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Failure, JUnitXml, Skipped
from markdown_it import MarkdownIt
from markdown_it.token import Token
from sarif import loader
from tap.parser import Parser

from ptcalc.checking.result import CheckResult
from ptcalc.errors import printable
from ptcalc.report import check_markdown, github, gitlab, junit, sarif, tap
from ptcalc.report.problems import relative
from tests.report.checks import CASES, HOSTILE, LONG, check, failed, file, hostile, many, problem, ten

Json = dict[str, Any]
Golden = Callable[[str, str], None]

SCHEMAS = Path(__file__).parent / "schemas"
FORMATS: dict[str, ModuleType] = {
    "sarif": sarif, "xml": junit, "github": github, "gitlab.json": gitlab, "tap": tap, "md": check_markdown,
}  # fmt: skip
# Text as files and their names hold it: anything but what UTF-8 cannot say.
TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from("%:,\r\n[](){}#\\<>&'\"`|*_~@-=.\0\x1b\u202e"))


@pytest.fixture(params=list(CASES))
def result(request: pytest.FixtureRequest) -> CheckResult:
    """Each result made by hand."""
    return CASES[request.param]()


@pytest.mark.parametrize("name", [name for name in CASES if name != "crowded"])  # 800 KB
@pytest.mark.parametrize("form", FORMATS)
def test_golden(name: str, form: str, golden: Golden) -> None:
    """Each format reads as it was reviewed."""
    golden(f"check/{name}.{form}", FORMATS[form].render(CASES[name]()))


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_moves_a_terminal(result: CheckResult, form: str) -> None:
    """Whatever the names, what a log shows has no control or format character but line breaks."""
    text = FORMATS[form].render(result)

    assert text.replace("\n", "").isprintable()


# --- SARIF --------------------------------------------------------------------------------------------------


def log(result: CheckResult) -> Json:
    """The log, and the one run in it."""
    read: Json = json.loads(sarif.render(result))
    return read


def results(result: CheckResult) -> list[Json]:
    """The results of the log."""
    found: list[Json] = log(result)["runs"][0]["results"]
    return found


@pytest.fixture(scope="module")
def sarif_schema() -> jsonschema.Draft202012Validator:
    """The published schema."""
    schema = json.loads((SCHEMAS / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


def test_sarif_is_valid(result: CheckResult, sarif_schema: jsonschema.Draft202012Validator) -> None:
    """The log is SARIF 2.1.0."""
    sarif_schema.validate(log(result))


def test_sarif_schema_refuses(sarif_schema: jsonschema.Draft202012Validator) -> None:
    """The schema would say if something were wrong."""
    broken = log(failed())
    broken["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0

    assert not sarif_schema.is_valid(broken)


def test_sarif_is_read(result: CheckResult, tmp_path: Path) -> None:
    """Another program finds each problem, its level, its line and its rule."""
    path = tmp_path / "check.sarif"
    path.write_text(sarif.render(result), encoding="ascii")

    records = loader.load_sarif_file(str(path)).get_records()

    found = [(each["Severity"], each["Code"], each["Line"], each["Tool"]) for each in records]
    assert sorted(found) == sorted((each.level, each.rule, each.line, "ptcalc") for each in result.problems)


def test_sarif_points_at_the_value() -> None:
    """Line, column and name of the file; a name in the checkout is relative to its root."""
    found = [each["locations"][0]["physicalLocation"] for each in results(failed())]

    assert found[0] == {
        "artifactLocation": {"uri": "capacity/oracle.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 17, "startColumn": 11},
    }
    assert found[-1]["artifactLocation"] == {"uri": "file:///srv/capacity/accepted.yaml"}


@given(name=TEXTS.filter(lambda text: text.strip("./\0") != "" and not text.startswith("/") and "\0" not in text))
def test_sarif_names_are_uris(name: str) -> None:
    """Any name of a file comes back from its URI, which has no other characters than a URI may."""
    uri = results(check(file(name, problem("risk", file=name))))[0]["locations"][0]["physicalLocation"]

    assert re.fullmatch(r"(?:[\w.~/-]|%[0-9A-F]{2})+", uri["artifactLocation"]["uri"], re.ASCII)
    assert unquote(uri["artifactLocation"]["uri"]) == relative(name)


def test_sarif_name_that_is_no_text() -> None:
    """Bytes of a name that are no UTF-8 stay as they are."""
    name = b"caf\xe9.yaml".decode("utf-8", "surrogateescape")

    found = results(check(file(name, problem("risk", file=name))))

    assert found[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "caf%E9.yaml"


def test_sarif_rules_have_help(result: CheckResult) -> None:
    """Each rule that a result names is there, by its place as well, and says what it is and what to do."""
    rules = log(result)["runs"][0]["tool"]["driver"]["rules"]

    assert [rule["id"] for rule in rules] == [rule.id for rule in result.rules]
    assert all(re.fullmatch("([A-Z][a-z]*)+", rule["name"]) for rule in rules)
    assert all(rule["help"]["text"] and rule["shortDescription"]["text"] for rule in rules)
    assert all(rules[each["ruleIndex"]]["id"] == each["ruleId"] for each in results(result))


def test_sarif_fingerprints_are_those_of_the_problems(result: CheckResult) -> None:
    """What makes two results one is the problem's, under the name that GitHub reads too."""
    found = [set(each["partialFingerprints"].values()) for each in results(result)]

    assert found == [{each.fingerprint} for each in result.problems]
    assert all("primaryLocationLineHash" in each["partialFingerprints"] for each in results(result))


def test_sarif_suppresses_what_is_accepted() -> None:
    """An accepted problem is there, with who accepted it and why; another one says that it is not suppressed."""
    *others, accepted = results(failed())

    assert all(each["suppressions"] == [] for each in others)
    [word] = accepted["suppressions"]
    assert word["status"] == "accepted"
    assert word["justification"] == "until the move to huge pages (dba@example.com, until 2027-03-31)"


@given(text=st.text("a\\[]()"))
def test_sarif_messages_have_no_links(text: str) -> None:
    """A name cannot be a link of a message, ``[text](target)``: its end is escaped, backslashes before it as well."""
    [message] = [
        each["message"]["text"] for each in results(check(file("a", problem("risk", message=text, remedy=""))))
    ]

    ends = re.findall(r"(\\*)\]\(", message)
    assert all(len(backslashes) % 2 for backslashes in ends)
    assert re.sub(r"(\\*)\1\\\]\(", r"\1](", message) == said(text, "today")


# --- JUnit --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def junit_schema() -> xmlschema.XMLSchema:
    """The schema of Jenkins."""
    return xmlschema.XMLSchema(SCHEMAS / "junit-10.xsd")


def test_junit_is_valid(result: CheckResult, junit_schema: xmlschema.XMLSchema) -> None:
    """The document is what Jenkins takes."""
    junit_schema.validate(junit.render(result))


def test_junit_is_read(result: CheckResult) -> None:
    """Another program reads a suite for each file, a failure for what fails, a skipped test for what is accepted."""
    suites = list(JUnitXml.fromstring(junit.render(result).encode("ascii")))

    assert [suite.name for suite in suites] == [printable(each.file) for each in result.files]
    for suite, checked in zip(suites, result.files, strict=True):
        outcomes = [outcome for test in suite for outcome in test.result]
        failures = [each.message for each in outcomes if isinstance(each, Failure)]
        skipped = [each.message for each in outcomes if isinstance(each, Skipped)]

        assert failures == [said(each.message, each.policy) for each in checked.problems if each.fails]
        assert skipped == [said(each.message, each.policy) for each in checked.problems if each.accepted]
        assert suite.failures == len(failures)
        assert suite.tests == len(list(suite))
        assert any(not test.result for test in suite) == checked.passed
        assert len({test.name for test in suite}) == len(list(suite))


@given(text=TEXTS)
def test_junit_holds_any_name(text: str) -> None:
    """Whatever a name holds, the document is one, and the name stands in it."""
    made = check(file(text, problem("risk", message=text, file=text, path=(text,), remedy=text)))

    [suite] = JUnitXml.fromstring(junit.render(made).encode("ascii"))

    assert suite.name == printable(text)
    assert [outcome.message for test in suite for outcome in test.result] == [said(text, "today")]


# --- annotations of GitHub ----------------------------------------------------------------------------------


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """The commands in a step's output, read as documented: ``::name key=value,key=value::data``.

    Escapes are undone as the runner does it, ``%25`` last.
    """

    def undone(value: str, escapes: str) -> str:
        for char in escapes:
            value = value.replace(f"%{ord(char):02X}", char)
        return value

    found = []
    for line in re.split(r"\r\n|\r|\n", text):
        if not line.lstrip().startswith("::"):
            assert "##[" not in line, "the older form of commands, which may stand anywhere"
            continue
        command, data = line.lstrip()[2:].split("::", 1)
        name, _, properties = command.partition(" ")
        pairs = dict(pair.split("=", 1) for pair in properties.split(","))
        found.append(
            (name, {key: undone(value, ":,\r\n%") for key, value in pairs.items()}, undone(data, "\r\n%")),
        )
    return found


def test_annotations_are_documented_commands(result: CheckResult) -> None:
    """Every command is one of the three, with properties that there are, and there are no more than ten."""
    found = commands(github.render(result))

    assert len(found) <= 10
    assert {name for name, _, _ in found} <= {"error", "warning", "notice"}
    assert all(set(properties) <= {"file", "line", "col", "title"} for _, properties, _ in found)


def test_annotation_says_what_is_wrong_and_where() -> None:
    """The worst comes first; what is accepted does not come."""
    found = commands(github.render(failed()))

    assert found[0] == (
        "error",
        {"file": "capacity/oracle.yaml", "line": "17", "col": "11", "title": "ptcalc risk"},
        "today: what is wrong about risk\nremedy: see ptcalc recommend",
    )
    assert [name for name, _, _ in found] == ["error", "error", "error", "warning", "notice"]
    assert "huge pages\n" not in found[-1][2]


def test_annotations_past_ten_are_rolled_up() -> None:
    """Ten are shown; of eleven, nine and one for the rest, and what fails is not among the rest."""
    nine, rest = commands(github.render(many()))[:9], commands(github.render(many()))[9:]

    assert len(commands(github.render(ten()))) == 10
    assert [name for name, _, _ in nine] == ["error"] * 3 + ["warning"] * 6
    assert rest == [("warning", {"title": "ptcalc"}, "2 more problems: 2 x page-tables-large")]


@given(text=TEXTS)
def test_annotation_holds_any_name(text: str) -> None:
    """Whatever a name holds, there is one command, which says it harmlessly."""
    name = f"a{text}"
    made = check(file(name, problem("risk", message=text, file=name, remedy="")))

    [(command, properties, message)] = commands(github.render(made))

    assert command == "error"
    assert properties["file"] == printable(relative(name))
    assert message == said(text, "today")


def test_summary_is_markdown(result: CheckResult) -> None:
    """The summary of a step is the report in Markdown."""
    assert github.summary(result) == check_markdown.render(result)


# --- GitLab -------------------------------------------------------------------------------------------------


def test_gitlab_entries_are_as_documented(result: CheckResult) -> None:
    """The five fields that GitLab reads, of its types, and a severity that it knows."""
    entries = json.loads(gitlab.render(result))

    for entry in entries:
        assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert entry["location"]["lines"]["begin"] >= 1
        assert not entry["location"]["path"].startswith("./")
    open_problems = [each for each in result.problems if each.accepted is None]
    assert [entry["fingerprint"] for entry in entries] == [each.fingerprint for each in open_problems]


def test_gitlab_severity_says_what_fails() -> None:
    """What fails the check is critical, whatever else there is."""
    entries = json.loads(gitlab.render(failed()))

    assert [entry["severity"] for entry in entries] == ["critical", "critical", "minor", "info", "critical"]


# --- TAP ----------------------------------------------------------------------------------------------------


def points(text: str) -> tuple[int, list[tuple[bool, int, str, str, Json | None]]]:
    """The plan and the test points of a TAP 14 stream: ok, number, description, directive, diagnostics.

    After the grammar of the specification; anything that is none of it is an error.
    """
    version, plan, *rest = text.removesuffix("\n").split("\n")
    assert version == "TAP version 14"
    planned = re.fullmatch(r"1\.\.(\d+)", plan)
    assert planned
    found: list[tuple[bool, int, str, str, Json | None]] = []
    lines = iter(rest)
    for line in lines:
        point = re.fullmatch(r"(not )?ok (\d+) - ((?:\\[\\#]|[^\\#])*)(?: # (.*))?", line)
        if point:
            description = re.sub(r"\\([\\#])", r"\1", point[3])
            found.append((not point[1], int(point[2]), description, point[4] or "", None))
        elif line == "  ---":
            block = [each.removeprefix("  ") for each in iter(lambda: next(lines), "  ...")]
            found[-1] = (*found[-1][:4], yaml.safe_load("\n".join(block)))
        else:
            assert line.startswith("# "), line
    return int(planned[1]), found


def test_tap_is_as_specified(result: CheckResult) -> None:
    """A point for each file, in order, without directives; its problems are the diagnostics, names as they were."""
    planned, found = points(tap.render(result))

    assert planned == len(found) == len(result.files)
    for number, ((ok, count, description, directive, details), checked) in enumerate(
        zip(found, result.files, strict=True), 1
    ):
        assert (ok, count, description, directive) == (checked.passed, number, printable(checked.file), "")
        messages = [each["message"] for each in details["problems"]] if details else []
        assert messages == [said(each.message, each.policy) for each in checked.problems]


def test_tap_is_read() -> None:
    """Another program reads the same outcomes and the diagnostics."""
    lines = list(Parser().parse_text(tap.render(failed())))
    tests = [line for line in lines if line.category == "test"]

    assert [(test.ok, test.description) for test in tests] == [
        (False, "- ./capacity/oracle.yaml"),
        (False, "- capacity/broken.yaml"),
        (True, "- /srv/capacity/accepted.yaml"),
    ]
    assert tests[2].yaml_block["problems"][0]["accepted"].startswith("by dba@example.com until 2027-03-31")


@given(text=TEXTS)
def test_tap_holds_any_name(text: str) -> None:
    """Whatever a name holds, it is the description of one test point, which fails."""
    made = check(file(text, problem("risk", message=text, remedy=text)))

    _, [(ok, _, description, directive, details)] = points(tap.render(made))

    assert (ok, description, directive) == (False, printable(text), "")
    assert details is not None
    assert details["problems"][0]["message"] == said(text, "today")


# --- Markdown -----------------------------------------------------------------------------------------------

MARKUP = {
    "heading_open", "heading_close", "table_open", "table_close", "thead_open", "thead_close", "tbody_open",
    "tbody_close", "tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close", "bullet_list_open",
    "bullet_list_close", "list_item_open", "list_item_close", "paragraph_open", "paragraph_close", "inline", "text",
    "strong_open", "strong_close", "text_special",
}  # fmt: skip


def tokens(text: str) -> list[Token]:
    """Everything that a reader of Markdown sees, with tables, raw HTML and strike-through."""
    blocks = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [each for block in blocks for each in (block, *(block.children or ()))]


@pytest.mark.parametrize("made", [hostile(), CASES["many"](), CASES["crowded"]()], ids=["hostile", "many", "crowded"])
def test_markdown_has_no_markup_of_names(made: CheckResult) -> None:
    """No HTML, link, image, code or emphasis comes from a name, and every row has the columns of the head."""
    found = tokens(check_markdown.render(made))

    assert {token.type for token in found} <= MARKUP
    rows = [token.type for token in found if token.type in ("tr_open", "td_open", "th_open")]
    assert len(rows) % 8 == 0
    assert "**bold**" not in "".join(token.content for token in found if token.type == "strong_open")


@given(text=TEXTS)
def test_markdown_holds_any_name(text: str) -> None:
    """Whatever a name holds, it is text, the same as it was but for what would move a terminal."""
    found = tokens(check_markdown.render(check(file("a.yaml", problem("risk", message=text, remedy="")))))

    shown = "".join(token.content for token in found if token.type in ("text", "text_special"))
    assert {token.type for token in found} <= MARKUP
    assert f": {said(text, 'today')} (risk)" in shown


def test_markdown_links_what_the_user_links() -> None:
    """A budget's own link can be followed; what is no plain link is text."""
    links = [token.attrs["href"] for token in tokens(check_markdown.render(failed())) if token.type == "link_open"]

    assert links == ["https://wiki.example.com/capacity?page=1#headroom"]


def test_markdown_fits_into_a_comment(result: CheckResult) -> None:
    """GitHub refuses comments above 65,536 characters."""
    assert len(check_markdown.render(result)) <= 65_536


def test_markdown_says_what_is_left_out() -> None:
    """What has no room is counted; what has is shown."""
    text = check_markdown.render(CASES["crowded"]())

    assert LONG in text
    assert "\nAnd 3 more problems.\n" in text
    assert "b.yaml:1:11" in text


def said(message: str, policy: str) -> str:
    """A message as every format says it: on one line, with the policy that it is about."""
    return printable(f"{policy}: {message}" if policy else message)


def test_hostile_names_are_hostile() -> None:
    """What the cases above are about is in them."""
    forms = "\"'`", "]]>", "::error", "<script>", "\x1b[", "\u202e", "\u200f", "\ud800", "\n"

    assert all(form in HOSTILE for form in forms)
