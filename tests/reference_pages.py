"""The pages of docs/reference that are made of what ptcalc says of itself: the help of every command, and its schemas.

`./run golden` writes them, and test_docs.py fails where they are stale.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from ptcalc.cli.main import COMMANDS, cli, main

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs/reference"
SCHEMAS = ("workload", "result", "config")
Schema = dict[str, Any]
WRITTEN = "<!-- Written by ./run golden from what ptcalc says of itself; changes here are lost. -->\n\n"


def pages() -> dict[str, str]:
    """Return the pages by their names, as a new process makes them: nothing that ran before this has a part in them."""
    made = subprocess.run(
        [sys.executable, "-c", f"import json, {__name__} as made; print(json.dumps(made.pages_here()))"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, str] = json.loads(made.stdout)
    return found


def pages_here() -> dict[str, str]:
    """Return the same as this process makes them."""
    found = {"commands.md": "\n".join(_commands())}
    for name in SCHEMAS if "schema" in COMMANDS else ():
        found[f"{name}-schema.md"] = "\n".join(schema_page(name, json.loads(_printed("schema", name))))
    return {name: WRITTEN + text for name, text in found.items()}


def schema_page(name: str, schema: Schema) -> Iterator[str]:
    """Yield the page of a JSON Schema: a table for each object in it, by the path that leads there."""
    yield f"# Schema of a {name}\n"
    yield f"What `ptcalc schema {name}` prints, as tables. {_sentence(schema.get('title', ''))}\n"
    waiting = [("", schema), *schema.get("$defs", {}).items()]
    while waiting:
        path, node = waiting.pop(0)
        if path:
            yield f"## `{path}`\n"
            if node.get("description"):
                yield f"{_sentence(node['description'])}\n"
        inside: list[tuple[str, Schema]] = []
        if "properties" in node:
            yield from _table(path, node, inside)
        else:
            yield f"{_sentence(_kind(node, path, inside))}\n"
        waiting = inside + waiting


def _table(path: str, schema: Schema, inside: list[tuple[str, Schema]]) -> Iterator[str]:
    yield "| key | | value | meaning |"
    yield "| --- | --- | --- | --- |"
    for key, value in schema["properties"].items():
        default = f"default `{json.dumps(value['default'])}`" if "default" in value else ""
        needed = "required" if key in schema.get("required", ()) else default
        kind = _kind(value, f"{path}.{key}".removeprefix("."), inside)
        yield f"| `{key}` | {_cell(needed)} | {_cell(kind)} | {_cell(value.get('description', ''))} |"
    yield ""


def _kind(schema: Schema, path: str, inside: list[tuple[str, Schema]]) -> str:
    """Say what a value may be; what has keys of its own goes to ``inside``, with the path that leads there."""
    if "$ref" in schema:
        return f"see `{schema['$ref'].rsplit('/', 1)[-1]}`"
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(each)}`" for each in schema["enum"])
    if "properties" in schema:
        inside.append((path, schema))
        return f"see `{path}`"
    for several in ("oneOf", "anyOf"):
        if several in schema:
            parts = schema[several]
            many = sum("properties" in part for part in parts) > 1
            told = [_kind(part, f"{path} ({at})" if many else path, inside) for at, part in enumerate(parts, 1)]
            return " or ".join(dict.fromkeys(told))
    kinds = schema.get("type", "anything")
    # What is read from its text may be written as a number or a word that YAML knows, too.
    text = str(kinds) if isinstance(kinds, str) else "string" if "string" in kinds else " or ".join(kinds)
    if text == "array":
        return f"list: {_kind(schema.get('items', {}), f'{path}[]', inside)}"
    beyond = schema.get("additionalProperties")
    if text == "object" and isinstance(beyond, dict) and beyond:
        return f"for each name: {_kind(beyond, f'{path}.*', inside)}"
    return "text" if text == "string" else text


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?')) else '.'}" if text else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _commands() -> Iterator[str]:
    yield "# Commands\n"
    yield "What `--help` says of each of them. Exit codes are the same for all: [exit-codes.md](../exit-codes.md).\n"
    yield "```text"
    yield f"{_help()}```\n"
    for name in COMMANDS:
        yield from _command([name], cli.get_command(click.Context(cli), name))


def _command(words: list[str], command: click.Command | None) -> Iterator[str]:
    """Yield the section of a command, and of those below it."""
    assert command is not None
    yield f"{'#' * (len(words) + 1)} ptcalc {' '.join(words)}\n"
    yield "```text"
    yield f"{_help(*words)}```\n"
    for name, below in command.commands.items() if isinstance(command, click.Group) else ():
        yield from _command([*words, name], below)


def _help(*words: str) -> str:
    return _printed(*words, "--help")


def _printed(*words: str) -> str:
    """Return what a command prints, as into a pipe."""
    out = io.StringIO()
    with redirect_stdout(out):
        assert main(words) == 0
    return out.getvalue()
