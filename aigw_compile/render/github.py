"""Diagnostics to workflow commands of GitHub Actions, which show as annotations on the changed lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aigw_compile.diagnostic import Diagnostic, Severity
from aigw_compile.mask import scrub
from aigw_compile.render import clean, ordered, ways

_COMMAND: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.HINT: "notice"}


def render(diagnostics: Sequence[Diagnostic]) -> str:
    """Return a line `::error file=...,line=...::message` for each finding; nothing if there is none.

    Escaping as in actions/toolkit, packages/core/src/command.ts (escapeData, escapeProperty).
    """
    return scrub("".join(f"{_line(clean(d))}\n" for d in ordered(diagnostics)))


def _line(d: Diagnostic) -> str:
    properties: dict[str, str | int] = {}
    if d.span:
        properties = {"file": d.span.file, "line": d.span.line, "col": d.span.column, "endLine": d.span.end_line}
        # GitHub drops an annotation whose end column stands in another line than its start.
        if d.span.end_line == d.span.line:
            properties["endColumn"] = max(d.span.end_column, d.span.column)
    properties["title"] = d.code
    listed = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    message = d.message if d.span or not d.place else f"{d.message} [{d.place}]"
    if d.hint:
        message += f"\nhelp: {d.hint}"
    for related in ways(d):
        place = f"{related.span.file}:{related.span.line}:{related.span.column}: " if related.span else ""
        message += f"\n{place}{related.message}"
    return f"::{_COMMAND[d.severity]} {listed}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
