"""A JSON Schema of options as rows for people: name, type, default, description."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    Schema = Mapping[str, Any]
    Row = tuple[str, str, str, str]

COLUMNS = ("option", "type", "default", "what it does")
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_REQUIRED = "none"
_DEFINITION = "#/$defs/"


def option_rows(schema: Schema) -> dict[str, list[Row]]:
    """Return the rows of a model's options and of every model inside it, by title; a model without options has none.

    >>> option_rows({"properties": {"level": {"type": "integer", "minimum": 0, "default": 1, "description": "How much."}}})
    {'Options': [('level', 'integer ≥ 0', '1', 'How much.')]}
    """
    found = {"Options": _rows(schema)}
    for name, inner in schema.get("$defs", {}).items():
        found[f"{name}: {inner['description'].partition(chr(10))[0]}" if "description" in inner else name] = _rows(inner)
    return {title: rows for title, rows in found.items() if rows}


def unset_options(schema: Schema) -> list[str]:
    """Return the options that have to be given; where none has to be by itself, all of them.

    >>> unset_options({"properties": {"technique": {}, "seed": {"default": 0}}, "required": ["technique"]})
    ['technique']
    """
    return list(schema.get("required") or schema.get("properties", {}))


def _rows(schema: Schema) -> list[Row]:
    required = schema.get("required", ())
    return [
        (name, type_text(option), _REQUIRED if name in required else _default(option), option.get("description", ""))
        for name, option in schema.get("properties", {}).items()
        if "const" not in option  # what tells models apart: there is nothing to choose
    ]


def _default(option: Schema) -> str:
    return json.dumps(option["default"], ensure_ascii=False) if "default" in option else _REQUIRED


def type_text(schema: Schema) -> str:
    """Return what values an option takes.

    >>> type_text({"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "null"}]})
    '[number, ...] | null'
    >>> type_text({"enum": ["xx", "yy"]}), type_text({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]})
    ('"xx" | "yy"', '[integer, string]')
    """
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_DEFINITION)
    if "const" in schema or "enum" in schema:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in values)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " | ".join(type_text(one) for one in schema[several])
    types = schema.get("type", "any")
    if isinstance(types, list):
        return " | ".join(types)
    bounds = [f" {sign} {schema[bound]:g}" for bound, sign in _BOUNDS.items() if bound in schema]
    return _container(schema, types) + " and".join(bounds)


def _container(schema: Schema, kind: str) -> str:
    if kind == "array":
        return f"[{', '.join(map(type_text, schema['prefixItems']))}]" if "prefixItems" in schema else _list(schema)
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"{{string: {type_text(schema['additionalProperties'])}}}"
    return kind


def _list(schema: Schema) -> str:
    return f"[{type_text(schema['items'])}, ...]" if schema.get("items") else "array"
