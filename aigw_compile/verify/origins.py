"""A place in an output to the place of the spec that its value came from, None where nothing in the spec made it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Json, Pointer, value_at
from aigw_compile.document import Block, Document


class Wrong(NamedTuple):
    """Something in a document that the product would refuse, or take for something else."""

    code: str
    document: Document
    path: Pointer
    where: str
    """Product and version, plugin and field, for people."""
    message: str
    right: str
    place: Pointer | None = None
    """The place in the spec, where that is known already."""


def blamed(body: Json, path: Pointer, spec: Json) -> Pointer | None:
    """Return the place of the spec that made what stands at a place of an output.

    A value that a block names origins for came from there. Else it did if it shows something that the spec has at the
    origin of the block that it stands in.
    """
    value, origins, named = _value(body, path)
    shown = {*_leaves(value)}
    found = [
        (likeness, at)
        for origin in origins
        for at, leaf in _placed(value_at(origin, spec), origin)
        if (likeness := max((_alike(one, leaf) for one in shown), default=0))
    ]
    if found:
        return max(found, key=lambda one: one[0])[1]
    return origins[0] if named and origins else None


def _value(body: Any, path: Pointer) -> tuple[Any, tuple[Pointer, ...], bool]:
    """What stands at a place, the origins of the innermost that has some, and whether these are named for the value."""
    origins: tuple[Pointer, ...] = ()
    named = False
    for step in path:
        if isinstance(body, Block):
            named = step in body.origins
            origins = body.origins[str(step)] if named else (body.origin,)
        try:
            body = body[step]
        except (LookupError, TypeError):
            return None, origins, False
    if isinstance(body, Block):
        origins, named = (body.origin,), False
    return body, origins, named


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _placed(value: Any, at: Pointer) -> Iterator[tuple[Pointer, str]]:
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _placed(inner, (*at, key))
    elif value is not None and not isinstance(value, bool):
        yield at, str(value)


ALIKE = 4
"""A shorter text is found in others by chance."""


def _alike(shown: str, written: str) -> int:
    """How much of a written text is shown, or of a shown one is written; 0 is by chance."""
    short, long = sorted((shown, written), key=len)
    return len(short) if shown == written or (len(short) >= ALIKE and short in long) else 0
