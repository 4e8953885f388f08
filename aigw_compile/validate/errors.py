"""A validator and data to the errors that it finds, few enough to be kept: one error of a large document may hold a copy of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from aigw_compile.diagnostic import Json, Pointer

LARGE: Final = 50_000
"""Keys and values; the errors of a document with more are not gathered at once. They took up to 10 KB each (jsonschema-rs 0.60)."""
MOST: Final = 1_000
"""Findings about one document, at most."""
_WINDOW: Final = 500


def errors(validator: Any, data: Json) -> Iterator[tuple[Pointer, Any]]:
    """Yield each error with its place; of a large document those of some items after those of others.

    Where a large document is wrong in what is no item, it is one error, and None in place of all others.
    """
    if not _is_large(data):
        yield from ((tuple(error.instance_path), error) for error in validator.iter_errors(data))
    elif not validator.is_valid(data):
        said = False
        for key, start, piece in _pieces(data):
            for at, error in _of_piece(validator, piece):
                said = True
                moved = len(at) > 2 and at[:2] == ("spec", key) and isinstance(at[2], int)
                yield ((*at[:2], int(at[2]) + start, *at[3:]) if moved else at), error
        if not said:
            yield from _first(validator, data)


def _of_piece(validator: Any, piece: Json) -> Iterator[tuple[Pointer, Any]]:
    if validator.is_valid(piece):
        return
    if _is_large(piece):
        yield from _first(validator, piece)
    else:
        yield from ((tuple(error.instance_path), error) for error in validator.iter_errors(piece))


def _first(validator: Any, data: Json) -> Iterator[tuple[Pointer, Any]]:
    import jsonschema_rs

    try:
        validator.validate(data)
    except jsonschema_rs.ValidationError as error:
        yield tuple(error.instance_path), error
    yield (), None


def _pieces(data: Json) -> Iterator[tuple[str, int, Json]]:
    """The document again and again, each time with some items of one list of its spec, and one of every other list."""
    spec = data.get("spec") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(spec, dict):
        return
    short = {key: value[:1] if isinstance(value, list) else value for key, value in spec.items()}
    for key, items in spec.items():
        if not isinstance(items, list):
            continue
        for start in range(0, len(items), _WINDOW):
            yield key, start, {**data, "spec": {**short, key: items[start : start + _WINDOW]}}


def _is_large(data: Json) -> bool:
    count = 0
    rest = [data]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            count += 2 * len(value)
            rest += [inner for inner in value.values() if isinstance(inner, (dict, list))]
        elif isinstance(value, list):
            count += len(value)
            rest += [inner for inner in value if isinstance(inner, (dict, list))]
        if count > LARGE:
            return True
    return False
