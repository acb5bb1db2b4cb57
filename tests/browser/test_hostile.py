"""Names that try to be markup, script or style."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import ptcalc
from ptcalc.result import Estimate
from tests.browser.conftest import Tab
from tests.browser.test_layout import OVERFLOWING

ATTACKS = (
    "<script>window.hurt=1</script>",
    "</script><script>window.hurt=1</script>",
    "<img src=x onerror=window.hurt=1>",
    '" onmouseover="window.hurt=1',
    "'><svg onload=window.hurt=1>",
    "]]><!-- --><!--<script>",
    "`${window.hurt=1}`",
    "{{constructor.constructor('window.hurt=1')()}}",
    "</style><style>*{display:none}",
    "‮gnirts desrever‬",
    "line separator next",
    "&lt;b&gt; &amp; &#60;script&#62;",
    "{a|rich} {b|text}",
    "x" * 100,
    "<" * 100,
)


def hostile() -> Estimate:
    """A workload whose every name is an attack."""
    segments = {name: {"size": (number + 1) << 30, "backing": "shmem"} for number, name in enumerate(ATTACKS)}
    processes = {
        name: {"count": 100 + number, "mappings": [{"segment": name, "touch": "all"}]}
        for number, name in enumerate(ATTACKS)
    }
    document = {
        "version": 1, "name": ATTACKS[1], "host": {"memory": 64 << 30}, "segments": segments, "processes": processes,
    }  # fmt: skip
    text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False) + f"# {ATTACKS[1]} {ATTACKS[2]}\n"
    return ptcalc.estimate(ptcalc.loads(text, name=f"{ATTACKS[0]}.yaml"))


@pytest.fixture(scope="module")
def page(written: Callable[[Estimate], Path]) -> Path:
    return written(hostile())


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_runs_and_all_is_shown(tab: Tab, page: Path, width: int) -> None:
    """No name becomes an element, a script or a style, in the page, its charts and its tooltips."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    tab.wide(width)
    tab.open(page)
    tab.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    tab.run(
        "for (const [name, value] of [['touch', 'run'], ['share', 300], ['size', 3]]) { const e ="
        " document.getElementById(`in-${name}`); e.value = value; e.dispatchEvent(new Event('input')); }"
    )
    tab.settle()
    for name in ("policies", "tables", "demand", "risk"):
        place = tab.driver.find_element(By.ID, f"chart-{name}")
        tab.run("arguments[0].scrollIntoView({block: 'center'})", place)
        ActionChains(tab.driver).move_to_element_with_offset(place, 30, 30).pause(0.1).perform()
    tab.settle()

    made = "return [window.hurt ?? null, document.querySelectorAll('img, iframe, svg script, main script').length]"
    assert tab.run(made) == [None, 0]
    handlers = "(e) => [...e.attributes].some((a) => a.name.startsWith('on'))"
    assert tab.run(f"return [...document.querySelectorAll('*')].filter({handlers})") == []
    assert tab.run("return document.querySelector('h1').textContent") == ATTACKS[1]
    assert tab.run("return document.title") == ATTACKS[1]
    assert tab.run("return getComputedStyle(document.querySelector('h1')).display") != "none"
    text = tab.run("return document.body.textContent")
    assert "\u202e" not in text and "\u2028" not in text
    assert tab.run(OVERFLOWING) == []


def test_the_policy_would_stop_what_escaping_missed(tab: Tab, page: Path) -> None:
    """An inline script, a handler, an evaluated text and a request are refused by the document itself."""
    tab.open(page)
    tab.run(
        "const s = document.createElement('script'); s.textContent = 'window.hurt = 1'; document.body.append(s);"
        "const i = document.createElement('img'); i.setAttribute('onerror', 'window.hurt = 2');"
        "i.src = 'https://example.invalid/x.png'; document.body.append(i);"
    )
    # Later, and not in the call itself, which is the debugger's.
    refused = tab.driver.execute_async_script(
        "const done = arguments[0]; setTimeout(() => { try { new Function('window.hurt = 3')(); done(false); }"
        " catch (error) { done(error instanceof EvalError); } }, 0)"
    )
    asked = tab.driver.execute_async_script(
        "const done = arguments[0]; fetch('https://example.invalid/').then(() => done('asked'), () => done('refused'))"
    )
    assert (tab.run("return window.hurt ?? null"), refused, asked) == (None, True, "refused")
    said = tab.complaints()  # of what this test did
    assert said and all("Content Security Policy" in each or "example.invalid" in each for each in said)
