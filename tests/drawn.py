"""A seed to a document of the language, drawn from the published schema: valid, or with one thing about it changed."""

from __future__ import annotations

from random import Random
from typing import Any

from aigw_compile.diagnostic import Pointer
from aigw_compile.schema import document_schema, field, follow

# Texts that fit, by unit or form, else by pattern. A new pattern of the language needs a row here.
FIT: dict[str, list[str]] = {
    "a DNS label": ["a", "x-1", "support"],
    "a name without spaces": ["gpt-4o", "openai/gpt-4o", "*", "modèle", "模型", "4e0c9b1a-77aa"],
    "duration": ["250ms", "30s", "1h30m", "0s"],
    "size": ["10Mi", "1.5Gi", "512k", "1000"],
    "url": ["http://a:80/v1", "https://api.test", "https://[::1]:8080/"],
    "ip": ["127.0.0.1", "::", "fe80::1"],
    "re2": ["(?i)a", "\\bx\\b"],
    "hostname": ["a.test", "*.a.test"],
    "server name": ["a.test"],
    "cidr": ["10.0.0.0/8", "::1"],
    "date": ["2027-01-31"],
    "hostport": ["redis:6379"],
    "origin": ["https://app.test", "*"],
    "percent": ["50%"],
    "cpu": ["500m", "2"],
    "memory": ["512Mi"],
    "path": ["/", "/ai", "/a/b/"],
    "^[A-Za-z0-9-]+$": ["x-api-key", "authorization"],
    "^[A-Za-z_][A-Za-z0-9_]*$": ["OPENAI_API_KEY", "_"],
    "^/[^\\x00]+$": ["/run/secrets/key"],
    "^arn:[^\\s]+$": ["arn:aws:iam::1:role/x"],
}
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 1.0, 0.5, 8080.0, 70_000, 10**17, "", "x", "a b", "30", "30s", "10MB", "a\u3000b", "\n",
    "hunter2x", "https://a b", [], ["x"], ["x", "x"], [None], {}, {"env": "A"}, {"env": "A", "file": "/a"}, {"x": 1},
]  # fmt: skip


def document(seed: int) -> dict[str, Any]:
    """Return a document that fits the schema."""
    whole: dict[str, Any] = _draw(document_schema(), Random(seed), 0)
    return whole


def drawn(at: Pointer, dice: Random) -> Any:
    """Return what fits at a place."""
    return _draw(field(at) or {}, dice, len(at))


def mutated(seed: int) -> dict[str, Any]:
    """Return a document with one place changed, taken away or added to."""
    dice = Random(seed)
    data = document(dice.randrange(10**6))
    holder, key = dice.choice([*_places(data)])
    how = dice.choice(["set", "set", "delete", "add", "twice"])
    value = holder[key]
    if how == "delete":
        del holder[key]
    elif how == "add" and isinstance(value, dict):
        every = ["zzz", "name", "cache", "jwt", "replicas", "env", "vault", "aws", "anonymous", "cost", "mcpServers"]
        value[dice.choice(every)] = dice.choice(ODD)
    elif how == "twice" and isinstance(value, list):
        value *= 2
    else:
        holder[key] = dice.choice(ODD)
    return data


def _places(data: Any) -> Any:
    for key, inner in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield data, key
        yield from _places(inner)


def _draw(schema: dict[str, Any], dice: Random, depth: int) -> Any:
    schema = follow(schema)
    if "const" in schema or "enum" in schema:
        return dice.choice(schema.get("enum") or [schema["const"]])
    if schema.get("x-aigw-text-or-secret") and dice.random() < 0.5:
        return _draw(schema["then"], dice, depth)
    if schema.get("x-aigw-text-or-secret"):
        return "research"
    kind = schema["type"] if isinstance(schema["type"], str) else dice.choice(schema["type"])
    if kind == "object":
        return _object(schema, dice, depth)
    if kind == "array":
        return _array(schema, dice, depth)
    if kind == "boolean":
        return dice.random() < 0.5
    if kind in ("integer", "number"):
        low, high = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1), schema.get("maximum", 100)
        return dice.choice([low, high, dice.randint(low, high)])
    if "x-aigw-words" in schema:
        return dice.choice(["gateway", "consumer", "ip", "header:x-team"])
    known = [schema.get(key) for key in ("x-aigw-unit", "x-aigw-form", "pattern")]
    given = schema.get("examples") or [schema.get("default")]
    return dice.choice(
        next((FIT[k] for k in known if k in FIT), given if "pattern" in schema else ["words", "a: b #c"])
    )


def _array(schema: dict[str, Any], dice: Random, depth: int) -> list[Any]:
    items = [_draw(schema["items"], dice, depth + 1) for _ in range(dice.randint(max(1, schema.get("minItems", 0)), 3))]
    if schema.get("uniqueItems"):
        return [item for index, item in enumerate(items) if item not in items[:index]]
    return items


def _object(schema: dict[str, Any], dice: Random, depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    if not properties:
        return _map(schema, dice, depth) if schema.get("additionalProperties") else {}
    later = ("x-aigw-later", "x-aigw-reserved")
    usable = [k for k, v in properties.items() if not any(map(v.get, later)) and k != "configRef"]
    likely = 0.6 if depth < 4 else 0.3
    keys = [k for k in usable if k in schema.get("required", ()) or dice.random() < likely]
    drawn = {k: _draw(properties[k], dice, depth + 1) for k in _chosen(schema, keys, usable, dice)}
    for rule in schema.get("allOf", ()):  # what stands only with a certain type
        if rule["if"]["properties"]["type"]["const"] == drawn.get("type", properties["type"].get("default")):
            for name in rule["then"].get("properties", {}):
                drawn.pop(name, None)
            for name in rule["then"].get("required", ()):
                drawn.setdefault(name, _draw(properties[name], dice, depth + 1))
    return drawn


def _map(schema: dict[str, Any], dice: Random, depth: int) -> dict[str, Any]:
    """A map whose keys are free, such as labels."""
    key = "x-team" if "propertyNames" in schema else "a"
    extra = schema.get("additionalProperties")
    return {key: _draw(extra, dice, depth + 1) if isinstance(extra, dict) else dice.choice([1, "b", True, [2]])}


def _chosen(schema: dict[str, Any], keys: list[str], usable: list[str], dice: Random) -> list[str]:
    """Make a draw of keys one that the rules about keys allow."""
    choices, alone = schema.get("x-aigw-one-of", ()), schema.get("x-aigw-alone")
    others = [k for k in choices if k != alone]
    if alone:
        if dice.random() < 0.3:
            return [alone]
        chosen = dice.sample(others, dice.randint(1, len(others))) if others else []
        keys = [*chosen, *(k for k in keys if k not in choices)]
    elif choices:
        keys = [dice.choice(choices), *(k for k in keys if k not in choices)]
    wanted = [name for inner in schema.get("anyOf", ()) for name in inner["required"]]
    if wanted and not set(wanted) & set(keys):
        keys.append(dice.choice(wanted))
    if schema.get("minProperties") and not keys:
        keys = [dice.choice(usable)]
    if (both := schema.get("x-aigw-not-both")) and set(both) <= set(keys):
        keys.remove(dice.choice(both))
    needs = schema.get("dependentRequired", {})
    while missing := [need for k in keys for need in needs.get(k, ()) if need not in keys]:
        if set(missing) & set(choices):  # it goes with a choice that was not made
            keys = [k for k in keys if not set(needs.get(k, ())) & (set(choices) - set(keys))]
        else:
            keys += dict.fromkeys(missing)
    return keys
