"""The hook, run by the real pre-commit on a repository of somebody else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
HOOKS = ".pre-commit-hooks.yaml"
Done = subprocess.CompletedProcess[str]
CANNOT_INSTALL = 3  # pre-commit's exit code for what is no fault of the hook

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Done]:
    """Run a command in the repository of a user, who has no configuration of git."""
    place = tmp_path / "project"
    place.mkdir()
    variables = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "PRE_COMMIT_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(ROOT),
        **{f"GIT_{who}_{what}": "user@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    # Where pre-commit itself runs these tests, git is told of another repository.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def run(*command: object, where: Path = place) -> Done:
        return subprocess.run(
            list(map(str, command)), cwd=where, env={**inherited, **variables}, capture_output=True, text=True
        )

    run("git", "init", "--quiet")
    return run


@pytest.fixture
def project(run: Callable[..., Done], tmp_path: Path) -> Path:
    """A repository with two workloads, one of which runs out of memory, and YAML of another kind."""
    place = tmp_path / "project"
    (place / "capacity").mkdir()
    for name in ("oracle-sga-1500.yaml", "kvm-vhost-user.yaml"):
        shutil.copy(ROOT / "examples" / name, place / "capacity")
    (place / "other.yaml").write_text("no: workload\n")
    run("git", "add", ".")
    return place


def test_hook_judges_what_is_committed(run: Callable[..., Done], project: Path, tmp_path: Path) -> None:
    """One run for the workloads among the files: it fails as the check does, and passes where nothing fails.

    Only what the hook runs is in place of what pre-commit would install, for which the test below needs a network.
    """
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    shutil.copy(ROOT / HOOKS, hooks)
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "hooks"]):
        assert run("git", *command, where=hooks).returncode == 0
    revision = run("git", "rev-parse", "HEAD", where=hooks).stdout.strip()
    here = {"language": "system", "entry": f"'{sys.executable}' -P -m ptcalc check"}
    hook = {"id": "ptcalc-check", "files": "^capacity/", **here}
    config = {"repos": [{"repo": str(hooks), "rev": revision, "hooks": [hook]}]}
    (project / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    run("git", "add", ".")

    failed = run(sys.executable, "-P", "-m", "pre_commit", "run", "--all-files")
    passed = run(sys.executable, "-P", "-m", "pre_commit", "run", "--files", "capacity/kvm-vhost-user.yaml")

    assert failed.returncode == 1
    assert "FAILED: 1 of 2 files" in failed.stdout
    assert "capacity/oracle-sga-1500.yaml:17:12: error" in failed.stdout
    assert passed.returncode == 0, passed.stdout


@pytest.mark.tools
@pytest.mark.parametrize(("name", "code"), [("oracle-sga-1500.yaml", 1), ("kvm-vhost-user.yaml", 0)])
def test_hook_is_installed(name: str, code: int, run: Callable[..., Done], project: Path) -> None:
    """pre-commit installs ptcalc from its repository, as for a user, and runs it."""
    if not (ROOT / ".git").exists():
        pytest.skip("no repository that pre-commit could clone")

    done = run(
        sys.executable, "-P", "-m", "pre_commit", "try-repo", ROOT, "ptcalc-check", "--files", f"capacity/{name}"
    )
    if done.returncode == CANNOT_INSTALL:
        pytest.skip(f"pre-commit could not install the hook: {done.stdout}")

    assert done.returncode == code, done.stdout + done.stderr
    assert "ptcalc check" in done.stdout
