"""From the pydantic-core schemas that ptcalc reads by to JSON Schemas: what is accepted is written once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ptcalc.workload.source import Path

Json = dict[str, Any]
Leaves = Mapping[Any, Json]  # function of the reader -> what it accepts
Entry = tuple[tuple[str, ...], Json, bool]
_SIMPLE: Json = {"any": {}, "is-instance": {"type": "string"}, "bool": {"type": "boolean"}}


class Shaper:
    """Walks a schema; ``leaves`` are its functions, ``notes`` say what a key is for, ``place`` may change a value."""

    def __init__(
        self,
        leaves: Leaves,
        *,
        note: Callable[[Path], str] = lambda path: "",
        place: Callable[[Path, Json], Json] = lambda path, shape: shape,
        special: Callable[[Path, Json], Json | None] = lambda path, schema: None,
        closed: bool = True,
    ) -> None:
        self._leaves = leaves
        self._note = note
        self._place = place
        self._special = special
        self._closed = closed

    def shape(self, schema: Json, path: Path = ()) -> Json:
        """Return the JSON Schema of what a core schema accepts at a path (names and list indices stand for any)."""
        own = self._special(path, schema)
        found = self._of(schema, path) if own is None else own
        found = self._place(path, found)
        note = self._note(path)
        return {"description": note, **found} if note else found

    def properties(self, schema: Json, path: Path) -> Json:
        """Return what the keys of an object accept."""
        found: Json = self._of(schema, path)["properties"]
        return found

    def _of(self, schema: Json, path: Path) -> Json:
        match schema["type"]:
            case "function-plain":
                return dict(self._leaves[schema["function"]["function"]])
            case "function-before" | "function-after":
                return {**self._of(schema["schema"], path), **self._leaves.get(schema["function"]["function"], {})}
            case "default":
                return self._of(schema["schema"], path)
            case "nullable":
                return {"anyOf": [self._of(schema["schema"], path), {"type": "null"}]}
            case "union":
                return {"anyOf": [self._of(choice, path) for choice in schema["choices"]]}
            case "literal":
                return {"enum": list(schema["expected"])}
            case "int":
                return {"type": "integer", **_bounds(schema)}
            case "tuple" | "dict":
                return self._collection(schema, path)
            case "dataclass" | "typed-dict" | "call":
                return self._object(_fields(schema), path)
        return dict(_SIMPLE[schema["type"]])

    def _collection(self, schema: Json, path: Path) -> Json:
        if schema["type"] == "tuple":
            least = schema.get("min_length")
            items = self.shape(schema["items_schema"][0], (*path, 0))
            return {"type": "array", "items": items, **({"minItems": least} if least else {})}
        names = {"propertyNames": self._key(schema["keys_schema"])} if "keys_schema" in schema else {}
        values = self.shape(schema["values_schema"], (*path, "NAME")) if "values_schema" in schema else {}
        return {"type": "object", **names, "additionalProperties": values}

    def _key(self, schema: Json) -> Json:
        """Return what a name may be: always a text."""
        found = self._of(schema, ())
        texts = [each for each in found.get("anyOf", [found]) if "string" in each.get("type", "")]
        return {key: value for key, value in texts[0].items() if key != "type"}

    def _object(self, fields: list[Entry], path: Path) -> Json:
        """Return an object; a field may lie deeper than its own level, at more keys than one."""
        properties: Json = {}
        required: list[str] = []
        deeper: dict[str, list[Entry]] = {}
        for (key, *rest), schema, needed in fields:
            if rest:
                deeper.setdefault(key, []).append((tuple(rest), schema, needed))
                properties.setdefault(key, {})
            else:
                properties[key] = self.shape(schema, (*path, key))
            if needed and key not in required:
                required.append(key)
        for key, inner in deeper.items():
            note = self._note((*path, key))
            properties[key] = {**({"description": note} if note else {}), **self._object(inner, (*path, key))}
        return {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            **({"additionalProperties": False} if self._closed else {}),
        }


def _fields(schema: Json) -> list[Entry]:
    """Return the fields of an object: their keys, one below the other, what they hold, whether they must be there."""
    if schema["type"] == "typed-dict":
        return [((key,), each["schema"], each.get("required", True)) for key, each in schema["fields"].items()]
    if schema["type"] == "call":
        return [((each["name"],), each["schema"], True) for each in schema["arguments_schema"]["arguments_schema"]]
    found: list[Entry] = []
    for field in schema["schema"]["fields"]:
        alias = field["validation_alias"]
        keys = (alias,) if isinstance(alias, str) else tuple(alias[0])
        found.append((keys, field["schema"], field["schema"]["type"] != "default"))
    return found


def _bounds(schema: Json) -> Json:
    words = {"ge": "minimum", "le": "maximum"}
    # What no program reaches is no bound to speak of.
    return {words[key]: schema[key] for key in words if key in schema and abs(schema[key]) < 1 << 70}
