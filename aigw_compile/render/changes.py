"""Diffs to the text of one format: for a terminal, as Markdown for a pull request, as JSON, or as an HTML page."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from aigw_compile.diff import CLASSES, Change, Diff
from aigw_compile.diff.words import counted
from aigw_compile.mask import scrub
from aigw_compile.render import grouped, html, normalised
from aigw_compile.render.grouped import Cause, Places, Told, verdict
from aigw_compile.render.markdown import markdown

_RED = ("breaking", "security-relaxing", "data-residency", "unclassified")


def text(told: Sequence[Told], *, colour: bool = False) -> str:
    """For a terminal, the worst first: what one place does to several gateways comes before all of them, once."""
    if len(told) == 1:
        return scrub("".join(f"{line}\n" for line in _section(*told[0], colour, ())))
    shared = [cause for cause in grouped.causes(told) if len(cause.gateways) > 1]
    before = {(n, c.fingerprint) for s in shared for n, g in zip(s.gateways, s.groups, strict=True) for c in g.changes}
    lines = [f"{counted(len(shared), 'change')} of several gateways"] if shared else []
    for cause in shared:
        lines += _cause(cause, colour)
    nothing_else, same = [], []
    for diff, places in sorted(told, key=_worst):
        known = {f for name, f in before if name == diff.gateway}
        rest = [c for c in diff.changes if c.fingerprint not in known]
        if known and not rest and not (diff.accepted or diff.notes or diff.normalised or grouped.by_itself(diff)):
            nothing_else.append(diff.gateway)
        elif grouped.quiet(diff) and diff.compared is None:
            same.append(diff.gateway)
        else:
            lines += _section(diff, places, colour, known)
    lines += [f"nothing else changes in {grouped.listed(nothing_else, 20)}"] if nothing_else else []
    lines += [f"{grouped.listed(same, 20)}: no change"] if same else []
    return scrub("".join(f"{line}\n" for line in lines))


def _worst(told: Told) -> int:
    """The gateway with the worst change comes first."""
    return min((CLASSES.index(change.classes[0]) for change in told[0].changes), default=len(CLASSES))


def _section(diff: Diff, places: Places, colour: bool, told: Collection[str]) -> Iterator[str]:
    """`told`: fingerprints of changes of which it is only said that they were told before."""
    yield verdict(diff)
    if before := sum(c.fingerprint in told for c in diff.changes):
        yield f"  {counted(before, 'change')} told above"
    for group in grouped.grouped(diff, places):
        if group.first.fingerprint not in told:
            yield from _cause(Cause((diff.gateway,), (group,)), colour)
    for name, alone in grouped.by_itself(diff).items():
        yield f"  {grouped.alone(alone)}: {name} {len(alone)}, such as {alone[0].place}"
    yield from (f"  accepted, security-relaxing: {loss}" for loss in diff.accepted)
    yield from (f"  {note}" for note in diff.notes)
    if diff.normalised is not None:
        yield f"  {normalised.title(diff.normalised)}"
        yield from (f"    {normalised.line(same)}" for same in diff.normalised)


def _cause(cause: Cause, colour: bool) -> Iterator[str]:
    group, several = cause.groups[0], len(cause.gateways) > 1
    yield f"  {_painted(', '.join(cause.first.classes), cause.first, colour)}  {cause.sentence}"
    if group.more:
        yield f"      the same at {len(group.changes) - 1} more: {group.more}"
    outputs = ", ".join(f"{name} {count}" for name, count in cause.outputs.items())
    if cause.place or outputs:
        made = f"because of {cause.place}" if cause.place else ""
        yield "      " + " -> ".join(x for x in (made, outputs) if x)
    yield from (f"        {f'{cause.gateways[0]}: ' if several else ''}{sample}" for sample in cause.first.samples)


def _painted(label: str, change: Change, colour: bool) -> str:
    if not colour:
        return f"[{label}]"
    code = "31" if change.classes[0] in _RED else "33" if change.classes[0] in ("cost", "availability") else "36"
    return f"\x1b[{code}m[{label}]\x1b[0m"


def as_data(told: Sequence[Told]) -> dict[str, Any]:
    """The diffs as data that fits schemas/diff.schema.json: one document, however many gateways there are."""
    return {
        "version": 2,
        "verdict": grouped.verdicts(told),
        "classes": grouped.counts(told),
        "causes": [
            {
                "classes": [*cause.first.classes],
                "sentence": cause.sentence,
                "cause": cause.place,
                "reach": {"models": cause.reach[0], "consumers": cause.reach[1]},
                "outputs": cause.outputs,
                "gateways": {
                    name: [c.fingerprint for c in group.changes]
                    for name, group in zip(cause.gateways, cause.groups, strict=True)
                },
            }
            for cause in grouped.causes(told)
        ],
        "gateways": [_gateway(*one) for one in told],
    }


def _gateway(diff: Diff, places: Places) -> dict[str, Any]:
    return {
        "gateway": diff.gateway,
        "first": diff.first,
        "verdict": verdict(diff),
        "classes": grouped.counts([(diff, places)]),
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
                "estimate": c.estimate and c.estimate._asdict(),
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
        "notes": [*diff.notes],
        **({"compared": diff.compared} if diff.compared is not None else {}),
        **({"normalised": [s._asdict() for s in diff.normalised]} if diff.normalised is not None else {}),
    }


def as_json(told: Sequence[Told]) -> str:
    return scrub(json.dumps(as_data(told), indent=1, ensure_ascii=False) + "\n")


FORMATS: Mapping[str, Callable[[Sequence[Told]], str]] = {
    "text": text,
    "markdown": markdown,
    "json": as_json,
    "html": html.page,
}
