"""The pages of docs/reference that are made of what ptcalc says of itself: the help of every command, and its schemas.

`./run golden` writes them, and test_docs.py fails where they are stale.
"""

from __future__ import annotations

import io
import json
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
    """Return the pages by their names."""
    found = {"commands.md": "\n".join(_commands())}
    for name in SCHEMAS if "schema" in COMMANDS else ():
        found[f"{name}-schema.md"] = "\n".join(schema_page(name, json.loads(_printed("schema", name))))
    return {name: WRITTEN + text for name, text in found.items()}


def schema_page(name: str, schema: Schema) -> Iterator[str]:
    """Yield the page of a JSON Schema: a table for each object in it."""
    yield f"# Schema of a {name}\n"
    yield f"What `ptcalc schema {name}` prints, as tables. {schema.get('description', '')}\n"
    yield from _object(schema)
    for title, definition in sorted(schema.get("$defs", {}).items()):
        yield f"## {title}\n"
        if definition.get("description"):
            yield f"{_cell(definition['description'])}\n"
        if "properties" in definition:
            yield from _object(definition)
        else:
            yield f"{_kind(definition)}\n"


def _object(schema: Schema) -> Iterator[str]:
    required = schema.get("required", ())
    yield "| key | | value | meaning |"
    yield "| --- | --- | --- | --- |"
    for key, value in schema.get("properties", {}).items():
        default = f"default `{json.dumps(value['default'])}`" if "default" in value else ""
        needed = "required" if key in required else _cell(default)
        yield f"| `{key}` | {needed} | {_cell(_kind(value))} | {_cell(value.get('description', ''))} |"
    yield ""


def _kind(schema: Schema) -> str:
    """Say what a value may be."""
    if "$ref" in schema:
        title = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{title}](#{title.lower()})"
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(each)}`" for each in schema["enum"])
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_kind(each) for each in schema[several]))
    kinds = schema.get("type", "anything")
    text = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    if text == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    beyond = schema.get("additionalProperties")
    if text == "object" and isinstance(beyond, dict):
        return f"names, each with {_kind(beyond)}"
    return f"{text}, `{schema['pattern']}`" if "pattern" in schema else text


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
