"""Diagnostics to SARIF 2.1.0, which code scanning services read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from json import dumps
from typing import Any, Final
from urllib.parse import quote

from aigw_compile import __version__
from aigw_compile.diagnostic import Diagnostic, Severity, Span
from aigw_compile.mask import scrub
from aigw_compile.render import clean, ordered, ways

_LEVEL: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.HINT: "note"}


def render(diagnostics: Sequence[Diagnostic], codes: Mapping[str, tuple[object, str, str]] | None = None) -> str:
    """Return a SARIF log with one run.

    `codes` gives (severity, title, explanation) of each code for the rules; a code that is missing there takes the
    message of its first finding as its title. Fingerprints are made of code, file, place and message, not of line
    numbers, so that a finding stays the same when lines are put in above it.
    """
    found = [clean(d) for d in ordered(diagnostics)]
    rules: dict[str, Mapping[str, Any]] = {}
    for d in found:
        if d.code not in rules:
            rules[d.code] = _rule(d, codes or {})
    numbers = {code: index for index, code in enumerate(rules)}
    seen: dict[str, int] = {}
    return log(list(rules.values()), [_result(d, numbers[d.code], seen) for d in found])


def log(rules: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]) -> str:
    """Return a log with one run."""
    run = {
        "tool": {"driver": {"name": "aigw-compile", "semanticVersion": __version__, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"PROJECT": {"description": {"text": "The root folder of the project."}}},
        "results": results,
    }
    whole = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return scrub(dumps(whole, indent=2)) + "\n"


def _rule(d: Diagnostic, codes: Mapping[str, tuple[object, str, str]]) -> Mapping[str, Any]:
    _, title, page = codes.get(d.code, ("", d.message, ""))
    rule: dict[str, Any] = {"id": d.code, "shortDescription": {"text": title}}
    if page:
        rule["fullDescription"] = {"text": page}
    return {**rule, "defaultConfiguration": {"level": _LEVEL[d.severity]}}


def _result(d: Diagnostic, number: int, seen: dict[str, int]) -> Mapping[str, Any]:
    text = d.message if not d.hint else f"{d.message}\nhelp: {d.hint}"
    result: dict[str, Any] = {
        "ruleId": d.code,
        "ruleIndex": number,
        "level": _LEVEL[d.severity],
        "message": {"text": text},
    }
    location: dict[str, Any] = {}
    if d.span:
        location["physicalLocation"] = physical(d.span)
    if d.place:
        location["logicalLocations"] = [{"fullyQualifiedName": d.place}]
    if location:
        result["locations"] = [location]
    related = _related(d)
    if related:
        result["relatedLocations"] = related
    mark = sha256("\0".join((d.code, d.span.file if d.span else "", d.place, d.message)).encode("utf-8", "replace"))
    fingerprint = mark.hexdigest()[:32]
    seen[fingerprint] = seen.get(fingerprint, 0) + 1
    result["partialFingerprints"] = {"aigwFinding/v1": f"{fingerprint}:{seen[fingerprint]}"}
    return result


def _related(d: Diagnostic) -> list[Mapping[str, Any]]:
    places = [(r.span, r.message) for r in ways(d) if r.span]
    return [
        {"id": number, "physicalLocation": physical(span), "message": {"text": message}}
        for number, (span, message) in enumerate(places)
    ]


def physical(span: Span) -> Mapping[str, Any]:
    """Return a place in text as SARIF has it."""
    return {
        "artifactLocation": {
            "uri": quote(span.file, safe="/-._~!$&'()*+,;=@", errors="replace"),
            "uriBaseId": "PROJECT",
        },
        "region": {
            "startLine": span.line,
            "startColumn": span.column,
            "endLine": max(span.end_line, span.line),
            "endColumn": max(span.end_column, 1),
        },
    }
