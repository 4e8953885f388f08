"""A part to its envelope and its config, the latter as if it stood in a gateway; and what is wrong with its constraints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Severity, did_you_mean, named, value_at
from aigw_compile.mask import shown
from aigw_compile.schema import document_schema, follow
from aigw_compile.validate import right

HOMES: Mapping[str, Pointer] = {
    "AIGateway": (),
    "Listener": ("listeners", 0),
    "Vault": ("vaults", 0),
    "Provider": ("providers", 0),
    "Model": ("models", 0),
    "Target": ("models", 0, "targets", 0),
    "Auth": ("auth",),
    "Consumer": ("consumers", 0),
    "ConsumerGroup": ("consumerGroups", 0),
    "Store": ("stores", 0),
    "Policies": ("policies",),
    "Observability": ("observability",),
    "Deployment": ("deployment",),
}
"""What a part can be for -> where such an object stands, in `spec`."""
_CONFIG: Pointer = ("spec", "config")


class Config(NamedTuple):
    """The config of a part in a gateway of its own."""

    data: Json
    home: Pointer
    findings: tuple[Diagnostic, ...] = ()

    def is_inside(self, at: Pointer) -> bool:
        """Say whether a place of `data` is one of the part."""
        return at[: len(self.home)] == self.home

    def back(self, d: Diagnostic) -> Diagnostic:
        """Return a finding in `data` as one in the part."""
        name = named(self.home, self.data) or "spec"
        message = re.sub(rf"(?<= (?:of|in) ){re.escape(name)}(?=[.;]|$)", "config", d.message)
        return d._replace(at=(*_CONFIG, *d.at[len(self.home) :]), message=message)


def config_of(data: Json) -> Config | None:
    """Return the config of a part where it belongs, or None where that cannot be said."""
    kind, config = value_at(("spec", "for"), data), value_at(_CONFIG, data)
    if not isinstance(kind, str) or kind not in HOMES or not isinstance(config, dict):
        return None
    findings = []
    if config.get("$patch") == "delete":
        config = {key: value for key, value in config.items() if key != "$patch"}
        hint = "whoever refers to it can leave the configRef out"
        at = (*_CONFIG, "$patch")
        findings.append(Diagnostic("AIG1015", Severity.ERROR, "a part cannot take itself out", at, hint))
    steps = HOMES[kind]
    whole: Any = config
    for step in reversed(steps):  # a name may come from whoever refers to the part, so that it is not missing here
        whole = {step: whole} if isinstance(step, str) else [whole if "name" in whole else {**_NAMELESS, **whole}]
    return Config({**_HEAD, "spec": whole}, ("spec", *steps), tuple(findings))


_HEAD: Mapping[str, Any] = {"apiVersion": "aigw.dev/v1alpha1", "kind": "AIGateway", "metadata": {"name": "part"}}
_NAMELESS = {"configRef": {"name": "referrer"}}


def envelope(data: Json) -> Json:
    """Return a part with nothing in its config."""
    spec = data.get("spec") if isinstance(data, dict) else None
    if isinstance(data, dict) and isinstance(spec, dict) and isinstance(spec.get("config"), dict):
        return {**data, "spec": {**spec, "config": {}}}
    return data


@cache
def envelope_schema() -> dict[str, Any]:
    """Return the schema of a part but for its config, with every reference followed: it is small."""
    schema = document_schema("aigatewayconfig.schema.json")
    found: dict[str, Any] = _inlined({key: value for key, value in schema.items() if key != "$defs"}, schema)
    return found


def _inlined(node: Any, root: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, root) for item in node]
    if isinstance(node, dict):
        return {k: _inlined(v, root) for k, v in follow(node, root).items() if k != "allOf"}
    return node


def in_words_of_parts(findings: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """What is said of a field in the wrong place knows gateways alone; here most of them belong under `config`."""
    for d in findings:
        own = d.code == "AIG1001" and "did you mean" not in d.message
        if own and len(d.at) == 2 and d.at[0] == "spec" and d.at[1] in _fields_of_types():
            d = d._replace(hint="what the part sets stands under `config`")
        elif d.code == "AIG1011":
            d = d._replace(hint=_instead_of_null(d.at))
        yield d


def _instead_of_null(at: Pointer) -> str:
    node: Any = envelope_schema()
    for step in at[:-1]:
        node = node.get("items", {}) if isinstance(step, int) else node.get("properties", {}).get(step, {})
    if not at or at[-1] not in node.get("required", ()):
        return "delete the line"
    return f"write a value: {right.example(str(at[-1]), node['properties'][at[-1]])}"


@cache
def _fields_of_types() -> frozenset[str]:
    types = document_schema()["$defs"].values()
    return frozenset(name for node in types if "x-aigw-part" in node for name in node["properties"])


_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties")
_OTHERS = ("type", "enum", "const", "pattern", "items", "contains", "properties", "required", "additionalProperties")
_LOGIC = ("not", "allOf", "anyOf", "oneOf", "if", "then", "else", "propertyNames", "title", "description")
KEYWORDS = (*_NUMBERS, *_COUNTS, *_OTHERS, *_LOGIC)
"""Keywords of JSON Schema that a constraint may use."""


def schemas_of(data: Json) -> Iterator[Diagnostic]:
    """Yield what is wrong with the JSON schemas of a part's constraints: JSON Schema itself passes over a misspelt keyword."""
    listed = value_at(("spec", "fields", "constrain"), data)
    for index, item in enumerate(listed if isinstance(listed, list) else ()):
        schema = item.get("schema") if isinstance(item, dict) else None
        if isinstance(schema, dict):
            at: Pointer = ("spec", "fields", "constrain", index, "schema")
            unknown = [*_unknown(schema, at)]
            yield from unknown or _no_schema(schema, at)


def _unknown(schema: Mapping[str, Any], at: Pointer) -> Iterator[Diagnostic]:
    for key, inner in schema.items():
        if key not in KEYWORDS:
            message = f"{shown(key)} is no keyword of JSON Schema that a constraint knows"
            yield Diagnostic("AIG1001", Severity.ERROR, message, (*at, key), did_you_mean(key, KEYWORDS), on_key=True)
        for place, value in _below(key, inner):
            if isinstance(value, dict):
                yield from _unknown(value, (*at, key, *place))


def _below(key: str, inner: Any) -> Iterator[tuple[Pointer, Any]]:
    """Yield the schemas that a keyword holds."""
    if key in ("items", "contains", "additionalProperties", "not", "if", "then", "else", "propertyNames"):
        yield (), inner
    elif key == "properties" and isinstance(inner, dict):
        yield from (((name,), value) for name, value in inner.items())
    elif key in ("allOf", "anyOf", "oneOf") and isinstance(inner, list):
        yield from (((number,), value) for number, value in enumerate(inner))


def _no_schema(schema: Mapping[str, Any], at: Pointer) -> Iterator[Diagnostic]:
    """What a keyword holds has to be what JSON Schema takes there."""
    import jsonschema_rs

    try:
        jsonschema_rs.Draft202012Validator({**schema})
    except jsonschema_rs.ValidationError as error:
        place = (*at, *error.instance_path)
        key = next((step for step in reversed(place) if isinstance(step, str)), "schema")
        message = f"`{key}` cannot be {shown(value_at(tuple(error.instance_path), dict(schema)))} in a JSON Schema"
        hint = f"known: {', '.join(_TYPES)}" if key == "type" else "for example {maximum: 200000}"
        yield Diagnostic("AIG1005", Severity.ERROR, message, place, hint)


_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
