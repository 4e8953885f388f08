"""schemas/aigateway.schema.json as values: what stands at a place, defaults filled in, list types, secrets, and what changes mean."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from aigw_compile import data
from aigw_compile.diagnostic import Json, Pointer

Schema = Mapping[str, Any]

PLACES: Mapping[str, Pointer] = {
    "AIGateway": ("spec",),
    "Listener": ("spec", "listeners", 0),
    "Vault": ("spec", "vaults", 0),
    "Provider": ("spec", "providers", 0),
    "Model": ("spec", "models", 0),
    "Target": ("spec", "models", 0, "targets", 0),
    "Auth": ("spec", "auth"),
    "Consumer": ("spec", "consumers", 0),
    "ConsumerGroup": ("spec", "consumerGroups", 0),
    "Store": ("spec", "stores", 0),
    "Policies": ("spec", "policies"),
    "Observability": ("spec", "observability"),
    "Deployment": ("spec", "deployment"),
}
"""Type of a part -> a place in a gateway where an object of that type stands."""


@cache
def document_schema(name: str = "aigateway.schema.json") -> dict[str, Any]:
    """Return a schema of schemas/, as it is for a document without any configRef."""
    schema: dict[str, Any] = json.loads((data.folder("schemas") / name).read_bytes())
    for node in schema.get("$defs", {}).values():
        if "x-aigw-part" in node and node.pop("if", None):
            node.update(node.pop("else"))  # what is not demanded of an object with a configRef
    return schema


@cache
def layer_schema() -> dict[str, Any]:
    """Return what a document fits that is one layer of several: see `partial`."""
    return partial(document_schema())


_DEMANDS = frozenset({"required", "minItems", "minProperties", "dependentRequired", "oneOf", "anyOf", "allOf"})
_NAMED: Schema = {"if": {"required": ["configRef"]}, "else": {"required": ["name"]}}
_DERIVED: Schema = {
    "if": {"anyOf": [{"required": ["configRef"]}, {"required": ["provider", "model"]}]},
    "else": {"required": ["name"]},
}


def partial(schema: Schema) -> dict[str, Any]:
    """Return the schema of a layer: the same, and nothing is demanded that another layer may bring.

    What a layer replaces as a whole (a SecretRef, an atomic list) keeps its demands, and so does all that is not merged.
    Items of keyed lists need their name, which says what they are merged with.
    """
    named: Schema = schema["$defs"]
    outside = {key: node for key, node in schema["properties"].items() if key != "spec"}
    whole = _reached([outside, *_wholes(named)], named)
    parted = {name: node if name in whole else _partial(node, named) for name, node in named.items()}
    return {**schema, "$defs": parted}


def replaced_whole(node: Schema) -> bool:
    """Say whether a layer replaces what stands at a place as a whole, so that nothing in it is merged."""
    kinds = (node.get("x-kubernetes-map-type"), node.get("x-kubernetes-list-type"))
    return "atomic" in kinds or "x-aigw-text-or-secret" in node


def _wholes(node: Any) -> Iterator[Any]:
    """Yield every outermost schema below a node that is replaced as a whole."""
    if isinstance(node, dict) and replaced_whole(node):
        yield node
    elif isinstance(node, (dict, list)):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from _wholes(inner)


def _reached(node: Any, named: Schema) -> set[str]:
    """Return the names of the definitions that a node refers to, and of those that they do."""
    found: set[str] = set()
    rest = [node]
    while rest:
        node = rest.pop()
        if isinstance(node, dict):
            name = str(node.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                rest.append(named[name])
            rest += node.values()
        elif isinstance(node, list):
            rest += node
    return found


def _partial(node: Schema, named: Schema) -> dict[str, Any]:
    if replaced_whole(node):
        return dict(node)
    found = {key: value for key, value in node.items() if key not in _DEMANDS}
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            found[key] = _partial(node[key], named)
    if "properties" in node:
        found["properties"] = {key: _partial(inner, named) for key, inner in node["properties"].items()}
    if node.get("x-kubernetes-list-type") == "map":
        derived = follow(node["items"], {"$defs": named}).get("x-aigw-part") == "Target"
        found["items"] |= _DERIVED if derived else _NAMED
    if choices := node.get("x-aigw-one-of"):
        found["oneOf"] = _at_most_one(choices, node.get("x-aigw-alone"))
    if rules := [_where_said(rule) for rule in node.get("allOf", ()) if "properties" in rule["then"]]:
        found["allOf"] = rules
    return found


def _at_most_one(choices: Sequence[str], alone: str | None) -> list[dict[str, Any]]:
    if alone:
        beside = {"propertyNames": {"enum": [alone, "configRef", "$patch"]}}
        return [{"not": {"required": [alone]}}, {"required": [alone], **beside}]
    one = [{"required": [choice]} for choice in choices]
    return [*one, {"not": {"anyOf": one}}]


def _where_said(rule: Schema) -> dict[str, Any]:
    """A field that stands only with a certain type is refused where this very layer says another type."""
    given = {"properties": rule["if"]["properties"], "required": [*rule["if"]["properties"]]}
    return {"if": given, "then": {"properties": rule["then"]["properties"]}}


def follow(node: Any, root: Schema | None = None) -> dict[str, Any]:
    """Return a subschema with its `$ref` followed; what stands beside the reference wins."""
    root = root or document_schema()
    found: dict[str, Any] = node if isinstance(node, dict) else {}
    while "$ref" in found:
        beside = {key: value for key, value in found.items() if key != "$ref"}
        target: Any = root
        for step in found["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        found = {**target, **beside}
    return found


@cache
def field(pointer: Pointer) -> dict[str, Any] | None:
    """Return the subschema of a place in a document, or None where the language has no such place."""
    if not pointer:
        return document_schema()
    above = field(pointer[:-1])
    if above is None:
        return None
    step = pointer[-1]
    if isinstance(step, int):
        found = above.get("items")
    else:
        above = follow(above["then"]) if "x-aigw-text-or-secret" in above else above
        found = above.get("properties", {}).get(step)
        extra = above.get("additionalProperties")
        found = found if found is not None else extra if isinstance(extra, dict) else None
    return follow(found) if isinstance(found, dict) else None


def general(pointer: Pointer) -> Pointer:
    """Return a place with every list position as 0, so that what is remembered of it serves all items."""
    return tuple(0 if isinstance(step, int) else step for step in pointer)


def list_type(pointer: Pointer) -> str:
    """Return map (keyed by name), set or atomic for the list at a place."""
    found = field(general(pointer)) or {}
    return str(found.get("x-kubernetes-list-type", "atomic"))


def is_secret(pointer: Pointer) -> bool:
    """Say whether a SecretRef stands at a place."""
    return bool((field(general(pointer)) or {}).get("x-aigw-secret"))


def change(pointer: Pointer) -> Mapping[str, list[str]] | None:
    """Return what changes of a field mean: event -> classes; None where nothing is declared."""
    found = field(general(pointer))
    declared: Mapping[str, list[str]] | None = found.get("x-aigw-change") if found else None
    return declared


def with_defaults(document: Json) -> Json:
    """Return a deep copy with the schema's defaults filled in; an object that nobody wrote is not made up."""
    filled: Json = _filled(document, _whole())
    return filled


class _Filling(NamedTuple):
    """What filling in needs to know of a place, with every reference followed."""

    inner: dict[str, _Filling]
    defaults: tuple[tuple[str, Any], ...]
    items: _Filling | None
    alone: str = ""
    """The field beside which no other stands: where it does, nothing is filled in."""


@cache
def _whole() -> _Filling:
    return _compiled(document_schema())


def _compiled(schema: Schema) -> _Filling:
    inner: dict[str, _Filling] = {}
    defaults: list[tuple[str, Any]] = []
    for name, node in schema.get("properties", {}).items():
        found = follow(node)
        inner[name] = _compiled(found)
        if "default" in found:
            defaults.append((name, _filled(found["default"], inner[name])))
    items = schema.get("items")
    known = _compiled(follow(items)) if isinstance(items, dict) else None
    return _Filling(inner, tuple(defaults), known, schema.get("x-aigw-alone", ""))


_NOTHING = _Filling({}, (), None)


def _filled(value: Any, place: _Filling) -> Any:
    kind = type(value)
    if kind is dict:
        inner = place.inner
        copy = {key: _filled(item, inner.get(key, _NOTHING)) for key, item in value.items()}
        for key, default in () if place.alone in copy else place.defaults:
            if key not in copy:
                copy[key] = default if type(default) not in (dict, list) else _filled(default, _NOTHING)
        return copy
    if kind is list:
        items = place.items or _NOTHING
        return [_filled(item, items) for item in value]
    return value
