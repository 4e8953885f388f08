"""Diffs to SARIF 2.1.0: a result for each change, under the class that it has, at the line that made it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from aigw_compile.diagnostic import Span
from aigw_compile.diff import CLASSES, Change, Diff
from aigw_compile.diff.words import counted
from aigw_compile.render import grouped, sarif

Spans = Callable[[Change], Span | None]
"""Change -> the place of its cause."""
Reasons = Callable[[str, Change], str]
"""Gateway and change -> why it may pass; "" where nobody said so."""

RULES: Mapping[str, tuple[str, str]] = {
    "breaking": ("error", "A change that breaks callers."),
    "security-relaxing": ("error", "A change that lets in, lets through or shows more than before."),
    "data-residency": ("error", "A change of where data goes."),
    "unclassified": ("warning", "A change whose meaning nobody has declared; from what runs, it may mean anything."),
    "cost": ("warning", "A change of what calls may cost."),
    "availability": ("warning", "A change of what happens when a provider fails, or is slow."),
    "security-tightening": ("note", "A change that lets in, lets through or shows less than before."),
    "observability": ("note", "A change of what is seen of calls."),
    "behaviour": ("note", "A change of what calls do."),
    "cosmetic": ("note", "A change that no call notices."),
}
"""Class of a change -> level and description of its rule."""
COMPILER = "compiler"
"""The rule of what changes in outputs although the spec did not."""


def render(diffs: Sequence[tuple[Diff, Spans]], reasons: Reasons) -> str:
    """Return a log with one run for all gateways. What is approved is there too, as suppressed.

    Fingerprints hold no line numbers, so that a change stays the same when lines are put in above it.
    """
    rules = [_rule(name, *RULES[name]) for name in CLASSES]
    rules.append(_rule(COMPILER, "note", "A difference of outputs that comes from the compiler itself."))
    seen: Counter[str] = Counter()
    results = [result for diff, spans in diffs for result in _results(diff, spans, reasons, seen)]
    return sarif.log(rules, results)


def _rule(name: str, level: str, text: str) -> Mapping[str, Any]:
    return {"id": f"change/{name}", "shortDescription": {"text": text}, "defaultConfiguration": {"level": level}}


def _results(diff: Diff, spans: Spans, reasons: Reasons, seen: Counter[str]) -> Iterator[Mapping[str, Any]]:
    for change in diff.changes:
        name = change.classes[0]
        text = f"{diff.gateway}: {change.sentence}"
        approve = f"to let it pass: aigw-compile approve {change.fingerprint} --until DATE --reason TEXT"
        mark = f"{diff.gateway}:{change.fingerprint}"
        result = _result(name, CLASSES.index(name), RULES[name][0], f"{text}\nhelp: {approve}", mark, seen)
        location: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": f"{diff.gateway}/{change.place}"}]}
        if span := spans(change):
            location["physicalLocation"] = sarif.physical(span)
        result |= {"locations": [location], "properties": {"tags": [*change.classes]}}
        if reason := reasons(diff.gateway, change):
            result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": reason}]
        yield result
    for target, alone in grouped.by_itself(diff).items():
        count = counted(len(alone), "difference")
        text = f"{diff.gateway}: {target}: {count} made {grouped.alone(alone)}, such as {alone[0].place}"
        yield _result(COMPILER, len(CLASSES), "note", text, f"{diff.gateway}:{target}", seen)


def _result(name: str, number: int, level: str, text: str, mark: str, seen: Counter[str]) -> dict[str, Any]:
    seen[mark] += 1
    return {
        "ruleId": f"change/{name}",
        "ruleIndex": number,
        "level": level,
        "message": {"text": text},
        "partialFingerprints": {"aigwChange/v1": f"{mark}:{seen[mark]}"},
    }
