"""A headless Chromium, and reports opened in it."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ptcalc
from ptcalc.report.html_report import render
from ptcalc.result import Estimate

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker("browser")
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"{' and '.join(missing)} not installed"))


class Tab:
    """A page in the browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path) -> None:
        """Open a file, and forget what was said of pages before."""
        self.driver.get_log("browser")
        self.driver.get(path.as_uri())
        self.settle()

    def settle(self) -> None:
        """Wait until what was asked of the page is drawn: two frames."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 0)))"
        )

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what a script in the page returns."""
        return self.driver.execute_script(script, *arguments)

    def wide(self, width: int, height: int = 900) -> None:
        """Make the window so wide, in CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.settle()

    def media(self, *, scheme: str = "light", kind: str = "") -> None:
        """Say what the reader prefers (light or dark), and whether it is print."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": kind, "features": features})
        self.settle()

    def complaints(self) -> list[str]:
        """Return what the console has said: errors, and what the page's policy forbade."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def picture(self, path: Path) -> None:
        """Write the whole page as a picture, to be looked at."""
        height = self.run("return document.documentElement.scrollHeight")
        width = self.run("return document.documentElement.clientWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, 12_000), "scale": 1}
        found = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        path.write_bytes(base64.b64decode(found["data"]))


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_script_timeout(120)
    yield driver
    driver.quit()


@pytest.fixture
def tab(driver: Any) -> Iterator[Tab]:
    """The browser's window, 1280 pixels wide, light; what a page complains of fails its test."""
    tab = Tab(driver)
    tab.wide(1280)
    tab.media()
    yield tab
    assert tab.complaints() == []


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Estimate], Path]:
    """Write the report on an estimate, and return where."""
    folder = tmp_path_factory.mktemp("reports")

    def write(estimate: Estimate) -> Path:
        path = folder / f"{len(list(folder.iterdir()))}.html"
        path.write_text(render(estimate), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def example(written: Callable[[Estimate], Path]) -> Callable[[str], Path]:
    """Return the report on an example, written once."""
    known: dict[str, Path] = {}

    def path_of(name: str) -> Path:
        if name not in known:
            known[name] = written(ptcalc.estimate(ptcalc.load(EXAMPLES / f"{name}.yaml")))
        return known[name]

    return path_of


def data_of(path: Path, name: str) -> Any:
    """Return the values that a page holds under a name."""
    text = path.read_text(encoding="utf-8")
    start = text.index(f'<script type="application/json" id="data-{name}">')
    return json.loads(text[text.index(">", start) + 1 : text.index("</script>", start)])
