"""A document and the errors found in it to the same document without the smallest broken objects, so that later phases can go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import islice
from typing import Any

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Severity, value_at

HEAD = {"apiVersion": "aigw.dev/v1alpha1", "kind": "AIGateway"}
"""What stands in for a broken head, so that the rest of the document is still checked."""

_MOST = 1000
"""Errors; what has as many is hardly a gateway, and later ones may not be listed."""
_MORE = "AIG1099"
"""The list of errors is not complete."""
_ROUNDS = 12
"""An error moves outwards by one object a round (a field, then the object that needed it); the language is not deeper."""


def pruned(
    data: Json, findings: Iterable[Diagnostic], validate: Callable[[Json], Iterable[Diagnostic]]
) -> dict[str, Any] | None:
    """Return a deep copy without what the errors point at, and without what cannot be without it; None if nothing is left.

    A broken object in a list becomes None, so that the places of the others stay what they are; a broken word is gone.
    """
    errors = [d for d in findings if d.severity is Severity.ERROR]
    if not isinstance(data, dict) or len(errors) >= _MOST or any(d.code == _MORE for d in errors):
        return None
    copy: dict[str, Any] = deepcopy(data)
    places = {d.at for d in errors}
    for _ in range(_ROUNDS):
        for place in sorted(places, key=len, reverse=True):
            _drop(copy, place)
        copy.update(HEAD)
        found = list(islice(validate(copy), _MOST))
        if len(found) >= _MOST or any(d.code == _MORE for d in found):
            return None
        places = {d.at for d in found if value_at(d.at, copy) is not None}
        places.discard(())
        if not places:
            break
    _close_up(copy)
    whole = isinstance(copy.get("spec"), dict) and isinstance(copy.get("metadata"), dict)
    return copy if whole and not places else None


def _close_up(data: Any) -> None:
    """Take the holes out of lists of words: nothing is said about a word by its position."""
    if isinstance(data, dict):
        for inner in data.values():
            _close_up(inner)
    elif isinstance(data, list):
        if not any(isinstance(item, (dict, list)) for item in data):
            data[:] = [item for item in data if item is not None]
        for item in data:
            _close_up(item)


def _drop(data: Any, at: Pointer) -> None:
    for step in at[:-1]:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return
    if not at:
        return
    if isinstance(data, dict):
        data.pop(at[-1], None)
    elif isinstance(data, list) and isinstance(at[-1], int) and at[-1] < len(data):
        data[at[-1]] = None
        if all(item is None for item in data):
            data.clear()
