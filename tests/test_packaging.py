"""The package: what a wheel holds, what it depends on, and what importing it costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import ptcalc

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# pydantic_core is a part of pydantic: each pydantic asks for exactly one version of it.
COMES_WITH = {"yaml": "pyyaml", "pydantic_core": "pydantic"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from the checkout."""
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return zipfile.ZipFile(next(target.glob("*.whl")))


def test_wheel_holds_the_package(wheel: zipfile.ZipFile) -> None:
    """All modules, the marker of types and the licence; no tests."""
    names = set(wheel.namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "ptcalc").rglob("*.py")}

    assert modules <= names
    assert "ptcalc/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert {name.partition("/")[0] for name in names} == {"ptcalc", f"ptcalc-{ptcalc.__version__}.dist-info"}


def test_wheel_installs_the_command(wheel: zipfile.ZipFile) -> None:
    """`ptcalc` is the function that `python -m ptcalc` calls."""
    entry = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))

    assert "ptcalc = ptcalc.cli.main:main" in wheel.read(entry).decode()


def imported(path: Path) -> set[str]:
    """Top-level packages that a module imports, for types alone included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_dependencies_are_those_imported() -> None:
    """What the package imports is declared, and what is declared is imported."""
    project = PROJECT["project"]
    required = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    declared = {re.split(r"[^\w-]", requirement)[0].lower() for requirement in required}
    used = set().union(*(imported(path) for path in (ROOT / "ptcalc").rglob("*.py")))
    foreign = used - set(sys.stdlib_module_names) - {"ptcalc"}

    assert declared == {COMES_WITH.get(name, name) for name in foreign}


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded after running `code` in a new process."""
    show = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    result = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}\n{show}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stdout.splitlines()[-1].split())


HEAVY = {"click", "numpy", "pydantic", "rich", "yaml"}


def test_importing_the_library_is_free() -> None:
    """`import ptcalc` loads nothing that is heavy."""
    assert not modules_after("import ptcalc") & HEAVY


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_loads_click_alone(option: str) -> None:
    """Help and version do not wait for NumPy."""
    code = f"from ptcalc.cli.main import main; main([{option!r}])"

    assert modules_after(code) & HEAVY == {"click"}


def test_library_users_load_neither_click_nor_rich() -> None:
    """Estimating from Python needs no terminal."""
    code = (
        "import ptcalc\n"
        "ptcalc.estimate(ptcalc.loads('{version: 1, name: x, host: {memory: 1 GiB},"
        " segments: {s: {size: 1 MiB, backing: shmem}},"
        " processes: {p: {count: 1, mappings: [{segment: s}]}}}'))"
    )

    assert not modules_after(code) & {"click", "rich"}


def test_public_names_exist() -> None:
    """Every exported name can be had, and `dir` lists them."""
    assert all(getattr(ptcalc, name) is not None for name in ptcalc.__all__)
    assert dir(ptcalc) == sorted(ptcalc.__all__)
