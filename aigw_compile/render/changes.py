"""A Diff to the text of one format: for a terminal, as Markdown for a pull request, as JSON, or as an HTML page."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from aigw_compile.diff import CLASSES, Change, Diff, TargetChange
from aigw_compile.mask import scrub
from aigw_compile.render import html
from aigw_compile.render.grouped import Group, advice, grouped, shared

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


def texts(diffs: Sequence[tuple[Diff, Places]], *, colour: bool = False) -> tuple[str, list[str]]:
    """For a terminal, several gateways: what one place does to more than one of them comes first, once; then each of them."""
    causes = shared([(diff, [places(c) for c in diff.changes]) for diff, places in diffs])
    lines = []
    for cause in causes:
        first, made = cause.groups[0].first, cause.groups[0].place.partition(" (")[0]
        outputs = ", ".join(f"{name} {count}" for name, count in cause.outputs.items())
        models, consumers = (sum(c.reach[i] for g in cause.groups for c in g.changes) for i in (0, 1))
        lines.append(f"  {_painted(', '.join(first.classes), first, colour)}  {first.sentence.partition(', for ')[0]}")
        lines.append(f"      in {_names(cause.gateways)}, {models} models and {consumers} consumers in all")
        lines.append("      " + " -> ".join(x for x in (f"because of {made}", outputs) if x))
        lines += [f"        {cause.gateways[0]}: {sample}" for sample in first.samples]
    told = {
        (name, c.fingerprint) for s in causes for name, g in zip(s.gateways, s.groups, strict=True) for c in g.changes
    }
    head = scrub("\n".join([f"{_changes(len(causes))} of several gateways", *lines]) + "\n") if causes else ""
    return head, [text(d, p, colour=colour, told={f for n, f in told if n == d.gateway}) for d, p in diffs]


def _names(gateways: Sequence[str]) -> str:
    more = f" and {len(gateways) - 3} more" if len(gateways) > 3 else ""
    return f"{len(gateways)} gateways ({', '.join(gateways[:3])}{more})"


def _changes(number: int) -> str:
    return f"{number} change{'' if number == 1 else 's'}"


def text(diff: Diff, places: Places, *, colour: bool = False, told: Collection[str] = ()) -> str:
    """For a terminal: worst first, each with its cause and how much of each output it explains.

    `told`: fingerprints of changes of which it is only said that they were told before.
    """
    lines = [verdict(diff)]
    if before := sum(c.fingerprint in told for c in diff.changes):
        lines.append(f"  {_changes(before)} told above")
    for group in grouped(diff, [places(c) for c in diff.changes]):
        if group.first.fingerprint in told:
            continue
        label = ", ".join(group.first.classes)
        lines.append(f"  {_painted(label, group.first, colour)}  {group.first.sentence}")
        if group.more:
            lines.append(f"      the same at {len(group.changes) - 1} more: {group.more}")
        outputs = ", ".join(f"{name} {count}" for name, count in group.outputs.items())
        if group.place or outputs:
            made = f"because of {group.place}" if group.place else ""
            lines.append("      " + " -> ".join(x for x in (made, outputs) if x))
        lines += [f"        {sample}" for sample in group.first.samples]
    for name, found in diff.targets.items():
        alone = [t for t in found if not t.causes]
        if alone:
            lines.append(f"  {_alone(alone)}: {name} {len(alone)}, such as {alone[0].place}")
    lines += [f"  accepted, security-relaxing: {loss}" for loss in diff.accepted]
    lines += [f"  {note}" for note in diff.notes]
    return scrub("\n".join(lines) + "\n")


def _alone(found: Sequence[TargetChange]) -> str:
    """What made differences that no change of the spec did."""
    return "by nothing that is known (AIG9004)" if any(t.unexplained for t in found) else "by the compiler itself"


def _painted(label: str, change: Change, colour: bool) -> str:
    if not colour:
        return f"[{label}]"
    code = "31" if change.classes[0] in _RED else "33" if change.classes[0] in ("cost", "availability") else "36"
    return f"\x1b[{code}m[{label}]\x1b[0m"


WORST = 5
"""Changes that a comment shows unfolded."""


def markdown(diff: Diff, places: Places) -> str:
    """For a pull request: verdict, what to look at, a table of classes, the worst changes in words; the rest is folded."""
    lines = [f"<!-- aigw-compile:diff:{diff.gateway} -->", f"### {verdict(diff)}", ""]
    groups = grouped(diff, [places(c) for c in diff.changes])
    if diff.changes:
        lines += [advice(diff), "", "| class | changes |", "| --- | ---: |"]
        lines += [f"| {name} | {diff.count([name])} |" for name in CLASSES if diff.count([name])]
        lines += ["", *(line for group in groups[:WORST] for line in _group(group))]
    if diff.accepted:
        lines += ["", "Accepted losses that weaken security:", *(f"- {_escaped(loss)}" for loss in diff.accepted)]
    if diff.notes:
        lines += ["", *(f"- {_escaped(note)}" for note in diff.notes)]
    if rest := groups[WORST:]:
        count = sum(len(group.changes) for group in rest)
        lines += ["", f"<details><summary>{count} more change{'s' if count != 1 else ''}</summary>", ""]
        lines += [line for group in rest for line in _group(group)]
        lines += ["", "</details>"]
    for name, found in diff.targets.items():
        if found:
            if alone := [t for t in found if not t.causes]:
                lines += ["", f"{name}: {len(alone)} differences made {_alone(alone)}, such as `{alone[0].place}`."]
            lines += [
                "",
                f"<details><summary>{name}: {len(found)} difference{'' if len(found) == 1 else 's'}</summary>",
                "",
            ]
            lines += [f"- {t.op} `{t.place}`{_from_to(t.before, t.after)}" for t in found]
            lines += ["", "</details>"]
    return _cut(lines)


def _group(group: Group) -> Iterator[str]:
    place = f" (`{group.place}`)" if group.place else ""
    outputs = ", ".join(f"{name} {count}" for name, count in group.outputs.items())
    yield f"- **{', '.join(group.first.classes)}**: {_escaped(group.first.sentence)}{place}{f': {outputs}' if outputs else ''}"
    if group.more:
        yield f"  - the same at {len(group.changes) - 1} more: {_escaped(group.more)}"


def _cut(lines: list[str]) -> str:
    """At most LONGEST characters; what was left out is counted."""
    kept: list[str] = []
    size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > LONGEST - 200:
            if sum(k.startswith("<details>") for k in kept) > kept.count("</details>"):
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
                    **({"unexplained": True} if t.unexplained else {}),
                }
                for t in found
            ]
            for name, found in diff.targets.items()
        },
        "accepted": [*diff.accepted],
    } | ({"compared": diff.compared, "notes": [*diff.notes]} if diff.compared is not None else {})


def _json(diff: Diff, places: Places) -> str:
    return scrub(json.dumps(as_data(diff, places), indent=1, ensure_ascii=False) + "\n")


def page(diffs: Iterable[tuple[Diff, Places]]) -> str:
    """Several gateways as one HTML page."""
    return html.page([(diff, places, verdict(diff)) for diff, places in diffs])


def _html(diff: Diff, places: Places) -> str:
    return page([(diff, places)])


FORMATS: Mapping[str, Callable[[Diff, Places], str]] = {
    "text": text,
    "markdown": markdown,
    "json": _json,
    "html": _html,
}
