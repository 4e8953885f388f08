"""A seed to a part, a contract, and a gateway that refers to the part: drawn from the schema, cut down, and patched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import jsonschema

from aigw_compile.diagnostic import Diagnostic, Pointer, value_at
from aigw_compile.resolve import Library, resolve
from aigw_compile.resolve.paths import ANY, Item, Path, places, written, wrong
from aigw_compile.resolve.paths import parse as path_of
from aigw_compile.resolve.shapes import node_of
from aigw_compile.schema import field, list_type
from aigw_compile.source import Source, parse
from aigw_compile.units import key_of, seconds, size
from aigw_compile.view import Rules
from tests.drawn import document

ADDED = [path_of(text) for text in ("policies.promptGuard.deny", "policies.limits", "models[*].policies.limits")]
CONSTRAINTS: list[tuple[str, dict[str, Any]]] = [
    ("models[*].policies.limits[*].tokens", {"maximum": 200_000}),
    ("models[*].timeouts.request", {"maximum": 60}),
    ("models[*].targets[*].weight", {"maximum": 50}),
    ("models[*].policies.cache.scope", {"const": "consumer"}),
    ("observability.accessLog", {"required": ["format"]}),
    ("models[*].lifecycle.sunset", {}),
    ("listeners[*].maxBodySize", {"maximum": 1_000_000}),
]


def spec(seed: int) -> dict[str, Any]:
    """Return the spec of a gateway that fits the schema, every item of a keyed list with a name that says where it is."""
    data = without_refs(document(seed))
    for at in [*_lists(data, ())]:
        for number, item in enumerate(value_at(at, data)):  # type: ignore[arg-type]
            assert isinstance(item, dict)
            if "name" in item or at[-1] != "targets":
                item["name"] = f"{str(at[-1])[:3].lower()}-q{number}"
            else:
                item["model"] = f"m-{number}"
    found: dict[str, Any] = data["spec"]
    return found


def unique(spec: dict[str, Any]) -> None:
    """Take out items of keyed lists whose name the list has already."""
    for at in [*_lists(spec, ("spec",))]:
        listed = value_at(at[1:], spec)
        if isinstance(listed, list):
            listed[:] = {key_of(item) or repr(item): item for item in reversed(listed)}.values()


def without_refs(value: Any) -> Any:
    """Return a value without the parts that it would build on."""
    if isinstance(value, dict):
        return {k: without_refs(v) for k, v in value.items() if k != "configRef"}
    return [without_refs(v) for v in value] if isinstance(value, list) else value


def _lists(data: Any, at: Pointer) -> Iterator[Pointer]:
    if isinstance(data, dict):
        for key, inner in data.items():
            yield from _lists(inner, (*at, key))
    elif isinstance(data, list):
        if data and list_type(at) == "map":
            yield at
        for index, inner in enumerate(data):
            yield from _lists(inner, (*at, index))


def cut(value: Any, dice: Random, likely: float) -> Any:
    """Return a value with fields and items left out; what holds them stays, and so do names."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k == "name" or dice.random() > likely}
        return {k: cut(v, dice, likely) for k, v in kept.items()}
    if isinstance(value, list):
        return [cut(v, dice, likely / 2) for v in value if dice.random() > likely / 2] or value[:1]
    return value


def patched(value: Any, dice: Random, at: Pointer = ("spec",)) -> Any:
    """Return a value with some `$patch` in it."""
    if isinstance(value, dict):
        found = {k: patched(v, dice, (*at, k)) for k, v in value.items()}
        for key in value:
            if key != "name" and dice.random() < 0.08:
                found[key] = {"$patch": "delete"}
        return {"$patch": "replace", **found} if at != ("spec",) and dice.random() < 0.05 else found
    if isinstance(value, list):
        listed = [patched(v, dice, (*at, i)) for i, v in enumerate(value)]
        if listed and list_type(at) == "map" and dice.random() < 0.2:
            listed = [
                {"name": v["name"], "$patch": "delete"} if "name" in v and dice.random() < 0.5 else v for v in listed
            ]
        return [{"$patch": "replace"}, *listed] if dice.random() < 0.05 else listed
    return value


def contract(part: dict[str, Any], dice: Random) -> Rules:
    """Return what binds those who refer to a part: paths that go where it has something, or might."""
    known = [*dict.fromkeys(path for at in _places(part, ()) for path in _paths(at, part, dice))]
    usable = [path for path in known if not wrong(path, node_of("AIGateway")) and path[-1] != "configRef"]

    def some(most: int) -> tuple[Path, ...]:
        return tuple(dice.sample(usable, min(len(usable), dice.randint(0, most))))

    kept = [(path_of(path) or (), schema) for path, schema in CONSTRAINTS if dice.random() < 0.3]
    constrain = [(path, schema, dice.random() < 0.3) for path, schema in kept if _keeps(part, path, schema)]
    added = [(path, True) for path in ADDED if path and dice.random() < 0.2]
    return Rules(some(3), (*((path, False) for path in some(3)), *added), some(2), tuple(constrain))


def _keeps(part: dict[str, Any], path: Path, schema: dict[str, Any]) -> bool:
    """Say whether what a part itself has fits a constraint."""
    measured: Any = {"request": seconds, "maxBodySize": size}.get(str(path[-1]), lambda value: value)
    judge = jsonschema.Draft202012Validator(schema)
    return all(judge.is_valid(measured(value_at(at, part))) for at in places(path, part))


def _places(value: Any, at: Pointer) -> Iterator[Pointer]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*at, key)
        if isinstance(inner, (dict, list)) and not (field(("spec", *at, key)) or {}).get("x-aigw-secret"):
            yield from _places(inner, (*at, key))


def _paths(at: Pointer, part: Any, dice: Random) -> Iterator[Path]:
    path: list[str | Item] = []
    for number, step in enumerate(at):
        if isinstance(step, int):
            name = key_of(value_at(at[: number + 1], part))
            keyed = list_type(("spec", *at[:number])) == "map"
            path.append(Item(name) if name and keyed and dice.random() < 0.5 else ANY)
        else:
            path.append(step)
    yield tuple(path)


def fields(rules: Rules) -> dict[str, Any]:
    """Return a contract as a part writes it."""
    return {
        "hide": [*map(written, rules.hide)],
        "lock": [{"path": written(path), "allow": "add"} if add else written(path) for path, add in rules.lock],
        "open": [*map(written, rules.open)],
        "constrain": [{"path": written(p), "schema": s, "required": needed} for p, s, needed in rules.constrain],
    }


def resolved(base: dict[str, Any], rules: Rules, own: dict[str, Any]) -> tuple[dict[str, Any], tuple[Diagnostic, ...]]:
    """Return the spec that a gateway makes with a part, and what is found on the way."""
    part = {"for": "AIGateway", "config": base, "fields": fields(rules)}
    library = Library([_source("AIGatewayConfig", "baseline", part)])
    assert not library.every[0].diagnostics
    found = resolve(_source("AIGateway", "support", {"configRef": [{"name": "baseline"}], **own}), library)
    spec: Any = value_at(("spec",), found.source.data)
    return spec, found.diagnostics


def _source(kind: str, name: str, spec: dict[str, Any]) -> Source:
    data = {"apiVersion": "aigw.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    return parse(json.dumps(data), f"{name}.yaml")[0][0]


__all__ = ["contract", "cut", "patched", "resolved", "spec", "unique", "without_refs"]
