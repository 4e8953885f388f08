"""Layers to one value: maps key by key, keyed lists item by item, sets joined, everything else by the strongest layer."""

from __future__ import annotations

from typing import Any, Final

from aigw_compile.diagnostic import Json
from aigw_compile.resolve.layers import Entry, Expand, Stack, cut, expanded, items, union
from aigw_compile.resolve.shapes import KEYED, MAP, SET, Shape
from aigw_compile.resolve.survey import PATCH

ABSENT: Final[Any] = object()
"""In place of a value: nothing stands there, since it was deleted."""


def merge(stack: Stack, shape: Shape, expand: Expand) -> Any:
    """Return the value that the layers of a place make together, or ABSENT. What only one layer has is shared, not copied."""
    stack = expanded(stack, shape, expand)
    stack = stack[cut(stack, shape) :]
    if not stack:
        return ABSENT
    last = stack[-1]
    kind = type(last.value)
    if shape.join == MAP and kind is dict:
        if len(stack) == 1 and last.layer.plain and PATCH not in last.value:  # type: ignore[operator]
            return last.value
        return _map(stack, shape, expand)
    if shape.join == KEYED and kind is list:
        if len(stack) == 1 and last.layer.plain:
            return last.value
        return _list(stack, shape, expand)
    if shape.join == SET and kind is list:
        return last.value if len(stack) == 1 and last.layer.plain else [same[-1].value for same in union(stack)]
    return last.value if last.layer.plain else _clean(last.value)


def _map(stack: Stack, shape: Shape, expand: Expand) -> dict[str, Any]:
    first: dict[str, Entry] = {}
    several: dict[str, Stack] = {}
    for entry in stack:
        own: Any = entry.value
        for key in own:
            if key in first:
                several.setdefault(key, [first[key]]).append(entry)
            else:
                first[key] = entry
    result: dict[str, Any] = {}
    for key, entry in first.items():
        if key == PATCH:
            continue
        stands = several.get(key)
        value: Any = (stands[-1] if stands else entry).value[key]  # type: ignore[index,call-overload]
        kind = type(value)
        if kind is not dict and kind is not list:
            result[key] = value  # the strongest wins, whatever stands below
            continue
        if not stands and entry.layer.plain and (kind is not dict or PATCH not in value):
            result[key] = value
            continue
        inner = [one.step(key) for one in stands or (entry,)]
        value = merge(inner, shape.step(key), expand)
        if value is not ABSENT:
            result[key] = value
    return result


def _list(stack: Stack, shape: Shape, expand: Expand) -> list[Any]:
    inner = shape.step(0)
    result = []
    for found in items(stack, shape, expand).values():
        one = found[0]
        if len(found) == 1 and one.layer.plain and type(one.value) is dict and PATCH not in one.value:
            result.append(one.value)
            continue
        value = merge(found, inner, expand)
        if value is not ABSENT:
            result.append(value)
    return result


def _clean(value: Json) -> Any:
    """A value that is taken whole: a `$patch` has nothing to say in it, and the schema says so."""
    if isinstance(value, dict):
        return {k: _clean(v) for k, v in value.items() if k != PATCH}
    return [_clean(v) for v in value] if isinstance(value, list) else value


__all__ = ["ABSENT", "Entry", "merge"]
