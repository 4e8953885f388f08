"""Diagnostics to the text of one format; whatever comes out has been scrubbed of secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from aigw_compile.diagnostic import Diagnostic, Related
from aigw_compile.mask import scrub

__all__ = ["FORMATS", "ordered", "render", "ways"]

Texts = Mapping[str, str]
"""The text of each file that a finding names, for code frames; a file may be missing."""


def _text(diagnostics: Sequence[Diagnostic], texts: Texts) -> str:
    from aigw_compile.render import text

    return text.render(diagnostics, texts)


def _json(diagnostics: Sequence[Diagnostic], texts: Texts) -> str:
    from aigw_compile.render import json

    return json.render(diagnostics)


def _github(diagnostics: Sequence[Diagnostic], texts: Texts) -> str:
    from aigw_compile.render import github

    return github.render(diagnostics)


def _sarif(diagnostics: Sequence[Diagnostic], texts: Texts) -> str:
    from aigw_compile.render import sarif

    return sarif.render(diagnostics)


FORMATS: Final[Mapping[str, Callable[[Sequence[Diagnostic], Texts], str]]] = {
    "text": _text,
    "json": _json,
    "github": _github,
    "sarif": _sarif,
}
"""Each format by its name. Called with findings and texts, it returns the whole output with its last line feed."""


def render(
    name: str,
    diagnostics: Sequence[Diagnostic],
    texts: Texts,
    *,
    colour: bool = False,
    codes: Mapping[str, tuple[object, str, str]] | None = None,
) -> str:
    """Return the findings as the format `name` has them. Raises KeyError where there is no such format.

    `colour` is for text only. `codes` gives (severity, title, explanation) of each code, for formats that list rules.
    """
    if name == "sarif" and codes:
        from aigw_compile.render import sarif

        return sarif.render(diagnostics, codes)
    if name == "text" and colour:
        from aigw_compile.render import text

        return text.render(diagnostics, texts, colour=True)
    return FORMATS[name](diagnostics, texts)


def ordered(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Return the findings by file, line, column, severity (the worst first) and code; those without a place first."""
    return sorted(diagnostics, key=_order)


def _order(d: Diagnostic) -> tuple[str, int, int, int, str, str]:
    span = d.span
    place = (span.file, span.line, span.column) if span else ("", 0, 0)
    return (*place, -d.severity, d.code, d.message)


def ways(diagnostic: Diagnostic) -> Iterator[Related]:
    """Yield the configRefs that a finding's text came through, the nearest first, and then what is related to it."""
    via = diagnostic.span.via if diagnostic.span else None
    while via:
        yield Related("through this configRef", span=via)
        via = via.via
    yield from diagnostic.related


def clean(diagnostic: Diagnostic) -> Diagnostic:
    """Return the finding without secrets in any text that people read, so that later escaping cannot hide one."""
    return diagnostic._replace(
        message=scrub(diagnostic.message),
        hint=scrub(diagnostic.hint),
        place=scrub(diagnostic.place),
        related=tuple(r._replace(message=scrub(r.message)) for r in diagnostic.related),
    )
