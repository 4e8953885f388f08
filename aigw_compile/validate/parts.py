"""A part to its envelope, and to its config as if that stood in a gateway; its contract is looked at elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Severity, named, value_at
from aigw_compile.schema import PLACES, document_schema, follow
from aigw_compile.validate import right

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
    if not isinstance(kind, str) or kind not in PLACES or not isinstance(config, dict):
        return None
    findings = []
    if config.get("$patch") == "delete":
        config = {key: value for key, value in config.items() if key != "$patch"}
        hint = "whoever refers to it can leave the configRef out"
        at = (*_CONFIG, "$patch")
        findings.append(Diagnostic("AIG1015", Severity.ERROR, "a part cannot take itself out", at, hint))
    home = PLACES[kind]
    whole: Any = config
    for step in reversed(home[1:]):  # a name may come from whoever refers to the part, so that it is not missing here
        whole = {step: whole} if isinstance(step, str) else [whole if "name" in whole else {**_NAMELESS, **whole}]
    return Config({**_HEAD, "spec": whole}, home, tuple(findings))


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
