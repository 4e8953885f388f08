"""A document that stands on parts, or a part, to the findings about what it says by itself; the schema of layers is not there yet."""

from __future__ import annotations

from aigw_compile.diagnostic import Diagnostic, Json


def validate_layer(data: Json) -> list[Diagnostic]:
    """Return nothing yet: as long as the schema has no configRef, `validate` reports it."""
    return []


def validate_part(data: Json) -> list[Diagnostic]:
    """Return nothing yet."""
    return []
