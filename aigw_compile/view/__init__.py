"""A part's merged value and what binds those who refer to it, to the JSON Schema that they see."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aigw_compile.diagnostic import Json
from aigw_compile.resolve.shapes import node_of
from aigw_compile.schema import document_schema
from aigw_compile.view import secrets as allowed
from aigw_compile.view import words
from aigw_compile.view.demands import DEMANDS, Schema
from aigw_compile.view.residual import Viewer
from aigw_compile.view.rules import Rules
from aigw_compile.view.sharing import shared

__all__ = ["Rules", "view"]

REF: Schema = {
    "title": "Config ref",
    "description": "Parts to build on, the weakest first.",
}
_MARK = "x-aigw-"
"""Starts marks that only the compiler needs; some name fields."""


def view(
    kind: str,
    name: str,
    digest: str,
    value: Mapping[str, Json],
    rules: Rules,
    secrets: Sequence[Sequence[Mapping[str, Any]]] = (),
) -> Schema:
    """Return the schema of a gateway, or of an object of another type, that refers to a part.

    kind: what the part is for. value: what it makes with its own parts. secrets: lists of the
    references to secrets that may be written, each of which counts.
    """
    unspoken = words.names(rules.hide, dict(value), node_of(kind)) - allowed.vaults(secrets)
    own = Viewer(unspoken, _lacking(kind, value)).top(dict(node_of(kind)), value, rules)
    own = {**own, "properties": {**own.get("properties", {}), "configRef": _ref(name, own)}}
    own["required"] = ["configRef", *own.get("required", ())]
    whole = _document(own, name) if kind == "AIGateway" else own
    named = {key: _relaxed(node) for key, node in document_schema()["$defs"].items()}
    shut = kind == "AIGateway" and "vaults" not in own["properties"] and not allowed.vaults(secrets)
    if secrets or shut:
        named["SecretRef"] = allowed.only(named["SecretRef"], secrets, frozenset({"vault"} if shut else ()))
    head = {
        "$schema": document_schema()["$schema"],
        "$id": f"https://aigw.dev/parts/{name}/{digest}",
    }
    whole = _plain({**head, **whole})
    used = {key: _plain(named[key]) for key in sorted(_used(whole, named))}
    whole = {**whole, "$defs": used} if used else whole
    hushed = (unspoken | words.fields(rules.hide)) - set(words.visible(whole))
    return shared(words.silent(whole, hushed))


def _lacking(kind: str, value: Mapping[str, Json]) -> frozenset[int]:
    """Return which objects and lists of a value lack something, or hold what does, by identity."""
    import jsonschema_rs

    schema = {**node_of(kind), "$defs": document_schema()["$defs"]}
    found: set[int] = set()
    for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(value):
        here: Any = value
        for step in error.instance_path:
            here = here[step]
            found |= {id(here)} if isinstance(here, (dict, list)) else set()
    return frozenset(found)


def _relaxed(node: Schema) -> Schema:
    """Return a definition that demands nothing where a configRef stands: the part that it names may bring it."""
    demanded = {key: node[key] for key in DEMANDS if key in node and key != "not"}
    if "x-aigw-part" not in node or not demanded:
        return node
    rest = {key: inner for key, inner in node.items() if key not in demanded}
    return {**rest, "if": {"required": ["configRef"]}, "else": demanded}


def _document(spec: Schema, name: str) -> Schema:
    document = document_schema()
    top = {key: inner for key, inner in document.items() if key not in ("$schema", "$id", "$defs", "properties")}
    title = f"A gateway that builds on {name}"
    return {**top, "title": title, "properties": {**document["properties"], "spec": spec}}


def _ref(name: str, own: Schema) -> Schema:
    """A configRef that names the part, by itself or among others."""
    known = own.get("properties", {}).get("configRef", {})
    described = {**REF, **{key: known[key] for key in ("title", "description") if key in known}}
    form = {key: inner for key, inner in known.items() if key not in ("examples", "title", "description")}
    this = {"required": ["name"], "properties": {"name": {"const": name}}}
    among = {"type": "array", "contains": {"type": "object", **this}}
    return {
        **described,
        **form,
        "examples": [[{"name": name}]],
        "allOf": [{"if": {"type": "object"}, "then": this, "else": among}],
    }


def _plain(node: Any) -> Any:
    """Return a schema without marks that only the compiler needs, and without fields that cannot be written."""
    if isinstance(node, list):
        return [_plain(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    closed = node.get("additionalProperties") is False
    found: dict[str, Any] = {}
    for key, inner in node.items():
        if key.startswith(_MARK):
            continue
        if key in ("properties", "$defs") and isinstance(inner, dict):
            kept = {k: v for k, v in inner.items() if not (closed and isinstance(v, dict) and v.get("not") == {})}
            found[key] = {name: _plain(below) for name, below in kept.items()}
        elif key in ("examples", "default", "const", "enum"):
            found[key] = inner
        else:
            found[key] = _plain(inner)
    if found.get("additionalProperties") and found.get("type") == "object":
        found["properties"] = {"$patch": {"not": {}}, **found.get("properties", {})}  # it is no key like others
    return found


def _used(schema: Any, named: Mapping[str, Any]) -> set[str]:
    """Return the names of the definitions that a schema refers to, directly or through others."""
    found: set[str] = set()
    rest = [schema]
    while rest:
        new = set(_refs(rest.pop())) - found
        found |= new
        rest += [named[name] for name in new]
    return found


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield re.sub("^#/[$]defs/", "", node["$ref"])
        for inner in node.values():
            yield from _refs(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _refs(inner)
