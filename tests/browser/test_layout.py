"""Reports on a phone, a tablet and a desk, light, dark and on paper."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.conftest import Tab, data_of

SHOWN = ("oracle-sga-1500", "mixed-sga-reporting", "container-cgroup", "kvm-vhost-user", "amm-dev-shm")

OVERFLOWING = """
const wide = document.documentElement.clientWidth;
return [document.documentElement.scrollWidth > wide ? 'the page' : '', ...[...document.querySelectorAll('main *')]
  .filter((each) => !each.closest('.wide, .chart, option') && each.getBoundingClientRect().right > wide + 0.5)
  .map((each) => `${each.tagName}.${each.className} ${each.textContent.slice(0, 40)}`)].filter((each) => each);
"""
# Contrast of text against what lies behind it (WCAG 2.1, 1.4.3).
CONTRASTS = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const linear = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
const behind = (each) => {
  for (let at = each; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const speaks = (each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
return [...document.querySelectorAll('main *')]
  .filter((each) => !each.closest('.chart') && !each.disabled && each.offsetParent && speaks(each))
  .map((each) => {
    const style = getComputedStyle(each), [a, b] = [light(parse(style.color)), light(behind(each))];
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), large ? 3 : 4.5, each.textContent.slice(0, 40)];
  }).filter(([ratio, least]) => ratio < least);
"""


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_window(tab: Tab, example: Callable[[str], Path], name: str, width: int) -> None:
    """What is wide scrolls by itself; with everything opened too."""
    tab.wide(width)
    tab.open(example(name))
    assert tab.run(OVERFLOWING) == []

    tab.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    tab.settle()
    assert tab.run(OVERFLOWING) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["oracle-sga-1500", "container-cgroup"])
def test_contrast(tab: Tab, example: Callable[[str], Path], name: str, scheme: str) -> None:
    """All text is told from its background, in both schemes (WCAG AA)."""
    tab.media(scheme=scheme)
    tab.open(example(name))
    tab.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert tab.run(CONTRASTS) == []


def test_dark_and_paper(tab: Tab, example: Callable[[str], Path]) -> None:
    """Charts take the colours of the scheme at once; paper is light whatever the scheme."""
    tab.open(example("oracle-sga-1500"))
    colour = "return getComputedStyle(document.querySelector('#chart-policies svg text')).fill"
    background = "return getComputedStyle(document.body).backgroundColor"
    light = tab.run(colour)
    assert tab.run(background) == "rgb(253, 253, 252)"

    tab.media(scheme="dark")
    assert tab.run(background) == "rgb(21, 23, 26)"
    assert tab.run(colour) != light

    tab.media(scheme="dark", kind="print")
    assert tab.run(background) == "rgb(255, 255, 255)"
    assert tab.run(colour) == light
    assert tab.run("return getComputedStyle(document.getElementById('live')).display") == "none"


def test_prints(tab: Tab, example: Callable[[str], Path]) -> None:
    """On paper there are a few pages, not one and not a hundred."""
    tab.open(example("mixed-sga-reporting"))
    printed = base64.b64decode(tab.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    pages = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert 3 <= pages <= 15


@pytest.mark.parametrize("name", SHOWN)
def test_charts_and_their_numbers(tab: Tab, example: Callable[[str], Path], name: str) -> None:
    """Every chart is drawn, has a name and words, and its table holds exactly what it was drawn from."""
    path = example(name)
    tab.open(path)
    for chart in data_of(path, "charts"):
        place = f"chart-{chart['name']}"
        role, words, label, paths = tab.run(
            "const e = document.getElementById(arguments[0]);"
            "const of = (name) => document.getElementById(e.getAttribute(name)).textContent;"
            "return [e.getAttribute('role'), of('aria-describedby'), of('aria-labelledby'),"
            " e.querySelectorAll('svg path, svg rect').length]",
            place,
        )
        assert (role, words, label) == ("img", chart["alt"], chart["title"])
        assert paths > 3
        rows = tab.run(
            "return [...document.querySelectorAll(`#table-${arguments[0]} tbody tr`)].map((row) => [...row.children]"
            ".map((cell) => cell.querySelector('[data-value]')?.dataset.value ?? cell.textContent))",
            chart["name"],
        )
        expected = [
            [str(place), *(str(series["values"][at]) for series in chart["series"])]
            for at, place in enumerate(chart["x"]["values"])
        ]
        assert rows == expected


def test_hover_shows_a_tooltip(tab: Tab, example: Callable[[str], Path]) -> None:
    """The pointer over a bar or an area shows its numbers; over a cell, the level."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    tab.open(example("oracle-sga-1500"))
    for name, expected in (("policies", "page tables"), ("demand", "in all"), ("risk", "size of sga")):
        place = tab.driver.find_element(By.ID, f"chart-{name}")
        tab.run("arguments[0].scrollIntoView({block: 'center'})", place)
        tab.settle()
        ActionChains(tab.driver).move_to_element_with_offset(place, 40, 40).pause(0.3).perform()
        tab.settle()
        texts = tab.run("return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)",
                        f"#chart-{name} svg text, #chart-{name} svg tspan")  # fmt: skip
        assert any(expected in each for each in texts), texts
