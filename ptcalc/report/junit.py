"""JUnit's XML, as Jenkins and GitLab read it: a suite for each file, a test for each thing that fails or is accepted.

In ASCII: what is not becomes a character reference, and so no encoding can go wrong on the way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from ptcalc.checking.result import CheckResult, FileCheck, Problem
from ptcalc.errors import printable
from ptcalc.report.problems import notes, place, said


def render(result: CheckResult) -> str:
    """Return the document; a file in which nothing fails has one test that passes."""
    suites = [_suite(file) for file in result.files]
    root = Element("testsuites", name="ptcalc check")
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, 0)) for suite in suites)))
    root.extend(suites)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="us-ascii", xml_declaration=True)
    return text.decode("ascii") + "\n"


def _suite(file: FileCheck) -> Element:
    name = printable(file.file)
    failing = [problem for problem in file.problems if problem.fails]
    accepted = [problem for problem in file.problems if problem.accepted is not None]
    tests = [_test(name, problem, "failure") for problem in failing]
    tests += [_test(name, problem, "skipped") for problem in accepted]
    _number(tests)
    if not failing:
        tests.append(Element("testcase", classname=name, name="nothing fails"))
    counts = {"tests": len(tests), "failures": len(failing), "errors": 0, "skipped": len(accepted)}
    suite = Element("testsuite", {"name": name, **{key: str(count) for key, count in counts.items()}})
    suite.extend(tests)
    others = [problem for problem in file.problems if not problem.fails and problem.accepted is None]
    if others:
        SubElement(suite, "system-out").text = "\n".join(line for each in others for line in _lines(each))
    return suite


def _test(file: str, problem: Problem, outcome: str) -> Element:
    about = ", ".join(filter(None, [problem.policy, ".".join(map(str, problem.path))]))
    test = Element("testcase", classname=file, name=printable(f"{problem.rule} ({about})" if about else problem.rule))
    found = SubElement(test, outcome, type=problem.rule, message=said(problem))
    found.text = "\n".join(_lines(problem))
    return test


def _number(tests: Iterable[Element]) -> None:
    """Give tests of one name different ones: readers take them for one."""
    seen: Counter[str] = Counter()
    for test in tests:
        name = test.get("name", "")
        seen[name] += 1
        if seen[name] > 1:
            test.set("name", f"{name} #{seen[name]}")


def _lines(problem: Problem) -> Iterator[str]:
    yield f"{place(problem)}: {problem.level}: {said(problem)} [{printable(problem.rule)}]"
    yield from (f"    {what}: {text}" for what, text in notes(problem).items())
