"""The schema to what merging and contracts need to know of a place: how it merges, what replaces it, where credentials go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.schema import PLACES, document_schema, field, follow

MAP, KEYED, SET, WHOLE = "map", "keyed", "set", "whole"
"""How layers join at a place: key by key, item by name, as a union, or not at all (the strongest wins)."""


class Shape:
    """What is known of a place. `node` is its schema, with every reference followed."""

    __slots__ = (
        "alone",
        "choices",
        "destination",
        "inner",
        "items",
        "join",
        "node",
        "other",
        "part",
        "secret",
        "typed",
    )

    def __init__(self, node: Mapping[str, Any]) -> None:
        self.node = node
        self.inner: dict[str, Shape] = {}
        self.items: Shape | None = None
        self.other: Shape | None = None
        """Of a map with keys of one's own: its values."""
        self.part = str(node.get("x-aigw-part", ""))
        self.typed = "type" in node.get("properties", {})
        self.alone = str(node.get("x-aigw-alone", ""))
        self.choices = frozenset(node.get("x-aigw-one-of", ()))
        self.destination: tuple[str, ...] = tuple(node.get("x-aigw-destination", ()))
        self.secret = bool(node.get("x-aigw-secret") or node.get("x-aigw-text-or-secret"))
        """A SecretRef stands here or below."""
        kind = {"map": KEYED, "set": SET}.get(str(node.get("x-kubernetes-list-type")), WHOLE)
        is_map = not node.get("x-aigw-secret") and ("properties" in node or "additionalProperties" in node)
        self.join = MAP if is_map else kind
        if node.get("x-aigw-secret"):
            return
        for name, found in node.get("properties", {}).items():
            if name != "configRef":
                self.inner[name] = _shape(found)
        if isinstance(node.get("additionalProperties"), dict):
            self.other = _shape(node["additionalProperties"])
        if isinstance(node.get("items"), dict):
            self.items = _shape(node["items"])
        below = [*self.inner.values(), self.items, self.other]
        self.secret = self.secret or any(s.secret for s in below if s)

    @property
    def is_secret(self) -> bool:
        """A SecretRef stands here itself, or may stand here."""
        return bool(self.node.get("x-aigw-secret") or self.node.get("x-aigw-text-or-secret"))

    def step(self, step: str | int) -> Shape:
        """Return the shape one step further; NOTHING where the language has no such place."""
        if isinstance(step, int):
            return self.items or NOTHING
        return self.inner.get(step) or self.other or NOTHING


_named: dict[str, Shape] = {}


def _shape(node: Mapping[str, Any]) -> Shape:
    """Subschemas that are referred to by name, with nothing of weight beside, are made once."""
    name = str(node.get("$ref", ""))
    marks = [k for k in node if k.startswith("x-kubernetes") or (k.startswith("x-aigw") and k != "x-aigw-change")]
    if not name or marks:
        return Shape(follow(node))
    if name not in _named:
        _named[name] = Shape(follow({"$ref": name}))
    return _named[name]


NOTHING = Shape({})


@cache
def document() -> Shape:
    """Return the shape of a whole document."""
    return Shape(document_schema())


@cache
def of_type(name: str) -> Shape:
    """Return the shape of a type that parts can be `for`; NOTHING of any other."""
    if name not in PLACES:
        return NOTHING
    shape = document()
    for step in PLACES[name]:
        shape = shape.step(step)
    return shape


def node_of(name: str) -> Mapping[str, Any]:
    """Return the schema of a type that parts can be `for`."""
    return field(PLACES[name]) or {}


def secrets_in(value: Json, shape: Shape, at: Pointer = ()) -> Iterator[tuple[Pointer, Mapping[str, Json]]]:
    """Yield every SecretRef of a value, with its place below `at`."""
    if shape.is_secret:
        if isinstance(value, dict):
            yield at, value
    elif not shape.secret:
        return
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from secrets_in(inner, shape.step(key), (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from secrets_in(inner, shape.step(index), (*at, index))


@cache
def destinations() -> tuple[tuple[str | None, ...], ...]:
    """Return where an object has fields that say where a credential goes: paths of keys, None for any item."""
    return tuple(_destinations(document().step("spec")))


def _destinations(shape: Shape, path: tuple[str | None, ...] = ()) -> Iterator[tuple[str | None, ...]]:
    if shape.destination:
        yield path
    for key, inner in shape.inner.items():
        yield from _destinations(inner, (*path, key))
    if shape.items:
        yield from _destinations(shape.items, (*path, None))
