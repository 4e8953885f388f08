"""What a schema demands of the fields of an object, and what is there already, to what is left to demand.

Only what the language's own schema uses is known: required, minProperties 1, one field alone, not two together, choices,
what goes with what, and what goes with a `type`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Json

Schema = dict[str, Any]
Left = bool | Schema
"""True: nothing is left to demand. False: it cannot be met."""

DEMANDS = (
    "required",
    "minProperties",
    "maxProperties",
    "dependentRequired",
    "not",
    "oneOf",
    "anyOf",
    "allOf",
    "if",
    "then",
)
DELETES: Schema = {"required": ["$patch"], "properties": {"$patch": {"const": "delete"}}, "type": "object"}


class Known(NamedTuple):
    """What is known of the fields of an object."""

    have: Mapping[str, Json]
    """What it has, whoever writes nothing."""
    closed: frozenset[str]
    """What cannot be written."""
    loose: frozenset[str]
    """Of what it has: what can be deleted."""
    every: tuple[str, ...]

    def present(self, key: str) -> Left:
        if key in self.have:
            return {"not": {"required": [key], "properties": {key: DELETES}}} if key in self.loose else True
        return False if key in self.closed else {"required": [key]}


def demands(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an object's schema that demands fields."""
    return {key: schema[key] for key in DEMANDS if key in schema}


def left(demand: Mapping[str, Any], known: Known) -> Left:
    """Return what is left to demand."""
    return all_of(_parts(demand, known))


def pinned(demand: Mapping[str, Any]) -> set[str]:
    """Return the fields that a demand needs, or chooses by."""
    found = set(demand.get("required", ()))
    for needs in demand.get("dependentRequired", {}).values():
        found |= set(needs)
    for key in ("oneOf", "anyOf", "allOf"):
        for inner in demand.get(key, ()):
            found |= pinned(inner)
    return found | pinned(demand["then"]) if "then" in demand else found


def _parts(demand: Mapping[str, Any], known: Known) -> Iterator[Left]:
    for key, value in demand.items():
        if key == "required":
            yield from map(known.present, value)
        elif key == "minProperties":
            yield any_of(known.present(name) for name in known.every)
        elif key == "maxProperties":
            yield from (opposite(known.present(name)) for name in known.every if name not in demand["required"])
        elif key == "dependentRequired":
            for name, needs in value.items():
                yield _if(known.present(name), all_of(map(known.present, needs)))
        elif key == "not":
            yield opposite(left(value, known))
        elif key == "anyOf":
            yield any_of(left(inner, known) for inner in value)
        elif key == "oneOf":
            yield _one_of([left(inner, known) for inner in value])
        elif key == "allOf":
            yield from (left(inner, known) for inner in value)
        elif key == "if":
            yield _if(left(value, known), left(demand["then"], known))
        elif key == "properties":
            yield from (_field(name, inner, known) for name, inner in value.items())


def _field(name: str, inner: Mapping[str, Any], known: Known) -> Left:
    """A field of a condition is of one value; one of its consequence may not stand."""
    if "const" in inner:
        if name in known.have:
            return bool(known.have[name] == inner["const"])
        return True if name in known.closed else {"properties": {name: dict(inner)}}
    there = known.present(name)
    return {"properties": {name: dict(inner)}} if there == {"required": [name]} else opposite(there)


def all_of(parts: Iterable[Left]) -> Left:
    """Return what demands all of them."""
    required: list[str] = []
    others: list[Schema] = []
    for part in parts:
        if part is False:
            return False
        if isinstance(part, dict):
            if part.keys() == {"required"}:
                required += part["required"]
            elif part.keys() <= {"allOf", "required"}:
                required += part.get("required", ())
                others += part["allOf"]
            else:
                others.append(part)
    if not required and len(others) <= 1:
        return others[0] if others else True
    found: Schema = {"required": [*dict.fromkeys(required)]} if required else {}
    return {**found, "allOf": others} if others else found


def any_of(parts: Iterable[Left]) -> Left:
    """Return what demands one of them."""
    found: list[Schema] = []
    for part in parts:
        if part is True:
            return True
        if isinstance(part, dict):
            found.append(part)
    return {"anyOf": found} if len(found) > 1 else found[0] if found else False


def opposite(part: Left) -> Left:
    """Return what demands that it is not so."""
    if isinstance(part, bool):
        return not part
    return part["not"] if part.keys() == {"not"} else {"not": part}


def _one_of(parts: list[Left]) -> Left:
    if parts.count(True) > 1:
        return False
    unsure = [part for part in parts if isinstance(part, dict)]
    if True in parts:
        return all_of(map(opposite, unsure))
    return {"oneOf": unsure} if len(unsure) > 1 else unsure[0] if unsure else False


def _if(condition: Left, consequence: Left) -> Left:
    if condition is True or consequence is True:
        return consequence
    if condition is False:
        return True
    return opposite(condition) if consequence is False else {"if": condition, "then": consequence}
