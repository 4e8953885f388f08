"""One error of the JSON schema validator to the findings that a person wants to read: a function for each keyword."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Severity, did_you_mean, nearest, value_at
from aigw_compile.mask import looks_secret, shown
from aigw_compile.schema import field, follow, general
from aigw_compile.validate import right
from aigw_compile.validate.codes import MISPLACED, SYNONYMS
from aigw_compile.validate.places import above_of, home, in_secret, marked, may_be_secret, names, quotable, where

TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
    "null": "null",
}
SECRETREF = "write {env: NAME}, {file: /path}, {vault: NAME, key: PATH} or {kubernetes: {name: SECRET, key: KEY}}"


def _error(code: str, message: str, at: Pointer, hint: str = "", *, on_key: bool = False) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, at, hint, on_key=on_key)


def _unknown(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    known = schema.get("properties", {})
    usable = tuple(k for k, v in known.items() if not marked(v))
    holder = value_at(at, data)
    for number, key in enumerate(error.kind.unexpected):
        inside = holder.get(key) if isinstance(holder, dict) else None
        meant = SYNONYMS.get(key, key)
        likely = next((w for w in (MISPLACED.get(key), SYNONYMS.get(key)) if w in usable), None)
        likely = likely or (None if key in MISPLACED else _near(key, usable))
        word = "this key" if looks_secret(key) else f"`{_clipped(key)}`"
        if likely:
            message = f'{word} is no field of {where(at, data)}; did you mean "{likely}"?'
            yield _error("AIG1001", message, (*at, key), on_key=True)
        elif schema.get("x-aigw-secret") and inside is None:  # {apiKey: {hunter2}}: the key may be the credential
            yield _not_a_reference(at)
        else:
            of_spec = isinstance(data, dict) and "spec" in data
            of_spec = of_spec and "configRef" not in at
            place = MISPLACED.get(key) or (home(meant, schema, at) if of_spec else None)
            hint = f"known here: {', '.join(sorted(usable))}" if usable else f"it takes none: write {at[-1]}: {{}}"
            if place:
                above = place == meant and (above_of(meant, at) or ())
                hint = f"`{meant}` belongs " + (f"to {where(above, data)}" if above else f"under `{place}`")
            if not place and usable and of_spec and number < 50 and len(key) > 4 and (like := _near(key, names())):
                hint = f"perhaps `{home(like, schema)}` is meant; {hint}"
            yield _error("AIG1001", f"{word} is no field of {where(at, data)}", (*at, key), hint, on_key=True)


_near = lru_cache(4096)(nearest)
_meant = lru_cache(4096)(did_you_mean)


def _clipped(key: str) -> str:
    return shown(key)[1:-1].replace("`", "'")


def _required(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    key = error.kind.property
    for held, needed in schema.get("dependentRequired", {}).items():
        value = value_at(at, data)
        if error.schema_path[-1] == "dependentRequired" and key in needed and isinstance(value, dict) and held in value:
            if held != "vault":
                hint = "delete it, or name the vault"
                if not set(value) & {"env", "file", "kubernetes"}:
                    wanted = follow(schema.get("properties", {}).get(key, {}))
                    hint = "add vault: NAME" if key == "vault" else f"add {right.example(key, wanted) or key}"
                yield _error("AIG1008", f"`{held}` goes with `{key}`", (*at, held), hint, on_key=True)
                continue
            yield from _missing(key, at, schema, data)
    if error.schema_path[-1] != "dependentRequired":
        yield from _missing(key, at, schema, data)


def _missing(key: str, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    holder = schema if key in schema.get("properties", {}) else field(general(at)) or {}
    wanted = follow(holder.get("properties", {}).get(key, {}))
    described, example = wanted.get("description", ""), right.example(key, wanted)
    hint = f"{key}: {described}" + (f" For example `{example}`." if example else "") if described else ""
    yield _error("AIG1002", f"`{key}` is missing in {where(at, data)}", at, hint)


def _type(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    yield wrong_type(list(error.kind.types), at, schema, data)


def wrong_type(wanted: list[str], at: Pointer, schema: Mapping[str, Any], data: Json) -> Diagnostic:
    """Return what is said of a value of another type than its field's."""
    value = value_at(at, data)
    if value is None:
        return _null(at, data)
    may_show = quotable(at)
    if may_be_secret(at) and (schema.get("x-aigw-secret") or isinstance(value, (str, int, float))):
        return _not_a_reference(at)
    if isinstance(value, float) and not math.isfinite(value):
        return _error("AIG1003", f"{_name(at)} cannot be {value}", at)
    kind = " or ".join(TYPES.get(t, t) for t in wanted)
    found = TYPES[_json_type(value)]
    quoted = f" ({shown(value)})" if may_show and not isinstance(value, (dict, list)) else ""
    found = f"{shown(value)}" if isinstance(value, float) and wanted == ["integer"] else found + quoted
    key = str(next((step for step in reversed(at) if isinstance(step, str)), ""))
    hint = right.shape(key, value, wanted, schema, may_show, bool(at) and isinstance(at[-1], int))
    return _error("AIG1003", f"{_name(at)} takes {kind}, not {found}", at, hint)


def _not_a_reference(at: Pointer) -> Diagnostic:
    """What stands where a credential is named is not shown, whatever it looks like."""
    hint = SECRETREF
    if "auth" in at and at[:2] == ("spec", "auth"):
        hint = "write `auth: {apiKey: {}}`; the keys of clients stand at the consumers, as SecretRefs"
    elif at[-1:] == ("credentials",) or at[-2:-1] == ("credentials",):
        hint = "write credentials: [{apiKey: {env: NAME}}]; instead of env a file, vault or kubernetes"
    elif at[-1:] == ("auth",):
        hint = "write auth: {apiKey: {env: NAME}}; instead of env a file, vault or kubernetes"
    message = f"{_name(at)} takes a SecretRef, never the secret itself"
    if in_secret(at[:-1]):
        message = f"{_name(at)} names the place of a secret; what stands here cannot be a name, and is not shown"
    elif not in_secret(at):
        message = f"{_name(at)} holds SecretRefs, never the secret itself"
        message = f"{_name(at)} takes a map, never a secret" if at[:2] == ("spec", "auth") else message
    return _error("AIG1013", message, at, hint)


def _null(at: Pointer, data: Json) -> Diagnostic:
    above = field(general(at[:-1])) or {}
    needed = not at or at[-1] in above.get("required", ())
    schema = field(general(at)) or {}
    example = right.example(str(at[-1]), schema) if at and isinstance(at[-1], str) else ""
    hint = "delete the line" if not needed else f"write a value: {example}" if example else "write a value"
    message = (
        f"{_name(at)} is empty (null)" if needed else f"{_name(at)} is null, which is not the same as leaving it out"
    )
    return _error("AIG1011", message, at, hint)


def _enum(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    value = value_at(at, data)
    options = tuple(str(o) for o in (error.kind.options if error.kind.name == "enum" else [error.kind.expected_value]))
    holder = schema if "x-aigw-later-values" in schema else field(general(at[:-1])) or {}
    coming = [str(v) for v in holder.get("x-aigw-later-values", ())]
    if value is None:
        yield _null(at, data)
    elif at in (("apiVersion",), ("kind",)):
        yield from _head(at, value, options)
    elif isinstance(value, (dict, list)):
        yield _error("AIG1003", f"{_name(at)} takes one of {', '.join(options)}, not {TYPES[_json_type(value)]}", at)
    elif any(str(value) == c or (c.endswith(":") and str(value).startswith(c)) for c in coming):
        hint = f"this version has: {', '.join(options)}"
        yield _error("AIG1009", f"{_name(at)} {shown(value)} is not in this version yet", at, hint)
    elif options == ("True",):
        hint = "delete the line and choose apiKey instead" if at[-1] == "anonymous" else "delete the line"
        yield _error("AIG1004", f"{at[-1]} is true, or left out", at, hint)
    else:
        yield _no_word(at, value, options)


def _no_word(at: Pointer, value: Json, options: tuple[str, ...]) -> Diagnostic:
    """Return what is said of a word that is none of the allowed ones."""
    key = str(next((step for step in reversed(at) if isinstance(step, str)), ""))
    meant = right.ENUMS.get(key, {}).get(str(value).lower())
    if meant in options:
        hint = f'did you mean "{meant}"? (known: {", ".join(sorted(options))})'
        return _error("AIG1004", f"{_name(at)} cannot be {shown(value)}", at, hint)
    hint = _meant(value, options) if isinstance(value, str) else f"known: {', '.join(options)}"
    return _error("AIG1004", f"{_name(at)} cannot be {shown(value) if quotable(at) else 'this'}", at, hint)


def _head(at: Pointer, value: Json, options: tuple[str, ...]) -> Iterator[Diagnostic]:
    yield _error("AIG1012", f"unknown {at[0]} {shown(value)}", at, f"write `{at[0]}: {options[0]}`")


def _pattern(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    value = value_at(at, data)
    if in_secret(at):
        hint = right.example(str(at[-1]), schema)
        yield _not_a_reference(at)._replace(hint=f"for example {{{hint}}}" if hint else SECRETREF)
        return
    said = f"{_name(at)} {shown(value)}" if quotable(at) else _name(at)
    unit = schema.get("x-aigw-unit") or schema.get("x-aigw-form")
    if options := schema.get("x-aigw-words"):
        yield _no_word(at, value, tuple(options))
        return
    if value == "":
        yield _error("AIG1005", f"{_name(at)} is empty", at, right.example(str(at[-1]), schema) or "delete the line")
    elif unit in right.FORMS:
        what, propose = right.FORMS[unit]
        yield _error("AIG1005", f"{said} {what}", at, propose(value))
    else:
        example = (schema.get("examples") or [None])[0]
        hint = f"for example {example}" if example else f"it must match {error.kind.pattern}"
        yield _error("AIG1005", f"{said} is not in the right form", at, hint)


def _bound(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    value = value_at(at, data)
    if isinstance(value, (int, float)):
        low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
        both = low is not None and high is not None and high < 2**31 - 1
        open_ended = f"{low} or more" if low is not None and (high is None or value < low) else f"{high} or less"
        share = high == 1 and value > 1 and value <= 100
        hint = f"a share of all: {value} percent is {value / 100:g}" if share else ""
        must = f"{low} to {high}" if both else open_ended
        must = f"more than {low}" if error.kind.name == "exclusiveMinimum" else must
        yield _error("AIG1006", f"{_name(at)} is {shown(value)}; it must be {must}", at, hint)
    elif isinstance(value, dict):
        known = ", ".join(schema.get("properties", {}))
        example = right.example(str(at[-1]), schema) if at else ""
        hint = f"write at least one of: {known}" if known else f"for example {example}" if example else ""
        yield _error("AIG1006", f"{_name(at)} is empty", at, hint)
    elif value == []:
        needed = at[-1] in (field(general(at[:-1])) or {}).get("required", ())
        example = right.example(str(at[-1]), schema) if needed else ""
        yield _error("AIG1006", f"{_name(at)} is empty", at, example or "write at least one, or delete the line")
    elif value == "":
        yield _error("AIG1006", f"{_name(at)} is empty", at, "write something, or delete the line")
    else:
        what = "characters" if isinstance(value, str) else "items"
        least, most = (schema.get(f"{bound}Length", schema.get(f"{bound}Items")) for bound in ("min", "max"))
        size = len(value) if isinstance(value, (str, list)) else 0
        rule = f"at most {most} are allowed" if most is not None and size > most else f"at least {least} are needed"
        yield _error("AIG1006", f"{_name(at)} has {size} {what}; {rule}", at)


def _twice(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    seen: set[str] = set()
    value = value_at(at, data)
    for index, item in enumerate(value if isinstance(value, list) else ()):
        canonical = json.dumps(item, sort_keys=True)
        if canonical in seen:
            yield _error("AIG1007", f"{shown(item)} stands twice in {_name(at)}", (*at, index), "delete one of them")
        seen.add(canonical)


def _choice(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    value = value_at(at, data)
    if not isinstance(value, dict):
        return  # the type is wrong, and that is said
    properties = schema.get("properties", {})
    if any(marked(properties.get(key)) for key in value):
        return  # a field of a later version stands in for the choice, and that is said
    choices = schema.get("x-aigw-one-of")
    secret = bool(schema.get("x-aigw-secret"))
    alone = schema.get("x-aigw-alone")
    if not choices:
        named_ = [name for inner in schema.get("anyOf", ()) for name in inner.get("required", ())]
        example = " or ".join(filter(None, (right.example(n, follow(properties.get(n, {}))) for n in named_)))
        several = "or both" if len(named_) == 2 else "or several of them"
        yield _error("AIG1008", f"{_name(at)} needs {' or '.join(named_)}, {several}", at, f"write {example}")
        return
    given = [key for key in choices if key in value]
    what = "a SecretRef" if secret else _name(at)
    if alone in given and len(value) > 1:
        if set(value) <= set(properties):  # else the unknown field is said
            words = " and ".join(dict.fromkeys([*given, *value]))
            message = f"{_name(at)} has {words}; `{alone}` stands alone"
            yield _error("AIG1008", message, (*at, str(alone)), f"delete `{alone}`, or the others", on_key=True)
    elif len(given) > 1:
        hint = SECRETREF if secret else "choose one"
        message = f"{what} has {' and '.join(given)}; only one of them may stand"
        yield _error("AIG1008", message, (*at, given[1]), hint, on_key=True)
    elif not set(value) - set(properties):
        hint = SECRETREF if secret else "auth: {apiKey: {}} or auth: {anonymous: true}" if at[-1:] == ("auth",) else ""
        yield _error("AIG1008", f"{what} needs one of {', '.join(choices)}", at, hint)


def _never(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    word = f"`{at[-1]}`" if at else "this"
    if schema.get("x-aigw-not-both"):
        if not isinstance(value_at(at, data), dict):
            return  # the type is wrong, and that is said
        first, second = schema["x-aigw-not-both"]
        yield _error("AIG1008", f"{first} and {second} exclude each other", (*at, second), "choose one", on_key=True)
    elif schema.get("x-aigw-reserved"):
        yield _error("AIG1010", f"{word} is reserved for a later version of the language", at, "delete it", on_key=True)
    elif schema.get("x-aigw-only-with"):
        message = f"{word} stands only with `{schema['x-aigw-only-with']}`"
        yield _error("AIG1008", message, at, "delete it, or change the type", on_key=True)
    else:
        yield _error("AIG1009", f"{word} is not in this version yet", at, "leave it out for now", on_key=True)


_KEYS: Mapping[Pointer, tuple[str, str]] = {
    ("rules",): ("code of a rule", "a code is AIG and four digits"),
    ("headers",): ("name of a header", "letters, digits and -, such as x-team"),
}


def _keys(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    value = value_at(at, data)
    pattern = schema.get("propertyNames", schema).get("pattern", "")  # the path may end inside of it
    for key in value if isinstance(value, dict) else ():
        if not re.search(pattern, key):
            what, hint = _KEYS.get(at[-1:], ("name", "letters, digits and -"))
            yield _error("AIG1005", f"{shown(key)} is no {what}", (*at, key), hint, on_key=True)


def other(error: Any, at: Pointer, schema: dict[str, Any], data: Json) -> Iterator[Diagnostic]:
    """Say the least about an error of a keyword that has no words of its own."""
    yield _error("AIG1005", f"{_name(at)} does not fit: {error.kind.name}", at)


def _name(at: Pointer) -> str:
    words = [step for step in at if isinstance(step, str)]
    if not words:
        return "the document"
    word = f"`{_clipped(words[-1])}`"
    return f"an item of {word}" if isinstance(at[-1], int) else word


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
    "exclusiveMinimum": _bound,
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
    "propertyNames": _keys,
}
"""Keyword of JSON Schema -> what to say of it."""
