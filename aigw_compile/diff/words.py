"""A change to its sentence: where, what, for how many, and what follows from it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from aigw_compile.diagnostic import Pointer
from aigw_compile.diff.types import Change, Estimate
from aigw_compile.mask import HIDDEN, scrub
from aigw_compile.schema import field, general

SAID: Mapping[tuple[str, str], str] = {
    ("promptGuard.deny", "removed"): "no longer refuses {before}",
    ("promptGuard.deny", "added"): "also refuses {after}",
    ("promptGuard.allow", "set"): "lets only {after} pass",
    ("promptGuard.allow", "unset"): "lets everything pass that is not denied, it was {before}",
    ("promptGuard.allow", "removed"): "no longer lets {before} pass",
    ("promptGuard.allow", "added"): "also lets {after} pass",
    ("promptGuard.roles", "set"): "looks only at what {after} says",
    ("promptGuard.roles", "unset"): "looks at what everybody says, it was {before}",
    ("promptGuard.scope", "changed"): "looks at {after}, it was {before}",
    ("responseGuard.deny", "removed"): "no longer looks for {before}",
    ("responseGuard.deny", "added"): "also looks for {after}",
    ("responseGuard.action", "changed"): "{after}, it was {before}",
    ("ipRestriction.allow", "set"): "lets only {after} in",
    ("ipRestriction.allow", "unset"): "lets every address in, it was {before}",
    ("ipRestriction.allow", "added"): "also lets {after} in",
    ("ipRestriction.allow", "removed"): "no longer lets {before} in",
    ("ipRestriction.deny", "added"): "also keeps {after} out",
    ("ipRestriction.deny", "removed"): "no longer keeps {before} out",
    ("access.allow.groups", "added"): "group {after} may call",
    ("access.allow.groups", "removed"): "group {before} may no longer call",
    ("access.allow.consumers", "added"): "{after} may call",
    ("access.allow.consumers", "removed"): "{before} may no longer call",
    ("access.deny.groups", "added"): "group {after} may no longer call",
    ("access.deny.groups", "removed"): "group {before} is no longer kept out",
    ("access.deny.consumers", "added"): "{after} may no longer call",
    ("access.deny.consumers", "removed"): "{before} is no longer kept out",
    ("jwt.audiences", "set"): "only tokens for {after} are taken",
    ("jwt.audiences", "unset"): "tokens for anybody are taken, it was {before}",
    ("jwt.audiences", "added"): "tokens for {after} are taken too",
    ("jwt.audiences", "removed"): "tokens for {before} are no longer taken",
    ("jwt.unknownConsumer", "changed"): "{after} whoever is not in the spec, it was {before}",
    ("cors.origins", "added"): "pages of {after} may call",
    ("cors.origins", "removed"): "pages of {before} may no longer call",
    ("listeners.hostnames", "set"): "only {after} is answered",
    ("listeners.hostnames", "unset"): "any host name is answered, it was {before}",
    ("listeners.trustedProxies", "added"): "what {after} says of a caller's address is believed",
    ("listeners.trustedProxies", "removed"): "what {before} says of a caller's address is no longer believed",
    ("models.aliases", "added"): "{after} is answered too",
    ("models.aliases", "removed"): "{before} is no longer answered",
    ("models.residency", "set"): "data may only go to {after}",
    ("models.residency", "unset"): "data may go anywhere, it was {before}",
    ("models.residency", "added"): "data may go to {after} too",
    ("models.residency", "removed"): "data may no longer go to {before}",
    ("accessLog.payloads", "on"): "prompts and answers are logged",
    ("accessLog.payloads", "off"): "prompts and answers are no longer logged",
    ("auth.anonymous", "added"): "everybody may call, without a key",
    ("auth.anonymous", "removed"): "nobody may call without a key any more",
}
"""(end of a place, without names; op) -> what happened; set, unset: to a list as a whole."""
NO_AMOUNT = ("port", "priority", "database", "kvVersion", "status")
"""Numbers of which no share is worth telling."""


def sentence(change: Change, tail: str = "") -> str:
    """Return one change in words."""
    cost = f"; {estimate(change.estimate)}" if change.estimate else ""
    return scrub(f"{change.place or 'the spec'}: {_what(change)}{reached(change)}{tail}{cost}")


def reached(change: Change) -> str:
    """Return for how many a change is: what a sentence has after what changed."""
    models, consumers = change.reach
    who = f" and {counted(consumers, 'consumer')}" if consumers else ""
    return f", for {counted(models, 'model')}{who}" if models else ""


def estimate(found: Estimate) -> str:
    """Return what something costs in words, with what that is worked out from."""
    if found.before is None and found.after is None:
        return f"what it costs is not known: {found.assumes}"
    most, assumes = ("at most " if found.most else ""), (f", {found.assumes}" if found.assumes else "")
    if found.after is None:
        return f"no longer at most {money(found.before or 0.0)} {found.per}{assumes}"
    if not found.before:
        return f"{most}{money(found.after)} {found.per}{assumes}"
    share = f"{(found.after - found.before) / found.before:+.0%}"
    if share in ("+0%", "-0%"):
        return f"as much as before, {money(found.after)} {found.per}{assumes}"
    return f"{most}{money(found.before)} -> {money(found.after)} ({share}) {found.per}{assumes}"


def money(dollars: float) -> str:
    """Return US dollars, with as many decimals as a small sum needs."""
    return f"US${dollars:,.4f}" if 0 < dollars < 0.1 else f"US${dollars:,.2f}"


def _what(change: Change) -> str:
    before, after = _words(change.before), _words(change.after)
    if HIDDEN in (change.before, change.after):
        return f"{change.op} {HIDDEN}"
    simple = not any(isinstance(x, dict) for x in (change.before, change.after))
    if simple and (said := _phrase(change)):
        return said.format(before=before, after=after)
    if change.op == "renamed":
        return f"renamed, it was {before}"
    if change.op == "added":
        return f"added {after}" if not isinstance(change.after, dict) else f"added{_inside(change.after, change.at)}"
    if change.op == "removed":
        return (
            f"removed {before}"
            if not isinstance(change.before, dict)
            else f"removed{_inside(change.before, change.at)}"
        )
    if change.op in ("on", "off"):
        return f"now {after}"
    if isinstance(change.before, list) and isinstance(change.after, list):
        return _lists(change)
    return f"{before} -> {after}{_percent(change)}"


def _phrase(change: Change) -> str:
    bare = re.sub(r"\[[^\]]*\]", "", change.place)
    end = ".".join(bare.split(".")[-2:]), ".".join(bare.split(".")[-3:])
    whole = any(isinstance(x, list) for x in (change.before, change.after))
    ops = [*({"added": ["set"], "removed": ["unset"]}.get(change.op, []) if whole else []), change.op]
    return next((SAID[key, op] for op in ops for key in end if (key, op) in SAID), "")


def _lists(change: Change) -> str:
    """An ordered list: what came and went, or which of its items stand elsewhere now."""
    sides = [[_words(x) for x in side] for side in (change.before, change.after)]
    if change.op == "moved":
        return f"another order, {', '.join(sides[1])}, it was {', '.join(sides[0])}"
    less, more = (Counter(sides[a]) - Counter(sides[b]) for a, b in ((0, 1), (1, 0)))
    gone, come = ([*x.elements()] for x in (less, more))
    if len(gone) == len(come) == 1:
        return f"{gone[0]} -> {come[0]}"
    parts = [*(f"removed {x}" for x in gone[:3]), *(f"added {x}" for x in come[:3])]
    left = len(gone) + len(come) - len(parts)
    return ", ".join(parts) + (f" and {left} more" if left else "")


def counted(number: int, what: str, several: str = "") -> str:
    """Return a number of things, in the singular or the plural."""
    return f"{number:,} {what if number == 1 else several or f'{what}s'}"


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        text = ", ".join(map(_words, value))
    elif isinstance(value, dict):
        text = ", ".join(f"{k} {_words(v)}" for k, v in value.items())
    else:
        text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _inside(value: Mapping[str, Any], at: Pointer) -> str:
    """What an object holds, in short: what is one thing and not its default."""
    parts = [
        f"{k} {_words(v)}"
        for k, v in value.items()
        if not isinstance(v, (dict, list)) and k != "name" and (field(general((*at, k))) or {}).get("default") != v
    ]
    return f" ({', '.join(parts[:4])})" if parts else ""


def _percent(change: Change) -> str:
    before, after = change.before, change.after
    if change.place.endswith(NO_AMOUNT):
        return ""
    numbers = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (before, after))
    text = f"{(after - before) / before:+.0%}" if numbers and before else "+0%"
    return f" ({text})" if text not in ("+0%", "-0%") else ""
