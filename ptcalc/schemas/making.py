"""How the JSON Schemas of this folder are made; `./run golden` writes them, and a test holds them to it.

Workload files and saved results are described from the schemas by which ptcalc reads them, so that a new key is there
by itself.  What a key means is said by the tables of docs/workload.md.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ptcalc.arch.geometry import LEVEL_NAMES
from ptcalc.checking import agreements, rules
from ptcalc.result import ESTIMATE_SCHEMA, EXPLAIN_SCHEMA, RISK_ORDER
from ptcalc.risk import config
from ptcalc.saved import shapes as saved
from ptcalc.schemas import texts
from ptcalc.schemas.shapes import Json, Shaper
from ptcalc.workload import event_schema, geometries, schema, sizes
from ptcalc.workload.distributions import FORMS
from ptcalc.workload.places import place_of
from ptcalc.workload.source import Path

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_OWN_TABLES = ("host", "segments", "processes", "mappings", "touch")

_LEAVES: dict[Any, Json] = {
    sizes.parse_size: texts.SIZE,
    sizes.parse_address: texts.ADDRESS,
    sizes.parse_amount: texts.AMOUNT,
    sizes.parse_count: texts.count(),
    sizes.parse_duration: texts.DURATION,
    schema._positive: texts.POSITIVE,
    schema._alignment: texts.ALIGNMENT,
    schema._some: texts.SOME,
    schema._processes: texts.PROCESSES,
    schema._score: texts.number(texts.SIGNED["anyOf"][1]["pattern"], -1000, 1000),
    schema._nodes: texts.count(1, schema.MAX_NUMA_NODES),
    schema._truth: texts.TRUTH,
    schema._locked: texts.LOCKED,
    schema._name: texts.NAME,
    schema._version: {"enum": [1, "1"]},
    schema._resident: {"anyOf": [{"enum": ["all", "touched"]}, *texts.SIZE["anyOf"]]},
    schema._filled: {"minItems": 1, "minProperties": 1},
}


def made(reference: str) -> dict[str, str]:
    """Return the JSON Schemas by name, as texts; ``reference`` is the page that says what the keys mean."""
    found = {"workload": _workload(_notes(reference)), "result": _result(), "config": _config()}
    return {name: json.dumps(each, indent=1, ensure_ascii=False) + "\n" for name, each in found.items()}


def _titled(title: str, shape: Json, definitions: Json) -> Json:
    return {"$schema": _DRAFT, "title": title, **shape, **({"$defs": definitions} if definitions else {})}


def _notes(reference: str) -> dict[tuple[str, str], str]:
    """Return what the tables of the page say: (section, key) -> what it means, and its default."""
    found: dict[tuple[str, str], str] = {}
    section = ""
    for line in reference.splitlines():
        if heading := re.match(r"#+ (.*)", line):
            section = heading[1].strip("`").lower()
        row = re.fullmatch(r"\| ((?:`\w+`(?:, )?)+) \| (?:(.*?) \| )?(.*?) ?\|", line)
        if row is None:
            continue
        keys, default, meaning = row.groups()
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", meaning).replace("`", "")
        stands = f"default: {default}".replace("`", "") if default and default != "required" else ""
        for key in re.findall(r"\w+", keys):
            found[section if section in _OWN_TABLES else "", key] = "; ".join(filter(None, (plain, stands)))
    return found


# --- the workload file -----------------------------------------------------------------------------------------


def _workload(notes: dict[tuple[str, str], str]) -> Json:
    def note(path: Path) -> str:
        if not path or not isinstance(path[-1], str):
            return ""
        if len(path) == 1:
            return notes.get(("", path[0]), "") if isinstance(path[0], str) else ""
        named = [step for step in path[:-1] if step in _OWN_TABLES]
        return notes.get((str(named[-1]), path[-1]), "") if named and path[0] != "events" else ""

    def place(path: Path, shape: Json) -> Json:
        found = place_of(path)
        if found is None or "$ref" in shape:
            return shape
        return {"anyOf": [*shape.get("anyOf", [shape]), {"$ref": f"#/$defs/distribution-{found.unit}"}]}

    def special(path: Path, core: Json) -> Json | None:
        if core is schema.TOUCH_LIST or core.get("schema") is schema.TOUCH_LIST:
            return {"$ref": "#/$defs/touch"}
        if len(path) == 1 and core["type"] == "any":
            return _APART[str(path[0])]()
        return None

    shaper = Shaper(_LEAVES, note=note, place=place, special=special)
    shape = shaper.shape(schema.WORKLOAD)
    shape["required"].remove("name")  # by default that of the file
    shape["patternProperties"] = {"^x-": {"description": "yours: anchors, notes; not read"}}
    units = {"bytes": texts.SIZE, "count": texts.count(), "amount": texts.AMOUNT}
    definitions: Json = {f"distribution-{unit}": _distribution(number) for unit, number in units.items()}
    definitions["touch"] = _touch(shaper)
    return _titled("A workload of ptcalc: a host, the memory that processes map, and the processes", shape, definitions)


def _distribution(number: Json) -> Json:
    """Return the distributions that may stand in the place of a number (`ptcalc.workload.distributions`)."""
    two, three = {"minItems": 2, "maxItems": 2}, {"minItems": 3, "maxItems": 3}
    values = {"type": "array", "items": number}
    sigma = {"type": ["number", "string"]}
    shapes: Json = {
        "uniform": {**values, **two},
        "triangular": {**values, **three},
        "normal": {**values, **two},
        "lognormal": {"type": "array", "prefixItems": [number, sigma], **two},
        "empirical": {**values, "minItems": 1},
    }
    bounded = ("normal", "lognormal")
    return {
        "description": "a distribution: the number is not known",
        "oneOf": [
            {
                "type": "object",
                "properties": {
                    kind: {"description": FORMS[kind], **shape},
                    **({"min": number, "max": number} if kind in bounded else {}),
                },
                "required": [kind],
                "additionalProperties": False,
            }
            for kind, shape in shapes.items()
        ],
    }


def _touch(shaper: Shaper) -> Json:
    """Return the forms of a touch, whose keys belong together (`schema._form`)."""
    tuple_of = schema.TOUCH_LIST["schema"]["items_schema"][0]["schema"]
    whole = shaper.properties(tuple_of, ("processes", "NAME", "mappings", 0, "touch", 0))
    whole = {key: {"description": _TOUCHED[key], **shape} for key, shape in whole.items() if key != "form"}
    forms: list[Json] = []
    for lead, beside in schema.TOUCH_FORMS.items():
        form: Json = {
            "type": "object",
            "properties": {key: whole[key] for key in (lead, *beside)},
            "required": [lead],
            "additionalProperties": False,
        }
        if "cluster" in beside:
            clustered = {"properties": {"pattern": {"const": "clustered"}}, "required": ["pattern"]}
            form |= {
                "dependentSchemas": {
                    "cluster": clustered,
                    "overlap": {"properties": {"pattern": {"not": {"const": "contiguous"}}}},
                },
                "if": clustered,
                "then": {"required": ["cluster"]},
            }
        forms.append(form)
    single = {
        "anyOf": [
            {"enum": ["all", "none"]},
            *texts.AMOUNT["anyOf"],
            {"$ref": "#/$defs/distribution-amount"},
            *forms,
        ]
    }
    return {
        "description": "which pages of the mapping one process accesses; a list is the union of its forms",
        "anyOf": [*single["anyOf"], {"type": "array", "items": single, "minItems": 1}],
    }


_TOUCHED = {
    "amount": "a share of the mapping, or a size",
    "pages": "a number of base pages",
    "pattern": "where an amount lies; default: scattered",
    "cluster": "size of an aligned run",
    "overlap": "whether the processes of a group touch different random pages or the same ones; default: independent",
    "every": "one page at the start of each step of this size",
    "start": "where it begins; default: at the mapping's start",
    "length": "how far it reaches; default: the rest of the mapping",
    "ranges": "parts of the mapping",
}


def _events() -> Json:
    leaves = {**_LEAVES, event_schema._one_action: {}}

    def special(path: Path, core: Json) -> Json | None:
        return {"$ref": "#/$defs/touch"} if core is schema.TOUCH_LIST else None

    return Shaper(leaves, special=special).shape(event_schema.EVENTS)


def _budgets() -> Json:
    bounds: dict[str, Json] = {
        "risk": texts.words(*RISK_ORDER),
        "headroom": texts.AMOUNT,
        "page_tables": texts.AMOUNT,
        "page_tables_per_process": texts.SIZE,
        "max_processes": texts.count(),
        "growth": texts.SHARE,
    }
    beside = {
        "of": {"description": "what may not grow", **texts.words("page_tables", "demand")},
        "baseline": {
            "description": "a result that estimate --format json has saved; relative to this file",
            **texts.PROSE,
        },
    }
    forms = []
    for rule, (side, _, own) in agreements.BOUNDS.items():
        forms.append(
            {
                "type": "object",
                "properties": {
                    "rule": {"const": rule},
                    side: bounds[rule],
                    **{key: beside[key] for key in own},
                    "level": {
                        "description": "whether it fails a check; default: error",
                        **texts.words("error", "warn"),
                    },
                    "policy": {"description": "in place of each judged one", **texts.PROSE},
                    "message": {"description": "your own words", **texts.PROSE},
                    "link": {"description": "where to read on", **texts.LINK},
                },
                "required": ["rule", side, *(key for key in own if key == "baseline")],
                "additionalProperties": False,
            }
        )
    return _list("bounds on figures, judged by ptcalc check", {"oneOf": forms})


def _accept() -> Json:
    properties = {
        "rule": {"description": "code of a finding, risk, or budget-…", **texts.words(*rules.ACCEPTABLE)},
        "reason": texts.PROSE,
        "owner": texts.PROSE,
        "until": {"description": "the last day on which it holds", **texts.DAY},
        "policy": {"description": "only under this one", **texts.PROSE},
    }
    shape = {
        "type": "object",
        "properties": properties,
        "required": ["rule", "reason", "owner", "until"],
        "additionalProperties": False,
    }
    return _list("problems that somebody accepts until a day", shape)


def _list(what: str, items: Json) -> Json:
    return {"description": what, "type": "array", "items": items, "maxItems": agreements.MAX_AGREEMENTS}


# Sections that are read for themselves.
_APART = {"events": _events, "budgets": _budgets, "accept": _accept}


# --- saved results ---------------------------------------------------------------------------------------------


def _result() -> Json:
    leaves = {
        saved._number: {"type": "number"},
        saved._bounded: {},
    }
    shape = Shaper(leaves, closed=False).shape(saved.ESTIMATE)
    properties = {"schema": {"enum": [ESTIMATE_SCHEMA, EXPLAIN_SCHEMA]}, **shape["properties"]}
    shape |= {"properties": properties, "required": ["schema", *shape["required"]]}
    return _titled("A result of ptcalc estimate or explain; sizes are bytes", shape, {})


# --- config files ----------------------------------------------------------------------------------------------


def _config() -> Json:
    share = {"type": "string", "pattern": rf"{texts.SHARE_PATTERN}|^\s*[0-9]+/[1-9][0-9]*\s*$"}
    auto = {"anyOf": [{"const": "auto"}, *texts.SIZE["anyOf"]]}
    readers: dict[Any, Json] = {
        config._share: share,
        config._size: texts.SIZE,
        config._auto_size: auto,
        config._factor: {"anyOf": [{"type": "number", "minimum": 1, "maximum": 1000}, {"type": "string"}]},
        config._switch: {"enum": [True, False, "true", "false"]},
    }
    sections: Json = {"version": {"enum": [1, "1"]}}
    for section, keys in config.KEYS.items():
        properties = {key: readers.get(each.read, texts.count()) for key, each in keys.items()}
        sections[section] = {"type": "object", "properties": properties, "additionalProperties": False}
    sections["geometries"] = {
        "description": "architectures of your own, by name",
        "type": "object",
        "maxProperties": geometries.MAX_GEOMETRIES,
        "additionalProperties": _geometry(),
    }
    sections |= {"budgets": _budgets(), "accept": _accept()}
    shape = {"type": "object", "properties": sections, "additionalProperties": False}
    return _titled("A config of ptcalc: thresholds, constants, architectures, and what a team has agreed on", shape, {})


def _geometry() -> Json:
    since = {"type": ["string", "number"]}
    level = {
        "entries": texts.count(1),
        **dict.fromkeys(("entry", "span", "table"), texts.POSITIVE),
        "memory": texts.words("pages", "fragments", "slab"),
        "counted_since": since,
        "charged": {"enum": [True, False, "true", "false"]},
    }
    names = LEVEL_NAMES
    one = {"type": "object", "properties": level, "required": ["entries"], "additionalProperties": False}
    truth = {"enum": [True, False, "true", "false"]}
    known: dict[str, Json] = {
        "title": texts.PROSE,
        "levels": {"type": "object", "properties": dict.fromkeys(names, one), "additionalProperties": False},
        "huge_pages": {"type": "object", "additionalProperties": texts.words(*names)},
        "contiguous": {"type": "array", "items": texts.POSITIVE},
        "thp": truth,
        "file_thp": truth,
        "pmd_sharing": since,
        "small_process": {
            "type": "object",
            "properties": dict.fromkeys(names, texts.count()),
            "additionalProperties": False,
        },
    }
    keys = {key: known.get(key, texts.POSITIVE) for key in geometries.KEYS}
    properties = {"like": {"description": "the name of an architecture to start from", **texts.PROSE}, **keys}
    return {"type": "object", "properties": properties, "additionalProperties": False}
