"""A configuration and its fields to the configuration with every default, as Kong's schema code fills them in."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from aigw_compile.plugins.types import Field


def filled(field: Field, value: Mapping[str, Any], *, whole: bool = False) -> dict[str, Any]:
    """Return a record with its defaults; what is null counts as not written (3.9.3, db/schema/init.lua).

    With `whole` also records that Kong leaves out where nobody wrote them.
    """
    made = dict(value)
    for name, inner in field.fields.items():
        given = made.get(name)
        if given is None:
            given = copy.deepcopy(inner.default)
            if given is None and inner.type == "record" and (whole or not inner.optional):
                given = {}
        if given is not None:
            made[name] = _value(inner, given, whole)
    return made


def _value(field: Field, value: Any, whole: bool) -> Any:
    if field.type == "record":
        return filled(field, value, whole=whole) if isinstance(value, dict) else value
    if field.type == "set" and isinstance(value, list):
        value = [item for i, item in enumerate(value) if item not in value[:i]]  # as Kong does
    if field.of is None or field.of.type not in ("record", "array", "set", "map"):
        return value
    if isinstance(value, list):
        return [_value(field.of, item, whole) for item in value]
    return {k: _value(field.of, v, whole) for k, v in value.items()} if isinstance(value, dict) else value
