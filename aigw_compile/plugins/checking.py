"""A value and its field to what Kong would refuse in it, or take for something else than it is."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any

from aigw_compile.diagnostic import Pointer
from aigw_compile.plugins import forms, rules
from aigw_compile.plugins.reader import title
from aigw_compile.plugins.types import Fault, Field
from aigw_compile.target import Release

REFERENCE = "{vault://"
_LIMITED = "array", "set"


def check(field: Field, value: Any, release: Release, path: Pointer = ()) -> Iterator[Fault]:
    """Yield the faults of a value, itself and below it."""
    kind = field.type
    if kind == "record":
        yield from _record(field, value, release, path)
    elif kind == "string":
        yield from _string(field, value, release, path)
    elif kind in _LIMITED:
        yield from _list(field, value, release, path)
    elif kind == "map":
        yield from _map(field, value, release, path)
    elif kind == "boolean":
        if not isinstance(value, bool):
            yield _wrong(field, value, "true or false", path)
    elif kind in ("integer", "number"):
        yield from _number(field, value, release, path)
    elif kind == "entities":
        if not isinstance(value, list):
            yield _wrong(field, value, "a list", path)
    elif kind != "config":
        yield from _any(value, path)


def _record(field: Field, value: Any, release: Release, path: Pointer) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield _wrong(field, value, "a mapping", path)
        return
    known = field.fields
    sound = True
    for name, inner in value.items():
        one = known.get(name)
        if one is None:
            if not field.partial or name in field.elsewhere:
                sound = False
                yield _unknown(field, name, release, path)
        elif inner is not None:
            for fault in check(one, inner, release, (*path, name)):
                sound = False
                yield fault
    for name in field.needed:
        if value.get(name) is None:
            sound = False
            yield Fault((*path, name), f"`{name}` is missing", f"{title(release)} cannot do without it")
    if field.rules and sound:
        yield from rules.broken(field, value, release, path)


def _unknown(field: Field, name: str, release: Release, path: Pointer) -> Fault:
    if name in field.elsewhere:
        return Fault((*path, name), f"{title(release)} has no field `{name}` here", field.elsewhere[name])
    near = difflib.get_close_matches(str(name), field.fields, 1)
    hint = f"did you mean `{near[0]}`?" if near else f"it has: {', '.join(sorted(field.fields)) or 'no field'}"
    return Fault((*path, name), f"there is no field `{name}` here", hint)


def _string(field: Field, value: Any, release: Release, path: Pointer) -> Iterator[Fault]:
    if not isinstance(value, str):
        if isinstance(value, dict) and any(str(key).startswith("vault://") for key in value):
            yield Fault(path, "an unquoted reference to a vault is a mapping, not a text", 'quote it: "{vault://...}"')
        else:
            yield _wrong(field, value, "a text", path)
        return
    if REFERENCE in value:
        whole = value.startswith(REFERENCE) and value.endswith("}") and value.count(REFERENCE) == 1
        if not field.reference:
            yield Fault(
                path,
                "Kong resolves no reference to a vault in this field: it would use the text itself",
                "another field",
            )
            return
        if not whole:
            yield Fault(
                path,
                "a reference to a vault is only a part of this text: Kong would use the text as it is",
                "let the reference be the whole text, and put the rest into the secret",
            )
        return
    low, high = field.length
    size = len(value)
    if high and not value.isascii():
        size = len(value.encode("utf-8", "replace"))
    if size < low or (high and size > high):
        yield Fault(
            path, f"a text of {size} bytes is {'too long' if size >= low else 'too short'}", _sizes(field, "bytes")
        )
    if field.one_of and value not in field.one_of:
        yield _choice(field, value, release, path)
    if field.match and not re.search(field.match, value):
        yield Fault(
            path, f"{_shown(field, value)} is not of the form that is asked for", f"it must match `{field.match}`"
        )
    if field.form and (wrong := forms.wrong(field.form, value)):
        yield Fault(path, f"{_shown(field, value)} is no {forms.NAMES[field.form]}", wrong)


def _list(field: Field, value: Any, release: Release, path: Pointer) -> Iterator[Fault]:
    if not isinstance(value, list):
        yield _wrong(field, value, "a list", path)
        return
    low, high = field.length
    if len(value) < low or (high and len(value) > high):
        yield Fault(
            path, f"a list of {len(value)} is {'too long' if len(value) > low else 'too short'}", _sizes(field, "items")
        )
    assert field.of
    for index, item in enumerate(value):
        yield from check(field.of, item, release, (*path, index))
    if field.exclusive and not any({*map(str, value)} <= group for group in field.exclusive):
        groups = "; ".join(", ".join(sorted(group)) for group in field.exclusive)
        yield Fault(path, "these do not go together", f"all of one of these groups: {groups}")


def _map(field: Field, value: Any, release: Release, path: Pointer) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield _wrong(field, value, "a mapping", path)
        return
    assert field.of
    for name, inner in value.items():
        if field.keys:
            yield from check(field.keys, name, release, (*path, name))
        yield from check(field.of, inner, release, (*path, name))


def _number(field: Field, value: Any, release: Release, path: Pointer) -> Iterator[Fault]:
    if isinstance(value, str) and field.reference and value.startswith(REFERENCE) and value.endswith("}"):
        return
    whole = "a whole number" if field.type == "integer" else "a number"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (field.type == "integer" and value % 1):
        yield _wrong(field, value, whole, path)
        return
    if field.between and not field.between[0] <= value <= field.between[1]:
        yield Fault(path, f"{value} is out of bounds", f"{whole} from {field.between[0]} to {field.between[1]}")
    if field.above is not None and value <= field.above:
        yield Fault(path, f"{value} is out of bounds", f"{whole} above {field.above}")
    if field.one_of and value not in field.one_of:
        yield _choice(field, value, release, path)


def _any(value: Any, path: Pointer) -> Iterator[Fault]:
    """Whatever it is: no reference is resolved in it."""
    if isinstance(value, str) and REFERENCE in value:
        yield Fault(
            path, "Kong resolves no reference to a vault in this field: it would use the text itself", "another field"
        )
    elif isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _any(inner, (*path, key))


def templates(field: Field, value: Any, path: Pointer, looked: bool = False) -> Iterator[tuple[Pointer, str]]:
    """Yield every text in which Kong looks for a template and finds what could be one."""
    looked = looked or field.template
    if isinstance(value, str):
        if looked and "$(" in value:
            yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            one = field.of if field.type == "map" else field.fields.get(name)
            if one:
                yield from templates(one, inner, (*path, name), looked)
    elif isinstance(value, list) and field.of:
        for index, item in enumerate(value):
            yield from templates(field.of, item, (*path, index), looked)


def _wrong(field: Field, value: Any, right: str, path: Pointer) -> Fault:
    kinds = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "a mapping",
    }
    return Fault(path, f"{kinds.get(type(value), 'null')} stands where {right} must stand", right)


def _choice(field: Field, value: Any, release: Release, path: Pointer) -> Fault:
    right = f"one of {', '.join(map(str, field.one_of))}"
    if value in field.later:
        right = f"{field.later[value]}; {title(release)} takes {right}"
    return Fault(path, f"{title(release)} does not take {_shown(field, value)} here", right)


def _shown(field: Field, value: Any) -> str:
    if field.encrypted:
        return "the value"
    text = json.dumps(value, ensure_ascii=False)
    return f"`{text if len(text) < 80 else text[:76] + '...'}`"


def _sizes(field: Field, unit: str) -> str:
    low, high = field.length
    return f"{low} to {high} {unit}" if high else f"at least {low} {unit}"
