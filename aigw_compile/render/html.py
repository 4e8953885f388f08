"""Diffs to one HTML page: no script, nothing loaded from anywhere, readable on a phone, light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from aigw_compile.diff import Diff
from aigw_compile.diff.words import counted
from aigw_compile.mask import scrub
from aigw_compile.render import grouped, normalised
from aigw_compile.render.grouped import Cause, Told

MOST = 200
"""Differences of one target that are listed."""

STYLE = """
:root { color-scheme: light dark; --back: #fff; --card: #f6f7f9; --text: #1c2024; --dim: #5b6470; --line: #d9dee4;
  --red: #b42318; --amber: #8a5a00; --green: #1a6e3c; --blue: #1f5fae; }
@media (prefers-color-scheme: dark) { :root { --back: #14171a; --card: #1d2125; --text: #e8eaed; --dim: #a2abb5;
  --line: #353b42; --red: #ff8a80; --amber: #f5c26b; --green: #7fd6a0; --blue: #8ab8f5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 56rem; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
h3 { font-size: .95rem; margin: .75rem 0 .25rem; }
p { margin: .4rem 0; }
code { font: .85em/1.4 ui-monospace, monospace; color: var(--dim); }
table { border-collapse: collapse; margin: .75rem 0; }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--line); font-weight: 400; }
td { text-align: right; font-variant-numeric: tabular-nums; padding-right: 0; }
ol { list-style: none; margin: 0; padding: 0; }
li.change { background: var(--card); border-left: 4px solid var(--dim); border-radius: 4px; padding: .6rem .8rem; margin: .5rem 0; }
li.red { border-color: var(--red); } li.amber { border-color: var(--amber); } li.green { border-color: var(--green); }
.class { display: block; font-size: .8rem; font-weight: 600; }
.red > .class, th.red { color: var(--red); } .amber > .class, th.amber { color: var(--amber); }
.green > .class, th.green { color: var(--green); }
details { border-top: 1px solid var(--line); padding: .6rem 0; } summary { cursor: pointer; color: var(--blue); }
details ul { padding-left: 1.1rem; }
"""

COLOURS = {
    "breaking": "red",
    "security-relaxing": "red",
    "data-residency": "red",
    "unclassified": "red",
    "cost": "amber",
    "availability": "amber",
    "security-tightening": "green",
}


def page(told: Sequence[Told]) -> str:
    """Return the page for a gateway, or for several: then what one place does to several of them is told once."""
    title = escape(grouped.listed([d.gateway for d, _ in told], 3) or "no gateway")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        '<head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}: what changes</title>",
        f"<style>{STYLE}</style></head>",
        "<body>",
        *_body(told),
        "</body>",
        "</html>",
    ]
    return scrub("\n".join(lines) + "\n")


def _body(told: Sequence[Told]) -> Iterator[str]:
    yield f"<h1>{escape(grouped.verdicts(told))}</h1>"
    if said := grouped.advice(told):
        yield f"<p>{escape(said)}</p>"
    if counts := grouped.counts(told):
        rows = "".join(f'<tr><th class="{COLOURS.get(n, "")}">{n}</th><td>{c}</td></tr>' for n, c in counts.items())
        yield f"<table>{rows}</table>"
    if causes := grouped.causes(told):
        yield "<ol>"
        yield from (_cause(cause, told) for cause in causes)
        yield "</ol>"
    alone = len(told) == 1
    for diff, _ in told:
        if not grouped.quiet(diff):
            yield from _section(diff, alone)
    same = [diff.gateway for diff, _ in told if grouped.quiet(diff)]
    if same and not alone and len(same) < len(told):
        yield f"<p>No change in {escape(grouped.listed(same, 20))}.</p>"


def _section(diff: Diff, alone: bool) -> Iterator[str]:
    """What there is to tell of one gateway beside its changes: what else there is to know, and each target's differences."""
    inner = [*_inner(diff)]
    if not alone and (inner or diff.first):
        yield f"<h2>{escape(grouped.verdict(diff))}</h2>"
    yield from inner


def _inner(diff: Diff) -> Iterator[str]:
    for name, some in grouped.by_itself(diff).items():
        count = counted(len(some), "difference")
        yield f"<p>{escape(name)}: {count} made {grouped.alone(some)}, such as <code>{escape(some[0].place)}</code></p>"
    for heading, said in (("Accepted losses that weaken security", diff.accepted), ("Notes", diff.notes)):
        if said:
            yield f"<h3>{heading}</h3><ul>{''.join(f'<li>{escape(x)}</li>' for x in said)}</ul>"
    for name, found in diff.targets.items():
        if found:
            items = [
                f"<li>{t.op} <code>{escape(t.place)}</code>{_from_to(t.before, t.after)}</li>" for t in found[:MOST]
            ]
            left = len(found) - MOST
            more = f"<p>and {left:,} more; the report as JSON has all of them</p>" if left > 0 else ""
            yield _folded(f"{name}: {counted(len(found), 'difference')}", items, more)
    if diff.normalised is not None:
        items = [f"<li>{escape(normalised.line(same))}</li>" for same in diff.normalised]
        yield _folded(normalised.title(diff.normalised), items)


def _folded(title: str, items: Sequence[str], after: str = "") -> str:
    return f"<details><summary>{escape(title)}</summary><ul>{''.join(items)}</ul>{after}</details>"


def _cause(cause: Cause, told: Sequence[Told]) -> str:
    only = f"{cause.gateways[0]}: " if len(cause.gateways) == 1 < len(told) else ""
    label = f'<span class="class">{", ".join(cause.first.classes)}</span>'
    parts = [f"{label}{escape(only + cause.sentence)}"]
    if more := cause.groups[0].more:
        parts.append(f"the same at {len(cause.groups[0].changes) - 1} more: <code>{escape(more)}</code>")
    outputs = cause.told_outputs
    if made := " → ".join(x for x in (cause.place, outputs) if x):
        parts.append(f"<code>{escape(made)}</code>")
    return f'<li class="change {COLOURS.get(cause.first.classes[0], "")}">{"<br>".join(parts)}</li>'


def _from_to(before: Any, after: Any) -> str:
    shown = [f"<code>{escape(str(v))}</code>" for v in (before, after) if v is not None]
    return f": {' → '.join(shown)}" if shown else ""
