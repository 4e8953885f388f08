"""Diffs to Markdown for the comment of a pull request: verdict, table, the worst changes in words; the rest is folded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from aigw_compile.diff import Diff
from aigw_compile.diff.words import counted
from aigw_compile.mask import scrub
from aigw_compile.render import grouped, normalised
from aigw_compile.render.grouped import Cause, Told

LONGEST = 60_000
"""Characters of a report, however many gateways it is of: a comment of a pull request holds 65,536."""
WORST = 5
"""Changes that a comment shows unfolded."""


def markdown(told: Sequence[Told]) -> str:
    """Return the report of a gateway, or of several: then what one place does to several of them is told once."""
    alone = told[0][0].gateway if len(told) == 1 else ""
    lines = [f"<!-- aigw-compile:diff{f':{alone}' if alone else ''} -->", f"### {_escaped(grouped.verdicts(told))}"]
    causes = grouped.causes(told)
    if found := grouped.counts(told):
        lines += ["", grouped.advice(told), "", "| class | changes |", "| --- | ---: |"]
        lines += [f"| {name} | {count} |" for name, count in found.items()]
        lines += ["", *(line for cause in causes[:WORST] for line in _cause(cause, told))]
    if accepted := grouped.several((d.gateway, d.accepted) for d, _ in told):
        lines += ["", "Accepted losses that weaken security:", "", *_items(accepted)]
    if notes := grouped.several((d.gateway, d.notes) for d, _ in told):
        lines += ["", *_items(notes)]
    for diff, _ in told:
        name = "" if alone else f"{_escaped(diff.gateway)}: "
        if diff.first and not alone:
            lines += ["", f"{_escaped(grouped.verdict(diff))}."]
        for target, some in grouped.by_itself(diff).items():
            count = counted(len(some), "difference")
            lines += ["", f"{name}{target}: {count} made {grouped.alone(some)}, such as `{some[0].place}`."]
    if rest := causes[WORST:]:
        inner = [line for cause in rest for line in _cause(cause, told)]
        lines += _folded(counted(sum(len(c.changes) for c in rest), "more change"), inner)
    for diff, _ in told:
        lines += _outputs(diff, alone)
    same = [diff.gateway for diff, _ in told if grouped.quiet(diff)]
    if same and not alone and len(same) < len(told):
        lines += ["", f"No change in {_escaped(grouped.listed(same, 20))}."]
    return _cut(lines)


def _cause(cause: Cause, told: Sequence[Told]) -> Iterator[str]:
    only = f"{cause.gateways[0]}: " if len(cause.gateways) == 1 < len(told) else ""
    place = f" (`{cause.place}`)" if cause.place else ""
    outputs = cause.told_outputs
    label = ", ".join(cause.first.classes)
    yield f"- **{label}**: {_escaped(only + cause.sentence)}{place}{f': {outputs}' if outputs else ''}"
    if more := cause.groups[0].more:
        yield f"  - the same at {len(cause.groups[0].changes) - 1} more: {_escaped(more)}"


def _outputs(diff: Diff, alone: str) -> Iterator[str]:
    """The differences of each target, folded; of several gateways there is one fold for each of them."""
    inner: list[str] = []
    for target, found in diff.targets.items():
        if found:
            title = f"{target}: {counted(len(found), 'difference')}"
            lines = [f"- {t.op} `{t.place}`{_from_to(t.before, t.after)}" for t in found]
            inner += _folded(title, lines) if alone else ["", f"{title}", "", *lines]
    if diff.normalised is not None:
        title, lines = normalised.title(diff.normalised), [*_items(map(normalised.line, diff.normalised))]
        inner += _folded(title, lines) if alone else ["", title, "", *lines]
    if inner:
        yield from inner if alone else _folded(grouped.verdict(diff), inner[1:])


def _folded(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"<details><summary>{_escaped(title)}</summary>", "", *lines, "", "</details>"]


def _items(texts: Iterable[str]) -> Iterator[str]:
    yield from (f"- {_escaped(text)}" for text in texts)


def _cut(lines: list[str]) -> str:
    """At most LONGEST characters; what was left out is counted."""
    kept: list[str] = []
    size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > LONGEST - 200:
            if sum(k.startswith("<details>") for k in kept) > kept.count("</details>"):
                kept += ["", "</details>"]
            left = counted(len(lines) - number, "more line")
            kept += ["", f"... and {left}; the report as JSON has all of them."]
            break
        kept.append(line)
    return scrub("\n".join(kept).rstrip() + "\n")


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|").replace("\n", " ")


def _from_to(before: Any, after: Any) -> str:
    shown = [f"`{str(v).replace('`', chr(39)).replace(chr(10), ' ')}`" for v in (before, after) if v is not None]
    return f": {' -> '.join(shown)}" if shown else ""
