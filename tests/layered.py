"""A whole gateway and dice to layers that add up to it: parts, parts of parts, parts inside of objects, and what is left."""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any, Final, NamedTuple

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.resolve import Library, Resolved, resolve
from aigw_compile.resolve.paths import inner
from aigw_compile.resolve.shapes import node_of
from aigw_compile.schema import field, general
from aigw_compile.source import Source, parse
from aigw_compile.units import key_of
from tests import coherent

ABSENT: Final[Any] = object()
"""In place of a value: nothing stands there."""
SPEC: Pointer = ("spec",)
HEAD = {"apiVersion": "aigw.dev/v1alpha1"}


@cache
def whole(seed: int) -> str:
    """The spec of a gateway without errors, as text."""
    for number in range(seed * 50, seed * 50 + 50):
        if found := coherent.gateway(number):
            return json.dumps(found["spec"])
    raise AssertionError(seed)


def spec_of(seed: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(whole(seed))
    return found


def node(at: Pointer) -> dict[str, Any]:
    return field(general(at)) or {}


def kind(at: Pointer) -> str:
    """Say how the language merges a place: map, keyed, set, or "" for what is replaced."""
    here = node(at)
    if here.get("x-aigw-secret"):
        return ""
    if "properties" in here or "additionalProperties" in here:
        return "map"
    return {"map": "keyed", "set": "set"}.get(str(here.get("x-kubernetes-list-type")), "")


class Layers(NamedTuple):
    """Documents, and the spec that they make together."""

    parts: dict[str, dict[str, Any]]
    """Name -> document, of kind AIGatewayConfig."""
    gateway: dict[str, Any]

    def sources(self) -> tuple[list[Source], Source]:
        """Parse them, each from a file of its own."""
        found = {}
        for file, data in (*self.parts.items(), ("gw", self.gateway)):
            documents, wrong = parse(json.dumps(data, indent=1, ensure_ascii=False), f"{file}.yaml")
            assert not wrong, wrong
            found[file] = documents[0]
        return [found[name] for name in self.parts], found["gw"]

    def resolved(self) -> Resolved:
        parts, gateway = self.sources()
        return resolve(gateway, Library(parts))


def part(name: str, config: Json, type_: str = "AIGateway", **more: Json) -> dict[str, Any]:
    return {
        **HEAD,
        "kind": "AIGatewayConfig",
        "metadata": {"name": name},
        "spec": {"for": type_, "config": config, **more},
    }


def opened(type_: str) -> Json:
    """A contract that lets everybody say where credentials go: merging alone is looked at."""
    here = node_of(type_)
    return {"open": [key for key in here["properties"] if key != "configRef" and inner(here, key) is not None]}


def gateway(spec: Json) -> dict[str, Any]:
    return {**HEAD, "kind": "AIGateway", "metadata": {"name": "gw"}, "spec": spec}


def layers(pieces: list[Json], dice: Random) -> Layers:
    """Put pieces, weakest first, into parts and a gateway; some objects of them into parts of their own."""
    found: dict[str, dict[str, Any]] = {}
    bodies = [_nested({} if piece is ABSENT else piece, SPEC, dice, found) for piece in pieces]
    refs: list[Json] = []
    for number, body in enumerate(bodies[:-1]):
        more: dict[str, Json] = {"configRef": refs} if refs and dice.random() < 0.5 else {}
        refs = [] if more else refs
        found[f"layer-{number}"] = part(f"layer-{number}", body, fields=opened("AIGateway"), **more)
        refs = [*refs, {"name": f"layer-{number}"}]
    return Layers(found, gateway({**({"configRef": refs} if refs else {}), **bodies[-1]}))


def cut(value: Any, at: Pointer, dice: Random, count: int) -> list[Any]:
    """Cut a value into pieces, weakest first, that make it again; weaker ones also have other values of what they do not decide."""
    pieces: list[Any] = [ABSENT] * count
    how = kind(at)
    if how == "map" and isinstance(value, dict) and value:
        for key, one in value.items():
            for number, piece in enumerate(cut(one, (*at, key), dice, count)):
                if piece is not ABSENT:
                    pieces[number] = {**({} if pieces[number] is ABSENT else pieces[number]), key: piece}
        return pieces
    if how in ("keyed", "set") and isinstance(value, list) and value:
        for item in value:
            cuts = _item(item, (*at, 0), dice, count) if how == "keyed" else _some(item, dice, count)
            for number, piece in enumerate(cuts):
                if piece is not ABSENT:
                    pieces[number] = [*([] if pieces[number] is ABSENT else pieces[number]), piece]
        return pieces
    decides = dice.randrange(count)
    for number in range(decides):
        if dice.random() < 0.3 and at[-1] != "type":
            pieces[number] = another(value)
    pieces[decides] = value
    return pieces


def another(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    return f"{value}x" if isinstance(value, str) else value


def _some(item: Any, dice: Random, count: int) -> list[Any]:
    chosen = {dice.randrange(count), dice.randrange(count)}
    return [item if number in chosen else ABSENT for number in range(count)]


def named(item: dict[str, Any]) -> dict[str, Any]:
    """What an item is known by."""
    keys = ("name",) if "name" in item else ("provider", "model")
    return {key: item[key] for key in keys if key in item}


def _item(item: Any, at: Pointer, dice: Random, count: int) -> list[Any]:
    if not isinstance(item, dict) or not key_of(item):
        return _some(item, dice, count)
    name = named(item)
    rest = {key: value for key, value in item.items() if key not in name}
    pieces = cut(rest, at, dice, count)
    some = dice.randrange(count)
    return [
        {**name, **({} if piece is ABSENT else piece)} if piece is not ABSENT or number == some else ABSENT
        for number, piece in enumerate(pieces)
    ]


def _nested(value: Any, at: Pointer, dice: Random, found: dict[str, dict[str, Any]]) -> Any:
    """Move some of an object of a type that parts can be for into a part of its own."""
    if isinstance(value, list):
        return [_nested(item, (*at, 0), dice, found) for item in value]
    if not isinstance(value, dict) or not kind(at):
        return value
    value = {key: _nested(one, (*at, key), dice, found) for key, one in value.items()}
    type_ = node(at).get("x-aigw-part")
    if len(at) > 1 and type_ and dice.random() < 0.3 and not {"$patch", "configRef"} & value.keys():
        name = named(value) if isinstance(at[-1], int) else {}
        rest = {key: one for key, one in value.items() if key not in name}
        inside = {key for key in rest if dice.random() < 0.6}
        known = f"inner-{len(found)}"
        found[known] = part(
            known, {key: rest[key] for key in rest if key in inside}, str(type_), fields=opened(str(type_))
        )
        return {**name, "configRef": {"name": known}, **{k: v for k, v in rest.items() if k not in inside}}
    return value
