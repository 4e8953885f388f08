"""Two documents to the old one with its names as the new one has them, and what was renamed: so that a rename is one change."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Json, Pointer, value_at
from aigw_compile.lower import FALLBACK_ON, RETRY_ON, target_name
from aigw_compile.meaning import Item, Tree, tree
from aigw_compile.rules.references import KEYED, uses
from aigw_compile.schema import field, general

LIKE = 0.6
"""Share of what two things have in common from which on one is taken for the other under a new name."""
MOST = 2_000
"""Pairs that are looked at; where there are more, only equal content counts."""
ORDER = ("vaults", "stores", "providers", "consumerGroups", "models", "consumers", "listeners")
"""What is referred to comes first."""
assert {*ORDER} == {*KEYED}

Renames = Mapping[Pointer, str]
"""Place of an item in the old document -> the name that it had there; "" where nobody wrote a name."""


class Renamed(NamedTuple):
    old: Json
    names: Renames


def renamed(old: Json, new: Json) -> Renamed:
    """Return the old document under the new names. Nothing but names is touched, so all places stay as they are."""
    if not (isinstance(old, dict) and isinstance(new, dict)) or not _may(old, new):
        return Renamed(old, {})
    now: Any = copy.deepcopy(old)
    then: Any = new
    names: dict[Pointer, str] = {}
    for kind in ORDER:
        pairs = _pairs(now, new, ("spec", kind), kind)
        for at, was, is_ in pairs:
            names[at] = was
            item: Any = value_at(at, now)
            item["name"] = is_
        table = {was: is_ for _, was, is_ in pairs}
        for listed, place, name in (*uses(now),) if table else ():
            if listed == kind and name in table:
                holder: Any = value_at(place[:-1], now)
                holder[place[-1]] = table[name]
        if kind == "models":
            others = {m["name"]: i for i, m in enumerate(then["spec"].get("models", ()))}
            for number, model in enumerate(now["spec"].get("models", ())):
                if (other := others.get(model["name"])) is not None:
                    names |= _targets(now, then, number, other)
    return Renamed(now, names)


def _targets(now: Any, then: Any, number: int, other: int) -> dict[Pointer, str]:
    """Rename the targets of one model; where both sides leave the name out, it only follows what it is made from."""
    at, at_new = (("spec", "models", n, "targets") for n in (number, other))
    written = {_name(t): "name" in t for t in then["spec"]["models"][other].get("targets", ())}
    names: dict[Pointer, str] = {}
    for place, was, is_ in _pairs(now, then, at, "targets", at_new):
        target: Any = value_at(place, now)
        names[place] = was if "name" in target or written[is_] else ""
        target["name"] = is_
    return names


def _may(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether any name is gone and another one come: else there is nothing to look for."""
    for kind in ORDER:
        a, b = ({_name(x) for x in side.get("spec", {}).get(kind, ())} for side in (old, new))
        if a - b and b - a:
            return True
    targets = [
        {m["name"]: {_name(t) for t in m.get("targets", ())} for m in side.get("spec", {}).get("models", ())}
        for side in (old, new)
    ]
    return any(names - targets[1].get(m, names) for m, names in targets[0].items())


def _name(item: Mapping[str, Any]) -> str:
    return str(item["name"] if "name" in item else target_name(item))


def _pairs(old: Any, new: Any, at: Pointer, kind: str, at_new: Pointer | None = None) -> list[tuple[Pointer, str, str]]:
    """Return (place in the old document, its name, the new name) of what is the same under another name."""
    lists: list[Any] = [value_at(at, old) or [], value_at(at_new or at, new) or []]
    known = [{_name(x): i for i, x in enumerate(items)} for items in lists]
    gone = [n for n in known[0] if n not in known[1]]
    come = [n for n in known[1] if n not in known[0]]
    if not gone or not come:
        return []
    # Each item alone in an otherwise empty document, so that its normal form is that of the whole.
    both = frozenset({*gone, *come})
    leaves = [
        {name: _content(lists[side][known[side][name]], at, name, both) for name in names}
        for side, names in enumerate((gone, come))
    ]
    found = [*_equal(leaves)]
    taken = [{pair[side] for pair in found} for side in (0, 1)]
    left = [[n for n in names if n not in taken[side]] for side, names in enumerate((gone, come))]
    if left[0] and left[1] and len(left[0]) * len(left[1]) <= MOST:
        found += [*_alike(leaves, left, kind)]
    if kind == "targets":
        taken = [{pair[side] for pair in found} for side in (0, 1)]
        left = [[n for n in names if n not in taken[side]] for side, names in enumerate((gone, come))]
        unnamed = [[n for n in names if "name" not in lists[side][known[side][n]]] for side, names in enumerate(left)]
        if len(unnamed[0]) == len(unnamed[1]) == 1:  # its name says what it calls, and that is what changed
            found.append((unnamed[0][0], unnamed[1][0]))
    return [((*at, known[0][was]), was, is_) for was, is_ in found]


def _equal(leaves: list[dict[str, frozenset[str]]]) -> Iterator[tuple[str, str]]:
    by: list[dict[frozenset[str], list[str]]] = [{}, {}]
    for side, names in enumerate(leaves):
        for name, content in names.items():
            by[side].setdefault(content, []).append(name)
    for content, was in by[0].items():
        now = by[1].get(content, [])
        if content and len(was) == len(now) == 1:
            yield was[0], now[0]


def _alike(
    leaves: list[dict[str, frozenset[str]]], left: Sequence[Sequence[str]], kind: str
) -> Iterator[tuple[str, str]]:
    """Pairs of which each is the other's only best: the same from both sides."""
    score = {(a, b): _likeness(leaves[0][a], leaves[1][b], kind) for a in left[0] for b in left[1]}
    best = [{n: max(v for k, v in score.items() if k[side] == n) for n in names} for side, names in enumerate(left)]
    for (a, b), value in score.items():
        if value >= LIKE and value == best[0][a] == best[1][b]:
            rivals = [k for k, v in score.items() if v == value and (k[0] == a or k[1] == b)]
            if len(rivals) == 1:
                yield a, b


def _likeness(one: frozenset[str], other: frozenset[str], kind: str) -> float:
    if kind == "consumers":  # whoever has another key is somebody else
        keys = [{leaf for leaf in side if leaf.startswith(".credentials")} for side in (one, other)]
        if keys[0] != keys[1]:
            return 0.0
    return len(one & other) / (len(one | other) or 1)


def _content(item: Any, at: Pointer, name: str, both: frozenset[str]) -> frozenset[str]:
    """What an item says beyond its name, those that it had or gets, and the defaults, as texts."""
    place = general(at)
    whole: Any = copy.deepcopy(item)
    whole["name"] = name
    document: Any = {"spec": {}}
    if place[-1] == "targets":
        document["spec"]["models"] = [{"name": "x", "targets": [whole]}]
        path: tuple[str, ...] = ("spec", "models", "x", "targets")
    else:
        document["spec"][place[-1]] = [whole]
        path = ("spec", str(place[-1]))
    found: Any = tree(document)
    for step in path:
        found = found.children[step]
    return frozenset(_said(found.children[name], "", (*place, 0), both))


def _said(node: Tree, path: str, at: Pointer, names: frozenset[str]) -> Iterator[str]:
    if isinstance(node, Item):
        default = (field(at) or {}).get("default")
        if path != ".name" and (default is None or str(default) != node.leaf.shown):
            yield f"{path}={node.leaf.value}"
        return
    for key, child in node.children.items():
        if node.kind == "set":
            usual = {".retries.on": RETRY_ON, ".fallback.on": FALLBACK_ON}.get(path, ())
            if key not in usual and not (path == ".aliases" and key in names):
                yield f"{path}={key}"
        else:
            step = key if node.kind == "map" else 0
            inner = f"{path}.{key}" if node.kind == "map" else f"{path}[{key}]"
            yield from _said(child, inner, (*at, step), names)
