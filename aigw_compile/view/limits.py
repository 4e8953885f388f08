"""The constraints of a part to a place's schema; what JSON Schema cannot say, such as a longest duration, in its description."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from aigw_compile.resolve.contract import validator
from aigw_compile.schema import follow
from aigw_compile.units import key_of, seconds, size
from aigw_compile.view.rules import Rules

Schema = dict[str, Any]
UNITS: Mapping[str, str] = {"duration": "s", "size": " bytes"}
"""Unit of a field whose values are text, but compared as numbers -> what the numbers are of."""
_MEASURES: Mapping[str, Callable[[str], float]] = {"duration": seconds, "size": size}
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


def wanted(whole: Mapping[str, Any], value: Mapping[str, Any], rules: Rules) -> list[str]:
    """Return the fields of an object that constraints demand: by name, or since their default does not fit."""
    fields = whole["properties"] if rules.constrain and whole.get("x-aigw-alone") not in value else {}
    return [key for key in fields if _wanted(follow(fields[key]), key, rules)]


def _wanted(whole: Mapping[str, Any], key: str, rules: Rules) -> bool:
    if "default" in whole or "x-aigw-always" in whole:
        asked = "default" not in whole and rules.asks_for(key)
        return asked or broken(whole, whole.get("default", {}), rules.field(key))
    return rules.asks_for(key)


def wanting(whole: Mapping[str, Any], value: Any, rules: Rules) -> bool:
    """Say whether a value, here or below, lacks a field that constraints demand."""
    if not rules.constrain:
        return False
    if isinstance(value, dict) and "properties" in whole:
        known = whole["properties"]
        return any(key not in value for key in wanted(whole, value, rules)) or any(
            wanting(follow(known[key]), value[key], rules.field(key)) for key in value if key in known
        )
    if isinstance(value, list) and isinstance(whole.get("items"), dict):
        items = follow(whole["items"])
        return any(wanting(items, item, rules.item(key_of(item))) for item in value)
    return False


def broken(whole: Mapping[str, Any], value: Any, rules: Rules) -> bool:
    """Say whether a value, its defaults filled in, does not fit a constraint."""
    if not rules.constrain:
        return False
    measured = _MEASURES.get(str(whole.get("x-aigw-unit")))
    plain = measured(value) if measured and isinstance(value, str) else value
    if any(not validator(schema).is_valid(plain) for schema in rules.schemas):
        return True
    if isinstance(value, dict):
        nodes = {key: follow(node) for key, node in whole.get("properties", {}).items()}
        given = {
            key: node.get("default", {}) for key, node in nodes.items() if {"default", "x-aigw-always"} & node.keys()
        }
        filled = {**given, **value}
        return any(broken(nodes[key], inner, rules.field(key)) for key, inner in filled.items() if key in nodes)
    if isinstance(value, list) and isinstance(whole.get("items"), dict):
        items = follow(whole["items"])
        return any(broken(items, item, rules.item(key_of(item))) for item in value)
    return False


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
