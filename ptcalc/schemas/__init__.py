"""JSON Schemas (draft 2020-12) of what ptcalc reads and writes; `ptcalc.schemas.making` makes the files here."""

from __future__ import annotations

from importlib.resources import files

NAMES = {
    "workload": "a workload file",
    "result": "what estimate and explain save as JSON",
    "config": "a file for --config",
}


def schema_text(name: str) -> str:
    """Return the schema of that name, one of `NAMES`, as JSON text.  Raises KeyError for another name."""
    if name not in NAMES:
        raise KeyError(name)
    return files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8")
