"""A Diff to the text of one format: for a terminal, as Markdown for a pull request, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from aigw_compile.diff import CLASSES, Change, Diff
from aigw_compile.mask import scrub

LONGEST = 60_000
"""Characters of a Markdown report: a comment of a pull request holds 65,536."""

Places = Callable[[Change], str]
"""Change -> `file:line:column` of its cause."""

_RED = ("breaking", "security-relaxing", "data-residency", "unclassified")


def verdict(diff: Diff) -> str:
    """Return one line that says what the change amounts to."""
    if diff.compared is not None:
        changes, entities = len(diff.changes), "entity" if diff.compared == 1 else "entities"
        return f"{diff.gateway}: {diff.compared} {entities}, {changes} difference{'s' if changes != 1 else ''}"
    if diff.first:
        return f"{diff.gateway}: first build, there is nothing to compare with"
    if diff.empty:
        return f"{diff.gateway}: no change"
    if not diff.changes:
        outputs = sum(map(len, diff.targets.values()))
        return f"{diff.gateway}: the spec means the same; {outputs} differences in outputs come from the compiler"
    counts = [(name, diff.count([name])) for name in CLASSES]
    said = ", ".join(f"{count} {name}" for name, count in counts if count)
    return f"{diff.gateway}: {len(diff.changes)} change{'s' if len(diff.changes) != 1 else ''} ({said})"


def text(diff: Diff, places: Places, *, colour: bool = False) -> str:
    """For a terminal: worst first, each with its cause and how much of each output it explains."""
    lines = [verdict(diff)]
    for change in diff.changes:
        label = ", ".join(change.classes)
        lines.append(f"  {_painted(label, change, colour)}  {change.sentence}")
        outputs = ", ".join(f"{name} {count}" for name, count in change.outputs.items())
        place = places(change)
        if place or outputs:
            lines.append("      " + " -> ".join(x for x in (f"because of {place}" if place else "", outputs) if x))
        lines += [f"        {sample}" for sample in change.samples]
    for name, found in diff.targets.items():
        alone = [t for t in found if not t.causes]
        if alone:
            lines.append(f"  by the compiler itself: {name} {len(alone)}, such as {alone[0].place}")
    lines += [f"  accepted, security-relaxing: {loss}" for loss in diff.accepted]
    lines += [f"  {note}" for note in diff.notes]
    return scrub("\n".join(lines) + "\n")


def _painted(label: str, change: Change, colour: bool) -> str:
    if not colour:
        return f"[{label}]"
    code = "31" if change.classes[0] in _RED else "33" if change.classes[0] in ("cost", "availability") else "36"
    return f"\x1b[{code}m[{label}]\x1b[0m"


def markdown(diff: Diff, places: Places) -> str:
    """For a pull request: a verdict, a table of classes, the changes in words, and the outputs folded."""
    lines = [f"<!-- aigw-compile:diff:{diff.gateway} -->", f"### {verdict(diff)}", ""]
    if diff.changes:
        lines += ["| class | changes |", "| --- | ---: |"]
        lines += [f"| {name} | {diff.count([name])} |" for name in CLASSES if diff.count([name])]
        lines.append("")
    for change in diff.changes:
        place = places(change)
        tail = f" (`{place}`)" if place else ""
        lines.append(f"- **{', '.join(change.classes)}**: {_escaped(change.sentence)}{tail}")
    if diff.accepted:
        lines += ["", "Accepted losses that weaken security:", *(f"- {_escaped(loss)}" for loss in diff.accepted)]
    if diff.notes:
        lines += ["", *(f"- {_escaped(note)}" for note in diff.notes)]
    for name, found in diff.targets.items():
        if found:
            lines += ["", f"<details><summary>{name}: {len(found)} differences</summary>", ""]
            lines += [f"- {t.op} `{t.place}`{_from_to(t.before, t.after)}" for t in found]
            lines += ["", "</details>"]
    return _cut(lines)


def _cut(lines: list[str]) -> str:
    """At most LONGEST characters; what was left out is counted."""
    kept: list[str] = []
    size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > LONGEST - 200:
            if kept and any(k.startswith("<details>") for k in kept) and kept[-1] != "</details>":
                kept += ["", "</details>"]
            kept += ["", f"... and {len(lines) - number} more lines; diff.json has all of them."]
            break
        kept.append(line)
    return scrub("\n".join(kept).rstrip() + "\n")


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|").replace("\n", " ")


def _from_to(before: Any, after: Any) -> str:
    if before is None and after is None:
        return ""
    shown = [f"`{str(v).replace('`', chr(39)).replace(chr(10), ' ')}`" for v in (before, after) if v is not None]
    return ": " + " -> ".join(shown)


def as_data(diff: Diff, places: Places) -> dict[str, Any]:
    """The diff as data that fits schemas/diff.schema.json."""
    return {
        "version": 1,
        "gateway": diff.gateway,
        "first": diff.first,
        "verdict": verdict(diff),
        "classes": {name: diff.count([name]) for name in CLASSES if diff.count([name])},
        "changes": [
            {
                "op": c.op,
                "entity": c.entity,
                "place": c.place,
                "before": c.before,
                "after": c.after,
                "classes": [*c.classes],
                "sentence": c.sentence,
                "cause": places(c),
                "reach": {"models": c.reach[0], "consumers": c.reach[1]},
                "outputs": dict(c.outputs),
                "samples": [*c.samples],
                "fingerprint": c.fingerprint,
            }
            for c in diff.changes
        ],
        "targets": {
            name: [
                {
                    "op": t.op,
                    "place": t.place,
                    "before": t.before,
                    "after": t.after,
                    "causes": [diff.changes[i].fingerprint for i in t.causes],
                }
                for t in found
            ]
            for name, found in diff.targets.items()
        },
        "accepted": [*diff.accepted],
    } | ({"compared": diff.compared, "notes": [*diff.notes]} if diff.compared is not None else {})


def _json(diff: Diff, places: Places) -> str:
    return scrub(json.dumps(as_data(diff, places), indent=1, ensure_ascii=False) + "\n")


FORMATS: Mapping[str, Callable[[Diff, Places], str]] = {"text": text, "markdown": markdown, "json": _json}
