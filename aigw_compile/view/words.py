"""A value and the hidden paths to the words that must not be seen; and a schema without the texts that hold one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from aigw_compile.diagnostic import Json, value_at
from aigw_compile.resolve.paths import Item, Path, places
from aigw_compile.units import key_of

TEXTS = ("title", "description")
SAMPLES = ("examples", "default")


def names(hide: Iterable[Path], value: Json) -> frozenset[str]:
    """Return the names of hidden items, and the hidden keys of maps, as the part has them or the paths name them."""
    found: set[str] = set()
    for path in hide:
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


def _inside(value: Json) -> Iterator[str]:
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(value, list):
            yield key_of(inner)
        yield from _inside(inner)


def fields(hide: Iterable[Path]) -> frozenset[str]:
    """Return the names of hidden fields."""
    return frozenset(path[-1] for path in hide if isinstance(path[-1], str))


def visible(schema: Any) -> Iterator[str]:
    """Yield every word that a schema needs: names of fields, and values that a field may have."""
    if isinstance(schema, dict):
        for key, inner in schema.items():
            if key in ("const", "enum"):
                yield from (word for word in (inner if isinstance(inner, list) else [inner]) if isinstance(word, str))
            elif key in ("properties", "$defs") and isinstance(inner, dict):
                yield from inner if key == "properties" else ()
                for node in inner.values():
                    yield from visible(node)
            elif key in ("required",):
                yield from inner
            elif key not in (*TEXTS, *SAMPLES):
                yield from visible(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from visible(inner)


def silent(schema: Any, words: Iterable[str]) -> Any:
    """Return a schema whose texts, examples and defaults hold none of the words."""
    listed = sorted(words, key=lambda word: (-len(word), word))
    if not listed:
        return schema
    return _silent(schema, re.compile(f"(?<![A-Za-z0-9])({'|'.join(map(re.escape, listed))})(?![A-Za-z0-9])"))


def _silent(schema: Any, banned: re.Pattern[str]) -> Any:
    if isinstance(schema, list):
        return [_silent(inner, banned) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for key, inner in schema.items():
        if key in TEXTS and isinstance(inner, str):
            kept = " ".join(s for s in re.split(r"(?<=[.;!?])\s+", inner) if not banned.search(s)).rstrip(";")
            if kept:
                found[key] = kept
        elif key == "examples" and isinstance(inner, list):
            if kept_ones := [one for one in inner if not _holds(one, banned)]:
                found[key] = kept_ones
        elif key == "default":
            if not _holds(inner, banned):
                found[key] = inner
        elif key in ("properties", "$defs") and isinstance(inner, dict):
            found[key] = {name: _silent(node, banned) for name, node in inner.items()}
        else:
            found[key] = _silent(inner, banned)
    return found


def _holds(value: Any, banned: re.Pattern[str]) -> bool:
    if isinstance(value, dict):
        return any(banned.search(key) or _holds(inner, banned) for key, inner in value.items())
    if isinstance(value, list):
        return any(_holds(inner, banned) for inner in value)
    return isinstance(value, str) and banned.search(value) is not None
