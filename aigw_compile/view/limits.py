"""The constraints of a part to a place's schema; what JSON Schema cannot say, such as a longest duration, in its description."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aigw_compile.schema import follow

Schema = dict[str, Any]
UNITS: Mapping[str, str] = {"duration": "s", "size": " bytes"}
"""Unit of a field whose values are text, but compared as numbers -> what the numbers are of."""
_WORDS: Mapping[str, str] = {
    "maximum": "at most {}",
    "minimum": "at least {}",
    "exclusiveMaximum": "less than {}",
    "exclusiveMinimum": "more than {}",
    "const": "exactly {}",
}


def limited(found: Schema, whole: Mapping[str, Any], there: bool, schemas: list[Mapping[str, Any]]) -> Schema:
    """Return the schema of a place with constraints added. `there`: the part has something at the place."""
    if not schemas:
        return found
    unit = UNITS.get(str(whole.get("x-aigw-unit")))
    joined = whole.get("type") in ("object", "array") and whole.get("x-kubernetes-list-type") != "atomic"
    if unit is None and not (joined and there) and not _measured(whole):
        return {**found, "allOf": [*found.get("allOf", ()), *map(dict, schemas)]}
    said = "; ".join(part for schema in schemas for part in _said(schema, unit or ""))
    text = str(found.get("description", whole.get("description", ""))).rstrip()
    return {**found, "description": f"{text} The part demands: {said}.".strip()}


def _said(schema: Mapping[str, Any], unit: str) -> list[str]:
    rest = {key: value for key, value in schema.items() if key not in (*_WORDS, "type", "title", "description")}
    found = [words.format(f"{schema[key]}{unit}") for key, words in _WORDS.items() if key in schema]
    if "enum" in rest:
        found.append("one of " + ", ".join(f"{value}{unit}" for value in rest.pop("enum")))
    return [*found, *([json.dumps(rest, ensure_ascii=False)] if rest else [])]


def _measured(node: Mapping[str, Any]) -> bool:
    """Say whether something below is text that is compared as a number."""
    if node.get("x-aigw-unit") in UNITS:
        return True
    below = [*node.get("properties", {}).values(), node.get("items"), node.get("additionalProperties")]
    return any(_measured(follow(inner)) for inner in below if isinstance(inner, dict))
