"""The task runner: what it installs and when, and where it gets pip from if there is none."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
ANCIENT = "<a href='../../f/pip-9.0-py3-none-any.whl#sha256=" + "0" * 64 + "'>"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The runner as a module, its checkout an empty directory and no configuration of pip in force."""
    loader = importlib.machinery.SourceFileLoader("run", str(ROOT / "run"))
    spec = importlib.util.spec_from_loader("run", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    for name, path in {"ROOT": "", "VENV": ".venv", "CACHE": ".cache", "OWN": ".venv/.made-by-run"}.items():
        monkeypatch.setattr(module, name, tmp_path / path)
    monkeypatch.setattr(module, "PYTHON", tmp_path / ".venv/bin/python")
    monkeypatch.setattr(module, "setting", lambda name: None)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    (tmp_path / ".cache").mkdir()
    return module


@pytest.fixture
def installed(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """What was installed, one list for each installation; nothing really is."""
    calls: list[list[str]] = []
    monkeypatch.setattr(run, "install", calls.append)
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    return calls


def shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the runner itself."""
    return subprocess.run([ROOT / "run", *arguments], capture_output=True, text=True, env={**os.environ, **environment})


def test_without_arguments_it_lists_its_verbs() -> None:
    """The list is complete."""
    result = shell()

    assert result.returncode == 0
    assert all(f"\n  {verb} " in result.stdout for verb in ("ptcalc", "test", "lint", "types", "golden", "bench"))


def test_an_unknown_verb_is_wrong_usage() -> None:
    """The message names the verbs."""
    result = shell("estimate")

    assert result.returncode == 2
    assert "./run ptcalc estimate" in result.stderr
    assert not result.stdout


def test_no_python_is_said(tmp_path: Path) -> None:
    """Exit code 3 and what is missing, where only an old Python is found."""
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)

    result = shell(PATH=str(tmp_path))

    assert result.returncode == 3
    assert "Python 3.11" in result.stderr


def test_run_time_and_groups_are_installed_when_they_are_needed(run: Any, installed: list[list[str]]) -> None:
    """Running ptcalc needs its dependencies alone; a test adds to them; neither is installed twice."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    run.prepare()
    run.prepare("test")
    run.prepare("test")
    run.prepare()

    assert [
        sorted(project["project"]["dependencies"]),
        sorted(project["dependency-groups"]["test"]),
    ] == installed


def test_included_groups_are_expanded(run: Any) -> None:
    """A group that includes another holds what both say, once."""
    project = {
        "project": {"dependencies": []},
        "dependency-groups": {"a": ["x", "y"], "b": [{"include-group": "a"}, "y", "z"]},
    }

    assert run.requirements_of(project, {"b"}) == ["x", "y", "z"]


def test_a_changed_project_is_set_up_afresh(run: Any, installed: list[list[str]], tmp_path: Path) -> None:
    """Nothing of the old environment stays."""
    run.prepare()
    stale = tmp_path / ".venv/lib/stale"
    stale.write_text("")
    with (tmp_path / "pyproject.toml").open("a") as file:
        file.write("\n# changed\n")
    run.prepare()

    assert not stale.exists()
    assert len(installed) == 2


def test_an_interrupted_set_up_is_repaired(
    run: Any, installed: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What was half made is made afresh."""

    def interrupted(requirements: list[str]) -> None:
        (tmp_path / ".venv/half").write_text("")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "install", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run.prepare()
    run.prepare()

    assert not (tmp_path / ".venv/half").exists()
    assert len(installed) == 1


def test_the_environment_of_someone_else_stays(run: Any, installed: list[list[str]], tmp_path: Path) -> None:
    """A .venv that another tool made is not overwritten."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/mine").write_text("")

    with pytest.raises(run.CannotDoHere, match="move it away"):
        run.prepare()
    assert (tmp_path / ".venv/mine").exists()
    assert not installed


def test_the_environment_sees_the_checkout(run: Any, installed: list[list[str]], tmp_path: Path) -> None:
    """ptcalc is imported from the checkout, from whichever directory it is run."""
    run.prepare()
    where = subprocess.run(
        [run.PYTHON, "-c", "import sys; print(sys.path)"], capture_output=True, text=True, check=True, cwd="/"
    )

    assert repr(str(tmp_path)) in where.stdout


def index(tmp_path: Path, *wheels: tuple[str, bytes, str]) -> str:
    """Make an index on disk with wheels of pip: (version, content, attributes of the link)."""
    page = tmp_path / "simple/pip/index.html"
    page.parent.mkdir(parents=True)
    (tmp_path / "f").mkdir()
    links = [ANCIENT]
    for version, content, attributes in wheels:
        name = f"pip-{version}-py3-none-any.whl"
        (tmp_path / "f" / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        links.append(f'<a href="../../f/{name}#sha256={digest}" {attributes}>{name}</a>')
    page.write_text("\n".join(links))
    return f"file://{tmp_path}/simple"


def test_pip_comes_from_the_index(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The newest wheel that fits this Python and is not withdrawn."""
    where = index(
        tmp_path,
        ("24.2", b"older", ""),
        ("24.10", b"wanted", 'data-requires-python="&gt;=3.8"'),
        ("99.1", b"for later", 'data-requires-python="&gt;=3.99"'),
        ("98.0", b"withdrawn", 'data-yanked="broken"'),
    )
    monkeypatch.setenv("PIP_INDEX_URL", where)

    wheel = run.fetch_pip()

    assert wheel.name == "pip-24.10-py3-none-any.whl"
    assert wheel.read_bytes() == b"wanted"
    assert tmp_path / ".cache" == wheel.parent


def test_a_wheel_that_is_not_the_one_named_is_refused(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The checksum on the index page decides."""
    monkeypatch.setenv("PIP_INDEX_URL", index(tmp_path, ("24.2", b"good", "")))
    (tmp_path / "f/pip-24.2-py3-none-any.whl").write_bytes(b"evil")

    with pytest.raises(run.CannotDoHere, match="not the file that the index names"):
        run.fetch_pip()
    assert list((tmp_path / ".cache").iterdir()) == []


def test_no_index_is_said(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where neither pip nor an index is there, the message says what would help."""
    monkeypatch.setenv("PIP_INDEX_URL", f"file://{tmp_path}/nowhere")

    with pytest.raises(run.CannotDoHere, match="python3-venv or python3-pip, or set PIP_INDEX_URL"):
        run.fetch_pip()


def test_indexes_are_those_of_pip(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyPI unless something else is set."""
    assert run.indexes() == ["https://pypi.org/simple"]

    monkeypatch.setenv("PIP_INDEX_URL", "https://a/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://b/simple https://c/simple")

    assert run.indexes() == ["https://a/simple", "https://b/simple", "https://c/simple"]
