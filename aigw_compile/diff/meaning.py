"""Two documents to what changed in meaning: each change with its classes, judged on what really applies, and in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.diff.types import CLASSES, Change
from aigw_compile.mask import HIDDEN, NO_VEIL, Veil, scrub
from aigw_compile.meaning import Effective, Item, Node, Tree, effective, plain, tree
from aigw_compile.schema import change as declared
from aigw_compile.schema import field

Veils = tuple[Veil, Veil]
"""What is hidden on the old side, and on the new one."""


def meaning(old: Json, new: Json, veils: Veils = (NO_VEIL, NO_VEIL)) -> list[Change]:
    """Return what changed in meaning between two documents, judged on the policies that really apply.

    What stands at a hidden place on either side is `(hidden)` in every value, name and sentence.
    """
    found = [*_walk(tree(old), tree(new), "", (), veils)]
    if not found:
        return []
    judge = _Judge(effective(old), effective(new))
    return [judge.judged(change) for change in found]


def _walk(old: Node, new: Node, path: str, generic: Pointer, veils: Veils) -> Iterator[Change]:
    gone = [k for k in old.children if k not in new.children]
    come = [k for k in new.children if k not in old.children]
    inner: Pointer
    if old.kind == "keyed":
        for before, after in _renames(old, new, gone, come):
            gone.remove(before)
            come.remove(after)
            at, inner = new.children[after].at, (*generic, 0, "name")
            was, now = veils[0].label(old.children[before].at, before), veils[1].label(at, after)
            yield _change("renamed", _step(path, old.kind, now), was, now, at, False, inner)
    for key in gone:
        node = old.children[key]
        place, inner = _step(path, old.kind, veils[0].label(node.at, key)), _generic(generic, old, key)
        yield _change("removed", place, plain(node, veils[0]), None, node.at, True, inner)
    for key in come:
        node = new.children[key]
        place, inner = _step(path, new.kind, veils[1].label(node.at, key)), _generic(generic, new, key)
        yield _change("added", place, None, plain(node, veils[1]), node.at, False, inner)
    for key, before_node in old.children.items():
        if key not in new.children:
            continue
        after_node = new.children[key]
        label = veils[1].label(after_node.at, veils[0].label(before_node.at, key))
        place, inner = _step(path, new.kind, label), _generic(generic, new, key)
        yield from _both(before_node, after_node, place, inner, veils)


def _both(old: Tree, new: Tree, place: str, generic: Pointer, veils: Veils) -> Iterator[Change]:
    if isinstance(old, Node) and isinstance(new, Node):
        yield from _walk(old, new, place, generic, veils)
    elif isinstance(old, Item) and isinstance(new, Item):
        if old.leaf.value != new.leaf.value or type(old.leaf.value) is not type(new.leaf.value):
            op = _op(old.leaf.value, new.leaf.value)
            if op:
                before, after = (_shown(old), _shown(new)) if not _hidden(old, new, veils) else (HIDDEN, HIDDEN)
                yield _change(op, place, before, after, new.at, False, generic)
    else:
        before, after = (
            (plain(old, veils[0]), plain(new, veils[1])) if not _hidden(old, new, veils) else (HIDDEN, HIDDEN)
        )
        yield _change("changed", place, before, after, new.at, False, generic)


def _hidden(old: Tree, new: Tree, veils: Veils) -> bool:
    """Whether one of the two sides hides its value: then neither is told, since the other may well be the same again."""
    return any(veil.covers(side.at) or veil.around(side.at) for veil, side in zip(veils, (old, new), strict=True))


def _shown(item: Item) -> Any:
    value = item.leaf.value
    return value if isinstance(value, (bool, list)) or str(value) == item.leaf.shown else item.leaf.shown


def _op(old: Any, new: Any) -> str:
    if isinstance(old, bool) and isinstance(new, bool):
        return "on" if new else "off"
    if isinstance(old, (int, float)) and isinstance(new, (int, float)):
        return "raised" if new > old else "lowered" if new < old else ""
    return "changed"


def _renames(old: Node, new: Node, gone: list[str], come: list[str]) -> list[tuple[str, str]]:
    """Items that only changed their name: equal otherwise, and the only ones that are."""

    def content(node: Node, key: str) -> str:
        data = plain(node.children[key])
        return repr(sorted((k, v) for k, v in data.items() if k != "name")) if isinstance(data, dict) else repr(data)

    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for key in gone:
        before.setdefault(content(old, key), []).append(key)
    for key in come:
        after.setdefault(content(new, key), []).append(key)
    return [(b[0], after[c][0]) for c, b in before.items() if len(b) == 1 and len(after.get(c, ())) == 1]


def _step(path: str, kind: str, key: str) -> str:
    if kind == "keyed":
        return f"{path}[{key}]"
    if kind == "set":
        return path
    if not path and key == "spec":
        return ""
    return f"{path}.{key}" if path else key


def _generic(generic: Pointer, node: Node, key: str) -> Pointer:
    return (*generic, key) if node.kind == "map" else (*generic, 0)


def _change(op: str, place: str, before: Any, after: Any, at: Pointer, old: bool, generic: Pointer) -> Change:
    entity = place[: place.rindex("]") + 1] if "]" in place else place.partition(".")[0]
    classes = _classes(op, generic)
    if HIDDEN in (before, after) and op in ("on", "off", "raised", "lowered"):
        op = "changed"  # the direction alone would tell a switch, and a number by halves
    return Change(op, entity, place, before, after, classes, "", at, old, (0, 0))


def _classes(op: str, generic: Pointer) -> tuple[str, ...]:
    """The classes that the language declares for this event; for an item of a set, those of the set."""
    if op == "renamed":
        found = declared(generic)
        return _sorted((found or {}).get("changed", ())) or ("unclassified",)
    held = declared(generic)
    if held is None and generic and (generic[-1] == 0 or "properties" not in (field(generic[:-1]) or {})):
        held = declared(generic[:-1])  # an item of a set, or an entry of a free map: the set or map says it
    if not held:
        return ("unclassified",)
    named = held.get(op) if op in held else held.get("changed")
    if named is None:
        return ("unclassified",)
    return _sorted(named) or ("behaviour",)


def _sorted(classes: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(classes), key=CLASSES.index))


class _Judge:
    """Looks at what really applies to each (model, consumer) before and after."""

    def __init__(self, old: Mapping[tuple[str, str], Effective], new: Mapping[tuple[str, str], Effective]) -> None:
        both = [(pair, old[pair], new[pair]) for pair in new if pair in old]
        calls = [(pair, a, b) for pair, a, b in both if b.allowed or a.allowed]
        self.fewer = [p for p, a, b in calls if b.allowed and a.guards - b.guards]
        self.more = [p for p, a, b in calls if b.allowed and b.guards - a.guards]
        self.looser = [p for p, a, b in calls if any(b.limits.get(k, v + 1) > v for k, v in a.limits.items())]
        self.tighter = [p for p, a, b in calls if any(a.limits.get(k, v + 1) > v for k, v in b.limits.items())]
        self.opened = [p for p, a, b in calls if b.allowed and not a.allowed]
        self.closed = [p for p, a, b in calls if a.allowed and not b.allowed]

    def judged(self, change: Change) -> Change:
        """Keep a class only where some call really gets weaker, stronger, looser or tighter; say how far it reaches."""
        pairs: dict[str, list[tuple[str, str]]] = {}
        if "promptGuard" in change.place:
            pairs = {"security-relaxing": self.fewer, "security-tightening": self.more}
        elif "policies.limits" in change.place and not change.place.endswith(".reserveOutput"):
            pairs = {"cost": self.looser, "breaking": self.tighter}
        elif re.search(r"\.access(\.|$)", change.place):
            pairs = {"security-relaxing": self.opened, "security-tightening": self.closed, "breaking": self.closed}
        elif ".groups" in change.place or change.place.endswith("policies"):
            pairs = {
                "security-relaxing": [*self.fewer, *self.opened],
                "security-tightening": [*self.more, *self.closed],
                "cost": self.looser,
                "breaking": [*self.tighter, *self.closed],
            }
        if not pairs:
            return change._replace(sentence=_sentence(change))
        effects = tuple(name for name, found in pairs.items() if found)
        kept = _sorted([*(c for c in change.classes if c not in pairs), *effects])
        kept = tuple(c for c in kept if c != "behaviour" or len(kept) == 1) or ("cosmetic",)
        reached = [pair for name in effects for pair in pairs[name]]
        reach = (len({m for m, _ in reached}), len({c for _, c in reached if c}))
        change = change._replace(classes=kept, reach=reach)
        tail = "" if reached else "; what applies to every call stays the same"
        return change._replace(sentence=_sentence(change) + tail)


def _sentence(change: Change) -> str:
    """One change in words."""
    before, after = _words(change.before), _words(change.after)
    if HIDDEN in (change.before, change.after):
        text = f"{change.place}: {change.op} {HIDDEN}"
    elif change.op == "renamed":
        text = f"{change.place}: renamed, it was {before}"
    elif change.op == "added":
        text = f"{change.place}: added" + (
            f" {after}" if not isinstance(change.after, (dict, list)) else _inside(change.after)
        )
    elif change.op == "removed":
        gone = f" {before}" if not isinstance(change.before, (dict, list)) else ""
        text = f"{change.place}: removed{gone}"
    elif change.op in ("on", "off"):
        text = f"{change.place}: now {after}"
    else:
        text = f"{change.place}: {before} -> {after}{_percent(change.before, change.after)}"
    models, consumers = change.reach
    if models:
        who = f" and {consumers} consumer{'s' if consumers != 1 else ''}" if consumers else ""
        text += f", for {models} model{'s' if models != 1 else ''}{who}"
    return scrub(text)


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _inside(value: Any) -> str:
    """What a new object holds, in short."""
    if isinstance(value, dict):
        parts = [f"{k} {_words(v)}" for k, v in value.items() if not isinstance(v, (dict, list)) and k != "name"]
        return f" ({', '.join(parts[:4])})" if parts else ""
    return f" ({len(value)} items)"


def _percent(before: Any, after: Any) -> str:
    numbers = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (before, after))
    text = f"{(after - before) / before:+.0%}" if numbers and before else "+0%"
    return f" ({text})" if text not in ("+0%", "-0%") else ""
