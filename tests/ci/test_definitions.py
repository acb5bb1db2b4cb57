"""What the repository offers to pipelines: the action, the hook, and the examples of docs/ci.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from ptcalc.cli.main import cli

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]
Arguments = list[str]

EXAMPLE = re.compile(r"<!-- file: (?P<name>\S+) -->\n```yaml\n(?P<text>.*?)```\n", re.DOTALL)
EXAMPLES = {found["name"]: found["text"] for found in EXAMPLE.finditer((ROOT / "docs/ci.md").read_text("utf-8"))}
ACTION: Json = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))


def tool(*command: str | Path) -> None:
    """Run a tool of the environment."""
    done = subprocess.run([sys.executable, "-P", "-m", *map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def example(tmp_path: Path) -> Callable[[str], Path]:
    """The maker of a file of docs/ci.md."""

    def make(name: str) -> Path:
        path = tmp_path / Path(name).name
        path.write_text(EXAMPLES[name], "utf-8")
        return path

    return make


def test_action_is_one() -> None:
    """The action keeps to the schema of GitHub's actions."""
    tool("check_jsonschema", "--builtin-schema", "vendor.github-actions", ROOT / "action.yml")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (".github/workflows/capacity.yaml", ["--builtin-schema", "vendor.github-workflows"]),
        (".gitlab-ci.yml", ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
    ],
)
def test_pipelines_shown_are_some(name: str, options: Arguments, example: Callable[[str], Path]) -> None:
    """The pipelines of the documentation keep to the schemas of GitHub and GitLab."""
    tool("check_jsonschema", *options, example(name))


def test_hook_is_one(example: Callable[[str], Path]) -> None:
    """pre-commit takes the definition of the hook, and the configuration that the documentation shows."""
    tool("pre_commit", "validate-manifest", ROOT / ".pre-commit-hooks.yaml")
    tool("pre_commit", "validate-config", example(".pre-commit-config.yaml"))


def test_examples_use_what_there_is() -> None:
    """The inputs and the hook that the documentation shows exist, and the table of inputs has them all."""
    steps = yaml.safe_load(EXAMPLES[".github/workflows/capacity.yaml"])["jobs"]["page-tables"]["steps"]
    given = next(step["with"] for step in steps if "/ptcalc@" in step["uses"])
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    [repository] = yaml.safe_load(EXAMPLES[".pre-commit-config.yaml"])["repos"]
    rows = re.findall(r"^\| ((?:`[\w-]+`(?:, )?)+) \|", (ROOT / "docs/ci.md").read_text("utf-8"), re.MULTILINE)

    assert given.keys() <= ACTION["inputs"].keys()
    assert {hook["id"] for hook in repository["hooks"]} == {hook["id"] for hook in hooks}
    assert ACTION["inputs"].keys() <= {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}


@pytest.fixture
def acted(tmp_path: Path) -> Callable[..., tuple[int, Arguments]]:
    """The action's script, run on inputs; returns its exit code, and with what it calls ptcalc."""
    stub = tmp_path / "action" / "run"
    stub.parent.mkdir()
    stub.write_text('#!/bin/bash\nprintf "%s\\0" "$@" >"$CALLED"\nexit "$CODE"\n')
    stub.chmod(0o755)
    called = tmp_path / "called"
    [step] = ACTION["runs"]["steps"]

    def act(code: int = 0, **given: str) -> tuple[int, Arguments]:
        inputs = {name: each["default"] for name, each in ACTION["inputs"].items()}
        inputs |= {name.replace("_", "-"): value for name, value in given.items()}
        named = {name: re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", value) for name, value in step["env"].items()}
        variables = {name: inputs[found[1]] for name, found in named.items() if found}
        assert len(variables) == len(inputs)
        system = {"PATH": os.environ["PATH"], "GITHUB_ACTION_PATH": str(stub.parent), "CALLED": str(called)}
        # As GitHub's runner starts a step whose shell is bash.
        bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(bash, env={**system, **variables, "CODE": str(code)}, cwd=tmp_path)
        return done.returncode, called.read_text().split("\0")[:-1]

    return act


def test_action_calls_check(acted: Callable[..., tuple[int, Arguments]]) -> None:
    """Inputs become options, line by line; what is not given is not."""
    plain = ["ptcalc", "check", "--format", "github", "--fail-on", "oom", "--", "."]
    full = [
        *("ptcalc", "check", "--format", "github", "--fail-on", "critical", "--config", "a b.yaml"),
        *(
            "--export",
            "sarif=x.sarif",
            "--export",
            "junit=x.xml",
            "--force",
            "--policy",
            "today",
            "--policy",
            "hugetlb-2M",
        ),
        *("--", "capacity", "more files"),
    ]
    given = {
        "files": "capacity\nmore files\n",
        "config": "a b.yaml",
        "policies": "today\n\nhugetlb-2M\n",
        "fail_on": "critical",
        "sarif": "x.sarif",
        "junit": "x.xml",
    }

    assert acted() == (0, plain)
    assert acted(**given) == (0, full)


@pytest.mark.parametrize("code", [1, 2])
def test_action_fails_as_the_check_does(code: int, acted: Callable[..., tuple[int, Arguments]]) -> None:
    """The exit code is that of the check."""
    assert acted(code)[0] == code


def test_action_takes_nothing_for_a_command(acted: Callable[..., tuple[int, Arguments]], tmp_path: Path) -> None:
    """An input is a name, whatever it looks like."""
    name = "$(touch gone) `touch gone`; touch gone \"' * --exit-zero"

    assert acted(files=name)[1][-2:] == ["--", name]
    assert acted(files="--exit-zero")[1][-2:] == ["--", "--exit-zero"]
    assert not (tmp_path / "gone").exists()


def test_action_and_hook_call_a_command_that_there_is(acted: Callable[..., tuple[int, Arguments]]) -> None:
    """ptcalc takes the arguments with which the action and the hook call it."""
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    [repository] = yaml.safe_load(EXAMPLES[".pre-commit-config.yaml"])["repos"]
    calls = [
        acted()[1],
        acted(sarif="x.sarif", junit="x.xml", config="c.yaml", policies="today")[1],
        [*hook["entry"].split(), *repository["hooks"][0]["args"], "a.yaml"],
    ]

    for program, name, *arguments in calls:
        command = cli.get_command(click.Context(cli), name)

        assert program == "ptcalc"
        assert command is not None
        command.make_context(name, arguments)
