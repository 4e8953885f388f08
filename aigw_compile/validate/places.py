"""Where things stand in the language: the home of a field that stands elsewhere, and places whose values are not shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Json, Pointer, named
from aigw_compile.schema import document_schema, field, follow, general, replaced_whole

PATCH = "$patch"
"""The key of a directive: how a layer changes what weaker ones set."""


class Marks(NamedTuple):
    """What a quick look at a document finds."""

    refs: bool
    """A configRef stands somewhere."""
    patches: bool
    floats: bool


def marks(data: Json) -> Marks:
    """Look for what needs a closer look."""
    refs = patches = floats = False
    rest: list[Any] = [data]
    while rest:
        value = rest.pop()
        kind = type(value)
        if kind is dict:
            refs = refs or "configRef" in value
            patches = patches or PATCH in value
            rest.extend(value.values())
        elif kind is list:
            rest.extend(value)
        elif kind is float:
            floats = True
    return Marks(refs, patches, floats)


def marked(schema: Any) -> bool:
    """Say whether a field is of a later version, or reserved."""
    return isinstance(schema, dict) and bool(schema.get("x-aigw-later") or schema.get("x-aigw-reserved"))


def where(at: Pointer, data: Json) -> str:
    """Return a place as messages name it."""
    return named(at, data) or ("spec" if at else "the document")


def home(key: str, schema: Mapping[str, Any], at: Pointer = ()) -> str | None:
    """Return where a field of this name belongs: inside `schema` as a path from there, else `key` itself where something
    above the place `at` has it, else the shortest path in `spec`."""
    return _below(key, schema) or (key if above_of(key, at) else _homes().get(key))


def above_of(key: str, at: Pointer) -> Pointer | None:
    """Return the innermost place above another that has a field of this name."""
    inner = range(len(at) - 1, 0, -1)
    return next((at[:n] for n in inner if key in (field(general(at[:n])) or {}).get("properties", {})), None)


@cache
def names() -> tuple[str, ...]:
    """Return the name of every field of the language that is in this version."""
    return tuple(_homes())


def _below(key: str, schema: Mapping[str, Any]) -> str | None:
    rest: deque[tuple[Mapping[str, Any], str]] = deque([(schema, "")])
    while rest:
        node, path = rest.popleft()
        for name, inner in node.get("properties", {}).items():
            if marked(inner):
                continue
            found = follow(inner)
            if name == key and path:
                return f"{path}{name}"
            if name == "configRef":
                continue
            items = found.get("items")
            rest.append((follow(items), f"{path}{name}[].") if items else (found, f"{path}{name}."))
    return None


@cache
def _homes() -> Mapping[str, str]:
    """Field -> the shortest path in the language where a field of that name stands."""
    homes: dict[str, str] = {}
    rest: deque[tuple[Mapping[str, Any], str]] = deque([(follow(document_schema()["properties"]["spec"]), "")])
    while rest:
        node, path = rest.popleft()
        for name, inner in node.get("properties", {}).items():
            if marked(inner):
                continue
            homes.setdefault(name, path + name)
            found = follow(inner) if name != "configRef" else {}
            items = found.get("items")
            rest.append((follow(items), f"{path}{name}[].") if items else (found, f"{path}{name}."))
    return homes


@cache
def holds_secrets(at: Pointer) -> bool:
    """Say whether a credential may stand at a place (of `general` form), above it or somewhere below it.

    What is wrong there may be the credential itself, so it is not shown. `auth` counts although the keys of clients
    stand elsewhere: that is where people look for a place to write them.
    """
    if any(step in ("auth", "credentials") for step in at):
        return True
    return any(_secret(field(at[:n]) or {}) for n in range(len(at) + 1)) or _below_secret(at)


def _secret(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("x-aigw-secret") or schema.get("x-aigw-text-or-secret"))


def _below_secret(at: Pointer) -> bool:
    rest = [field(at) or {}]
    while rest:
        node = rest.pop()
        if _secret(node):
            return True
        inner = [follow(x) for x in node.get("properties", {}).values() if not marked(x)]
        rest += inner + [follow(node[k]) for k in ("items", "additionalProperties") if isinstance(node.get(k), dict)]
    return False


def quotable(at: Pointer) -> bool:
    """Say whether a message may show what stands at a place."""
    return not holds_secrets(general(at))


def may_be_secret(at: Pointer) -> bool:
    """Say whether a value of the wrong type at a place may be a credential: where one belongs, and right around it."""
    if in_secret(at):
        return True
    if at[:2] == ("spec", "auth"):
        return len(at) == 2 or at[2:] == ("apiKey",)
    return "credentials" in at or at[-1:] == ("auth",)


def in_secret(at: Pointer) -> bool:
    """Say whether a place is a SecretRef or inside one."""
    plain = general(at)
    return any((field(plain[:n]) or {}).get("x-aigw-secret") for n in range(len(plain) + 1))


@cache
def _merged(at: Pointer) -> bool:
    return at[:1] == ("spec",) and not any(replaced_whole(field(at[:n]) or {}) for n in range(len(at)))


def mergeable(at: Pointer) -> bool:
    """Say whether what stands at a place is merged by itself, and not replaced together with what it stands in."""
    return len(at) > 1 and _merged(general(at))
