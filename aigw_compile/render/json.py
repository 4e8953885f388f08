"""Diagnostics to JSON as schemas/diagnostics.schema.json describes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from json import dumps
from typing import Any

from aigw_compile.diagnostic import Diagnostic, Span
from aigw_compile.mask import scrub
from aigw_compile.render import clean, ordered, ways


def render(diagnostics: Sequence[Diagnostic]) -> str:
    """Return {"diagnostics": [...]}, sorted by place; a finding without a place has null for file, line and column."""
    return (
        scrub(dumps({"diagnostics": [_one(clean(d)) for d in ordered(diagnostics)]}, indent=2, ensure_ascii=False))
        + "\n"
    )


def _one(d: Diagnostic) -> Mapping[str, Any]:
    span = d.span
    return {
        "code": d.code,
        "severity": d.severity.name.lower(),
        "message": _encodable(d.message),
        **_start(span),
        "endLine": span.end_line if span else None,
        "endColumn": span.end_column if span else None,
        "pointer": _encodable(d.place),
        "hint": _encodable(d.hint),
        "related": [{**_start(r.span), "message": _encodable(r.message)} for r in ways(d)],
    }


def _start(span: Span | None) -> Mapping[str, Any]:
    return {
        "file": _encodable(span.file) if span else None,
        "line": span.line if span else None,
        "column": span.column if span else None,
    }


def _encodable(text: str) -> str:
    """Return `text` without lone surrogates, which no UTF-8 output could hold (file names may have them)."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
