"""Diffs to one HTML page: no script, nothing loaded from anywhere, readable on a phone, light and dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any

from aigw_compile.diff import CLASSES, Change, Diff
from aigw_compile.mask import scrub
from aigw_compile.render.grouped import Group, advice, grouped

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

Places = Callable[[Change], str]


def page(diffs: Sequence[tuple[Diff, Places, str]]) -> str:
    """Return the page for several gateways: each diff, where its changes were made, and its verdict."""
    title = escape(", ".join(d.gateway for d, _, _ in diffs) or "no gateway")
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
        *(line for diff, places, verdict in diffs for line in _section(diff, places, verdict)),
        "</body>",
        "</html>",
    ]
    return scrub("\n".join(lines) + "\n")


def _section(diff: Diff, places: Places, verdict: str) -> Iterator[str]:
    yield f"<h1>{escape(verdict)}</h1>"
    if said := advice(diff):
        yield f"<p>{escape(said)}</p>"
    counts = [(name, diff.count([name])) for name in CLASSES if diff.count([name])]
    if counts:
        rows = "".join(f'<tr><th class="{COLOURS.get(n, "")}">{n}</th><td>{c}</td></tr>' for n, c in counts)
        yield f"<table>{rows}</table>"
    groups = grouped(diff, [places(c) for c in diff.changes])
    if groups:
        yield "<ol>"
        yield from map(_change, groups)
        yield "</ol>"
    for heading, said_ in (("Accepted losses that weaken security", diff.accepted), ("Notes", diff.notes)):
        if said_:
            yield f"<h2>{heading}</h2><ul>{''.join(f'<li>{escape(x)}</li>' for x in said_)}</ul>"
    for name, found in diff.targets.items():
        if found:
            yield f"<details><summary>{escape(name)}: {_count(len(found), 'difference')}</summary><ul>"
            yield from (
                f"<li>{t.op} <code>{escape(t.place)}</code>{_from_to(t.before, t.after)}</li>" for t in found[:MOST]
            )
            left = len(found) - MOST
            yield f"</ul>{f'<p>and {left} more; diff.json has all of them</p>' if left > 0 else ''}</details>"


def _change(group: Group) -> str:
    first = group.first
    colour = COLOURS.get(first.classes[0], "")
    parts = [f'<span class="class">{", ".join(first.classes)}</span>{escape(first.sentence)}']
    if group.more:
        parts.append(f"<br>the same at {len(group.changes) - 1} more: <code>{escape(group.more)}</code>")
    outputs = ", ".join(f"{name} {count}" for name, count in group.outputs.items())
    cause = " → ".join(x for x in (group.place, outputs) if x)
    if cause:
        parts.append(f"<br><code>{escape(cause)}</code>")
    return f'<li class="change {colour}">{"".join(parts)}</li>'


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _from_to(before: Any, after: Any) -> str:
    shown = [f"<code>{escape(str(v))}</code>" for v in (before, after) if v is not None]
    return f": {' → '.join(shown)}" if shown else ""
