"""A schema, the value that a part has there and the rules that bind a referrer, to the schema of what the referrer may write.

Whatever fits it makes, merged with the value, something that fits the schema whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aigw_compile.diagnostic import Json
from aigw_compile.schema import follow
from aigw_compile.units import key_of
from aigw_compile.view.demands import DELETES, DEMANDS, Known, Left, Schema, demands, left, pinned
from aigw_compile.view.limits import broken, limited, wanted, wanting
from aigw_compile.view.rules import Rules

ABSENT: Final[Any] = object()
"""In place of a value: the part has nothing there."""
NEVER: Final[Schema] = {"not": {}}
PATCH: Final = "$patch"
REPLACES: Final[Schema] = {"required": [PATCH], "properties": {PATCH: {"const": "replace"}}, "type": "object"}
WAYS: Final = ("provider", "model")
"""A target that has no name is known by these."""
MARKER: Final[Schema] = {"const": {PATCH: "replace"}}
_DELETE: Final[Schema] = {
    "const": "delete",
    "title": "Delete",
    "description": "Take away what the part has here.",
}
_REPLACE: Final[Schema] = {
    "const": "replace",
    "title": "Replace",
    "description": "Take what stands here instead of what the part has.",
}
_OF_FIELDS: Final = (*DEMANDS, "default", "examples")


class Viewer:
    """Knows which names may not be written down, and which of the part's objects and lists lack something."""

    def __init__(self, unspoken: frozenset[str], lacking: frozenset[int] = frozenset()) -> None:
        self.unspoken = unspoken
        self._lacking = lacking
        """By identity."""

    def residual(self, node: Schema, value: Any, rules: Rules) -> Schema | None:
        """Return the schema of what may be written at a place; None where nothing may."""
        whole = follow(node)
        if rules.gone or whole.get("not") == {}:
            return None
        if value is ABSENT and rules.free:
            return dict(node)
        found: Schema | None
        if whole.get("x-aigw-secret") or whole.get("x-aigw-text-or-secret"):
            found = None if rules.inside else dict(node)
        elif "properties" in whole:
            found = self._object(whole, value if isinstance(value, dict) else {}, rules)
        elif whole.get("type") == "array":
            found = self._list(whole, value if isinstance(value, list) else [], rules)
        elif whole.get("additionalProperties"):
            found = self._map(whole, value if isinstance(value, dict) else {}, rules)
        elif isinstance(value, (str, int, float)) and value not in self.unspoken:
            found = {**node, "default": value}  # what holds if nothing is written
        else:
            found = {k: v for k, v in node.items() if k != "default" or value is ABSENT}
        if found and "default" in found and broken(whole, found["default"], rules):
            found = {key: inner for key, inner in found.items() if key != "default"}
        return limited(found, whole, value is not ABSENT, self._speakable(rules.schemas)) if found is not None else None

    def top(self, whole: Schema, value: Mapping[str, Json], rules: Rules) -> Schema:
        """Return the schema of the object that a part is for; there, nobody can replace everything."""
        return self._object(whole, value, rules, top=True) or {**NEVER, "type": "object"}

    def _lacks(self, node: Schema, value: Any, rules: Rules) -> bool:
        """Say whether something has to be added to a value of the part."""
        return id(value) in self._lacking or wanting(follow(node), value, rules)

    def _speakable(self, schemas: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [schema for schema in schemas if not self.unspoken.intersection(_texts(schema))]

    # --- objects

    def _object(self, whole: Schema, have: Mapping[str, Json], rules: Rules, *, top: bool = False) -> Schema | None:
        own = {k: v for k, v in whole["properties"].items() if k != PATCH}
        shut = sealed(whole, have, rules)
        fields: dict[str, Schema] = {}
        for key, node in own.items():
            inner = rules.field(key)
            if key in shut:
                continue
            found = self.residual(node, have.get(key, ABSENT), inner)
            if found is not None:
                fields[key] = found
        movable = bool(have) and not rules.binding and not holds_sealed(whole, have, rules)
        instead = self._instead(whole, have, fields, movable, top=top)
        alone, choices = whole.get("x-aigw-alone"), {*whole.get("x-aigw-one-of", ())}
        demand = demands(whole)
        asked = wanted(whole, have, rules)
        lacking = [key for key in own if key in have and self._lacks(own[key], have[key], rules.field(key))]
        fixed = {"type", alone, *choices, *pinned(demand), *asked}
        if "minProperties" in demand:
            fixed |= own.keys()
        loose = {
            key
            for key in fields
            if key in have and key not in fixed and key != "configRef"
            if not rules.field(key).binding
        }
        every = tuple(key for key in own if key != "configRef")
        known = Known(have, frozenset(own.keys() - fields.keys()), frozenset(loose), every)
        rest = left(demand, known)
        if rest is False or any(known.present(key) is False for key in asked) or not fields.keys() >= {*lacking}:
            return None
        if every and not top and not fields.keys() - {"configRef", *(("name",) if "name" in have else ())}:
            return None
        for key in loose:
            fields[key] = _or_deleted(fields[key])
        needed = [key for key in own if key in lacking or (key in asked and key not in have)]
        about = {k: v for k, v in whole.items() if k not in _OF_FIELDS and k not in ("properties", "$ref")}
        found = {**about, "properties": fields, **_demanded(rest, needed, relaxed="configRef" in fields and not top)}
        if not instead:
            return found
        fresh = self._object(whole, {}, rules)
        if fresh is None:
            return {**found, "allOf": [*found.get("allOf", ()), {"not": _either(instead)}]}
        fresh["properties"] = {**fresh["properties"], PATCH: _REPLACE}
        head = {k: v for k, v in about.items() if k != "additionalProperties"}
        return {**head, "if": _either(instead), "then": fresh, "else": found}

    def _instead(
        self, whole: Schema, have: Mapping[str, Json], fields: dict[str, Schema], movable: bool, *, top: bool
    ) -> list[Schema]:
        """Return when an object replaces the part's; where that may not be, take away the fields that would do it."""
        if not have:
            return []
        found: list[Schema] = [REPLACES] if movable and not top else []
        kind = have.get("type")
        if "type" in fields and isinstance(kind, str):
            if movable:
                found.append({"required": ["type"], "properties": {"type": {"not": {"const": kind}}}})
            else:
                fields["type"] = {**fields["type"], "enum": [kind]}
        alone = whole.get("x-aigw-alone")
        choices = [c for c in whole.get("x-aigw-one-of", ()) if not alone]
        others: list[str] = []
        if alone:
            others = [k for k in fields if k != "configRef" and (k == alone) != (alone in have)]
        elif any(c in have for c in choices):
            others = [c for c in choices if c in fields and c not in have]
        if movable:
            found += [{"required": [key]} for key in others]
        else:
            for key in others:
                del fields[key]
        return found

    # --- lists

    def _list(self, whole: Schema, have: list[Json], rules: Rules) -> Schema | None:
        merged = whole.get("x-kubernetes-list-type") in ("map", "set")
        about = {k: v for k, v in whole.items() if k not in ("default", "examples", "$ref")}
        least = whole.get("minItems", 0)
        if whole.get("x-kubernetes-list-type") == "map":
            found = self._keyed(whole, have, rules, about)
        elif rules.inside:
            return None
        else:
            items = self.residual(whole["items"], ABSENT, rules.item(""))
            found = None if items is None else {**about, "items": items}
            if found and have and merged and len(have) >= least:
                found.pop("minItems", None)
        if found is None or not have or not merged or rules.binding or holds_sealed(whole, have, rules):
            return found
        items = self.residual(whole["items"], ABSENT, rules.item("")) or NEVER
        fresh = {**about, "prefixItems": [MARKER], "items": items, "minItems": 1 + least}
        head = {k: v for k, v in about.items() if k in ("title", "description", "type") or k.startswith("x-")}
        return {**head, "if": {"prefixItems": [MARKER], "minItems": 1}, "then": fresh, "else": found}

    def _keyed(self, whole: Schema, have: list[Json], rules: Rules, about: Schema) -> Schema | None:
        node = whole["items"]
        seen: list[Schema] = []
        cases: list[Schema] = []
        deletable: list[Schema] = []
        there: set[str] = set()
        lacking: list[Schema] = []
        for item in have:
            name = key_of(item)
            inner = rules.item(name)
            there.add(name)
            if not isinstance(item, dict) or rules.unnamed(name) or self._tells(name, item, inner):
                if self._lacks(node, item, inner):
                    return None
                continue
            which = self._which(name, item)
            if self._lacks(node, item, inner):
                lacking.append({"contains": which})
            seen.append(which)
            found = None if rules.only_more else self.residual(node, item, inner)
            if found is not None and not inner.binding:
                deletable.append(which)
                found = _or_deleted_item(found)
            cases.append({"if": which, "then": found or NEVER})
        for name in rules.names():
            inner = rules.item(name)
            if name not in there and name not in self.unspoken and not rules.unnamed(name):
                seen.append(self._which(name, {}))
                cases.append({"if": seen[-1], "then": self.residual(node, ABSENT, inner) or NEVER})
        new = self.residual(node, ABSENT, rules.item(""))
        if new is None and all(case["then"] == NEVER for case in cases):
            return None
        items = new or NEVER
        if cases:
            items = {"type": "object", "allOf": [*cases, {"if": _either(seen), "else": items}]}
        found = {**about, "items": items}
        least = whole.get("minItems", 0)
        if len(have) >= least:
            found.pop("minItems", None)
        if deletable and len(have) - len(deletable) < least:
            gone = [{"contains": {"allOf": [which, DELETES]}} for which in deletable]
            found["not"] = {"allOf": gone}
        if lacking:
            found["allOf"] = lacking
        return found

    def _tells(self, name: str, item: Mapping[str, Json], rules: Rules) -> bool:
        """Say whether the name of an item tells of something hidden."""
        derived = "name" not in item and any(
            rules.field(key).hidden or item.get(key) in self.unspoken for key in WAYS if key in item
        )
        return derived or name in self.unspoken

    def _which(self, name: str, item: Mapping[str, Json]) -> Schema:
        """Return what an item is that is known by this name; a target's may follow from its provider and model."""
        named: Schema = {"required": ["name"], "properties": {"name": {"const": name}}}
        ways = {key: item[key] for key in WAYS if key in item}
        if "name" in item or len(ways) < len(WAYS):
            return named
        derived = {"required": [*ways], "properties": {k: {"const": v} for k, v in ways.items()}}
        return {"anyOf": [named, {**derived, "not": {"required": ["name"]}}]}

    # --- maps with keys of one's own

    def _map(self, whole: Schema, have: Mapping[str, Json], rules: Rules) -> Schema | None:
        other = whole["additionalProperties"]
        node = other if isinstance(other, dict) else {}
        new = self.residual(node, ABSENT, rules.entry(""))
        fields: dict[str, Schema] = {}
        named = {p[0] for p in (*rules.hide, *(q for q, _ in rules.lock), *(q for q, *_ in rules.constrain)) if p}
        texts = {step if isinstance(step, str) else step.name for step in named} - {""}
        for key in [*have, *sorted(texts - have.keys())]:
            inner = rules.entry(key)
            if inner.hidden or key in self.unspoken:
                continue
            found = self.residual(node, have.get(key, ABSENT), inner)
            if found is not None and key in have and not inner.binding and not rules.asks_for(key):
                found = _or_deleted(found)
            fields[key] = found if found is not None else NEVER
        if new is None and all(found == NEVER for found in fields.values()):
            return None
        about = {k: v for k, v in whole.items() if k not in ("default", "examples", "$ref")}
        values: Any = NEVER if new is None else other if new == node else new
        result = {**about, "properties": fields, "additionalProperties": values}
        if needed := [key for key in sorted(texts) if rules.asks_for(key) and key not in have]:
            result["required"] = needed
        if not have or rules.binding:
            return result
        names = {"anyOf": [{"const": PATCH}, whole["propertyNames"]]} if "propertyNames" in whole else True
        fresh = {**about, "properties": {PATCH: _REPLACE}, "propertyNames": names, "additionalProperties": values}
        if needed := [key for key in sorted(texts) if rules.asks_for(key)]:
            fresh["required"] = needed
        head = {k: v for k, v in about.items() if k in ("title", "description", "type")}
        return {**head, "if": REPLACES, "then": fresh, "else": result}


def sealed(whole: Schema, have: Mapping[str, Json], rules: Rules) -> frozenset[str]:
    """Return the fields that say where a credential of the part goes."""
    fields = whole.get("x-aigw-destination", ())
    if not have or not fields:
        return frozenset()
    if "*" in fields:
        fields = whole["properties"].keys() - {"name", "configRef"}
    elif not _holds_secret(whole, have):
        return frozenset()
    return frozenset(key for key in fields if not rules.field(key).opened)


def holds_sealed(whole: Schema, value: Any, rules: Rules) -> bool:
    """Say whether a value holds, here or below, a credential together with where it goes: neither moves without the other."""
    if isinstance(value, dict) and "properties" in whole:
        known = whole["properties"]
        return bool(sealed(whole, value, rules)) or any(
            holds_sealed(follow(known[key]), value[key], rules.field(key)) for key in value if key in known
        )
    if isinstance(value, list) and isinstance(whole.get("items"), dict):
        items = follow(whole["items"])
        return any(holds_sealed(items, item, rules.item(key_of(item))) for item in value)
    return False


def _holds_secret(whole: Schema, value: Any) -> bool:
    if isinstance(value, dict):
        if whole.get("x-aigw-secret") or whole.get("x-aigw-text-or-secret"):
            return True
        known, other = whole.get("properties", {}), whole.get("additionalProperties")
        return any(_holds_secret(follow(known.get(key, other)), inner) for key, inner in value.items())
    return isinstance(value, list) and any(_holds_secret(follow(whole.get("items")), item) for item in value)


def _either(conditions: list[Schema]) -> Schema:
    return conditions[0] if len(conditions) == 1 else {"anyOf": conditions}


def _or_deleted(found: Schema) -> Schema:
    about: Schema = {key: found[key] for key in ("title", "description") if key in found}
    delete = {"type": "object", "properties": {PATCH: _DELETE}, "required": [PATCH], "additionalProperties": False}
    return {**about, "if": DELETES, "then": delete, "else": found}


def _or_deleted_item(found: Schema) -> Schema:
    allowed = {"name": True, PATCH: _DELETE}
    delete = {"type": "object", "properties": allowed, "required": ["name"], "additionalProperties": False}
    return {"if": DELETES, "then": delete, "else": found}


def _demanded(rest: Left, needed: list[str], *, relaxed: bool) -> Schema:
    """Write down what is left to demand; beside a configRef the part that it names may bring it."""
    plain = isinstance(rest, bool) or rest.keys() <= {"required", "allOf"}
    found: Schema = {} if isinstance(rest, bool) else dict(rest) if plain else {"allOf": [rest]}
    if needed:
        found["required"] = [*dict.fromkeys([*found.get("required", ()), *needed])]
    return {"if": {"required": ["configRef"]}, "else": found} if relaxed and found else found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
