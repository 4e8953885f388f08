"""A value and the hidden paths to the words that must not be seen; and a schema without the texts that hold one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aigw_compile.diagnostic import Json, value_at
from aigw_compile.resolve.paths import Item, Path, inner, places
from aigw_compile.units import key_of

TEXTS = ("title", "description")
SAMPLES = ("examples", "default")


def names(hide: Iterable[Path], value: Json, node: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of hidden items, and the hidden keys of maps, as the part has them or the paths name them.

    node: the schema of the value.
    """
    found: set[str] = set()
    for path in hide:
        if isinstance(path[-1], str) and path[-1] not in (_at(path[:-1], node) or {}).get("properties", {}):
            found.add(path[-1])
        item = path[-2] if path[-1] == "name" and len(path) > 1 else path[-1]
        if isinstance(item, Item) and item.name:
            found.add(item.name)
        for place in places(path, value):
            holder = value_at(place[:-1], value)
            if isinstance(place[-1], str) and place[-1] == "name" and isinstance(holder, dict):
                found.add(key_of(holder))
            found |= set(_inside(value_at(place, value)))
            if isinstance(item, Item) and isinstance(place[-1], int):
                found.add(key_of(value_at(place, value)))
    return frozenset(found - {""})


def _at(path: Path, node: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the schema that a path leads to."""
    for step in path:
        node = inner(node, step) if node is not None else None
    return node


def _inside(value: Json) -> Iterator[str]:
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(value, list):
            yield key_of(one)
        yield from _inside(one)


def fields(hide: Iterable[Path]) -> frozenset[str]:
    """Return the names of hidden fields."""
    return frozenset(path[-1] for path in hide if isinstance(path[-1], str))


def visible(schema: Any) -> Iterator[str]:
    """Yield every word that a schema needs: names of fields, and values that a field may have."""
    if isinstance(schema, dict):
        for key, below in schema.items():
            if key in ("const", "enum"):
                yield from (word for word in (below if isinstance(below, list) else [below]) if isinstance(word, str))
            elif key in ("properties", "$defs") and isinstance(below, dict):
                yield from below if key == "properties" else ()
                for node in below.values():
                    yield from visible(node)
            elif key in ("required",):
                yield from below
            elif key not in (*TEXTS, *SAMPLES):
                yield from visible(below)
    elif isinstance(schema, list):
        for below in schema:
            yield from visible(below)


def silent(schema: Any, words: Iterable[str]) -> Any:
    """Return a schema whose texts, examples and defaults hold none of the words."""
    listed = sorted(words, key=lambda word: (-len(word), word))
    if not listed:
        return schema
    return _silent(schema, re.compile(f"(?<![A-Za-z0-9])({'|'.join(map(re.escape, listed))})(?![A-Za-z0-9])"))


def _silent(schema: Any, banned: re.Pattern[str]) -> Any:
    if isinstance(schema, list):
        return [_silent(below, banned) for below in schema]
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for key, below in schema.items():
        if key in TEXTS and isinstance(below, str):
            kept = " ".join(s for s in re.split(r"(?<=[.;!?])\s+", below) if not banned.search(s)).rstrip(";")
            if kept:
                found[key] = kept
        elif key == "examples" and isinstance(below, list):
            if kept_ones := [one for one in below if not _holds(one, banned)]:
                found[key] = kept_ones
        elif key == "default":
            if not _holds(below, banned):
                found[key] = below
        elif key in ("properties", "$defs") and isinstance(below, dict):
            found[key] = {name: _silent(node, banned) for name, node in below.items()}
        else:
            found[key] = _silent(below, banned)
    return found


def _holds(value: Any, banned: re.Pattern[str]) -> bool:
    if isinstance(value, dict):
        return any(banned.search(key) or _holds(below, banned) for key, below in value.items())
    if isinstance(value, list):
        return any(_holds(below, banned) for below in value)
    return isinstance(value, str) and banned.search(value) is not None
