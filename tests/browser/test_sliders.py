"""The sliders against the engine: what the page shows for a setting is what ptcalc says of that workload."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ptcalc
from ptcalc.charting import figures
from ptcalc.charting.live import touched_as
from ptcalc.report.verdict import headline, limit
from ptcalc.workload import Workload
from ptcalc.workload.loading import build
from ptcalc.workload.source import Override
from tests.browser.conftest import EXAMPLES, Tab, data_of

# Settings in all; each is a setting of all sliders, judged under every policy.
SETTINGS = int(os.environ.get("PTCALC_SETTINGS", "1000"))
NAMES = (
    "oracle-sga-1500", "oracle-sga-1500-24pct-scattered", "mixed-sga-reporting", "container-cgroup", "app-with-budgets",
    "postgres-600", "short-pool", "amm-dev-shm",
)  # fmt: skip

# Set all inputs as a reader does, and read the answer and the table.
DRIVE = """
const [settings, done] = arguments;
const input = (name) => document.getElementById(`in-${name}`);
const put = (name, value) => {
  const each = input(name);
  if (!each || value === null) return;
  each.value = value;
  each.dispatchEvent(new Event('input', {bubbles: true}));
};
done(settings.map((setting) => {
  put('touch', setting.touch);
  for (const name of ['processes-number', 'size', 'share', 'memory', 'cgroup']) put(name, setting[name]);
  return {
    answer: document.getElementById('live-answer').textContent,
    rows: [...document.querySelectorAll('[id^="policy-"]')].map((row) => [row.children[0].textContent,
      ...[...row.querySelectorAll('[data-is]')].map((cell) => cell.dataset.value ?? cell.textContent)]),
  };
}));
"""


def settings_of(live: dict[str, Any], many: int, seed: int) -> list[dict[str, Any]]:
    """Return random settings of the sliders, ends and middles."""
    draw = random.Random(seed)
    top = figures.top_count([g["count"] for g in live["groups"]], [g["grows"] for g in live["groups"]])
    touches = ["all", "run", "spread"] + (["written"] if live["written_exact"] else [])
    return [
        {
            "processes-number": draw.choice([1, top, draw.randint(1, 4 * top), draw.randint(1, 4 * top)])
            if top
            else None,
            "size": draw.randrange(len(live["sizes"])),
            "touch": draw.choice(touches),
            "share": draw.choice([1, 1000, draw.randint(1, 1000), draw.randint(1, 1000)]),
            "memory": draw.randrange(len(live["memories"])),
            "cgroup": draw.randrange(len(live["cgroups"])) if live["cgroups"] else None,
        }
        for _ in range(many)
    ]


class Engine:
    """What ptcalc says of a workload with the numbers of a setting."""

    def __init__(self, workload: Workload, live: dict[str, Any]) -> None:
        self.workload, self.live = workload, live
        self.by_size: dict[int, Workload] = {}

    def __call__(self, setting: dict[str, Any]) -> ptcalc.Estimate:
        live = self.live
        workload = self._sized(live["sizes"][setting["size"]]["size"])
        host = workload.host
        memory = live["memories"][setting["memory"]]["memory"]
        if memory != host.memory:
            host = replace(host, memory=memory, mem_total=None)
        if setting["cgroup"] is not None:
            host = replace(host, cgroup_limit=live["cgroups"][setting["cgroup"]])
        counts = [group.count for group in workload.processes.values()]
        if setting["processes-number"] is not None:
            grows = [group.scale == "proportional" for group in workload.processes.values()]
            counts = figures.grown(counts, grows, setting["processes-number"])
        moved = iter(live["mappings"])
        touch = touched_as(setting["touch"], setting["share"], live["step_most"], live["page"])
        groups = {}
        for (name, group), count in zip(workload.processes.items(), counts, strict=True):
            mappings = [
                replace(mapping, written_touch=(touch,))
                if next(moved)["moved"] and setting["touch"] != "written"
                else mapping
                for mapping in group.mappings
            ]
            groups[name] = replace(group, count=count, mappings=tuple(mappings))
        return ptcalc.estimate(replace(workload, host=host, processes=groups))

    def _sized(self, size: int) -> Workload:
        name = self.live["segment"]
        if size not in self.by_size:
            override = Override(("segments", name, "size"), str(size), "the test")
            self.by_size[size] = build(self.workload.positions.overridden([override]))
        return self.by_size[size]


@pytest.mark.parametrize("name", NAMES)
def test_equal_to_the_engine(tab: Tab, example: Callable[[str], Path], name: str) -> None:
    """Tables, demand, what is free, risk and both limits of every policy, to the byte; the answer, word for word."""
    path = example(name)
    live = data_of(path, "live")
    settings = settings_of(live, max(1, SETTINGS // len(NAMES)), seed=len(name))
    tab.open(path)

    shown = tab.driver.execute_async_script(DRIVE, settings)
    tab.settle()

    engine = Engine(ptcalc.load(EXAMPLES / f"{name}.yaml"), live)
    for setting, found in zip(settings, shown, strict=True):
        expected = engine(setting)
        rows = [
            [
                each.policy, str(each.page_tables.used_bytes), str(each.memory.demand_bytes),
                str(each.memory.headroom_bytes), each.risk.level, str(each.risk.safe_processes),
                str(each.risk.max_processes),
            ]
            for each in expected.policies
        ]  # fmt: skip
        assert found["rows"] == rows, setting
        assert found["answer"] == headline(expected, expected.policy("today")), setting


def table_of(tab: Tab, name: str) -> Any:
    return tab.run(
        "return [...document.querySelectorAll(`#table-${arguments[0]} tr`)].map((row) => [...row.children].map("
        "(cell) => cell.querySelector('[data-value]')?.dataset.value ?? cell.textContent))",
        name,
    )


@pytest.mark.parametrize("name", ["oracle-sga-1500", "short-pool", "oracle-sga-1500-24pct-contiguous"])
def test_charts_of_the_twin_are_those_of_the_engine(tab: Tab, example: Callable[[str], Path], name: str) -> None:
    """Computed by the page for the numbers of the file, all charts have the numbers that they were written with."""
    path = example(name)
    tab.open(path)
    charts = [chart["name"] for chart in data_of(path, "charts")]
    assert charts == ["policies", "tables", "demand", "risk"]
    before = {chart: table_of(tab, chart) for chart in charts}
    marks = "return [...document.querySelectorAll('#figure-demand .marks [data-value]')].map((e) => e.dataset.value)"
    marked = tab.run(marks)

    change = {"touch": "all", "processes-number": 77, "size": 0, "share": 500, "memory": 0, "cgroup": None}
    tab.driver.execute_async_script(DRIVE, [change])
    tab.settle()
    assert all(table_of(tab, chart) != before[chart] for chart in charts)

    live = data_of(path, "live")
    back = {
        "touch": "written",
        "processes-number": live["groups"][0]["count"],
        "size": [each["size"] for each in live["sizes"]].index(live["written"]["size"]),
        "share": 1000,
        "memory": [each["memory"] for each in live["memories"]].index(live["written"]["memory"]),
        "cgroup": None,
    }
    tab.driver.execute_async_script(DRIVE, [back])
    tab.settle()
    assert {chart: table_of(tab, chart) for chart in charts} == before
    assert tab.run(marks) == marked


def test_keyboard_and_mouse(tab: Tab, example: Callable[[str], Path]) -> None:
    """Arrow keys and a click on a slider move it; a button goes back to the file."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    tab.open(example("oracle-sga-1500"))
    answer = tab.driver.find_element(By.ID, "live-answer")
    as_written = answer.text
    before = table_of(tab, "demand")

    memory = tab.driver.find_element(By.ID, "in-memory")
    memory.send_keys(*[Keys.ARROW_RIGHT] * 20)
    tab.settle()
    assert answer.text != as_written
    assert tab.run("return document.getElementById('in-memory').getAttribute('aria-valuetext')") == "1.13 TiB"

    processes = tab.driver.find_element(By.ID, "in-processes")
    typed = tab.driver.find_element(By.ID, "in-processes-number")
    ActionChains(tab.driver).move_to_element_with_offset(
        processes, -processes.size["width"] // 2 + 12, 0
    ).click().perform()
    assert int(typed.get_attribute("value") or 0) < 400
    assert answer.text.startswith("YES.")

    tab.driver.find_element(By.ID, "live-reset").click()
    tab.settle()
    assert (answer.text, table_of(tab, "demand")) == (as_written, before)


def test_random_touches_are_not_pretended(tab: Tab, example: Callable[[str], Path]) -> None:
    """Where the file touches at random, the sliders wait until an exact touch is chosen, and say so."""
    from selenium.webdriver.common.by import By

    tab.open(example("oracle-sga-1500-24pct-scattered"))
    note = tab.driver.find_element(By.ID, "live-random")
    memory = tab.driver.find_element(By.ID, "in-memory")
    assert note.is_displayed() and "exact touches only" in note.text
    assert not memory.is_enabled()

    tab.run("const e = document.getElementById('in-touch'); e.value = 'run'; e.dispatchEvent(new Event('input'))")
    assert memory.is_enabled() and not note.is_displayed()


def test_limits_are_shown_like_everywhere(tab: Tab, example: Callable[[str], Path]) -> None:
    """A limit that no memory sets is marked as in the other reports."""
    tab.open(example("oracle-sga-1500"))
    memory = {"touch": "all", "processes-number": 1, "size": 0, "share": 1, "memory": 40, "cgroup": None}
    tab.driver.execute_async_script(DRIVE, [memory])
    text = tab.run("return document.querySelector('#policy-0 [data-is=most]').textContent")
    value = tab.run("return document.querySelector('#policy-0 [data-is=most]').dataset.value")
    assert text == limit(int(value), "memory")
