"""One error of the JSON schema validator to the findings that a person wants to read: a function for each keyword."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Severity, did_you_mean, named, nearest, value_at
from aigw_compile.mask import looks_secret, shown
from aigw_compile.schema import document_schema, field, follow, general
from aigw_compile.validate.codes import MISPLACED

TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
    "null": "null",
}


def _error(code: str, message: str, at: Pointer, hint: str = "", *, on_key: bool = False) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, at, hint, on_key=on_key)


def _unknown(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    known = schema.get("properties", {})
    for key in error.kind.unexpected:
        usable = [k for k, v in known.items() if not _marked(v)]
        likely = None if key in MISPLACED and MISPLACED[key] not in usable else nearest(key, usable)
        word = "a field" if looks_secret(key) else f"`{key}`"
        where = named(at, data) or "the document"
        if likely:
            yield _error("AIG1001", f'{word} is no field of {where}; did you mean "{likely}"?', (*at, key), on_key=True)
            continue
        place = MISPLACED.get(key) or _elsewhere(key)
        hint = f"`{key}` belongs under `{place}`" if place else f"known here: {', '.join(sorted(usable))}"
        yield _error("AIG1001", f"{word} is no field of {where}", (*at, key), hint, on_key=True)


def _marked(schema: Any) -> bool:
    return isinstance(schema, dict) and bool(schema.get("x-aigw-later") or schema.get("x-aigw-reserved"))


@cache
def _homes() -> Mapping[str, str]:
    """Field -> the shortest path in the language where a field of that name stands."""
    homes: dict[str, str] = {}

    def walk(schema: Any, path: str, seen: tuple[int, ...]) -> None:
        node = follow(schema)
        if id(node.get("properties")) in seen:
            return
        for key, inner in node.get("properties", {}).items():
            if _marked(inner):
                continue
            place = f"{path}.{key}" if path else key
            if key not in homes or place.count(".") < homes[key].count("."):
                homes[key] = place
            resolved = follow(inner)
            tail = "[]" if "items" in resolved else ""
            walk(resolved.get("items", resolved), place + tail, (*seen, id(node.get("properties"))))

    walk(document_schema()["properties"]["spec"], "", ())
    return homes


def _elsewhere(key: str) -> str | None:
    homes = _homes()
    return homes.get(key)


def _required(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    key = error.kind.property
    holder = schema if key in schema.get("properties", {}) else field(general(at)) or {}
    given = follow(holder.get("properties", {}).get(key, {}))
    described = given.get("description", "")
    likely = given.get("const") or (given.get("examples") or given.get("enum") or [None])[0]
    hint = (
        f"{key}: {described}" + (f" For example `{key}: {likely}`." if likely is not None else "") if described else ""
    )
    yield _error("AIG1002", f"`{key}` is missing in {named(at, data) or 'the document'}", at, hint)


def _type(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    value = value_at(at, data)
    if value is None:
        yield _null(at)
        return
    if schema.get("x-aigw-secret"):
        yield _error("AIG1013", f"{_name(at)} takes a SecretRef, never the secret itself", at, SECRETREF)
        return
    wanted = " or ".join(TYPES.get(t, t) for t in error.kind.types)
    found = f"{TYPES.get(_json_type(value), 'something else')}"
    quoted = "" if isinstance(value, (dict, list)) else f" ({shown(value)})"
    hint = ""
    example = (schema.get("examples") or schema.get("enum") or [schema.get("default")])[0]
    if "array" in error.kind.types and not isinstance(value, (dict, list)):
        hint = f"write a list: [{shown(value)}]"
    elif "string" in error.kind.types and isinstance(value, (bool, int, float)):
        hint = _unit(value, schema) or f'write it in quotes: "{shown(value)}"'
    elif "integer" in error.kind.types and isinstance(value, str) and re.fullmatch(r"\d+", value):
        hint = f"write it without quotes: {value}"
    elif example is not None:
        hint = f"for example {shown(example)}"
    yield _error("AIG1003", f"{_name(at)} takes {wanted}, not {found}{quoted}", at, hint)


SECRETREF = "write {env: NAME}, {file: /path}, {vault: NAME, key: PATH} or {kubernetes: {name: SECRET, key: KEY}}"


def _unit(value: Any, schema: dict[str, Any]) -> str:
    return f"a duration has a unit: {value}s" if schema.get("x-aigw-unit") == "duration" else ""


def _null(at: Pointer) -> Diagnostic:
    return _error("AIG1011", f"{_name(at)} is null, which is not the same as leaving it out", at, "delete the line")


def _enum(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    value = value_at(at, data)
    options = [str(o) for o in (error.kind.options if error.kind.name == "enum" else [error.kind.expected_value])]
    holder = schema if "x-aigw-later-values" in schema else _above(at)
    coming = [str(v) for v in holder.get("x-aigw-later-values", ())]
    if value is None:
        yield _null(at)
    elif at in (("apiVersion",), ("kind",)):
        yield from _head(at, value, options)
    elif any(str(value) == c or (c.endswith(":") and str(value).startswith(c)) for c in coming):
        yield _error(
            "AIG1009",
            f"{_name(at)} {shown(value)} is not in this version yet",
            at,
            f"this version has: {', '.join(options)}",
        )
    elif isinstance(value, (dict, list)):
        yield _error("AIG1003", f"{_name(at)} takes one of {', '.join(options)}, not {TYPES[_json_type(value)]}", at)
    elif at[-1:] == ("anonymous",):
        yield _error("AIG1004", "anonymous is true, or left out", at, "delete the line and choose apiKey instead")
    else:
        yield _error("AIG1004", f"{_name(at)} cannot be {shown(value)}", at, did_you_mean(str(value), options))


def _above(at: Pointer) -> dict[str, Any]:
    return field(general(at[:-1])) or {}


def _head(at: Pointer, value: Json, options: list[str]) -> Iterator[Diagnostic]:
    if value == "AIGatewayConfig":
        yield _error("AIG1009", "parts (kind AIGatewayConfig) are not in this version yet", at)
        return
    yield _error("AIG1012", f"unknown {at[0]} {shown(value)}", at, f"write `{at[0]}: {options[0]}`")


def _pattern(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    value = str(value_at(at, data))
    unit, form = schema.get("x-aigw-unit"), schema.get("x-aigw-form")
    if unit == "duration":
        number = re.fullmatch(r"(\d+)(\.\d+)?\s*(\w*)", value)
        hint = (
            f"write {number[1]}s" if number and not number[3] and not number[2] else "write it like 250ms, 30s or 1h30m"
        )
        yield _error("AIG1005", f"{_name(at)} {shown(value)} is no duration", at, hint)
    elif unit == "size":
        yield _error("AIG1005", f"{_name(at)} {shown(value)} is no size", at, "write it like 512Ki, 10Mi or 1Gi")
    elif unit == "url":
        hint = (
            f"write http://{value} or https://{value}"
            if "://" not in value and not looks_secret(value)
            else "write http://HOST:PORT/PATH or https://HOST/PATH, without ? and #"
        )
        yield _error("AIG1005", f"{_name(at)} {shown(value)} is no address", at, hint)
    elif form:
        fixed = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:63].rstrip("-")
        label = form == "a DNS label"
        hint = (
            "lower case letters, digits and `-`" + (f', such as "{fixed}"' if fixed else "")
            if label
            else "no spaces, 1 to 256 characters"
        )
        yield _error("AIG1005", f"{_name(at)} {shown(value)} is not {form}", at, hint)
    else:
        example = (schema.get("examples") or [None])[0]
        hint = f"for example {example}" if example else f"it must match {error.kind.pattern}"
        yield _error("AIG1005", f"{_name(at)} {shown(value)} is not in the right form", at, hint)


def _bound(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    value = value_at(at, data)
    if isinstance(value, (int, float)):
        low, high = schema.get("minimum"), schema.get("maximum")
        span = (
            f"{low} to {high}"
            if low is not None and high is not None
            else f"{low} or more"
            if low is not None
            else f"{high} or less"
        )
        yield _error("AIG1006", f"{_name(at)} is {value}; it must be {span}", at)
    elif isinstance(value, dict):
        known = ", ".join(schema.get("properties", {}))
        yield _error("AIG1006", f"{_name(at)} is empty", at, f"write at least one of: {known}" if known else "")
    elif value in ("", []):
        yield _error("AIG1006", f"{_name(at)} is empty", at, "write at least one, or delete the line")
    else:
        size = len(value) if isinstance(value, (str, list)) else 0
        most = schema.get("maxLength", schema.get("maxItems"))
        yield _error("AIG1006", f"{_name(at)} has {size} characters or items; at most {most} are allowed", at)


def _twice(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    seen: list[Json] = []
    for index, item in enumerate(value_at(at, data) or ()):  # type: ignore[arg-type]
        if item in seen:
            yield _error("AIG1007", f"{shown(item)} stands twice in {_name(at)}", (*at, index), "delete one of them")
        seen.append(item)


def _choice(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    value = value_at(at, data)
    choices = schema.get("x-aigw-one-of")
    if not isinstance(value, dict) or not choices:
        yield _error(
            "AIG1008",
            f"{_name(at)} needs requests or tokens, or both" if at[-2:-1] == ("limits",) else error.message,
            at,
        )
        return
    given = [key for key in choices if key in value]
    later = [k for k in value if _marked(schema.get("properties", {}).get(k))]
    if later and not given:
        return
    what = "a SecretRef" if schema.get("x-aigw-secret") else _name(at)
    if len(given) > 1:
        yield _error(
            "AIG1008",
            f"{what} has {' and '.join(given)}; only one of them may stand",
            (*at, given[1]),
            SECRETREF if schema.get("x-aigw-secret") else "choose one",
            on_key=True,
        )
    elif not set(value) - set(schema.get("properties", {})):
        yield _error(
            "AIG1008", f"{what} needs one of {', '.join(choices)}", at, SECRETREF if schema.get("x-aigw-secret") else ""
        )


def _never(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    if schema.get("x-aigw-not-both"):
        first, second = schema["x-aigw-not-both"]
        yield _error("AIG1008", f"{first} and {second} exclude each other", (*at, second), "choose one", on_key=True)
    elif schema.get("x-aigw-reserved"):
        yield _error("AIG1010", f"`{at[-1]}` is reserved for a later version of the language", at, on_key=True)
    elif schema.get("x-aigw-only-with"):
        yield _error(
            "AIG1008",
            f"`{at[-1]}` stands only with `{schema['x-aigw-only-with']}`",
            at,
            "delete it, or change the type",
            on_key=True,
        )
    else:
        yield _error("AIG1009", f"`{at[-1]}` is not in this version yet", at, "leave it out for now", on_key=True)


def _dependent(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    value = value_at(at, data)
    for key, needed in schema.get("dependentRequired", {}).items():
        for other in needed:
            if isinstance(value, dict) and key in value and other not in value:
                yield _error("AIG1008", f"`{key}` needs `{other}` beside it", (*at, key), on_key=True)


def _keys(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    value = value_at(at, data)
    for key in value if isinstance(value, dict) else ():
        if not re.search(schema.get("propertyNames", {}).get("pattern", ""), key):
            yield _error(
                "AIG1005",
                f"{shown(key)} is no code of a rule",
                (*at, key),
                "a code is AIG and four digits",
                on_key=True,
            )


def other(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    yield _error("AIG1005", f"{_name(at)} does not fit: {error.kind.name}", at)


def _name(at: Pointer) -> str:
    words = [str(step) for step in at if isinstance(step, str)]
    if not words:
        return "the document"
    return f"an item of `{words[-1]}`" if isinstance(at[-1], int) else f"`{words[-1]}`"


def _json_type(value: Json) -> str:
    if isinstance(value, bool):
        return "boolean"
    kinds = ((int, "integer"), (float, "number"), (str, "string"), (list, "array"), (dict, "object"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")


Words = Callable[[Any, Pointer, dict[str, Any], Json], Iterator[Diagnostic]]

WORDS: Mapping[str, Words] = {
    "additionalProperties": _unknown,
    "required": _required,
    "type": _type,
    "enum": _enum,
    "const": _enum,
    "pattern": _pattern,
    "minimum": _bound,
    "maximum": _bound,
    "minLength": _bound,
    "maxLength": _bound,
    "minItems": _bound,
    "maxItems": _bound,
    "minProperties": _bound,
    "uniqueItems": _twice,
    "oneOf": _choice,
    "oneOfMultipleValid": _choice,
    "oneOfNotValid": _choice,
    "anyOf": _choice,
    "not": _never,
    "falseSchema": _never,
    "dependentRequired": _dependent,
    "propertyNames": _keys,
}
"""Keyword of JSON Schema -> what to say of it."""
