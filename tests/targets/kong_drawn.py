"""A field of our tables and a seed to a value that fits it, and to one with a single slip."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

from aigw_compile.diagnostic import Pointer, value_at
from aigw_compile.plugins.types import Field

SAMPLES = {
    "url": ("https://a.example/x", "http://10.0.0.1:8080"),
    "host": ("a.example", "10.0.0.1"),
    "wildcard_host": ("*.a.example", "a.example"),
    "header": ("x-team", "Accept"),
    "path": ("/a/b", "/"),
    "sni": ("a.example", "b.a.example"),
    "tag": ("a-tag", "with space"),
    "router_path": ("/a/b", "~/c/[0-9]+$"),
    "target": ("a.example:80",),
    "utf8_name": ("a-name",),
    "lua": ("return 1", "local a = 2"),
    "cidr": ("10.0.0.0/8", "192.168.1.1", "2001:db8::/32"),
}
MATCHING = {
    "^[^:]+:": ("a:b", "x-y:1"),
    "^[^:]+:+[^:]": ("a:b", "key:value"),
    "^[A-Za-z0-9_-]+:": ("x-a:b", "accept:c"),
    "^[A-Z]+$": ("GET", "POST"),
}


def without_rules(field: Field) -> Field:
    """The same field, and all below it, without rules over several fields."""
    return field._replace(
        rules=(),
        fields={name: without_rules(one) for name, one in field.fields.items()},
        of=without_rules(field.of) if field.of else None,
    )


def drawn(field: Field, rnd: random.Random, often: float = 0.4) -> Any:
    """A value that fits a field."""
    if field.type == "record":
        return {
            name: drawn(one, rnd, often)
            for name, one in field.fields.items()
            if name in field.needed
            or (one.type == "record" and not one.optional and _asks(one))
            or rnd.random() < often
        }
    if field.type in ("array", "set"):
        assert field.of
        low, high = field.length
        size = rnd.randint(low, min(high or low + 2, low + 2))
        if field.of.one_of and field.type == "set":
            return rnd.sample(field.of.one_of, min(size, len(field.of.one_of)))
        return [drawn(field.of, rnd, often) for _ in range(size)]
    if field.type == "map":
        assert field.of
        keys = field.keys or Field("string")
        return {str(drawn(keys, rnd)): drawn(field.of, rnd, often) for _ in range(rnd.randint(0, 2))}
    return _single(field, rnd)


def _asks(record: Field) -> bool:
    return bool(record.needed) or any(
        one.type == "record" and not one.optional and _asks(one) for one in record.fields.values()
    )


def _single(field: Field, rnd: random.Random) -> Any:
    if field.default is not None and rnd.random() < 0.5:
        return field.default
    if field.one_of:
        return rnd.choice(field.one_of)
    if field.type == "boolean":
        return rnd.random() < 0.5
    if field.type in ("integer", "number"):
        low, high = field.between or ((field.above or 0) + 1, 1000)
        return rnd.choice((low, high, rnd.randint(int(low) + (low % 1 > 0), int(high))))
    if field.form:
        return rnd.choice(SAMPLES[field.form])
    if field.match in MATCHING:
        return rnd.choice(MATCHING[field.match])
    return "".join(rnd.choice("abc-xyz") for _ in range(rnd.randint(max(field.length[0], 1), 8)))


Slip = tuple[str, Pointer, Any]
"""What it is, where, and the value with it."""
OTHER: dict[str, Any] = {"string": 7, "integer": "7", "number": "7", "boolean": "yes"}


def slips(field: Field, value: Any, path: Pointer = ()) -> Iterator[tuple[str, Pointer, Callable[[Any], Any]]]:
    """Yield every single slip that a published schema can tell: what, where, and what it makes of what stands there."""
    yield "a wrong type", path, lambda _: OTHER.get(field.type, "text")
    if field.type == "record":
        if not field.partial:
            yield "an unknown field", path, lambda v: {**v, "no_such_field": 1}
        for name in field.needed:
            yield "a field that is missing", path, lambda v, name=name: {k: x for k, x in v.items() if k != name}
        for name, inner in value.items():
            yield from slips(field.fields[name], inner, (*path, name))
    elif field.type in ("array", "set"):
        assert field.of
        for index, item in enumerate(value):
            yield from slips(field.of, item, (*path, index))
    elif field.one_of:
        yield "no word of the list", path, lambda _: "no-such-word" if field.type == "string" else -77
    elif field.between:
        high = field.between[1]
        yield "a number that is too large", path, lambda _: high + 1


def slipped(field: Field, value: Any, rnd: random.Random, records: bool = True) -> Slip:
    """A value with one slip; `records`: a record may be no record at all, at which Kong's own code stumbles."""
    found = [s for s in slips(field, value) if s[1] or s[0] != "a wrong type"]
    if not records:
        found = [s for s in found if s[0] != "a wrong type" or not isinstance(value_at(s[1], value), dict)]
    kind, path, change = rnd.choice(found or [*slips(field, value)])
    made = copy.deepcopy(value)
    if not path:
        return kind, path, change(made)
    holder: Any = value_at(path[:-1], made)
    holder[path[-1]] = change(holder[path[-1]])
    return kind, path, made
