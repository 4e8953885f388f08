"""The definition to schemas/*.schema.json and docs/reference.md: `python -m aigw_compile.language.generate [--check]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from aigw_compile import data
from aigw_compile.language import AIGateway, AIGatewayConfig
from aigw_compile.language.reference import page
from aigw_compile.schema import partial, replaced_whole

FILE = "aigateway.schema.json"
PART = "aigatewayconfig.schema.json"
PAGE = "reference.md"


def strict(model: type[BaseModel] = AIGateway) -> dict[str, Any]:
    """Return the schema of whole documents: of gateways without any configRef."""
    schema: dict[str, Any] = _cleaned(model.model_json_schema())
    _exemplify(schema, schema["$defs"])
    return schema


def gateways() -> dict[str, Any]:
    """Return the schema of gateways as people write them: an object with a configRef need not have what the part may bring."""
    schema = strict()
    for node in schema["$defs"].values():
        demands = {key: node.pop(key) for key in _DEMANDS if key in node} if "x-aigw-part" in node else {}
        if demands:
            node |= {"if": {"required": ["configRef"]}, "else": demands}
    return schema


_DEMANDS = ("required", "oneOf", "allOf")


def parts() -> dict[str, Any]:
    """Return the schema of parts: `config` has the fields of the type that the part is for, and takes `$patch`."""
    schema = strict(AIGatewayConfig)
    inside = {name: _patchable(node) for name, node in partial(strict())["$defs"].items() if name != "Metadata"}
    types = {node["x-aigw-part"]: name for name, node in inside.items() if "x-aigw-part" in node}
    spec = schema["$defs"]["PartSpec"]
    spec["allOf"] = [
        {
            "if": {"properties": {"for": {"const": kind}}, "required": ["for"]},
            "then": {"properties": {"config": {"$ref": f"#/$defs/{types[kind]}"}}},
        }
        for kind in spec["properties"]["for"]["enum"]
    ]
    schema["$defs"] = {**inside, **schema["$defs"], **_PATCHES}
    return schema


_PATCHES: dict[str, Any] = {
    "Patch": {
        "title": "Patch",
        "description": "delete takes out what a weaker part sets, replace does not merge with it.",
        "enum": ["delete", "replace"],
    },
    "Delete": {
        "description": "Takes out what a weaker part sets.",
        "properties": {"$patch": {"const": "delete"}},
        "required": ["$patch"],
        "additionalProperties": False,
    },
    "Anew": {
        "description": "As the first item: does not merge with the list of a weaker part.",
        "properties": {"$patch": {"const": "replace"}},
        "required": ["$patch"],
        "additionalProperties": False,
    },
}


def _patchable(node: Any) -> Any:
    """Let `$patch` stand in every map that is merged, `{$patch: delete}` in place of a field, and a directive in a list."""
    if not isinstance(node, dict) or (replaced_whole(node) and "$ref" not in node):
        return node
    node = dict(node)
    if "properties" in node:
        node["properties"] = {key: _or(_patchable(inner), "Delete") for key, inner in node["properties"].items()}
    if isinstance(node.get("additionalProperties"), dict):
        node["additionalProperties"] = _or(_patchable(node["additionalProperties"]), "Delete")
    if node.get("type") == "object":
        node["properties"] = {**node.get("properties", {}), "$patch": {"$ref": "#/$defs/Patch"}}
    if "propertyNames" in node:
        node["propertyNames"] = {"anyOf": [node["propertyNames"], {"const": "$patch"}]}
    if node.get("x-kubernetes-list-type") == "map":
        node["items"] = {**node["items"], "if": {"anyOf": [node["items"]["if"], {"required": ["$patch"]}]}}
    elif "items" in node:
        node["items"] = _or(node["items"], "Anew")
    return node


def _or(node: Any, directive: str) -> Any:
    """Let a directive stand in place of a value. What is a map of ours takes it anyway."""
    ours = "$ref" in node and node["$ref"] not in _WHOLE
    if ours or node.get("type") == "object" or ("not" in node and not node["not"]):
        return node
    also = {"$ref": f"#/$defs/{directive}"}
    if {"$ref", "enum", "const", "if"} & set(node) or not isinstance(node["type"], str):
        shown = {key: node[key] for key in ("title", "description", "examples", "default") if key in node}
        return {**shown, "anyOf": [node, also]}
    return {**node, "type": [node["type"], "object"], **also}


_WHOLE = ("#/$defs/SecretRef", "#/$defs/ConfigRefs")


def published() -> dict[str, str]:
    """Return every schema that is made from the definition: file -> text. The same definition gives the same bytes."""
    return {FILE: _text(FILE, gateways()), PART: _text(PART, parts())}


def _text(name: str, schema: Mapping[str, Any]) -> str:
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://aigw.dev/schemas/v1alpha1/{name}",
    }
    return json.dumps({**head, **schema}, indent=1, ensure_ascii=False) + "\n"


def _cleaned(node: Any) -> Any:
    """Write an optional field as one that may be absent, and a map with keys of a form as messages need it."""
    if isinstance(node, list):
        return [_cleaned(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _cleaned(value) for key, value in node.items()}
    if node.pop("x-aigw-unset", False):
        node.pop("default", None)
    if name := node.pop("x-aigw-ref", None):
        node["$ref"] = f"#/$defs/{name}"
    if len(node.get("patternProperties", {})) == 1:  # a map whose keys have a form
        pattern, values = node.pop("patternProperties").popitem()
        node |= {"propertyNames": {"pattern": pattern}, "additionalProperties": values}
    return node


def _exemplify(node: Any, named: Mapping[str, Any]) -> None:
    """Give every field an example: what holds others is shown with what it needs, each as that one's own example."""
    if isinstance(node, list):
        for item in node:
            _exemplify(item, named)
    elif isinstance(node, dict):
        for inner in node.values():
            _exemplify(inner, named)
        for name, inner in node.get("properties", {}).items():
            known = {"examples", "not", "if"}
            if isinstance(inner, dict) and known.isdisjoint(inner) and "title" in node:
                inner["examples"] = [example(inner, named, name)]


def example(node: Mapping[str, Any], named: Mapping[str, Any], name: str = "") -> Any:
    """Return what is valid at a place: its own example or default, else one made from those of its parts."""
    if "$ref" in node:
        node = {**named[node["$ref"].rpartition("/")[2]], **node}
    given = [node["const"]] if "const" in node else node.get("examples") or node.get("enum") or []
    if given or "default" in node:
        return given[0] if given else node["default"]
    if node["type"] == "array":
        return [example(node["items"], named, name)]
    if node["type"] == "object" and "properties" in node:
        return {key: example(node["properties"][key], named, key) for key in _needed(node)}
    if node["type"] == "object":
        return {}
    raise ValueError(f"{name}: an example is needed")


def _needed(node: Mapping[str, Any]) -> list[str]:
    """The fields of a small valid object: those that are required, one of a choice, else the first of all."""
    found = [*node.get("required", ())]
    for rule in ("oneOf", "anyOf"):
        if choice := node.get(rule):
            found += next((c["required"] for c in choice if "maxProperties" not in c and "required" in c), [])
    for key in [*found]:
        found += node.get("dependentRequired", {}).get(key, ())
    usable = [k for k, v in node["properties"].items() if "not" not in v]
    return [*dict.fromkeys(found or usable[:1])]


def main() -> None:
    made = {data.folder("schemas") / name: text for name, text in published().items()}
    made[data.folder("schemas").parent / "docs" / PAGE] = page(strict(), strict(AIGatewayConfig))
    for path, wanted in made.items():
        if sys.argv[1:] != ["--check"]:
            path.write_text(wanted, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != wanted:
            sys.exit(f"{path.name} is stale: run `make schema`")


if __name__ == "__main__":
    main()
